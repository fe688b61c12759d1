//! Disputes from the publication to the verdict.

use super::*;
use crate::{
	commit,
	merkle::Tree,
	ops::{self, Binary, Site, Unary},
	prover::{prove_invalid, Investigation, Trace},
	testing::{
		game::{around, flip, lie, play, random_model, Graph, Outcome},
		nodes::Kind,
		tensor, Rng,
	},
	trace, DType, Model, ModelHeader, Node, Op, Tensor, TensorType,
};
use alloc::{vec, vec::Vec};
use std::println;

/// Cases per operator: 1,000 in release builds.
const CASES: usize = if cfg!(debug_assertions) { 15 } else { 1_000 };

fn honest(_: &mut Vec<State>) {}

/// The claim of a trace's own element.
fn claim(values: &[Tensor], value: usize, element: u64) -> Claim {
	let (tensor, tree) = (&values[value], Tree::of_tiles(&values[value].bytes));
	let (tile, _) = proof::place(&tensor.ty, element);
	Claim {
		tiles_root: tree.root(),
		tile: tensor.bytes.chunks(1024).nth(tile as usize).unwrap().to_vec(),
		path: tree.path(&[tile]).unwrap(),
	}
}

fn steps_of(model: &Model, value: usize) -> u64 {
	let node = &model.nodes()[value];
	let types: Vec<&TensorType> = node.inputs.iter().map(|v| &model.nodes()[*v as usize].ty).collect();
	ops::steps(&node.op, &Site { ins: &types, out: &node.ty })
}

/// Every kind of proof about one element of an honest trace, each right in form. With the root of the states.
fn accusations(model: &Model, values: &[Tensor], rng: &mut Rng, value: usize) -> Option<(Hash, Hash, Vec<Proof>)> {
	let element = rng.below(values[value].ty.elements().filter(|n| *n > 0)?);
	let own = Trace::new(model, values.to_vec());
	let (output_root, publication) = (own.output_root(), own.publication());
	let demand = Demand::States { at: Coordinate::of(value as u32), element };
	let states = match own.open(&demand).unwrap().opening {
		Opening::States { states, .. } => states,
		other => panic!("{other:?}"),
	};
	let root = states_root(Coordinate::of(value as u32), element, &states);
	let view = Investigation::new(own, &output_root, &publication).unwrap();
	let claim = || claim(values, value, element);
	let mut proofs = Vec::new();
	proofs.extend(view.prove_element(value as u32, element, claim()));
	if !states.is_empty() {
		let step = rng.below(states.len() as u64) as usize;
		proofs.push(view.prove_state(value as u32, element, &states, claim(), Some(step)).unwrap());
		proofs.push(view.prove_state(value as u32, element, &states, claim(), None).unwrap());
	}
	Some((view.trace_root(), root, proofs))
}

#[test]
fn liar_should_be_convicted_whatever_the_operator() {
	for kind in Kind::ALL {
		let mut rng = Rng(*kind as u64 + 7);
		let (mut done, mut most, mut sum, mut kinds) = (0, 0, 0, [0; 5]);
		while done < CASES {
			let (model, inputs, node) = around(&mut rng, *kind);
			let own = trace(&model, &inputs).unwrap();
			if own[node].bytes.is_empty() {
				continue;
			}
			done += 1;
			let mut values = own.clone();
			let consistent = !rng.one_in(4);
			lie(&model, &mut values, node, consistent, |t| flip(&mut rng, t));
			let worker = Trace::new(&model, values);
			// States that jump somewhere and go on from there, or do not.
			let (jump, at) = (rng.below(3), rng.next());
			let states = |list: &mut Vec<State>| {
				let at = at as usize % list.len();
				match jump {
					0 => {}
					1 => list[at].0[0] ^= 1 << 20,
					_ => list[at..].iter_mut().for_each(|s| s.0[0] ^= 1 << 22),
				}
			};
			let outcome = play(Trace::new(&model, own.clone()), &worker, &worker.output_root(), &states);
			let Outcome::Convicted { kind: by, bytes, verdict, .. } = outcome else {
				panic!("{outcome:?} for {:?}", model.nodes()[node])
			};
			let Verdict::Wrong { at, operator, .. } = verdict else { panic!("{verdict:?}") };
			assert_eq!((at.value as usize, operator), (node, ops::name(&model.nodes()[node].op).into()));
			most = most.max(bytes);
			sum += bytes;
			kinds[by as usize] += 1;

			// The honest worker: nothing to find, and nothing to prove.
			let worker = Trace::new(&model, own.clone());
			let outcome = play(Trace::new(&model, own.clone()), &worker, &worker.output_root(), &honest);
			assert_eq!(outcome, Outcome::Agreed);
			let (root, states, proofs) = accusations(&model, &own, &mut rng, node).unwrap();
			for proof in proofs {
				let result = check_proof(&model.id(), &root, Some(&states), &proof.encode());
				assert_eq!(result, Err(Fault::NotWrong), "{:?}", proof.kind());
			}
		}
		println!("{kind:?}: proofs of {} bytes, at most {most}; whole, step, finish: {:?}", sum / done, &kinds[..3]);
	}
}

#[test]
fn liar_should_be_convicted_anywhere_in_a_graph() {
	let mut rng = Rng(99);
	let mut sources = 0;
	for _ in 0..CASES {
		let (model, inputs) = random_model(&mut rng, 6);
		let own = trace(&model, &inputs).unwrap();
		let value = rng.below(own.len() as u64) as usize;
		if own[value].bytes.is_empty() {
			continue;
		}
		let mut values = own.clone();
		lie(&model, &mut values, value, !rng.one_in(4), |t| flip(&mut rng, t));
		let worker = Trace::new(&model, values);
		let outcome = play(Trace::new(&model, own), &worker, &worker.output_root(), &honest);
		match (&model.nodes()[value].op, outcome) {
			(Op::Input(_), Outcome::Silent(Fault::InputRoot)) => sources += 1,
			(Op::Weight(_), Outcome::Convicted { kind: ProofKind::Weight, .. }) => sources += 1,
			(op, Outcome::Convicted { verdict: Verdict::Wrong { at, operator, .. }, .. }) => {
				assert_eq!((at.value as usize, operator), (value, ops::name(op).into()));
			}
			other => panic!("{other:?}"),
		}
	}
	assert!(sources > 0);
}

#[test]
fn liar_should_be_convicted_when_the_trace_has_more_than_1024_values() {
	let mut graph = Graph::default();
	let mut rng = Rng(3);
	let ty = TensorType::new(DType::I32, vec![5]);
	let mut last = graph.input(tensor(&mut rng, &ty));
	for i in 0..3000 {
		last = match i % 100 {
			50 => {
				let weight = graph.weight(tensor(&mut rng, &ty));
				graph.push(Op::Binary(Binary::Add), &[last, weight])
			}
			// An operand from far away.
			70 => graph.push(Op::Binary(Binary::Sub), &[last, last / 3]),
			_ => graph.push(Op::Unary(Unary::Neg), &[last]),
		};
	}
	let (model, inputs) = graph.finish(3);
	let own = trace(&model, &inputs).unwrap();
	let values = own.len() as u64;
	assert_eq!(crate::trace::top_level(values), 2);
	let mut most = 0;
	for value in (1..values as usize).step_by(if cfg!(debug_assertions) { 500 } else { 7 }) {
		let mut lying = own.clone();
		lie(&model, &mut lying, value, true, |t| flip(&mut rng, t));
		let worker = Trace::new(&model, lying);
		match play(Trace::new(&model, own.clone()), &worker, &worker.output_root(), &honest) {
			Outcome::Convicted { verdict: Verdict::Wrong { at, .. }, demands, bytes, .. } => {
				assert_eq!(at.value as usize, value);
				assert!(demands <= 3);
				most = most.max(bytes);
			}
			other => panic!("{other:?}"),
		}
	}
	println!("proofs of at most {most} bytes");
	// An input that is not the job's, an output that is not the commitment's.
	let mut lying = own.clone();
	lie(&model, &mut lying, 0, true, |t| flip(&mut rng, t));
	let (own, worker) = (Trace::new(&model, own), Trace::new(&model, lying));
	let root = own.output_root();
	assert_eq!(worker.publication().check(&model.id(), &own.input_root(), &root), Err(Fault::InputRoot));
	assert_eq!(worker.publication().check(&model.id(), &worker.input_root(), &root), Err(Fault::OutputRoot));
	let good = own.publication();
	assert_eq!(good.check(&model.id(), &own.input_root(), &root), Ok(own.root()));
	for change in [
		|p: &mut Publication| p.top[5][0] ^= 1,
		|p: &mut Publication| p.ends.swap(1, 2),
		|p: &mut Publication| _ = p.ends.pop(),
		|p: &mut Publication| _ = p.top.pop(),
		|p: &mut Publication| p.path.push([0; 32]),
		|p: &mut Publication| p.header.values += 1,
	] {
		let mut bad = good.clone();
		change(&mut bad);
		assert_ne!(bad.check(&model.id(), &own.input_root(), &root), Ok(own.root()));
	}
}

#[test]
fn liar_should_be_convicted_when_a_value_has_more_than_1024_tiles() {
	let mut rng = Rng(4);
	let mut graph = Graph::default();
	let ty = TensorType::new(DType::U8, vec![3000, 999]);
	let x = graph.input(tensor(&mut rng, &ty));
	let y = graph.push(Op::Binary(Binary::Mul), &[x, x]);
	graph.push(Op::Transpose(ops::Transpose { perm: vec![1, 0] }), &[y]);
	let (model, inputs) = graph.finish(1);
	let own = trace(&model, &inputs).unwrap();
	for value in [1, 1, 2, 2] {
		let mut values = own.clone();
		lie(&model, &mut values, value, true, |t| flip(&mut rng, t));
		let worker = Trace::new(&model, values);
		match play(Trace::new(&model, own.clone()), &worker, &worker.output_root(), &honest) {
			Outcome::Convicted { demands: 3, verdict: Verdict::Wrong { at, .. }, .. } => {
				assert_eq!(at.value as usize, value);
			}
			other => panic!("{other:?}"),
		}
	}
}

/// relu(x * w + b) and an empty value.
fn small(rng: &mut Rng) -> (Model, Vec<Tensor>) {
	let mut graph = Graph::default();
	let mut random = |dims: &[u32]| tensor(rng, &TensorType::new(DType::F32, dims));
	let x = graph.input(random(&[2, 40]));
	let w = graph.weight(random(&[3, 40]));
	let b = graph.weight(random(&[3]));
	let product = graph.push(Op::MatMul(ops::MatMul), &[x, w]);
	let sum = graph.push(Op::Binary(Binary::Add), &[product, b]);
	let none = graph.push(Op::Slice(ops::Slice { starts: vec![0, 0], sizes: vec![0, 3], steps: vec![1, 1] }), &[sum]);
	let joined = graph.push(Op::Concat(ops::Concat { axis: 0 }), &[none, sum]);
	graph.push(Op::Unary(Unary::Relu), &[joined]);
	graph.finish(1)
}

#[test]
fn worker_should_lose_by_time_when_it_lies_about_a_type() {
	let mut rng = Rng(5);
	let (model, inputs) = small(&mut rng);
	let own = trace(&model, &inputs).unwrap();
	let game = |values: Vec<Tensor>| {
		let worker = Trace::new(&model, values);
		play(Trace::new(&model, own.clone()), &worker, &worker.output_root(), &honest)
	};
	for (value, dtype, dims) in [
		(3, DType::F32, vec![3, 2]),
		(3, DType::I32, vec![2, 3]),
		(3, DType::F32, vec![2, 3, 1]),
		(3, DType::U8, vec![24]),
		(5, DType::F32, vec![0, 4]),
		(5, DType::F32, vec![3, 0]),
		(5, DType::I8, vec![0, 3]),
		(7, DType::F32, vec![6]),
	] {
		let mut values = own.clone();
		values[value].ty = TensorType::new(dtype, dims);
		assert_eq!(game(values), Outcome::Silent(Fault::TracePath), "{value}");
	}
	// More or fewer bytes than the type says.
	for change in [|b: &mut Vec<u8>| _ = b.pop(), |b: &mut Vec<u8>| b.push(0), |b: &mut Vec<u8>| b.extend([0; 5000])] {
		for value in [3, 5] {
			let mut values = own.clone();
			change(&mut values[value].bytes);
			assert!(matches!(game(values.clone()), Outcome::Silent(_)) || values == own);
		}
	}
	// Two values of one type that have changed places.
	let mut values = own.clone();
	values.swap(4, 6);
	assert!(values == own || matches!(game(values), Outcome::Convicted { .. }));
	// A source of another type: an input binds to the job, a weight to the model.
	let mut values = own.clone();
	values[1].ty.dims = vec![40, 3];
	assert!(matches!(game(values), Outcome::Convicted { kind: ProofKind::Weight, .. }));
	let mut values = own.clone();
	values[0].ty.dims = vec![80];
	assert_eq!(game(values), Outcome::Silent(Fault::InputRoot));
	// An output root that is not the trace's.
	let worker = Trace::new(&model, own.clone());
	let outcome = play(Trace::new(&model, own.clone()), &worker, &[7; 32], &honest);
	assert_eq!(outcome, Outcome::Silent(Fault::OutputRoot));
}

#[test]
fn demand_should_be_refused_when_nobody_could_meet_it() {
	let mut rng = Rng(6);
	let (model, inputs) = small(&mut rng);
	let own = Trace::new(&model, trace(&model, &inputs).unwrap());
	let id = model.id();
	let at = Coordinate::of;
	let check = |demand: Demand, like: Demand| demand.check(&id, &own.evidence(&like).unwrap());
	let tiles = |v| Demand::Tiles { at: at(v) };
	for v in 3..8 {
		assert!(check(tiles(v), tiles(v)).is_ok());
	}
	assert_eq!(check(tiles(0), tiles(0)), Err(Fault::Source));
	assert_eq!(check(tiles(1), tiles(1)), Err(Fault::Source));
	assert_eq!(check(tiles(8), tiles(7)), Err(Fault::Value));
	assert_eq!(check(tiles(3), tiles(4)), Err(Fault::NodePath));
	let later = Coordinate { iteration: 1, value: 3 };
	assert_eq!(check(Demand::Tiles { at: later }, tiles(3)), Err(Fault::Value));
	assert_eq!(check(tiles(3), Demand::Values { group: 0 }), Err(Fault::Evidence));
	assert_eq!(check(tiles(3), Demand::States { at: at(3), element: 0 }), Err(Fault::Evidence));
	assert_eq!(check(Demand::Values { group: 0 }, Demand::Values { group: 0 }), Err(Fault::Group));
	assert_eq!(check(Demand::TileGroup { at: at(3), group: 0 }, tiles(3)), Err(Fault::Group));
	assert!(check(Demand::Tile { at: at(3), tile: 0 }, tiles(3)).is_ok());
	assert_eq!(check(Demand::Tile { at: at(3), tile: 1 }, tiles(3)), Err(Fault::Tile));
	assert_eq!(check(Demand::Tile { at: at(5), tile: 0 }, tiles(5)), Err(Fault::Tile), "an empty value has no tiles");
	let states = |v, element| Demand::States { at: at(v), element };
	assert_eq!(check(states(3, 0), states(3, 0)), Err(Fault::NoStates), "one step");
	assert_eq!(check(states(7, 0), states(7, 0)), Err(Fault::NoStates));
	assert_eq!(check(states(3, 6), states(3, 0)), Err(Fault::Element));
	assert!(check(Demand::Node { value: 7 }, Demand::Node { value: 7 }).is_ok());
	assert_eq!(check(Demand::Node { value: 8 }, Demand::Node { value: 7 }), Err(Fault::Value));
	assert_eq!(tiles(3).check(&[0; 32], &own.evidence(&tiles(3)).unwrap()), Err(Fault::Model));
	// The answers are checked just as well.
	for demand in [tiles(3), tiles(5), Demand::Node { value: 7 }, Demand::Tile { at: at(4), tile: 0 }] {
		let answer = own.open(&demand).unwrap();
		assert_eq!(answer.check(&id, &own.root(), &demand), Ok(()));
		assert_eq!(
			answer.check(&id, &own.root(), &tiles(4)),
			Err(if demand == tiles(3) || demand == tiles(5) { Fault::NodePath } else { Fault::Answer })
		);
		assert_eq!(answer.check(&[1; 32], &own.root(), &demand), Err(Fault::Model));
		if !matches!(demand, Demand::Node { .. }) {
			assert_eq!(answer.check(&id, &[1; 32], &demand), Err(Fault::TracePath));
		}
	}
	assert_eq!(own.open(&tiles(0)).unwrap().check(&id, &own.root(), &tiles(0)), Err(Fault::Source));
}

#[test]
fn states_of_one_element_should_not_hold_against_another() {
	let mut rng = Rng(8);
	let mut graph = Graph::default();
	let x = graph.input(tensor(&mut rng, &TensorType::new(DType::F32, vec![2, 600])));
	graph.push(Op::MatMul(ops::MatMul), &[x, x]);
	let (model, inputs) = graph.finish(1);
	let own = trace(&model, &inputs).unwrap();
	let worker = Trace::new(&model, own.clone());
	let root = |element| {
		let demand = Demand::States { at: Coordinate::of(1), element };
		worker.open(&demand).unwrap().opening.states_root(&demand).unwrap()
	};
	assert_eq!(steps_of(&model, 1), 3);
	let (trace_root, _, proofs) = accusations(&model, &own, &mut Rng(1), 1).unwrap();
	for proof in &proofs {
		let (Proof::Step { element, .. } | Proof::Finish { element, .. }) = proof else { continue };
		let verdict = |states: Option<&Hash>| judge(&model.id(), &trace_root, states, proof);
		assert_eq!(verdict(Some(&root(*element))), Err(Fault::NotWrong));
		assert_eq!(verdict(Some(&root((element + 1) % 4))), Err(Fault::StatePath));
		assert_eq!(verdict(None), Err(Fault::NotOpened));
	}
	// One element's right states, opened for another.
	let mut values = own.clone();
	lie(&model, &mut values, 1, true, |t| t.bytes[0] ^= 1);
	let worker = Trace::new(&model, values);
	let other = match worker.open(&Demand::States { at: Coordinate::of(1), element: 3 }).unwrap().opening {
		Opening::States { states, .. } => states,
		other => panic!("{other:?}"),
	};
	let outcome = play(Trace::new(&model, own), &worker, &worker.output_root(), &|list| *list = other.clone());
	assert!(matches!(outcome, Outcome::Convicted { .. }));
}

/// A model from parts that are not checked.
fn unchecked(nodes: &[Node], weights: &[(TensorType, Hash)], inputs: usize, outputs: usize) -> ModelHeader {
	let roots: Vec<Hash> = weights.iter().map(|(ty, root)| commit::value_root(ty, root)).collect();
	ModelHeader {
		semantics_version: crate::SEMANTICS_VERSION,
		ir_root: commit::ir_root(nodes),
		values: nodes.len() as u32,
		weight_root: commit::weight_root(&roots),
		inputs: nodes[..inputs].iter().map(|n| n.ty.clone()).collect(),
		outputs: nodes[nodes.len() - outputs..].iter().map(|n| n.ty.clone()).collect(),
		max_iterations: 1,
	}
}

#[test]
fn model_should_be_invalid_when_any_node_is() {
	let mut rng = Rng(9);
	let (model, _) = small(&mut rng);
	let weights: Vec<(TensorType, Hash)> =
		model.weights().iter().map(|w| (w.ty.clone(), commit::tiles_root(&w.bytes))).collect();
	let verdict = |header: &ModelHeader, nodes: &[Node], weights: &[(TensorType, Hash)]| {
		let proof = prove_invalid(header, nodes, weights)?;
		let bytes = proof.encode();
		assert!(bytes.len() <= MAX_PROOF_BYTES);
		Some(check_proof(&header.id(), &[0; 32], None, &bytes))
	};
	assert_eq!(verdict(&model.header(), model.nodes(), &weights), None);
	let change = |value: u32, change: &dyn Fn(&mut Node)| {
		let mut nodes = model.nodes().to_vec();
		change(&mut nodes[value as usize]);
		let header = unchecked(&nodes, &weights, 1, 1);
		assert_eq!(verdict(&header, &nodes, &weights), Some(Ok(Verdict::InvalidModel { value })));
	};
	change(4, &|n| n.inputs = vec![4, 2]);
	change(4, &|n| n.inputs = vec![900, 2]);
	change(4, &|n| n.inputs = vec![3; 65]);
	change(4, &|n| n.inputs = vec![3]);
	change(4, &|n| n.ty.dims = vec![3, 2]);
	change(4, &|n| n.ty.dims = vec![u32::MAX; 9]);
	change(4, &|n| n.op = Op::Input(0));
	change(1, &|n| n.op = Op::Weight(2));
	change(1, &|n| n.op = Op::Weight(1));
	change(1, &|n| n.ty.dims = vec![40, 3]);
	change(1, &|n| n.inputs = vec![0]);
	change(0, &|n| n.op = Op::Input(1));
	change(7, &|n| (n.op, n.inputs, n.ty) = (Op::Weight(1), vec![], TensorType::new(DType::F32, vec![3])));
	// A signature that is not that of the nodes.
	let mut header = model.header();
	header.inputs[0].dims = vec![80];
	assert_eq!(verdict(&header, model.nodes(), &weights), Some(Ok(Verdict::InvalidModel { value: 0 })));
	let mut header = model.header();
	header.outputs.insert(0, header.outputs[0].clone());
	header.outputs[0].dims.reverse();
	assert_eq!(verdict(&header, model.nodes(), &weights), Some(Ok(Verdict::InvalidModel { value: 6 })));
	let mut header = model.header();
	header.inputs.clear();
	assert_eq!(verdict(&header, model.nodes(), &weights), Some(Ok(Verdict::InvalidModel { value: 0 })));
	// Nodes that are too long to be shown need not be: a worker of such a model cannot open them.
	let mut nodes = model.nodes().to_vec();
	nodes[4].op = Op::Reshape(ops::Reshape { dims: vec![1; 100_000] });
	let header = unchecked(&nodes, &weights, 1, 1);
	let graph = Tree::new(nodes.iter().map(commit::ir_leaf).collect());
	let opening = Opening::Node(Nodes { node: nodes[4].clone(), operands: vec![], path: graph.path(&[4]).unwrap() });
	assert_eq!(opening.check(&header, &[0; 32], &Demand::Node { value: 4 }), Err(Fault::TooLong));
	// A valid node convicts no model.
	for value in 0..8 {
		let own = Trace::new(&model, trace(&model, &[tensor(&mut rng, &model.header().inputs[0])]).unwrap());
		let nodes = own.nodes(value, true).unwrap();
		let lists = [None, Some(WeightList { count: 2, tree: [0; 32], weight: None })];
		for weights in lists {
			let proof =
				Proof::InvalidNode(InvalidNode { header: model.header(), value, nodes: nodes.clone(), weights });
			assert!(judge(&model.id(), &own.root(), None, &proof).is_err());
		}
	}
}

#[test]
fn mutated_proofs_should_never_convict_the_honest_nor_panic() {
	let mut rng = Rng(10);
	let cases = if cfg!(debug_assertions) { 5 } else { 60 };
	let mut kinds = [0; 5];
	for case in 0..cases * Kind::ALL.len() {
		let kind = Kind::ALL[case % Kind::ALL.len()];
		let (model, inputs, node) = around(&mut rng, kind);
		let own = trace(&model, &inputs).unwrap();
		let Some((root, states, mut proofs)) = accusations(&model, &own, &mut rng, node) else { continue };
		// Proofs against liars: an element, a weight, a state.
		let victim = rng.below(own.len() as u64) as usize;
		if !own[victim].bytes.is_empty() {
			let mut values = own.clone();
			lie(&model, &mut values, victim, true, |t| flip(&mut rng, t));
			let liar = Trace::new(&model, values);
			let honest = Trace::new(&model, own.clone());
			if liar.input_root() == honest.input_root() {
				let (output, publication) = (liar.output_root(), liar.publication());
				let mut view = Investigation::new(honest, &output, &publication).unwrap();
				let proof = loop {
					match view.next() {
						crate::prover::Next::Demand(demand, _) => {
							view.learn(&demand, &liar.open(&demand).unwrap().opening).unwrap();
						}
						crate::prover::Next::Prove(proof) => break Some(proof),
						crate::prover::Next::Agree => break None,
					}
				};
				proofs.extend(proof);
			}
		}
		for proof in proofs {
			kinds[proof.kind() as usize] += 1;
			let bytes = proof.encode();
			for _ in 0..60 {
				let mut bad = bytes.clone();
				let at = rng.below(bad.len() as u64) as usize;
				match rng.below(4) {
					0 => bad[at] = rng.next() as u8,
					1 => bad.truncate(at),
					2 => drop(bad.remove(at)),
					_ => bad[at] ^= 1 << rng.below(8),
				}
				let verdict = check_proof(&model.id(), &root, Some(&states), &bad);
				assert!(verdict.is_err(), "{verdict:?}");
			}
		}
	}
	assert!(kinds[..4].iter().all(|n| *n > 0), "{kinds:?}");
}

#[test]
fn noise_should_be_refused() {
	let mut rng = Rng(11);
	for _ in 0..if cfg!(debug_assertions) { 300 } else { 20_000 } {
		let bytes: Vec<u8> = (0..rng.below(3000)).map(|_| if rng.one_in(2) { 0 } else { rng.next() as u8 }).collect();
		assert!(check_proof(&[0; 32], &[0; 32], Some(&[0; 32]), &bytes).is_err());
		assert!(check_publication(&[0; 32], &[0; 32], &[0; 32], &bytes).is_err());
		assert!(check_demand(&[0; 32], &bytes, &bytes).is_err());
		assert!(check_answer(&[0; 32], &[0; 32], &[2, 0, 0, 0, 0, 0, 0, 0, 0], &bytes).is_err());
	}
	assert_eq!(check_proof(&[0; 32], &[0; 32], None, &vec![0; MAX_PROOF_BYTES + 1]), Err(Fault::TooLong));
}
