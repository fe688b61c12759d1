//! `assay-engine`: serves models, imports them, shows them.

use std::{
	collections::BTreeMap,
	io::Write,
	net::SocketAddr,
	path::{Path, PathBuf},
	sync::Arc,
	time::Duration,
};

use anyhow::Context;
use assay_import::{read_artifact_shared, ImportError, Onnx};
use assay_kernels::map_file;
use assay_semantics::{ops, DType, Model, Op, TensorType};
use assay_server::{serve, write_atomically, write_model, Engine, EngineOptions, ModelId, Store};
use clap::{Args, Parser, Subcommand};
use codec::Encode;

/// Assay's inference engine.
#[derive(Parser)]
#[command(name = "assay-engine", version)]
struct Cli {
	/// What is logged: off, error, warn, info, debug or trace.
	#[arg(long, global = true, default_value = "info")]
	log: log::LevelFilter,
	#[command(subcommand)]
	command: Command,
}

#[derive(Subcommand)]
enum Command {
	/// Serve the models in a store over HTTP.
	Serve(Serve),
	/// Turn an ONNX file into a canonical artifact, and print the model's id.
	Import {
		/// The ONNX file.
		model: PathBuf,
		/// The type of an input, as `NAME=FP32[1,3,224,224]`, where the file leaves dimensions open. Repeat for others.
		#[arg(long = "input", value_parser = named_type)]
		inputs: Vec<(String, TensorType)>,
		/// Put the artifact into this store.
		#[arg(long, required_unless_present_any = ["out", "header_out"])]
		store: Option<PathBuf>,
		/// Write the artifact to this file.
		#[arg(long)]
		out: Option<PathBuf>,
		/// Write the model's header to this file, SCALE-encoded: what registering the model on chain takes.
		#[arg(long)]
		header_out: Option<PathBuf>,
	},
	/// Check an artifact and say what is in it.
	Show {
		/// The artifact.
		file: PathBuf,
	},
}

#[derive(Args)]
struct Serve {
	/// The folder of models; made if it is not there.
	#[arg(long)]
	store: PathBuf,
	/// Where to listen. There is no encryption and there are no accounts: keep it off public networks.
	#[arg(long, default_value = "127.0.0.1:8080")]
	listen: SocketAddr,
	/// Models that are evaluated at once; 0 for one per processor. The chain's jobs never wait for those of other users.
	#[arg(long, default_value_t = 0)]
	threads: usize,
	/// Of these, how many for users of the Open Inference Protocol; 0 for all that the chain's jobs leave.
	#[arg(long, default_value_t = 0)]
	max_running: usize,
	/// Jobs that may wait for a thread: so many of the chain's, and so many of other users.
	#[arg(long, default_value_t = EngineOptions::default().max_queue)]
	max_queue: usize,
	/// The longest request body, in bytes.
	#[arg(long, default_value_t = EngineOptions::default().max_body_bytes)]
	max_body_bytes: usize,
	/// Bytes of all request bodies and answers at once: so many of the chain's, and so many of other users.
	#[arg(long, default_value_t = EngineOptions::default().max_bodies_bytes)]
	max_bodies_bytes: usize,
	/// The longest answer to a user of the Open Inference Protocol, in bytes.
	#[arg(long, default_value_t = EngineOptions::default().max_output_bytes)]
	max_output_bytes: usize,
	/// Seconds that a request's body may take to arrive.
	#[arg(long, default_value_t = EngineOptions::default().max_body_time.as_secs())]
	max_body_seconds: u64,
	/// Seconds that an inference may take over the Open Inference Protocol, waiting included.
	#[arg(long, default_value_t = EngineOptions::default().max_infer_time.as_secs())]
	max_infer_seconds: u64,
	/// Connections that are open at once; beyond it, the one that is idle longest is closed.
	#[arg(long, default_value_t = EngineOptions::default().max_connections)]
	max_connections: usize,
	/// Bytes of results that are kept for callers who ask again.
	#[arg(long, default_value_t = EngineOptions::default().max_result_bytes)]
	max_result_bytes: usize,
	/// Models that are kept in memory.
	#[arg(long, default_value_t = EngineOptions::default().max_models)]
	max_models: usize,
	/// Traces that are kept for disputes: each its input, and about 200 bytes for each value of the model.
	#[arg(long, default_value_t = EngineOptions::default().max_traces)]
	max_traces: usize,
	/// Seconds that requests in progress get to end once the process is asked to stop.
	#[arg(long, default_value_t = 30)]
	shutdown_seconds: u64,
}

fn main() -> anyhow::Result<()> {
	let cli = Cli::parse();
	log::set_logger(&Stderr).map(|()| log::set_max_level(cli.log)).context("another logger is in place")?;
	match cli.command {
		Command::Serve(options) => run(options),
		Command::Import { model, inputs, store, out, header_out } => import(&model, &inputs, store, out, header_out),
		Command::Show { file } => show(&file),
	}
}

fn run(args: Serve) -> anyhow::Result<()> {
	let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
	let end = runtime.block_on(serve_until_stopped(args));
	// What is still on a thread, a model that is being read say, is not waited for.
	runtime.shutdown_background();
	end
}

async fn serve_until_stopped(args: Serve) -> anyhow::Result<()> {
	// First of all, so that no signal is lost.
	let mut signals = Signals::new()?;
	let options = EngineOptions {
		threads: args.threads,
		max_running: args.max_running,
		max_queue: args.max_queue,
		max_body_bytes: args.max_body_bytes,
		max_bodies_bytes: args.max_bodies_bytes,
		max_output_bytes: args.max_output_bytes,
		max_body_time: Duration::from_secs(args.max_body_seconds),
		max_infer_time: Duration::from_secs(args.max_infer_seconds),
		max_connections: args.max_connections,
		max_result_bytes: args.max_result_bytes,
		max_models: args.max_models,
		max_traces: args.max_traces,
		..Default::default()
	};
	let engine = Arc::new(Engine::open(&args.store, options)?);
	let models = engine.store().list()?.len();
	let listener = tokio::net::TcpListener::bind(args.listen)
		.await
		.with_context(|| format!("cannot listen on {}", args.listen))?;
	let (store, threads) = (args.store.display(), engine.options().threads);
	let (at, kernels) = (listener.local_addr()?, engine.evaluator());
	log::info!("serving {models} models in {store} at http://{at} on {threads} threads, with {kernels} kernels");
	let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
	let mut server = tokio::spawn(serve(listener, engine, async { drop(stopped.await) }));
	let ended = |end: Result<std::io::Result<()>, tokio::task::JoinError>| end?.context("the server stopped");
	tokio::select! {
		end = &mut server => return ended(end),
		() = signals.next() => {},
	}
	let patience = Duration::from_secs(args.shutdown_seconds);
	log::info!("shutting down: no new requests, and {patience:?} for those in progress; another signal ends them now");
	drop(stop);
	tokio::select! {
		end = &mut server => ended(end),
		() = tokio::time::sleep(patience) => {
			log::warn!("some requests did not end in {patience:?}; dropping them");
			Ok(())
		},
		() = signals.next() => Ok(()),
	}
}

/// The ways in which a process is asked to stop.
#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 2]);

#[cfg(unix)]
impl Signals {
	fn new() -> anyhow::Result<Self> {
		use tokio::signal::unix::{signal, SignalKind};
		let signal = |kind| signal(kind).context("cannot wait for signals");
		Ok(Self([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?]))
	}

	async fn next(&mut self) {
		let [terminate, interrupt] = &mut self.0;
		tokio::select! {
			_ = terminate.recv() => {},
			_ = interrupt.recv() => {},
		}
	}
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
	fn new() -> anyhow::Result<Self> {
		Ok(Self)
	}

	async fn next(&mut self) {
		if tokio::signal::ctrl_c().await.is_err() {
			std::future::pending().await
		}
	}
}

fn import(
	path: &Path,
	inputs: &[(String, TensorType)],
	store: Option<PathBuf>,
	out: Option<PathBuf>,
	header_out: Option<PathBuf>,
) -> anyhow::Result<()> {
	let file = map_file(path).with_context(|| format!("cannot read {}", path.display()))?;
	let bytes = file.len();
	let onnx = Onnx::open(file).with_context(|| format!("cannot import {}", path.display()))?;
	let compiled = onnx.declared(inputs).and_then(|given| onnx.compile(&given));
	let Ok(model) = compiled else { anyhow::bail!("cannot import {}:{}", path.display(), reasons(&onnx, inputs)) };
	drop(onnx);
	if let Some(store) = store {
		Store::open(store)?.put_model(&model)?;
	}
	if let Some(out) = out {
		write_model(&out, &model)?;
	}
	if let Some(out) = header_out {
		write_atomically(&out, &model.header().encode())?;
	}
	println!("{}", ModelId(model.id()));
	// Standard output has the id alone, for scripts.
	eprint!("{}", summary(&model, bytes));
	Ok(())
}

/// `NAME=TYPE`
fn named_type(text: &str) -> Result<(String, TensorType), String> {
	let wrong = || format!("`{text}` is not like NAME=FP32[1,3,224,224]");
	let (name, ty) = text.rsplit_once('=').ok_or_else(wrong)?;
	let (dtype, dims) = ty.strip_suffix(']').and_then(|ty| ty.split_once('[')).ok_or_else(wrong)?;
	let dtype = DType::from_name(dtype).ok_or_else(wrong)?;
	let dims = dims.split(',').map(str::trim).filter(|d| !d.is_empty());
	let dims = dims.map(|d| d.parse().map_err(|_| wrong())).collect::<Result<Vec<u32>, _>>()?;
	Ok((name.into(), TensorType::new(dtype, dims)))
}

/// Everything that import refuses, a line each; operators that are not supported once, with their nodes.
fn reasons(onnx: &Onnx, inputs: &[(String, TensorType)]) -> String {
	const NAMED: usize = 3;
	let mut operators: BTreeMap<String, Vec<String>> = BTreeMap::new();
	let mut lines = Vec::new();
	for problem in onnx.problems(inputs) {
		match problem {
			ImportError::Operator { node, op } => operators.entry(op).or_default().push(node),
			other => lines.push(other.to_string()),
		}
	}
	for (op, nodes) in operators {
		let named: Vec<String> = nodes.iter().take(NAMED).map(|node| format!("`{node}`")).collect();
		let more = if nodes.len() > NAMED { ", …" } else { "" };
		let count = if nodes.len() == 1 { "node".into() } else { format!("{} nodes:", nodes.len()) };
		lines.push(format!("operator {op} is not supported ({count} {}{more})", named.join(", ")));
	}
	lines.iter().map(|line| format!("\n- {line}")).collect()
}

/// Sizes, signature, and how many there are of which operator.
fn summary(model: &Model, file_bytes: usize) -> String {
	let weights: usize = model.weights().iter().map(|weight| weight.bytes.len()).sum();
	let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
	for node in model.nodes().iter().filter(|node| !matches!(node.op, Op::Input(_) | Op::Weight(_))) {
		*operators.entry(ops::name(&node.op)).or_default() += 1;
	}
	let count = operators.values().sum::<usize>();
	let operators: Vec<String> = operators.iter().map(|(name, n)| format!("{n} {name}")).collect();
	let header = model.header();
	let mut text = String::new();
	for (i, ty) in header.inputs.iter().enumerate() {
		text += &format!("input {:?} {ty}\n", assay_server::input_name(model, i));
	}
	for (i, ty) in header.outputs.iter().enumerate() {
		text += &format!("output {:?} {ty}\n", assay_server::output_name(model, i));
	}
	text += &format!("{count} operators: {}\n", operators.join(", "));
	text += &format!("{} weights, {weights} bytes; the ONNX file has {file_bytes} bytes\n", model.weights().len());
	text + &format!("{} values, {} bytes in a trace\n", model.nodes().len(), model.trace_bytes())
}

fn show(file: &Path) -> anyhow::Result<()> {
	let bytes = map_file(file).with_context(|| format!("cannot read {}", file.display()))?;
	let model = read_artifact_shared(&bytes).with_context(|| format!("{} is no artifact", file.display()))?;
	let header = model.header();
	println!("id      {}", ModelId(model.id()));
	println!("header  {}", hex::encode(header.encode()));
	println!("semantics version {}, {} values", header.semantics_version, header.values);
	tensors("input", &header.inputs, &model, assay_server::input_name);
	tensors("output", &header.outputs, &model, assay_server::output_name);
	for (i, node) in model.nodes().iter().enumerate() {
		let operands: Vec<_> = node.inputs.iter().map(|value| format!(" %{value}")).collect();
		println!("%{i} {} {:?}{}", node.ty, node.op, operands.concat());
	}
	Ok(())
}

fn tensors(side: &str, types: &[TensorType], model: &Model, name: fn(&Model, usize) -> String) {
	for (i, ty) in types.iter().enumerate() {
		println!("{side} {:?} {ty}", name(model, i));
	}
}

/// Logs to standard error; the service manager adds the time.
struct Stderr;

impl log::Log for Stderr {
	fn enabled(&self, _: &log::Metadata) -> bool {
		true
	}

	fn log(&self, record: &log::Record) {
		// Without the chatter of the HTTP library.
		if record.target().starts_with("assay") || record.level() <= log::Level::Warn {
			// Unlike `eprintln!`, this goes on when nobody reads standard error any more.
			let _ = writeln!(std::io::stderr(), "{} {}", record.level(), record.args());
		}
	}

	fn flush(&self) {}
}
