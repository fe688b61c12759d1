//! Mutated proofs, noise, and the sizes of the longest messages.

use super::*;

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
					0 => bad[at] = rng.bits() as u8,
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
		let bytes: Vec<u8> = (0..rng.below(3000)).map(|_| if rng.one_in(2) { 0 } else { rng.bits() as u8 }).collect();
		assert!(check_proof(&[0; 32], &[0; 32], Some(&[0; 32]), &bytes).is_err());
		assert!(check_publication(&[0; 32], &[0; 32], &[0; 32], &bytes).is_err());
		assert!(check_demand(&[0; 32], &bytes, &bytes).is_err());
		assert!(check_answer(&[0; 32], &[0; 32], &[2, 0, 0, 0, 0, 0, 0, 0, 0], &bytes).is_err());
	}
	assert_eq!(check_proof(&[0; 32], &[0; 32], None, &vec![0; MAX_PROOF_BYTES + 1]), Err(Fault::TooLong));
}

/// Bytes of a list.
fn list(items: usize, each: usize) -> usize {
	items * each + if items < 64 { 1 } else { 2 }
}

#[test]
fn proof_of_a_step_should_fit_when_shapes_are_hostile() {
	use crate::{
		merkle::siblings,
		model::{MAX_HEADER_BYTES, MAX_NODES},
		testing::nodes::Size,
	};
	use core::cell::RefCell;
	use std::collections::{BTreeMap, BTreeSet};

	/// Notes the tiles that are read.
	struct Note<'a>(&'a [TensorType], RefCell<BTreeMap<usize, BTreeSet<u64>>>);
	impl ops::Read for Note<'_> {
		fn read(&self, operand: usize, index: u64) -> u64 {
			let ty = &self.0[operand];
			if let Some(last) = ty.elements().unwrap().checked_sub(1) {
				let tile = index.min(last) * ty.dtype.size() as u64 / 1024;
				self.1.borrow_mut().entry(operand).or_default().insert(tile);
			}
			0
		}
	}
	// Nodes as far apart as they can be, each as long as a valid one with many operands.
	let spread = |n: u64| (0..n).map(|i| i * (MAX_NODES as u64 - 1) / n.max(2)).collect::<Vec<_>>();
	let path = |leaves: u64, at: &[u64]| list(siblings(leaves, at, 64).len(), 32);
	let node_bytes = 320;
	let mut rng = Rng(12);
	let mut most = 0;
	let mut check = |op: &Op, ins: &[TensorType], out: &TensorType, element: u64, block: u64| {
		let types: Vec<&TensorType> = ins.iter().collect();
		let site = Site { ins: &types, out };
		let steps = ops::steps(op, &site);
		let size = |note: Note, more: usize, claims: u64| {
			let reads = note.1.into_inner();
			let mut bytes = MAX_HEADER_BYTES + 8 + more;
			bytes += (ins.len() + 1) * node_bytes + 1 + path(MAX_NODES as u64, &spread(ins.len() as u64 + 1));
			bytes += path(MAX_NODES as u64, &spread(reads.len() as u64 + claims));
			for (operand, tiles) in &reads {
				let tiles: Vec<u64> = tiles.iter().copied().collect();
				let all = ins[*operand].byte_len().unwrap().div_ceil(1024);
				bytes += 4 + 32 + list(tiles.len(), 4 + 2 + 1024) + path(all, &tiles);
			}
			bytes
		};
		let claim = 32 + 2 + 1024 + 1 + 21 * 32;
		let note = || Note(ins, RefCell::default());
		if steps <= 1 {
			let read = note();
			ops::element(op, &site, element, &read);
			most = most.max(size(read, 1 + 8 + claim, 1));
		} else {
			let read = note();
			ops::step(op, &site, element, block % steps, State::default(), &read);
			most = most.max(size(read, 1 + 8 + 8 + 17 + 16 + 1 + 20 * 32, 0));
			let read = note();
			ops::finish(op, &site, element, State::default(), &read);
			most = most.max(size(read, 1 + 8 + 16 + 1 + 10 * 32 + claim, 1));
		}
		assert!(most <= MAX_PROOF_BYTES, "{most} bytes: {op:?} {ins:?}");
	};
	for kind in Kind::ALL {
		for _ in 0..if cfg!(debug_assertions) { 100 } else { 3_000 } {
			let (op, ins, out) = kind.random(&mut rng, Size::Hostile);
			assert!(op.encoded_size() + list(ins.len(), 4) + out.encoded_size() <= node_bytes);
			let Some(elements) = out.elements().filter(|n| *n > 0) else { continue };
			check(&op, &ins, &out, rng.below(elements), rng.bits());
		}
	}
	// The worst case: 16 runs of channels as far apart as can be, each over the end of a tile.
	let f32s = |dims: &[u32]| TensorType::new(DType::F32, dims);
	for channels in [17, 18, 31] {
		let window = ops::Window { strides: vec![1; 2], dilations: vec![1, 1], before: vec![0; 2], after: vec![0; 2] };
		let op = Op::Conv(ops::Conv { window, groups: 1 });
		let width = (1u32 << 29) / 16 / channels / 256 * 256;
		let ins = [f32s(&[1, 16, width, channels]), f32s(&[1, 16, 1, channels])];
		let out = ops::out_type(&op, &[&ins[0], &ins[1]]).unwrap();
		for x in 0..256 {
			for block in 0..2 {
				check(&op, &ins, &out, x, block);
			}
		}
	}
	println!("at most {most} bytes");
}

#[test]
fn answers_should_fit_a_message_when_the_model_is_as_large_as_can_be() {
	if cfg!(debug_assertions) {
		return;
	}
	let ty = TensorType::new(DType::I64, vec![1 << 28]);
	let relu = |from| Node { op: Op::Unary(Unary::Relu), inputs: vec![from], ty: ty.clone() };
	let mut nodes = vec![Node { op: Op::Input(0), inputs: vec![], ty: ty.clone() }];
	nodes.extend((1..crate::model::MAX_NODES as u32).map(|at| relu(at - 1)));
	// The longest header: as many inputs as fit.
	let mut header = unchecked(&nodes, &[], 1, 1);
	header.inputs = vec![TensorType::new(DType::I64, vec![1; 8]); 117];
	assert!((4000..=crate::model::MAX_HEADER_BYTES).contains(&header.encoded_size()));
	let graph = Tree::new(nodes.iter().map(commit::ir_leaf).collect());
	let at = Coordinate::of(700_001);
	let evidence = |nodes| Evidence { header: header.clone(), nodes };
	let node = || Nodes { node: relu(700_000), operands: vec![], path: graph.path(&[700_001]).unwrap() };
	for (demand, evidence) in [
		(Demand::Node { value: 3 }, evidence(None)),
		(Demand::Values { group: 1023 }, evidence(None)),
		(Demand::Tiles { at }, evidence(Some(node()))),
		(Demand::TileGroup { at, group: 513 }, evidence(Some(node()))),
		(Demand::Tile { at, tile: 1 << 20 }, evidence(Some(node()))),
	] {
		let info = check_demand(&header.id(), &demand.encode(), &evidence.encode()).unwrap();
		println!("{demand:?}: {} bytes", info.answer_bytes);
		assert!(info.answer_bytes as usize <= MAX_MESSAGE_BYTES);
	}
}

#[test]
fn judge_should_be_fast_when_a_proof_is_long() {
	let mut rng = Rng(13);
	for dims in [[1, 16, 1024, 17], [1, 16, 1024, 64]] {
		let mut graph = Graph::default();
		let x = graph.input(tensor(&mut rng, &TensorType::new(DType::F32, dims)));
		let w = graph.weight(tensor(&mut rng, &TensorType::new(DType::F32, [1, 16, 1, dims[3]])));
		let window = ops::Window { strides: vec![1; 2], dilations: vec![1; 2], before: vec![0; 2], after: vec![0; 2] };
		graph.push(Op::Conv(ops::Conv { window, groups: 1 }), &[x, w]);
		let (model, inputs) = graph.finish(1);
		let own = trace(&model, &inputs).unwrap();
		let mut values = own.clone();
		// An element whose runs of channels are over the ends of tiles.
		lie(&model, &mut values, 2, true, |t| t.bytes[4 * 15 + 1] ^= 1);
		let (own, worker) = (Trace::new(&model, own), Trace::new(&model, values));
		let root = worker.root();
		let mut view = Investigation::new(own, &worker.output_root(), &worker.publication()).unwrap();
		let proof = loop {
			match view.next() {
				crate::prover::Next::Demand(demand, _) => {
					view.learn(&demand, &worker.open(&demand).unwrap().opening).unwrap();
				}
				crate::prover::Next::Prove(proof) => break proof.encode(),
				crate::prover::Next::Agree => panic!(),
			}
		};
		let start = std::time::Instant::now();
		for _ in 0..10 {
			assert!(check_proof(&model.id(), &root, None, &proof).is_ok());
		}
		println!("{} bytes judged in {:?}", proof.len(), start.elapsed() / 10);
	}
}

#[test]
fn proof_should_be_refused_when_it_leaves_out_what_is_read() {
	let mut rng = Rng(15);
	let mut graph = Graph::default();
	let x = graph.input(tensor(&mut rng, &TensorType::new(DType::F32, vec![3, 600])));
	graph.push(Op::MatMul(ops::MatMul), &[x, x]);
	let (model, inputs) = graph.finish(1);
	let own = trace(&model, &inputs).unwrap();
	let mut left_out = 0;
	for _ in 0..20 {
		let (root, states, proofs) = accusations(&model, &own, &mut rng, 1).unwrap();
		for proof in proofs {
			let (Proof::Element { scene, .. } | Proof::Step { scene, .. }) = &proof else { continue };
			for at in 0..scene.reads.first().map_or(0, |r| r.tiles.len()) {
				let mut less = proof.clone();
				let (Proof::Element { scene, .. } | Proof::Step { scene, .. }) = &mut less else { continue };
				let read = &mut scene.reads[0];
				read.tiles.remove(at);
				let left: Vec<u64> = read.tiles.iter().map(|t| t.index.into()).collect();
				if left.is_empty() {
					continue;
				}
				read.path = Tree::of_tiles(&own[0].bytes).path(&left).unwrap();
				assert_eq!(judge(&model.id(), &root, Some(&states), &less), Err(Fault::MissingTile));
				left_out += 1;
			}
		}
	}
	assert!(left_out > 20);
}
