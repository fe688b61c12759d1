//! Assay's runtime: the state transition function of the chain.
//!
//! `consensus.rs` says how validators are elected, paid and punished, `governance.rs` who decides, `configs.rs` how every other
//! pallet is set up, `wiring.rs` how Assay's pallets reach each other, `apis.rs` what the node may ask,
//! `genesis_config_presets.rs` how a chain starts.

#![cfg_attr(not(feature = "std"), no_std)]
// `impl_runtime_apis!` and the runtime macro generate items without documentation.
#![allow(missing_docs)]
#![recursion_limit = "512"]

extern crate alloc;

#[cfg(feature = "std")]
include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));

pub mod apis;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarks;
pub mod configs;
pub mod consensus;
pub mod genesis_config_presets;
pub mod governance;
#[cfg(test)]
mod tests;
#[cfg(feature = "std")]
mod try_state;
mod weights;
mod wiring;

pub use assay_primitives::{AccountId, Balance, BlockNumber, Hash, Nonce, Signature};
#[cfg(feature = "std")]
pub use try_state::check_invariants;

use alloc::vec::Vec;
use pallet_session::historical as pallet_session_historical;
use sp_runtime::{generic, impl_opaque_keys, traits::BlakeTwo256, MultiAddress};
use sp_version::RuntimeVersion;

/// The format of addresses.
pub type Address = MultiAddress<AccountId, ()>;
/// A block header.
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// What every transaction carries. `AuthorizeCall` stands first: it turns an answer's signature by a service key into an origin.
pub type TxExtension = (
	frame_system::AuthorizeCall<Runtime>,
	frame_system::CheckNonZeroSender<Runtime>,
	frame_system::CheckSpecVersion<Runtime>,
	frame_system::CheckTxVersion<Runtime>,
	frame_system::CheckGenesis<Runtime>,
	frame_system::CheckEra<Runtime>,
	frame_system::CheckNonce<Runtime>,
	frame_system::CheckWeight<Runtime>,
	pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
	frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
	frame_system::WeightReclaim<Runtime>,
);
/// A transaction.
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
/// What a transaction's signature is over.
pub type SignedPayload = generic::SignedPayload<RuntimeCall, TxExtension>;
/// Executes blocks.
pub type Executive =
	frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

/// What the node handles without looking inside.
pub mod opaque {
	use super::*;
	pub use sp_runtime::OpaqueExtrinsic as UncheckedExtrinsic;

	/// A block whose extrinsics are bytes.
	pub type Block = generic::Block<Header, UncheckedExtrinsic>;

	impl_opaque_keys! {
		/// The keys of a validator.
		pub struct SessionKeys {
			/// Signs blocks.
			pub babe: Babe,
			/// Signs finality votes.
			pub grandpa: Grandpa,
			/// Signs the addresses under which other validators find this one.
			pub authority_discovery: AuthorityDiscovery,
		}
	}
}

/// The version of this runtime.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
	spec_name: alloc::borrow::Cow::Borrowed("assay"),
	impl_name: alloc::borrow::Cow::Borrowed("assay"),
	authoring_version: 1,
	spec_version: 2,
	impl_version: 1,
	apis: apis::RUNTIME_API_VERSIONS,
	transaction_version: 1,
	// The newest that light clients know (smoldot 3.4): with 3, new code would wait a block in `:pending_code`.
	system_version: 1,
};

#[frame_support::runtime]
mod runtime {
	#[runtime::runtime]
	#[runtime::derive(
		RuntimeCall,
		RuntimeEvent,
		RuntimeError,
		RuntimeOrigin,
		RuntimeFreezeReason,
		RuntimeHoldReason,
		RuntimeSlashReason,
		RuntimeLockId,
		RuntimeTask,
		RuntimeViewFunction
	)]
	pub struct Runtime;

	#[runtime::pallet_index(0)]
	pub type System = frame_system;

	// In the order of their hooks and of their geneses: what sessions ask of others at genesis stands before them.
	#[runtime::pallet_index(12)]
	pub type Network = pallet_network;

	#[runtime::pallet_index(1)]
	pub type Timestamp = pallet_timestamp;

	#[runtime::pallet_index(2)]
	pub type Babe = pallet_babe;

	#[runtime::pallet_index(3)]
	pub type Authorship = pallet_authorship;

	#[runtime::pallet_index(6)]
	pub type Balances = pallet_balances;

	#[runtime::pallet_index(7)]
	pub type TransactionPayment = pallet_transaction_payment;

	#[runtime::pallet_index(13)]
	pub type Staking = pallet_staking;

	#[runtime::pallet_index(14)]
	pub type VoterList = pallet_bags_list<Instance1>;

	#[runtime::pallet_index(15)]
	pub type Offences = pallet_offences;

	#[runtime::pallet_index(16)]
	pub type Historical = pallet_session_historical;

	#[runtime::pallet_index(4)]
	pub type Session = pallet_session;

	#[runtime::pallet_index(5)]
	pub type Grandpa = pallet_grandpa;

	#[runtime::pallet_index(17)]
	pub type AuthorityDiscovery = pallet_authority_discovery;

	#[runtime::pallet_index(8)]
	pub type Utility = pallet_utility;

	#[runtime::pallet_index(9)]
	pub type Proxy = pallet_proxy;

	#[runtime::pallet_index(10)]
	pub type Multisig = pallet_multisig;

	#[runtime::pallet_index(18)]
	pub type Council = pallet_collective<Instance1>;

	#[runtime::pallet_index(19)]
	pub type Treasury = pallet_treasury;

	#[runtime::pallet_index(11)]
	pub type Sudo = pallet_sudo;

	#[runtime::pallet_index(20)]
	pub type Models = pallet_models;

	#[runtime::pallet_index(21)]
	pub type Workers = pallet_workers;

	#[runtime::pallet_index(22)]
	pub type Inference = pallet_inference;

	#[runtime::pallet_index(23)]
	pub type Disputes = pallet_disputes;

	#[runtime::pallet_index(24)]
	pub type Rewards = pallet_rewards;
}
