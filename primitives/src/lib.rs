//! Types shared by Assay's pallets, node and clients.
//!
//! Identities and formats that are expensive to change later live here and in `assay-semantics`: a [`ModelHeader`] is the
//! preimage of a [`ModelId`], a [`Claim`] the preimage of a [`ClaimHash`]. Everything that is signed or disputed names the
//! claim hash; counters such as [`JobId`] are for display.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod claim;
pub mod model;
pub mod offchain;
pub mod policy;
pub mod pool;

pub use claim::{Claim, ClaimHash, CommitmentLocation, Holds, SlashReason};
pub use model::{ModelHeader, ModelId, TensorType};
pub use policy::{Evidence, Policy, PolicyV1};

use sp_core::H256;
use sp_runtime::{
	traits::{IdentifyAccount, Verify},
	MultiSignature,
};

/// A signature by an account.
pub type Signature = MultiSignature;
/// An account, 32 bytes.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// An amount of OPG, in planck (1 OPG = 10^18 planck).
pub type Balance = u128;
/// The height of a block; blocks are 3 s apart.
pub type BlockNumber = u32;
/// The number of transactions an account has sent.
pub type Nonce = u32;
/// A blake2-256 hash.
pub type Hash = H256;
/// The number of a job on this chain, for display and storage only: on another fork the same number is another job.
pub type JobId = u64;

/// The name of the native token.
pub const TOKEN_SYMBOL: &str = "OPG";
/// The number of decimals of the native token.
pub const TOKEN_DECIMALS: u32 = 18;
/// The SS58 address prefix.
pub const SS58_PREFIX: u16 = 42;
/// One OPG, in planck.
pub const OPG: Balance = 1_000_000_000_000_000_000;
/// A thousandth of an OPG, in planck.
pub const MILLI_OPG: Balance = OPG / 1_000;
/// A millionth of an OPG, in planck.
pub const MICRO_OPG: Balance = OPG / 1_000_000;

/// The time between two blocks, in milliseconds.
pub const BLOCK_MILLIS: u64 = 3_000;
/// Blocks in a minute.
pub const MINUTES: BlockNumber = 60_000 / BLOCK_MILLIS as BlockNumber;
/// Blocks in an hour.
pub const HOURS: BlockNumber = MINUTES * 60;
/// Blocks in a day.
pub const DAYS: BlockNumber = HOURS * 24;

/// The key with which a worker's node signs for it. It holds no funds and can be rotated.
pub mod service_key {
	use sp_application_crypto::{app_crypto, sr25519, KeyTypeId};

	/// The key type of service keys in a node's keystore (`key insert --key-type asvc`).
	pub const KEY_TYPE: KeyTypeId = KeyTypeId(*b"asvc");

	app_crypto!(sr25519, KEY_TYPE);
}

/// The public half of a worker's service key.
pub type ServiceKey = service_key::Public;
/// A signature by a service key.
pub type ServiceSignature = service_key::Signature;
