//! Whole disputes: liars are convicted, the honest can answer.

use super::*;

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
			let (jump, at) = (rng.below(3), rng.bits());
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
			change(values[value].bytes.to_mut());
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

/// Puts every kind of demand on an honest trace, at this place. How many can be met; all of these are.
fn interrogate(own: &Trace<&Model>, rng: &mut Rng, value: u32) -> usize {
	let (id, root, at) = (own.model().id(), own.root(), Coordinate::of(value));
	let ty = &own.model().nodes()[value as usize].ty;
	let tiles = ty.byte_len().unwrap().div_ceil(1024);
	let mut below = |n: u64| rng.below(n + 1);
	let demands = [
		Demand::Node { value },
		Demand::Values { group: below(u64::from(own.model().header().values) / 2) as u32 },
		Demand::Tiles { at },
		Demand::TileGroup { at, group: below(crate::trace::top_width(tiles)) as u32 },
		Demand::Tile { at, tile: below(tiles) as u32 },
		Demand::States { at, element: below(ty.elements().unwrap()) },
	];
	let mut met = 0;
	for demand in demands {
		let (bytes, evidence) = (demand.encode(), own.evidence(&demand).unwrap().encode());
		let Ok(info) = check_demand(&id, &bytes, &evidence) else { continue };
		let answer = own.open(&demand).unwrap().encode();
		let states = check_answer(&id, &root, &bytes, &answer).unwrap();
		assert_eq!(states.is_some(), demand.needs_signature());
		let exact = !matches!(demand, Demand::Node { .. });
		assert!(answer.len() <= info.answer_bytes as usize && answer.len() <= MAX_MESSAGE_BYTES);
		assert!(!exact || answer.len() == info.answer_bytes as usize);
		met += 1;
	}
	met
}

#[test]
fn honest_worker_should_be_able_to_meet_every_demand_that_is_taken() {
	let mut rng = Rng(14);
	let mut met = 0;
	for _ in 0..CASES / 5 {
		let (model, inputs) = random_model(&mut rng, 5);
		let own = Trace::new(&model, trace(&model, &inputs).unwrap());
		for value in 0..own.values().len() as u32 {
			met += interrogate(&own, &mut rng, value);
		}
		// And its model is valid.
		let weights: Vec<_> = model.weights().iter().map(|w| (w.ty.clone(), commit::tiles_root(&w.bytes))).collect();
		assert_eq!(prove_invalid(&model.header(), model.nodes(), &weights), None);
		// And its weights are the model's.
		let (output, publication) = (own.output_root(), own.publication());
		let view = Investigation::new(own, &output, &publication).unwrap();
		for (value, node) in model.nodes().iter().enumerate() {
			let Op::Weight(number) = node.op else { continue };
			let Some(crate::prover::Next::Prove(proof)) = view.prove_weight(value as u32, number) else { panic!() };
			assert_eq!(judge(&model.id(), &view.trace_root(), None, &proof), Err(Fault::NotWrong));
		}
	}
	// More values, and more tiles, than one opening takes.
	let mut graph = Graph::default();
	let mut last = graph.input(tensor(&mut rng, &TensorType::new(DType::U8, [2_500, 1_000])));
	let first = graph.push(Op::Unary(Unary::Relu), &[last]);
	last = graph.push(Op::Slice(ops::Slice { starts: vec![0; 2], sizes: vec![1, 9], steps: vec![1; 2] }), &[first]);
	let dims = vec![1, 9];
	for _ in 0..2_200 {
		last = graph.push(Op::Reshape(ops::Reshape { dims: dims.clone() }), &[last]);
	}
	let (model, inputs) = graph.finish(2);
	let own = Trace::new(&model, trace(&model, &inputs).unwrap());
	for _ in 0..50 {
		let many = interrogate(&own, &mut rng, first);
		assert!(many >= 3);
		met += many + interrogate(&own, &mut rng, last - 5);
	}
	println!("{met} demands met");
}
