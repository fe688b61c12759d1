//! ONNX tensors to tensors.

use crate::{error::Reason, proto::TensorProto};
use assay_semantics::{number, DType, Tensor, TensorType};

/// The element type of an ONNX data type number.
pub(crate) fn dtype(onnx: i32) -> Result<DType, Reason> {
	Ok(match onnx {
		1 => DType::F32,
		2 => DType::U8,
		3 => DType::I8,
		6 => DType::I32,
		7 => DType::I64,
		4 => DType::U16,
		5 => DType::I16,
		9 => DType::Bool,
		10 => DType::F16,
		11 => DType::F64,
		12 => DType::U32,
		13 => DType::U64,
		16 => DType::BF16,
		n => return Err(format!("ONNX data type {n} is not supported").into()),
	})
}

/// A dimension list from ONNX's signed numbers.
pub(crate) fn dims(onnx: &[i64]) -> Result<Vec<u32>, Reason> {
	if onnx.len() > assay_semantics::MAX_RANK {
		return Err("more than 8 dimensions".into());
	}
	onnx.iter().map(|d| u32::try_from(*d).map_err(|_| format!("dimension {d} is out of range").into())).collect()
}

/// The tensor in a message, taken out of it. NaN is refused, elements are made canonical.
pub(crate) fn weight(proto: TensorProto) -> Result<Tensor, Reason> {
	let mut tensor = tensor(proto)?;
	let dtype = tensor.ty.dtype;
	if !dtype.is_float() {
		return Ok(tensor);
	}
	for chunk in tensor.bytes.chunks_exact_mut(dtype.size()) {
		let bits = chunk.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
		let bits = number::canonical(dtype, bits);
		if f64::from_bits(number::convert(dtype, DType::F64, bits)).is_nan() {
			return Err("it has a value that is not a number; train or repair the model".into());
		}
		chunk.copy_from_slice(&bits.to_le_bytes()[..chunk.len()]);
	}
	Ok(tensor)
}

/// The tensor in a message, taken out of it, bit by bit.
pub(crate) fn tensor(proto: TensorProto) -> Result<Tensor, Reason> {
	if proto.data_location != 0 {
		return Err("the data is in another file; save the model with save_as_external_data=False".into());
	}
	let ty = TensorType::new(dtype(proto.data_type)?, dims(&proto.dims)?);
	ty.check()?;
	let mut bytes = proto.raw_data;
	if bytes.is_empty() {
		// Each element type has one list; narrow types share int32's.
		let narrow = || proto.int32_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(ty.dtype.size()));
		let wide = || proto.uint64_data.iter().flat_map(|v| v.to_le_bytes().into_iter().take(ty.dtype.size()));
		bytes = match ty.dtype {
			DType::F32 => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
			DType::F64 => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
			DType::I64 => proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
			DType::U32 | DType::U64 => wide().collect(),
			_ => narrow().collect(),
		};
	}
	Ok(Tensor::new(ty, bytes)?)
}
