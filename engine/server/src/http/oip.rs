//! The Open Inference Protocol v2. The name of a model is its id.

use std::sync::Arc;

use assay_semantics::{DType, Model, TensorType};
use axum::{
	extract::{Path, Request, State},
	http::StatusCode,
	Json,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

use super::{blocking, body, model, tensors, ApiError};
use crate::{input_name, output_name, Engine, ModelId, State as JobState};

/// `GET /v2`
pub(super) async fn server(State(engine): State<Arc<Engine>>) -> Json<Value> {
	Json(json!({
		"name": "assay-engine",
		"version": env!("CARGO_PKG_VERSION"),
		"extensions": ["assay_jobs", "assay_traces"],
		"kernels": engine.evaluator(),
	}))
}

fn id(text: &str) -> Result<ModelId, ApiError> {
	text.parse().map_err(|e| ApiError::new(StatusCode::NOT_FOUND, format!("no model {text:?}: {e}")))
}

/// `GET /v2/models/{model}`
pub(super) async fn metadata(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
) -> Result<Json<Value>, ApiError> {
	let id = id(&text)?;
	let model = model(&engine, id).await?;
	let header = model.header();
	let tensors = |types: &[TensorType], name: fn(&Model, usize) -> String| -> Vec<Value> {
		let tensor = |(i, ty): (usize, &TensorType)| {
			let name = name(&model, i);
			json!({ "name": name, "datatype": ty.dtype.name(), "shape": ty.dims })
		};
		types.iter().enumerate().map(tensor).collect()
	};
	Ok(Json(json!({
		"name": id.to_string(),
		"platform": format!("assay_semantics_v{}", header.semantics_version),
		"inputs": tensors(&header.inputs, input_name),
		"outputs": tensors(&header.outputs, output_name),
	})))
}

/// `GET /v2/models/{model}/ready`: 200 once the model is loaded, which this call sees to.
pub(super) async fn model_ready(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
) -> Result<Json<Value>, ApiError> {
	let id = id(&text)?;
	model(&engine, id).await?;
	Ok(Json(json!({ "name": id.to_string(), "ready": true })))
}

#[derive(Deserialize)]
struct InferRequest {
	#[serde(default)]
	id: Option<String>,
	inputs: Vec<InferInput>,
	#[serde(default)]
	outputs: Vec<InferOutput>,
}

#[derive(Deserialize)]
struct InferInput {
	name: String,
	shape: Vec<u32>,
	datatype: String,
	data: tensors::Data,
}

#[derive(Deserialize)]
struct InferOutput {
	name: String,
}

#[derive(Serialize)]
pub(super) struct InferResponse {
	model_name: String,
	#[serde(skip_serializing_if = "Option::is_none")]
	id: Option<String>,
	outputs: Vec<Value>,
}

/// `POST /v2/models/{model}/infer`
pub(super) async fn infer(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
	request: Request,
) -> Result<Json<InferResponse>, ApiError> {
	let id = id(&text)?;
	let body = body(request, &engine).await?;
	let model = model(&engine, id).await?;
	let of_request = model.clone();
	let (request, input) = blocking(move || read(&of_request, &body)).await??;
	let state = engine.submit_once(id, input)?.finished().await?;
	let output = match state {
		JobState::Done(output) => output,
		JobState::Failed(failure) => return Err(failure.into()),
		JobState::Queued | JobState::Running => return Err(crate::Refusal::Closing.into()),
	};
	let outputs = blocking(move || write(&model, &request.outputs, &output)).await??;
	Ok(Json(InferResponse { model_name: id.to_string(), id: request.id, outputs }))
}

/// The request, and the raw bytes of its inputs in the model's order.
fn read(model: &Model, body: &[u8]) -> Result<(InferRequest, Vec<u8>), ApiError> {
	let request: InferRequest = serde_json::from_slice(body)
		.map_err(|e| ApiError::bad_request(format!("the body is no inference request: {e}")))?;
	let header = model.header();
	let types = &header.inputs;
	if request.inputs.len() != types.len() {
		let (got, expected) = (request.inputs.len(), types.len());
		return Err(ApiError::bad_request(format!("the model takes {expected} inputs, the request has {got}")));
	}
	let mut bytes = Vec::new();
	for (i, ty) in types.iter().enumerate() {
		let name = input_name(model, i);
		let given = request.inputs.iter().find(|input| input.name == name);
		let given = given.ok_or_else(|| ApiError::bad_request(format!("input {name:?} is missing")))?;
		let wrong = |reason: String| ApiError::bad_request(format!("input {name:?}: {reason}"));
		if DType::from_name(&given.datatype) != Some(ty.dtype) {
			return Err(wrong(format!("the datatype is {}, the model takes {}", given.datatype, ty.dtype.name())));
		}
		if given.shape != ty.dims {
			return Err(wrong(format!("the shape is {:?}, the model takes {:?}", given.shape, ty.dims)));
		}
		bytes.extend(given.data.to_bytes(ty).map_err(wrong)?);
	}
	for asked in &request.outputs {
		if !(0..header.outputs.len()).any(|i| output_name(model, i) == asked.name) {
			return Err(ApiError::bad_request(format!("the model has no output {:?}", asked.name)));
		}
	}
	// What is kept while the model runs is small.
	Ok((InferRequest { inputs: Vec::new(), ..request }, bytes))
}

/// The outputs that were asked for; all of them if none was named.
fn write(model: &Model, asked: &[InferOutput], bytes: &[u8]) -> Result<Vec<Value>, ApiError> {
	let tensors = crate::engine::split(&model.header().outputs, bytes)?;
	let named = tensors.iter().enumerate().map(|(i, tensor)| (output_name(model, i), tensor));
	Ok(named
		.filter(|(name, _)| asked.is_empty() || asked.iter().any(|output| output.name == *name))
		.map(|(name, tensor)| {
			let data = tensors::to_json(tensor.ty.dtype, &tensor.bytes);
			json!({ "name": name, "datatype": tensor.ty.dtype.name(), "shape": tensor.ty.dims, "data": data })
		})
		.collect())
}
