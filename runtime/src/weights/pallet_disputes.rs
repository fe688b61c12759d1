//! Placeholder until measured.

use core::marker::PhantomData;
use frame_support::{traits::Get, weights::Weight};

pub struct WeightInfo<T>(PhantomData<T>);
impl<T: frame_system::Config> pallet_disputes::WeightInfo for WeightInfo<T> {
	fn seal() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn challenge() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn publish(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn authorize_publish(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn demand(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn open(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn authorize_open(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn prove(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn timeout() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn withdraw() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn unseal() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn on_block() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn service_agenda_step() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn lapse() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn end_window() -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
	fn clean_up(_: u32) -> Weight {
		Weight::from_parts(3_000_000_000, 0).saturating_add(T::DbWeight::get().reads_writes(15, 15))
	}
}
