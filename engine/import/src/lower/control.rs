//! Subgraphs: branches that are constant, and loops whose number of rounds is.

use super::{integers, lower, Lowering, Outputs};
use crate::{
	attributes::axis,
	builder::Value,
	error::{ImportError, Reason},
	proto::GraphProto,
	weights,
};
use assay_semantics::{DType, Tensor, TensorType};
use std::collections::HashMap;

/// The most rounds of a loop that is unrolled.
const MAX_ROUNDS: u32 = 4096;

/// An error when a loop has too many rounds to be unrolled.
pub(super) fn check_unrolled(rounds: u32) -> Result<(), Reason> {
	if rounds > MAX_ROUNDS {
		return Err(format!("{rounds} rounds; loops are unrolled, up to {MAX_ROUNDS}").into());
	}
	Ok(())
}

/// The reason for which a node of a subgraph was refused.
fn reason(error: ImportError) -> Reason {
	let text = error.to_string();
	match error {
		ImportError::NeedsValues { reason, inputs, .. } => Reason { text: reason, needs: inputs },
		_ => text.into(),
	}
}

impl Lowering<'_> {
	/// The outputs of a subgraph over these inputs. Its own names end with it.
	pub(super) fn subgraph(&mut self, graph: &GraphProto, inputs: &[Value]) -> Result<Vec<Value>, Reason> {
		if graph.input.len() != inputs.len() {
			return Err(format!("a subgraph takes {} inputs, got {}", graph.input.len(), inputs.len()).into());
		}
		let mut hidden: HashMap<String, Option<Value>> = HashMap::new();
		let result = self.subgraph_in(graph, inputs, &mut hidden);
		for (name, value) in hidden {
			match value {
				Some(value) => self.context.env.insert(name, value),
				None => self.context.env.remove(&name),
			};
		}
		result
	}

	fn subgraph_in(
		&mut self,
		graph: &GraphProto,
		inputs: &[Value],
		hidden: &mut HashMap<String, Option<Value>>,
	) -> Result<Vec<Value>, Reason> {
		for name in graph.node.iter().flat_map(|n| &n.output) {
			let before = self.context.env.remove(name);
			hidden.entry(name.clone()).or_insert(before);
		}
		let given = graph.input.iter().map(|i| &i.name).zip(inputs.iter().cloned());
		let mut bound: Vec<(String, Value)> = given.map(|(n, v)| (n.clone(), v)).collect();
		for proto in &graph.initializer {
			let tensor = weights::tensor(proto.clone())?;
			bound.push((proto.name.clone(), self.weight(tensor)?));
		}
		for (name, value) in bound {
			let before = self.context.env.insert(name.clone(), value);
			hidden.entry(name).or_insert(before);
		}
		for node in &graph.node {
			lower(self.context, node).map_err(reason)?;
		}
		let output = |o: &crate::proto::ValueInfoProto| {
			let value = self.context.env.get(&o.name).cloned();
			value.ok_or_else(|| Reason::from(format!("no node of the subgraph produces `{}`", o.name)))
		};
		graph.output.iter().map(output).collect()
	}

	/// The value of a constant scalar.
	fn scalar_of(&mut self, value: &Value) -> Result<i64, Reason> {
		let value = self.cast_to(value, DType::I64)?;
		let tensor = self.demanded(&value)?;
		Ok(integers(&tensor).and_then(|v| v.first().copied()).ok_or("a scalar is needed")?)
	}

	/// The branch that a constant condition chooses; both, and a choice, where it is no constant.
	pub(super) fn branch(&mut self) -> Result<Outputs, Reason> {
		let condition = self.input(0)?;
		let attributes = self.attributes();
		let yes = attributes.graph("then_branch")?.ok_or("`then_branch` is missing")?;
		let no = attributes.graph("else_branch")?.ok_or("`else_branch` is missing")?;
		match self.scalar_of(&condition) {
			Ok(c) => {
				let chosen = self.subgraph(if c != 0 { yes } else { no }, &[])?;
				Ok(chosen.into_iter().map(Some).collect())
			}
			// Branches that cannot stand side by side need the condition.
			Err(needs) if !needs.needs.is_empty() => self.both_branches(&condition, yes, no).map_err(|_| needs),
			Err(reason) => Err(reason),
		}
	}

	fn both_branches(&mut self, condition: &Value, yes: &GraphProto, no: &GraphProto) -> Result<Outputs, Reason> {
		let (yes, no) = (self.subgraph(yes, &[])?, self.subgraph(no, &[])?);
		let condition = self.reshape_to(condition, [])?;
		let mut outputs = Vec::new();
		for (a, b) in yes.iter().zip(&no) {
			if self.dims(a) != self.dims(b) || self.dtype(a) != self.dtype(b) {
				return Err("the branches differ in type".into());
			}
			outputs.push(Some(self.select(&condition, a, b)?));
		}
		Ok(outputs)
	}

	/// One more dimension, of 1.
	fn unsqueezed(&mut self, x: &Value, at: usize) -> Result<Value, Reason> {
		let mut dims = self.dims(x);
		dims.insert(at.min(dims.len()), 1);
		self.reshape_to(x, dims)
	}

	/// The rounds' outputs along a new axis.
	fn stacked(&mut self, rounds: &[Value], at: i64, reverse: bool) -> Result<Value, Reason> {
		let rank = rounds.first().ok_or("a loop without rounds has no outputs to stack")?.perm.len();
		let at = axis(at, rank + 1)?;
		let mut parts = Vec::new();
		for round in rounds {
			parts.push(self.unsqueezed(round, at)?);
		}
		if reverse {
			parts.reverse();
		}
		self.joined(&parts, at)
	}

	/// Unrolled. The number of rounds, or the condition after each round, must be constants.
	pub(super) fn repeat(&mut self) -> Result<Outputs, Reason> {
		let body = self.attributes().graph("body")?.ok_or("`body` is missing")?;
		let most = match self.optional(0)? {
			Some(m) => Some(self.scalar_of(&m)?),
			None => None,
		};
		let condition = match self.optional(1)? {
			Some(c) => c,
			None => self.truth()?,
		};
		let mut states = Vec::new();
		for i in 2..self.node.input.len() {
			states.push(self.input(i)?);
		}
		let carried = states.len();
		let scans = body.output.len().checked_sub(carried + 1).ok_or("the body has too few outputs")?;
		let mut stacks: Vec<Vec<Value>> = vec![Vec::new(); scans];
		let mut going = condition;
		let mut round = 0i64;
		while most.is_none_or(|m| round < m) {
			if self.scalar_of(&going)? == 0 {
				break;
			}
			check_unrolled(u32::try_from(round.saturating_add(1))?)?;
			let number = self.integers(&[], &[round])?;
			let mut inputs = vec![number, going.clone()];
			inputs.append(&mut states);
			let mut outputs = self.subgraph(body, &inputs)?.into_iter();
			going = outputs.next().ok_or("the body has no condition")?;
			states = outputs.by_ref().take(carried).collect();
			stacks.iter_mut().zip(outputs).for_each(|(stack, value)| stack.push(value));
			round += 1;
		}
		let mut outputs: Outputs = states.into_iter().map(Some).collect();
		for (i, stack) in stacks.iter().enumerate() {
			let used = self.node.output.get(carried + i).is_some_and(|name| !name.is_empty());
			outputs.push(if used { Some(self.stacked(stack, 0, false)?) } else { None });
		}
		Ok(outputs)
	}

	/// A constant `true`.
	fn truth(&mut self) -> Result<Value, Reason> {
		self.weight(Tensor::new(TensorType::new(DType::Bool, []), vec![1])?)
	}

	/// Unrolled along the scanned axes.
	pub(super) fn scan(&mut self) -> Result<Outputs, Reason> {
		let attributes = self.attributes();
		let body = attributes.graph("body")?.ok_or("`body` is missing")?;
		let scans = usize::try_from(attributes.int("num_scan_inputs", 0)?)?;
		if self.context.opset < 9 {
			return self.batched_scan(body, scans);
		}
		let mut inputs = Vec::new();
		for i in 0..self.node.input.len() {
			inputs.push(self.input(i)?);
		}
		self.scan_over(body, inputs, scans)
	}

	/// Operator set 8: sequence lengths first, and a batch axis before everything.
	fn batched_scan(&mut self, body: &GraphProto, scans: usize) -> Result<Outputs, Reason> {
		if self.optional(0)?.is_some() {
			return Err("sequence lengths are not supported".into());
		}
		let mut inputs = Vec::new();
		for i in 1..self.node.input.len() {
			inputs.push(self.input(i)?);
		}
		let batch = inputs.first().and_then(|x| self.dims(x).first().copied()).ok_or("a batch axis is needed")?;
		let mut all: Vec<Vec<Value>> = Vec::new();
		for b in 0..batch {
			let mut sample = Vec::new();
			for x in &inputs {
				let part = self.part(x, 0, b, 1)?;
				let dims = self.dims(&part)[1..].to_vec();
				sample.push(self.reshape_to(&part, dims)?);
			}
			let outputs = self.scan_over(body, sample, scans)?;
			all.push(outputs.into_iter().flatten().collect());
		}
		let count = all.first().map_or(0, Vec::len);
		let mut outputs = Vec::new();
		for i in 0..count {
			let parts: Vec<Value> = all.iter().filter_map(|o| o.get(i).cloned()).collect();
			outputs.push(Some(self.stacked(&parts, 0, false)?));
		}
		Ok(outputs)
	}

	fn scan_over(&mut self, body: &GraphProto, mut states: Vec<Value>, scans: usize) -> Result<Outputs, Reason> {
		let attributes = self.attributes();
		let carried = states.len().checked_sub(scans).ok_or("`num_scan_inputs` is too large")?;
		let scanned = states.split_off(carried);
		let listed = |name: &str, i: usize| -> Result<i64, Reason> {
			Ok(attributes.ints(name)?.and_then(|l| l.get(i).copied()).unwrap_or(0))
		};
		let outs = body.output.len().checked_sub(carried).ok_or("the body has too few outputs")?;
		let mut length = None;
		let mut axes = Vec::new();
		for (i, x) in scanned.iter().enumerate() {
			let at = axis(listed("scan_input_axes", i)?, x.perm.len())?;
			let n = self.dims(x)[at];
			if *length.get_or_insert(n) != n {
				return Err("the scanned axes differ in length".into());
			}
			axes.push(at);
		}
		let length = length.ok_or("there is nothing to scan")?;
		check_unrolled(length)?;
		let mut stacks: Vec<Vec<Value>> = vec![Vec::new(); outs];
		for round in 0..length {
			let mut inputs = states;
			for (i, x) in scanned.iter().enumerate() {
				let backward = listed("scan_input_directions", i)? != 0;
				let part = self.part(x, axes[i], if backward { length - 1 - round } else { round }, 1)?;
				let mut dims = self.dims(&part);
				dims.remove(axes[i]);
				inputs.push(self.reshape_to(&part, dims)?);
			}
			let mut outputs = self.subgraph(body, &inputs)?.into_iter();
			states = outputs.by_ref().take(carried).collect();
			stacks.iter_mut().zip(outputs).for_each(|(stack, value)| stack.push(value));
		}
		let mut outputs: Outputs = states.into_iter().map(Some).collect();
		for (i, stack) in stacks.iter().enumerate() {
			let reverse = listed("scan_output_directions", i)? != 0;
			outputs.push(Some(self.stacked(stack, listed("scan_output_axes", i)?, reverse)?));
		}
		Ok(outputs)
	}
}
