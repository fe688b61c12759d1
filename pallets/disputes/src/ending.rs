//! How disputes end: convictions, lost challenges, and what is cleaned up after them.

use crate::{
	game::Turn,
	traits::{Claims, VerdictKind},
	BalanceOf, ChallengeOf, Challenges, Config, DisputeOf, Disputes, Error, Event, FullBlocks, Grounds, HoldReason,
	Node, NodeId, Nodes, Outstanding, Pallet, Phase, Queue, Seals, Stage, Task, CLEAN_UP,
};
use alloc::vec::Vec;
use assay_primitives::{ClaimHash, JobId};
use frame_support::{
	defensive,
	dispatch::DispatchResult,
	traits::{
		fungible::MutateHold,
		tokens::{Fortitude::Force, Precision::BestEffort, Restriction::Free},
		Get,
	},
};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_core::H256;
use sp_runtime::{
	helpers_128bit::multiply_by_rational_with_rounding,
	traits::{One, SaturatedConversion, Saturating, Zero},
	Rounding,
};

impl<T: Config> Pallet<T> {
	/// Ends a dispute with the worker convicted. Whoever sealed or challenged first, of those whose challenges live, wins.
	pub(crate) fn convict(claim: ClaimHash, mut dispute: DisputeOf<T>, grounds: Grounds) {
		let now = Self::now();
		let winner = Queue::<T>::iter_prefix_values(claim).next();
		let convicted = T::Claims::convict(dispute.job, winner.as_ref());
		if matches!(&grounds, Grounds::Proof(verdict) if verdict.kind == VerdictKind::InvalidModel) {
			T::Claims::invalidate_model(&dispute.model);
		}
		Outstanding::<T>::mutate(|all| *all = all.saturating_sub(dispute.outstanding));
		dispute.outstanding = 0;
		dispute.phase = Phase::Convicted { at: now, burned: convicted.burned, fees: dispute.fees };
		let (job, worker) = (dispute.job, dispute.worker.clone());
		Disputes::<T>::insert(claim, dispute);
		Self::schedule(now.saturating_add(One::one()), Task::CleanUp(claim));
		Self::deposit_event(Event::Convicted { job, claim, worker, grounds, winner, outcome: convicted });
	}

	/// Ends a challenge that its challenger lost.
	pub(crate) fn lose(claim: ClaimHash, mut dispute: DisputeOf<T>, who: T::AccountId, challenge: ChallengeOf<T>) {
		Challenges::<T>::remove(claim, &who);
		Queue::<T>::remove(claim, Self::place(challenge.number));
		dispute.live = dispute.live.saturating_sub(1);
		dispute.fees = dispute.fees.saturating_sub(challenge.fees);
		let share = T::BurnedOfBond::get().mul_ceil(challenge.bond);
		let reason = HoldReason::Challenge;
		let rest = challenge.bond.saturating_sub(share);
		let to_worker =
			T::Currency::transfer_on_hold(&reason.into(), &who, &dispute.worker, rest, BestEffort, Free, Force);
		// A worker that cannot be paid, its account being gone, leaves its part to the burn.
		let to_worker = to_worker.unwrap_or_else(|_| Zero::zero());
		let burned = Self::burn(&reason, &who, challenge.bond.saturating_sub(to_worker)).saturating_add(Self::burn(
			&HoldReason::Demand,
			&who,
			challenge.fees,
		));
		let job = dispute.job;
		Self::deposit_event(Event::ChallengeLost { job, claim, challenger: who, burned, to_worker });
		if dispute.live == 0 {
			T::Claims::unhold(job);
			// Until the window ends, others may challenge the same trace.
			Self::schedule(dispute.settles_at, Task::WindowEnd(claim));
			Self::deposit_event(Event::Defended { job, claim });
		}
		Disputes::<T>::insert(claim, dispute);
	}

	/// The grounds for a conviction by silence in a challenge's stage.
	fn silence(stage: &Stage<BlockNumberFor<T>>) -> Grounds {
		match stage {
			Stage::Answer(node) => Grounds::NoAnswer(*node),
			_ => Grounds::NoPublication,
		}
	}

	/// Ends what is over, if anything is: the publication without `who`, that account's challenge or the answer it waits for with.
	pub(crate) fn time_out(job: JobId, claim: ClaimHash, who: Option<T::AccountId>) -> DispatchResult {
		let dispute = Self::live_dispute(job, &claim)?;
		let Some(who) = who else {
			match dispute.phase {
				Phase::Unpublished(clock) if Self::is_over(&clock) => {
					Self::convict(claim, dispute, Grounds::NoPublication);
				}
				_ => return Err(Error::<T>::NothingDue.into()),
			}
			return Ok(());
		};
		let challenge = Challenges::<T>::get(claim, &who).ok_or(Error::<T>::NotChallenger)?;
		match Self::turn(&claim, &dispute, &challenge) {
			Turn::Worker(clock) if Self::is_over(&clock) => {
				let grounds = Self::silence(&challenge.stage);
				Self::convict(claim, dispute, grounds);
			}
			Turn::Challenger(clock) if Self::is_over(&clock) => Self::lose(claim, dispute, who, challenge),
			_ => return Err(Error::<T>::NothingDue.into()),
		}
		Ok(())
	}

	/// A live dispute, for a task that may be moot.
	fn undecided(claim: &ClaimHash) -> Option<DisputeOf<T>> {
		Disputes::<T>::get(claim).filter(|d| matches!(d.phase, Phase::Unpublished(_) | Phase::Published { .. }))
	}

	pub(crate) fn publication_due(now: BlockNumberFor<T>, claim: ClaimHash) {
		let Some(dispute) = Self::undecided(&claim) else { return };
		let Phase::Unpublished(clock) = dispute.phase else { return };
		let full = FullBlocks::<T>::get();
		if clock.is_over(now, full) {
			Self::convict(claim, dispute, Grounds::NoPublication);
		} else {
			Self::schedule(clock.over_at(full), Task::Publication(claim));
		}
	}

	pub(crate) fn answer_due(now: BlockNumberFor<T>, claim: ClaimHash, node: NodeId) {
		let Some(dispute) = Self::undecided(&claim) else { return };
		let Some(Node::Outstanding { clock, .. }) = Nodes::<T>::get(claim, node) else { return };
		let full = FullBlocks::<T>::get();
		if clock.is_over(now, full) {
			Self::convict(claim, dispute, Grounds::NoAnswer(node));
		} else {
			Self::schedule(clock.over_at(full), Task::Answer(claim, node));
		}
	}

	/// Every live challenge has one such task. It looks again as soon as the challenge can be over.
	pub(crate) fn move_due(now: BlockNumberFor<T>, claim: ClaimHash, number: u64) {
		let Some(dispute) = Self::undecided(&claim) else { return };
		let Some(who) = Queue::<T>::get(claim, Self::place(number)) else { return };
		let Some(challenge) = Challenges::<T>::get(claim, &who) else { return };
		let full = FullBlocks::<T>::get();
		let again = match Self::turn(&claim, &dispute, &challenge) {
			Turn::Challenger(clock) if clock.is_over(now, full) => {
				return Self::lose(claim, dispute, who, challenge);
			}
			Turn::Challenger(clock) => clock.over_at(full),
			Turn::Worker(_) => now.saturating_add(Self::shortest_move(dispute.trace_blocks)),
		};
		Self::schedule(again, Task::Move(claim, number));
	}

	/// Forgets a trace that nobody challenges, once nobody can.
	pub(crate) fn end_window(now: BlockNumberFor<T>, claim: ClaimHash) {
		let Some(mut dispute) = Self::undecided(&claim) else { return };
		if dispute.live > 0 {
			return;
		}
		// The window may have been started anew meanwhile.
		let open = T::Claims::open_claim(dispute.job).filter(|info| info.claim == claim && info.settles_at > now);
		if let Some(info) = open {
			return Self::schedule(info.settles_at, Task::WindowEnd(claim));
		}
		dispute.phase = Phase::Defended;
		Disputes::<T>::insert(claim, dispute);
		Self::schedule(now.saturating_add(One::one()), Task::CleanUp(claim));
	}

	/// Gives back and forgets at most [`CLEAN_UP`] things of a dispute that is over, and comes again until nothing is left.
	pub(crate) fn clean_up(now: BlockNumberFor<T>, claim: ClaimHash) {
		let Some(dispute) = Disputes::<T>::get(claim) else { return };
		let limit = usize::try_from(CLEAN_UP).unwrap_or(usize::MAX);
		let challengers: Vec<_> = Challenges::<T>::iter_prefix(claim).take(limit).collect();
		let left = limit.saturating_sub(challengers.len());
		let nodes: Vec<_> = Nodes::<T>::iter_key_prefix(claim).take(left).collect();
		let done = challengers.is_empty() && nodes.is_empty();
		for (who, challenge) in challengers {
			Self::return_bond(claim, &dispute, who, challenge);
		}
		for node in nodes {
			Nodes::<T>::remove(claim, node);
		}
		if !done {
			return Self::schedule(now.saturating_add(One::one()), Task::CleanUp(claim));
		}
		// A conviction is remembered as long as there may be seals on the claim that can no longer be revealed.
		let forget_at = match dispute.phase {
			Phase::Convicted { at, .. } => at.saturating_add(T::RevealBlocks::get()).saturating_add(One::one()),
			_ => now,
		};
		if now < forget_at {
			Self::schedule(forget_at, Task::CleanUp(claim));
		} else {
			Disputes::<T>::remove(claim);
		}
	}

	/// Gives a challenger its bond and its demand fees back after a conviction. If the demand fees of all challengers exceed what the
	/// verdict burned, each gets its part of that, so that a worker that plays against itself burns at least what its game cost
	/// the chain.
	pub(crate) fn return_bond(claim: ClaimHash, dispute: &DisputeOf<T>, who: T::AccountId, challenge: ChallengeOf<T>) {
		Challenges::<T>::remove(claim, &who);
		Queue::<T>::remove(claim, Self::place(challenge.number));
		Self::give_back(&HoldReason::Challenge, &who, challenge.bond);
		let back = match dispute.phase {
			Phase::Convicted { burned, fees, .. } => Self::part_of(challenge.fees, burned, fees),
			_ => Zero::zero(),
		};
		Self::give_back(&HoldReason::Demand, &who, back);
		Self::burn(&HoldReason::Demand, &who, challenge.fees.saturating_sub(back));
		let (job, bond) = (dispute.job, challenge.bond);
		Self::deposit_event(Event::BondReturned { job, claim, challenger: who, bond, fees: back });
	}

	/// `amount * budget / total`, at most `amount`.
	fn part_of(amount: BalanceOf<T>, budget: BalanceOf<T>, total: BalanceOf<T>) -> BalanceOf<T> {
		if total <= budget {
			return amount;
		}
		let part =
			multiply_by_rational_with_rounding(amount.into(), budget.into(), total.into(), Rounding::Down).unwrap_or(0);
		part.saturated_into::<BalanceOf<T>>().min(amount)
	}

	/// A seal was not revealed in time. Its deposit is burned: else one could seal every claim, wait for somebody else to
	/// find a wrong one, and be first.
	pub(crate) fn lapse(now: BlockNumberFor<T>, who: T::AccountId, hash: H256) {
		let Some(seal) = Seals::<T>::get(&who, hash) else { return };
		// The same hash may have been revealed and sealed again since.
		let until = seal.at.saturating_add(T::RevealBlocks::get());
		if now <= until {
			return;
		}
		Seals::<T>::remove(&who, hash);
		let burned = Self::burn(&HoldReason::Seal, &who, seal.deposit);
		Self::deposit_event(Event::SealLapsed { challenger: who, hash, burned });
	}

	/// Releases a hold that is known to be there.
	pub(crate) fn give_back(reason: &HoldReason, who: &T::AccountId, amount: BalanceOf<T>) {
		match T::Currency::release(&(*reason).into(), who, amount, BestEffort) {
			Ok(released) if released == amount => (),
			_ => {
				defensive!("a hold could not be released");
			}
		}
	}

	/// Burns from a hold that is known to be there. Returns what was burned.
	fn burn(reason: &HoldReason, who: &T::AccountId, amount: BalanceOf<T>) -> BalanceOf<T> {
		match T::Currency::burn_held(&(*reason).into(), who, amount, BestEffort, Force) {
			Ok(burned) => burned,
			Err(error) => {
				defensive!("a hold could not be burned", error);
				Zero::zero()
			}
		}
	}
}
