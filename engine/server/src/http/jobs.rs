//! Jobs by key, for a caller that must not wait and may ask twice: the chain's off-chain worker.

use std::{sync::Arc, time::Duration};

use axum::{
	extract::{Path, Request, State},
	http::{header, StatusCode, Uri},
	response::{IntoResponse, Response},
	Json,
};

use super::{body, ApiError};
use crate::{Engine, JobKey, ModelId, State as JobState, Ticket};

/// The longest that a caller is kept waiting, in milliseconds.
const MAX_WAIT_MS: u64 = 2000;

pub(super) struct Query {
	model: Option<ModelId>,
	pub(super) wait: Duration,
}

impl Query {
	pub(super) fn model(&self) -> Result<ModelId, ApiError> {
		self.model.ok_or_else(|| ApiError::bad_request("parameter model is missing: the model's id"))
	}
}

pub(super) fn query(uri: &Uri) -> Result<Query, ApiError> {
	let mut query = Query { model: None, wait: Duration::ZERO };
	for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
		match pair.split_once('=') {
			Some(("model", id)) => {
				query.model = Some(id.parse().map_err(|e| ApiError::bad_request(format!("parameter model: {e}")))?)
			}
			Some(("wait_ms", ms)) => {
				let ms: u64 =
					ms.parse().map_err(|_| ApiError::bad_request("parameter wait_ms: a number of milliseconds"))?;
				query.wait = Duration::from_millis(ms.min(MAX_WAIT_MS));
			}
			_ => return Err(ApiError::bad_request(format!("unknown parameter {pair:?}"))),
		}
	}
	Ok(query)
}

pub(super) fn key(text: &str) -> Result<JobKey, ApiError> {
	text.parse().map_err(|e: crate::BadName| ApiError::bad_request(e.to_string()))
}

/// `PUT /assay/v1/jobs/{key}?model=<id>&wait_ms=<n>`, the body being the input tensors, one after the other, raw and
/// little-endian.
///
/// - 200, `application/octet-stream`: the output tensors, one after the other
/// - 202, `{"state": "queued" | "running"}`: not yet; ask again
/// - 404: the model is not in the store
/// - 409: the key was used with another model or another input
/// - 422: the input does not fit the model, or the model cannot be evaluated on it
/// - 500: the engine or its copy of the model is at fault, in words
/// - 503: no room; ask again later
pub(super) async fn submit(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
	request: Request,
) -> Result<Response, ApiError> {
	let key = key(&text)?;
	let query = query(request.uri())?;
	let model = query.model()?;
	let input = body(request, &engine).await?;
	let ticket = engine.submit(key, model, input.into())?;
	answer(ticket, query.wait).await
}

/// `GET /assay/v1/jobs/{key}?wait_ms=<n>`: answers as `PUT` does, and 404 when the key is not known (any more).
pub(super) async fn poll(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
	uri: Uri,
) -> Result<Response, ApiError> {
	let key = key(&text)?;
	let query = query(&uri)?;
	let unknown = || ApiError::new(StatusCode::NOT_FOUND, "no job with this key, or its result is gone: submit it");
	let ticket = engine.find(&key).ok_or_else(unknown)?;
	answer(ticket, query.wait).await
}

pub(super) async fn answer(mut ticket: Ticket, wait: Duration) -> Result<Response, ApiError> {
	reply(ticket.wait(wait).await)
}

pub(super) fn reply(state: JobState) -> Result<Response, ApiError> {
	let pending = |state| Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "state": state }))).into_response());
	match state {
		JobState::Queued => pending("queued"),
		JobState::Running => pending("running"),
		JobState::Done(output) => {
			let content = [(header::CONTENT_TYPE, "application/octet-stream")];
			Ok((content, output.as_ref().clone()).into_response())
		}
		JobState::Failed(failure) => Err(failure.into()),
	}
}
