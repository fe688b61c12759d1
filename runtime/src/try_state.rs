//! The invariants of the whole state, for tests that bring the state of a live chain here.

use crate::{Disputes, Inference, Models, Rewards, Runtime, Workers};
use sp_runtime::TryRuntimeError;

/// Checks every invariant of Assay's pallets on the current state, and that issuance is the sum of all balances.
pub fn check_invariants() -> Result<(), TryRuntimeError> {
	Models::do_try_state()?;
	Workers::do_try_state()?;
	Inference::do_try_state()?;
	Disputes::do_try_state()?;
	Rewards::do_try_state()?;
	let sum = frame_system::Account::<Runtime>::iter_values()
		.fold(0u128, |sum, account| sum.saturating_add(account.data.free).saturating_add(account.data.reserved));
	if sum != crate::Balances::total_issuance() {
		return Err("issuance differs from the sum of all balances".into());
	}
	Ok(())
}
