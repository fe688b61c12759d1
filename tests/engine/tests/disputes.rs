//! Disputes between a faulty engine and an honest one over HTTP, with the chain's judge between them.

#[path = "../../../engine/server/tests/support/mod.rs"]
mod support;

use std::{
	io::{BufRead, BufReader},
	process::{Child, Command, Stdio},
	sync::LazyLock,
	time::{Duration, Instant},
};

use assay_semantics::{
	evaluate,
	judge::{check_answer, check_demand, check_proof, check_publication, Fault, ProofKind, Verdict},
	ops, side_root, Model, Op, Side, Tensor, Walk,
};
use assay_semantics::{judge::Proof, prover::Advice};
use assay_server::{EngineOptions, ModelId, Store};
use assay_test_engine::{resnet, Faulty, Flip};
use codec::{Decode, Encode};
use support::{imported, shade, Folder, Server};

static RESNET: LazyLock<Model> = LazyLock::new(resnet::model);

fn start(model: &Model, fault: Faulty) -> Server {
	let server = Server::with(EngineOptions::default(), fault);
	server.engine.store().put(&assay_import::write_artifact(model)).unwrap();
	server
}

/// Asks until the engine is done.
fn ask(server: &Server, method: &str, path: &str, body: &[u8]) -> support::Answer {
	let start = Instant::now();
	loop {
		let answer = server.request(method, path, body);
		if answer.status != 202 {
			return answer;
		}
		assert!(start.elapsed() < Duration::from_secs(60), "{path} takes forever");
	}
}

#[derive(Debug)]
struct Convicted {
	value: u32,
	kind: ProofKind,
	demands: usize,
	bytes: usize,
}

#[derive(Debug)]
enum End {
	Agreed,
	Convicted(Convicted),
	/// The worker cannot publish.
	Unpublished(Fault),
}

/// Plays a whole dispute. `restart` is called with the number of demands so far, before each is answered.
fn dispute(
	model: &Model,
	input: &[u8],
	own: &Server,
	worker: &mut Server,
	restart: &dyn Fn(usize, &mut Server),
) -> End {
	let id = model.id();
	let header = model.header();
	let query = format!("model={}&wait_ms=2000", ModelId(id));
	let trace = |worker: &Server| ask(worker, "PUT", &format!("/assay/v1/traces/t?{query}"), input);
	let output = ask(worker, "PUT", &format!("/assay/v1/jobs/j?{query}"), input);
	assert_eq!(output.status, 200, "{output:?}");
	let input_root = side_root(Side::Input, &header.inputs, input).unwrap();
	let output_root = side_root(Side::Output, &header.outputs, &output.body).unwrap();
	let publication = trace(worker);
	assert_eq!(publication.status, 200, "{publication:?}");
	let publication = publication.body;
	let root = match check_publication(&id, &input_root, &output_root, &publication) {
		Ok(root) => root,
		Err(fault) => return End::Unpublished(fault),
	};
	let (mut answers, mut states) = (Vec::<(Vec<u8>, Vec<u8>)>::new(), None);
	loop {
		let body = (input, &publication, &answers).encode();
		let advice = ask(own, "POST", &format!("/assay/v1/investigations?{query}"), &body);
		assert_eq!(advice.status, 200, "{}", advice.error());
		match Advice::decode(&mut &advice.body[..]).unwrap() {
			Advice::Agree => return End::Agreed,
			Advice::Demand { demand, evidence } => {
				check_demand(&id, &demand, &evidence).unwrap();
				restart(answers.len(), worker);
				let path = "/assay/v1/traces/t/open?wait_ms=2000";
				let mut answer = ask(worker, "POST", path, &demand);
				if answer.status == 404 {
					assert_eq!(trace(worker).body, publication);
					answer = ask(worker, "POST", path, &demand);
				}
				assert_eq!(answer.status, 200, "{}", answer.error());
				let opened = check_answer(&id, &root, &demand, &answer.body).unwrap();
				states = opened.or(states);
				answers.push((demand, answer.body));
				assert!(answers.len() <= 6);
			}
			Advice::Prove { states: about, proof } => {
				assert_eq!(about.is_some(), states.is_some());
				let verdict = check_proof(&id, &root, states.as_ref(), &proof).unwrap();
				let Verdict::Wrong { at, .. } = verdict else { panic!("{verdict:?}") };
				let kind = Proof::decode(&mut &proof[..]).unwrap().kind();
				return End::Convicted(Convicted { value: at.value, kind, demands: answers.len(), bytes: proof.len() });
			}
		}
	}
}

fn never(_: usize, _: &mut Server) {}

fn convicted(end: End) -> Convicted {
	match end {
		End::Convicted(how) => how,
		other => panic!("{other:?}"),
	}
}

/// The last value of an operator, before the output.
fn last_of(model: &Model, is: impl Fn(&Op) -> bool) -> u32 {
	model.nodes().iter().rposition(|n| is(&n.op)).unwrap() as u32
}

/// The first value of which element 0 takes this many steps at least.
fn long(model: &Model, steps: u64) -> u32 {
	let of = |node: &assay_semantics::Node| {
		let types: Vec<_> = node.inputs.iter().map(|v| &model.nodes()[*v as usize].ty).collect();
		ops::steps(&node.op, &ops::Site { ins: &types, out: &node.ty })
	};
	model.nodes().iter().position(|node| of(node) >= steps).unwrap() as u32
}

fn flip(of: u32, element: usize, bit: usize) -> Faulty {
	Faulty { flip: Some(Flip { of, element, bit }), ..Default::default() }
}

#[test]
fn liar_should_be_convicted_over_http_wherever_the_sample_model_is_changed() {
	let model = imported();
	let own = start(&model, Faulty::default());
	for (value, node) in model.nodes().iter().enumerate() {
		if matches!(node.op, Op::Input(_) | Op::Weight(_)) {
			continue;
		}
		let value = value as u32;
		let mut worker = start(&model, flip(value, value as usize % node.ty.elements().unwrap() as usize, 3));
		assert_eq!(convicted(dispute(&model, &shade(9), &own, &mut worker, &never)).value, value);
	}
	assert_eq!(own.counter("traces_built_total"), 1);
}

#[test]
fn liar_should_be_convicted_over_http_wherever_the_residual_network_is_changed() {
	let model = &*RESNET;
	let own = start(model, Faulty::default());
	let input = resnet::picture(1);
	let conv = long(model, 1);
	let fault = |number| Faulty { weight: Some(Flip { of: number, element: 5, bit: 30 }), ..Default::default() };
	let weight = last_of(model, |op| matches!(op, Op::Weight(_)));
	let Op::Weight(number) = model.nodes()[weight as usize].op else { unreachable!() };
	for (fault, value, kind) in [
		(flip(conv, 4000, 20), conv, ProofKind::Element),
		(flip(long(model, 5), 100, 7), long(model, 5), ProofKind::Finish),
		(flip(model.nodes().len() as u32 - 1, 3, 0), model.nodes().len() as u32 - 1, ProofKind::Element),
		(fault(number), weight, ProofKind::Weight),
	] {
		let mut worker = start(model, fault);
		let began = Instant::now();
		let how = convicted(dispute(model, &input, &own, &mut worker, &never));
		println!("{kind:?} after {} demands, {} bytes, in {:.1?}", how.demands, how.bytes, began.elapsed());
		assert_eq!((how.value, how.kind), (value, kind));
	}
	let mut honest = start(model, Faulty::default());
	assert!(matches!(dispute(model, &input, &own, &mut honest, &never), End::Agreed));
}

#[test]
fn liar_should_be_convicted_when_its_engine_is_restarted_in_the_middle() {
	let model = &*RESNET;
	let own = start(model, Faulty::default());
	let value = long(model, 5);
	for before in 0..3 {
		let fault = flip(value, 17, 22);
		let mut worker = start(model, fault.clone());
		let restart = |demands: usize, worker: &mut Server| {
			if demands == before {
				*worker = start(model, fault.clone());
			}
		};
		assert_eq!(convicted(dispute(model, &resnet::picture(2), &own, &mut worker, &restart)).value, value);
	}
}

#[test]
fn worker_should_be_unable_to_publish_when_its_output_is_not_its_traces() {
	let model = imported();
	let own = start(&model, Faulty::default());
	let mut worker = start(&model, Faulty { swap_output: true, ..Default::default() });
	let end = dispute(&model, &shade(9), &own, &mut worker, &never);
	assert!(matches!(end, End::Unpublished(Fault::OutputRoot)), "{end:?}");
}

#[test]
fn worker_should_answer_jobs_and_nothing_else_when_it_withholds() {
	let model = imported();
	let worker = start(&model, Faulty { withhold: true, ..Default::default() });
	let query = format!("model={}&wait_ms=2000", ModelId(model.id()));
	let job = ask(&worker, "PUT", &format!("/assay/v1/jobs/j?{query}"), &shade(1));
	assert_eq!((job.status, job.body), (200, support::evaluated(&shade(1))));
	for _ in 0..2 {
		let trace = ask(&worker, "PUT", &format!("/assay/v1/traces/t?{query}"), &shade(1));
		assert_eq!(trace.status, 500, "{trace:?}");
	}
}

#[test]
fn worker_should_be_slow_when_it_is_told_to() {
	let model = imported();
	let worker = start(&model, Faulty { late: Duration::from_millis(300), ..Default::default() });
	let began = Instant::now();
	let path = format!("/assay/v1/jobs/j?model={}&wait_ms=2000", ModelId(model.id()));
	assert_eq!(ask(&worker, "PUT", &path, &shade(1)).body, support::evaluated(&shade(1)));
	assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn residual_network_should_be_large_deep_and_the_same_everywhere() {
	let onnx = resnet::onnx();
	assert_eq!(onnx, resnet::onnx());
	assert!(resnet::parameters(&onnx) >= 1_000_000);
	let model = &*RESNET;
	let operators = model.nodes().iter().filter(|n| !matches!(n.op, Op::Input(_) | Op::Weight(_))).count();
	assert!(operators >= 100, "{operators}");
	assert_eq!(resnet::model().id(), model.id());
	let picture = |seed| Tensor::new(model.header().inputs[0].clone(), resnet::picture(seed)).unwrap();
	let classes = evaluate(model, &[picture(1)]).unwrap().remove(0).to_f32().unwrap();
	assert!(classes.len() == 10 && classes.iter().all(|c| c.is_finite() && c.abs() < 1e4), "{classes:?}");
	assert_ne!(classes, evaluate(model, &[picture(2)]).unwrap().remove(0).to_f32().unwrap());
	// What lives at once, of what is computed.
	let input = [picture(1)];
	let (mut walk, mut most) = (Walk::all(model, &input).unwrap(), 0);
	while walk.step().unwrap().is_some() {
		most = most.max(walk.live());
	}
	println!("{operators} operators, {} parameters, {most} values at once", resnet::parameters(&onnx));
	assert!(most <= 4, "{most}");
}

/// Does not outlive its test.
struct Running(Child);

impl Drop for Running {
	fn drop(&mut self) {
		let _ = self.0.kill();
		let _ = self.0.wait();
	}
}

#[test]
fn faulty_engine_should_serve_with_the_fault_it_is_told() {
	let model = imported();
	let folder = Folder::new();
	Store::open(&folder.0).unwrap().put(&assay_import::write_artifact(&model)).unwrap();
	let last = model.nodes().len() - 1;
	let child = Command::new(env!("CARGO_BIN_EXE_faulty-engine"))
		.args(["--listen", "127.0.0.1:0", "--store", folder.0.to_str().unwrap(), "--flip", &format!("{last}:0:30")])
		.stderr(Stdio::piped())
		.spawn();
	let mut process = Running(child.unwrap());
	let mut line = String::new();
	BufReader::new(process.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
	let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
	let path = format!("/assay/v1/jobs/a?model={}&wait_ms=2000", ModelId(model.id()));
	let answer = support::request(address, "PUT", &path, &shade(1));
	let mut expected = support::evaluated(&shade(1));
	expected[3] ^= 1 << 6;
	assert_eq!((answer.status, answer.body), (200, expected));
	for wrong in ["1:2", "1:2:x", ""] {
		let args = ["--store", folder.0.to_str().unwrap(), "--flip", wrong];
		assert!(!Command::new(env!("CARGO_BIN_EXE_faulty-engine")).args(args).output().unwrap().status.success());
	}
}
