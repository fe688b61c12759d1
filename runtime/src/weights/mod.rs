//! Measured weights. `scripts/weights` writes the files beside this one.

// As they are generated.
#![allow(unreachable_pub)]

pub mod frame_system;
pub mod frame_system_extensions;
pub mod pallet_balances;
pub mod pallet_disputes;
pub mod pallet_inference;
pub mod pallet_models;
pub mod pallet_multisig;
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
