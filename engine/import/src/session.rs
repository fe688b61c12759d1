//! A graph and inputs to outputs, whatever the graph needs to know before it can be compiled.

use crate::{
	error::ImportError,
	onnx::{Given, Onnx},
};
use assay_semantics::{evaluate, EvalError, Model, Tensor};
use std::collections::BTreeSet;

/// An ONNX graph with the model that it was last compiled to.
///
/// It is compiled for the types of the inputs that are given. Where import says that a shape or an attribute hangs on the
/// value of an input, that input is frozen: it becomes a constant of the model, and another value of it is another model.
#[derive(Debug)]
pub struct Session {
	onnx: Onnx,
	frozen: BTreeSet<String>,
	last: Option<(Vec<(String, Given)>, Model)>,
}

impl Session {
	/// A session that has compiled nothing yet.
	pub fn new(onnx: Onnx) -> Self {
		Self { onnx, frozen: BTreeSet::new(), last: None }
	}

	/// The graph.
	pub fn onnx(&self) -> &Onnx {
		&self.onnx
	}

	/// The inputs that are frozen so far.
	pub fn frozen(&self) -> impl Iterator<Item = &str> {
		self.frozen.iter().map(String::as_str)
	}

	/// The model for these inputs; its own inputs are those that are not frozen, in the order of the graph. The same model
	/// as last time where types and frozen values are the same.
	pub fn specialise(&mut self, inputs: &[(String, Tensor)]) -> Result<&Model, ImportError> {
		loop {
			let give = |(name, tensor): &(String, Tensor)| {
				let given = match self.frozen.contains(name) {
					true => Given::Value(tensor.clone()),
					false => Given::Type(tensor.ty.clone()),
				};
				(name.clone(), given)
			};
			let given: Vec<(String, Given)> = inputs.iter().map(give).collect();
			if self.last.as_ref().is_some_and(|(last, _)| *last == given) {
				break;
			}
			match self.onnx.compile(&given) {
				Ok(model) => {
					self.last = Some((given, model));
					break;
				}
				Err(ImportError::NeedsValues { inputs: needed, .. })
					if needed.iter().any(|name| !self.frozen.contains(name)) =>
				{
					self.frozen.extend(needed);
				}
				Err(error) => return Err(error),
			}
		}
		self.last.as_ref().map(|(_, model)| model).ok_or(ImportError::NoGraph)
	}

	/// The outputs on these inputs, by the reference evaluation.
	pub fn run(&mut self, inputs: &[(String, Tensor)]) -> Result<Vec<Tensor>, SessionError> {
		let model = self.specialise(inputs)?;
		let free = model.names().inputs.iter().filter_map(|name| inputs.iter().find(|(n, _)| n == name));
		let free: Vec<Tensor> = free.map(|(_, tensor)| tensor.clone()).collect();
		Ok(evaluate(model, &free)?)
	}
}

/// Why there are no outputs.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
	/// The graph was not compiled.
	#[error(transparent)]
	Import(#[from] ImportError),
	/// The model was not evaluated.
	#[error(transparent)]
	Evaluate(#[from] EvalError),
}
