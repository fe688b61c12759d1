//! From a file to a model: inputs, initialisers, nodes, outputs.

use crate::{
	builder::{Builder, Value},
	error::{ImportError, Reason},
	lower::{self, Context},
	proto::{GraphProto, ModelProto, ValueInfoProto},
	scan, weights,
};
use assay_semantics::{model::MAX_SIGNATURE, Model, Names, TensorType};
use prost::Message;
use std::collections::{HashMap, HashSet};

/// The operator sets in which the supported operators have the meaning that is implemented.
const OPSETS: core::ops::RangeInclusive<i64> = 7..=27;

/// The longest name that is kept, in bytes.
const MAX_NAME: usize = 4096;

/// Imports an ONNX file.
///
/// Shapes are static: an unknown first dimension of an input becomes 1, any other is an error. Initialisers must be in the
/// file, finite, and f32, i8, u8, i32, i64 or bool. Errors name the node, input or initialiser and say what to do.
pub fn import_onnx(bytes: &[u8]) -> Result<Model, ImportError> {
	scan::check_limits(bytes)?;
	let model = ModelProto::decode(bytes).map_err(|e| ImportError::Protobuf(e.to_string()))?;
	let graph = model.graph.ok_or(ImportError::NoGraph)?;
	let opset =
		model.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx").map_or(0, |o| o.version);
	if !OPSETS.contains(&opset) {
		return Err(ImportError::Opset(opset, *OPSETS.start(), *OPSETS.end()));
	}
	import_graph(graph, opset, bytes.len())
}

fn import_graph(mut graph: GraphProto, opset: i64, file: usize) -> Result<Model, ImportError> {
	for (what, got) in [("inputs", graph.input.len()), ("outputs", graph.output.len())] {
		// Old files list initialisers as inputs, so there the bound is on what remains.
		if what == "outputs" && got > MAX_SIGNATURE {
			return Err(ImportError::Limit { what, got: got as u64, limit: MAX_SIGNATURE as u64 });
		}
	}
	let mut builder = Builder::new(file);
	let mut names = Names { model: graph.name.clone(), ..Default::default() };
	names.model.truncate(names.model.floor_char_boundary(MAX_NAME));
	let mut env: HashMap<String, Value> = HashMap::new();

	let initialised: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
	for info in graph.input.iter().filter(|i| !initialised.contains(i.name.as_str())) {
		let error = |r: Reason| ImportError::Input { name: info.name.clone(), reason: r.0 };
		if names.inputs.len() >= MAX_SIGNATURE {
			return Err(error(format!("the graph has more than {MAX_SIGNATURE} inputs").into()));
		}
		let ty = input_type(info).map_err(error)?;
		let id = builder.input(ty).map_err(error)?;
		if info.name.len() > MAX_NAME || env.insert(info.name.clone(), builder.value(id)).is_some() {
			return Err(error("the name is used twice or too long".into()));
		}
		names.inputs.push(info.name.clone());
	}
	for mut proto in std::mem::take(&mut graph.initializer) {
		let name = std::mem::take(&mut proto.name);
		let error = |r: Reason| ImportError::Initialiser { name: name.clone(), reason: r.0 };
		let id = weights::tensor(proto).and_then(|t| builder.weight(t)).map_err(error)?;
		if env.contains_key(&name) {
			return Err(error("the name is used twice".into()));
		}
		env.insert(name, builder.value(id));
	}

	let mut context = Context::new(builder, env, opset, &graph);
	for node in &graph.node {
		lower::lower(&mut context, node)?;
	}

	let Context { mut builder, env, .. } = context;
	let mut outputs = Vec::new();
	for info in &graph.output {
		let error = |r: Reason| ImportError::Output { name: info.name.clone(), reason: r.0 };
		let value = env.get(&info.name).ok_or_else(|| error("no node produces it".into()))?;
		outputs.push(builder.plain(value).map_err(error)?);
		if info.name.len() > MAX_NAME {
			return Err(error("the name is too long".into()));
		}
		names.outputs.push(info.name.clone());
	}
	builder.finish(&outputs, names)
}

/// The type of a graph input. An unknown first dimension is the batch and becomes 1.
fn input_type(info: &ValueInfoProto) -> Result<TensorType, Reason> {
	let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).ok_or("it is no tensor")?;
	let shape =
		tensor.shape.as_ref().ok_or("it has no shape; run onnx.shape_inference or export with static shapes")?;
	let mut dims = Vec::new();
	for (axis, dim) in shape.dim.iter().enumerate() {
		dims.push(match dim.dim_value {
			Some(d) if d > 0 => d,
			_ if axis == 0 => 1,
			_ => {
				let name = dim.dim_param.as_deref().unwrap_or("?");
				let reason = "only the first dimension may be unknown; export the model with static shapes";
				return Err(format!("dimension {axis} (`{name}`) is not known: {reason}").into());
			}
		});
	}
	let ty = TensorType::new(weights::dtype(tensor.elem_type)?, weights::dims(&dims)?);
	ty.check()?;
	Ok(ty)
}
