//! Engines that give wrong answers, late answers or none.

use std::{str::FromStr, time::Duration};

use anyhow::Context;
use assay_semantics::{EvalError, Model, Op, Tensor, ValueId, Walk};
use assay_server::Evaluator;

/// One bit of one element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flip {
	/// The number of the value, or of the weight.
	pub of: u32,
	/// The element.
	pub element: usize,
	/// The bit, counted from the lowest.
	pub bit: usize,
}

impl FromStr for Flip {
	type Err = anyhow::Error;

	/// Reads `VALUE:ELEMENT:BIT`.
	fn from_str(text: &str) -> anyhow::Result<Self> {
		let parts: Vec<&str> = text.split(':').collect();
		let [of, element, bit] = parts[..] else { anyhow::bail!("three numbers with colons between them, as 12:0:7") };
		let words = || format!("{text} is not three numbers with colons between them");
		let [element, bit] = [element, bit].map(|n| n.parse().with_context(words));
		Ok(Self { of: of.parse().with_context(words)?, element: element?, bit: bit? })
	}
}

impl Flip {
	/// The tensor with the bit changed; as it is when there is no such element.
	fn apply(&self, tensor: &Tensor) -> Tensor {
		let mut tensor = tensor.clone();
		let size = tensor.ty.dtype.size();
		let at = self.element.saturating_mul(size).saturating_add(self.bit / 8 % size);
		match tensor.bytes.get_mut(at) {
			Some(byte) => *byte ^= 1 << (self.bit % 8),
			None => eprintln!("no element {}: nothing is changed", self.element),
		}
		tensor
	}
}

/// What is wrong with an engine. Lies about values and weights are consistent: everything after them is computed from them,
/// in answers as in traces.
#[derive(Clone, Default, Debug)]
pub struct Faulty {
	/// Changes a value.
	pub flip: Option<Flip>,
	/// Changes a weight.
	pub weight: Option<Flip>,
	/// Changes the output after it was computed. The trace does not show it, so it cannot be published with that output.
	pub swap_output: bool,
	/// Waits before each evaluation.
	pub late: Duration,
	/// Answers jobs, but builds no trace.
	pub withhold: bool,
}

impl Faulty {
	fn walk<'a>(&self, mut walk: Walk<'a>, visit: &mut dyn FnMut(ValueId, &Tensor)) -> Result<Walk<'a>, EvalError> {
		while let Some(value) = walk.step()? {
			let op = walk.model().nodes().get(value as usize).map(|node| &node.op);
			let number = if let Some(Op::Weight(number)) = op { Some(*number) } else { None };
			let by_value = self.flip.filter(|flip| flip.of == value);
			let by_weight = self.weight.filter(|flip| Some(flip.of) == number);
			for flip in by_value.into_iter().chain(by_weight) {
				let changed = flip.apply(walk.value(value).ok_or(EvalError::Memory)?);
				walk.replace(changed);
			}
			visit(value, walk.value(value).ok_or(EvalError::Memory)?);
		}
		Ok(walk)
	}
}

impl Evaluator for Faulty {
	fn outputs(&self, model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		std::thread::sleep(self.late);
		let outputs: Vec<ValueId> = (model.first_output()..model.nodes().len()).map(|v| v as ValueId).collect();
		let mut walk = self.walk(Walk::to(model, inputs, &outputs)?, &mut |_, _| {})?;
		let mut found =
			outputs.iter().map(|v| walk.take(*v).ok_or(EvalError::Memory)).collect::<Result<Vec<_>, _>>()?;
		if let Some(byte) = found.first_mut().and_then(|t| t.bytes.first_mut()).filter(|_| self.swap_output) {
			*byte ^= 1;
		}
		Ok(found)
	}

	fn values(
		&self,
		model: &Model,
		inputs: &[Tensor],
		only: Option<&[ValueId]>,
		visit: &mut dyn FnMut(ValueId, &Tensor),
	) -> Result<(), EvalError> {
		if self.withhold {
			return Err(EvalError::Memory);
		}
		std::thread::sleep(self.late);
		let walk = match only {
			None => Walk::all(model, inputs)?,
			Some(values) => Walk::to(model, inputs, values)?,
		};
		self.walk(walk, visit).map(drop)
	}
}
