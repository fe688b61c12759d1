//! Workers that say they are there: what a heartbeat must look like, and the node that sends it.

use crate::{
	offchain::LOG,
	traits::{Rewards, Workers},
	Call, Config, Pallet,
};
use assay_primitives::{
	claim,
	offchain::{ask_engine, count_error, engine_deadline, engine_reply, ErrorKind, Reply},
	ServiceKey, ServiceSignature,
};
use frame_support::ensure;
use frame_system::{offchain::SubmitTransaction, pallet_prelude::BlockNumberFor};
use sp_core::H256;
use sp_runtime::{
	offchain::http::Method,
	traits::{One, SaturatedConversion, Saturating, Zero},
	transaction_validity::{InvalidTransaction, TransactionPriority, TransactionValidity, ValidTransaction},
	RuntimeAppPublic,
};

/// The blocks for which a signed heartbeat is good.
pub const HEARTBEAT_FRESH: u32 = 32;

impl<T: Config> Pallet<T> {
	/// What the service key of a worker signs, having seen block `at`. `None` if that is not known.
	pub(crate) fn heartbeat_payload(worker: &T::AccountId, at: BlockNumberFor<T>) -> Option<H256> {
		let genesis = Self::known_hash(Zero::zero())?;
		Some(claim::heartbeat_payload(&genesis, worker, &Self::known_hash(at)?))
	}

	/// Cheap checks first, the signature last; nothing is left for the dispatch to refuse.
	pub(crate) fn authorize_heartbeat(
		worker: &T::AccountId,
		at: BlockNumberFor<T>,
		signature: &ServiceSignature,
	) -> TransactionValidity {
		let now = frame_system::Pallet::<T>::block_number();
		let fresh_until = at.saturating_add(HEARTBEAT_FRESH.into());
		ensure!(at < now, InvalidTransaction::Future);
		ensure!(now <= fresh_until, InvalidTransaction::Stale);
		// Its key says that it is a worker: not everybody may have the rest computed.
		ensure!(T::Workers::service_key(worker).is_some(), InvalidTransaction::BadSigner);
		ensure!(T::Rewards::heartbeat_due(worker), InvalidTransaction::Stale);
		let payload = Self::heartbeat_payload(worker, at).ok_or(InvalidTransaction::Future)?;
		ensure!(Self::signed_by(worker, &payload, signature), InvalidTransaction::BadProof);
		ValidTransaction::with_tag_prefix("AssayHeartbeat")
			.priority(TransactionPriority::MAX / 4)
			.and_provides(worker)
			.longevity(fresh_until.saturating_sub(now).saturated_into::<u64>().max(1))
			.propagate(true)
			.build()
	}

	/// Says that a worker is there, if it is time to and the engine is ready.
	pub(crate) fn send_heartbeat(now: BlockNumberFor<T>, engine: &str, key: &ServiceKey, worker: &T::AccountId) {
		if !T::Rewards::heartbeat_due(worker) {
			return;
		}
		let deadline = engine_deadline();
		let url = alloc::format!("{engine}/v2/health/ready");
		match engine_reply(ask_engine(Method::Get, &url, &[], deadline), 1024, deadline) {
			Reply::Done(_) => (),
			reply => {
				log::error!(
					target: LOG,
					"no heartbeat: the inference engine at {engine} is not ready ({reply:?}), and the worker earns no emission: see that \
					 the engine runs and that --engine-url names it"
				);
				return count_error(ErrorKind::EngineUnreachable);
			}
		}
		// The state is that after block `now`, which the next one knows by its hash; the one before is known already.
		let at = now.saturating_sub(One::one());
		let signature = Self::heartbeat_payload(worker, at).and_then(|payload| key.sign(&payload.0));
		let Some(signature) = signature else { return };
		let call = Call::heartbeat { worker: worker.clone(), at, signature };
		match SubmitTransaction::<T, Call<T>>::submit_transaction(T::create_authorized_transaction(call.into())) {
			Ok(()) => log::info!(target: LOG, "heartbeat sent"),
			Err(()) => log::debug!(target: LOG, "the pool has a heartbeat already"),
		}
	}
}
