//! The weights this pallet needs. The runtime has measured ones; those of `()` are for tests and measure nothing.

use frame_support::weights::Weight;

/// Weights of the pallet's calls and steps, named like their benchmarks.
pub trait WeightInfo {
	/// See the benchmark `payout_era`.
	fn payout_era() -> Weight;
	/// See the benchmark `payout_all`.
	fn payout_all() -> Weight;
	/// See the benchmark `rotate_era`.
	fn rotate_era() -> Weight;
	/// See the benchmark `sweep_ledger`.
	fn sweep_ledger() -> Weight;
}

impl WeightInfo for () {
	fn payout_era() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn payout_all() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn rotate_era() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn sweep_ledger() -> Weight {
		Weight::from_parts(1_000, 100)
	}
}
