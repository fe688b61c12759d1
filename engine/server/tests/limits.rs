//! What the engine does when it is asked for more than it has, and when callers go away.

mod support;

use std::{
	io::{Read, Write},
	net::{SocketAddr, TcpStream},
	thread::JoinHandle,
	time::{Duration, Instant},
};

use assay_semantics::{EvalError, Model, Tensor};
use assay_server::{EngineOptions, Evaluator};
use serde_json::json;
use support::{evaluated, request, shade, until, Answer, Gate, Server, DIGITS};

fn body(outputs: &str) -> Vec<u8> {
	let input = json!({ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": vec![1.0; 64] });
	format!(r#"{{"inputs": [{input}]{outputs}}}"#).into_bytes()
}

fn infer_path() -> String {
	format!("/v2/models/{}/infer", DIGITS.1)
}

/// Asks as an API user does.
fn infer(address: SocketAddr) -> Answer {
	request(address, "POST", &infer_path(), &body(""))
}

fn asked(server: &Server) -> JoinHandle<Answer> {
	let address = server.address;
	std::thread::spawn(move || infer(address))
}

/// Sends a request and leaves the connection open, unread.
fn begun(server: &Server) -> TcpStream {
	let mut stream = TcpStream::connect(server.address).unwrap();
	let body = body("");
	let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", infer_path(), body.len());
	stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
	stream
}

fn one_thread() -> EngineOptions {
	EngineOptions { threads: 1, ..Default::default() }
}

#[test]
fn user_should_be_put_off_when_the_queue_is_full_and_the_chain_should_not() {
	let gate = Gate::default();
	let server = Server::with(EngineOptions { max_queue: 2, ..one_thread() }, gate.evaluator());
	let first = asked(&server);
	until("it runs", || gate.runs() == 1);
	let waiting = [asked(&server), asked(&server)];
	until("they wait", || server.counter("jobs_queued{lane=\"api\"}") == 2);
	let full = infer(server.address);
	assert_eq!(full.status, 503);
	assert!(full.error().contains("queue is full") && full.head.contains("retry-after: 1"), "{full:?}");
	// The chain's job is on a thread at once, and its lane has room.
	assert_eq!(server.put("a", &shade(9), 0).status, 202);
	until("the chain's job runs", || gate.runs() == 2);
	assert_eq!(server.counter("jobs_running{lane=\"chain\"}"), 1);
	assert_eq!(server.put("b", &shade(9), 0).status, 202);
	gate.open();
	assert_eq!(server.get("/assay/v1/jobs/a?wait_ms=2000").body, evaluated(&shade(9)));
	assert_eq!(server.get("/assay/v1/jobs/b?wait_ms=2000").status, 200);
	for call in [first].into_iter().chain(waiting) {
		assert_eq!(call.join().unwrap().status, 200);
	}
}

#[test]
fn chain_should_have_room_for_bodies_when_users_take_all_of_theirs() {
	let gate = Gate::default();
	let server = Server::with(EngineOptions { max_bodies_bytes: 64 << 10, ..one_thread() }, gate.evaluator());
	// Announced, and never sent. One that comes while the question before it is being answered finds no room: then another.
	let mut held = Vec::new();
	until("users have no room", || {
		let mut stream = TcpStream::connect(server.address).unwrap();
		let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n", infer_path());
		stream.write_all(head.as_bytes()).unwrap();
		held.push(stream);
		server.get(&format!("/v2/models/{}", DIGITS.1)).status == 503
	});
	assert_eq!(server.put("a", &shade(1), 0).status, 202);
	drop(held);
	until("users have room", || server.get(&format!("/v2/models/{}", DIGITS.1)).status == 200);
	gate.open();
}

#[test]
fn queued_work_should_be_dropped_when_its_client_goes_away() {
	let gate = Gate::default();
	let server = Server::with(EngineOptions { max_queue: 1, ..one_thread() }, gate.evaluator());
	let first = asked(&server);
	until("it runs", || gate.runs() == 1);
	let gone = begun(&server);
	until("it waits", || server.counter("jobs_queued{lane=\"api\"}") == 1);
	drop(gone);
	until("it waits no more", || server.counter("jobs_queued{lane=\"api\"}") == 0);
	assert_eq!(server.counter("jobs_cancelled_total"), 1);
	let next = asked(&server);
	gate.open();
	assert_eq!((first.join().unwrap().status, next.join().unwrap().status), (200, 200));
	assert_eq!(gate.runs(), 2);
	let text = String::from_utf8(server.get("/metrics").body).unwrap();
	assert!(text.lines().any(|line| line.contains("infer") && line.contains("outcome=\"gone\"")), "{text}");
}

/// Goes on until nobody waits.
struct Endless;

impl Evaluator for Endless {
	fn outputs(&self, _: &Model, _: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		unreachable!("only users ask")
	}

	fn outputs_while(
		&self,
		_: &Model,
		_: &[Tensor],
		wanted: &(dyn Fn() -> bool + Sync),
	) -> Result<Option<Vec<Tensor>>, EvalError> {
		while wanted() {
			std::thread::sleep(Duration::from_millis(1));
		}
		Ok(None)
	}
}

#[test]
fn running_work_should_stop_when_its_client_goes_away() {
	let server = Server::with(one_thread(), Endless);
	let gone = begun(&server);
	until("it runs", || server.counter("jobs_running{lane=\"api\"}") == 1);
	drop(gone);
	until("it runs no more", || server.counter("jobs_running{lane=\"api\"}") == 0);
	assert_eq!(server.counter("jobs_cancelled_total"), 1);
}

#[test]
fn request_should_time_out_and_its_work_stop_when_it_takes_too_long() {
	let server = Server::with(EngineOptions { max_infer_time: Duration::from_millis(200), ..one_thread() }, Endless);
	let answer = infer(server.address);
	assert_eq!(answer.status, 504);
	assert!(answer.error().contains("200ms"), "{}", answer.error());
	until("it runs no more", || server.counter("jobs_running{lane=\"api\"}") == 0);
	// A client may wait less long than the engine would let it.
	let short = body(r#", "parameters": {"timeout": 1000}"#);
	let answer = server.request("POST", &infer_path(), &short);
	assert_eq!((answer.status, answer.error().contains("1ms")), (504, true));
}

#[test]
fn body_should_time_out_when_it_does_not_come() {
	let options = EngineOptions { max_body_time: Duration::from_millis(100), ..Default::default() };
	let server = Server::start(options);
	let mut stream = TcpStream::connect(server.address).unwrap();
	let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{", infer_path());
	stream.write_all(head.as_bytes()).unwrap();
	let mut answer = [0; 256];
	let length = stream.read(&mut answer).unwrap();
	let answer = String::from_utf8_lossy(&answer[..length]);
	assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("100ms"), "{answer}");
}

#[test]
fn outputs_should_be_refused_when_they_are_too_long_to_send() {
	let server = Server::start(EngineOptions { max_output_bytes: 40, ..Default::default() });
	let answer = infer(server.address);
	assert_eq!(answer.status, 422);
	assert!(answer.error().contains("260 bytes") && answer.error().contains("at most 40"), "{}", answer.error());
	let binary = body(r#", "parameters": {"binary_data_output": true}"#);
	assert_eq!(server.request("POST", &infer_path(), &binary).status, 200);
}

#[test]
fn new_connection_should_be_served_when_idle_ones_take_all_places() {
	let server = Server::start(EngineOptions { max_connections: 8, ..Default::default() });
	let mut idle: Vec<_> = (0..40).map(|_| TcpStream::connect(server.address).unwrap()).collect();
	// Half a head is no request either.
	for stream in &mut idle {
		let _ = stream.write_all(b"GET /v2 HT");
	}
	let start = Instant::now();
	assert_eq!(server.put("a", &shade(1), 2000).status, 200);
	assert!(start.elapsed() < Duration::from_secs(10));
	until("the oldest are closed", || server.counter("connections") <= 8);
	idle[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
	assert!(matches!(idle[0].read(&mut [0; 64]), Ok(0) | Err(_)));
}

#[test]
fn metrics_should_tell_what_was_asked_and_what_came_of_it() {
	let server = Server::start(EngineOptions::default());
	assert_eq!(infer(server.address).status, 200);
	assert_eq!(server.request("POST", &infer_path(), b"{").status, 400);
	assert_eq!(server.get("/nothing").status, 404);
	let unknown = format!("/v2/models/{}/ready", "00".repeat(32));
	assert_eq!(server.get(&unknown).status, 404);
	assert_eq!(server.put("a", &shade(1), 2000).status, 200);
	assert_eq!(server.put("a", &shade(1), 2000).status, 200);
	let route = "route=\"/v2/models/{model}/infer\"";
	let model = DIGITS.1;
	let requests = |route: &str, model: &str, outcome: &str| {
		server.counter(&format!("requests_total{{route=\"{route}\",model=\"{model}\",outcome=\"{outcome}\"}}"))
	};
	assert_eq!(requests("/v2/models/{model}/infer", &model.to_string(), "ok"), 1);
	assert_eq!(requests("/v2/models/{model}/infer", &model.to_string(), "refused"), 1);
	assert_eq!(requests("/v2/models/{model}/ready", "", "refused"), 1);
	assert_eq!(requests("none", "", "refused"), 1);
	assert_eq!(requests("/assay/v1/jobs/{key}", &model.to_string(), "ok"), 2);
	assert_eq!(server.counter(&format!("request_seconds_count{{{route}}}")), 2);
	assert_eq!(server.counter("evaluation_seconds_count{lane=\"api\"}"), 1);
	assert_eq!((server.counter("job_hits_total"), server.counter("jobs_done_total")), (1, 2));
	assert!(server.counter("model_hits_total") > 0);
	assert!(server.counter("received_bytes_total") >= body("").len() as u64 + 1 + 512);
	assert!(server.counter("sent_bytes_total") > 80);
	let text = String::from_utf8(server.get("/metrics").body).unwrap();
	assert!(text.ends_with("# EOF\n"));
}
