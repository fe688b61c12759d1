//! Inference requests and their answers: JSON, and the binary tensor data extension.
//!
//! Without the extension a body is a JSON object. With it, the header `Inference-Header-Content-Length` says how many bytes of the
//! body are the JSON object, and the rest is the data of those inputs that have the parameter `binary_data_size`, raw and
//! little-endian, in their order. If it says 0, all of the body is the data of the only input. Outputs come the same way
//! when `binary_data` is asked for: for one output, or with `binary_data_output` for all that do not say otherwise.

use std::time::Duration;

use assay_semantics::{DType, Model, TensorType};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
	oip::VERSION,
	tensors::{self, Elements},
	ApiError,
};
use crate::{input_name, output_name, ModelId};

/// Says where in a body JSON ends and binary data begins.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

#[derive(Deserialize)]
struct Request<'a> {
	#[serde(default)]
	id: Option<String>,
	#[serde(default)]
	parameters: Option<RequestParameters>,
	#[serde(borrow)]
	inputs: Vec<Input<'a>>,
	#[serde(default)]
	outputs: Option<Vec<Output>>,
}

/// What is not known is ignored: parameters are hints.
#[derive(Default, Deserialize)]
struct RequestParameters {
	#[serde(default)]
	binary_data_output: Option<bool>,
	/// In microseconds, as Triton has it.
	#[serde(default)]
	timeout: Option<u64>,
}

#[derive(Deserialize)]
struct Input<'a> {
	name: String,
	shape: Vec<u32>,
	datatype: String,
	#[serde(default)]
	parameters: Option<InputParameters>,
	#[serde(borrow, default)]
	data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct InputParameters {
	#[serde(default)]
	binary_data_size: Option<u64>,
	#[serde(default)]
	shared_memory_region: Option<String>,
}

#[derive(Deserialize)]
struct Output {
	name: String,
	#[serde(default)]
	parameters: Option<OutputParameters>,
}

#[derive(Default, Deserialize)]
struct OutputParameters {
	#[serde(default)]
	binary_data: Option<bool>,
	#[serde(default)]
	classification: Option<u64>,
	#[serde(default)]
	shared_memory_region: Option<String>,
}

/// What a request asks for, beside its inputs.
#[derive(Debug)]
pub(super) struct Asked {
	id: Option<String>,
	/// The numbers of outputs, and whether they are sent as they are.
	outputs: Vec<(usize, bool)>,
	/// The client does not wait longer.
	pub(super) timeout: Option<Duration>,
}

fn bad(words: impl Into<String>) -> ApiError {
	ApiError::bad_request(words)
}

/// What the header says.
pub(super) fn header_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
	let Some(value) = headers.get(HEADER_LENGTH) else { return Ok(None) };
	let length = value.to_str().ok().and_then(|text| text.parse().ok());
	length
		.map(Some)
		.ok_or_else(|| bad("Inference-Header-Content-Length is a number: the bytes of JSON before the data"))
}

/// The request, and the raw bytes of its inputs in the model's order.
pub(super) fn read(model: &Model, header: Option<usize>, body: &[u8]) -> Result<(Asked, Vec<u8>), ApiError> {
	let types = model.header().inputs;
	if header == Some(0) {
		if types.len() != 1 {
			return Err(bad(format!("the model takes {} inputs: name them in a JSON header", types.len())));
		}
		// Checked against the type when the model runs.
		let outputs = (0..model.header().outputs.len()).map(|i| (i, true)).collect();
		return Ok((Asked { id: None, outputs, timeout: None }, body.to_vec()));
	}
	let (json, binary) = body.split_at_checked(header.unwrap_or(body.len())).ok_or_else(|| {
		bad(format!("Inference-Header-Content-Length is more than the whole body's {} bytes", body.len()))
	})?;
	let request: Request =
		serde_json::from_slice(json).map_err(|e| bad(format!("the body is no inference request: {e}")))?;
	let bytes = inputs(model, &types, &request, header.map(|_| binary))?;
	let parameters = request.parameters.unwrap_or_default();
	let outputs = outputs(model, request.outputs.as_deref().unwrap_or_default(), &parameters)?;
	let timeout = parameters.timeout.filter(|t| *t > 0).map(Duration::from_micros);
	Ok((Asked { id: request.id, outputs, timeout }, bytes))
}

/// The raw bytes of the inputs, in the model's order. `binary` is what stands behind the JSON, if anything may.
fn inputs(
	model: &Model,
	types: &[TensorType],
	request: &Request,
	mut binary: Option<&[u8]>,
) -> Result<Vec<u8>, ApiError> {
	if request.inputs.len() != types.len() {
		let (got, expected) = (request.inputs.len(), types.len());
		return Err(bad(format!("the model takes {expected} inputs, the request has {got}")));
	}
	// Binary data stands in the order of the request.
	let mut given = Vec::with_capacity(request.inputs.len());
	for input in &request.inputs {
		let wrong = |reason: &str| bad(format!("input {:?}: {reason}", input.name));
		let no_parameters = InputParameters::default();
		let parameters = input.parameters.as_ref().unwrap_or(&no_parameters);
		if parameters.shared_memory_region.is_some() {
			return Err(wrong("shared memory is not supported; send the data in the body"));
		}
		let data = match (input.data, parameters.binary_data_size) {
			(Some(data), None) => Given::Json(data),
			(None, Some(size)) => {
				let rest = binary.ok_or_else(|| {
					wrong("binary data needs the header Inference-Header-Content-Length: the bytes of JSON before it")
				})?;
				let (data, rest) = usize::try_from(size)
					.ok()
					.and_then(|size| rest.split_at_checked(size))
					.ok_or_else(|| wrong(&format!("{} of its {size} bytes of binary data are there", rest.len())))?;
				binary = Some(rest);
				Given::Binary(data)
			}
			(Some(_), Some(_)) => return Err(wrong("it has both data and binary_data_size; send one of them")),
			(None, None) => return Err(wrong("data is missing")),
		};
		given.push((input, data));
	}
	if let Some(rest @ [_, ..]) = binary {
		return Err(bad(format!("{} bytes of binary data belong to no input", rest.len())));
	}
	let mut bytes = Vec::new();
	for (i, ty) in types.iter().enumerate() {
		let name = input_name(model, i);
		let found = given.iter().find(|(input, _)| input.name == name);
		let (input, data) = found.ok_or_else(|| bad(format!("input {name:?} is missing")))?;
		let wrong = |reason: String| bad(format!("input {name:?}: {reason}"));
		if DType::from_name(&input.datatype) != Some(ty.dtype) {
			return Err(wrong(format!("the datatype is {}, the model takes {}", input.datatype, ty.dtype.name())));
		}
		if input.shape != ty.dims {
			return Err(wrong(format!("the shape is {:?}, the model takes {:?}", input.shape, ty.dims)));
		}
		match data {
			Given::Json(data) => tensors::read(data.get(), ty, &mut bytes).map_err(wrong)?,
			Given::Binary(data) => {
				if ty.byte_len() != Some(data.len() as u64) {
					return Err(wrong(format!("{} bytes of binary data are not a {ty}", data.len())));
				}
				bytes.extend_from_slice(data);
			}
		}
	}
	Ok(bytes)
}

enum Given<'a> {
	Json(&'a RawValue),
	Binary(&'a [u8]),
}

/// The outputs to send; all of them if none is named.
fn outputs(model: &Model, asked: &[Output], parameters: &RequestParameters) -> Result<Vec<(usize, bool)>, ApiError> {
	let count = model.header().outputs.len();
	let otherwise = parameters.binary_data_output.unwrap_or(false);
	if asked.is_empty() {
		return Ok((0..count).map(|i| (i, otherwise)).collect());
	}
	// Longer lists name something twice, or something that is not there.
	let mut outputs: Vec<(usize, bool)> = Vec::with_capacity(asked.len().min(count));
	for output in asked {
		let wrong = |reason: &str| bad(format!("output {:?}: {reason}", output.name));
		let found = (0..count).find(|i| output_name(model, *i) == output.name);
		let i = found.ok_or_else(|| bad(format!("the model has no output {:?}", output.name)))?;
		if outputs.iter().any(|(other, _)| *other == i) {
			return Err(wrong("it is asked for twice"));
		}
		let no_parameters = OutputParameters::default();
		let parameters = output.parameters.as_ref().unwrap_or(&no_parameters);
		if parameters.classification.is_some_and(|count| count > 0) {
			return Err(wrong("classification is not supported; ask for the tensor"));
		}
		if parameters.shared_memory_region.is_some() {
			return Err(wrong("shared memory is not supported; take the data from the answer"));
		}
		outputs.push((i, parameters.binary_data.unwrap_or(otherwise)));
	}
	Ok(outputs)
}

impl Asked {
	/// Refuses what would become longer than `most` bytes.
	pub(super) fn check_length(&self, model: &Model, most: usize) -> Result<(), ApiError> {
		let types = model.header().outputs;
		let length = |(i, is_binary): &(usize, bool)| {
			let ty = types.get(*i)?;
			if *is_binary {
				ty.byte_len()
			} else {
				ty.elements()?.checked_mul(tensors::longest(ty.dtype))
			}
		};
		let total = self.outputs.iter().map(length).try_fold(0u64, |sum, n| sum.checked_add(n?)).unwrap_or(u64::MAX);
		if total <= most as u64 {
			return Ok(());
		}
		let words = format!(
			"the outputs may take {total} bytes, and this engine sends at most {most}; ask for fewer of them, or for \
			 binary data"
		);
		Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, words))
	}
}

#[derive(Serialize)]
struct Response<'a> {
	model_name: String,
	model_version: &'static str,
	#[serde(skip_serializing_if = "Option::is_none")]
	id: &'a Option<String>,
	outputs: Vec<OutputTensor<'a>>,
}

#[derive(Serialize)]
struct OutputTensor<'a> {
	name: String,
	datatype: &'static str,
	shape: &'a [u32],
	#[serde(skip_serializing_if = "Option::is_none")]
	parameters: Option<BinarySize>,
	#[serde(skip_serializing_if = "Option::is_none")]
	data: Option<Elements<'a>>,
}

#[derive(Serialize)]
struct BinarySize {
	binary_data_size: usize,
}

/// The answer's body; and if there is binary data in it, how much of it is JSON.
pub(super) fn write(
	id: ModelId,
	model: &Model,
	asked: &Asked,
	bytes: &[u8],
) -> Result<(Vec<u8>, Option<usize>), ApiError> {
	let internal = |words: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, words);
	let types = model.header().outputs;
	let mut all = Vec::with_capacity(types.len());
	let mut rest = bytes;
	for ty in &types {
		let tensor = ty.byte_len().and_then(|n| rest.split_at_checked(usize::try_from(n).ok()?));
		let (tensor, after) = tensor.ok_or_else(|| internal("the outputs are not as long as the model says".into()))?;
		all.push((ty, tensor));
		rest = after;
	}
	let mut outputs = Vec::with_capacity(asked.outputs.len());
	let mut binary: Vec<&[u8]> = Vec::new();
	for (i, is_binary) in &asked.outputs {
		let Some((ty, tensor)) = all.get(*i).copied() else { continue };
		let size = is_binary.then_some(BinarySize { binary_data_size: tensor.len() });
		binary.extend(is_binary.then_some(tensor));
		outputs.push(OutputTensor {
			name: output_name(model, *i),
			datatype: ty.dtype.name(),
			shape: &ty.dims,
			parameters: size,
			data: (!is_binary).then_some(Elements { dtype: ty.dtype, bytes: tensor }),
		});
	}
	let response = Response { model_name: id.to_string(), model_version: VERSION, id: &asked.id, outputs };
	let mut body = serde_json::to_vec(&response).map_err(|e| internal(e.to_string()))?;
	let json = body.len();
	let is_binary = !binary.is_empty();
	binary.iter().for_each(|tensor| body.extend_from_slice(tensor));
	Ok((body, is_binary.then_some(json)))
}

/// Reads a body as `infer` does, and writes an answer to it of zeros. For fuzzing.
pub fn try_body(model: &Model, header: Option<usize>, body: &[u8]) -> Result<Vec<u8>, String> {
	let (asked, input) = read(model, header, body).map_err(|e| e.message)?;
	asked.check_length(model, 1 << 20).map_err(|e| e.message)?;
	crate::engine::split(&model.header().inputs, &input).map_err(|e| e.to_string())?;
	let length = assay_semantics::side_byte_len(&model.header().outputs).unwrap_or_default();
	let output = vec![0; usize::try_from(length).unwrap_or_default()];
	let (body, _) = write(ModelId(model.id()), model, &asked, &output).map_err(|e| e.message)?;
	Ok(body)
}
