//! What is refused, and what convicts without a trace.

use super::*;

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
