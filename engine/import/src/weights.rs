//! ONNX tensors to tensors.

use crate::{error::Reason, proto::TensorProto};
use assay_semantics::{float, DType, Tensor, TensorType};

/// The element type of an ONNX data type number.
pub(crate) fn dtype(onnx: i32) -> Result<DType, Reason> {
	Ok(match onnx {
		1 => DType::F32,
		2 => DType::U8,
		3 => DType::I8,
		6 => DType::I32,
		7 => DType::I64,
		9 => DType::Bool,
		10 => return Err("float16 is not supported yet; export the model in float32".into()),
		16 => return Err("bfloat16 is not supported yet; export the model in float32".into()),
		11 => return Err("double is not supported; export the model in float32".into()),
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

/// The tensor in a message, taken out of it. NaN is refused, subnormals become +0.
pub(crate) fn weight(proto: TensorProto) -> Result<Tensor, Reason> {
	let mut tensor = tensor(proto)?;
	if tensor.ty.dtype == DType::F32 {
		for word in tensor.bytes.chunks_exact_mut(4) {
			let value = f32::from_le_bytes([word[0], word[1], word[2], word[3]]);
			if value.is_nan() {
				return Err("it has a value that is not a number; train or repair the model".into());
			}
			word.copy_from_slice(&float::store(value).to_le_bytes());
		}
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
		bytes = match ty.dtype {
			DType::F32 => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
			DType::I64 => proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
			DType::I32 => proto.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
			DType::I8 | DType::U8 | DType::Bool => proto.int32_data.iter().map(|v| *v as u8).collect(),
		};
	}
	Ok(Tensor::new(ty, bytes)?)
}
