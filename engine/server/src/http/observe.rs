//! Counts requests.

use std::{sync::Arc, time::Instant};

use axum::{
	extract::{MatchedPath, Request, State},
	http::StatusCode,
	middleware::Next,
	response::Response,
};
use http_body::Body as _;

use crate::{metrics::Asked, Engine, ModelId};

/// Counts a request, its time and the bytes of its answer, however it ends.
pub(super) async fn observe(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
	let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_string();
	let mut record = Record { engine, route, model: model(&request), since: Instant::now(), outcome: "gone" };
	let response = next.run(request).await;
	record.outcome = outcome(response.status());
	record.engine.meters().sent.inc_by(response.body().size_hint().exact().unwrap_or_default());
	response
}

fn outcome(status: StatusCode) -> &'static str {
	match status {
		StatusCode::ACCEPTED => "pending",
		StatusCode::SERVICE_UNAVAILABLE => "busy",
		StatusCode::GATEWAY_TIMEOUT => "timeout",
		status if status.is_client_error() => "refused",
		status if status.is_server_error() => "failed",
		_ => "ok",
	}
}

/// The model that an address names, in its path or its query.
fn model(request: &Request) -> Option<ModelId> {
	let uri = request.uri();
	let in_path = uri.path().strip_prefix("/v2/models/").and_then(|rest| rest.split('/').next());
	let in_query = || uri.query()?.split('&').find_map(|pair| pair.strip_prefix("model="));
	in_path.or_else(in_query)?.parse().ok()
}

struct Record {
	engine: Arc<Engine>,
	route: String,
	model: Option<ModelId>,
	since: Instant,
	/// Stays as it is when the client goes away before there is an answer.
	outcome: &'static str,
}

impl Drop for Record {
	fn drop(&mut self) {
		// Strangers cannot make up models: only those in memory have a name here.
		let model = self.model.filter(|id| self.engine.is_loaded(*id)).map(|id| id.to_string()).unwrap_or_default();
		let asked = Asked { route: std::mem::take(&mut self.route), model, outcome: self.outcome };
		self.engine.meters().answered(asked, self.since.elapsed());
	}
}
