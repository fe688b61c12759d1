//! The off-chain worker in its *worker* role: it hands assigned jobs to the inference engine and commits the answers.
//!
//! It runs after every block and keeps nothing that matters: what has to be done is read from the chain, the engine knows a job by a
//! key that is the same after every restart, and the pool takes one answer per assignment. So it survives restarts of the
//! node and the engine, reorganisations, and an engine that is slow, wrong or gone.

use crate::{
	traits::{Models, Workers},
	Assigned, Call, Config, DeclineReason, Input, JobOf, Jobs, Output, Pallet, Stage,
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use assay_primitives::{
	claim,
	offchain::{
		ask_engine, count_error, engine_deadline, engine_reply, hex, ErrorKind, Reply, Settings, ENGINE_WAIT_MILLIS,
		SETTINGS_KEY,
	},
	JobId, ServiceKey,
};
use codec::Encode;
use frame_system::{offchain::SubmitTransaction, pallet_prelude::BlockNumberFor};
use sp_core::{
	offchain::{Duration, Timestamp},
	H256,
};
use sp_runtime::{
	offchain::{
		http::{Method, PendingRequest},
		storage::StorageValueRef,
		storage_lock::{StorageLock, Time},
	},
	traits::{SaturatedConversion, Saturating},
	BoundedVec, RuntimeAppPublic,
};

pub(crate) const LOG: &str = "assay::worker";
/// Only one run at a time serves jobs: answers of slow engines are collected by a later one.
const LOCK_KEY: &[u8] = b"assay/offchain/worker/lock";
/// Remembers which answers were sent, and when.
const SENT_KEY: &[u8] = b"assay/offchain/worker/sent";
/// A run takes at most this long.
const RUN: Duration = Duration::from_millis(20_000);
/// Jobs handed to the engine in one run and for one worker; the rest waits for the next block.
const JOBS_PER_RUN: usize = 128;
/// An answer that is not on chain after this many blocks is sent again.
const RESEND_AFTER: u32 = 4;

/// The job and the block that assigned it: a job drawn again is another task.
type Handled<T> = (JobId, BlockNumberFor<T>);

impl<T: Config> Pallet<T> {
	/// What the node does after importing block `now`.
	pub(crate) fn run_offchain(now: BlockNumberFor<T>) {
		let Ok(Some(settings)) = StorageValueRef::persistent(SETTINGS_KEY).get::<Settings>() else { return };
		if !settings.roles.worker {
			return;
		}
		let Ok(engine) = core::str::from_utf8(&settings.engine_url) else {
			log::error!(target: LOG, "the engine URL is not UTF-8: start the node with another --engine-url");
			count_error(ErrorKind::Settings);
			return;
		};
		let mut lock = StorageLock::<Time>::with_deadline(LOCK_KEY, RUN);
		let Ok(_guard) = lock.try_lock() else {
			log::debug!(target: LOG, "still busy with the jobs of an earlier block");
			return;
		};
		let memory = StorageValueRef::persistent(SENT_KEY);
		let mut sent = memory.get::<BTreeMap<Handled<T>, BlockNumberFor<T>>>().ok().flatten().unwrap_or_default();
		let before = sent.encode();
		let mut open = Vec::new();
		for key in ServiceKey::all() {
			if let Some(worker) = T::Workers::worker_of(&key) {
				Self::serve(now, engine, &key, &worker, &mut sent, &mut open);
				Self::send_heartbeat(now, engine, &key, &worker);
			}
		}
		sent.retain(|handled, _| open.contains(handled));
		if sent.encode() != before {
			memory.set(&sent);
		}
	}

	/// Serves the jobs of one worker. Adds those that are still open to `open`.
	fn serve(
		now: BlockNumberFor<T>,
		engine: &str,
		key: &ServiceKey,
		worker: &T::AccountId,
		sent: &mut BTreeMap<Handled<T>, BlockNumberFor<T>>,
		open: &mut Vec<Handled<T>>,
	) {
		let mut asked = Vec::new();
		let deadline = engine_deadline();
		for id in Assigned::<T>::iter_key_prefix(worker) {
			let Some(job) = Jobs::<T>::get(id) else { continue };
			let Stage::Assigned(assignment) = &job.stage else { continue };
			let handled = (id, assignment.assigned_at);
			open.push(handled);
			let resend_at = sent.get(&handled).map(|at| at.saturating_add(RESEND_AFTER.into()));
			if asked.len() >= JOBS_PER_RUN || resend_at.is_some_and(|at| now < at) {
				continue;
			}
			asked.push((id, job.clone(), Self::ask(engine, id, &job, deadline)));
		}
		let mut unreachable = None;
		for (id, job, request) in asked {
			let Stage::Assigned(assignment) = &job.stage else { continue };
			let limit: usize = <T::MaxOutput as frame_support::traits::Get<u32>>::get().saturated_into();
			let call = match engine_reply(request, limit, deadline) {
				Reply::Done(bytes) => Self::commit_call(key, id, &job, bytes),
				Reply::NotYet => {
					log::debug!(target: LOG, "job {id}: the engine is still at it");
					None
				}
				Reply::Refused(code, why) => {
					let reason = if code == 404 { DeclineReason::DataUnavailable } else { DeclineReason::CannotRun };
					log::warn!(target: LOG, "job {id}: the engine refuses it ({why}); giving the job back");
					count_error(ErrorKind::EngineRefused);
					Self::decline_payload(id, assignment, &reason)
						.and_then(|payload| key.sign(&payload.0))
						.map(|signature| Call::decline { job: id, reason, signature })
				}
				Reply::Failed(why) => {
					unreachable = Some((why, assignment.answer_by));
					None
				}
			};
			let Some(call) = call else { continue };
			let transaction = T::create_authorized_transaction(call.into());
			match SubmitTransaction::<T, Call<T>>::submit_transaction(transaction) {
				Ok(()) => log::info!(target: LOG, "job {id}: answer sent"),
				Err(()) => {
					log::debug!(target: LOG, "job {id}: the pool has the answer already, or did not take it");
					count_error(ErrorKind::Pool);
				}
			}
			sent.insert((id, assignment.assigned_at), now);
		}
		if let Some((why, answer_by)) = unreachable {
			count_error(ErrorKind::EngineUnreachable);
			log::error!(
				target: LOG,
				"the inference engine at {engine} does not answer ({why}); {} job(s) wait, and stake is lost after block {answer_by:?}: \
				 see that the engine runs and that --engine-url names it",
				open.len(),
			);
		}
	}

	/// Hands a job to the engine, under a key that names it for good.
	fn ask(engine: &str, id: JobId, job: &JobOf<T>, deadline: Timestamp) -> Result<PendingRequest, Reply> {
		let gone = || Reply::Failed(String::from("the job has just ended"));
		let Stage::Assigned(assignment) = &job.stage else { return Err(gone()) };
		let assigned_in = Self::known_hash(assignment.assigned_at).ok_or_else(gone)?;
		let key = H256(sp_io::hashing::blake2_256(&(b"assay/engine-job", assigned_in, id).encode()));
		let Input::Inline(bytes) = crate::Inputs::<T>::get(id).ok_or_else(gone)?;
		let url = alloc::format!(
			"{engine}/assay/v1/jobs/{}?model={}&wait_ms={ENGINE_WAIT_MILLIS}",
			hex(key.as_bytes()),
			hex(job.model.as_bytes()),
		);
		ask_engine(Method::Put, &url, &bytes, deadline)
	}

	/// The signed answer, if the output can be one.
	fn commit_call(key: &ServiceKey, id: JobId, job: &JobOf<T>, bytes: Vec<u8>) -> Option<Call<T>> {
		let Stage::Assigned(assignment) = &job.stage else { return None };
		let types = T::Models::outputs(&job.model)?;
		let Some(root) = assay_primitives::model::output_root(&types, &bytes) else {
			log::error!(
				target: LOG,
				"job {id}: the engine's output of {} bytes is not what model {:?} puts out; is its model store intact?",
				bytes.len(),
				job.model,
			);
			count_error(ErrorKind::EngineOutput);
			return None;
		};
		let claim = Self::claim_of(id, job, assignment, &root)?;
		let signature = key.sign(&claim::commit_payload(&claim).0)?;
		let output = Output::Inline(BoundedVec::try_from(bytes).ok()?);
		Some(Call::commit { job: id, output, signature })
	}
}
