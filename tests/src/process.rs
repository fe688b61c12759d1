//! Processes: the node, the engine, the command line client. Each is killed when it goes out of scope, and only these are.

use crate::{get, Island};
use anyhow::{bail, Context};
use assay_cli::chain::Chain;
use serde_json::Value;
use std::{
	fs::{self, File},
	io::Read,
	net::{Ipv4Addr, SocketAddr},
	path::{Path, PathBuf},
	process::{Child, Command, Stdio},
	sync::{
		atomic::{AtomicU32, Ordering},
		Arc,
	},
	time::{Duration, Instant},
};

/// A process that has not said what it should by then is taken for dead. Generous: the machine may be busy building.
const SILENCE: Duration = Duration::from_secs(120);
/// How often a log is looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// Lines of a log that a failing test shows.
const TAIL: usize = 25;

/// A binary of this workspace, next to the running test.
pub(crate) fn binary(name: &str) -> PathBuf {
	let test = std::env::current_exe().expect("the test has a path");
	let folder = test.parent().and_then(Path::parent).expect("the test lies in the target directory");
	let path = folder.join(name);
	assert!(path.is_file(), "{} is not built: run `cargo build --release --workspace --bins` first", path.display());
	path
}

/// A temporary folder. It goes when it is dropped, unless the test is failing: then it stays, to be looked at.
pub struct Folder(PathBuf);

impl Folder {
	/// A new folder. `theme` is part of its name.
	pub fn new(theme: &str) -> Self {
		static COUNT: AtomicU32 = AtomicU32::new(0);
		let count = COUNT.fetch_add(1, Ordering::Relaxed);
		let path = std::env::temp_dir().join(format!("assay-test-{}-{count}-{theme}", std::process::id()));
		fs::create_dir_all(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
		Self(path)
	}

	/// Where it is.
	pub fn path(&self) -> &Path {
		&self.0
	}
}

impl Drop for Folder {
	fn drop(&mut self) {
		if !std::thread::panicking() {
			let _ = fs::remove_dir_all(&self.0);
		}
	}
}

/// A child process whose output goes to a file.
struct Process {
	name: &'static str,
	child: Child,
	log: PathBuf,
	// Where the output of this very process starts: a log goes on over restarts.
	start: u64,
}

impl Process {
	fn start(name: &'static str, command: &mut Command, log: &Path) -> Self {
		let file = File::options().create(true).append(true).open(log);
		let file = file.unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()));
		let start = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
		let other = file.try_clone().expect("a file can be opened twice");
		let child = command.stdin(Stdio::null()).stdout(file).stderr(other).spawn();
		let child = child.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
		Self { name, child, log: log.into(), start }
	}

	/// What the process has said so far.
	fn said(&self) -> String {
		let text = fs::read(&self.log).unwrap_or_default();
		let own = text.get(usize::try_from(self.start).unwrap_or_default()..).unwrap_or_default();
		String::from_utf8_lossy(own).into_owned()
	}

	/// Waits until the process says something, and returns what `find` makes of it.
	fn wait_for<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
		let since = Instant::now();
		loop {
			if let Some(found) = self.said().lines().find_map(&find) {
				return found;
			}
			if let Ok(Some(status)) = self.child.try_wait() {
				panic!("{} ended ({status}) before it said {what}; {}", self.name, self.tail());
			}
			assert!(since.elapsed() < SILENCE, "{} did not say {what} in {SILENCE:?}; {}", self.name, self.tail());
			std::thread::sleep(GLANCE);
		}
	}

	fn tail(&self) -> String {
		let said = self.said();
		// What a node says about every block tells nothing.
		let is_routine = |line: &&str| ["🙌", "🎁", "🔖", "🏆", "💤"].iter().any(|mark| line.contains(mark));
		let lines: Vec<&str> = said.lines().filter(|line| !is_routine(line)).collect();
		let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n  ");
		format!("its log is {} and ends:\n  {last}", self.log.display())
	}

	fn kill(&mut self) {
		// SIGKILL: nothing is flushed, nobody is asked.
		let _ = self.child.kill();
		let _ = self.child.wait();
	}
}

impl Drop for Process {
	fn drop(&mut self) {
		self.kill();
		if std::thread::panicking() {
			eprintln!("{}: {}", self.name, self.tail());
		}
	}
}

/// How a node is started.
#[derive(Clone, Default)]
pub struct NodeOptions {
	/// The engine's URL; none: the one inside the node.
	pub engine_url: Option<String>,
	/// No engine and no role.
	pub no_engine: bool,
	/// A pool with room for more than a test ever sends.
	pub large_pool: bool,
	/// How much the pool holds, in KiB, if not what is usual.
	pub pool_kbytes: Option<usize>,
	/// A node among others; none: a development chain of its own.
	pub local: Option<Local>,
	/// More arguments.
	pub arguments: Vec<String>,
}

/// A node of a local network, with a database and a keystore of its own.
#[derive(Clone, Default)]
pub struct Local {
	/// The chain spec; none: the chain `local`.
	pub spec: Option<PathBuf>,
	/// The validator it is, such as `alice`, if any.
	pub validator: Option<&'static str>,
	/// Whether it is a validator with keys that it makes itself.
	pub own_keys: bool,
	/// Whether it talks to those nodes alone that it is told of over RPC.
	pub reserved: bool,
	/// Whether it begins with the newest state instead of the first block.
	pub warp: bool,
	/// Whether it plays the roles of a worker.
	pub worker: bool,
	/// Another node's [`Node::address`].
	pub boot: Option<String>,
	/// Whether it makes blocks though it sees nobody.
	pub alone: bool,
	/// A network of its own, on which it runs.
	pub island: Option<Arc<Island>>,
	/// Another address of this machine at which it listens, beside loopback.
	pub also_at: Option<String>,
}

/// A node.
pub struct Node {
	process: Option<Process>,
	options: NodeOptions,
	folder: Folder,
	url: String,
	/// The port for other nodes; kept over restarts.
	port: u16,
	identity: String,
}

impl Node {
	/// Starts a node on a new chain, and waits until it listens.
	pub fn start(theme: &str, options: NodeOptions) -> Self {
		// Only nodes that others look for need a known port.
		let port = if options.local.is_some() { free_address().port() } else { 0 };
		let (folder, url, identity) = (Folder::new(theme), String::new(), String::new());
		let mut node = Self { process: None, options, folder, url, port, identity };
		node.restart();
		node
	}

	/// Where other nodes find it.
	pub fn address(&self) -> String {
		self.address_at(&Ipv4Addr::LOCALHOST.to_string())
	}

	/// Where other nodes find it that know this machine by another address.
	pub fn address_at(&self, host: &str) -> String {
		format!("/ip4/{host}/tcp/{}/p2p/{}", self.port, self.identity)
	}

	/// Where it listens for JSON-RPC.
	pub fn url(&self) -> &str {
		&self.url
	}

	/// What it was told to call its base path.
	pub fn base_path(&self) -> PathBuf {
		self.folder.path().join("chain")
	}

	/// What it has logged since it was last started.
	pub fn log(&self) -> String {
		self.process.as_ref().map(Process::said).unwrap_or_default()
	}

	/// Kills it with SIGKILL.
	pub fn kill(&mut self) {
		if let Some(process) = &mut self.process {
			process.kill();
		}
	}

	/// Starts it again on the same chain, and waits until it listens.
	pub fn restart(&mut self) {
		self.kill();
		let program = binary("assay-node");
		let island = self.options.local.as_ref().and_then(|local| local.island.clone());
		let mut command = island.as_ref().map_or_else(|| Command::new(&program), |island| island.command(&program));
		let mut hosts = vec![island.as_ref().map_or_else(|| Ipv4Addr::LOCALHOST.to_string(), |island| island.own())];
		match &self.options.local {
			None => {
				command.arg("--dev");
			}
			Some(Local { spec, validator, own_keys, reserved, warp, worker, boot, alone, island: _, also_at }) => {
				hosts.extend(also_at.clone());
				command.arg("--chain").arg(spec.as_deref().unwrap_or(Path::new("local")));
				command.arg("--unsafe-force-node-key-generation");
				command.args(validator.map(|name| format!("--{name}")));
				command.args(own_keys.then_some("--validator"));
				command.args(reserved.then_some("--reserved-only"));
				command.args(warp.then_some("--sync=warp"));
				if *worker {
					command.args(["--roles", "worker"]);
				}
				if let Some(boot) = boot {
					command.args(["--bootnodes", boot]);
				}
				if *alone {
					command.arg("--force-authoring");
				}
			}
		}
		command.arg("--base-path").arg(self.base_path());
		command.arg("--runtime-cache").arg(program.with_file_name("runtime-cache"));
		// Free ports, nothing to the outside, and blocks that stay readable.
		for host in hosts {
			command.arg("--listen-addr").arg(format!("/ip4/{host}/tcp/{}", self.port));
		}
		if island.is_some() {
			command.args(["--unsafe-rpc-external", "--rpc-methods", "unsafe", "--rpc-cors", "all"]);
		}
		// Who is connected finds it again.
		let rpc_port = self.url.rsplit(':').next().filter(|port| !port.is_empty()).unwrap_or("0");
		command.args(["--rpc-port", rpc_port, "--no-mdns"]);
		if !self.options.arguments.iter().any(|argument| argument == "--prometheus-port") {
			command.arg("--no-prometheus");
		}
		command.args(&self.options.arguments);
		command.arg("--no-telemetry");
		if !self.options.local.as_ref().is_some_and(|local| local.warp) {
			command.args(["--state-pruning", "archive"]);
		}
		if let Some(url) = &self.options.engine_url {
			command.args(["--engine-url", url]);
		}
		if self.options.no_engine {
			command.arg("--no-engine");
		}
		if self.options.large_pool {
			command.args(["--pool-limit", "100000", "--pool-kbytes", "1000000"]);
		}
		if let Some(kbytes) = self.options.pool_kbytes {
			command.arg("--pool-kbytes").arg(kbytes.to_string());
		}
		let mut process = Process::start("assay-node", &mut command, &self.folder.path().join("node.log"));
		let address = process.wait_for("where its JSON-RPC server listens", |line| {
			let rest = line.split("Running JSON-RPC server: addr=").nth(1)?;
			rest.split(',').next()?.trim().parse::<SocketAddr>().ok()
		});
		self.identity = process
			.wait_for("who it is", |line| Some(line.split("Local node identity is: ").nth(1)?.trim().to_owned()));
		self.url = match island {
			Some(island) => format!("ws://{}:{}", island.rpc(), address.port()),
			None if address.ip().is_unspecified() => format!("ws://{}:{}", Ipv4Addr::LOCALHOST, address.port()),
			None => format!("ws://{address}"),
		};
		self.process = Some(process);
	}

	/// Waits until it says something.
	pub fn wait_for_words(&mut self, words: &str) {
		let process = self.process.as_mut().expect("the node runs");
		process.wait_for(words, |line| line.contains(words).then_some(()));
	}

	/// Starts it again on the same chain, where it knows this node, or nobody. Nobody else may know it.
	pub fn rejoin(&mut self, boot: Option<String>) {
		if let Some(local) = &mut self.options.local {
			local.alone = boot.is_none();
			local.boot = boot;
		}
		self.restart();
	}

	/// Writes the raw spec of its chain, which names these addresses of nodes: all that a light client is told.
	pub fn spec(&self, boot_nodes: &[String]) -> PathBuf {
		let chain = match &self.options.local {
			Some(local) => local.spec.as_deref().unwrap_or(Path::new("local")),
			None => Path::new("dev"),
		};
		let path = self.folder.path().join("raw.json");
		let mut command = Command::new(binary("assay-node"));
		command.args(["export-chain-spec", "--raw", "--chain"]).arg(chain).arg("--output").arg(&path);
		let exported = command.output().expect("the node can be started");
		assert!(exported.status.success(), "no spec of {chain:?}: {}", String::from_utf8_lossy(&exported.stderr));
		let spec = fs::read(&path).expect("the node has written the spec");
		let mut spec: Value = serde_json::from_slice(&spec).expect("a chain spec is JSON");
		spec["bootNodes"] = boot_nodes.into();
		fs::write(&path, spec.to_string()).expect("the spec can be written again");
		path
	}

	/// A connection to it.
	pub async fn chain(&self) -> anyhow::Result<Chain> {
		Chain::connect(&self.url).await
	}

	/// The command line client, talking to this node.
	pub fn cli(&self) -> Cli {
		Cli { url: self.url.clone() }
	}
}

/// A port that was free a moment ago, and that the system gives to nobody else soon.
pub fn free_address() -> SocketAddr {
	let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
	listener.local_addr().expect("a bound socket has an address")
}

/// An inference engine that runs by itself, with the sample model in its store.
pub struct Engine {
	process: Option<Process>,
	folder: Folder,
	address: SocketAddr,
	/// What is wrong with it; see `faulty-engine --help`. Empty: the engine that is shipped.
	faults: Vec<String>,
	models: usize,
}

impl Engine {
	/// An engine that is not running yet, at an address that it will keep.
	pub fn new(theme: &str) -> Self {
		let folder = Folder::new(theme);
		let mut engine = Self { process: None, folder, address: free_address(), faults: Vec::new(), models: 0 };
		engine.import(&crate::repository().join("models/digits/digits.onnx"));
		engine
	}

	/// An engine with faults.
	pub fn faulty(theme: &str, faults: &[&str]) -> Self {
		Self { faults: faults.iter().map(|fault| (*fault).to_owned()).collect(), ..Self::new(theme) }
	}

	/// Imports a model into its store. Not while it runs.
	pub fn import(&mut self, onnx: &Path) {
		self.import_with(onnx, &[]);
	}

	/// Like [`Engine::import`], with more arguments of `assay-engine import`.
	pub fn import_with(&mut self, onnx: &Path, arguments: &[String]) {
		let imported = Command::new(binary("assay-engine"))
			.arg("import")
			.arg(onnx)
			.arg("--store")
			.arg(self.folder.path().join("models"))
			.args(arguments)
			.output()
			.expect("the engine can be started");
		assert!(imported.status.success(), "{}: {}", onnx.display(), String::from_utf8_lossy(&imported.stderr));
		self.models += 1;
	}

	/// Where it listens, or will.
	pub fn url(&self) -> String {
		format!("http://{}", self.address)
	}

	/// Starts it, and waits until it listens.
	pub fn start(&mut self) {
		self.kill();
		let name = if self.faults.is_empty() { "assay-engine" } else { "faulty-engine" };
		let mut command = Command::new(binary(name));
		if self.faults.is_empty() {
			command.arg("serve");
		}
		command.arg("--store").arg(self.folder.path().join("models")).args(&self.faults);
		command.args(["--listen", &self.address.to_string(), "--threads", "1"]);
		let mut process = Process::start(name, &mut command, &self.folder.path().join("engine.log"));
		let words =
			if self.faults.is_empty() { format!("serving {} models", self.models) } else { "serving at".to_owned() };
		process.wait_for("that it serves", |line| line.contains(&words).then_some(()));
		self.process = Some(process);
	}

	/// Kills it with SIGKILL.
	pub fn kill(&mut self) {
		if let Some(mut process) = self.process.take() {
			process.kill();
		}
	}
}

/// A watchtower: the command line client's `watch`, left running.
pub struct Watchtower {
	process: Option<Process>,
	folder: Folder,
	arguments: Vec<String>,
}

impl Watchtower {
	/// Starts one that acts for `account`, sees the chain through `node` and computes with `engine`.
	pub fn start(theme: &str, node: &Node, engine: &Engine, account: &str) -> Self {
		let folder = Folder::new(theme);
		let state = folder.path().join("state").display().to_string();
		let (url, engine) = (node.url().to_owned(), engine.url());
		let arguments = ["watch", "--account", account, "--url", &url, "--engine", &engine, "--state", &state];
		let arguments = arguments.into_iter().chain(["--metrics", "127.0.0.1:0"]).map(str::to_owned).collect();
		let mut watchtower = Self { process: None, folder, arguments };
		watchtower.restart();
		watchtower
	}

	/// Kills it with SIGKILL and starts it again.
	pub fn restart(&mut self) {
		self.kill();
		let mut command = Command::new(binary("assay"));
		command.args(&self.arguments).env_remove("ASSAY_URL").env_remove("ASSAY_ACCOUNT");
		self.process = Some(Process::start("assay watch", &mut command, &self.folder.path().join("watch.log")));
	}

	/// Kills it with SIGKILL.
	pub fn kill(&mut self) {
		if let Some(mut process) = self.process.take() {
			process.kill();
		}
	}

	/// What it has said since it was last started.
	pub fn log(&self) -> String {
		self.process.as_ref().map(Process::said).unwrap_or_default()
	}

	/// The last block that it has seen.
	pub fn last_block(&mut self) -> anyhow::Result<u64> {
		let process = self.process.as_mut().context("it runs")?;
		let address = process.wait_for("where its figures are", |line| {
			let (_, rest) = line.split_once("are at http://")?;
			rest.split('/').next()?.parse::<SocketAddr>().ok()
		});
		let figures = get(address, "/metrics")?;
		let figure = figures.lines().find_map(|line| line.strip_prefix("assay_watch_last_block "));
		Ok(figure.context("the figure")?.parse()?)
	}
}

/// The command line client.
pub struct Cli {
	url: String,
}

/// What a command said.
pub struct CliOutput {
	/// Its exit code.
	pub code: i32,
	/// The object on stdout.
	pub json: Value,
	/// Everything on stderr.
	pub stderr: String,
}

impl Cli {
	/// Runs `assay` with `--json`, and makes sure that stdout is one JSON object.
	pub fn run(&self, arguments: &[&str]) -> anyhow::Result<CliOutput> {
		let mut command = Command::new(binary("assay"));
		command
			.args(arguments)
			.args(["--json", "--url", &self.url])
			.env_remove("ASSAY_URL")
			.env_remove("ASSAY_ACCOUNT");
		let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
		let (stdout, stderr) = (child.stdout.take().context("stdout")?, child.stderr.take().context("stderr")?);
		let read = |mut pipe: Box<dyn Read + Send>| {
			std::thread::spawn(move || {
				let mut text = String::new();
				let _ = pipe.read_to_string(&mut text);
				text
			})
		};
		let (stdout, stderr) = (read(Box::new(stdout)), read(Box::new(stderr)));
		let since = Instant::now();
		let status = loop {
			if let Some(status) = child.try_wait()? {
				break Some(status);
			}
			// A job takes at most a few minutes on these chains.
			if since.elapsed() > 3 * SILENCE {
				let _ = child.kill();
				let _ = child.wait();
				break None;
			}
			std::thread::sleep(GLANCE);
		};
		let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
		let (stdout, stderr) = (text(stdout), text(stderr));
		let Some(status) = status else { bail!("assay {arguments:?} did not end; it said: {stderr}") };
		let json = serde_json::from_str(&stdout).with_context(|| {
			format!("assay {arguments:?} printed no single JSON object but {stdout:?}; it said: {stderr}")
		})?;
		Ok(CliOutput { code: status.code().unwrap_or(-1), json, stderr })
	}

	/// Like [`Cli::run`], for a command that must succeed.
	pub fn succeed(&self, arguments: &[&str]) -> anyhow::Result<Value> {
		let output = self.run(arguments)?;
		anyhow::ensure!(output.code == 0, "assay {arguments:?} failed: {}", output.stderr);
		Ok(output.json)
	}

	/// Like [`Cli::run`], for a command that must fail with exit code 1. Returns what it says.
	pub fn fail(&self, arguments: &[&str]) -> anyhow::Result<String> {
		let output = self.run(arguments)?;
		anyhow::ensure!(output.code == 1, "assay {arguments:?} ended with {}: {}", output.code, output.json);
		Ok(output.json["error"].as_str().unwrap_or_default().to_owned())
	}
}
