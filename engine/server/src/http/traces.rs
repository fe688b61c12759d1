//! Traces and investigations, for the off-chain worker of a dispute's two sides.
//!
//! All calls take `wait_ms` and answer as those of jobs do: 202 with `{"state": "queued" | "running"}` while the engine is
//! at it, 503 when there is no room, errors in words.

use std::{sync::Arc, time::Instant};

use assay_semantics::judge::Demand;
use axum::{
	extract::{Path, Request, State},
	http::StatusCode,
	response::Response,
};
use codec::DecodeAll;

use super::{
	body,
	jobs::{answer, key, query, reply},
	ApiError,
};
use crate::{Engine, State as JobState};

fn unknown() -> ApiError {
	ApiError::new(StatusCode::NOT_FOUND, "no trace with this key, or it is gone: submit it")
}

/// `PUT /assay/v1/traces/{key}?model=<id>&wait_ms=<n>`, the body being the input tensors as for jobs. Builds the trace.
///
/// - 200, `application/octet-stream`: the encoded `Publication`
/// - 404, 409, 422, 500: as for jobs
pub(super) async fn submit(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
	request: Request,
) -> Result<Response, ApiError> {
	let key = key(&text)?;
	let query = query(request.uri())?;
	let model = query.model()?;
	let input = body(request, &engine).await?;
	answer(engine.submit_trace(key, model, input.into())?, query.wait).await
}

/// `POST /assay/v1/traces/{key}/open?wait_ms=<n>`, the body being an encoded `Demand`.
///
/// - 200, `application/octet-stream`: the encoded `Answer`, as the chain takes it
/// - 400: the body is no demand
/// - 404: no trace with this key (any more): submit it again
/// - 422: a demand that cannot be met, in words
pub(super) async fn open(
	State(engine): State<Arc<Engine>>,
	Path(text): Path<String>,
	request: Request,
) -> Result<Response, ApiError> {
	let start = Instant::now();
	let key = key(&text)?;
	let query = query(request.uri())?;
	let demand = body(request, &engine).await?;
	Demand::decode_all(&mut &demand[..]).map_err(|_| ApiError::bad_request("the body is no demand"))?;
	let mut trace = engine.find_trace(&key).ok_or_else(unknown)?;
	match trace.wait(query.wait).await {
		JobState::Done(_) => {}
		state => return reply(state),
	}
	let ticket = engine.open_trace(&key, demand.into())?.ok_or_else(unknown)?;
	answer(ticket, query.wait.saturating_sub(start.elapsed())).await
}

/// `POST /assay/v1/investigations?model=<id>&wait_ms=<n>`, the body being the SCALE encoding of
/// `(Vec<u8>, Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>)`: the input tensors, the worker's encoded `Publication`, and what was opened
/// so far: each encoded `Demand` with its encoded `Answer`, in any order. The engine keeps nothing of it but its own trace.
///
/// - 200, `application/octet-stream`: the encoded `Advice`
/// - 400: the body is not that
/// - 422: the input does not fit the model; or a message is not right, in words
/// - 404, 500: as for jobs
pub(super) async fn investigate(State(engine): State<Arc<Engine>>, request: Request) -> Result<Response, ApiError> {
	let query = query(request.uri())?;
	let model = query.model()?;
	let inquiry = body(request, &engine).await?;
	answer(engine.investigate(model, inquiry.into())?, query.wait).await
}
