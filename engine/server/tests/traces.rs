//! Traces and investigations over HTTP, as the off-chain workers of both sides see them.

mod support;

use std::sync::{
	atomic::{AtomicU64, Ordering},
	Arc,
};

use assay_semantics::{
	judge::{Answer, Demand, Publication},
	prover::{Advice, Trace},
	trace::Coordinate,
	EvalError, Model, Op, Tensor, ValueId, Walk,
};
use assay_server::{Engine, EngineOptions, Evaluator, ModelId, Store};
use codec::{Decode, Encode};
use support::{evaluated, imported, shade, Server, DIGITS};

fn put(server: &Server, key: &str, input: &[u8]) -> support::Answer {
	server.request("PUT", &format!("/assay/v1/traces/{key}?model={}&wait_ms=2000", DIGITS.1), input)
}

fn open(server: &Server, key: &str, demand: &[u8]) -> support::Answer {
	server.request("POST", &format!("/assay/v1/traces/{key}/open?wait_ms=2000"), demand)
}

fn investigate(server: &Server, body: &[u8]) -> support::Answer {
	server.request("POST", &format!("/assay/v1/investigations?model={}&wait_ms=2000", DIGITS.1), body)
}

/// The trace in memory, straight from the semantics.
fn whole(model: &Model, input: &[u8]) -> Trace<Arc<Model>> {
	let tensor = Tensor::new(model.header().inputs[0].clone(), input.to_vec()).unwrap();
	let values = assay_semantics::trace(model, &[tensor]).unwrap();
	Trace::new(Arc::new(model.clone()), values)
}

#[test]
fn trace_should_be_published_and_opened_as_the_semantics_say() {
	let server = Server::start(EngineOptions::default());
	let model = imported();
	let own = whole(&model, &shade(7));
	let answer = put(&server, "t", &shade(7));
	assert_eq!(answer.status, 200, "{answer:?}");
	assert!(answer.head.contains("content-type: application/octet-stream"));
	let publication = Publication::decode(&mut &answer.body[..]).unwrap();
	assert_eq!(publication, own.publication());
	assert_eq!(publication.check(&DIGITS.1 .0, &own.input_root(), &own.output_root()), Ok(own.root()));
	let mut opened = 0;
	for value in 0..model.nodes().len() as u32 {
		let at = Coordinate::of(value);
		for demand in [
			Demand::Node { value },
			Demand::Tiles { at },
			Demand::Tile { at, tile: 0 },
			Demand::States { at, element: 0 },
		] {
			let expected = own.open(&demand).unwrap();
			let answer = open(&server, "t", &demand.encode());
			match expected.check(&DIGITS.1 .0, &own.root(), &demand) {
				Ok(()) => {
					assert_eq!((answer.status, Answer::decode(&mut &answer.body[..]).unwrap()), (200, expected));
					opened += 1;
				}
				// A source, or an element of one step.
				Err(_) => assert_eq!(answer.status, 422, "{demand:?}"),
			}
		}
	}
	assert!(opened > 30, "{opened}");
	assert_eq!((server.counter("traces_built_total"), server.counter("traces_kept")), (1, 1));
	// The same input under another key is the same trace.
	assert_eq!(put(&server, "u", &shade(7)).body, publication.encode());
	assert_eq!(server.counter("traces_built_total"), 1);
	// A job of the same name is something else.
	assert_eq!(server.put("t", &shade(8), 2000).body, evaluated(&shade(8)));
}

#[test]
fn demand_should_be_refused_in_words_when_it_cannot_be_met() {
	let server = Server::start(EngineOptions::default());
	assert_eq!(put(&server, "t", &shade(1)).status, 200);
	let last = imported().nodes().len() as u32 - 1;
	let at = Coordinate::of(last);
	for demand in [
		Demand::Node { value: last + 1 },
		Demand::Values { group: 0 },
		Demand::Tiles { at: Coordinate::of(0) },
		Demand::Tiles { at: Coordinate { iteration: 1, value: last } },
		Demand::TileGroup { at, group: 0 },
		Demand::Tile { at, tile: 1 },
		Demand::States { at, element: 0 },
		Demand::States { at, element: u64::MAX },
		Demand::Tiles { at: Coordinate::of(u32::MAX) },
	] {
		let answer = open(&server, "t", &demand.encode());
		assert_eq!(answer.status, 422, "{demand:?}: {answer:?}");
		assert!(answer.error().len() > 10);
	}
	for garbage in [&b""[..], b"\x07", b"\x00\x01", &[Demand::Node { value: 1 }.encode(), vec![0]].concat()] {
		let answer = open(&server, "t", garbage);
		assert_eq!((answer.status, answer.error().as_str()), (400, "the body is no demand"));
	}
	let node = Demand::Node { value: 1 }.encode();
	let unknown = open(&server, "nobody", &node);
	assert_eq!(unknown.status, 404);
	assert!(unknown.error().contains("submit it"));
	assert_eq!(open(&server, "k.k", &node).status, 400);
	assert_eq!(server.get("/assay/v1/traces/t/open").status, 405);
	assert_eq!(open(&server, "t", &node).status, 200);
}

#[test]
fn trace_should_be_refused_in_words_when_it_cannot_be_built() {
	let server = Server::start(EngineOptions::default());
	for (i, wrong) in [&[][..], &shade(1)[..255], &[&shade(1)[..], &[0]].concat()].iter().enumerate() {
		let answer = put(&server, &format!("wrong-{i}"), wrong);
		assert_eq!(answer.status, 422);
		assert!(answer.error().contains("256 bytes"), "{}", answer.error());
		// It is known, and it is not to be had.
		assert_eq!(open(&server, &format!("wrong-{i}"), &Demand::Node { value: 0 }.encode()).status, 422);
	}
	assert_eq!(put(&server, "k", &shade(1)).status, 200);
	assert_eq!(put(&server, "k", &shade(2)).status, 409);
	let other = format!("/assay/v1/traces/k?model={}", "00".repeat(32));
	assert_eq!(server.request("PUT", &other, &shade(1)).status, 409);
	let unknown = format!("/assay/v1/traces/u?model={}", "00".repeat(32));
	assert_eq!(server.request("PUT", &unknown, &shade(1)).status, 404);
	assert_eq!(server.request("PUT", "/assay/v1/traces/u", &shade(1)).status, 400);
	let small = Server::start(EngineOptions { max_body_bytes: 100, ..Default::default() });
	assert_eq!(put(&small, "k", &shade(1)).status, 413);
}

#[test]
fn investigation_should_be_refused_in_words_when_a_message_is_wrong() {
	let server = Server::start(EngineOptions::default());
	let own = whole(&imported(), &shade(3));
	let none: Vec<(Vec<u8>, Vec<u8>)> = vec![];
	let good = (shade(3), own.publication().encode(), none.clone()).encode();
	let answer = investigate(&server, &good);
	assert_eq!((answer.status, Advice::decode(&mut &answer.body[..])), (200, Ok(Advice::Agree)), "{answer:?}");
	// The engine's own trace of it is there already.
	assert_eq!(put(&server, "t", &shade(3)).status, 200);
	assert_eq!(server.counter("traces_built_total"), 1);
	for cut in [0, 1, 100, good.len() - 1] {
		assert_eq!(investigate(&server, &good[..cut]).status, 400, "{cut}");
	}
	assert_eq!(investigate(&server, &[&good[..], &[0]].concat()).status, 400);
	// A length that is a lie, in a body of four bytes.
	assert_eq!(investigate(&server, &[0xfe, 0xff, 0xff, 0xff]).status, 400);
	// Many small parts that would take much memory.
	let parts = (shade(3), own.publication().encode(), vec![(Vec::<u8>::new(), Vec::<u8>::new()); 200_000]).encode();
	assert_eq!(investigate(&server, &parts).status, 400);
	let mut other = own.publication();
	other.header.values += 1;
	for (publication, input, status) in [
		(vec![1, 2, 3], shade(3), 422),
		(other.encode(), shade(3), 422),
		(own.publication().encode(), shade(4), 422),
		(own.publication().encode(), vec![0; 3], 422),
	] {
		let answer = investigate(&server, &(input, publication, none.clone()).encode());
		assert_eq!(answer.status, status);
		assert!(!answer.error().is_empty());
	}
	assert_eq!(server.request("POST", "/assay/v1/investigations", &good).status, 400);
	let unknown = format!("/assay/v1/investigations?model={}", ModelId([0; 32]));
	assert_eq!(server.request("POST", &unknown, &good).status, 404);
}

#[test]
fn trace_should_be_had_again_when_it_was_evicted() {
	let server = Server::start(EngineOptions { max_traces: 1, ..Default::default() });
	let demand = Demand::Tiles { at: Coordinate::of(imported().nodes().len() as u32 - 1) }.encode();
	assert_eq!(put(&server, "a", &shade(1)).status, 200);
	let before = open(&server, "a", &demand);
	assert_eq!(put(&server, "b", &shade(2)).status, 200);
	assert_eq!(server.counter("traces_kept"), 1);
	assert_eq!(open(&server, "a", &demand).status, 404);
	assert_eq!(put(&server, "a", &shade(1)).status, 200);
	assert_eq!(open(&server, "a", &demand).body, before.body);
	assert_eq!(server.counter("traces_built_total"), 3);
}

#[test]
fn trace_should_be_had_again_when_the_engine_was_restarted() {
	let server = Server::start(EngineOptions::default());
	let published = put(&server, "t", &shade(5)).body;
	drop(server);
	let server = Server::start(EngineOptions::default());
	let demand = Demand::Tile { at: Coordinate::of(middle()), tile: 0 };
	assert_eq!(open(&server, "t", &demand.encode()).status, 404);
	assert_eq!(put(&server, "t", &shade(5)).body, published);
	let answer = open(&server, "t", &demand.encode());
	assert_eq!(answer.body, whole(&imported(), &shade(5)).open(&demand).unwrap().encode());
}

/// A value in the middle of the model, computed from another that is computed.
fn middle() -> u32 {
	let model = imported();
	let is_computed = |v: u32| !matches!(model.nodes()[v as usize].op, Op::Input(_) | Op::Weight(_));
	let fits = |v: &u32| is_computed(*v) && model.nodes()[*v as usize].inputs.iter().any(|i| is_computed(*i));
	(model.nodes().len() as u32 / 2..).find(fits).unwrap()
}

/// The reference; counts the values that it computes and the most that are in memory.
#[derive(Clone, Default)]
struct Counting(Arc<(AtomicU64, AtomicU64)>);

impl Evaluator for Counting {
	fn outputs(&self, model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		assay_semantics::evaluate(model, inputs)
	}

	fn values(
		&self,
		model: &Model,
		inputs: &[Tensor],
		only: Option<&[ValueId]>,
		visit: &mut dyn FnMut(ValueId, &Tensor),
	) -> Result<(), EvalError> {
		let mut walk = match only {
			None => Walk::all(model, inputs)?,
			Some(values) => Walk::to(model, inputs, values)?,
		};
		while let Some(value) = walk.step()? {
			visit(value, walk.value(value).unwrap());
			self.0 .0.fetch_add(1, Ordering::SeqCst);
			self.0 .1.fetch_max(walk.live() as u64, Ordering::SeqCst);
		}
		Ok(())
	}
}

#[test]
fn memory_should_hold_few_values_whatever_is_opened() {
	let counting = Counting::default();
	let server = Server::with(EngineOptions { max_value_bytes: 64, ..Default::default() }, counting.clone());
	assert_eq!(put(&server, "t", &shade(5)).status, 200);
	let model = imported();
	for value in 0..model.nodes().len() as u32 {
		open(&server, "t", &Demand::Tiles { at: Coordinate::of(value) }.encode());
		let kept: u64 = server.counter("values_kept");
		assert!(kept <= 3, "{kept} values");
	}
	let most = counting.0 .1.load(Ordering::SeqCst);
	assert!(most <= 5 && model.nodes().len() > 20, "{most} of {}", model.nodes().len());
}

#[test]
fn value_should_be_computed_once_when_a_dispute_asks_for_it_again() {
	let counting = Counting::default();
	let server = Server::with(EngineOptions::default(), counting.clone());
	assert_eq!(put(&server, "t", &shade(5)).status, 200);
	let built = counting.0 .0.load(Ordering::SeqCst);
	assert_eq!(built, imported().nodes().len() as u64);
	let at = Coordinate::of(middle());
	assert_eq!(open(&server, "t", &Demand::Tiles { at }.encode()).status, 200);
	let once = counting.0 .0.load(Ordering::SeqCst);
	assert!(once > built);
	let operand = imported().nodes()[at.value as usize].inputs[0];
	for demand in [Demand::Tile { at, tile: 0 }, Demand::Tiles { at: Coordinate::of(operand) }, Demand::Tiles { at }] {
		assert_eq!(open(&server, "t", &demand.encode()).status, 200);
	}
	assert_eq!(counting.0 .0.load(Ordering::SeqCst), once);
}

#[test]
fn work_should_be_put_off_when_the_queue_is_full() {
	let folder = support::Folder::new();
	let store = Store::open(&folder.0).unwrap();
	store.put(&DIGITS.0).unwrap();
	// No threads at all would be one per processor; one that is busy for good does as well.
	let (release, busy) = std::sync::mpsc::channel::<()>();
	let busy = std::sync::Mutex::new(busy);
	let evaluate = move |model: &Model, inputs: &[Tensor]| {
		let _ = busy.lock().unwrap().recv();
		assay_semantics::evaluate(model, inputs)
	};
	let options = EngineOptions { threads: 1, max_queue: 1, ..Default::default() };
	let engine = Engine::new(store, options, evaluate);
	let mut running = engine.submit("a".parse().unwrap(), DIGITS.1, shade(1)).unwrap();
	while matches!(running.state(), assay_server::State::Queued) {
		std::thread::yield_now();
	}
	engine.submit_trace("t".parse().unwrap(), DIGITS.1, shade(1)).unwrap();
	let full = Some(assay_server::Refusal::QueueFull);
	assert_eq!(engine.submit_trace("u".parse().unwrap(), DIGITS.1, shade(1)).err(), full);
	assert_eq!(engine.investigate(DIGITS.1, vec![]).err(), full);
	// Known already, and not built yet.
	assert!(engine.submit_trace("t".parse().unwrap(), DIGITS.1, shade(1)).is_ok());
	assert!(engine.open_trace(&"t".parse().unwrap(), vec![]).unwrap().is_none());
	drop(release);
	let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
	let wait = std::time::Duration::from_secs(5);
	assert!(matches!(runtime.block_on(running.wait(wait)), assay_server::State::Done(_)));
	let mut trace = engine.find_trace(&"t".parse().unwrap()).unwrap();
	assert!(matches!(runtime.block_on(trace.wait(wait)), assay_server::State::Done(_)));
}

/// Panics the first time.
struct Stumbling(AtomicU64);

impl Evaluator for Stumbling {
	fn outputs(&self, model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		assay_semantics::evaluate(model, inputs)
	}

	fn values(
		&self,
		model: &Model,
		inputs: &[Tensor],
		only: Option<&[ValueId]>,
		visit: &mut dyn FnMut(ValueId, &Tensor),
	) -> Result<(), EvalError> {
		assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first time is when it breaks");
		Counting::default().values(model, inputs, only, visit)
	}
}

#[test]
fn trace_should_be_built_when_the_evaluation_panicked_before() {
	let server = Server::with(EngineOptions { threads: 1, ..Default::default() }, Stumbling(AtomicU64::new(0)));
	let answer = put(&server, "a", &shade(1));
	assert_eq!(answer.status, 500);
	assert!(answer.error().contains("when it breaks"));
	assert_eq!(put(&server, "b", &shade(1)).status, 200);
	let demand = Demand::Tiles { at: Coordinate::of(middle()) }.encode();
	assert_eq!(open(&server, "b", &demand).status, 200);
	assert_eq!(open(&server, "a", &demand).status, 500);
}
