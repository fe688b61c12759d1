//! Whether the chain punishes.

use crate::state::{self, State};
use assay_runtime::Runtime;
use pallet_network::SlashingDisarmed;

/// Whether stake is taken for wrong answers at the block of this state.
pub(crate) fn is_armed(state: &dyn State) -> Result<bool, String> {
	Ok(state::read(state, &SlashingDisarmed::<Runtime>::hashed_key())? != Some(true))
}

/// Says loudly at start if it is not so.
pub(crate) fn warn_if_disarmed(state: &dyn State) {
	if is_armed(state) == Ok(false) {
		log::warn!(
			"⚠️ Slashing is DISARMED on this chain: wrong answers cost nothing, so no answer is worth relying on. It is meant for \
			 a network's first weeks; see docs/economics.md."
		);
	}
}
