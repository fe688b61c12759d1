//! The graph: nodes, values, operators.
//!
//! - A node produces one value, and a value has the number of its node. Operators of ONNX with several outputs are lowered
//!   to several nodes.
//! - A node names its inputs by value number, each lower than its own, and carries its output type. So a node and the
//!   types of its inputs are all that a judge needs to see to tell whether the node is valid.
//! - Inputs and weights are nodes too. Nodes `0 .. inputs` are `Input(0), Input(1), …`; `Weight(i)` may stand anywhere.
//! - The last `outputs` values are the outputs.

use crate::{
	ops::{
		Binary, BitCast, Cast, Concat, Conv, Expand, Gather, MatMul, Pad, Pool, Prefix, Quantize, Rank, Reduce,
		Resample, Reshape, Sample, Scatter, Select, Slice, Transpose, Unary,
	},
	TensorType,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// The number of a value, which is the number of its node.
pub type ValueId = u32;

/// The largest number of operands of a node.
pub const MAX_OPERANDS: usize = 64;

/// A node: an operator, its operands and the type of its value.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Node {
	/// The operator with its attributes.
	pub op: Op,
	/// The operands, each lower than the node's own number.
	pub inputs: Vec<ValueId>,
	/// The type of the value.
	pub ty: TensorType,
}

/// An operator with its attributes.
///
/// Codec indices come in families, with room for what is planned: sources 0, movement 16, pointwise 32, contraction 48,
/// folds 64, self-reading 80, sampling 96, control 112. To add an operator: a type in the family's file under `ops/` with
/// `impl Operator`, a variant here, an arm in `dispatch!`.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Op {
	/// The model's input number `i`.
	#[codec(index = 0)]
	Input(u32),
	/// The model's weight number `i`.
	#[codec(index = 1)]
	Weight(u32),
	/// The same elements under other dimensions.
	#[codec(index = 16)]
	Reshape(Reshape),
	/// Permuted dimensions.
	#[codec(index = 17)]
	Transpose(Transpose),
	/// A strided box.
	#[codec(index = 18)]
	Slice(Slice),
	/// Broadcast to larger dimensions.
	#[codec(index = 19)]
	Expand(Expand),
	/// Tensors joined along an axis.
	#[codec(index = 20)]
	Concat(Concat),
	/// A constant border.
	#[codec(index = 21)]
	Pad(Pad),
	/// Elements at computed places.
	#[codec(index = 22)]
	Gather(Gather),
	/// A function of one element.
	#[codec(index = 32)]
	Unary(Unary),
	/// A function of two elements, with numpy broadcasting.
	#[codec(index = 33)]
	Binary(Binary),
	/// One of two elements, as a third says.
	#[codec(index = 35)]
	Select(Select),
	/// Conversion to another element type.
	#[codec(index = 36)]
	Cast(Cast),
	/// The same bits as another element type.
	#[codec(index = 37)]
	BitCast(BitCast),
	/// Scaled, rounded and clamped to integers of 8 or 16 bits.
	#[codec(index = 40)]
	Quantize(Quantize),
	/// Matrix product `A[.., M, K] * B[.., N, K]`.
	#[codec(index = 48)]
	MatMul(MatMul),
	/// Convolution of `[N, spatial.., C]` with `[O, kernel.., C / groups]`.
	#[codec(index = 49)]
	Conv(Conv),
	/// Sum, mean, maximum or minimum over axes.
	#[codec(index = 64)]
	Reduce(Reduce),
	/// Maximum or average over windows of `[N, spatial.., C]`.
	#[codec(index = 65)]
	Pool(Pool),
	/// Weighted sums along an axis, at fixed places.
	#[codec(index = 96)]
	Resample(Resample),
	/// Interpolation at computed places.
	#[codec(index = 97)]
	Sample(Sample),
	/// Elements put, or taken in, at computed places.
	#[codec(index = 66)]
	Scatter(Scatter),
	/// How many elements along an axis come before each one.
	#[codec(index = 67)]
	Rank(Rank),
	/// Sums or products of the elements up to each one along an axis.
	#[codec(index = 80)]
	Prefix(Prefix),
}
