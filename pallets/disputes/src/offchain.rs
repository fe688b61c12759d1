//! The off-chain worker in its *responder* role: it defends the answers of the workers whose service keys are in the keystore. It has
//! the engine build the trace of a claim that is challenged, publishes it, and opens what is demanded.
//!
//! It runs after every block and keeps nothing that matters: what has to be done is read from the chain, the engine builds the same
//! trace again after a restart, and the pool takes one publication per claim and one opening per node.

use crate::{payload, traits::Claims, Call, Config, Disputes, FullBlocks, Node, Nodes, Pallet, Phase};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use assay_primitives::{
	offchain::{
		ask_engine, count_error, engine_deadline, engine_reply, hex, ErrorKind, Reply, Settings, ENGINE_WAIT_MILLIS,
		SETTINGS_KEY,
	},
	ClaimHash, ServiceKey,
};
use frame_support::traits::Get;
use frame_system::{offchain::SubmitTransaction, pallet_prelude::BlockNumberFor};
use sp_core::{offchain::Duration, H256};
use sp_runtime::{
	offchain::{
		http::Method,
		storage::StorageValueRef,
		storage_lock::{StorageLock, Time},
	},
	traits::{SaturatedConversion, Saturating},
	BoundedVec, RuntimeAppPublic,
};

const LOG: &str = "assay::responder";
/// Only one run at a time responds.
const LOCK_KEY: &[u8] = b"assay/offchain/responder/lock";
/// Remembers which messages were sent, and when.
const SENT_KEY: &[u8] = b"assay/offchain/responder/sent";
/// A run takes at most this long.
const RUN: Duration = Duration::from_millis(20_000);
/// A message that is not on chain after this many blocks is sent again.
const RESEND_AFTER: u32 = 4;

/// A claim, and the node to open; zero for the publication.
type Handled = (ClaimHash, H256);

impl<T: Config> Pallet<T> {
	/// What the node does after importing block `now`.
	pub(crate) fn run_offchain(now: BlockNumberFor<T>) {
		let Ok(Some(settings)) = StorageValueRef::persistent(SETTINGS_KEY).get::<Settings>() else { return };
		if !settings.roles.responder {
			return;
		}
		let Ok(engine) = core::str::from_utf8(&settings.engine_url) else {
			log::error!(target: LOG, "the engine URL is not UTF-8: start the node with another --engine-url");
			count_error(ErrorKind::Settings);
			return;
		};
		let keys = ServiceKey::all();
		let owed: Vec<_> = Disputes::<T>::iter()
			.filter(|(_, dispute)| dispute.live > 0)
			.filter_map(|(claim, dispute)| {
				let key = T::Claims::service_key(&dispute.worker)?;
				keys.contains(&key).then_some((claim, dispute, key))
			})
			.collect();
		if owed.is_empty() {
			return;
		}
		let mut lock = StorageLock::<Time>::with_deadline(LOCK_KEY, RUN);
		let Ok(_guard) = lock.try_lock() else {
			log::debug!(target: LOG, "still busy with the disputes of an earlier block");
			return;
		};
		let memory = StorageValueRef::persistent(SENT_KEY);
		let mut sent = memory.get::<BTreeMap<Handled, BlockNumberFor<T>>>().ok().flatten().unwrap_or_default();
		let mut open = Vec::new();
		for (claim, dispute, key) in owed {
			let mut due = |node: H256, sent: &BTreeMap<Handled, BlockNumberFor<T>>| {
				open.push((claim, node));
				sent.get(&(claim, node)).is_none_or(|at| now >= at.saturating_add(RESEND_AFTER.into()))
			};
			match dispute.phase {
				Phase::Unpublished(clock) if due(H256::zero(), &sent) => {
					let until = clock.last(FullBlocks::<T>::get());
					let call = Self::publish_call(engine, &key, claim, &dispute);
					Self::send(now, (claim, H256::zero()), call, until, &mut sent);
				}
				Phase::Published { .. } => {
					let demands = Nodes::<T>::iter_prefix(claim).filter_map(|(id, node)| match node {
						Node::Outstanding { demand, clock, .. } => Some((id, demand, clock)),
						Node::Opened { .. } => None,
					});
					for (id, demand, clock) in demands {
						if due(id, &sent) {
							let until = clock.last(FullBlocks::<T>::get());
							let call = Self::open_call(engine, &key, claim, &dispute, demand);
							Self::send(now, (claim, id), call, until, &mut sent);
						}
					}
				}
				_ => (),
			}
		}
		sent.retain(|handled, _| open.contains(handled));
		memory.set(&sent);
	}

	fn send(
		now: BlockNumberFor<T>,
		handled: Handled,
		call: Result<Call<T>, Reply>,
		until: BlockNumberFor<T>,
		sent: &mut BTreeMap<Handled, BlockNumberFor<T>>,
	) {
		let (claim, node) = handled;
		let what = if node.is_zero() { "the publication of the trace" } else { "an opening" };
		let call = match call {
			Ok(call) => call,
			Err(Reply::NotYet) => {
				log::info!(target: LOG, "claim {claim:?} is challenged: the engine is at work on {what}, due by block {until:?}");
				return;
			}
			Err(Reply::Refused(code, why)) => {
				log::error!(
					target: LOG,
					"claim {claim:?} is challenged, and the engine refuses {what} ({code}: {why}); the bond is lost after block {until:?}: \
					 see that the engine has the model",
				);
				count_error(ErrorKind::EngineRefused);
				return;
			}
			Err(Reply::Failed(why)) => {
				log::error!(
					target: LOG,
					"claim {claim:?} is challenged, and the engine does not answer ({why}); the bond is lost after block {until:?}: \
					 see that the engine runs and that --engine-url names it",
				);
				count_error(ErrorKind::EngineUnreachable);
				return;
			}
			Err(Reply::Done(_)) => return,
		};
		let transaction = T::create_authorized_transaction(call.into());
		match SubmitTransaction::<T, Call<T>>::submit_transaction(transaction) {
			Ok(()) => log::info!(target: LOG, "claim {claim:?} is challenged: sent {what}"),
			Err(()) => {
				log::warn!(target: LOG, "claim {claim:?} is challenged: the pool has {what} already, or does not take it");
				count_error(ErrorKind::Pool);
			}
		}
		sent.insert(handled, now);
	}

	/// The trace of a claim, built by the engine.
	fn trace(engine: &str, claim: &ClaimHash, dispute: &crate::DisputeOf<T>) -> Result<Vec<u8>, Reply> {
		let input =
			T::Claims::input(dispute.job).ok_or_else(|| Reply::Failed(String::from("the job has just ended")))?;
		let deadline = engine_deadline();
		let url = format!(
			"{engine}/assay/v1/traces/{}?model={}&wait_ms={ENGINE_WAIT_MILLIS}",
			hex(claim.as_bytes()),
			hex(dispute.model.as_bytes()),
		);
		done(engine_reply(ask_engine(Method::Put, &url, &input, deadline), Self::longest(), deadline))
	}

	fn longest() -> usize {
		T::MaxMessage::get().saturated_into()
	}

	fn publish_call(
		engine: &str,
		key: &ServiceKey,
		claim: ClaimHash,
		dispute: &crate::DisputeOf<T>,
	) -> Result<Call<T>, Reply> {
		let publication = Self::trace(engine, &claim, dispute)?;
		let signature = key.sign(&payload::publish_payload(&claim, &publication).0).ok_or_else(unsigned)?;
		let publication = BoundedVec::try_from(publication).map_err(|_| too_long())?;
		Ok(Call::publish { job: dispute.job, claim, publication, signature })
	}

	fn open_call(
		engine: &str,
		key: &ServiceKey,
		claim: ClaimHash,
		dispute: &crate::DisputeOf<T>,
		demand: crate::Demand<T>,
	) -> Result<Call<T>, Reply> {
		let deadline = engine_deadline();
		let url = format!("{engine}/assay/v1/traces/{}/open?wait_ms={ENGINE_WAIT_MILLIS}", hex(claim.as_bytes()));
		let reply = engine_reply(ask_engine(Method::Post, &url, &demand, deadline), Self::longest(), deadline);
		if let Reply::Refused(404, _) = reply {
			// It was restarted: it builds the trace again, and is asked in the next block.
			Self::trace(engine, &claim, dispute)?;
			return Err(Reply::NotYet);
		}
		let opening = done(reply)?;
		let signature = if <T::Judge as crate::traits::Judge>::needs_signature(&demand) {
			Some(key.sign(&payload::open_payload(&claim, &demand, &opening).0).ok_or_else(unsigned)?)
		} else {
			None
		};
		let opening = BoundedVec::try_from(opening).map_err(|_| too_long())?;
		Ok(Call::open { job: dispute.job, claim, demand, opening, signature })
	}
}

fn done(reply: Reply) -> Result<Vec<u8>, Reply> {
	match reply {
		Reply::Done(bytes) => Ok(bytes),
		other => Err(other),
	}
}

fn unsigned() -> Reply {
	Reply::Failed(String::from("the keystore does not sign"))
}

fn too_long() -> Reply {
	Reply::Failed(String::from("it says more than a message may hold"))
}
