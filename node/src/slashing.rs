//! Whether the chain punishes.

use crate::state::State;

/// Whether stake is taken for wrong answers at the block of this state.
pub(crate) fn is_armed(_state: &dyn State) -> bool {
	// There is no way to disarm it yet.
	true
}

/// Says loudly at start if it is not so.
pub(crate) fn warn_if_disarmed(state: &dyn State) {
	if !is_armed(state) {
		log::warn!(
			"⚠️ Slashing is DISARMED on this chain: wrong answers cost nothing, so no answer is worth relying on. It is meant for \
			 test networks; see docs/economics.md."
		);
	}
}
