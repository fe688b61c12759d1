//! Jobs by key, as the chain's off-chain worker sees them.

mod support;

use assay_semantics::{Model, Tensor};
use assay_server::{Engine, EngineOptions, Refusal, State, Store};
use support::{evaluated, shade, until, Folder, Gate, Server, DIGITS};

#[test]
fn job_should_be_collected_later_when_it_takes_its_time() {
	let gate = Gate::default();
	let server = Server::with(EngineOptions { threads: 1, ..Default::default() }, gate.evaluator());
	assert_eq!(server.get("/assay/v1/jobs/a").status, 404);
	assert_eq!(server.put("a", &shade(9), 0).status, 202);
	until("the job runs", || gate.runs() == 1);
	assert_eq!(server.get("/assay/v1/jobs/a").json()["state"], "running");
	let second = server.put("b", &shade(9), 50);
	assert_eq!((second.status, second.json()["state"].as_str()), (202, Some("queued")));
	gate.open();
	let done = server.get("/assay/v1/jobs/a?wait_ms=2000");
	assert_eq!((done.status, done.body), (200, evaluated(&shade(9))));
	assert!(done.head.contains("content-type: application/octet-stream"));
	assert_eq!(server.get("/assay/v1/jobs/b?wait_ms=2000").status, 200);
}

#[test]
fn job_should_run_once_when_its_key_is_submitted_many_times_at_once() {
	let gate = Gate::default();
	let server = Server::with(EngineOptions { threads: 4, ..Default::default() }, gate.evaluator());
	std::thread::scope(|scope| {
		let calls: Vec<_> = (0..24).map(|_| scope.spawn(|| server.put("same", &shade(3), 2000))).collect();
		until("the job runs", || gate.runs() > 0);
		gate.open();
		for call in calls {
			let answer = call.join().unwrap();
			assert_eq!((answer.status, answer.body), (200, evaluated(&shade(3))));
		}
	});
	assert_eq!(server.put("same", &shade(3), 0).status, 200);
	assert_eq!(gate.runs(), 1);
	assert_eq!(server.counter("jobs_started_total"), 1);
}

#[test]
fn key_should_be_refused_when_it_was_used_with_another_input_or_model() {
	let server = Server::start(EngineOptions::default());
	assert_eq!(server.put("k", &shade(1), 2000).status, 200);
	let other_input = server.put("k", &shade(2), 2000);
	assert_eq!(other_input.status, 409);
	assert!(other_input.error().contains("another"));
	let other_model = format!("/assay/v1/jobs/k?model={}", "00".repeat(32));
	assert_eq!(server.request("PUT", &other_model, &shade(1)).status, 409);
	assert_eq!(server.put("k", &shade(1), 0).status, 200);
}

#[test]
fn job_should_be_refused_in_words_when_it_cannot_be_run() {
	let server = Server::start(EngineOptions::default());
	let unknown = format!("/assay/v1/jobs/u?model={}", "00".repeat(32));
	let answer = server.request("PUT", &unknown, &shade(1));
	assert_eq!(answer.status, 404);
	assert!(answer.error().contains("not in the store"));
	for (i, wrong) in [&[][..], &shade(1)[..255], &[&shade(1)[..], &[0]].concat()].iter().enumerate() {
		let answer = server.put(&format!("wrong-{i}"), wrong, 2000);
		assert_eq!(answer.status, 422);
		assert!(answer.error().contains("256 bytes"), "{}", answer.error());
	}
	let id = DIGITS.1;
	for path in [
		"/assay/v1/jobs/k".to_string(),
		"/assay/v1/jobs/k?model=digits".to_string(),
		format!("/assay/v1/jobs/k?model={id}&wait_ms=long"),
		format!("/assay/v1/jobs/k?model={id}&wait=1"),
		format!("/assay/v1/jobs/k.k?model={id}"),
		format!("/assay/v1/jobs/{}?model={id}", "k".repeat(129)),
	] {
		let answer = server.request("PUT", &path, &shade(1));
		assert_eq!(answer.status, 400, "{path}");
		assert!(!answer.error().is_empty());
	}
	let longest = format!("/assay/v1/jobs/{}?model=0x{id}&wait_ms=2000", "k-_9".repeat(32));
	assert_eq!(server.request("PUT", &longest, &shade(1)).status, 200);
}

#[test]
fn job_should_be_put_off_when_the_queue_is_full() {
	let gate = Gate::default();
	let options = EngineOptions { threads: 1, max_queue: 2, ..Default::default() };
	let server = Server::with(options, gate.evaluator());
	assert_eq!(server.put("a", &shade(1), 0).status, 202);
	until("the job runs", || gate.runs() == 1);
	assert_eq!(server.put("b", &shade(1), 0).status, 202);
	assert_eq!(server.put("c", &shade(1), 0).status, 202);
	let full = server.put("d", &shade(1), 0);
	assert_eq!(full.status, 503);
	assert!(full.error().contains("queue is full") && full.head.contains("retry-after"));
	assert_eq!(server.counter("jobs_refused_total"), 1);
	// One that waits already needs no room.
	assert_eq!(server.put("b", &shade(1), 0).status, 202);
	gate.open();
	until("there is room", || server.put("d", &shade(1), 100).status == 200);
}

#[test]
fn job_should_run_again_when_its_result_was_evicted() {
	let gate = Gate::default();
	gate.open();
	let server = Server::with(EngineOptions { max_results: 2, ..Default::default() }, gate.evaluator());
	for key in ["a", "b", "c"] {
		assert_eq!(server.put(key, &shade(1), 2000).status, 200);
	}
	assert_eq!(server.get("/assay/v1/jobs/a").status, 404);
	assert_eq!(server.get("/assay/v1/jobs/c").status, 200);
	assert_eq!(server.put("a", &shade(1), 2000).status, 200);
	assert_eq!(gate.runs(), 4);
}

#[test]
fn server_should_go_on_when_an_evaluation_panics() {
	let evaluate = |model: &Model, inputs: &[Tensor]| {
		assert!(inputs[0].bytes[0] != 0, "zero is where it breaks");
		assay_semantics::evaluate(model, inputs)
	};
	let server = Server::with(EngineOptions { threads: 1, ..Default::default() }, evaluate);
	let answer = server.put("bad", &shade(0), 2000);
	assert_eq!(answer.status, 500);
	assert!(answer.error().contains("zero is where it breaks"));
	assert_eq!(server.put("good", &shade(1), 2000).status, 200);
	assert_eq!(server.put("bad", &shade(0), 2000).status, 500);
	assert_eq!(server.counter("jobs_panicked_total"), 1);
}

#[test]
fn job_should_not_run_when_nobody_waits_for_it_and_it_has_no_key() {
	let gate = Gate::default();
	let server = Server::with(EngineOptions { threads: 1, ..Default::default() }, gate.evaluator());
	assert_eq!(server.put("a", &shade(1), 0).status, 202);
	until("the job runs", || gate.runs() == 1);
	drop(server.engine.submit_once(DIGITS.1, shade(2)).unwrap());
	gate.open();
	assert_eq!(server.put("b", &shade(1), 2000).status, 200);
	assert_eq!(gate.runs(), 2);
}

#[test]
fn waiting_job_should_be_told_when_the_engine_goes_down() {
	let folder = Folder::new();
	let store = Store::open(&folder.0).unwrap();
	store.put(&DIGITS.0).unwrap();
	let gate = Gate::default();
	let engine = Engine::new(store, EngineOptions { threads: 1, ..Default::default() }, gate.evaluator());
	let running = engine.submit("a".parse().unwrap(), DIGITS.1, shade(1)).unwrap();
	until("the job runs", || gate.runs() == 1);
	let waiting = engine.submit("b".parse().unwrap(), DIGITS.1, shade(1)).unwrap();
	drop(engine);
	gate.open();
	let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
	assert_eq!(runtime.block_on(waiting.finished()).err(), Some(Refusal::Closing));
	assert!(matches!(runtime.block_on(running.finished()), Ok(State::Done(_))));
}
