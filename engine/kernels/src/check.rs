//! Whether the kernels give the bits of the reference on this machine.

use crate::{Isa, Options, Plan, Threads};
use assay_semantics::{
	evaluate,
	ops::out_type,
	testing::{
		nodes::{Kind, Size},
		tensor, Rng,
	},
	Model, Names, Node, Op, Tensor, TensorType,
};
use std::fmt;

/// A node whose kernel gives other bits than the reference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
	/// The instruction set.
	pub isa: Isa,
	/// The operator, and the types of its operands.
	pub node: String,
	/// What was wrong.
	pub what: String,
}

impl fmt::Display for Mismatch {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "the {} kernels differ from the reference: {}: {}", self.isa, self.node, self.what)
	}
}

impl std::error::Error for Mismatch {}

/// Rounds of random nodes in [`self_test`].
const ROUNDS: u64 = 2;

/// The most operations of a node in [`self_test`], about, so that it takes well below a second.
const WORK: u64 = 150_000;

/// Runs random nodes of every kind, with hostile values, through the kernels and through the reference, and compares bits.
/// Takes less than a second. Whoever serves answers does this first: one wrong bit costs a bond.
pub fn self_test(options: &Options) -> Result<(), Mismatch> {
	for round in 0..ROUNDS {
		for (number, kind) in Kind::ALL.iter().enumerate() {
			let mut rng = Rng(round * 1000 + number as u64);
			let (op, types) = loop {
				let (op, types, out) = kind.random(&mut rng, Size::Small);
				let reads = types.iter().filter_map(|t| t.elements()).max().unwrap_or(0);
				if out.elements().unwrap_or(0) * reads.max(1) < WORK * 100 {
					break (op, types);
				}
			};
			check(options, &op, &types, &mut rng)?;
		}
	}
	Ok(())
}

/// Compares one node, and the same with an operator behind it that fuses, on random values.
fn check(options: &Options, op: &Op, types: &[TensorType], rng: &mut Rng) -> Result<(), Mismatch> {
	let mismatch = |what: String| Mismatch {
		isa: options.isa,
		node: format!("{op:?} over {}", types.iter().map(|t| format!("{t} ")).collect::<String>()),
		what,
	};
	let tensors: Vec<Tensor> = types.iter().map(|t| tensor(rng, t)).collect();
	let mut nodes: Vec<Node> =
		(0u32..).zip(types).map(|(i, ty)| Node { op: Op::Input(i), inputs: vec![], ty: ty.clone() }).collect();
	let ty = out_type(op, &types.iter().collect::<Vec<_>>()).map_err(|e| mismatch(e.to_string()))?;
	nodes.push(Node { op: op.clone(), inputs: (0u32..).take(types.len()).collect(), ty });
	let names = Names { inputs: vec![String::new(); types.len()], outputs: vec![String::new()], ..Default::default() };
	let model = Model::new(nodes, Vec::new(), 1, names).map_err(|e| mismatch(e.to_string()))?;
	let expected = evaluate(&model, &tensors).map_err(|e| mismatch(e.to_string()))?;
	let plan = Plan::new(&model, options).map_err(|e| mismatch(e.to_string()))?;
	let got = plan.run(&tensors).map_err(|e| mismatch(e.to_string()))?;
	if expected != got {
		return Err(mismatch("another value".into()));
	}
	Ok(())
}

/// The self-test of an instruction set on one thread and on two.
impl Isa {
	/// [`self_test`] with this instruction set, on two threads.
	pub fn check(self) -> Result<(), Mismatch> {
		self_test(&Options { threads: Threads::new(2), isa: self })
	}
}
