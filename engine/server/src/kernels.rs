//! Evaluation with fast kernels.

use std::{
	collections::HashMap,
	sync::{Arc, Mutex},
};

use assay_kernels::{self_test, Isa, Options, Plan, Threads};
use assay_semantics::{EvalError, Hash, Model, Op, Tensor, ValueId};

use crate::{engine::lock, Evaluator};

/// Evaluates with `assay_kernels`: the bits of the reference, sooner. Models are made ready when they are first used, and
/// kept so.
pub struct Kernels {
	options: Options,
	/// The most plans that are kept.
	max: usize,
	plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
	by_key: HashMap<Key, (Arc<Plan>, u64)>,
	tick: u64,
}

/// A model, and whether its plan gives every value.
type Key = (Hash, bool);

impl Kernels {
	/// Kernels for the instruction set that the environment names, else for the fastest; on so many threads, which all
	/// evaluations share. Keeps plans of `max` models. Says in words why not, if the instruction set is not there or if the
	/// kernels do not give the bits of the reference here: then nobody should be served by this machine.
	pub fn new(threads: usize, max: usize) -> Result<Self, String> {
		let isa = Isa::from_environment().map_err(|e| e.to_string())?;
		let options = Options { threads: Threads::new(threads), isa };
		self_test(&options).map_err(|e| e.to_string())?;
		Ok(Self { options, max: max.max(1), plans: Mutex::default() })
	}

	fn plan(&self, model: &Model, traced: bool) -> Result<Arc<Plan>, EvalError> {
		let key = (model.id(), traced);
		{
			let mut plans = lock(&self.plans);
			plans.tick += 1;
			let tick = plans.tick;
			if let Some((plan, used)) = plans.by_key.get_mut(&key) {
				*used = tick;
				return Ok(plan.clone());
			}
		}
		// Made outside the lock: others go on. Two threads may make the same plan once.
		let plan = if traced { Plan::traced(model, &self.options) } else { Plan::new(model, &self.options) };
		let plan = Arc::new(plan?);
		for op in plan.without_kernel() {
			log::debug!("no kernel for a {op}: its element function computes it");
		}
		let mut plans = lock(&self.plans);
		// Plans that give every value are for disputes, which are rare: one is enough.
		let most = if traced { 1 } else { self.max };
		let same = |key: &Key| key.1 == traced;
		while plans.by_key.keys().filter(|key| same(key)).count() >= most {
			let oldest = plans.by_key.iter().filter(|(key, _)| same(key)).min_by_key(|(_, (_, used))| *used);
			let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
			plans.by_key.remove(&oldest);
		}
		let tick = plans.tick;
		plans.by_key.insert(key, (plan.clone(), tick));
		Ok(plan)
	}
}

impl Evaluator for Kernels {
	fn outputs(&self, model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		self.plan(model, false)?.run(inputs)
	}

	fn outputs_while(
		&self,
		model: &Model,
		inputs: &[Tensor],
		wanted: &(dyn Fn() -> bool + Sync),
	) -> Result<Option<Vec<Tensor>>, EvalError> {
		self.plan(model, false)?.run_while(inputs, wanted)
	}

	fn values(
		&self,
		model: &Model,
		inputs: &[Tensor],
		only: Option<&[ValueId]>,
		visit: &mut dyn FnMut(ValueId, &Tensor),
	) -> Result<(), EvalError> {
		let plan = self.plan(model, true)?;
		let nodes = model.nodes();
		let mut wanted = vec![only.is_none(); nodes.len()];
		for v in only.unwrap_or_default() {
			if let Some(wanted) = wanted.get_mut(*v as usize) {
				*wanted = true;
			}
		}
		for (at, node) in nodes.iter().enumerate().rev() {
			if wanted[at] {
				node.inputs.iter().for_each(|v| wanted[*v as usize] = true);
			}
		}
		let end = wanted.iter().rposition(|w| *w).map_or(0, |last| last + 1);
		let mut at = 0;
		// Inputs and weights are given as they were committed to, in their places between computed values.
		let sources = |at: &mut usize, until: usize, visit: &mut dyn FnMut(ValueId, &Tensor)| {
			while *at < until {
				let source = match nodes[*at].op {
					Op::Input(i) => inputs.get(i as usize),
					Op::Weight(i) => model.weights().get(i as usize),
					_ => None,
				};
				if let Some(tensor) = source.filter(|_| wanted[*at]) {
					visit(*at as ValueId, tensor);
				}
				*at += 1;
			}
		};
		plan.values(inputs, &mut |v, value| {
			let v = v as usize;
			sources(&mut at, v.min(end), visit);
			at = at.max(v + 1);
			if wanted[v] {
				visit(v as ValueId, &value());
			}
			v + 1 < end
		})?;
		sources(&mut at, end, visit);
		Ok(())
	}

	fn name(&self) -> String {
		self.options.isa.name().into()
	}
}
