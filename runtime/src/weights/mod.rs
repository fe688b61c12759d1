//! Measured weights. `scripts/weights` writes the files beside this one.

// As they are generated.
#![allow(unreachable_pub)]

pub mod frame_system;
pub mod frame_system_extensions;
pub mod judge;
pub mod pallet_balances;
pub mod pallet_disputes;
pub mod pallet_inference;
pub mod pallet_models;
pub mod pallet_multisig;
pub mod pallet_network;
pub mod pallet_proxy;
pub mod pallet_rewards;
pub mod pallet_sudo;
pub mod pallet_timestamp;
pub mod pallet_transaction_payment;
pub mod pallet_utility;
pub mod pallet_workers;

/// Upstream's measured weights: the benchmarks of sessions need staking.
pub mod pallet_session {
	pub type WeightInfo<T> = pallet_session::weights::SubstrateWeight<T>;
}

/// What judging a proof takes beyond what its length does: the step of its operator, of as many operands.
pub fn judge_step(operator: &str, operands: usize) -> frame_support::weights::Weight {
	let step = judge::STEPS.iter().find(|(name, ..)| *name == operator);
	// A proof about an operator that nobody measured is about as dear as any.
	let picoseconds = step.map_or_else(most_judged, |(_, base, each)| {
		base.saturating_add(each.saturating_mul(operands.min(assay_semantics::ir::MAX_OPERANDS) as u64))
	});
	frame_support::weights::Weight::from_parts(picoseconds, 0)
}

/// The most that [`judge_step`] says, in picoseconds.
pub fn most_judged() -> u64 {
	let operands = assay_semantics::ir::MAX_OPERANDS as u64;
	let all = judge::STEPS.iter().map(|(_, base, each)| base.saturating_add(each.saturating_mul(operands)));
	all.max().unwrap_or(u64::MAX)
}
