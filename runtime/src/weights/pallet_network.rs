//! Weights of `pallet_network`, estimated from `pallet_sudo`'s until `scripts/weights pallet_network` measures them: each call
//! writes as much as `sudo` does, or less.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

pub struct WeightInfo<T>(PhantomData<T>);

impl<T: frame_system::Config> pallet_network::WeightInfo for WeightInfo<T> {
	fn arm_slashing() -> Weight {
		Weight::from_parts(20_000_000, 1_500).saturating_add(T::DbWeight::get().writes(1))
	}

	fn enact() -> Weight {
		Weight::from_parts(20_000_000, 1_500)
	}
}
