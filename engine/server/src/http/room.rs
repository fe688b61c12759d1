//! Bounds on what all requests take together: memory of bodies and answers, and for API users their number.

use std::{
	pin::Pin,
	sync::Arc,
	task::{Context, Poll},
};

use axum::{
	body::{Body, Bytes},
	extract::{Request, State},
	http::{header, StatusCode},
	middleware::Next,
	response::Response,
};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::ApiError;

/// Bodies are accounted for in units of this many bytes; a request without one costs a unit too.
const UNIT: usize = 16 << 10;

/// An answer is handed over in pieces of this size, so that its memory is accounted for until its client has read it.
const PIECE: usize = 64 << 10;

/// Room for the requests of one side: the chain, or API users.
#[derive(Clone)]
pub(super) struct Room {
	bytes: Arc<Semaphore>,
	requests: Arc<Semaphore>,
	max_body: usize,
}

impl Room {
	pub(super) fn new(bytes: usize, requests: usize, max_body: usize) -> Self {
		let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
		Self { bytes: semaphore(bytes / UNIT), requests: semaphore(requests), max_body }
	}

	fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, TryAcquireError> {
		let units = bytes / UNIT + 1;
		self.bytes.clone().try_acquire_many_owned(units.try_into().unwrap_or(u32::MAX))
	}
}

fn too_many(_: TryAcquireError) -> ApiError {
	ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again later")
}

/// Lets a request in if there is room, and keeps it until the answer is read.
pub(super) async fn admit(State(room): State<Room>, request: Request, next: Next) -> Result<Response, ApiError> {
	let headers = request.headers();
	let length = match headers.get(header::CONTENT_LENGTH) {
		Some(length) => length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX),
		// Sent in chunks: it may become as long as a body may be.
		None if headers.contains_key(header::TRANSFER_ENCODING) => room.max_body,
		None => 0,
	};
	if length > room.max_body {
		return Err(super::too_long(room.max_body));
	}
	let one = room.requests.clone().try_acquire_owned().map_err(too_many)?;
	let body = room.take(length).map_err(too_many)?;
	let response = next.run(request).await;
	drop(body);
	let length = response.body().size_hint().exact().unwrap_or_default();
	let answer = room.take(usize::try_from(length).unwrap_or(usize::MAX)).map_err(too_many)?;
	Ok(response.map(|body| Body::new(Held::new(body, (one, answer)))))
}

/// A body that keeps something until it is sent or dropped, and comes in pieces.
pub(super) struct Held<G> {
	body: Body,
	rest: Bytes,
	_guard: G,
}

impl<G> Held<G> {
	pub(super) fn new(body: Body, guard: G) -> Self {
		Self { body, rest: Bytes::new(), _guard: guard }
	}
}

impl<G: Unpin> http_body::Body for Held<G> {
	type Data = Bytes;
	type Error = axum::Error;

	fn poll_frame(
		mut self: Pin<&mut Self>,
		context: &mut Context<'_>,
	) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
		if self.rest.is_empty() {
			match Pin::new(&mut self.body).poll_frame(context) {
				Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
					Ok(data) => self.rest = data,
					Err(frame) => return Poll::Ready(Some(Ok(frame))),
				},
				other => return other,
			}
		}
		let length = self.rest.len().min(PIECE);
		Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
	}

	fn is_end_stream(&self) -> bool {
		self.rest.is_empty() && self.body.is_end_stream()
	}

	fn size_hint(&self) -> SizeHint {
		let rest = self.rest.len() as u64;
		let of_body = self.body.size_hint();
		let mut hint = SizeHint::new();
		hint.set_lower(of_body.lower().saturating_add(rest));
		if let Some(upper) = of_body.upper() {
			hint.set_upper(upper.saturating_add(rest));
		}
		hint
	}
}
