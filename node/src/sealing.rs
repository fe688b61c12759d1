//! Blocks on demand, on development chains: at once for each transaction, when somebody says so, or every so many milliseconds.
//!
//! The chain stays a BABE chain, with one slot for each block: a block that comes early makes the chain's clock run ahead of the
//! wall's, one that comes late lets it fall behind. So every block is 3 s after its parent by the chain's clock, however fast it
//! was made. Nobody votes in GRANDPA: a block is final as soon as it is made, except with `manual`, where the caller decides.
//!
//! Jobs live by blocks, also where no transaction asks for one. So with `instant`, empty blocks follow each other as long as a job
//! is open or a claim is disputed, slowly enough for a worker to answer in time.

use crate::{
	client_state::ClientState,
	service::{FullClient, FullPool},
	state,
};
use assay_runtime::{opaque::Block, Hash};
use clap::Args;
use futures::{
	channel::{mpsc, oneshot},
	SinkExt, StreamExt,
};
use jsonrpsee::{types::ErrorObjectOwned, RpcModule};
use sc_consensus_babe::find_pre_digest;
use sc_consensus_manual_seal::{
	consensus::babe::BabeConsensusDataProvider, run_manual_seal, CreatedBlock, EngineCommand, Error as SealError,
	ManualSealParams,
};
use sc_rpc_api::check_if_safe;
use sc_service::ChainType;
use sc_transaction_pool_api::TransactionPool;
use sp_blockchain::HeaderBackend;
use sp_consensus_babe::{Slot, SlotDuration};
use std::{
	future::Future,
	str::FromStr,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc,
	},
	time::Duration,
};

/// With `instant`, this long after a block comes the next one while a job is open.
const PACE: Duration = Duration::from_millis(250);
/// The shortest time between two blocks that can be asked for, in milliseconds.
const SHORTEST: u64 = 20;
/// Commands that wait for the one in progress.
const QUEUE: usize = 16;

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing {
	/// For each transaction, at once.
	Instant,
	/// When `engine_createBlock` is called.
	Manual,
	/// Every so often.
	Every(Duration),
}

/// What can be said about it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Development")]
pub(crate) struct SealingArgs {
	/// On a development chain: make a block for each transaction at once (`instant`), when the RPC method engine_createBlock
	/// is called (`manual`), or every so many milliseconds.
	///
	/// While a job is open, `instant` also makes four empty blocks a second, since deadlines are in blocks. By the chain's
	/// clock each block is 3 s after the one before. A chain that was begun like this goes on like this: BABE would wait
	/// until the wall's clock has caught up.
	#[arg(long, value_name = "instant|manual|MILLISECONDS")]
	pub(crate) sealing: Option<Sealing>,
}

impl FromStr for Sealing {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		match (text, text.parse()) {
			("instant", _) => Ok(Self::Instant),
			("manual", _) => Ok(Self::Manual),
			(_, Ok(millis)) if millis >= SHORTEST => Ok(Self::Every(Duration::from_millis(millis))),
			(_, Ok(_)) => Err(format!("blocks cannot come sooner than every {SHORTEST} milliseconds")),
			_ => Err("say instant, manual, or a number of milliseconds".into()),
		}
	}
}

impl Sealing {
	/// Refuses chains on which others rely, and nodes that make no blocks.
	pub(crate) fn check(chain: &ChainType, is_authority: bool) -> Result<(), String> {
		if *chain != ChainType::Development {
			return Err(
				"--sealing is for development chains (--dev) only: on this chain other nodes would refuse such \
			            blocks. Leave it out."
					.into(),
			);
		}
		if !is_authority {
			return Err("--sealing needs a node that makes blocks: add --alice (--dev does).".into());
		}
		Ok(())
	}
}

/// Says so if the chain's clock is ahead of the wall's, where BABE would wait in silence.
pub(crate) fn warn_if_ahead(client: &FullClient, slot_duration: SlotDuration) {
	let best = client.info().best_hash;
	let Ok(Some(slot)) = client.header(best).map(|header| header.and_then(|header| slot_of(&header))) else { return };
	let now = Slot::from_timestamp(sp_timestamp::Timestamp::current(), slot_duration);
	if *slot > *now + 1 {
		log::warn!(
			"⏰ By its own clock, the newest block is {} s in the future, and no block can come before that. If the chain \
			 was begun with --sealing, go on with it; else see that this machine's clock is right.",
			(*slot - *now) * slot_duration.as_millis() / 1_000
		);
	}
}

/// The slot of a block; none for the first one.
fn slot_of(header: &assay_runtime::Header) -> Option<Slot> {
	(header.number > 0).then(|| find_pre_digest::<Block>(header).ok().map(|digest| digest.slot())).flatten()
}

/// What the sealing of blocks needs.
pub(crate) struct Parts<Import, Proposer, Choice> {
	/// Takes the blocks.
	pub(crate) block_import: Import,
	/// Fills them.
	pub(crate) proposer: Proposer,
	/// Says which block is the best.
	pub(crate) select_chain: Choice,
	/// BABE's epochs.
	pub(crate) babe_link: sc_consensus_babe::BabeLink<Block>,
	/// The chain.
	pub(crate) client: Arc<FullClient>,
	/// The transactions that wait.
	pub(crate) pool: Arc<FullPool>,
	/// The keys that claim the slots.
	pub(crate) keystore: sp_keystore::KeystorePtr,
}

/// Where commands come from, and where they go.
pub(crate) fn commands() -> (mpsc::Sender<EngineCommand<Hash>>, mpsc::Receiver<EngineCommand<Hash>>) {
	mpsc::channel(QUEUE)
}

/// What makes the blocks that `commands` asks for. It ends when nobody can ask any more.
pub(crate) fn seal<Import, Proposer, Choice>(
	parts: Parts<Import, Proposer, Choice>,
	commands: mpsc::Receiver<EngineCommand<Hash>>,
) -> Result<impl Future<Output = ()>, String>
where
	Import: sc_consensus::BlockImport<Block, Error = sp_consensus::Error> + Send + Sync + 'static,
	Proposer: sp_consensus::Environment<Block> + 'static,
	Proposer::Proposer: sp_consensus::Proposer<Block>,
	Choice: sp_consensus::SelectChain<Block> + 'static,
{
	let Parts { block_import, proposer, select_chain, babe_link, client, pool, keystore } = parts;
	let config = sc_consensus_babe::configuration(&*client).map_err(|error| error.to_string())?;
	let slot_duration = config.slot_duration();
	let provider =
		BabeConsensusDataProvider::new(client.clone(), keystore, babe_link.epoch_changes().clone(), config.authorities)
			.map_err(|error| error.to_string())?;

	let last_slot = Arc::new(AtomicU64::new(0));
	let headers = client.clone();
	let inherents = move |parent: Hash, ()| {
		let (headers, last_slot) = (headers.clone(), last_slot.clone());
		async move {
			let parent = headers.header(parent)?.ok_or("the parent is unknown")?;
			let now = Slot::from_timestamp(sp_timestamp::Timestamp::current(), slot_duration);
			// The first block starts the clock. Siblings get slots of their own: one author has one block in a slot.
			let earliest = slot_of(&parent).map_or(*now, |slot| *slot + 1);
			let slot = earliest.max(last_slot.load(Ordering::Relaxed) + 1);
			last_slot.store(slot, Ordering::Relaxed);
			let time = slot.saturating_mul(slot_duration.as_millis());
			Ok::<_, Box<dyn std::error::Error + Send + Sync>>((
				sp_consensus_babe::inherents::InherentDataProvider::new(slot.into()),
				sp_timestamp::InherentDataProvider::new(time.into()),
			))
		}
	};
	// The sealer counts data for inherents where it should count inherents, and takes a block of one transaction for an empty one.
	let waiting = pool.clone();
	let commands = commands.map(move |command| match command {
		EngineCommand::SealNewBlock { create_empty, finalize, parent_hash, sender } => {
			let create_empty = create_empty || waiting.status().ready > 0;
			EngineCommand::SealNewBlock { create_empty, finalize, parent_hash, sender }
		}
		finalize => finalize,
	});
	Ok(run_manual_seal(ManualSealParams {
		block_import,
		env: proposer,
		client,
		pool,
		commands_stream: commands,
		select_chain,
		consensus_data_provider: Some(Box::new(provider)),
		create_inherent_data_providers: inherents,
	}))
}

/// Asks for blocks as `sealing` says. With `manual` it asks for none.
pub(crate) async fn drive(
	sealing: Sealing,
	client: Arc<FullClient>,
	pool: Arc<FullPool>,
	mut commands: mpsc::Sender<EngineCommand<Hash>>,
) {
	match sealing {
		// The task is one that the node does not live without.
		Sealing::Manual => futures::future::pending().await,
		Sealing::Every(period) => {
			let mut ticks = tokio::time::interval(period);
			ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
			loop {
				ticks.tick().await;
				if !make_block(&mut commands, true).await {
					return;
				}
			}
		}
		Sealing::Instant => {
			let mut arrivals = pool.import_notification_stream();
			loop {
				let state = ClientState::best(&client);
				let open = state::has_open_jobs(&state).unwrap_or_else(|error| {
					log::error!("⛏️ Whether a job is open cannot be read: {error}");
					false
				});
				// Transactions that did not fit into the last block wait for no other one.
				let pause = if open || pool.status().ready > 0 { PACE } else { Duration::MAX };
				let empty = match tokio::time::timeout(pause, arrivals.next()).await {
					Ok(Some(_)) => false,
					Ok(None) => return,
					Err(_) => open,
				};
				if !make_block(&mut commands, empty).await {
					return;
				}
			}
		}
	}
}

/// Asks for one final block and waits until it is there. `false` if nobody makes blocks any more.
async fn make_block(commands: &mut mpsc::Sender<EngineCommand<Hash>>, empty: bool) -> bool {
	let (sender, made) = oneshot::channel();
	let command =
		EngineCommand::SealNewBlock { create_empty: empty, finalize: true, parent_hash: None, sender: Some(sender) };
	if commands.send(command).await.is_err() {
		return false;
	}
	match made.await {
		// It was in the block before.
		Ok(Ok(_)) | Ok(Err(SealError::EmptyTransactionPool)) => true,
		Ok(Err(error)) => {
			log::error!("⛏️ No block could be made: {error}");
			tokio::time::sleep(PACE).await;
			true
		}
		Err(_) => false,
	}
}

/// The RPC methods of `--sealing manual`: `engine_createBlock` and `engine_finalizeBlock`. Like everything by which a caller
/// changes the node, they are refused where unsafe methods are.
pub(crate) fn rpc(commands: mpsc::Sender<EngineCommand<Hash>>) -> Result<RpcModule<()>, String> {
	let mut module = RpcModule::new(commands);
	module
		.register_async_method("engine_createBlock", |parameters, commands, extensions| async move {
			check_if_safe(&extensions)?;
			let (create_empty, finalize, parent_hash): (bool, bool, Option<Hash>) = {
				let mut parameters = parameters.sequence();
				(parameters.next()?, parameters.next()?, parameters.optional_next()?)
			};
			let (sender, made) = oneshot::channel();
			let command = EngineCommand::SealNewBlock { create_empty, finalize, parent_hash, sender: Some(sender) };
			ask::<CreatedBlock<Hash>>(&commands, command, made).await
		})
		.map_err(|error| error.to_string())?;
	module
		.register_async_method("engine_finalizeBlock", |parameters, commands, extensions| async move {
			check_if_safe(&extensions)?;
			let hash: Hash = parameters.sequence().next()?;
			let (sender, made) = oneshot::channel();
			let command = EngineCommand::FinalizeBlock { hash, sender: Some(sender), justification: None };
			ask::<()>(&commands, command, made).await.map(|()| true)
		})
		.map_err(|error| error.to_string())?;
	Ok(module.remove_context())
}

async fn ask<T>(
	commands: &mpsc::Sender<EngineCommand<Hash>>,
	command: EngineCommand<Hash>,
	made: oneshot::Receiver<Result<T, SealError>>,
) -> Result<T, ErrorObjectOwned> {
	let stopped = || ErrorObjectOwned::owned(1, "The node is about to stop.", None::<()>);
	commands.clone().send(command).await.map_err(|_| stopped())?;
	made.await.map_err(|_| stopped())?.map_err(Into::into)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn sealing_should_be_understood() {
		assert_eq!("instant".parse(), Ok(Sealing::Instant));
		assert_eq!("manual".parse(), Ok(Sealing::Manual));
		assert_eq!("250".parse(), Ok(Sealing::Every(Duration::from_millis(250))));
		for wrong in ["", "0", "3", "-1", "1.5", "Instant", "250ms"] {
			assert!(wrong.parse::<Sealing>().is_err(), "{wrong}");
		}
	}

	#[test]
	fn sealing_should_be_refused_where_others_rely_on_the_chain() {
		assert!(Sealing::check(&ChainType::Development, true).is_ok());
		assert!(Sealing::check(&ChainType::Development, false).unwrap_err().contains("--alice"));
		for chain in [ChainType::Local, ChainType::Live, ChainType::Custom("x".into())] {
			assert!(Sealing::check(&chain, true).unwrap_err().contains("--dev"));
		}
	}
}
