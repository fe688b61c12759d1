//! The invariants of this pallet, one check for each.

use crate::{
	traits::Claims, Agenda, AgendaCursor, AgendaLength, BalanceOf, Challenges, Config, Disputes, HoldReason, Node,
	Nodes, Outstanding, Pallet, Phase, Queue, Seals, Stage, Task,
};
use alloc::collections::{BTreeMap, BTreeSet};
use frame_support::{
	ensure,
	traits::{fungible::InspectHold, Get},
};
use sp_runtime::{
	traits::{Saturating, Zero},
	TryRuntimeError,
};

impl<T: Config> Pallet<T> {
	/// Checks the invariants listed in the pallet's documentation.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_holds()?;
		Self::check_disputes()?;
		Self::check_owners()?;
		Self::check_agenda()
	}

	/// Accounts whose holds must equal what the pallet's records say: deposits, bonds, fees.
	fn check_holds() -> Result<(), TryRuntimeError> {
		let mut sums = BTreeMap::<T::AccountId, (BalanceOf<T>, BalanceOf<T>, BalanceOf<T>)>::new();
		for (who, _, seal) in Seals::<T>::iter() {
			let sum = sums.entry(who).or_default();
			sum.0 = sum.0.saturating_add(seal.deposit);
		}
		for (_, who, challenge) in Challenges::<T>::iter() {
			let sum = sums.entry(who).or_default();
			sum.1 = sum.1.saturating_add(challenge.bond);
			sum.2 = sum.2.saturating_add(challenge.fees);
		}
		for (who, (seals, bonds, fees)) in sums {
			let held = |reason: HoldReason| T::Currency::balance_on_hold(&reason.into(), &who);
			ensure!(held(HoldReason::Seal) == seals, "what is on hold differs from the deposits of the seals");
			ensure!(held(HoldReason::Challenge) == bonds, "what is on hold differs from the bonds of the challenges");
			ensure!(held(HoldReason::Demand) == fees, "what is on hold differs from the fees of the demands");
		}
		Ok(())
	}

	/// The counters of every dispute, and of the chain.
	fn check_disputes() -> Result<(), TryRuntimeError> {
		let mut all = 0u32;
		for (claim, dispute) in Disputes::<T>::iter() {
			let undecided = matches!(dispute.phase, Phase::Unpublished(_) | Phase::Published { .. });
			let (mut live, mut fees) = (0u32, BalanceOf::<T>::zero());
			for (who, challenge) in Challenges::<T>::iter_prefix(claim) {
				live = live.saturating_add(1);
				fees = fees.saturating_add(challenge.fees);
				ensure!(
					Queue::<T>::get(claim, Self::place(challenge.number)) == Some(who),
					"a challenge is not in the queue"
				);
				ensure!(challenge.demands <= T::MaxOpenings::get(), "a challenge has made too many demands");
				if let (Stage::Answer(node), true) = (challenge.stage, undecided) {
					ensure!(Nodes::<T>::contains_key(claim, node), "a challenge waits for a node that nobody demanded");
				}
			}
			ensure!(
				Queue::<T>::iter_prefix(claim).count() == Challenges::<T>::iter_prefix(claim).count(),
				"the queue lists others"
			);
			let mut outstanding = 0u32;
			for node in Nodes::<T>::iter_prefix_values(claim) {
				if let Node::Outstanding { bytes, .. } = node {
					outstanding = outstanding.saturating_add(bytes);
				}
			}
			if let Phase::Unpublished(_) = dispute.phase {
				ensure!(outstanding == 0, "a node was asked for before the publication");
				outstanding = dispute.outstanding;
			}
			if undecided {
				ensure!(dispute.live == live, "a dispute's live challenges are miscounted");
				ensure!(dispute.fees == fees, "a dispute's demand fees are miscounted");
				ensure!(dispute.outstanding == outstanding, "a dispute's outstanding bytes are miscounted");
				let claims = T::Claims::open_claim(dispute.job).filter(|info| info.claim == claim);
				ensure!(live == 0 || claims.is_some(), "a claim under challenge is not open");
				if claims.is_some() {
					ensure!(
						T::Claims::is_held(dispute.job) == (live > 0),
						"a claim is not held exactly while challenged"
					);
				}
				ensure!(live > 0 || outstanding == 0, "a worker owes an answer to nobody");
			} else {
				ensure!(dispute.outstanding == 0, "a decided dispute has outstanding bytes");
			}
			if matches!(dispute.phase, Phase::Unpublished(_)) {
				ensure!(live > 0, "a trace is awaited by nobody");
			}
			if matches!(dispute.phase, Phase::Defended) {
				ensure!(live == 0, "a claim was defended that is under challenge");
			}
			all = all.saturating_add(dispute.outstanding);
		}
		ensure!(Outstanding::<T>::get() == all, "the chain's outstanding bytes are miscounted");
		Ok(())
	}

	/// Nothing is left of disputes that are gone.
	fn check_owners() -> Result<(), TryRuntimeError> {
		let gone = |claim| !Disputes::<T>::contains_key(claim);
		ensure!(!Challenges::<T>::iter_keys().any(|(claim, _)| gone(claim)), "a challenge has no dispute");
		ensure!(!Queue::<T>::iter_keys().any(|(claim, _)| gone(claim)), "a queue has no dispute");
		ensure!(!Nodes::<T>::iter_keys().any(|(claim, _)| gone(claim)), "a node has no dispute");
		Ok(())
	}

	/// Everything that has to end is on the agenda.
	fn check_agenda() -> Result<(), TryRuntimeError> {
		let mut tasks = BTreeSet::<alloc::vec::Vec<u8>>::new();
		for (block, index, task) in Agenda::<T>::iter() {
			ensure!(index < AgendaLength::<T>::get(block), "a task lies beyond its queue's end");
			ensure!((block, index) >= AgendaCursor::<T>::get(), "a task lies behind the cursor");
			tasks.insert(codec::Encode::encode(&task));
		}
		let planned = |task: Task<T::AccountId>| tasks.contains(&codec::Encode::encode(&task));
		for (who, hash, _) in Seals::<T>::iter() {
			ensure!(planned(Task::Lapse(who, hash)), "a seal would never lapse");
		}
		for (claim, dispute) in Disputes::<T>::iter() {
			match dispute.phase {
				Phase::Unpublished(_) => {
					ensure!(planned(Task::Publication(claim)), "a trace would be awaited forever");
				}
				Phase::Published { .. } => {
					ensure!(dispute.live > 0 || planned(Task::WindowEnd(claim)), "a trace would never be forgotten");
				}
				Phase::Convicted { .. } | Phase::Defended => {
					ensure!(planned(Task::CleanUp(claim)), "a decided dispute would never be cleaned up");
					continue;
				}
			}
			for (node, state) in Nodes::<T>::iter_prefix(claim) {
				let awaited = matches!(state, Node::Outstanding { .. });
				ensure!(!awaited || planned(Task::Answer(claim, node)), "an answer would be awaited forever");
			}
			for challenge in Challenges::<T>::iter_prefix_values(claim) {
				ensure!(planned(Task::Move(claim, challenge.number)), "a challenge would never end");
			}
		}
		Ok(())
	}
}
