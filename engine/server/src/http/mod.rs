//! The engine over HTTP.

mod connections;
mod infer;
mod jobs;
mod observe;
mod oip;
mod room;
mod tensors;
mod traces;

use std::{future::Future, io, sync::Arc};

use axum::{
	body::Bytes,
	extract::{DefaultBodyLimit, FromRequest, Request, State},
	http::{header, HeaderValue, StatusCode},
	middleware,
	response::{IntoResponse, Response},
	routing::{get, post, put},
	Json, Router,
};
use tokio::net::TcpListener;

use self::room::Room;
use crate::{traces::MAX_MESSAGES_BYTES, Engine, Failure, ModelId, Refusal, StoreError};

#[doc(hidden)]
pub use self::infer::try_body;

/// Serves the engine until `shutdown` resolves. Then it takes no connections and says that it is not ready, and ends when
/// the requests in progress have ended: whoever wants to wait less long drops it.
pub async fn serve(
	listener: TcpListener,
	engine: Arc<Engine>,
	shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
	let router = router(engine.clone());
	connections::serve(listener, engine, router, shutdown).await
}

fn router(engine: Arc<Engine>) -> Router {
	let options = engine.options();
	let max_body = options.max_body_bytes;
	// Room of their own for the chain and for API users, so that neither takes the other's.
	let room = |requests, max_body| Room::new(options.max_bodies_bytes, requests, max_body);
	let users = room(options.max_connections / 2, max_body);
	let mut api = Router::new();
	for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
		api = api
			.route(model, get(oip::metadata))
			.route(&format!("{model}/ready"), get(oip::model_ready))
			.route(&format!("{model}/infer"), post(oip::infer));
	}
	let api = api.layer(DefaultBodyLimit::max(max_body)).layer(middleware::from_fn_with_state(users, room::admit));
	// An investigation has an input, and messages beside it.
	let max_inquiry = max_body.saturating_add(MAX_MESSAGES_BYTES);
	let inquiry = post(traces::investigate).layer(DefaultBodyLimit::max(max_inquiry));
	let chain = Router::new()
		.route("/assay/v1/jobs/{key}", put(jobs::submit).get(jobs::poll))
		.route("/assay/v1/traces/{key}", put(traces::submit))
		.route("/assay/v1/traces/{key}/open", post(traces::open))
		.route("/assay/v1/investigations", inquiry)
		.layer(DefaultBodyLimit::max(max_body))
		.layer(middleware::from_fn_with_state(room(options.max_connections, max_inquiry), room::admit));
	// Answered however busy the engine is.
	let health = Router::new()
		.route("/v2", get(oip::server))
		.route("/v2/health/live", get(oip::live))
		.route("/v2/health/ready", get(oip::ready))
		.route("/metrics", get(metrics));
	api.merge(chain)
		.merge(health)
		.fallback(|| async { ApiError::new(StatusCode::NOT_FOUND, "there is nothing at this address") })
		.method_not_allowed_fallback(|| async {
			ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
		})
		.layer(middleware::from_fn_with_state(engine.clone(), observe::observe))
		.with_state(engine)
}

async fn metrics(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
	let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
	([(header::CONTENT_TYPE, format)], engine.metrics())
}

/// The body of a request, bounded in length and time.
async fn body(request: Request, engine: &Engine) -> Result<Bytes, ApiError> {
	let encoding = request.headers().get(header::CONTENT_ENCODING);
	if encoding.is_some_and(|encoding| encoding != "identity") {
		let words = "compressed bodies are not taken; send the body as it is, without Content-Encoding";
		return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
	}
	let most = engine.options().max_body_time;
	match tokio::time::timeout(most, Bytes::from_request(request, &())).await {
		Ok(Ok(bytes)) => {
			engine.meters().received.inc_by(bytes.len() as u64);
			Ok(bytes)
		}
		Ok(Err(e)) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_long(engine.options().max_body_bytes)),
		Ok(Err(e)) => Err(ApiError::new(e.status(), e.body_text())),
		Err(_) => {
			Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, format!("the body took longer than {most:?} to arrive")))
		}
	}
}

fn too_long(most: usize) -> ApiError {
	let words = format!("the body is longer than {most} bytes, the most this engine takes");
	ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, words)
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
			Refusal::TooSlow(_) => StatusCode::GATEWAY_TIMEOUT,
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
