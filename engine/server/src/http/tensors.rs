//! Tensors as JSON: numbers in row-major order, flat or nested, to raw bytes and back.

use std::fmt;

use assay_semantics::{
	number::{canonical, convert},
	DType, TensorType,
};
use serde::{
	de::{value::MapAccessDeserializer, Error, MapAccess, SeqAccess, Visitor},
	Deserialize, Deserializer,
};
use serde_json::Value;

/// One number, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
	Bool(bool),
	Unsigned(u64),
	Signed(i64),
	Float(f64),
	/// One of the three floats that JSON has no numbers for. Written as a string, as Protocol Buffers do in JSON.
	Special(f32),
}

/// The `data` of a tensor.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Data {
	numbers: Vec<Number>,
	/// The length of the lists at each depth, outermost first.
	lengths: Vec<usize>,
}

impl<'de> Deserialize<'de> for Data {
	fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
		let mut data = Data::default();
		deserializer.deserialize_any(Nested { data: &mut data, depth: 0, leaf_depth: &mut None })?;
		if data.lengths.is_empty() {
			return Err(Error::custom("data is a list of numbers"));
		}
		Ok(data)
	}
}

/// Reads a list, or a number at the bottom of lists, without building a tree.
struct Nested<'a> {
	data: &'a mut Data,
	depth: usize,
	/// How deep the numbers are; the same for all.
	leaf_depth: &'a mut Option<usize>,
}

impl Nested<'_> {
	fn number<E: Error>(self, number: Number) -> Result<(), E> {
		if *self.leaf_depth.get_or_insert(self.depth) != self.depth || self.depth < self.data.lengths.len() {
			return Err(E::custom("data mixes numbers and lists"));
		}
		self.data.numbers.push(number);
		Ok(())
	}
}

impl<'de> serde::de::DeserializeSeed<'de> for Nested<'_> {
	type Value = ();

	fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
		deserializer.deserialize_any(self)
	}
}

impl<'de> Visitor<'de> for Nested<'_> {
	type Value = ();

	fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
		f.write_str("numbers, flat or nested")
	}

	fn visit_bool<E: Error>(self, v: bool) -> Result<(), E> {
		self.number(Number::Bool(v))
	}

	fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
		self.number(Number::Unsigned(v))
	}

	fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
		self.number(Number::Signed(v))
	}

	fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
		self.number(Number::Float(v))
	}

	fn visit_str<E: Error>(self, v: &str) -> Result<(), E> {
		let special = match v {
			"NaN" => f32::NAN,
			"Infinity" => f32::INFINITY,
			"-Infinity" => f32::NEG_INFINITY,
			_ => return Err(E::custom("data holds a string that is none of NaN, Infinity and -Infinity")),
		};
		self.number(Number::Special(special))
	}

	// Built together with crates that want serde_json's arbitrary precision, it hands numbers over as a map that only its own
	// type can read.
	fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
		let number = serde_json::Number::deserialize(MapAccessDeserializer::new(map))
			.map_err(|_| A::Error::custom("data holds an object where a number is expected"))?;
		if let Some(number) = number.as_u64() {
			return self.number(Number::Unsigned(number));
		}
		match (number.as_i64(), number.as_f64()) {
			(Some(0), _) => self.number(Number::Float(-0.0)),
			(Some(number), _) => self.number(Number::Signed(number)),
			(None, Some(number)) => self.number(Number::Float(number)),
			(None, None) => Err(A::Error::custom("data holds a number that is out of range")),
		}
	}

	fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
		let Nested { data, depth, leaf_depth } = self;
		if leaf_depth.is_some_and(|leaf| leaf <= depth) {
			return Err(A::Error::custom("data mixes numbers and lists"));
		}
		// The first list of this depth says how long the others have to be.
		let is_first = data.lengths.len() == depth;
		if is_first {
			data.lengths.push(0);
		}
		let mut length = 0;
		while list
			.next_element_seed(Nested { data: &mut *data, depth: depth + 1, leaf_depth: &mut *leaf_depth })?
			.is_some()
		{
			length += 1;
		}
		if is_first {
			data.lengths[depth] = length;
		} else if data.lengths[depth] != length {
			return Err(A::Error::custom("data is nested in lists of different lengths"));
		}
		Ok(())
	}
}

impl Data {
	/// The raw bytes of a tensor of this type.
	pub(super) fn to_bytes(&self, ty: &TensorType) -> Result<Vec<u8>, String> {
		let count = ty.elements().ok_or("the tensor is too large")?;
		if self.numbers.len() as u64 != count {
			return Err(format!("data has {} elements, the shape {:?} has {count}", self.numbers.len(), ty.dims));
		}
		let nested_as_shape = self.lengths.iter().map(|n| *n as u64).eq(ty.dims.iter().map(|n| u64::from(*n)));
		if self.lengths.len() > 1 && count > 0 && !nested_as_shape {
			return Err(format!("data is nested as {:?}, the shape is {:?}", self.lengths, ty.dims));
		}
		let mut bytes = Vec::with_capacity(self.numbers.len().saturating_mul(ty.dtype.size()));
		for (i, number) in self.numbers.iter().enumerate() {
			let bad = |number| format!("element {i} is {number:?}, which is no {}", ty.dtype.name());
			number.append(ty.dtype, &mut bytes).ok_or_else(|| bad(number))?;
		}
		Ok(bytes)
	}
}

impl Number {
	fn append(self, dtype: DType, bytes: &mut Vec<u8>) -> Option<()> {
		match dtype {
			DType::F32 => bytes.extend(self.float()?.to_le_bytes()),
			DType::I8 => bytes.extend(self.integer::<i8>()?.to_le_bytes()),
			DType::U8 => bytes.extend(self.integer::<u8>()?.to_le_bytes()),
			DType::I32 => bytes.extend(self.integer::<i32>()?.to_le_bytes()),
			DType::I64 => bytes.extend(self.integer::<i64>()?.to_le_bytes()),
			DType::Bool => bytes.push(self.boolean()?.into()),
			DType::F64 => bytes.extend(self.double()?.to_le_bytes()),
			DType::F16 | DType::BF16 => {
				let bits = convert(DType::F64, dtype, self.double()?.to_bits());
				bytes.extend(&bits.to_le_bytes()[..2]);
			}
			DType::I16 => bytes.extend(self.integer::<i16>()?.to_le_bytes()),
			DType::U16 => bytes.extend(self.integer::<u16>()?.to_le_bytes()),
			DType::U32 => bytes.extend(self.integer::<u32>()?.to_le_bytes()),
			DType::U64 => bytes.extend(self.integer::<u64>()?.to_le_bytes()),
		}
		Some(())
	}

	/// The nearest f32; none for what is finite and beyond all of them.
	fn float(self) -> Option<f32> {
		let value = match self {
			Number::Float(v) => v as f32,
			Number::Unsigned(v) => v as f32,
			Number::Signed(v) => v as f32,
			Number::Special(v) => return Some(v),
			Number::Bool(_) => return None,
		};
		value.is_finite().then_some(value)
	}

	fn double(self) -> Option<f64> {
		Some(match self {
			Number::Float(v) => v,
			Number::Unsigned(v) => v as f64,
			Number::Signed(v) => v as f64,
			Number::Special(v) => v.into(),
			Number::Bool(_) => return None,
		})
	}

	fn integer<T: TryFrom<u64> + TryFrom<i64>>(self) -> Option<T> {
		match self {
			Number::Unsigned(v) => v.try_into().ok(),
			Number::Signed(v) => v.try_into().ok(),
			_ => None,
		}
	}

	fn boolean(self) -> Option<bool> {
		match self {
			Number::Bool(v) => Some(v),
			Number::Unsigned(v @ 0..=1) => Some(v == 1),
			_ => None,
		}
	}
}

/// The elements of raw bytes as JSON, flat.
pub(super) fn to_json(dtype: DType, bytes: &[u8]) -> Vec<Value> {
	let element = |b: &[u8]| -> Option<Value> {
		Some(match dtype {
			DType::F32 => float_to_json(f32::from_le_bytes(b.try_into().ok()?).into()),
			DType::I8 => i8::from_le_bytes(b.try_into().ok()?).into(),
			DType::U8 => u8::from_le_bytes(b.try_into().ok()?).into(),
			DType::I32 => i32::from_le_bytes(b.try_into().ok()?).into(),
			DType::I64 => i64::from_le_bytes(b.try_into().ok()?).into(),
			DType::Bool => (b != [0]).into(),
			DType::F64 => float_to_json(f64::from_le_bytes(b.try_into().ok()?)),
			DType::F16 | DType::BF16 => {
				let bits = canonical(dtype, u16::from_le_bytes(b.try_into().ok()?).into());
				float_to_json(f64::from_bits(convert(dtype, DType::F64, bits)))
			}
			DType::I16 => i16::from_le_bytes(b.try_into().ok()?).into(),
			DType::U16 => u16::from_le_bytes(b.try_into().ok()?).into(),
			DType::U32 => u32::from_le_bytes(b.try_into().ok()?).into(),
			DType::U64 => u64::from_le_bytes(b.try_into().ok()?).into(),
		})
	};
	bytes.chunks_exact(dtype.size()).filter_map(element).collect()
}

fn float_to_json(value: f64) -> Value {
	if value.is_nan() {
		"NaN".into()
	} else if value.is_infinite() {
		if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
	} else {
		// Exact: every f32 is an f64, and reading gives the same f64 and so the same f32.
		value.into()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn bytes(json: &str, dtype: DType, dims: &[u32]) -> Result<Vec<u8>, String> {
		let data: Data = serde_json::from_str(json).map_err(|e| e.to_string())?;
		data.to_bytes(&TensorType::new(dtype, dims))
	}

	#[test]
	fn data_should_mean_the_same_when_flat_and_when_nested() {
		let flat = bytes("[1, 2, 3, 4, 5, 6]", DType::I32, &[1, 2, 3]).unwrap();
		assert_eq!(bytes("[[[1, 2, 3], [4, 5, 6]]]", DType::I32, &[1, 2, 3]).unwrap(), flat);
		assert_eq!(bytes("[]", DType::F32, &[0, 3]).unwrap(), Vec::<u8>::new());
		assert_eq!(bytes("[[], []]", DType::F32, &[2, 0]).unwrap(), Vec::<u8>::new());
		assert_eq!(bytes("[7]", DType::U8, &[]).unwrap(), vec![7]);
	}

	#[test]
	fn data_should_be_refused_when_it_is_not_of_the_shape() {
		for json in [
			"[1, 2, 3]",
			"[[1, 2], [3, 4]]",
			"[[1, 2, 3], [4, 5]]",
			"[[1, 2, 3], 4, 5, 6]",
			"[1, 2, 3, [4, 5, 6]]",
			"[[[1], 2], [3, 4]]",
			"[[1, 2], [3, 4], [5, 6]]",
			"[[], [1, 2, 3], [4, 5, 6]]",
			"7",
			"null",
			"{}",
			"[null]",
			r#"["7"]"#,
		] {
			assert!(bytes(json, DType::I32, &[2, 3]).is_err(), "{json}");
		}
	}

	#[test]
	fn number_should_be_refused_when_the_type_cannot_hold_it() {
		for (json, dtype) in [
			("[128]", DType::I8),
			("[-129]", DType::I8),
			("[-1]", DType::U8),
			("[256]", DType::U8),
			("[1.0]", DType::I32),
			("[2147483648]", DType::I32),
			("[9223372036854775808]", DType::I64),
			("[2]", DType::Bool),
			("[0.5]", DType::Bool),
			("[1e39]", DType::F32),
			("[true]", DType::F32),
			(r#"["NaN"]"#, DType::I8),
		] {
			assert!(bytes(json, dtype, &[1]).is_err(), "{json} as {dtype:?}");
		}
	}

	#[test]
	fn numbers_should_survive_the_way_there_and_back() {
		for (json, dtype) in [
			("[-128,127]", DType::I8),
			("[0,255]", DType::U8),
			("[-2147483648,2147483647]", DType::I32),
			("[-9223372036854775808,9223372036854775807]", DType::I64),
			("[true,false]", DType::Bool),
			(r#"["Infinity","-Infinity"]"#, DType::F32),
		] {
			let raw = bytes(json, dtype, &[2]).unwrap();
			assert_eq!(serde_json::to_string(&to_json(dtype, &raw)).unwrap(), json);
		}
	}

	#[test]
	fn floats_should_keep_their_bits_when_written_and_read() {
		let mut bits = 1u32;
		let mut values = vec![0.0, -0.0, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::from_bits(1)];
		for _ in 0..20_000 {
			bits = bits.wrapping_mul(1664525).wrapping_add(1013904223);
			values.push(f32::from_bits(bits));
		}
		values.retain(|v| v.is_finite());
		let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
		let json = serde_json::to_string(&to_json(DType::F32, &raw)).unwrap();
		assert_eq!(bytes(&json, DType::F32, &[values.len() as u32]).unwrap(), raw);
		assert_eq!(serde_json::to_string(&to_json(DType::F32, &f32::NAN.to_le_bytes())).unwrap(), r#"["NaN"]"#);
	}
}
