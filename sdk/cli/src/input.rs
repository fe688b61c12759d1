//! Files as input tensors: the raw little-endian bytes of all inputs, one after the other, in the model's order.

use anyhow::{anyhow, bail, Context};
use assay_semantics::{number::convert, DType, TensorType};
use image::{imageops::FilterType, DynamicImage};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, path::Path};

/// An input, ready to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
	/// The bytes.
	pub bytes: Vec<u8>,
	/// What was done to the file to make it fit, for people.
	pub note: Option<String>,
}

/// A file that is larger than this cannot be an input of any model that takes it inline.
const MAX_FILE: u64 = 64 << 20;
/// The most pixels that are looked at.
const MAX_PIXELS: u64 = 64 << 20;

/// Reads a file as the input of a model with the given input tensors.
pub fn read(path: &Path, types: &[TensorType], names: &[String]) -> anyhow::Result<Input> {
	let context = || format!("{} cannot be the input", path.display());
	let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
	if size > MAX_FILE {
		return Err(anyhow!("it has {size} bytes; at most {MAX_FILE} are read").context(context()));
	}
	let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
	let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
	match extension.as_str() {
		"png" => image(&bytes, types),
		"json" => json(&bytes, types, names),
		"bin" => raw(bytes, types),
		_ => Err(anyhow!("the name must end in .png, .json or .bin, so that it is clear what is inside")),
	}
	.with_context(context)
}

/// What a model takes, for people.
pub fn signature(types: &[TensorType]) -> String {
	types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The number of bytes of all tensors.
pub fn byte_len(types: &[TensorType]) -> anyhow::Result<usize> {
	let length = assay_semantics::side_byte_len(types).context("the model's tensors are too large")?;
	Ok(usize::try_from(length)?)
}

fn raw(bytes: Vec<u8>, types: &[TensorType]) -> anyhow::Result<Input> {
	let expected = byte_len(types)?;
	if bytes.len() != expected {
		bail!("it has {} bytes, and the model takes {} ({expected} bytes)", bytes.len(), signature(types));
	}
	Ok(Input { bytes, note: None })
}

/// Channels, height and width of an image tensor.
fn image_shape(ty: &TensorType) -> Option<(u32, u32, u32)> {
	let (height, width) = match ty.dims[..] {
		[.., height, width] => (height, width),
		_ => return None,
	};
	let leading = &ty.dims[..ty.dims.len() - 2];
	let channels = leading.last().copied().unwrap_or(1);
	let batch_is_one = leading.iter().rev().skip(1).all(|&dim| dim == 1);
	let sound = batch_is_one && matches!(channels, 1 | 3) && height > 0 && width > 0;
	(sound && matches!(ty.dtype, DType::F32 | DType::U8)).then_some((channels, height, width))
}

/// An image as pixels between 0 and 1 (f32) or 0 and 255 (u8): greyscale, or red, green and blue planes.
fn image(bytes: &[u8], types: &[TensorType]) -> anyhow::Result<Input> {
	let [ty] = types else {
		bail!("an image is one tensor, and the model takes {}; write a .json request", signature(types));
	};
	let (channels, height, width) = image_shape(ty).with_context(|| {
		format!("an image becomes FP32 or UINT8 [1,1,H,W] or [1,3,H,W], and the model takes {}", signature(types))
	})?;
	if u64::from(height) * u64::from(width) > MAX_PIXELS {
		bail!("the model takes an image of {width} x {height}, which is too large to make");
	}

	let mut reader = image::ImageReader::with_format(std::io::Cursor::new(bytes), image::ImageFormat::Png);
	let mut limits = image::Limits::default();
	limits.max_alloc = Some(4 * MAX_PIXELS);
	reader.limits(limits);
	let picture = reader.decode().map_err(|error| anyhow!("it is no PNG that can be read: {error}"))?;

	let fits = (picture.width(), picture.height()) == (width, height);
	let note = (!fits).then(|| {
		format!(
			"scaled from {} x {} to {width} x {height} pixels, as the model takes",
			picture.width(),
			picture.height()
		)
	});
	// Averaging over the area when it shrinks, linear in between when it grows.
	let scaled =
		|picture: DynamicImage| if fits { picture } else { picture.resize_exact(width, height, FilterType::Triangle) };
	let pixels: Vec<u8> = if channels == 1 {
		scaled(DynamicImage::ImageLuma8(picture.to_luma8())).into_luma8().into_raw()
	} else {
		let interleaved = scaled(DynamicImage::ImageRgb8(picture.to_rgb8())).into_rgb8().into_raw();
		(0..3).flat_map(|plane| interleaved.iter().skip(plane).step_by(3).copied().collect::<Vec<_>>()).collect()
	};
	let bytes = match ty.dtype {
		DType::U8 => pixels,
		_ => pixels.iter().flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()).collect(),
	};
	Ok(Input { bytes, note })
}

/// A request of the Open Inference Protocol v2.
#[derive(Deserialize)]
struct Request {
	inputs: Vec<RequestTensor>,
}

#[derive(Deserialize)]
struct RequestTensor {
	name: String,
	shape: Vec<u64>,
	datatype: String,
	data: Value,
}

fn json(bytes: &[u8], types: &[TensorType], names: &[String]) -> anyhow::Result<Input> {
	let request: Request =
		serde_json::from_slice(bytes).map_err(|error| anyhow!("it is no Open Inference Protocol request: {error}"))?;
	if request.inputs.len() != types.len() {
		bail!("it has {} inputs, and the model takes {}", request.inputs.len(), signature(types));
	}
	let mut out = Vec::new();
	for (index, ty) in types.iter().enumerate() {
		// By name where the names are the model's, by position where they are not.
		let by_name = names.get(index).and_then(|name| request.inputs.iter().find(|input| input.name == *name));
		let all_named = request.inputs.iter().all(|input| names.contains(&input.name));
		let input = match by_name {
			Some(input) => input,
			None if !all_named => &request.inputs[index],
			None => bail!("it has no input named {:?}", names.get(index).map(String::as_str).unwrap_or_default()),
		};
		let shape_fits = input.shape.iter().copied().eq(ty.dims.iter().map(|&dim| u64::from(dim)));
		if DType::from_name(&input.datatype) != Some(ty.dtype) || !shape_fits {
			bail!("the input {:?} is {}{:?}, and the model takes {ty}", input.name, input.datatype, input.shape);
		}
		let start = out.len();
		numbers(&input.data, ty.dtype, &mut out).with_context(|| format!("in the data of {:?}", input.name))?;
		let (got, size) = (out.len() - start, ty.dtype.size());
		let expected = byte_len(std::slice::from_ref(ty))?;
		if got != expected {
			bail!("the input {:?} has {} numbers, and its shape says {}", input.name, got / size, expected / size);
		}
	}
	Ok(Input { bytes: out, note: None })
}

/// Numbers, flat or nested, as bytes.
fn numbers(data: &Value, dtype: DType, out: &mut Vec<u8>) -> anyhow::Result<()> {
	if let Value::Array(items) = data {
		return items.iter().try_for_each(|item| numbers(item, dtype, out));
	}
	let wrong = || anyhow!("{data} is no {}", dtype.name());
	if dtype == DType::Bool {
		out.push(data.as_bool().or_else(|| data.as_u64().map(|number| number != 0)).ok_or_else(wrong)?.into());
		return Ok(());
	}
	if dtype.is_float() {
		let number = data.as_f64().ok_or_else(wrong)?;
		let bits = convert(DType::F64, dtype, number.to_bits());
		if !f64::from_bits(convert(dtype, DType::F64, bits)).is_finite() {
			return Err(wrong());
		}
		out.extend(&bits.to_le_bytes()[..dtype.size()]);
		return Ok(());
	}
	if dtype == DType::U64 {
		out.extend(data.as_u64().ok_or_else(wrong)?.to_le_bytes());
		return Ok(());
	}
	let number = data.as_i64().ok_or_else(wrong)?;
	match dtype {
		DType::I8 => out.extend(i8::try_from(number).map_err(|_| wrong())?.to_le_bytes()),
		DType::U8 => out.push(u8::try_from(number).map_err(|_| wrong())?),
		DType::I32 => out.extend(i32::try_from(number).map_err(|_| wrong())?.to_le_bytes()),
		DType::I16 => out.extend(i16::try_from(number).map_err(|_| wrong())?.to_le_bytes()),
		DType::U16 => out.extend(u16::try_from(number).map_err(|_| wrong())?.to_le_bytes()),
		DType::U32 => out.extend(u32::try_from(number).map_err(|_| wrong())?.to_le_bytes()),
		_ => out.extend(number.to_le_bytes()),
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;
	use image::{GrayImage, Luma, RgbImage};

	fn f32s(dims: &[u32]) -> TensorType {
		TensorType::new(DType::F32, dims.to_vec())
	}

	fn png(picture: DynamicImage) -> Vec<u8> {
		let mut bytes = Vec::new();
		picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
		bytes
	}

	fn floats(bytes: &[u8]) -> Vec<f32> {
		bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes(chunk.try_into().unwrap())).collect()
	}

	#[test]
	fn image_should_become_pixels_over_255_when_it_fits() {
		let picture = GrayImage::from_raw(2, 2, vec![0, 255, 51, 102]).unwrap();
		let bytes = png(DynamicImage::ImageLuma8(picture));
		for dims in [&[1, 1, 2, 2][..], &[1, 2, 2], &[2, 2]] {
			let input = image(&bytes, &[f32s(dims)]).unwrap();
			assert_eq!(floats(&input.bytes), [0.0, 1.0, 0.2, 0.4], "{dims:?}");
			assert_eq!(input.note, None);
		}
	}

	#[test]
	fn image_should_be_scaled_and_say_so_when_its_size_differs() {
		let picture = GrayImage::from_pixel(16, 32, Luma([51]));
		let input = image(&png(DynamicImage::ImageLuma8(picture)), &[f32s(&[1, 1, 8, 8])]).unwrap();
		assert_eq!(floats(&input.bytes), [0.2; 64]);
		assert!(input.note.unwrap().contains("16 x 32 to 8 x 8"));
	}

	#[test]
	fn image_should_become_planes_when_the_model_takes_colour() {
		let picture = RgbImage::from_pixel(1, 2, image::Rgb([255, 0, 51]));
		let input = image(&png(DynamicImage::ImageRgb8(picture)), &[f32s(&[1, 3, 2, 1])]).unwrap();
		assert_eq!(floats(&input.bytes), [1.0, 1.0, 0.0, 0.0, 0.2, 0.2]);
	}

	#[test]
	fn image_should_be_refused_when_the_model_takes_no_image() {
		let bytes = png(DynamicImage::ImageLuma8(GrayImage::new(2, 2)));
		for dims in [&[4][..], &[2, 1, 2, 2], &[1, 2, 2, 2]] {
			assert!(image(&bytes, &[f32s(dims)]).unwrap_err().to_string().contains("the model takes FP32"), "{dims:?}");
		}
		assert!(image(b"not a png", &[f32s(&[2, 2])]).unwrap_err().to_string().contains("no PNG"));
		assert!(image(&bytes, &[f32s(&[2, 2]), f32s(&[2, 2])]).is_err());
	}

	#[test]
	fn raw_should_be_refused_when_its_size_differs() {
		assert_eq!(raw(vec![0; 16], &[f32s(&[1, 4])]).unwrap().bytes.len(), 16);
		let error = raw(vec![0; 15], &[f32s(&[1, 4])]).unwrap_err().to_string();
		assert_eq!(error, "it has 15 bytes, and the model takes FP32[1,4] (16 bytes)");
	}

	#[test]
	fn json_should_take_nested_and_flat_data() {
		let names = ["x".to_string()];
		for data in ["[1, 2, 3, 4]", "[[1, 2], [3, 4]]"] {
			let text =
				format!(r#"{{"inputs": [{{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": {data}}}]}}"#);
			let input = json(text.as_bytes(), &[f32s(&[2, 2])], &names).unwrap();
			assert_eq!(floats(&input.bytes), [1.0, 2.0, 3.0, 4.0]);
		}
	}

	#[test]
	fn json_should_go_by_name_when_the_names_are_the_models() {
		let names = ["a".to_string(), "b".to_string()];
		let types = [TensorType::new(DType::I32, vec![1]), TensorType::new(DType::U8, vec![1])];
		let text = r#"{"inputs": [{"name": "b", "shape": [1], "datatype": "UINT8", "data": [7]},
			{"name": "a", "shape": [1], "datatype": "INT32", "data": [-1]}]}"#;
		assert_eq!(json(text.as_bytes(), &types, &names).unwrap().bytes, [255, 255, 255, 255, 7]);
	}

	#[test]
	fn json_should_be_refused_with_the_reason() {
		let names = ["x".to_string()];
		let with = |shape: &str, datatype: &str, data: &str| {
			let text = format!(
				r#"{{"inputs": [{{"name": "x", "shape": {shape}, "datatype": "{datatype}", "data": {data}}}]}}"#
			);
			format!("{:#}", json(text.as_bytes(), &[f32s(&[2])], &names).unwrap_err())
		};
		assert!(with("[3]", "FP32", "[1, 2, 3]").contains("the model takes FP32[2]"));
		assert!(with("[2]", "INT8", "[1, 2]").contains("the model takes FP32[2]"));
		assert!(with("[2]", "FP32", "[1]").contains("has 1 numbers, and its shape says 2"));
		assert!(with("[2]", "FP32", "[1, \"a\"]").contains("is no FP32"));
		assert!(with("[2]", "FP32", "[1, 1e300]").contains("is no FP32"));
		assert!(json(b"{}", &[f32s(&[2])], &names)
			.unwrap_err()
			.to_string()
			.contains("no Open Inference Protocol request"));
		assert!(json(b"{\"inputs\": []}", &[f32s(&[2])], &names).unwrap_err().to_string().contains("has 0 inputs"));
	}

	#[test]
	fn read_should_name_the_file_when_it_fails() {
		let error = format!("{:#}", read(Path::new("/nowhere/7.png"), &[f32s(&[2, 2])], &[]).unwrap_err());
		assert!(error.contains("cannot read /nowhere/7.png"), "{error}");
	}
}
