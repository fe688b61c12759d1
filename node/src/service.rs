//! Puts a node together.

use crate::{
	cli::{EngineChoice, InferencePlan},
	client_state::ClientState,
	engine, equivocation,
	executor::{self, Executor, Genesis},
	metrics, rpc,
	sealing::{self, Sealing},
	slashing, worker,
};
use assay_primitives::offchain::Settings;
use assay_runtime::{apis::RuntimeApi, opaque::Block, Hash};
use futures::{FutureExt, StreamExt};
use sc_client_api::{Backend, BlockBackend};
use sc_consensus_babe::{BabeBlockImport, BabeLink, SlotProportion};
use sc_consensus_grandpa::{GrandpaBlockImport, GrandpaPruningFilter, LinkHalf, SharedVoterState};
use sc_consensus_slots::BackoffAuthoringOnFinalizedHeadLagging;
use sc_network::{NetworkBackend, NetworkEventStream};
use sc_service::{error::Error, Configuration, GenesisBlockBuilder, PartialComponents, TaskManager, WarpSyncConfig};
use sc_telemetry::{Telemetry, TelemetryWorker};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_inherents::CreateInherentDataProviders;
use std::{path::Path, sync::Arc, time::Duration};

/// The database.
pub(crate) type FullBackend = sc_service::TFullBackend<Block>;
/// The chain: blocks, state and a way to call the runtime.
pub(crate) type FullClient = sc_service::TFullClient<Block, RuntimeApi, Executor>;
/// The transactions that wait for a block.
pub(crate) type FullPool = sc_transaction_pool::TransactionPoolHandle<Block, FullClient>;
/// Says which block is the best.
type SelectChain = sc_consensus::LongestChain<FullBackend, Block>;
/// What a block author adds to a block, and what others check it against: the slot and the time.
type InherentData = dyn CreateInherentDataProviders<
	Block,
	(),
	InherentDataProviders = (sp_consensus_babe::inherents::InherentDataProvider, sp_timestamp::InherentDataProvider),
>;
/// GRANDPA's part in importing a block.
type GrandpaImport = GrandpaBlockImport<FullBackend, Block, FullClient, SelectChain>;
/// BABE's part, around GRANDPA's.
type BabeImport = BabeBlockImport<Block, FullClient, GrandpaImport, Arc<InherentData>, SelectChain>;

/// A justification is kept at least every this many blocks: light clients and warp sync need them, and each costs disk.
const GRANDPA_JUSTIFICATION_PERIOD: u32 = 512;
/// How long GRANDPA waits for votes to travel before it repeats them.
const GRANDPA_GOSSIP_DURATION: Duration = Duration::from_millis(333);
/// The part of a slot in which a block is filled. The rest is left for it to travel.
const BLOCK_PROPOSAL_SLOT_PORTION: f32 = 0.5;
/// The same, after slots that nobody used.
const MAX_BLOCK_PROPOSAL_SLOT_PORTION: f32 = 2.0 / 3.0;

/// What the consensus engines hand from [`new_partial`] to [`start`].
pub(crate) struct Consensus {
	block_import: BabeImport,
	babe_link: BabeLink<Block>,
	grandpa_link: LinkHalf<Block, FullClient, SelectChain>,
	inherent_data: Arc<InherentData>,
	telemetry: Option<Telemetry>,
}

/// The parts that need no network; most subcommands need no more.
pub(crate) type Parts = PartialComponents<
	FullClient,
	FullBackend,
	SelectChain,
	sc_consensus::DefaultImportQueue<Block>,
	FullPool,
	Consensus,
>;

/// Opens the database and makes everything that needs no network.
pub(crate) fn new_partial(config: &Configuration) -> Result<Parts, Error> {
	new_partial_with(config, None, false)
}

/// The same, with a folder for compiled runtimes. With `runs_ahead` the time of blocks may be any: on a chain whose blocks are made on
/// demand, it is not the wall's.
fn new_partial_with(config: &Configuration, runtime_cache: Option<&Path>, runs_ahead: bool) -> Result<Parts, Error> {
	let telemetry = match config.telemetry_endpoints.clone().filter(|endpoints| !endpoints.is_empty()) {
		Some(endpoints) => {
			let worker = TelemetryWorker::new(16)?;
			let telemetry = worker.handle().new_telemetry(endpoints);
			Some((worker, telemetry))
		}
		None => None,
	};

	let mut database = config.db_config();
	// Warp sync starts from justifications, so their blocks stay however much is pruned.
	database.pruning_filters = vec![Arc::new(GrandpaPruningFilter)];
	let backend = sc_service::new_db_backend(database)?;
	let executor = executor::of(config, runtime_cache).map_err(failure)?;
	let genesis = Genesis { spec: &*config.chain_spec, executor: &executor };
	let genesis = GenesisBlockBuilder::new(&genesis, !config.no_genesis(), backend.clone(), executor.clone())?;
	let (client, backend, keystore_container, mut task_manager) =
		sc_service::new_full_parts_with_genesis_builder::<Block, RuntimeApi, Executor, _>(
			config,
			telemetry.as_ref().map(|(_, telemetry)| telemetry.handle()),
			executor,
			backend,
			genesis,
			false,
		)?;
	let client = Arc::new(client);

	let telemetry = telemetry.map(|(worker, telemetry)| {
		task_manager.spawn_handle().spawn("telemetry", None, worker.run());
		telemetry
	});
	let telemetry_handle = telemetry.as_ref().map(Telemetry::handle);

	let select_chain = sc_consensus::LongestChain::new(backend.clone());
	let transaction_pool = Arc::new(
		sc_transaction_pool::Builder::new(
			task_manager.spawn_essential_handle(),
			client.clone(),
			config.role.is_authority().into(),
		)
		.with_options(config.transaction_pool.clone())
		.with_prometheus(config.prometheus_registry())
		.build(),
	);

	let (grandpa_import, grandpa_link) = sc_consensus_grandpa::block_import(
		client.clone(),
		GRANDPA_JUSTIFICATION_PERIOD,
		&client,
		select_chain.clone(),
		telemetry_handle.clone(),
	)?;

	let babe_config = sc_consensus_babe::configuration(&*client)?;
	let slot_duration = babe_config.slot_duration();
	/// Later than any block; half of what there is, since others add to it.
	const FAR_FUTURE: u64 = u64::MAX / 2;
	let inherent_data: Arc<InherentData> = Arc::new(move |_: Hash, ()| async move {
		let timestamp = if runs_ahead {
			sp_timestamp::InherentDataProvider::new(FAR_FUTURE.into())
		} else {
			sp_timestamp::InherentDataProvider::from_system_time()
		};
		let slot = sp_consensus_babe::inherents::InherentDataProvider::from_timestamp_and_slot_duration(
			*timestamp,
			slot_duration,
		);
		Ok((slot, timestamp))
	});
	let (block_import, babe_link) = sc_consensus_babe::block_import(
		babe_config,
		grandpa_import.clone(),
		client.clone(),
		inherent_data.clone(),
		select_chain.clone(),
		OffchainTransactionPoolFactory::new(transaction_pool.clone()),
	)?;
	let (import_queue, babe_handle) = sc_consensus_babe::import_queue(sc_consensus_babe::ImportQueueParams {
		link: babe_link.clone(),
		block_import: block_import.clone(),
		justification_import: Some(Box::new(grandpa_import)),
		client: client.clone(),
		slot_duration,
		spawner: &task_manager.spawn_essential_handle(),
		registry: config.prometheus_registry(),
		telemetry: telemetry_handle,
	})?;
	// BABE's task ends when this is dropped, and it is one that the node does not live without.
	task_manager.keep_alive(babe_handle);

	Ok(PartialComponents {
		client,
		backend,
		task_manager,
		keystore_container,
		select_chain,
		import_queue,
		transaction_pool,
		other: Consensus { block_import, babe_link, grandpa_link, inherent_data, telemetry },
	})
}

/// Starts a node. It runs for as long as the task manager does.
pub(crate) fn start<Network: NetworkBackend<Block, Hash>>(
	config: Configuration,
	plan: InferencePlan,
	sealing: Option<Sealing>,
	runtime_cache: Option<&Path>,
) -> Result<TaskManager, Error> {
	// Before anything else runs that would have to be stopped again if the address is taken.
	let engine_listener = match plan.engine {
		EngineChoice::Embedded(listen) => Some(engine::bind(listen).map_err(failure)?),
		EngineChoice::At(_) | EngineChoice::None => None,
	};

	let PartialComponents {
		client,
		backend,
		mut task_manager,
		keystore_container,
		select_chain,
		import_queue,
		transaction_pool,
		other: Consensus { block_import, babe_link, grandpa_link, inherent_data, mut telemetry },
	} = new_partial_with(&config, runtime_cache, sealing.is_some())?;
	let keystore = keystore_container.keystore();

	// Before the first off-chain worker runs.
	let engine_url = prepare_inference(&config, &plan, engine_listener, &backend, &keystore, &task_manager)?;
	worker::say_who_it_is(config.role.is_authority(), &plan.roles, &engine_url, &keystore);
	slashing::warn_if_disarmed(&ClientState::best(&client));
	if let (Some(registry), Some(storage)) = (config.prometheus_registry().cloned(), backend.offchain_storage()) {
		let metrics = metrics::run(registry, client.clone(), keystore.clone(), storage, engine_url);
		task_manager.spawn_handle().spawn_blocking("operator-metrics", None, metrics);
	}

	let metrics = Network::register_notification_metrics(config.prometheus_registry());
	let mut net_config = sc_network::config::FullNetworkConfiguration::<Block, Hash, Network>::new(
		&config.network,
		config.prometheus_registry().cloned(),
	);
	let genesis = client
		.block_hash(0)?
		.ok_or_else(|| failure("The database holds no first block. Remove it with `assay-node purge-chain`."))?;
	let grandpa_protocol = sc_consensus_grandpa::protocol_standard_name(&genesis, &config.chain_spec);
	let (grandpa_peers, grandpa_notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<_, Network>(
		grandpa_protocol.clone(),
		metrics.clone(),
		net_config.peer_store_handle(),
	);
	net_config.add_notification_protocol(grandpa_peers);
	let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
		backend.clone(),
		grandpa_link.shared_authority_set().clone(),
		Vec::new(),
	));

	let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) =
		sc_service::build_network(sc_service::BuildNetworkParams {
			config: &config,
			net_config,
			client: client.clone(),
			transaction_pool: transaction_pool.clone(),
			spawn_handle: task_manager.spawn_handle(),
			spawn_essential_handle: task_manager.spawn_essential_handle(),
			import_queue,
			block_announce_validator_builder: None,
			warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
			block_relay: None,
			metrics,
			gap_sync_body_policy: None,
		})?;

	if config.offchain_worker.enabled {
		let workers = sc_offchain::OffchainWorkers::new(sc_offchain::OffchainWorkerOptions {
			runtime_api_provider: client.clone(),
			keystore: Some(keystore.clone()),
			offchain_db: backend.offchain_storage(),
			transaction_pool: Some(OffchainTransactionPoolFactory::new(transaction_pool.clone())),
			network_provider: Arc::new(network.clone()),
			is_validator: config.role.is_authority(),
			enable_http_requests: true,
			custom_extensions: |_| Vec::new(),
		})?;
		task_manager.spawn_handle().spawn(
			"offchain-workers-runner",
			"offchain-worker",
			workers.run(client.clone(), task_manager.spawn_handle()).boxed(),
		);
	}

	let role = config.role;
	let node_name = config.network.node_name.clone();
	let force_authoring = config.force_authoring;
	let discovery = Discovery {
		local_addresses: config.network.allow_non_globals_in_dht,
		public_addresses: config.network.public_addresses.clone(),
		cache: config.network.net_config_path.clone(),
		registry: config.prometheus_registry().cloned(),
	};
	// Blocks on demand are final by themselves.
	let enable_grandpa = !config.disable_grandpa && sealing.is_none();
	let prometheus_registry = config.prometheus_registry().cloned();
	let voter_state = SharedVoterState::empty();

	let (seal_commands, seal_requests) = sealing::commands();
	let rpc_builder = {
		let manual = (sealing == Some(Sealing::Manual)).then(|| seal_commands.clone());
		let client = client.clone();
		let pool = transaction_pool.clone();
		let grandpa = rpc::GrandpaDeps {
			authority_set: grandpa_link.shared_authority_set().clone(),
			voter_state: voter_state.clone(),
			justifications: grandpa_link.justification_stream(),
			finality_proofs: sc_consensus_grandpa::FinalityProofProvider::new_for_service(
				backend.clone(),
				Some(grandpa_link.shared_authority_set().clone()),
			),
		};
		Box::new(move |subscriptions| {
			rpc::create(client.clone(), pool.clone(), &grandpa, manual.clone(), subscriptions)
				.map_err(Error::Application)
		})
	};
	sc_service::spawn_tasks(sc_service::SpawnTasksParams {
		config,
		client: client.clone(),
		backend,
		task_manager: &mut task_manager,
		keystore: keystore.clone(),
		transaction_pool: transaction_pool.clone(),
		rpc_builder,
		network: network.clone(),
		system_rpc_tx,
		tx_handler_controller,
		sync_service: sync_service.clone(),
		telemetry: telemetry.as_mut(),
		tracing_execute_block: None,
	})?;
	let telemetry_handle = telemetry.as_ref().map(Telemetry::handle);

	if role.is_authority() {
		discover_authorities(&task_manager, client.clone(), network.clone(), &discovery, keystore.clone());

		let proposer = sc_basic_authorship::ProposerFactory::new(
			task_manager.spawn_handle(),
			client.clone(),
			transaction_pool.clone(),
			prometheus_registry.as_ref(),
			telemetry_handle.clone(),
		);
		if let Some(sealing) = sealing {
			let parts = sealing::Parts {
				block_import,
				proposer,
				select_chain,
				babe_link,
				client: client.clone(),
				pool: transaction_pool.clone(),
				keystore,
			};
			let seal = sealing::seal(parts, seal_requests).map_err(failure)?;
			task_manager.spawn_essential_handle().spawn_blocking("seal", Some("block-authoring"), seal);
			let drive = sealing::drive(sealing, client, transaction_pool, seal_commands);
			task_manager.spawn_essential_handle().spawn("seal-driver", Some("block-authoring"), drive);
			return Ok(task_manager);
		}
		let pool = OffchainTransactionPoolFactory::new(transaction_pool.clone());
		task_manager.spawn_handle().spawn_blocking("equivocations", None, equivocation::report(client.clone(), pool));
		sealing::warn_if_ahead(&client, babe_link.config().slot_duration());
		let babe = sc_consensus_babe::start_babe(sc_consensus_babe::BabeParams {
			keystore: keystore.clone(),
			client,
			select_chain,
			env: proposer,
			block_import,
			sync_oracle: sync_service.clone(),
			justification_sync_link: sync_service.clone(),
			create_inherent_data_providers: inherent_data,
			force_authoring,
			// Where nobody votes, finality lags by definition.
			backoff_authoring_blocks: enable_grandpa.then(BackoffAuthoringOnFinalizedHeadLagging::default),
			babe_link,
			block_proposal_slot_portion: SlotProportion::new(BLOCK_PROPOSAL_SLOT_PORTION),
			max_block_proposal_slot_portion: Some(SlotProportion::new(MAX_BLOCK_PROPOSAL_SLOT_PORTION)),
			telemetry: telemetry_handle.clone(),
		})?;
		task_manager.spawn_essential_handle().spawn_blocking("babe-proposer", Some("block-authoring"), babe);
	}

	if enable_grandpa {
		let voter = sc_consensus_grandpa::run_grandpa_voter(sc_consensus_grandpa::GrandpaParams {
			config: sc_consensus_grandpa::Config {
				gossip_duration: GRANDPA_GOSSIP_DURATION,
				justification_generation_period: GRANDPA_JUSTIFICATION_PERIOD,
				observer_enabled: false,
				local_role: role,
				name: Some(node_name),
				// Only validators vote; the others follow.
				keystore: role.is_authority().then_some(keystore),
				telemetry: telemetry_handle.clone(),
				protocol_name: grandpa_protocol,
			},
			link: grandpa_link,
			network,
			sync: sync_service,
			notification_service: grandpa_notifications,
			voting_rule: sc_consensus_grandpa::VotingRulesBuilder::default().build(),
			prometheus_registry,
			shared_voter_state: voter_state,
			telemetry: telemetry_handle,
			offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(transaction_pool),
		})?;
		task_manager.spawn_essential_handle().spawn_blocking("grandpa-voter", None, voter);
	}

	Ok(task_manager)
}

/// What finding other validators is told.
struct Discovery {
	/// Whether addresses that mean nothing outside of this machine or its network are published, too.
	local_addresses: bool,
	/// The addresses that the operator named.
	public_addresses: Vec<sc_network::Multiaddr>,
	/// Where the addresses found are kept over a restart.
	cache: Option<std::path::PathBuf>,
	/// For metrics.
	registry: Option<substrate_prometheus_endpoint::Registry>,
}

/// Publishes this validator's addresses, signed with its key, and stays connected to the others.
fn discover_authorities(
	task_manager: &TaskManager,
	client: Arc<FullClient>,
	network: Arc<dyn sc_network::service::traits::NetworkService>,
	discovery: &Discovery,
	keystore: sp_keystore::KeystorePtr,
) {
	let found = network.event_stream("authority-discovery").filter_map(|event| async move {
		match event {
			sc_network::Event::Dht(event) => Some(event),
			_ => None,
		}
	});
	let (worker, _service) = sc_authority_discovery::new_worker_and_service_with_config(
		sc_authority_discovery::WorkerConfig {
			publish_non_global_ips: discovery.local_addresses,
			public_addresses: discovery.public_addresses.clone(),
			persisted_cache_directory: discovery.cache.clone(),
			..Default::default()
		},
		client,
		Arc::new(network),
		Box::pin(found),
		sc_authority_discovery::Role::PublishAndDiscover(keystore),
		discovery.registry.clone(),
		task_manager.spawn_handle(),
	);
	task_manager.spawn_handle().spawn("authority-discovery", Some("networking"), worker.run());
}

/// Starts the engine if it is to run inside the node, and tells the off-chain workers where the engine is and what to do. The
/// engine's URL, empty if there is none.
fn prepare_inference(
	config: &Configuration,
	plan: &InferencePlan,
	engine_listener: Option<tokio::net::TcpListener>,
	backend: &FullBackend,
	keystore: &sp_keystore::KeystorePtr,
	task_manager: &TaskManager,
) -> Result<String, Error> {
	let engine_url = match (&plan.engine, engine_listener) {
		(_, Some(listener)) => {
			engine::start(listener, &config.data_path.join("models"), task_manager).map_err(failure)?
		}
		(EngineChoice::At(url), None) => {
			log::info!("🧮 Inference engine at {url}");
			url.clone()
		}
		(_, None) => String::new(),
	};

	if plan.dev_service_key {
		worker::insert_dev_service_key(keystore).map_err(failure)?;
	}
	if plan.roles.responder {
		worker::report_service_keys(keystore, config);
	}

	let mut storage = backend
		.offchain_storage()
		.ok_or_else(|| failure("The database has no room for the settings of off-chain workers."))?;
	let settings = Settings { engine_url: engine_url.clone().into_bytes(), roles: plan.roles };
	worker::leave_settings(&mut storage, &settings);
	Ok(engine_url)
}

/// An error that is a message and nothing more.
fn failure(message: impl Into<String>) -> Error {
	Error::Application(message.into().into())
}
