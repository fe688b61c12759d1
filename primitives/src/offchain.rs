//! What off-chain workers share: how the node tells them what to do, and how they talk to the inference engine.

use alloc::{format, string::String, vec, vec::Vec};
use codec::{Decode, Encode};
use sp_core::offchain::{Duration, Timestamp};
use sp_runtime::offchain::{
	http::{Method, PendingRequest, Request},
	storage::{MutateStorageError, StorageValueRef},
};

/// The key in persistent off-chain local storage under which the node leaves [`Settings`] at start.
pub const SETTINGS_KEY: &[u8] = b"assay/offchain/settings";

/// What an operator switched on.
#[derive(Clone, Default, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Settings {
	/// Where the inference engine listens, for example `http://127.0.0.1:8080`, without a slash at the end.
	pub engine_url: Vec<u8>,
	/// The roles the node plays.
	pub roles: Roles,
}

/// The roles of the off-chain worker. Each is switched on by the operator.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Roles {
	/// Serve the jobs assigned to the workers whose service keys are in the keystore.
	pub worker: bool,
	/// Defend their answers: publish and open the traces of those that are challenged.
	pub responder: bool,
}

/// What can go wrong for an off-chain worker. Each kind is counted in persistent off-chain local storage, where the node reads
/// it for its metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
	/// What the node told its off-chain workers makes no sense.
	Settings,
	/// The engine cannot be reached, is too slow, or has troubles of its own.
	EngineUnreachable,
	/// The engine refuses a job, or to defend an answer.
	EngineRefused,
	/// The engine's output is not what the model puts out.
	EngineOutput,
	/// The transaction pool did not take a message. It may have it already.
	Pool,
}

impl ErrorKind {
	/// All kinds.
	pub const ALL: [Self; 5] =
		[Self::Settings, Self::EngineUnreachable, Self::EngineRefused, Self::EngineOutput, Self::Pool];

	/// Its name in metrics.
	pub const fn name(self) -> &'static str {
		match self {
			Self::Settings => "settings",
			Self::EngineUnreachable => "engine_unreachable",
			Self::EngineRefused => "engine_refused",
			Self::EngineOutput => "engine_output",
			Self::Pool => "pool",
		}
	}

	/// The key under which errors of this kind are counted: `assay/offchain/errors/` and the name. The value is an encoded `u64`
	/// that never falls, also over restarts.
	pub fn key(self) -> Vec<u8> {
		[b"assay/offchain/errors/", self.name().as_bytes()].concat()
	}
}

/// Counts an error.
pub fn count_error(kind: ErrorKind) {
	let key = kind.key();
	let more = |count: Result<Option<u64>, _>| Ok(count.ok().flatten().unwrap_or_default().saturating_add(1));
	// Two workers may count at once: then one of them tries again, once.
	let counter = StorageValueRef::persistent(&key);
	if let Err(MutateStorageError::<u64, ()>::ConcurrentModification(_)) = counter.mutate(more) {
		let _ = counter.mutate::<u64, (), _>(more);
	}
}

/// The engine has this long to say something, in milliseconds.
const ENGINE_TIMEOUT_MILLIS: u64 = 2_000;
/// The engine waits this long for a result before it says "not yet", in milliseconds.
pub const ENGINE_WAIT_MILLIS: u64 = 1_000;

/// What the engine says to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
	/// Here it is.
	Done(Vec<u8>),
	/// It is still at it: ask again.
	NotYet,
	/// It refuses, with this HTTP status (400, 404 or 422) and these words.
	Refused(u16, String),
	/// It cannot be reached, or has troubles of its own.
	Failed(String),
}

/// When the engine must have answered a request that is made now.
pub fn engine_deadline() -> Timestamp {
	sp_io::offchain::timestamp().add(Duration::from_millis(ENGINE_TIMEOUT_MILLIS))
}

/// Starts a request to the engine. Several can be under way at once.
pub fn ask_engine(method: Method, url: &str, body: &[u8], deadline: Timestamp) -> Result<PendingRequest, Reply> {
	// An empty chunk would end the body, which then could not be ended.
	let chunks = if body.is_empty() { vec![] } else { vec![body] };
	Request::new(url)
		.method(method)
		.body(chunks)
		.add_header("Content-Type", "application/octet-stream")
		.deadline(deadline)
		.send()
		.map_err(|_| Reply::Failed(String::from("the request could not be started")))
}

/// Waits for the engine's reply, and reads no more than `limit` bytes of it and one.
pub fn engine_reply(request: Result<PendingRequest, Reply>, limit: usize, deadline: Timestamp) -> Reply {
	let response = match request.map(|request| request.try_wait(deadline)) {
		Ok(Ok(Ok(response))) => response,
		Ok(Ok(Err(_))) => return Reply::Failed(String::from("the connection failed")),
		Ok(Err(_)) => return Reply::Failed(String::from("no reply in time")),
		Err(reply) => return reply,
	};
	let mut stream = response.body();
	stream.deadline(deadline);
	let body: Vec<u8> = stream.take(limit.saturating_add(1)).collect();
	let words = || String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or_default()).into_owned();
	match response.code {
		200 => Reply::Done(body),
		202 => Reply::NotYet,
		code @ (400 | 404 | 422) => Reply::Refused(code, words()),
		code => Reply::Failed(format!("it replied with HTTP status {code}: {}", words())),
	}
}

/// Bytes as the engine's URLs name them.
pub fn hex(bytes: &[u8]) -> String {
	const DIGITS: &[u8; 16] = b"0123456789abcdef";
	let digit = |nibble: u8| char::from(*DIGITS.get(usize::from(nibble)).unwrap_or(&b'0'));
	bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
