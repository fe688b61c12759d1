//! Contractions between DequantizeLinear and QuantizeLinear become contractions of integers.
//!
//! Such a graph says in floats what is meant in integers: `q = quantise(conv(dequantise(x), dequantise(w)) + b)`. The real
//! number under the last rounding is `sx sw (sum of (x - zx) (w - zw) + b)`, and an exact sum of integers gives it with fewer
//! roundings than sums of floats do. So where scales, zero points and weights are constants, it is lowered as the operator
//! that says it in integers (QLinearConv, QGemm, QLinearMatMul), as other runtimes run it. Results may differ from those of
//! the floats by one step where these are near halfway: which one is meant is decided here, once, and is part of the model's
//! id.
//!
//! Operators that only move elements, and maxima, between the same scale and zero point are done on the integers. That is
//! exact: quantising what was dequantised gives it back. What is joined is quantised before, which is exact too.
//!
//! Nothing else changes: sums of two tensors, means and functions stay in floats.

use crate::{
	attributes::Attributes,
	proto::{GraphProto, NodeProto, TensorProto},
	weights,
};
use assay_semantics::{DType, Tensor};
use std::collections::{HashMap, HashSet};

/// The most elements of a scale or zero point that is looked at.
const MAX_POINTS: i64 = 1 << 20;

/// A rewritten contraction's scale of the bias, and that of its products, are the same if they differ by less than this.
const SAME: f32 = 1e-5;

/// A quantisation: of operand `tensor`, by constants.
struct Quant<'a> {
	tensor: &'a str,
	scale: &'a str,
	zero: &'a str,
	scales: Vec<f32>,
	points: Tensor,
	axis: i64,
}

impl Quant<'_> {
	/// One scale and one zero point, of bytes; the scale such that `quantise(dequantise(q))` is `q`.
	fn is_plain(&self) -> bool {
		let [scale] = self.scales[..] else { return false };
		let ordinary = (f32::MIN_POSITIVE..f32::MAX / 256.0).contains(&scale);
		ordinary && self.points.bytes.len() == 1 && matches!(self.points.ty.dtype, DType::I8 | DType::U8)
	}

	/// The zero point of a plain one.
	fn point(&self) -> i16 {
		let byte = self.points.bytes.first().copied().unwrap_or(0);
		if self.points.ty.dtype == DType::I8 {
			i16::from(byte as i8)
		} else {
			i16::from(byte)
		}
	}

	fn is_like(&self, other: &Quant) -> bool {
		self.is_plain()
			&& other.is_plain()
			&& self.scales[0].to_bits() == other.scales[0].to_bits()
			&& self.points.ty.dtype == other.points.ty.dtype
			&& self.point() == other.point()
	}
}

/// What is known of a graph's names.
struct Names<'a> {
	nodes: &'a [NodeProto],
	constants: HashMap<&'a str, &'a TensorProto>,
	/// The node that gives a name, and how often the name is read, as an output too.
	given: HashMap<&'a str, usize>,
	reads: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
	fn of(graph: &'a GraphProto) -> Self {
		let inputs: HashSet<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
		let mut constants: HashMap<&str, &TensorProto> =
			graph.initializer.iter().map(|t| (t.name.as_str(), t)).filter(|(name, _)| !inputs.contains(name)).collect();
		let (mut given, mut reads) = (HashMap::new(), HashMap::new());
		for (at, node) in graph.node.iter().enumerate() {
			for name in node.output.iter().filter(|name| !name.is_empty()) {
				given.insert(name.as_str(), at);
			}
			node.input.iter().for_each(|name| *reads.entry(name.as_str()).or_insert(0) += 1);
			let value = node.attribute.iter().find(|a| a.name == "value").and_then(|a| a.t.as_ref());
			if let ("Constant", Some(value), [name]) = (node.op_type.as_str(), value, node.output.as_slice()) {
				constants.insert(name, value);
			}
		}
		graph.output.iter().for_each(|o| *reads.entry(o.name.as_str()).or_insert(0) += 1);
		Self { nodes: &graph.node, constants, given, reads }
	}

	/// The node that gives an operand of another.
	fn before(&self, node: &'a NodeProto, i: usize) -> Option<&'a NodeProto> {
		let at = *self.given.get(node.input.get(i)?.as_str())?;
		Some(&self.nodes[at]).filter(|n| matches!(n.domain.as_str(), "" | "ai.onnx"))
	}

	/// The same, if nobody else reads it.
	fn only(&self, node: &'a NodeProto, i: usize) -> Option<&'a NodeProto> {
		self.before(node, i).filter(|n| n.output.len() == 1 && self.reads.get(n.output[0].as_str()) == Some(&1))
	}

	fn constant(&self, name: &str) -> Option<Tensor> {
		let proto = self.constants.get(name)?;
		let elements = proto.dims.iter().try_fold(1i64, |n, d| n.checked_mul(*d))?;
		(elements <= MAX_POINTS).then(|| weights::tensor((*proto).clone()).ok())?
	}

	/// QuantizeLinear or DequantizeLinear with constants.
	fn quant(&self, node: &'a NodeProto, op: &str) -> Option<Quant<'a>> {
		let [tensor, scale, rest @ ..] = node.input.as_slice() else { return None };
		let attributes = Attributes(node);
		if node.op_type != op || attributes.int("block_size", 0).ok()? != 0 {
			return None;
		}
		// Without a zero point the type of the integers is that of the operand, which only constants show.
		let (zero, points) = match rest.first().filter(|name| !name.is_empty()) {
			Some(zero) => (zero.as_str(), self.constant(zero)?),
			None if op == "DequantizeLinear" => {
				let dtype = weights::dtype(self.constants.get(tensor.as_str())?.data_type).ok()?;
				let ty = assay_semantics::TensorType::new(dtype, Vec::<u32>::new());
				("", Tensor { bytes: vec![0; dtype.size()].into(), ty })
			}
			None => return None,
		};
		let scales = self.constant(scale)?.to_f32()?;
		Some(Quant { tensor, scale, zero, scales, points, axis: attributes.int("axis", 1).ok()? })
	}

	/// The dequantisation that gives an operand.
	fn dequantised(&self, node: &'a NodeProto, i: usize) -> Option<Quant<'a>> {
		self.quant(self.before(node, i)?, "DequantizeLinear")
	}

	/// Constant weights of bytes without a zero point, or with one for all: one scale, or one for each part along the axis.
	fn weights(&self, node: &'a NodeProto, i: usize, axis: usize) -> Option<Quant<'a>> {
		let quant = self.dequantised(node, i)?;
		let dims = &self.constants.get(quant.tensor)?.dims;
		let rank = i64::try_from(dims.len()).ok()?;
		let own = if quant.axis < 0 { quant.axis + rank } else { quant.axis };
		let by_column = own == i64::try_from(axis).ok()? && dims.get(axis) == Some(&(quant.scales.len() as i64));
		let bytes = &quant.points.bytes;
		let one = bytes.len() == 1 || bytes.iter().all(|b| *b == 0);
		let fits = one && matches!(quant.points.ty.dtype, DType::I8 | DType::U8);
		(fits && (quant.scales.len() == 1 || by_column)).then_some(quant)
	}

	/// The integers of a bias whose scale is that of the products; an empty name if there is none.
	fn bias(&self, node: &'a NodeProto, i: usize, x: &Quant, w: &Quant) -> Option<&'a str> {
		if node.input.get(i).is_none_or(|name| name.is_empty()) {
			return Some("");
		}
		let bias = self.dequantised(node, i)?;
		let same = bias.scales.iter().enumerate().all(|(j, s)| {
			let product = x.scales[0] * w.scales.get(j).or(w.scales.first()).copied().unwrap_or(0.0);
			(s - product).abs() <= SAME * product.abs()
		});
		let lengths = bias.scales.len() == w.scales.len() || w.scales.len() == 1;
		let is_whole = bias.points.ty.dtype == DType::I32 && bias.points.bytes.iter().all(|b| *b == 0);
		let known = self.constants.contains_key(bias.tensor);
		(same && lengths && is_whole && known).then_some(bias.tensor)
	}

	/// A Concat of dequantised tensors as one of integers, each quantised before.
	fn joined(&self, concat: &'a NodeProto, quantise: &'a NodeProto, y: &Quant) -> Option<Vec<NodeProto>> {
		let mut nodes = Vec::new();
		let mut joined = concat.clone();
		joined.output.clone_from(&quantise.output);
		for (i, name) in joined.input.iter_mut().enumerate() {
			let x = self.dequantised(concat, i)?;
			if x.is_like(y) {
				*name = x.tensor.into();
				continue;
			}
			// The name of an output is nobody else's, nor is one that begins with it and goes on like this.
			let part = format!("{}/quantised/{i}", quantise.output[0]);
			if self.given.contains_key(part.as_str()) || self.constants.contains_key(part.as_str()) {
				return None;
			}
			let mut node = quantise.clone();
			node.input[0] = std::mem::replace(name, part.clone());
			node.output = vec![part];
			nodes.push(node);
		}
		nodes.push(joined);
		Some(nodes)
	}

	/// What a QuantizeLinear and what only it reads become, with the nodes that are gone.
	fn rewritten(&self, quantise: &'a NodeProto) -> Option<(Vec<NodeProto>, Vec<&'a NodeProto>)> {
		let y = self.quant(quantise, "QuantizeLinear").filter(Quant::is_plain)?;
		let mut node = self.only(quantise, 0)?;
		let mut gone = vec![quantise];
		if moves(&node.op_type) {
			let x = self.dequantised(node, 0)?;
			gone.push(node);
			let mut moved = node.clone();
			moved.input[0] = x.tensor.into();
			moved.output.clone_from(&quantise.output);
			return x.is_like(&y).then_some((vec![moved], gone));
		}
		if node.op_type == "Concat" {
			gone.push(node);
			return Some((self.joined(node, quantise, &y)?, gone));
		}
		let least = if y.points.ty.dtype == DType::I8 { -128 } else { 0 };
		// What is negative is below the zero point, and that is the smallest number.
		if node.op_type == "Relu" && y.point() == least {
			gone.push(node);
			node = self.only(node, 0)?;
		}
		gone.push(node);
		let x = self.dequantised(node, 0).filter(Quant::is_plain)?;
		let attributes = Attributes(node);
		let (op, domain, inputs) = match node.op_type.as_str() {
			"Conv" => {
				let w = self.weights(node, 1, 0)?;
				let bias = self.bias(node, 2, &x, &w)?;
				("QLinearConv", "", vec![x.tensor, x.scale, x.zero, w.tensor, w.scale, w.zero, y.scale, y.zero, bias])
			}
			"Gemm" => {
				let one = |name| attributes.float(name).ok().map(|x| x.unwrap_or(1.0));
				let axis = usize::from(!attributes.flag("transB").ok()?);
				if one("alpha") != Some(1.0) || one("beta") != Some(1.0) {
					return None;
				}
				let w = self.weights(node, 1, axis)?;
				let bias = self.bias(node, 2, &x, &w)?;
				let inputs = vec![x.tensor, x.scale, x.zero, w.tensor, w.scale, w.zero, bias, y.scale, y.zero];
				("QGemm", "com.microsoft", inputs)
			}
			"MatMul" => {
				let rank = self.constants.get(self.dequantised(node, 1)?.tensor).map(|t| t.dims.len())?;
				let w = self.weights(node, 1, rank.checked_sub(1)?)?;
				("QLinearMatMul", "", vec![x.tensor, x.scale, x.zero, w.tensor, w.scale, w.zero, y.scale, y.zero])
			}
			_ => return None,
		};
		let node = NodeProto {
			input: inputs.into_iter().map(str::to_string).collect(),
			output: quantise.output.clone(),
			name: node.name.clone(),
			op_type: op.into(),
			attribute: node.attribute.clone(),
			domain: domain.into(),
		};
		Some((vec![node], gone))
	}
}

/// Operators that move elements of their first operand or pick the largest, and do nothing else.
fn moves(op: &str) -> bool {
	matches!(op, "MaxPool" | "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Identity")
}

/// Rewrites a graph. Graphs with inner ones, which may read any name, are left alone.
pub(crate) fn rewrite(graph: &mut GraphProto) {
	let any = graph.node.iter().any(|n| n.op_type == "DequantizeLinear");
	if !any || graph.node.iter().flat_map(|n| &n.attribute).any(|a| a.g.is_some()) {
		return;
	}
	let names = Names::of(graph);
	// By the name of the node's output: the new nodes, if any.
	let mut changes: HashMap<String, Vec<NodeProto>> = HashMap::new();
	for node in graph.node.iter().filter(|n| n.op_type == "QuantizeLinear" && n.output.len() == 1) {
		if let Some((new, gone)) = names.rewritten(node) {
			changes.extend(gone.iter().flat_map(|n| &n.output).map(|name| (name.clone(), Vec::new())));
			changes.insert(node.output[0].clone(), new);
		}
	}
	let change = |node: NodeProto| match node.output.first().and_then(|name| changes.get(name)) {
		Some(new) => new.clone(),
		None => vec![node],
	};
	graph.node = std::mem::take(&mut graph.node).into_iter().flat_map(change).collect();
	// Weights are not made floats that nobody reads.
	let mut read: HashSet<String> = graph.node.iter().flat_map(|n| n.input.iter().cloned()).collect();
	read.extend(graph.output.iter().map(|o| o.name.clone()));
	graph.node.retain(|n| n.op_type != "DequantizeLinear" || n.output.iter().any(|name| read.contains(name)));
}
