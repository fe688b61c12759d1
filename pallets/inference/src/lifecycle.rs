//! The life of a job between the extrinsics: assignment, commitment, settlement, expiry.

use crate::{
	traits::{Ask, Fault, ModelTerms, Models, Rewards, Workers},
	weights::WeightInfo,
	Agenda, Assigned, Assignment, AssignmentOf, BalanceOf, Config, DeclineReason, Error, Event, HoldReason, Inputs,
	Job, JobOf, JobResult, Jobs, Output, Pallet, Results, Stage, Task, MAX_ATTEMPTS,
};
use assay_primitives::{claim, Claim, ClaimHash, Holds, JobId, ModelId, ServiceSignature, SlashReason};
use codec::Encode;
use frame_support::{
	defensive, ensure,
	traits::{fungible::MutateHold, tokens::Precision::BestEffort, Get, Randomness},
};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_core::H256;
use sp_runtime::{
	traits::{One, SaturatedConversion, Saturating, Zero},
	DispatchError, DispatchResult, RuntimeAppPublic,
};

/// An answer that may be committed.
pub(crate) struct Answer<T: Config> {
	pub(crate) job: JobOf<T>,
	pub(crate) assignment: AssignmentOf<T>,
	pub(crate) output_root: H256,
	pub(crate) claim: ClaimHash,
}

impl<T: Config> Pallet<T> {
	/// What a worker with the given ask charges for a job, all in.
	pub(crate) fn fee(
		terms: &ModelTerms<BalanceOf<T>>,
		ask: &Ask<BalanceOf<T>>,
		coverage: BalanceOf<T>,
		blocks: BlockNumberFor<T>,
	) -> BalanceOf<T> {
		let premium = ask.coverage_price.mul_ceil(coverage).saturating_mul(blocks.saturated_into::<u32>().into());
		terms.price.max(ask.min_price).max(T::MinFee::get()).saturating_add(premium)
	}

	/// The bond for a job: large enough that the burned share of it exceeds all that a lie can gain. `None` on overflow: no
	/// stake can cover that.
	pub fn bond(fee: BalanceOf<T>, coverage: BalanceOf<T>) -> Option<BalanceOf<T>> {
		let gain = u128::try_from(fee).ok()?.checked_add(u128::try_from(coverage).ok()?)?;
		let parts = u128::from(T::BurnedShare::get().deconstruct().max(1));
		// ceil(gain / burned share), the share being parts of a million.
		let bond = gain.checked_mul(1_000_000)?.checked_add(parts.saturating_sub(1))?.checked_div(parts)?;
		Some(BalanceOf::<T>::try_from(bond).ok()?.max(T::MinBond::get()))
	}

	/// The bond that `job` needs of a worker with the given ask; `None` if the ask is too high or the time too short for it.
	fn acceptable(
		job: &JobOf<T>,
		terms: &ModelTerms<BalanceOf<T>>,
		ask: &Ask<BalanceOf<T>>,
		now: BlockNumberFor<T>,
	) -> Option<BalanceOf<T>> {
		let left = job.deadline.saturating_sub(now);
		if left < ask.min_deadline.into() {
			return None;
		}
		let fee = Self::fee(terms, ask, job.coverage, left.saturating_add(job.window));
		if fee > job.max_fee {
			return None;
		}
		Self::bond(fee, job.coverage)
	}

	/// Gives `job` to the worker it names, if that one is free.
	pub(crate) fn try_named(
		now: BlockNumberFor<T>,
		id: JobId,
		job: &mut JobOf<T>,
		worker: &T::AccountId,
		terms: &ModelTerms<BalanceOf<T>>,
	) -> DispatchResult {
		let mut too_high = false;
		let found = T::Workers::candidate(worker, &job.model, &mut |ask| {
			let bond = Self::acceptable(job, terms, ask, now);
			too_high = bond.is_none();
			bond
		});
		ensure!(!too_high, Error::<T>::FeeTooLow);
		let (ask, bond) = found?;
		Self::assign(now, id, job, terms, worker.clone(), &ask, bond)
	}

	fn assign(
		now: BlockNumberFor<T>,
		id: JobId,
		job: &mut JobOf<T>,
		terms: &ModelTerms<BalanceOf<T>>,
		worker: T::AccountId,
		ask: &Ask<BalanceOf<T>>,
		bond: BalanceOf<T>,
	) -> DispatchResult {
		T::Workers::assign(&worker, &job.model, bond)?;
		let left = job.deadline.saturating_sub(now);
		let fee = Self::fee(terms, ask, job.coverage, left.saturating_add(job.window));
		let servers = T::Workers::server_count(&job.model);
		let tried: u32 = job.tried.len().saturated_into();
		// Where somebody else could take over, keep half of the time for that.
		let others = servers > tried.saturating_add(1) && tried.saturating_add(1) < MAX_ATTEMPTS;
		let answer_by = if job.named.is_none() && others {
			let half = left / 2u32.into();
			now.saturating_add(half.max(ask.min_deadline.into()).max(One::one())).min(job.deadline)
		} else {
			job.deadline
		};
		let assignment =
			Assignment { worker: worker.clone(), fee, bond, assigned_at: now, answer_by, independent: servers > 1 };
		job.stage = Stage::Assigned(assignment);
		Assigned::<T>::insert(&worker, id, ());
		if answer_by < job.deadline {
			Self::schedule(answer_by.saturating_add(One::one()), Task::AnswerDue(id, now));
		}
		Self::deposit_event(Event::Assigned { job: id, worker, fee, bond, answer_by });
		Ok(())
	}

	/// Looks for a worker for a job that waits for one.
	pub(crate) fn draw_worker(now: BlockNumberFor<T>, id: JobId) {
		let Some(mut job) = Jobs::<T>::get(id) else { return };
		let Stage::Waiting { draws } = job.stage else { return };
		if now > job.deadline {
			return;
		}
		let assigned = T::Models::terms(&job.model).is_some_and(|terms| {
			if let Some(worker) = job.named.clone() {
				return Self::try_named(now, id, &mut job, &worker, &terms).is_ok();
			}
			let mut seed = [0u8; 32];
			let subject = (b"assay/draw", id, frame_system::Pallet::<T>::parent_hash()).encode();
			match T::Randomness::random(&subject).0 {
				Some(random) => seed = sp_io::hashing::blake2_256(random.as_ref()),
				None => seed.copy_from_slice(&sp_io::hashing::blake2_256(&subject)),
			}
			let drawn =
				T::Workers::draw(&job.model, &job.tried, seed, &mut |ask| Self::acceptable(&job, &terms, ask, now));
			drawn.is_some_and(|(worker, ask, bond)| Self::assign(now, id, &mut job, &terms, worker, &ask, bond).is_ok())
		});
		if !assigned {
			// Everyone is busy, too dear, or gone: ask again, less and less often, until the deadline.
			let draws = draws.saturating_add(1);
			job.stage = Stage::Waiting { draws };
			let pause = 1u32.checked_shl(draws.saturating_sub(1)).unwrap_or(u32::MAX).min(T::MaxDrawPause::get());
			Self::schedule(now.saturating_add(pause.into()), Task::Draw(id));
		}
		Jobs::<T>::insert(id, job);
	}

	/// Takes the job from its worker.
	fn unassign(id: JobId, model: &ModelId, assignment: &AssignmentOf<T>) {
		Assigned::<T>::remove(&assignment.worker, id);
		T::Workers::answered(&assignment.worker, model);
		T::Workers::release(&assignment.worker, assignment.bond);
	}

	/// Takes the job from a worker that did not answer in time, and a little of its stake.
	fn punish_silence(id: JobId, model: &ModelId, assignment: &AssignmentOf<T>) {
		Self::unassign(id, model, assignment);
		let penalty = T::LivenessPenalty::get().min(assignment.bond);
		let (penalty, _) = T::Workers::slash(&assignment.worker, penalty, SlashReason::MissedDeadline, &[]);
		T::Rewards::note_fault(&assignment.worker, Fault::MissedDeadline);
		Self::deposit_event(Event::Missed { job: id, worker: assignment.worker.clone(), penalty });
	}

	/// A worker's time is up, the job's is not.
	pub(crate) fn answer_due(now: BlockNumberFor<T>, id: JobId, assigned_at: BlockNumberFor<T>) {
		let Some(mut job) = Jobs::<T>::get(id) else { return };
		let Stage::Assigned(assignment) = job.stage.clone() else { return };
		if assignment.assigned_at != assigned_at || now <= assignment.answer_by {
			return;
		}
		Self::punish_silence(id, &job.model, &assignment);
		Self::look_for_another(now, id, &mut job, assignment.worker);
	}

	/// Gives a job that its worker did not answer back to the draw.
	pub(crate) fn look_for_another(now: BlockNumberFor<T>, id: JobId, job: &mut JobOf<T>, worker: T::AccountId) {
		// A named worker has no substitute, and a job is given to so many workers and no more.
		let again = job.tried.try_push(worker).is_ok() && job.tried.len().saturated_into::<u32>() < MAX_ATTEMPTS;
		job.stage = Stage::Waiting { draws: 0 };
		if again && job.named.is_none() && now < job.deadline {
			Jobs::<T>::insert(id, &*job);
			Self::schedule(now.saturating_add(One::one()), Task::Draw(id));
		} else {
			Self::expire(id, job);
		}
	}

	/// The job's deadline is over.
	pub(crate) fn deadline_passed(now: BlockNumberFor<T>, id: JobId) {
		let Some(job) = Jobs::<T>::get(id) else { return };
		if now <= job.deadline {
			return;
		}
		match &job.stage {
			Stage::Waiting { .. } => (),
			Stage::Assigned(assignment) => Self::punish_silence(id, &job.model, assignment),
			Stage::Committed { .. } => return,
		}
		Self::expire(id, &job);
	}

	/// Ends a job without an answer: the requester gets everything on hold back.
	pub(crate) fn expire(id: JobId, job: &JobOf<T>) {
		let refund = Self::refund(&job.requester, job.escrow);
		Self::forget(id);
		Self::deposit_event(Event::Expired { job: id, requester: job.requester.clone(), refund });
	}

	/// Releases `amount` of the requester's escrow. Returns what was released.
	pub(crate) fn refund(requester: &T::AccountId, amount: BalanceOf<T>) -> BalanceOf<T> {
		if amount.is_zero() {
			return amount;
		}
		match T::Currency::release(&HoldReason::Fee.into(), requester, amount, BestEffort) {
			Ok(released) => released,
			Err(error) => {
				defensive!("escrow could not be released", error);
				Zero::zero()
			}
		}
	}

	/// Removes all that is stored of an open job.
	pub(crate) fn forget(id: JobId) {
		Jobs::<T>::remove(id);
		Inputs::<T>::remove(id);
	}

	/// The hash of the claim that the job's worker makes with the given output root. `None` unless the job is assigned and
	/// the block of its assignment is known.
	pub(crate) fn claim_of(
		id: JobId,
		job: &JobOf<T>,
		assignment: &AssignmentOf<T>,
		output_root: &H256,
	) -> Option<ClaimHash> {
		let assigned_in = Self::known_hash(assignment.assigned_at)?;
		let claim = Claim {
			genesis: Self::known_hash(Zero::zero())?,
			requester: job.requester.clone(),
			nonce: job.nonce,
			job: id,
			worker: assignment.worker.clone(),
			assigned_in,
			statement: claim::statement(&job.model, &job.input_root, output_root),
			coverage: job.coverage,
			deadline: job.deadline,
		};
		Some(claim.hash())
	}

	/// The hash of a past block, if the chain still knows it.
	pub(crate) fn known_hash(at: BlockNumberFor<T>) -> Option<H256> {
		let hash = frame_system::Pallet::<T>::block_hash(at);
		(hash != Default::default()).then(|| H256::from_slice(hash.as_ref()))
	}

	/// Checks everything about an answer but the signature.
	pub(crate) fn check_answer(id: JobId, output: &Output<T::MaxOutput>) -> Result<Answer<T>, Error<T>> {
		let job = Jobs::<T>::get(id).ok_or(Error::<T>::JobNotFound)?;
		let assignment = match &job.stage {
			Stage::Waiting { .. } => return Err(Error::<T>::NotAssigned),
			Stage::Committed { .. } => return Err(Error::<T>::AlreadyAnswered),
			Stage::Assigned(assignment) => assignment.clone(),
		};
		let now = frame_system::Pallet::<T>::block_number();
		ensure!(now <= assignment.answer_by, Error::<T>::TooLate);
		let Output::Inline(bytes) = output;
		let types = T::Models::outputs(&job.model).ok_or(Error::<T>::ModelNotFound)?;
		let output_root = assay_primitives::model::output_root(&types, bytes).ok_or(Error::<T>::OutputSizeMismatch)?;
		let claim = Self::claim_of(id, &job, &assignment, &output_root).ok_or(Error::<T>::NotAssigned)?;
		Ok(Answer { job, assignment, output_root, claim })
	}

	/// Whether `signature` over `payload` is by the service key of `worker`.
	pub(crate) fn signed_by(worker: &T::AccountId, payload: &H256, signature: &ServiceSignature) -> bool {
		T::Workers::service_key(worker).is_some_and(|key| key.verify(&payload.0, signature))
	}

	/// Records an answer and opens its challenge window.
	pub(crate) fn accept_answer(id: JobId, answer: Answer<T>, output: Output<T::MaxOutput>) {
		let Answer { mut job, assignment, output_root, claim } = answer;
		let now = frame_system::Pallet::<T>::block_number();
		let (settles_at, deadline) = (now.saturating_add(job.window), job.deadline);
		let worker = assignment.worker.clone();
		Assigned::<T>::remove(&worker, id);
		T::Workers::answered(&worker, &job.model);
		let result = JobResult {
			model: job.model,
			requester: job.requester.clone(),
			worker: worker.clone(),
			output,
			output_root,
			claim,
			coverage: job.coverage,
			independent: assignment.independent,
			committed_at: now,
			settles_at,
		};
		Results::<T>::insert(id, result);
		job.stage =
			Stage::Committed { assignment, claim, output_root, committed_at: now, settles_at, holds: Holds::default() };
		Jobs::<T>::insert(id, job);
		Agenda::<T>::remove(deadline.saturating_add(One::one()), Task::Expire(id));
		Self::schedule(settles_at, Task::Settle(id));
		Self::deposit_event(Event::Committed { job: id, worker, claim, output_root, settles_at });
	}

	/// Pays for an answer whose window is over and that nothing holds. Whether it was one.
	pub(crate) fn settle(now: BlockNumberFor<T>, id: JobId) -> bool {
		let Some(job) = Jobs::<T>::get(id) else { return false };
		let Stage::Committed { settles_at, holds, .. } = &job.stage else { return false };
		if now < *settles_at || !holds.is_empty() || Self::model_is_invalid(now, id, &job) {
			return false;
		}
		let Job { stage: Stage::Committed { assignment, .. }, model, requester, escrow, .. } = job else {
			return false;
		};
		let Assignment { worker, fee, bond, .. } = assignment;
		let paid = frame_support::storage::with_storage_layer(|| {
			let (owner, royalty) = T::Models::royalty(&model).ok_or(DispatchError::from(Error::<T>::ModelNotFound))?;
			T::Rewards::pay_out(&requester, &HoldReason::Fee.into(), fee, &owner, royalty, &worker)
		});
		let (shares, rest) = match paid {
			Ok(shares) => (shares, escrow.saturating_sub(fee)),
			Err(error) => {
				// Cannot happen: the fee is on hold and the model's record is kept. The job must end all the same.
				defensive!("a settled fee could not be paid out", error);
				(Default::default(), escrow)
			}
		};
		Self::refund(&requester, rest);
		T::Workers::release(&worker, bond);
		Self::forget(id);
		Self::deposit_event(Event::Settled { job: id, worker, fee, shares });
		true
	}

	/// Takes the job back from a worker that cannot answer it.
	pub(crate) fn give_back(id: JobId, mut job: JobOf<T>, assignment: AssignmentOf<T>, reason: DeclineReason) {
		let now = frame_system::Pallet::<T>::block_number();
		Self::unassign(id, &job.model, &assignment);
		T::Rewards::note_fault(&assignment.worker, Fault::Declined);
		Self::deposit_event(Event::Declined { job: id, worker: assignment.worker.clone(), reason });
		Self::look_for_another(now, id, &mut job, assignment.worker);
	}

	/// What it costs, in all later blocks, to handle a job: commit, draw, settlement, purge.
	pub(crate) fn later_weight(max_output: u32) -> frame_support::weights::Weight {
		T::WeightInfo::commit(max_output)
			.saturating_add(T::WeightInfo::authorize_commit(max_output))
			.saturating_add(T::WeightInfo::draw_job(T::MaxServers::get()))
			.saturating_add(T::WeightInfo::settle_job())
			.saturating_add(T::WeightInfo::purge_result())
			.saturating_add(T::WeightInfo::next_task().saturating_mul(3))
			.saturating_add(T::WeightInfo::skip_task().saturating_mul(2))
	}
}
