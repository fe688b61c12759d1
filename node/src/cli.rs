//! What can be asked of the node on its command line.

use crate::{doctor::Doctor, keys::KeysCommand, sealing::SealingArgs, snapshot::SnapshotCommand};
use assay_primitives::offchain::Roles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use sc_cli::RunCmd;
use std::{
	net::{Ipv4Addr, SocketAddr},
	path::PathBuf,
};

/// The command line.
///
/// Off-chain workers always run unless told otherwise: those who serve models are not validators as a rule, for whom alone
/// Substrate runs them by default.
#[derive(Debug, Parser)]
#[command(mut_arg("enabled", |argument| argument.default_value("always")))]
pub(crate) struct Cli {
	/// What to do instead of running a node.
	#[command(subcommand)]
	pub(crate) command: Option<Command>,

	/// What every Substrate node can be told.
	#[clap(flatten)]
	pub(crate) run: RunCmd,

	/// When a full disk stops the node.
	#[clap(flatten)]
	pub(crate) storage_monitor: sc_storage_monitor::StorageMonitorParams,

	/// What only an Assay node can be told.
	#[clap(flatten)]
	pub(crate) inference: InferenceArgs,

	/// When blocks are made, on development chains.
	#[clap(flatten)]
	pub(crate) sealing: SealingArgs,

	/// Where the node keeps runtimes as it has compiled them, so that it starts within a second from then on; `runtime-cache` in the
	/// base path unless said otherwise.
	///
	/// What is in there is run, so nobody but the node may write to it.
	#[arg(long, value_name = "FOLDER")]
	pub(crate) runtime_cache: Option<PathBuf>,
}

/// Everything but running a node.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
	/// Make and list the keys of this node: session keys of a validator, the service key of a worker.
	#[command(subcommand)]
	Keys(KeysCommand),

	/// Look at a running node, its engine, its keys and its chain, and say what is wrong.
	Doctor(Box<Doctor>),

	/// Write a stopped node's database to a file, or read one.
	#[command(subcommand)]
	Snapshot(SnapshotCommand),

	/// Make, inspect and insert keys of any kind.
	#[command(subcommand)]
	Key(sc_cli::KeySubcommand),

	/// Print a chain spec, with a boot node. `export-chain-spec` does it without.
	BuildSpec(sc_cli::BuildSpecCmd),

	/// Write a chain spec.
	ExportChainSpec(sc_cli::ExportChainSpecCmd),

	/// Execute a block again and say whether it is valid.
	CheckBlock(sc_cli::CheckBlockCmd),

	/// Write blocks to a file.
	ExportBlocks(sc_cli::ExportBlocksCmd),

	/// Write the state at a block as a chain spec.
	ExportState(sc_cli::ExportStateCmd),

	/// Read blocks from a file.
	ImportBlocks(sc_cli::ImportBlocksCmd),

	/// Remove the whole chain from the disk.
	PurgeChain(sc_cli::PurgeChainCmd),

	/// Take the chain back to an earlier block.
	Revert(sc_cli::RevertCmd),

	/// Say what the database holds.
	ChainInfo(sc_cli::ChainInfoCmd),

	/// Measure weights.
	#[cfg(feature = "runtime-benchmarks")]
	#[command(subcommand)]
	Benchmark(frame_benchmarking_cli::BenchmarkCmd),
}

/// A role of the node's off-chain worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
	/// Answer the jobs assigned to the workers whose service keys are in this node's keystore, and defend the answers.
	Worker,
	/// Only defend the answers of these workers when they are challenged: a second node for a worker, in case the first is down.
	Responder,
}

/// The inference engine and what to do with it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Inference")]
pub(crate) struct InferenceArgs {
	/// Where the inference engine listens, for example http://127.0.0.1:8080.
	///
	/// The engine holds the models and computes the answers; `assay-engine` is its program. Only this node talks to it, so
	/// keep it off the public network.
	#[arg(long, value_name = "URL", value_parser = parse_engine_url)]
	pub(crate) engine_url: Option<String>,

	/// What the node does with the engine; several roles are separated by commas.
	///
	/// A role needs an engine: --engine-url, or the one that --dev starts. Without any role the node serves nobody's models.
	/// With --dev the node is a worker even if this is not given.
	#[arg(long, value_name = "ROLE", value_enum, value_delimiter = ',', ignore_case = true)]
	pub(crate) roles: Vec<Role>,

	/// With --dev: start no engine, insert no service key, play no role.
	#[arg(long, requires = "dev", conflicts_with_all = ["engine_url", "roles", "engine_listen"])]
	pub(crate) no_engine: bool,

	/// With --dev: where the engine inside the node listens, instead of a free port of 127.0.0.1.
	///
	/// Whoever reaches this address can use the engine: it asks nobody for a password.
	#[arg(long, value_name = "ADDRESS:PORT", requires = "dev", conflicts_with = "engine_url")]
	pub(crate) engine_listen: Option<SocketAddr>,
}

/// Which engine the node works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineChoice {
	/// None.
	None,
	/// One that runs elsewhere and listens at this URL.
	At(String),
	/// One inside the node that listens here; port 0 is any free one.
	Embedded(SocketAddr),
}

/// What [`InferenceArgs`] come to, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InferencePlan {
	/// The engine.
	pub(crate) engine: EngineChoice,
	/// The roles; none if there is no engine.
	pub(crate) roles: Roles,
	/// Whether the keystore gets the service key of the worker that the development chain starts with.
	pub(crate) dev_service_key: bool,
}

impl InferenceArgs {
	/// Says which engine and which roles these arguments come to. `dev` is whether `--dev` was given, `offchain_workers`
	/// whether off-chain workers run.
	pub(crate) fn plan(&self, dev: bool, offchain_workers: bool) -> Result<InferencePlan, String> {
		let engine = match &self.engine_url {
			Some(url) => EngineChoice::At(url.clone()),
			None if dev && !self.no_engine => {
				EngineChoice::Embedded(self.engine_listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into()))
			}
			None => EngineChoice::None,
		};
		let dev_worker = dev && engine != EngineChoice::None;
		let worker = dev_worker || self.roles.contains(&Role::Worker);
		// Who answers defends its answers: a worker that is silent in a dispute is convicted.
		let roles = Roles { worker, responder: worker || self.roles.contains(&Role::Responder) };

		if roles.responder && engine == EngineChoice::None {
			return Err("--roles needs an inference engine that computes the answers. Start one (assay-engine) and \
			            say where it listens: --engine-url http://127.0.0.1:8080"
				.into());
		}
		if roles.responder && !offchain_workers {
			return Err(
				"A worker's jobs are answered by the node's off-chain worker, which --offchain-worker switches off \
			            here. Leave out that flag, or the role (with --dev: say --no-engine)."
					.into(),
			);
		}
		Ok(InferencePlan { engine, roles, dev_service_key: dev_worker })
	}
}

/// Checks that `url` is one to which a path can be added, and takes away the slashes at its end.
fn parse_engine_url(url: &str) -> Result<String, String> {
	const EXAMPLE: &str = "it should look like http://127.0.0.1:8080";
	let Some(rest) = url.strip_prefix("http://") else {
		return Err(format!(
			"it does not start with http:// (for an engine behind TLS, put a proxy on this machine); {EXAMPLE}"
		));
	};
	let host = rest.split('/').next().unwrap_or_default();
	if host.is_empty() || host.starts_with(':') {
		return Err(format!("there is no host in it; {EXAMPLE}"));
	}
	if url.contains(['?', '#']) || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
		return Err(format!("it has characters that do not belong there; {EXAMPLE}"));
	}
	Ok(url.trim_end_matches('/').to_string())
}

#[cfg(test)]
mod tests {
	use super::*;

	const WORKER: Roles = Roles { worker: true, responder: true };

	fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
		Cli::try_parse_from(std::iter::once("assay-node").chain(arguments.iter().copied()))
	}

	fn plan(arguments: &[&str]) -> Result<InferencePlan, String> {
		let cli = parse(arguments).map_err(|error| error.to_string())?;
		cli.inference.plan(cli.run.shared_params.is_dev(), true)
	}

	#[test]
	fn command_line_should_be_consistent() {
		use clap::CommandFactory;
		Cli::command().debug_assert();
	}

	#[test]
	fn plain_node_should_have_neither_engine_nor_role() {
		let expected = InferencePlan { engine: EngineChoice::None, roles: Roles::default(), dev_service_key: false };
		assert_eq!(plan(&[]), Ok(expected));
	}

	#[test]
	fn dev_node_should_be_a_worker_with_its_own_engine() {
		let expected = InferencePlan {
			engine: EngineChoice::Embedded(([127, 0, 0, 1], 0).into()),
			roles: WORKER,
			dev_service_key: true,
		};
		assert_eq!(plan(&["--dev"]), Ok(expected));
	}

	#[test]
	fn dev_node_should_be_plain_when_told_so() {
		let expected = InferencePlan { engine: EngineChoice::None, roles: Roles::default(), dev_service_key: false };
		assert_eq!(plan(&["--dev", "--no-engine"]), Ok(expected));
		assert!(plan(&["--no-engine"]).is_err());
		assert!(plan(&["--dev", "--no-engine", "--roles", "worker"]).is_err());
	}

	#[test]
	fn dev_node_should_use_the_engine_it_is_given() {
		let plan = plan(&["--dev", "--engine-url", "http://[::1]:8080/"]).unwrap();
		assert_eq!(plan.engine, EngineChoice::At("http://[::1]:8080".into()));
		assert_eq!(plan.roles, WORKER);
	}

	#[test]
	fn worker_should_need_an_engine() {
		assert!(plan(&["--roles", "worker"]).unwrap_err().contains("--engine-url"));
		let plan = plan(&["--roles", "worker", "--engine-url", "http://engine.lan/assay//"]).unwrap();
		assert_eq!(plan.engine, EngineChoice::At("http://engine.lan/assay".into()));
		assert_eq!(plan.roles, WORKER);
		assert!(!plan.dev_service_key);
	}

	#[test]
	fn offchain_workers_should_run_unless_told_otherwise() {
		use sc_cli::OffchainWorkerEnabled::{Always, Never};
		let enabled = |arguments| parse(arguments).unwrap().run.offchain_worker_params.enabled;
		assert!(matches!(enabled(&[]), Always));
		assert!(matches!(enabled(&["--offchain-worker", "never"]), Never));
	}

	#[test]
	fn worker_should_need_the_offchain_worker() {
		let cli = parse(&["--roles", "worker", "--engine-url", "http://localhost:1"]).unwrap();
		assert!(cli.inference.plan(false, false).unwrap_err().contains("--offchain-worker"));
	}

	#[test]
	fn engine_should_not_be_asked_for_by_url_alone() {
		let plan = plan(&["--engine-url", "http://localhost:8080"]).unwrap();
		assert_eq!(plan.roles, Roles::default());
	}

	#[test]
	fn unknown_roles_and_bad_urls_should_be_refused() {
		assert!(plan(&["--roles", "watchman", "--engine-url", "http://localhost:1"]).is_err());
		for url in ["localhost:8080", "ftp://localhost", "http://", "http://:80", "http://a b", "http://a/?q"] {
			assert!(plan(&["--engine-url", url]).is_err(), "{url}");
		}
	}
}
