//! Tensors as JSON: numbers in row-major order, flat or nested, to raw bytes and back.

use std::str::FromStr;

use assay_semantics::{
	number::{canonical, convert},
	DType, TensorType,
};
use serde::{ser::SerializeSeq, Serialize, Serializer};

/// Tensors have at most 8 dimensions; deeper lists are of no shape.
const MAX_DEPTH: usize = 16;

/// Appends the raw bytes of a tensor of this type. `json` is one JSON value, well-formed.
pub(super) fn read(json: &str, ty: &TensorType, bytes: &mut Vec<u8>) -> Result<(), String> {
	let expected = ty.elements().ok_or("the tensor is too large")?;
	let mut lists = Lists::default();
	let mut rest = json.trim_ascii();
	let mut count = 0u64;
	while let Some(first) = rest.bytes().next() {
		let length = match first {
			b'[' => {
				lists.open()?;
				1
			}
			b']' => {
				lists.close()?;
				1
			}
			b',' | b' ' | b'\t' | b'\n' | b'\r' => 1,
			b'{' => return Err("data holds an object where a number is expected".into()),
			_ => {
				let length = rest.find([',', ']', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
				let text = rest.get(..length).unwrap_or_default();
				lists.element()?;
				if count < expected {
					let no = || format!("element {count} is {}, which is no {}", shortened(text), ty.dtype.name());
					append(text, ty.dtype, bytes).ok_or_else(no)?;
				}
				count += 1;
				length
			}
		};
		rest = rest.get(length..).unwrap_or_default();
	}
	if count != expected {
		return Err(format!("data has {count} elements, the shape {:?} has {expected}", ty.dims));
	}
	if !lists.fits(ty) {
		return Err(format!("data is nested as {:?}, the shape is {:?}", lists.lengths, ty.dims));
	}
	Ok(())
}

fn shortened(text: &str) -> String {
	text.chars().take(40).collect()
}

/// How lists are nested: all of one depth are of one length, and elements are all at one depth.
#[derive(Default)]
struct Lists {
	/// The length of the lists at each depth that is closed somewhere, outermost first.
	lengths: Vec<Option<usize>>,
	/// How many there are so far in each list that is open.
	open: Vec<usize>,
	/// How deep the elements are.
	leaf: Option<usize>,
}

impl Lists {
	fn open(&mut self) -> Result<(), String> {
		if self.leaf.is_some_and(|leaf| self.open.len() >= leaf) {
			return Err("data mixes numbers and lists".into());
		}
		if self.open.len() >= MAX_DEPTH {
			return Err(format!("data is nested in more than {MAX_DEPTH} lists"));
		}
		self.count();
		self.open.push(0);
		if self.lengths.len() < self.open.len() {
			self.lengths.push(None);
		}
		Ok(())
	}

	fn close(&mut self) -> Result<(), String> {
		let length = self.open.pop().unwrap_or_default();
		let known = self.lengths.get_mut(self.open.len()).map(|known| *known.get_or_insert(length));
		if known != Some(length) {
			return Err("data is nested in lists of different lengths".into());
		}
		Ok(())
	}

	fn element(&mut self) -> Result<(), String> {
		let depth = self.open.len();
		if depth == 0 {
			return Err("data is a list of numbers".into());
		}
		// Lists that are deeper, even empty ones, are lists where numbers are.
		if *self.leaf.get_or_insert(depth) != depth || self.lengths.len() > depth {
			return Err("data mixes numbers and lists".into());
		}
		self.count();
		Ok(())
	}

	fn count(&mut self) {
		if let Some(last) = self.open.last_mut() {
			*last += 1;
		}
	}

	fn fits(&self, ty: &TensorType) -> bool {
		let lengths = self.lengths.iter().map(|n| n.unwrap_or_default() as u64);
		let is_nested_so = lengths.eq(ty.dims.iter().map(|n| u64::from(*n)));
		self.lengths.len() == 1 || is_nested_so || ty.elements() == Some(0) && !self.lengths.is_empty()
	}
}

/// The raw bytes of one element; none if the type cannot hold it.
fn append(text: &str, dtype: DType, bytes: &mut Vec<u8>) -> Option<()> {
	match dtype {
		DType::F32 => bytes.extend(float::<f32>(text, f32::is_finite)?.to_le_bytes()),
		DType::I8 => bytes.extend(text.parse::<i8>().ok()?.to_le_bytes()),
		DType::U8 => bytes.extend(text.parse::<u8>().ok()?.to_le_bytes()),
		DType::I32 => bytes.extend(text.parse::<i32>().ok()?.to_le_bytes()),
		DType::I64 => bytes.extend(text.parse::<i64>().ok()?.to_le_bytes()),
		DType::F64 => bytes.extend(float::<f64>(text, f64::is_finite)?.to_le_bytes()),
		DType::F16 | DType::BF16 => {
			let value = float::<f64>(text, f64::is_finite)?;
			let narrow = convert(DType::F64, dtype, value.to_bits());
			if value.is_finite() && !f64::from_bits(convert(dtype, DType::F64, narrow)).is_finite() {
				return None;
			}
			bytes.extend((narrow as u16).to_le_bytes());
		}
		DType::I16 => bytes.extend(text.parse::<i16>().ok()?.to_le_bytes()),
		DType::U16 => bytes.extend(text.parse::<u16>().ok()?.to_le_bytes()),
		DType::U32 => bytes.extend(text.parse::<u32>().ok()?.to_le_bytes()),
		DType::U64 => bytes.extend(text.parse::<u64>().ok()?.to_le_bytes()),
		DType::Bool => bytes.push(match text {
			"true" | "1" => 1,
			"false" | "0" => 0,
			_ => return None,
		}),
	}
	Some(())
}

/// The nearest float; none for what is finite and beyond all of them. The three floats that JSON has no numbers for are
/// strings, as in Protocol Buffers' JSON.
fn float<F: FromStr + Copy>(text: &str, is_finite: fn(F) -> bool) -> Option<F> {
	match text {
		"\"NaN\"" => "NaN".parse().ok(),
		"\"Infinity\"" => "inf".parse().ok(),
		"\"-Infinity\"" => "-inf".parse().ok(),
		_ => text.parse().ok().filter(|value| is_finite(*value)),
	}
}

/// The most bytes that an element takes as JSON, with its comma.
pub(super) fn longest(dtype: DType) -> u64 {
	match dtype {
		DType::Bool => 6,
		DType::I8 | DType::U8 => 5,
		DType::I16 | DType::U16 => 7,
		DType::I32 | DType::U32 => 12,
		DType::I64 | DType::U64 => 21,
		DType::F32 | DType::F16 | DType::BF16 | DType::F64 => 26,
	}
}

/// The elements of raw bytes, which are written flat.
pub(super) struct Elements<'a> {
	pub(super) dtype: DType,
	pub(super) bytes: &'a [u8],
}

impl Serialize for Elements<'_> {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		match self.dtype {
			DType::F32 => self.seq(serializer, |bytes| Float(f32::from_le_bytes(bytes).into())),
			DType::I8 => self.seq(serializer, i8::from_le_bytes),
			DType::U8 => self.seq(serializer, u8::from_le_bytes),
			DType::I32 => self.seq(serializer, i32::from_le_bytes),
			DType::I64 => self.seq(serializer, i64::from_le_bytes),
			DType::Bool => self.seq(serializer, |bytes: [u8; 1]| bytes != [0]),
			DType::F64 => self.seq(serializer, |bytes| Float(f64::from_le_bytes(bytes))),
			DType::F16 => self.seq(serializer, |bytes| Float::from_half(DType::F16, bytes)),
			DType::BF16 => self.seq(serializer, |bytes| Float::from_half(DType::BF16, bytes)),
			DType::I16 => self.seq(serializer, i16::from_le_bytes),
			DType::U16 => self.seq(serializer, u16::from_le_bytes),
			DType::U32 => self.seq(serializer, u32::from_le_bytes),
			DType::U64 => self.seq(serializer, u64::from_le_bytes),
		}
	}
}

impl Elements<'_> {
	fn seq<S: Serializer, T: Serialize, const N: usize>(
		&self,
		serializer: S,
		element: fn([u8; N]) -> T,
	) -> Result<S::Ok, S::Error> {
		let mut seq = serializer.serialize_seq(Some(self.bytes.len() / N))?;
		for bytes in self.bytes.chunks_exact(N) {
			seq.serialize_element(&element(bytes.try_into().unwrap_or([0; N])))?;
		}
		seq.end()
	}
}

/// A float as the shortest number that reads as the same one of 64 bits. That is exact for narrower ones too: each is a float
/// of 64 bits, and whoever reads that one has no second rounding to do.
struct Float(f64);

impl Float {
	/// Of two bytes.
	fn from_half(dtype: DType, bytes: [u8; 2]) -> Self {
		let bits = canonical(dtype, u16::from_le_bytes(bytes).into());
		Self(f64::from_bits(convert(dtype, DType::F64, bits)))
	}
}

impl Serialize for Float {
	fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
		match self.0 {
			value if value.is_nan() => serializer.serialize_str("NaN"),
			f64::INFINITY => serializer.serialize_str("Infinity"),
			f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
			value => serializer.serialize_f64(value),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn bytes(json: &str, dtype: DType, dims: &[u32]) -> Result<Vec<u8>, String> {
		let value: &serde_json::value::RawValue = serde_json::from_str(json).map_err(|e| e.to_string())?;
		let mut bytes = Vec::new();
		read(value.get(), &TensorType::new(dtype, dims), &mut bytes)?;
		Ok(bytes)
	}

	fn to_json(dtype: DType, bytes: &[u8]) -> String {
		serde_json::to_string(&Elements { dtype, bytes }).unwrap()
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
			("[1e5]", DType::F16),
			("[-1]", DType::U64),
			("[65536]", DType::U16),
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
			("[-32768,32767]", DType::I16),
			("[0,18446744073709551615]", DType::U64),
			("[0.0999755859375,65504.0]", DType::F16),
			("[0.10009765625,-0.0]", DType::BF16),
			("[0.1,1e+300]", DType::F64),
		] {
			let raw = bytes(json, dtype, &[2]).unwrap();
			assert_eq!(to_json(dtype, &raw), json);
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
		let json = to_json(DType::F32, &raw);
		assert_eq!(bytes(&json, DType::F32, &[values.len() as u32]).unwrap(), raw);
		assert_eq!(to_json(DType::F32, &f32::NAN.to_le_bytes()), r#"["NaN"]"#);
	}
}
