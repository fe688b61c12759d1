//! What identifies a model on chain.

use alloc::vec::Vec;
use assay_semantics::DType;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use sp_core::{ConstU32, H256};
use sp_runtime::BoundedVec;

/// The identity of a model: one hash that commits to its graph, weights, signature and semantics version.
pub type ModelId = H256;

/// The most dimensions of a tensor.
pub type MaxRank = ConstU32<8>;
/// The most input tensors, and the most output tensors, of a model.
pub type MaxTensors = ConstU32<8>;

/// The element type and the dimensions of a tensor.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct TensorType {
	/// The type of one element.
	pub dtype: DType,
	/// Elements along each dimension, outermost first. All are static.
	pub dims: BoundedVec<u32, MaxRank>,
}

/// The preimage of a [`ModelId`]. It encodes to the same bytes as `assay_semantics::ModelHeader`, with bounds.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct ModelHeader {
	/// The version of the canonical semantics that the model was made for.
	pub semantics_version: u32,
	/// The root over the operators of the graph, in topological order.
	pub ir_root: H256,
	/// The number of values (output slots of operators) in the graph.
	pub values: u32,
	/// The root over the weights.
	pub weight_root: H256,
	/// The input tensors, in order. Names are metadata and bind nothing.
	pub inputs: BoundedVec<TensorType, MaxTensors>,
	/// The output tensors, in order.
	pub outputs: BoundedVec<TensorType, MaxTensors>,
	/// How often the graph runs for one inference; 1 for now.
	pub max_iterations: u32,
}

impl From<&TensorType> for assay_semantics::TensorType {
	fn from(ty: &TensorType) -> Self {
		Self { dtype: ty.dtype, dims: ty.dims.to_vec() }
	}
}

fn unbounded(types: &[TensorType]) -> Vec<assay_semantics::TensorType> {
	types.iter().map(Into::into).collect()
}

impl ModelHeader {
	/// The identity of the model with this header.
	pub fn id(&self) -> ModelId {
		let header = assay_semantics::ModelHeader {
			semantics_version: self.semantics_version,
			ir_root: self.ir_root.0,
			values: self.values,
			weight_root: self.weight_root.0,
			inputs: unbounded(&self.inputs),
			outputs: unbounded(&self.outputs),
			max_iterations: self.max_iterations,
		};
		H256(header.id())
	}
}

/// The length in bytes of the tensors of one side of a model, one after the other. `None` if it does not fit into 32 bits.
pub fn byte_len(types: &[TensorType]) -> Option<u32> {
	assay_semantics::side_byte_len(&unbounded(types)).and_then(|length| u32::try_from(length).ok())
}

/// The root that commits to a model's input tensors, given one after the other as raw little-endian bytes.
/// `None` if `bytes` is not exactly as long as the types say.
pub fn input_root(types: &[TensorType], bytes: &[u8]) -> Option<H256> {
	assay_semantics::side_root(assay_semantics::Side::Input, &unbounded(types), bytes).ok().map(H256)
}

/// Like [`input_root`], for the output tensors.
pub fn output_root(types: &[TensorType], bytes: &[u8]) -> Option<H256> {
	assay_semantics::side_root(assay_semantics::Side::Output, &unbounded(types), bytes).ok().map(H256)
}
