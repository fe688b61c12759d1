//! The engine over HTTP.

mod jobs;
mod oip;
mod tensors;
mod traces;

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{
	body::Bytes,
	extract::{DefaultBodyLimit, FromRequest, Request, State},
	http::{header, HeaderValue, StatusCode},
	middleware::{self, Next},
	response::{IntoResponse, Response},
	routing::{get, post, put},
	Json, Router,
};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{traces::MAX_MESSAGES_BYTES, Engine, Failure, ModelId, Refusal, StoreError};

/// A client that takes longer to send a body is cut off.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Bodies are accounted for in units of this many bytes; a request without one costs a unit too.
const BODY_UNIT: usize = 16 << 10;

/// Serves the engine until `shutdown` resolves, then lets the requests in progress end.
pub async fn serve(
	listener: TcpListener,
	engine: Arc<Engine>,
	shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
	axum::serve(listener, router(engine)).with_graceful_shutdown(shutdown).await
}

fn router(engine: Arc<Engine>) -> Router {
	let bodies = Arc::new(Semaphore::new(engine.options().max_bodies_bytes / BODY_UNIT));
	let max_body = engine.options().max_body_bytes;
	// An investigation has an input, and messages beside it.
	let max_inquiry = max_body.saturating_add(MAX_MESSAGES_BYTES);
	let inquiry = post(traces::investigate).layer(DefaultBodyLimit::max(max_inquiry));
	let work = Router::new()
		.route("/v2/models/{model}", get(oip::metadata))
		.route("/v2/models/{model}/ready", get(oip::model_ready))
		.route("/v2/models/{model}/infer", post(oip::infer))
		.route("/assay/v1/jobs/{key}", put(jobs::submit).get(jobs::poll))
		.route("/assay/v1/traces/{key}", put(traces::submit))
		.route("/assay/v1/traces/{key}/open", post(traces::open))
		.route("/assay/v1/investigations", inquiry)
		.layer(DefaultBodyLimit::max(max_body))
		.layer(middleware::from_fn_with_state((bodies, max_inquiry), admit));
	// Answered however busy the engine is.
	let health = Router::new()
		.route("/v2", get(oip::server))
		.route("/v2/health/live", get(|| async { Json(serde_json::json!({ "live": true })) }))
		.route("/v2/health/ready", get(|| async { Json(serde_json::json!({ "ready": true })) }))
		.route("/metrics", get(metrics));
	work.merge(health)
		.fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "there is nothing at this address") })
		.method_not_allowed_fallback(|| async {
			ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
		})
		.with_state(engine)
}

/// Bounds the memory that bodies take together.
async fn admit(
	State((bodies, max_body)): State<(Arc<Semaphore>, usize)>,
	request: Request,
	next: Next,
) -> Result<Response, ApiError> {
	let headers = request.headers();
	let length = match headers.get(header::CONTENT_LENGTH) {
		Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(max_body),
		// Sent in chunks: it may become as long as a body may be.
		None if headers.contains_key(header::TRANSFER_ENCODING) => max_body,
		None => 0,
	};
	// A longer one is refused before it is read.
	let units = length.min(max_body) / BODY_UNIT + 1;
	let _permit = bodies
		.try_acquire_many(units.try_into().unwrap_or(u32::MAX))
		.map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again later"))?;
	Ok(next.run(request).await)
}

async fn metrics(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
	([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], engine.metrics())
}

/// The body of a request, bounded in length and time.
async fn body(request: Request, engine: &Engine) -> Result<Bytes, ApiError> {
	match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
		Ok(Ok(bytes)) => Ok(bytes),
		Ok(Err(e)) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => {
			let most = engine.options().max_body_bytes;
			Err(ApiError::new(e.status(), format!("the body is longer than {most} bytes, the most this engine takes")))
		}
		Ok(Err(e)) => Err(ApiError::new(e.status(), e.body_text())),
		Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive")),
	}
}

/// The model, loaded if it is not.
async fn model(engine: &Arc<Engine>, id: ModelId) -> Result<Arc<assay_semantics::Model>, ApiError> {
	if let Some(model) = engine.loaded(id) {
		return Ok(model);
	}
	let engine = engine.clone();
	blocking(move || engine.model(id)).await?.map_err(ApiError::from)
}

/// Runs what would hold up the other requests on a thread of its own.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
	tokio::task::spawn_blocking(f)
		.await
		.map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("an error in the engine: {e}")))
}

/// An error as the protocol has it: a status and `{"error": "words"}`.
#[derive(Debug)]
struct ApiError {
	status: StatusCode,
	message: String,
}

impl ApiError {
	fn new(status: StatusCode, message: impl Into<String>) -> Self {
		Self { status, message: message.into() }
	}

	fn bad_request(message: impl Into<String>) -> Self {
		Self::new(StatusCode::BAD_REQUEST, message)
	}
}

impl IntoResponse for ApiError {
	fn into_response(self) -> Response {
		let mut response = (self.status, Json(serde_json::json!({ "error": self.message }))).into_response();
		if self.status == StatusCode::SERVICE_UNAVAILABLE {
			response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
		}
		response
	}
}

impl From<StoreError> for ApiError {
	fn from(error: StoreError) -> Self {
		let status = match error {
			StoreError::Unknown(_) => StatusCode::NOT_FOUND,
			_ => StatusCode::INTERNAL_SERVER_ERROR,
		};
		Self::new(status, error.to_string())
	}
}

impl From<Refusal> for ApiError {
	fn from(refusal: Refusal) -> Self {
		let status = match refusal {
			Refusal::UnknownModel(_) => StatusCode::NOT_FOUND,
			Refusal::KeyTaken => StatusCode::CONFLICT,
			Refusal::QueueFull | Refusal::Closing => StatusCode::SERVICE_UNAVAILABLE,
		};
		Self::new(status, refusal.to_string())
	}
}

impl From<Failure> for ApiError {
	fn from(failure: Failure) -> Self {
		let status = match failure {
			Failure::Malformed(_) => StatusCode::BAD_REQUEST,
			Failure::Input(_) => StatusCode::UNPROCESSABLE_ENTITY,
			Failure::Engine(_) | Failure::Panic(_) => StatusCode::INTERNAL_SERVER_ERROR,
		};
		Self::new(status, failure.to_string())
	}
}
