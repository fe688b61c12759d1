//! ONNX tensors to tensors.

use crate::{error::Reason, proto::TensorProto};
use assay_semantics::{number, Bytes, DType, Memory, Tensor, TensorType};
use std::sync::Arc;

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

/// The bytes of a message's field.
struct Field(prost::bytes::Bytes);

impl Memory for Field {
	fn bytes(&self) -> &[u8] {
		&self.0
	}
}

/// Whether elements are what reading them would give, so that they can be moved as they are.
pub(crate) fn is_canonical(tensor: &Tensor) -> bool {
	match tensor.ty.dtype {
		DType::F32 => !tensor.bytes.chunks_exact(4).fold(false, |odd, c| {
			let x = f32::from_le_bytes([c[0], c[1], c[2], c[3]]);
			// Subnormals and NaN.
			odd | !((x.abs() >= f32::MIN_POSITIVE) | (x == 0.0))
		}),
		dtype => !dtype.is_float() && dtype != DType::Bool,
	}
}

/// The tensor of an initialiser of a file. Its bytes are those of the file where they can be.
pub(crate) fn initialiser(mut proto: TensorProto, file: &Bytes) -> Result<Tensor, Reason> {
	let raw = std::mem::take(&mut proto.raw_data);
	// Decoding cut the field out of the file's memory, so the addresses say where.
	let start = (raw.as_ptr() as usize).checked_sub(file.as_ptr() as usize);
	let part = start.and_then(|start| file.part(start, raw.len()));
	match part {
		Some(part) if !raw.is_empty() => {
			let tensor = canonical(tensor_of(proto, part)?)?;
			tensor.bytes.release();
			Ok(tensor)
		}
		_ => {
			proto.raw_data = raw;
			weight(proto)
		}
	}
}

/// The tensor in a message, taken out of it. NaN is refused, elements are made canonical.
pub(crate) fn weight(proto: TensorProto) -> Result<Tensor, Reason> {
	canonical(tensor(proto)?)
}

fn canonical(mut tensor: Tensor) -> Result<Tensor, Reason> {
	let dtype = tensor.ty.dtype;
	if !dtype.is_float() || is_canonical(&tensor) {
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
pub(crate) fn tensor(mut proto: TensorProto) -> Result<Tensor, Reason> {
	let raw = std::mem::take(&mut proto.raw_data);
	let bytes = if raw.is_empty() { Bytes::default() } else { Bytes::shared(Arc::new(Field(raw))) };
	tensor_of(proto, bytes)
}

/// The tensor that a message describes, over these bytes, or over those in its lists of numbers when there are none.
fn tensor_of(proto: TensorProto, mut bytes: Bytes) -> Result<Tensor, Reason> {
	if proto.data_location != 0 {
		return Err("the data is in another file; save the model with save_as_external_data=False".into());
	}
	let ty = TensorType::new(dtype(proto.data_type)?, dims(&proto.dims)?);
	ty.check()?;
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
	Ok(Tensor::over(ty, bytes)?)
}
