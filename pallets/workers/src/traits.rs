//! What this pallet needs of others, wired in the runtime.

use assay_primitives::ModelId;
use frame_support::weights::Weight;

/// The registry of models.
pub trait Models {
	/// Whether a model is registered and takes new jobs.
	fn is_active(model: &ModelId) -> bool;

	/// Register a model for a benchmark, so that [`Self::is_active`] says yes.
	#[cfg(feature = "runtime-benchmarks")]
	fn make_active() -> ModelId;
}

/// Whoever wants to know how much stake works.
pub trait StakeObserver<AccountId, Balance> {
	/// The active stake of `who` is `new` from now on. Stake is active while its worker is not paused, serves at least one
	/// model, and has at least the minimum bonded; it is zero otherwise. Called on every change, and only then.
	fn active_stake_changed(who: &AccountId, new: Balance);

	/// The stake behind `who` is about to be somebody else's in part: pay what is owed for it so far, so that it is shared by
	/// those who have earned it.
	fn settle(who: &AccountId);

	/// What [`Self::settle`] weighs at most.
	fn settle_weight() -> Weight;
}

impl<AccountId, Balance> StakeObserver<AccountId, Balance> for () {
	fn active_stake_changed(_: &AccountId, _: Balance) {}
	fn settle(_: &AccountId) {}
	fn settle_weight() -> Weight {
		Weight::zero()
	}
}
