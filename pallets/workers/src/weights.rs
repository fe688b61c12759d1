//! The weights this pallet needs. The runtime has measured ones; those of `()` are for tests and measure nothing.

use frame_support::weights::Weight;

/// Weights of the pallet's calls and steps, named like their benchmarks.
pub trait WeightInfo {
	/// See the benchmark `bond`.
	fn bond() -> Weight;
	/// See the benchmark `bond_extra`.
	fn bond_extra() -> Weight;
	/// See the benchmark `set_service_key`.
	fn set_service_key() -> Weight;
	/// See the benchmark `serve_model`.
	fn serve_model() -> Weight;
	/// See the benchmark `stop_serving`.
	fn stop_serving() -> Weight;
	/// See the benchmark `pause`.
	fn pause() -> Weight;
	/// See the benchmark `resume`.
	fn resume() -> Weight;
	/// See the benchmark `unbond`.
	fn unbond() -> Weight;
	/// See the benchmark `withdraw`.
	fn withdraw() -> Weight;
	/// See the benchmark `limit_claims`.
	fn limit_claims() -> Weight;
	/// See the benchmark `withdraw_for`.
	fn withdraw_for() -> Weight;
	/// See the benchmark `set_commission`.
	fn set_commission() -> Weight;
	/// See the benchmark `delegate`.
	fn delegate() -> Weight;
	/// See the benchmark `undelegate`.
	fn undelegate() -> Weight;
	/// See the benchmark `withdraw_delegation`.
	fn withdraw_delegation() -> Weight;
	/// See the benchmark `claim`.
	fn claim() -> Weight;
	/// See the benchmark `set_payee`.
	fn set_payee() -> Weight;
}

impl WeightInfo for () {
	fn bond() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn bond_extra() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn set_service_key() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn serve_model() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn stop_serving() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn pause() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn resume() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn unbond() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn withdraw() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn limit_claims() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn withdraw_for() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn set_commission() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn delegate() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn undelegate() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn withdraw_delegation() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn claim() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn set_payee() -> Weight {
		Weight::from_parts(1_000, 100)
	}
}
