//! ONNX operators to operators of the IR, one function each.

mod attention;
mod composite;
mod control;
mod conv;
mod emit;
mod linear;
mod normal;
mod norms;
mod pointwise;
mod shape;

use crate::{
	attributes::Attributes,
	builder::{Builder, Value},
	error::{ImportError, Reason},
	proto::{GraphProto, NodeProto},
};
use assay_semantics::ops::{Binary, Unary};
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

	/// An operand that must be a constant list of integers.
	pub(crate) fn constant_ints(&self, i: usize) -> Result<Option<Vec<i64>>, Reason> {
		let Some(value) = self.optional(i)? else { return Ok(None) };
		let tensor = self.context.builder.constant(value.id);
		let tensor =
			tensor.filter(|t| t.ty.dtype == assay_semantics::DType::I64 && t.ty.dims.len() <= 1).ok_or_else(|| {
				Reason(format!("input {i} must be a constant list of int64; fold constants first (onnxsim)"))
			})?;
		let ints = tensor.bytes.chunks_exact(8).map(|c| c.iter().rev().fold(0, |v, b| (v << 8) | i64::from(*b)));
		Ok(Some(ints.take(64).collect()))
	}
}

/// The outputs of a node, in order; those that are not computed are `None`.
pub(crate) type Outputs = Vec<Option<Value>>;

/// Lowers one node and names its outputs. Those that are not computed stay unnamed: reading them is an error then.
pub(crate) fn lower(context: &mut Context, node: &NodeProto) -> Result<(), ImportError> {
	let name =
		|| if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() };
	let error = |r: Reason| ImportError::Node { node: name(), op: node.op_type.clone(), reason: r.0 };
	let Some(values) = Lowering { context, node }.dispatch().map_err(error)? else {
		let default_domain = node.domain.is_empty() || node.domain == "ai.onnx";
		let op = if default_domain { node.op_type.clone() } else { format!("{}.{}", node.domain, node.op_type) };
		return Err(ImportError::Operator { node: name(), op });
	};
	for (output, value) in node.output.iter().zip(values) {
		let Some(value) = value.filter(|_| !output.is_empty()) else { continue };
		if context.env.insert(output.clone(), value).is_some() {
			return Err(error(format!("its output `{output}` is produced twice").into()));
		}
	}
	Ok(())
}

impl Lowering<'_> {
	/// The node's outputs; `None` when the operator is not supported.
	pub(crate) fn dispatch(&mut self) -> Result<Option<Outputs>, Reason> {
		let l = self;
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
			"MaxPool" => l.max_pool(),
			"AveragePool" => l.average_pool(),
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
			_ => return l.composite(op),
		};
		Ok(Some(vec![Some(value?)]))
	}
}
