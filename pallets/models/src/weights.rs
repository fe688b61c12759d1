//! The weights this pallet needs. The runtime has measured ones; those of `()` are for tests and measure nothing.

use frame_support::weights::Weight;

/// Weights of the pallet's calls and steps, named like their benchmarks.
pub trait WeightInfo {
	/// See the benchmark `register_model`.
	fn register_model() -> Weight;
	/// See the benchmark `register_version`.
	fn register_version() -> Weight;
	/// See the benchmark `set_price`.
	fn set_price() -> Weight;
	/// See the benchmark `deprecate_model`.
	fn deprecate_model() -> Weight;
	/// See the benchmark `remove_model`.
	fn remove_model() -> Weight;
}

impl WeightInfo for () {
	fn register_model() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn register_version() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn set_price() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn deprecate_model() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn remove_model() -> Weight {
		Weight::from_parts(1_000, 100)
	}
}
