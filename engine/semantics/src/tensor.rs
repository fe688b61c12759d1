//! Element types, tensor types and tensors.

use crate::Bytes;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::fmt;
use scale_info::TypeInfo;

/// The largest number of dimensions of a tensor.
pub const MAX_RANK: usize = 8;

/// The largest number of bytes of one tensor: 2 GiB. Below it, no index computation can overflow a `u64`.
pub const MAX_TENSOR_BYTES: u64 = 1 << 31;

/// An element type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum DType {
	/// IEEE 754 binary32.
	#[codec(index = 0)]
	F32,
	/// Signed 8-bit integer.
	#[codec(index = 1)]
	I8,
	/// Unsigned 8-bit integer.
	#[codec(index = 2)]
	U8,
	/// Signed 32-bit integer.
	#[codec(index = 3)]
	I32,
	/// Signed 64-bit integer.
	#[codec(index = 4)]
	I64,
	/// One byte; any byte other than 0 reads as 1.
	#[codec(index = 5)]
	Bool,
	/// IEEE 754 binary16, as storage.
	#[codec(index = 6)]
	F16,
	/// The upper half of a binary32, as storage.
	#[codec(index = 7)]
	BF16,
	/// IEEE 754 binary64.
	#[codec(index = 8)]
	F64,
	/// Signed 16-bit integer.
	#[codec(index = 9)]
	I16,
	/// Unsigned 16-bit integer.
	#[codec(index = 10)]
	U16,
	/// Unsigned 32-bit integer.
	#[codec(index = 11)]
	U32,
	/// Unsigned 64-bit integer.
	#[codec(index = 12)]
	U64,
}

impl DType {
	/// Every element type.
	pub const ALL: [DType; 13] = [
		DType::F32,
		DType::I8,
		DType::U8,
		DType::I32,
		DType::I64,
		DType::Bool,
		DType::F16,
		DType::BF16,
		DType::F64,
		DType::I16,
		DType::U16,
		DType::U32,
		DType::U64,
	];

	/// Bytes per element.
	pub const fn size(self) -> usize {
		match self {
			DType::I8 | DType::U8 | DType::Bool => 1,
			DType::F16 | DType::BF16 | DType::I16 | DType::U16 => 2,
			DType::F32 | DType::I32 | DType::U32 => 4,
			DType::I64 | DType::U64 | DType::F64 => 8,
		}
	}

	/// The name in the Open Inference Protocol.
	pub const fn name(self) -> &'static str {
		match self {
			DType::F32 => "FP32",
			DType::I8 => "INT8",
			DType::U8 => "UINT8",
			DType::I32 => "INT32",
			DType::I64 => "INT64",
			DType::Bool => "BOOL",
			DType::F16 => "FP16",
			DType::BF16 => "BF16",
			DType::F64 => "FP64",
			DType::I16 => "INT16",
			DType::U16 => "UINT16",
			DType::U32 => "UINT32",
			DType::U64 => "UINT64",
		}
	}

	/// The element type with this Open Inference Protocol name.
	pub fn from_name(name: &str) -> Option<Self> {
		Self::ALL.into_iter().find(|d| d.name() == name)
	}
}

/// The type of a tensor: element type and dimensions, slowest first. No dimensions: a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct TensorType {
	/// Element type.
	pub dtype: DType,
	/// Dimensions, slowest first; at most [`MAX_RANK`].
	pub dims: Vec<u32>,
}

impl TensorType {
	/// A type from its parts. Nothing is checked; see [`TensorType::check`].
	pub fn new(dtype: DType, dims: impl Into<Vec<u32>>) -> Self {
		Self { dtype, dims: dims.into() }
	}

	/// Number of elements; `None` when the rank is over [`MAX_RANK`] or the product does not fit.
	pub fn elements(&self) -> Option<u64> {
		if self.dims.len() > MAX_RANK {
			return None;
		}
		// Zero first: `[2^32 - 1, 2^32 - 1, 2^32 - 1, 0]` is an empty tensor, whatever the order of its dimensions.
		if self.dims.contains(&0) {
			return Some(0);
		}
		self.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(u64::from(d)))
	}

	/// Number of bytes; `None` when it does not fit.
	pub fn byte_len(&self) -> Option<u64> {
		self.elements()?.checked_mul(self.dtype.size() as u64)
	}

	/// Whether rank and size are within [`MAX_RANK`] and [`MAX_TENSOR_BYTES`].
	pub fn check(&self) -> Result<(), TensorError> {
		match self.byte_len() {
			_ if self.dims.len() > MAX_RANK => Err(TensorError::Rank),
			Some(n) if n <= MAX_TENSOR_BYTES => Ok(()),
			_ => Err(TensorError::TooLarge),
		}
	}
}

impl fmt::Display for TensorType {
	/// `FP32[1,3,224,224]`.
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{}[", self.dtype.name())?;
		for (i, d) in self.dims.iter().enumerate() {
			write!(f, "{}{d}", if i == 0 { "" } else { "," })?;
		}
		f.write_str("]")
	}
}

/// A tensor: its type and its elements, row-major, little-endian.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Tensor {
	/// The type.
	pub ty: TensorType,
	/// The elements; exactly `ty.byte_len()` bytes.
	pub bytes: Bytes,
}

impl Tensor {
	/// A tensor of this type over these bytes; the length must match.
	pub fn new(ty: TensorType, bytes: Vec<u8>) -> Result<Self, TensorError> {
		Self::over(ty, bytes.into())
	}

	/// A tensor of this type over these bytes, which may be shared; the length must match.
	pub fn over(ty: TensorType, bytes: Bytes) -> Result<Self, TensorError> {
		ty.check()?;
		match ty.byte_len() {
			Some(expected) if expected == bytes.len() as u64 => Ok(Self { ty, bytes }),
			expected => Err(TensorError::Length { expected: expected.unwrap_or(u64::MAX), got: bytes.len() as u64 }),
		}
	}

	/// An f32 tensor from values.
	pub fn from_f32(dims: impl Into<Vec<u32>>, values: &[f32]) -> Result<Self, TensorError> {
		let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
		Self::new(TensorType::new(DType::F32, dims), bytes)
	}

	/// An i64 tensor from values.
	pub fn from_i64(dims: impl Into<Vec<u32>>, values: &[i64]) -> Result<Self, TensorError> {
		let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
		Self::new(TensorType::new(DType::I64, dims), bytes)
	}

	/// The elements of an f32 tensor; `None` for another element type.
	pub fn to_f32(&self) -> Option<Vec<f32>> {
		(self.ty.dtype == DType::F32)
			.then(|| self.bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect())
	}
}

/// Why bytes are no tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TensorError {
	/// More than [`MAX_RANK`] dimensions.
	Rank,
	/// More than [`MAX_TENSOR_BYTES`] bytes.
	TooLarge,
	/// The number of bytes is not what the type says.
	Length {
		/// Bytes that the type needs.
		expected: u64,
		/// Bytes given.
		got: u64,
	},
}

impl fmt::Display for TensorError {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			TensorError::Rank => write!(f, "a tensor has at most {MAX_RANK} dimensions"),
			TensorError::TooLarge => write!(f, "a tensor has at most {MAX_TENSOR_BYTES} bytes"),
			TensorError::Length { expected, got } => write!(f, "the type needs {expected} bytes, got {got}"),
		}
	}
}

impl core::error::Error for TensorError {}
