//! Functions of the model: a call is replaced by the function's nodes before anything is lowered.

use crate::{
	error::ImportError,
	proto::{AttributeProto, FunctionProto, GraphProto, NodeProto},
};
use std::collections::HashMap;

/// How deep calls may lie in each other. Functions that call themselves end here.
const MAX_DEPTH: usize = 16;
/// The most nodes that calls may become.
const MAX_NODES: usize = 1 << 18;

/// Calls of functions, and how much they became.
pub(crate) struct Inliner<'a> {
	functions: &'a [FunctionProto],
	calls: usize,
	nodes: usize,
}

impl<'a> Inliner<'a> {
	/// For calls of these functions.
	pub(crate) fn new(functions: &'a [FunctionProto]) -> Self {
		Self { functions, calls: 0, nodes: 0 }
	}

	/// The nodes with calls replaced, in inner graphs too.
	pub(crate) fn inline(&mut self, nodes: Vec<NodeProto>, depth: usize) -> Result<Vec<NodeProto>, ImportError> {
		if self.functions.is_empty() {
			return Ok(nodes);
		}
		let mut out = Vec::new();
		for mut node in nodes {
			for graph in node.attribute.iter_mut().filter_map(|a| a.g.as_mut()) {
				graph.node = self.inline(std::mem::take(&mut graph.node), depth)?;
			}
			let function = self.functions.iter().find(|f| f.name == node.op_type && f.domain == node.domain);
			let Some(function) = function else {
				out.push(node);
				continue;
			};
			self.calls += 1;
			self.nodes += function.node.len();
			if depth >= MAX_DEPTH || self.nodes > MAX_NODES {
				return Err(ImportError::Limit {
					what: "nodes in functions, or functions in functions",
					got: self.nodes.max(depth) as u64,
					limit: if depth >= MAX_DEPTH { MAX_DEPTH } else { MAX_NODES } as u64,
				});
			}
			let body = Body::of(function, &node, self.calls);
			let nodes = function.node.iter().map(|n| body.node(n)).collect();
			out.extend(self.inline(nodes, depth + 1)?);
		}
		Ok(out)
	}
}

/// A function's body for one call.
struct Body<'a> {
	/// What the call's operands and outputs are called.
	names: HashMap<&'a str, &'a str>,
	/// Values of attributes that the body refers to.
	attributes: HashMap<&'a str, &'a AttributeProto>,
	prefix: String,
}

impl<'a> Body<'a> {
	fn of(function: &'a FunctionProto, call: &'a NodeProto, number: usize) -> Self {
		let mut names = HashMap::new();
		for (i, name) in function.input.iter().enumerate() {
			names.insert(name.as_str(), call.input.get(i).map_or("", String::as_str));
		}
		// An output that the call leaves out keeps a name of its own: the body may read it.
		for (name, outer) in function.output.iter().zip(&call.output).filter(|(_, outer)| !outer.is_empty()) {
			names.insert(name.as_str(), outer.as_str());
		}
		let defaults = function.attribute_proto.iter();
		let attributes = defaults.chain(&call.attribute).map(|a| (a.name.as_str(), a)).collect();
		Self { names, attributes, prefix: format!("{}#{number}/", function.name) }
	}

	fn name(&self, name: &str) -> String {
		match self.names.get(name) {
			Some(outer) => (*outer).into(),
			None if name.is_empty() => String::new(),
			None => format!("{}{name}", self.prefix),
		}
	}

	fn graph(&self, graph: &GraphProto) -> GraphProto {
		let mut graph = graph.clone();
		graph.node = graph.node.iter().map(|n| self.node(n)).collect();
		graph.initializer.iter_mut().for_each(|t| t.name = self.name(&t.name));
		graph.input.iter_mut().chain(&mut graph.output).for_each(|v| v.name = self.name(&v.name));
		graph
	}

	fn node(&self, node: &NodeProto) -> NodeProto {
		let mut node = node.clone();
		node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = self.name(name));
		let refer = |a: &AttributeProto| -> Option<AttributeProto> {
			let mut attribute = match a.ref_attr_name.as_str() {
				"" => a.clone(),
				outer => (*self.attributes.get(outer)?).clone(),
			};
			attribute.name.clone_from(&a.name);
			attribute.g = attribute.g.map(|g| Box::new(self.graph(&g)));
			Some(attribute)
		};
		node.attribute = node.attribute.iter().filter_map(refer).collect();
		node
	}
}
