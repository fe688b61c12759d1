//! Traces that keep roots and evaluate again for every value that is asked for.

use super::*;
use crate::{
	judge::{check_answer, check_demand, check_proof, Verdict},
	ops::{MatMul, Unary},
	testing::{
		game::{lie, random_model, Graph},
		tensor, Rng,
	},
	DType, Op, Walk,
};
use alloc::vec;
use codec::{Decode, Encode};
use core::cell::Cell;

/// Evaluates again. One byte may be changed on the way.
#[derive(Clone)]
struct Again<'a> {
	model: &'a Model,
	inputs: &'a [Tensor],
	change: Option<(ValueId, usize)>,
	most: &'a Cell<usize>,
}

impl<'a> Again<'a> {
	fn walk(&self, mut walk: Walk<'a>, mut each: impl FnMut(ValueId, &Tensor)) -> Walk<'a> {
		while let Some(value) = walk.step().unwrap() {
			if let Some((_, byte)) = self.change.filter(|(at, _)| *at == value) {
				let mut tensor = walk.value(value).unwrap().clone();
				tensor.bytes[byte] ^= 1;
				walk.replace(tensor);
			}
			each(value, walk.value(value).unwrap());
			self.most.set(self.most.get().max(walk.live()));
		}
		walk
	}

	fn trace(&self) -> Trace<&'a Model, Again<'a>> {
		let mut roots = Vec::new();
		self.walk(Walk::all(self.model, self.inputs).unwrap(), |_, t| roots.push(commit::root_of(t)));
		Trace::from_roots(self.model, roots, self.clone())
	}
}

impl Values for Again<'_> {
	fn with<R>(&self, values: &[ValueId], f: impl FnOnce(&[&Tensor]) -> Option<R>) -> Option<R> {
		let walk = self.walk(Walk::to(self.model, self.inputs, values).unwrap(), |_, _| {});
		let found: Option<Vec<&Tensor>> = values.iter().map(|v| walk.value(*v)).collect();
		f(&found?)
	}
}

/// Plays a dispute with [`advise`] alone: the value that is wrong, and the number of demands.
fn dispute(own: &Trace<&Model, Again>, worker: &Trace<&Model, Again>) -> Option<(u32, usize)> {
	let model = own.model().id();
	let (publication, mut answers, mut states) = (worker.publication().encode(), vec![], None);
	loop {
		// The newest first, and one that nobody needs: the order does not matter.
		answers.reverse();
		answers.push((Demand::Node { value: 0 }.encode(), vec![]));
		let advice = advise(own.clone(), &publication, &answers).unwrap().unwrap();
		answers.pop();
		assert_eq!(Advice::decode(&mut &advice.encode()[..]).unwrap(), advice);
		match advice {
			Advice::Agree => return None,
			Advice::Demand { demand, evidence } => {
				check_demand(&model, &demand, &evidence).unwrap();
				let answer = worker.open(&Demand::decode(&mut &demand[..]).unwrap()).unwrap().encode();
				let root = check_answer(&model, &worker.root(), &demand, &answer).unwrap();
				states = root.map(|root| (demand.clone(), root)).or(states);
				answers.push((demand, answer));
			}
			Advice::Prove { states: about, proof } => {
				let root = states.filter(|(demand, _)| about.as_ref() == Some(demand)).map(|(_, root)| root);
				assert_eq!(about.is_some(), root.is_some());
				match check_proof(&model, &worker.root(), root.as_ref(), &proof).unwrap() {
					Verdict::Wrong { at, .. } => return Some((at.value, answers.len())),
					other => panic!("{other:?}"),
				}
			}
		}
	}
}

#[test]
fn trace_should_open_the_same_when_it_keeps_only_roots() {
	let mut rng = Rng(21);
	for _ in 0..40 {
		let (model, inputs) = random_model(&mut rng, 5);
		let most = Cell::new(0);
		let again = Again { model: &model, inputs: &inputs, change: None, most: &most };
		let (kept, whole) = (again.trace(), Trace::new(&model, crate::trace(&model, &inputs).unwrap()));
		assert_eq!((kept.root(), kept.publication()), (whole.root(), whole.publication()));
		for value in 0..model.nodes().len() as u32 {
			let at = Coordinate::of(value);
			for demand in [
				Demand::Node { value },
				Demand::Tiles { at },
				Demand::TileGroup { at, group: 0 },
				Demand::Tile { at, tile: 0 },
				Demand::Tile { at, tile: u32::MAX },
				Demand::States { at, element: 0 },
			] {
				assert_eq!(kept.open(&demand), whole.open(&demand));
			}
		}
		assert_eq!(dispute(&kept, &kept), None);
	}
}

#[test]
fn liar_should_be_convicted_by_a_challenger_that_keeps_nothing() {
	let mut rng = Rng(22);
	for _ in 0..60 {
		let (model, inputs) = random_model(&mut rng, 5);
		let most = Cell::new(0);
		let honest = Again { model: &model, inputs: &inputs, change: None, most: &most };
		let computed = |v: &u32| !matches!(model.nodes()[*v as usize].op, Op::Input(_));
		let filled = |v: &u32| model.nodes()[*v as usize].ty.elements() != Some(0);
		let values: Vec<u32> = (0..model.nodes().len() as u32).filter(computed).filter(filled).collect();
		let Some(value) = (!values.is_empty()).then(|| rng.pick(&values)) else { continue };
		let bytes = model.nodes()[value as usize].ty.byte_len().unwrap();
		let byte = rng.below(bytes) as usize;
		let liar = Again { change: Some((value, byte)), ..honest.clone() };
		let mut values = crate::trace(&model, &inputs).unwrap();
		lie(&model, &mut values, value as usize, true, |t| t.bytes[byte] ^= 1);
		let (own, worker) = (honest.trace(), liar.trace());
		assert_eq!(worker.root(), Trace::new(&model, values).root());
		assert_eq!(dispute(&own, &worker).unwrap().0, value);
	}
	// One whose element takes more steps than are judged as a whole.
	let mut graph = Graph::default();
	let mut random = |dims: &[u32]| tensor(&mut rng, &TensorType::new(DType::F32, dims));
	let x = graph.input(random(&[2, 5000]));
	let w = graph.weight(random(&[3, 5000]));
	graph.push(Op::MatMul(MatMul), &[x, w]);
	let (model, inputs) = graph.finish(1);
	let most = Cell::new(0);
	let honest = Again { model: &model, inputs: &inputs, change: None, most: &most };
	let liar = Again { change: Some((2, 9)), ..honest.clone() };
	assert_eq!(dispute(&honest.trace(), &liar.trace()), Some((2, 3)));
}

#[test]
fn values_in_memory_should_be_few_when_the_graph_is_deep() {
	let mut graph = Graph::default();
	let mut last = graph.input(tensor(&mut Rng(3), &TensorType::new(DType::F32, vec![7])));
	for _ in 0..3000 {
		last = graph.push(Op::Unary(Unary::Neg), &[last]);
	}
	let (model, inputs) = graph.finish(1);
	let most = Cell::new(0);
	let again = Again { model: &model, inputs: &inputs, change: None, most: &most };
	let trace = again.trace();
	assert_eq!(trace.publication().ends.len(), 2);
	trace.open(&Demand::Tiles { at: Coordinate::of(2500) }).unwrap();
	assert_eq!(most.get(), 2);
	// Values that nobody asks for are not even computed.
	let mut walk = Walk::to(&model, &inputs, &[10]).unwrap();
	let mut steps = 0;
	while walk.step().unwrap().is_some() {
		steps += 1;
	}
	assert_eq!((steps, walk.live()), (11, 1));
}
