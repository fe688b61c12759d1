//! The invariants of the whole state, for tests that bring the state of a live chain here.

use crate::{consensus::MAX_CANDIDATES, Balances, Disputes, Inference, Models, Network, Rewards, Runtime, Workers};
use frame_support::traits::fungible::InspectHold;
use sp_runtime::TryRuntimeError;

/// Checks every invariant of Assay's pallets on the current state, and that issuance is the sum of all balances.
pub fn check_invariants() -> Result<(), TryRuntimeError> {
	Network::do_try_state()?;
	Models::do_try_state()?;
	Workers::do_try_state()?;
	Inference::do_try_state()?;
	Disputes::do_try_state()?;
	Rewards::do_try_state()?;
	check_staking()?;
	let sum = frame_system::Account::<Runtime>::iter_values()
		.fold(0u128, |sum, account| sum.saturating_add(account.data.free).saturating_add(account.data.reserved));
	if sum != crate::Balances::total_issuance() {
		return Err("issuance differs from the sum of all balances".into());
	}
	Ok(())
}

/// What validators and nominators have at stake is held in full, their ledgers add up, and an election takes all candidates.
fn check_staking() -> Result<(), TryRuntimeError> {
	let most = pallet_staking::MaxValidatorsCount::<Runtime>::get();
	if most.is_none_or(|most| most > MAX_CANDIDATES) || pallet_staking::Validators::<Runtime>::count() > MAX_CANDIDATES
	{
		return Err("more candidates may stand than an election takes".into());
	}
	for (_, ledger) in pallet_staking::Ledger::<Runtime>::iter() {
		let held = Balances::balance_on_hold(&pallet_staking::HoldReason::Staking.into(), &ledger.stash);
		let unlocking = ledger.unlocking.iter().fold(0u128, |sum, chunk| sum.saturating_add(chunk.value));
		if ledger.total != ledger.active.saturating_add(unlocking) {
			return Err("the parts of a staking ledger are not its total".into());
		}
		if held != ledger.total {
			return Err("the balance held on a staker is not its stake".into());
		}
	}
	Ok(())
}
