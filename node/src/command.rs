//! Does what was asked on the command line.

use crate::{
	chain_spec,
	cli::{Cli, Command},
	sealing::Sealing,
	service::{self, FullBackend, FullClient},
};
use assay_runtime::opaque::Block;
use sc_cli::SubstrateCli;
use sc_network::config::NetworkBackendType;
use sc_service::{ChainSpec, PartialComponents};
use sc_storage_monitor::StorageMonitorService;
use sp_runtime::traits::NumberFor;
use std::{path::Path, sync::Arc};

impl SubstrateCli for Cli {
	fn impl_name() -> String {
		"Assay Node".into()
	}

	fn impl_version() -> String {
		env!("SUBSTRATE_CLI_IMPL_VERSION").into()
	}

	fn description() -> String {
		env!("CARGO_PKG_DESCRIPTION").into()
	}

	fn author() -> String {
		env!("CARGO_PKG_AUTHORS").into()
	}

	fn support_url() -> String {
		concat!(env!("CARGO_PKG_REPOSITORY"), "/issues").into()
	}

	fn copyright_start_year() -> i32 {
		2026
	}

	fn load_spec(&self, id: &str) -> Result<Box<dyn ChainSpec>, String> {
		Ok(Box::new(match id {
			"dev" => chain_spec::development()?,
			// Until there is a public network, the local one is what a node joins if it is told nothing else.
			"" | "local" => chain_spec::local()?,
			"testnet" => chain_spec::testnet()?,
			path => chain_spec::from_file(path)?,
		}))
	}
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> sc_cli::Result<()> {
	let cli = Cli::from_args();
	match &cli.command {
		None => run_node(&cli),
		Some(Command::Keys(command)) => command.run(&cli),
		Some(Command::Doctor(command)) => command.run(&cli),
		Some(Command::Snapshot(command)) => command.run(&cli),
		Some(Command::Key(command)) => command.run(&cli),
		Some(Command::BuildSpec(command)) => {
			let runner = cli.create_runner(command)?;
			runner.sync_run(|config| command.run(config.chain_spec, config.network))
		}
		Some(Command::ExportChainSpec(command)) => command.run(cli.load_spec(&command.chain)?),
		Some(Command::CheckBlock(command)) => cli.create_runner(command)?.async_run(|config| {
			let PartialComponents { client, task_manager, import_queue, .. } = service::new_partial(&config)?;
			Ok((command.run(client, import_queue), task_manager))
		}),
		Some(Command::ExportBlocks(command)) => cli.create_runner(command)?.async_run(|config| {
			let PartialComponents { client, task_manager, .. } = service::new_partial(&config)?;
			Ok((command.run(client, config.database), task_manager))
		}),
		Some(Command::ExportState(command)) => cli.create_runner(command)?.async_run(|config| {
			let PartialComponents { client, task_manager, .. } = service::new_partial(&config)?;
			Ok((command.run(client, config.chain_spec), task_manager))
		}),
		Some(Command::ImportBlocks(command)) => cli.create_runner(command)?.async_run(|config| {
			let PartialComponents { client, task_manager, import_queue, .. } = service::new_partial(&config)?;
			Ok((command.run(client, import_queue), task_manager))
		}),
		Some(Command::PurgeChain(command)) => {
			cli.create_runner(command)?.sync_run(|config| command.run(config.database))
		}
		Some(Command::Revert(command)) => cli.create_runner(command)?.async_run(|config| {
			let PartialComponents { client, task_manager, backend, .. } = service::new_partial(&config)?;
			Ok((command.run(client, backend, Some(Box::new(revert_consensus))), task_manager))
		}),
		Some(Command::ChainInfo(command)) => {
			cli.create_runner(command)?.sync_run(|config| command.run::<Block>(&config))
		}
		#[cfg(feature = "runtime-benchmarks")]
		Some(Command::Benchmark(command)) => run_benchmark(&cli, command),
	}
}

/// Runs a node until it is told to stop.
fn run_node(cli: &Cli) -> sc_cli::Result<()> {
	let runner = cli.create_runner(&cli.run)?;
	let plan = cli.inference.plan(cli.run.shared_params.is_dev(), runner.config().offchain_worker.enabled)?;
	let sealing = cli.sealing.sealing;
	if sealing.is_some() {
		let config = runner.config();
		Sealing::check(&config.chain_spec.chain_type(), config.role.is_authority())?;
	}
	let (storage_monitor, runtime_cache) = (cli.storage_monitor.clone(), cli.runtime_cache.clone());
	runner.run_node_until_exit(|config| async move {
		// One network stack: the other would be a second copy of the whole service in the binary.
		if matches!(config.network.network_backend, NetworkBackendType::Libp2p) {
			return Err("This node speaks through litep2p only: leave --network-backend out.".into());
		}
		let database = config.database.path().map(Path::to_path_buf);
		let task_manager =
			service::start::<sc_network::Litep2pNetworkBackend>(config, plan, sealing, runtime_cache.as_deref())?;
		if let Some(database) = database {
			StorageMonitorService::try_spawn(storage_monitor, database, &task_manager.spawn_essential_handle())
				.map_err(|error| sc_cli::Error::Application(error.into()))?;
		}
		Ok(task_manager)
	})
}

/// Takes back what BABE and GRANDPA noted about the blocks that are being reverted.
fn revert_consensus(
	client: Arc<FullClient>,
	backend: Arc<FullBackend>,
	blocks: NumberFor<Block>,
) -> sc_cli::Result<()> {
	sc_consensus_babe::revert(client.clone(), backend, blocks)?;
	sc_consensus_grandpa::revert(client, blocks)?;
	Ok(())
}

#[cfg(feature = "runtime-benchmarks")]
fn run_benchmark(cli: &Cli, command: &frame_benchmarking_cli::BenchmarkCmd) -> sc_cli::Result<()> {
	use frame_benchmarking_cli::{BenchmarkCmd, SUBSTRATE_REFERENCE_HARDWARE};
	use sp_runtime::traits::HashingFor;

	cli.create_runner(command)?.sync_run(|config| match command {
		BenchmarkCmd::Pallet(command) => command.run_with_spec::<HashingFor<Block>, ()>(Some(config.chain_spec)),
		BenchmarkCmd::Overhead(command) => {
			command.run_with_default_builder_and_spec::<Block, ()>(Some(config.chain_spec))
		}
		BenchmarkCmd::Storage(command) => {
			let PartialComponents { client, backend, .. } = service::new_partial(&config)?;
			let (database, storage, cache) =
				(backend.expose_db(), backend.expose_storage(), backend.expose_shared_trie_cache());
			command.run(config, client, database, storage, cache)
		}
		BenchmarkCmd::Block(command) => {
			let PartialComponents { client, .. } = service::new_partial(&config)?;
			command.run(client)
		}
		BenchmarkCmd::Machine(command) => command.run(&config, SUBSTRATE_REFERENCE_HARDWARE.clone()),
		BenchmarkCmd::Extrinsic(_) => {
			Err("This node measures whole pallets (benchmark pallet) and the cost of an empty extrinsic (benchmark \
			     overhead), not single extrinsics."
				.into())
		}
	})
}
