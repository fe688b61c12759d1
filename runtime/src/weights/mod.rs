//! Measured weights: `scripts/weights` writes the files beside this one.

pub mod frame_system {
	pub type WeightInfo<T> = frame_system::weights::SubstrateWeight<T>;
}
pub mod frame_system_extensions {
	pub type WeightInfo<T> = frame_system::SubstrateExtensionsWeight<T>;
}
pub mod pallet_timestamp {
	pub type WeightInfo<T> = pallet_timestamp::weights::SubstrateWeight<T>;
}
pub mod pallet_session {
	pub type WeightInfo<T> = pallet_session::weights::SubstrateWeight<T>;
}
pub mod pallet_balances {
	pub type WeightInfo<T> = pallet_balances::weights::SubstrateWeight<T>;
}
pub mod pallet_transaction_payment {
	pub type WeightInfo<T> = pallet_transaction_payment::weights::SubstrateWeight<T>;
}
pub mod pallet_utility {
	pub type WeightInfo<T> = pallet_utility::weights::SubstrateWeight<T>;
}
pub mod pallet_proxy {
	pub type WeightInfo<T> = pallet_proxy::weights::SubstrateWeight<T>;
}
pub mod pallet_multisig {
	pub type WeightInfo<T> = pallet_multisig::weights::SubstrateWeight<T>;
}
pub mod pallet_sudo {
	pub type WeightInfo<T> = pallet_sudo::weights::SubstrateWeight<T>;
}
pub mod pallet_inference {
	pub type WeightInfo<T> = Unmeasured<T>;
	pub struct Unmeasured<T>(core::marker::PhantomData<T>);
	use frame_support::weights::Weight;
	impl<T> pallet_inference::WeightInfo for Unmeasured<T> {
		fn request(_: u32) -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn cancel() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn decline() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn authorize_decline() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn commit(_: u32) -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn authorize_commit(_: u32) -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn service_agenda_step() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn draw_job(_: u32) -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn expire_job() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn settle_job() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
		fn purge_result() -> Weight {
			Weight::from_parts(100_000_000, 10_000)
		}
	}
}
pub mod pallet_models {
	pub type WeightInfo<T> = pallet_models::weights::SubstrateWeight<T>;
}
pub mod pallet_workers {
	pub type WeightInfo<T> = pallet_workers::weights::SubstrateWeight<T>;
}
pub mod pallet_rewards {
	pub type WeightInfo<T> = pallet_rewards::weights::SubstrateWeight<T>;
}
