//! Answers under dispute: what the dispute game sees of them and does to them.

use crate::{
	traits::{Models, Workers},
	*,
};
use assay_primitives::{Holds, JobId, SlashReason};
use frame_support::{defensive, traits::Get};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::traits::{One, SaturatedConversion, Saturating, Zero};

impl<T: Config> Pallet<T> {
	/// The answer to a job, if it has one that has not settled.
	pub fn open_claim(id: JobId) -> Option<OpenClaimOf<T>> {
		let Job { stage, model, input_root, coverage, .. } = Jobs::<T>::get(id)?;
		let Stage::Committed { assignment, claim, output_root, committed_at, settles_at, .. } = stage else {
			return None;
		};
		let trace = T::Models::trace(&model);
		Some(OpenClaim { claim, model, input_root, output_root, assignment, coverage, committed_at, settles_at, trace })
	}

	/// What keeps the answer to a job from settling.
	pub fn holds(id: JobId) -> Holds {
		match Jobs::<T>::get(id).map(|job| job.stage) {
			Some(Stage::Committed { holds, .. }) => holds,
			_ => Holds::default(),
		}
	}

	/// Keeps an answer from settling until the matching [`Self::unhold`] or [`Self::convict`].
	pub fn hold(id: JobId, hold: Holds) {
		Jobs::<T>::mutate_extant(id, |job| match &mut job.stage {
			Stage::Committed { holds, .. } => *holds = holds.with(hold),
			_ => {
				defensive!("only an answer can be held");
			}
		});
	}

	/// Takes a hold away. The answer settles when its window ends, or in the next block if that is over.
	pub fn unhold(id: JobId, hold: Holds) {
		let now = frame_system::Pallet::<T>::block_number();
		Jobs::<T>::mutate_extant(id, |job| {
			let Stage::Committed { holds, settles_at, .. } = &mut job.stage else { return };
			*holds = holds.without(hold);
			if !holds.is_empty() || *settles_at > now {
				return;
			}
			*settles_at = now.saturating_add(One::one());
			let settles_at = *settles_at;
			Results::<T>::mutate_extant(id, |result| result.settles_at = settles_at);
			Self::schedule(settles_at, Task::Settle(id));
		});
	}

	/// Overturns an answer that was proven wrong or not defended. The job's bond is slashed, and no other stake: a share goes to
	/// `winner`, the rest is burned. The job goes to another worker if there is time and the requester left the choice open; else
	/// it ends, the requester gets its escrow back, and a share of the bond up to its coverage.
	pub fn convict(id: JobId, winner: Option<&T::AccountId>) -> Verdict<BalanceOf<T>> {
		let Some(mut job) = Jobs::<T>::get(id) else { return Verdict::default() };
		let Stage::Committed { assignment, claim, .. } = job.stage.clone() else { return Verdict::default() };
		let Assignment { worker, bond, .. } = assignment;
		let now = frame_system::Pallet::<T>::block_number();
		Results::<T>::remove(id);
		T::Workers::release(&worker, bond);
		T::Workers::suspend(&worker);
		let time = job.deadline >= now.saturating_add(T::MinDeadline::get().into());
		let another =
			time && job.named.is_none() && job.tried.len().saturating_add(1) < MAX_ATTEMPTS.saturated_into::<usize>();
		let compensation =
			if another { Zero::zero() } else { T::RequesterShare::get().mul_floor(bond).min(job.coverage) };
		let mut shares = alloc::vec![(&job.requester, compensation)];
		shares.extend(winner.map(|winner| (winner, T::ChallengerShare::get().mul_floor(bond))));
		let (slashed, paid) = T::Workers::slash(&worker, bond, SlashReason::WrongAnswer, &shares);
		let compensation = paid.first().copied().unwrap_or_default();
		let reward = paid.get(1).copied().unwrap_or_default();
		let burned = slashed.saturating_sub(compensation).saturating_sub(reward);
		Self::deposit_event(Event::Overturned { job: id, worker: worker.clone(), claim });
		if another {
			Self::schedule(job.deadline.saturating_add(One::one()), Task::Expire(id));
			Self::look_for_another(now, id, &mut job, worker);
		} else {
			Self::expire(id, &job);
		}
		Verdict { slashed, reward, compensation, burned }
	}

	/// Puts the end of an answer off until it can be overturned, because its model is invalid. Whether it is.
	pub(crate) fn model_is_invalid(now: BlockNumberFor<T>, id: JobId, job: &JobOf<T>) -> bool {
		let invalid = T::Models::is_invalid(&job.model);
		if invalid {
			Self::schedule(now.saturating_add(One::one()), Task::Convict(id));
		}
		invalid
	}
}
