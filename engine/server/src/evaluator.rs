//! What turns inputs into values.

use assay_semantics::{EvalError, Model, Tensor, ValueId, Walk};

/// What turns inputs into values. It has to give the bits that `assay_semantics` gives: whoever gives others can be proven
/// wrong on chain. [`crate::Kernels`] is the one that serves. The reference is `assay_semantics::evaluate`, which is an
/// evaluator too, as is any function like it.
pub trait Evaluator: Send + Sync + 'static {
	/// The outputs.
	fn outputs(&self, model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError>;

	/// The outputs; or none, if `wanted`, which is to be asked now and then and costs next to nothing, says that nobody waits
	/// for them any more. An evaluator that cannot stop half-way goes on to the end.
	fn outputs_while(
		&self,
		model: &Model,
		inputs: &[Tensor],
		_wanted: &(dyn Fn() -> bool + Sync),
	) -> Result<Option<Vec<Tensor>>, EvalError> {
		self.outputs(model, inputs).map(Some)
	}

	/// Gives values to `visit`, in order: all of them, or those asked for with all that they are computed from. Inputs and
	/// weights are values too.
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
			visit(value, walk.value(value).ok_or(EvalError::Memory)?);
		}
		Ok(())
	}

	/// What it is called where the engine says what it is: the instruction set of the kernels, or `reference`.
	fn name(&self) -> String {
		"reference".into()
	}
}

impl<F> Evaluator for F
where
	F: Fn(&Model, &[Tensor]) -> Result<Vec<Tensor>, EvalError> + Send + Sync + 'static,
{
	fn outputs(&self, model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		self(model, inputs)
	}
}
