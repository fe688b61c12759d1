//! What the registry stores and what a registration says.

use assay_primitives::{Balance, ModelHeader, ModelId, Policy};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::BoundedVec;
use frame_system::pallet_prelude::BlockNumberFor;
use scale_info::TypeInfo;
use sp_core::ConstU32;
use sp_runtime::Permill;

use assay_primitives::model::MaxTensors;

/// The most bytes in a name, of a model or of a tensor.
pub type MaxNameLen = ConstU32<64>;
/// The most bytes in the address of an artifact.
pub type MaxUrlLen = ConstU32<256>;
/// The most artifacts of a model.
pub type MaxArtifacts = ConstU32<4>;
/// The most versions of one name that stand beside the newest one.
pub type MaxOlderVersions = ConstU32<63>;

/// A name in UTF-8, not empty.
pub type Name = BoundedVec<u8, MaxNameLen>;
/// An address, usually a URL, in UTF-8, not empty.
pub type Url = BoundedVec<u8, MaxUrlLen>;

/// What an owner says about a model in order to register it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Registration {
	/// The preimage of the model's identity.
	pub header: ModelHeader,
	/// A name for each input tensor, in the order of the header.
	pub input_names: BoundedVec<Name, MaxTensors>,
	/// A name for each output tensor, in the order of the header.
	pub output_names: BoundedVec<Name, MaxTensors>,
	/// Where the model's file can be had. It needs no trust: the file's hashes are in the header.
	pub artifacts: BoundedVec<Url, MaxArtifacts>,
	/// The least fee for one inference, in planck.
	pub price: Balance,
	/// The share of each fee that goes to the owner.
	pub royalty: Permill,
	/// How answers of the model are verified.
	pub policy: Policy,
}

/// Whether a model takes new jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ModelStatus<BlockNumber> {
	/// It does.
	#[codec(index = 0)]
	Active,
	/// It does not, for good; its open jobs go on.
	#[codec(index = 1)]
	Deprecated {
		/// The block in which it was deprecated.
		since: BlockNumber,
	},
	/// It does not, for good: a node of its graph turned out to be invalid, and answers to its open jobs are void.
	#[codec(index = 2)]
	Invalid {
		/// The block in which that was proven.
		since: BlockNumber,
	},
}

/// A model that stands in the registry.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct ModelRecord<AccountId, BlockNumber> {
	/// Who registered the model and earns its royalty.
	pub owner: AccountId,
	/// What the owner calls it.
	pub name: Name,
	/// The number of this version among those that the owner registered under the name, from 1.
	pub version: u32,
	/// The preimage of the model's identity.
	pub header: ModelHeader,
	/// A name for each input tensor.
	pub input_names: BoundedVec<Name, MaxTensors>,
	/// A name for each output tensor.
	pub output_names: BoundedVec<Name, MaxTensors>,
	/// Where the model's file can be had.
	pub artifacts: BoundedVec<Url, MaxArtifacts>,
	/// The least fee for one inference, in planck.
	pub price: Balance,
	/// The share of each fee that goes to the owner.
	pub royalty: Permill,
	/// How answers of the model are verified.
	pub policy: Policy,
	/// Whether the model takes new jobs.
	pub status: ModelStatus<BlockNumber>,
	/// What is held on the owner for the bytes of this record, in planck.
	pub deposit: Balance,
	/// The block in which the model was registered.
	pub registered_at: BlockNumber,
}

/// The versions that stand under one name of one owner.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct NameRecord {
	/// The newest version that stands.
	pub latest: ModelId,
	/// How many versions were registered since the name was taken; the number of the newest one ever.
	pub versions: u32,
	/// The other versions that stand, oldest first.
	pub older: BoundedVec<ModelId, MaxOlderVersions>,
}

/// A [`ModelRecord`] of a runtime.
pub type ModelRecordOf<T> = ModelRecord<<T as frame_system::Config>::AccountId, BlockNumberFor<T>>;
