//! ONNX operators to operators of the IR, one function each.

mod attention;
mod composite;
mod contributed;
mod control;
mod conv;
mod detection;
mod einsum;
mod elementary;
mod emit;
mod extent;
mod fourier;
mod linear;
mod normal;
mod norms;
mod places;
mod pointwise;
mod quant;
mod recurrent;
mod reduce;
mod resize;
mod sampling;
mod shape;
mod windows;

use crate::{
	attributes::Attributes,
	builder::{Builder, Value},
	error::{ImportError, Reason},
	proto::{GraphProto, NodeProto},
};
use assay_semantics::{
	number,
	ops::{Binary, Unary},
	DType, Tensor,
};
use std::collections::HashMap;

/// What lowering knows while it walks the graph.
pub(crate) struct Context {
	/// The graph that grows.
	pub(crate) builder: Builder,
	/// ONNX tensors by name.
	pub(crate) env: HashMap<String, Value>,
	/// Version of the default operator set.
	pub(crate) opset: i64,
	/// How often each name is read, graph outputs included.
	uses: HashMap<String, usize>,
}

impl Context {
	/// At the start of a graph.
	pub(crate) fn new(builder: Builder, env: HashMap<String, Value>, opset: i64, graph: &GraphProto) -> Self {
		let mut uses = HashMap::new();
		let outputs = graph.output.iter().map(|o| &o.name);
		for name in graph.node.iter().flat_map(|n| &n.input).chain(outputs) {
			*uses.entry(name.clone()).or_insert(0) += 1;
		}
		Self { builder, env, opset, uses }
	}
}

/// One node while it is lowered.
pub(crate) struct Lowering<'a> {
	/// The graph and its names.
	pub(crate) context: &'a mut Context,
	/// The node.
	pub(crate) node: &'a NodeProto,
	/// Outputs after the first, by their number.
	pub(crate) more: Vec<(usize, Value)>,
}

impl<'a> Lowering<'a> {
	/// The node's attributes.
	pub(crate) fn attributes(&self) -> Attributes<'a> {
		Attributes(self.node)
	}

	/// An operand; an error when it is missing.
	pub(crate) fn input(&self, i: usize) -> Result<Value, Reason> {
		self.optional(i)?.ok_or_else(|| format!("input {i} is missing").into())
	}

	/// An operand that may be left out.
	pub(crate) fn optional(&self, i: usize) -> Result<Option<Value>, Reason> {
		match self.node.input.get(i) {
			Some(name) if !name.is_empty() => match self.context.env.get(name) {
				Some(value) => Ok(Some(value.clone())),
				None => Err(format!(
					"it reads `{name}`, which no earlier node, input or initialiser gives; \
					 sort the nodes topologically, or restore what is missing"
				)
				.into()),
			},
			_ => Ok(None),
		}
	}

	/// Whether an operand is read here and nowhere else.
	pub(crate) fn is_sole_reader(&self, i: usize) -> bool {
		self.node.input.get(i).and_then(|name| self.context.uses.get(name)) == Some(&1)
	}

	/// Gives an output after the first.
	pub(crate) fn give(&mut self, output: usize, value: Value) {
		self.more.push((output, value));
	}

	/// Whether somebody may read output `i`.
	pub(crate) fn wants(&self, i: usize) -> bool {
		self.node.output.get(i).is_some_and(|name| !name.is_empty())
	}

	/// An operand whose value is needed here, in the ONNX tensor's own order; none when it is left out.
	pub(crate) fn constant_tensor(&mut self, i: usize) -> Result<Option<Tensor>, Reason> {
		let Some(value) = self.optional(i)? else { return Ok(None) };
		let id = self.context.builder.plain(&value)?;
		let tensor = self.context.builder.demand(id).map_err(|mut reason| {
			reason.text = format!("input {i} must be constant: {}", reason.text);
			reason
		})?;
		Ok(Some(tensor))
	}

	/// An operand that must be a constant list of integers, or one integer.
	pub(crate) fn constant_ints(&mut self, i: usize) -> Result<Option<Vec<i64>>, Reason> {
		let Some(tensor) = self.constant_tensor(i)? else { return Ok(None) };
		if tensor.ty.dims.len() > 1 || tensor.ty.elements() > Some(1 << 16) {
			return Err(format!("input {i} must be a short list").into());
		}
		Ok(Some(integers(&tensor).ok_or_else(|| format!("input {i} must be integers"))?))
	}
}

/// The outputs of a node, in order; those that are not computed are `None`.
pub(crate) type Outputs = Vec<Option<Value>>;

/// The elements of a tensor of integers or bools; `None` for floats.
pub(crate) fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
	let dtype = tensor.ty.dtype;
	let list =
		|| places::elements(tensor).into_iter().map(|bits| number::convert(dtype, DType::I64, bits) as i64).collect();
	(!dtype.is_float()).then(list)
}

/// Lowers one node and names its outputs. Those that it does not give stay unnamed: reading them is an error then.
pub(crate) fn lower(context: &mut Context, node: &NodeProto) -> Result<(), ImportError> {
	let name =
		|| if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() };
	let error = |r: Reason| {
		let (node, op, reason) = (name(), node.op_type.clone(), r.text);
		match r.needs.is_empty() {
			true => ImportError::Node { node, op, reason },
			false => ImportError::NeedsValues { node, op, reason, inputs: r.needs },
		}
	};
	let mut l = Lowering { context, node, more: Vec::new() };
	let Some(values) = dispatch(&mut l).map_err(error)? else {
		let op =
			if node.domain.is_empty() { node.op_type.clone() } else { format!("{}.{}", node.domain, node.op_type) };
		return Err(ImportError::Operator { node: name(), op });
	};
	for (i, value) in values {
		let Some(output) = node.output.get(i).filter(|name| !name.is_empty()) else { continue };
		if context.env.insert(output.clone(), value).is_some() {
			return Err(error(format!("its output `{output}` is produced twice").into()));
		}
	}
	Ok(())
}

/// The outputs of a node, by position; `None` when the operator is not supported.
fn dispatch(l: &mut Lowering) -> Result<Option<Vec<(usize, Value)>>, Reason> {
	if l.node.domain == "com.microsoft" {
		let op = l.node.op_type.as_str();
		let outputs = l.contributed(op)?;
		return Ok(outputs.map(|list| list.into_iter().enumerate().filter_map(|(i, v)| Some((i, v?))).collect()));
	}
	let default_domain = matches!(l.node.domain.as_str(), "" | "ai.onnx" | "ai.onnx.preview");
	let op = if default_domain { l.node.op_type.as_str() } else { "" };
	let value = match op {
		"Add" => l.binary(Binary::Add),
		"Sub" => l.binary(Binary::Sub),
		"Mul" => l.binary(Binary::Mul),
		"Div" => l.binary(Binary::Div),
		"Relu" => l.unary(Unary::Relu),
		"Sigmoid" => l.unary(Unary::Sigmoid),
		"Tanh" => l.unary(Unary::Tanh),
		"Exp" => l.unary(Unary::Exp),
		"Neg" => l.unary(Unary::Neg),
		"Abs" => l.unary(Unary::Abs),
		"Sqrt" => l.unary(Unary::Sqrt),
		"Reciprocal" => l.unary(Unary::Reciprocal),
		"Clip" => l.clip(),
		"Cast" => l.cast(),
		"Conv" => l.conv(),
		"GlobalAveragePool" => l.global_pool(assay_semantics::ops::ReduceKind::Mean),
		"GlobalMaxPool" => l.global_pool(assay_semantics::ops::ReduceKind::Max),
		"MatMul" => l.mat_mul(),
		"Gemm" => l.gemm(),
		"BatchNormalization" if !l.attributes().flag("training_mode")? => l.batch_normalization(),
		"Reshape" => l.reshape(),
		"Flatten" => l.flatten(),
		"Transpose" => l.transpose(),
		"Squeeze" => l.squeeze(),
		"Unsqueeze" => l.unsqueeze(),
		"Concat" => l.concat(),
		"Identity" => l.input(0),
		"Dropout" => l.dropout(),
		"Constant" => l.constant(),
		_ => {
			if let Some(value) = l.elementary(op)? {
				let more = std::mem::take(&mut l.more);
				return Ok(Some([(0, value)].into_iter().chain(more).collect()));
			}
			let Some(outputs) = l.composite(op)? else { return Ok(None) };
			return Ok(Some(outputs.into_iter().enumerate().filter_map(|(i, v)| Some((i, v?))).collect()));
		}
	}?;
	let more = std::mem::take(&mut l.more);
	Ok(Some([(0, value)].into_iter().chain(more).collect()))
}
