//! The weights this pallet needs. The runtime has measured ones; those of `()` are for tests and measure nothing.

use frame_support::weights::Weight;

/// Weights of the pallet's calls, named like their benchmarks.
pub trait WeightInfo {
	/// See the benchmark `arm_slashing`.
	fn arm_slashing() -> Weight;
	/// See the benchmark `enact`.
	fn enact() -> Weight;
}

impl WeightInfo for () {
	fn arm_slashing() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn enact() -> Weight {
		Weight::from_parts(1_000, 100)
	}
}
