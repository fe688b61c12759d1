//! Operators, one element at a time.
//!
//! Every operator is a *fold*: [`init`] gives a [`State`] of 16 bytes, [`step`] takes it through one block of reduction
//! elements, [`finish`] makes the element's bits of it. Operators that reduce nothing have no blocks
//! and do everything in `finish`. A judge can so check one element as a whole or one step of it, and either way runs the
//! code that the reference evaluation runs: [`element`] is the loop over the steps and nothing more.
//!
//! A block has [`BLOCK`] elements where what a step reads lies in few contiguous runs, and [`STRIDED_BLOCK`] elements where
//! each may lie in a tile of its own. So no step, and no `finish`, reads from more than [`MAX_STEP_TILES`] tiles: its proof
//! is small. No element takes more than [`MAX_STEPS`] steps: its partial states fit into one message.
//!
//! All functions are total. Whatever the types, attributes, index and state, they return; an index out of range is
//! clamped, integer division by zero gives zero. There are no run-time errors that a job could end in.
//!
//! Operands are read through [`Read`], which gives canonical bits (see [`Bits`]).

mod contract;
mod fold;
mod gather;
mod index;
mod movement;
mod order;
mod pointwise;
mod quantize;
mod sample;
mod scatter;
mod window;

pub use crate::number::canonical;
pub use contract::{Conv, MatMul};
pub use fold::{Pool, PoolKind, Reduce, ReduceKind};
pub use gather::Gather;
pub use movement::{Concat, Expand, Pad, Reshape, Slice, Transpose};
pub use order::{Prefix, PrefixKind, Rank};
pub use pointwise::{Binary, BitCast, Cast, Select, Unary};
pub use quantize::Quantize;
pub use sample::{Resample, Sample, SampleBorder, SampleMode};
pub use scatter::{Scatter, ScatterKind, ScatterUpdate};
pub use window::Window;

use crate::{
	float,
	number::{from_i64, to_i64},
	DType, Op, TensorType,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

/// Elements of a reduction that one step takes where they lie in contiguous runs.
pub const BLOCK: u64 = 256;

/// Elements of a reduction that one step takes where they may lie anywhere.
pub const STRIDED_BLOCK: u64 = 32;

/// The most steps behind one element.
pub const MAX_STEPS: u64 = 1024;

/// The most tiles that a step, or a `finish`, reads from. A convolution reaches it: 16 runs of channels over two tiles
/// each, and two tiles of weights.
pub const MAX_STEP_TILES: usize = 34;

/// An element as the low bits of a `u64`, little-endian, zero-extended. Canonical: NaN is one NaN, subnormals are +0, a
/// bool is 0 or 1.
pub type Bits = u64;

/// Access to the operands' elements.
pub trait Read {
	/// The canonical bits of element `index` of operand `operand`. Total: an index beyond the end reads the last element,
	/// an empty or missing operand reads 0.
	fn read(&self, operand: usize, index: u64) -> Bits;

	/// The same as f32.
	#[inline]
	fn f32(&self, operand: usize, index: u64) -> f32 {
		f32::from_bits(self.read(operand, index) as u32)
	}
}

/// The state between two steps of a fold: 16 bytes, whose meaning is the operator's.
#[derive(
	Clone, Copy, PartialEq, Eq, Default, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct State(pub [u64; 2]);

/// Where an element is computed: the types of the operands and of the value.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
	/// Types of the operands.
	pub ins: &'a [&'a TensorType],
	/// Type of the value.
	pub out: &'a TensorType,
}

impl Site<'_> {
	/// Dimensions of an operand; none when there is no such operand.
	fn dims(&self, operand: usize) -> &[u32] {
		self.ins.get(operand).map(|t| t.dims.as_slice()).unwrap_or_default()
	}

	/// Element type of an operand; that of the value when there is no such operand.
	fn dtype(&self, operand: usize) -> DType {
		self.ins.get(operand).map_or(self.out.dtype, |t| t.dtype)
	}
}

/// Why an operator does not accept its operands or attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TypeError(pub &'static str);

impl fmt::Display for TypeError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(self.0)
	}
}

impl core::error::Error for TypeError {}

/// What every operator defines.
pub(crate) trait Operator {
	/// The type of the value; an error when the operator does not accept these operands.
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError>;

	/// Length of the reduction behind each element.
	fn reduction(&self, _site: &Site) -> u64 {
		0
	}

	/// Elements of the reduction that one step takes; never 0. What a step reads must lie in at most [`MAX_STEP_TILES`]
	/// tiles.
	fn block(&self, _site: &Site) -> u64 {
		BLOCK
	}

	/// The state before the first step.
	fn init(&self, _site: &Site) -> State {
		State::default()
	}

	/// Takes the reduction elements `range` into the state, for output element `index`. The range is one block.
	fn step<R: Read + ?Sized>(
		&self,
		_site: &Site,
		_index: u64,
		_range: core::ops::Range<u64>,
		state: State,
		_read: &R,
	) -> State {
		state
	}

	/// The bits of output element `index`, as stored. For f32, `float::store` has been applied.
	fn finish<R: Read + ?Sized>(&self, site: &Site, index: u64, state: State, read: &R) -> Bits;
}

/// Calls an expression with the operator inside an [`Op`]; `$source` for inputs and weights.
macro_rules! dispatch {
	($op:expr, $o:ident => $call:expr, $source:expr) => {
		match $op {
			$crate::Op::Input(_) | $crate::Op::Weight(_) => $source,
			$crate::Op::Reshape($o) => $call,
			$crate::Op::Transpose($o) => $call,
			$crate::Op::Slice($o) => $call,
			$crate::Op::Expand($o) => $call,
			$crate::Op::Concat($o) => $call,
			$crate::Op::Pad($o) => $call,
			$crate::Op::Gather($o) => $call,
			$crate::Op::Unary($o) => $call,
			$crate::Op::Binary($o) => $call,
			$crate::Op::Select($o) => $call,
			$crate::Op::Cast($o) => $call,
			$crate::Op::Quantize($o) => $call,
			$crate::Op::BitCast($o) => $call,
			$crate::Op::MatMul($o) => $call,
			$crate::Op::Conv($o) => $call,
			$crate::Op::Reduce($o) => $call,
			$crate::Op::Pool($o) => $call,
			$crate::Op::Resample($o) => $call,
			$crate::Op::Sample($o) => $call,
			$crate::Op::Scatter($o) => $call,
			$crate::Op::Rank($o) => $call,
			$crate::Op::Prefix($o) => $call,
		}
	};
}
pub(crate) use dispatch;

/// The type of the value of `op` over operands of these types.
///
/// Also enforces what makes every element judgeable: valid types, at most [`crate::ir::MAX_OPERANDS`] operands, at most
/// [`MAX_STEPS`] steps.
pub fn out_type(op: &Op, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
	if ins.len() > crate::ir::MAX_OPERANDS {
		return Err(TypeError("a node has at most 64 operands"));
	}
	if ins.iter().any(|t| t.check().is_err()) {
		return Err(TypeError("an operand has more than 8 dimensions or more than 2 GiB"));
	}
	let out = dispatch!(op, o => o.out_type(ins)?, return Err(TypeError("inputs and weights state their own type")));
	out.check().map_err(|_| TypeError("the value would have more than 8 dimensions or more than 2 GiB"))?;
	let site = Site { ins, out: &out };
	if steps(op, &site) > MAX_STEPS {
		return Err(TypeError(
			"the reduction is longer than 1,024 steps: 262,144 elements, or 32,768 where they do not lie together",
		));
	}
	Ok(out)
}

/// The operator's name.
pub fn name(op: &Op) -> &'static str {
	match op {
		Op::Input(_) => "Input",
		Op::Weight(_) => "Weight",
		Op::Reshape(_) => "Reshape",
		Op::Transpose(_) => "Transpose",
		Op::Slice(_) => "Slice",
		Op::Expand(_) => "Expand",
		Op::Concat(_) => "Concat",
		Op::Pad(_) => "Pad",
		Op::Gather(_) => "Gather",
		Op::Unary(_) => "Unary",
		Op::Binary(_) => "Binary",
		Op::Select(_) => "Select",
		Op::Cast(_) => "Cast",
		Op::Quantize(_) => "Quantize",
		Op::BitCast(_) => "BitCast",
		Op::MatMul(_) => "MatMul",
		Op::Conv(_) => "Conv",
		Op::Reduce(_) => "Reduce",
		Op::Pool(_) => "Pool",
		Op::Resample(_) => "Resample",
		Op::Sample(_) => "Sample",
		Op::Scatter(_) => "Scatter",
		Op::Rank(_) => "Rank",
		Op::Prefix(_) => "Prefix",
	}
}

/// Number of steps behind each element.
pub fn steps(op: &Op, site: &Site) -> u64 {
	dispatch!(op, o => o.reduction(site).div_ceil(o.block(site).max(1)), 0)
}

/// The state before the first step.
pub fn init(op: &Op, site: &Site) -> State {
	dispatch!(op, o => o.init(site), State::default())
}

/// Step number `block` of output element `index`. A block beyond the last changes nothing.
pub fn step<R: Read + ?Sized>(op: &Op, site: &Site, index: u64, block: u64, state: State, read: &R) -> State {
	dispatch!(op, o => step_of(o, site, index, block, state, read), state)
}

/// The element's bits from the state after the last step.
pub fn finish<R: Read + ?Sized>(op: &Op, site: &Site, index: u64, state: State, read: &R) -> Bits {
	dispatch!(op, o => o.finish(site, index, state, read), 0)
}

/// One element of the value of `op`. Inputs and weights have no element function and give 0.
pub fn element<R: Read + ?Sized>(op: &Op, site: &Site, index: u64, read: &R) -> Bits {
	dispatch!(op, o => element_of(o, site, index, read), 0)
}

#[inline]
fn step_of<O: Operator, R: Read + ?Sized>(
	op: &O,
	site: &Site,
	index: u64,
	block: u64,
	state: State,
	read: &R,
) -> State {
	let size = op.block(site).max(1);
	let end = op.reduction(site).min(size.saturating_mul(MAX_STEPS));
	let start = block.saturating_mul(size);
	if start >= end {
		return state;
	}
	op.step(site, index, start..end.min(start.saturating_add(size)), state, read)
}

/// [`element`] of a known operator.
#[inline]
pub(crate) fn element_of<O: Operator, R: Read + ?Sized>(op: &O, site: &Site, index: u64, read: &R) -> Bits {
	let mut state = op.init(site);
	for block in 0..op.reduction(site).div_ceil(op.block(site).max(1)).min(MAX_STEPS) {
		state = step_of(op, site, index, block, state, read);
	}
	op.finish(site, index, state, read)
}

/// The bits of an f32, as stored.
#[inline]
fn from_f32(value: f32) -> Bits {
	u64::from(float::store(value))
}

/// One operand, or an error.
fn one<'a>(ins: &[&'a TensorType]) -> Result<&'a TensorType, TypeError> {
	match ins {
		[a] => Ok(a),
		_ => Err(TypeError("the operator takes one operand")),
	}
}

/// Two operands, or an error.
fn two<'a>(ins: &[&'a TensorType]) -> Result<(&'a TensorType, &'a TensorType), TypeError> {
	match ins {
		[a, b] => Ok((a, b)),
		_ => Err(TypeError("the operator takes two operands")),
	}
}

#[cfg(test)]
mod elementary_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;
