//! The Open Inference Protocol v2. The name of a model is its id, and as an id is of one content for ever, it has one version.

use std::{
	sync::Arc,
	time::{Duration, Instant},
};

use assay_semantics::{Model, TensorType};
use axum::{
	extract::{rejection::PathRejection, Path, Request, State},
	http::{header, HeaderName, StatusCode},
	response::{IntoResponse, Response},
	Json,
};
use serde::Deserialize;
use serde_json::{json, Value};

use super::{
	blocking, body,
	infer::{self, HEADER_LENGTH},
	model, ApiError,
};
use crate::{input_name, output_name, Engine, ModelId, Refusal, State as JobState};

/// The version of every model.
pub(super) const VERSION: &str = "1";

/// Bodies and answers of so many bytes are read and written where they are; longer ones would hold up other requests.
const SHORT: usize = 64 << 10;

/// `GET /v2`
pub(super) async fn server(State(engine): State<Arc<Engine>>) -> Json<Value> {
	Json(json!({
		"name": "assay-engine",
		"version": env!("CARGO_PKG_VERSION"),
		"extensions": ["binary_tensor_data", "assay_jobs", "assay_traces"],
		"kernels": engine.evaluator(),
	}))
}

/// `GET /v2/health/live`
pub(super) async fn live() -> Json<Value> {
	Json(json!({ "live": true }))
}

/// `GET /v2/health/ready`: 503 once the engine is going down.
pub(super) async fn ready(State(engine): State<Arc<Engine>>) -> Result<Json<Value>, ApiError> {
	if engine.is_draining() {
		return Err(Refusal::Closing.into());
	}
	Ok(Json(json!({ "ready": true })))
}

/// Which model an address names.
#[derive(Deserialize)]
pub(super) struct Named {
	model: String,
	version: Option<String>,
}

type Address = Result<Path<Named>, PathRejection>;

fn id(address: Address) -> Result<ModelId, ApiError> {
	let Path(Named { model, version }) = address.map_err(|e| ApiError::new(e.status(), e.body_text()))?;
	let not_found = |words: String| ApiError::new(StatusCode::NOT_FOUND, words);
	let id = model.parse().map_err(|e| not_found(format!("no model {model:?}: {e}")))?;
	match version {
		Some(version) if version != VERSION => {
			Err(not_found(format!("model {id} has no version {version:?}; the only one is {VERSION}")))
		}
		_ => Ok(id),
	}
}

/// `GET /v2/models/{model}[/versions/{version}]`
pub(super) async fn metadata(State(engine): State<Arc<Engine>>, address: Address) -> Result<Json<Value>, ApiError> {
	let id = id(address)?;
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
		"versions": [VERSION],
		"platform": format!("assay_semantics_v{}", header.semantics_version),
		"inputs": tensors(&header.inputs, input_name),
		"outputs": tensors(&header.outputs, output_name),
	})))
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`: 200 once the model is loaded, which this call sees to.
pub(super) async fn model_ready(State(engine): State<Arc<Engine>>, address: Address) -> Result<Json<Value>, ApiError> {
	let id = id(address)?;
	model(&engine, id).await?;
	Ok(Json(json!({ "name": id.to_string(), "ready": true })))
}

/// `POST /v2/models/{model}[/versions/{version}]/infer`
///
/// - 200: the outputs
/// - 400: the request is not right, in words
/// - 404: the model is not in the store
/// - 408: the body did not arrive in time
/// - 413: the body is too long
/// - 415: the body is compressed
/// - 422: the model cannot be evaluated on the input, or the outputs are too long to send
/// - 500: the engine or its copy of the model is at fault, in words
/// - 503: no room; ask again later
/// - 504: the answer was not there in time
pub(super) async fn infer(
	State(engine): State<Arc<Engine>>,
	address: Address,
	request: Request,
) -> Result<Response, ApiError> {
	let id = id(address)?;
	let header = infer::header_length(request.headers())?;
	let body = body(request, &engine).await?;
	let since = Instant::now();
	let model = model(&engine, id).await?;
	let (of_request, most) = (model.clone(), engine.options().max_output_bytes);
	let is_short = body.len() <= SHORT;
	let read = move || -> Result<_, ApiError> {
		let (asked, input) = infer::read(&of_request, header, &body)?;
		asked.check_length(&of_request, most)?;
		Ok((asked, input))
	};
	let (asked, input) = if is_short { read()? } else { blocking(read).await?? };
	let most = engine.options().max_infer_time;
	let most = asked.timeout.map_or(most, |timeout| timeout.min(most));
	let output = evaluated(&engine, id, input, most, since).await?;
	let is_short = output.len() <= SHORT;
	let write = move || infer::write(id, &model, &asked, &output);
	let (body, json) = if is_short { write()? } else { blocking(write).await?? };
	Ok(match json {
		None => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
		Some(json) => {
			let length = (HeaderName::from_static(HEADER_LENGTH), json.to_string());
			([(header::CONTENT_TYPE, "application/octet-stream")], [length], body).into_response()
		}
	})
}

/// The output tensors. If the caller goes away or the time is over, the work is dropped.
async fn evaluated(
	engine: &Engine,
	id: ModelId,
	input: Vec<u8>,
	most: Duration,
	since: Instant,
) -> Result<Arc<Vec<u8>>, ApiError> {
	let ticket = engine.submit_once(id, input)?;
	let rest = most.saturating_sub(since.elapsed());
	let state = tokio::time::timeout(rest, ticket.finished()).await.map_err(|_| Refusal::TooSlow(most))??;
	match state {
		JobState::Done(output) => Ok(output),
		JobState::Failed(failure) => Err(failure.into()),
		JobState::Queued | JobState::Running => Err(Refusal::Closing.into()),
	}
}
