//! From a file to a model: inputs, initialisers, nodes, outputs.

use crate::{
	builder::{Builder, Moved, Value},
	error::{ImportError, Reason},
	functions::Inliner,
	lower::{self, Context},
	proto::{Dimension, GraphProto, ModelProto, TensorProto, ValueInfoProto},
	quantised, scan, weights,
};
use assay_semantics::{model::MAX_SIGNATURE, Bytes, Model, Names, Tensor, TensorType};
use prost::Message;
use std::{
	collections::{HashMap, HashSet},
	sync::Arc,
};

/// The operator sets in which the supported operators have the meaning that is implemented.
const OPSETS: core::ops::RangeInclusive<i64> = 1..=28;

/// The longest name that is kept, in bytes.
const MAX_NAME: usize = 4096;

/// Imports an ONNX file as a model that can be registered.
///
/// Shapes are static: an unknown first dimension of an input becomes 1, any other is an error, and none may hang on the
/// value of an input. Initialisers must be in the file and of a known element type. Errors name the node, input or
/// initialiser and say what to do.
pub fn import_onnx(bytes: &[u8]) -> Result<Model, ImportError> {
	let onnx = Onnx::read(bytes)?;
	let given = onnx.declared(&[])?;
	onnx.into_model(&given, None)
}

/// The tensor in a file of one `TensorProto`.
pub fn read_tensor(bytes: &[u8]) -> Result<Tensor, ImportError> {
	scan::check_tensor(bytes)?;
	let proto = TensorProto::decode(bytes).map_err(|e| ImportError::Protobuf(e.to_string()))?;
	let name = proto.name.clone();
	weights::tensor(proto).map_err(|r| ImportError::Initialiser { name, reason: r.text })
}

/// What is known of an input when a graph is compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Given {
	/// Its type: it is an input of the model.
	Type(TensorType),
	/// Its value: it is a constant of the model.
	Value(Tensor),
}

/// A decoded ONNX file.
#[derive(Clone, Debug)]
pub struct Onnx {
	graph: GraphProto,
	opset: i64,
	/// The file's memory, of which initialisers are parts.
	file: Bytes,
	moved: Moved,
}

impl Onnx {
	/// Decodes a file, and puts the bodies of the model's functions in place of their calls.
	pub fn read(bytes: &[u8]) -> Result<Self, ImportError> {
		Self::open(Bytes::shared(Arc::new(bytes.to_vec())))
	}

	/// The same for a file in memory that is shared, as a mapped file: weights that need no change stay there.
	pub fn open(file: Bytes) -> Result<Self, ImportError> {
		scan::check_limits(&file)?;
		let bytes = prost::bytes::Bytes::from_owner(file.clone());
		let model = ModelProto::decode(bytes).map_err(|e| ImportError::Protobuf(e.to_string()))?;
		let mut graph = model.graph.ok_or(ImportError::NoGraph)?;
		let opset =
			model.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx").map_or(0, |o| o.version);
		if !OPSETS.contains(&opset) {
			return Err(ImportError::Opset(opset, *OPSETS.start(), *OPSETS.end()));
		}
		graph.node = Inliner::new(&model.functions).inline(std::mem::take(&mut graph.node), 0)?;
		quantised::rewrite(&mut graph);
		Ok(Self { graph, opset, file, moved: Moved::default() })
	}

	fn inputs(&self) -> impl Iterator<Item = &ValueInfoProto> {
		let initialised: HashSet<&str> = self.graph.initializer.iter().map(|t| t.name.as_str()).collect();
		self.graph.input.iter().filter(move |i| !initialised.contains(i.name.as_str()))
	}

	/// The names of the inputs that must be given, in order; those with an initialiser may be given too.
	pub fn input_names(&self) -> Vec<String> {
		self.inputs().map(|i| i.name.clone()).collect()
	}

	/// The names of the outputs, in order.
	pub fn output_names(&self) -> Vec<String> {
		self.graph.output.iter().map(|o| o.name.clone()).collect()
	}

	/// The inputs that must be given, with their types: those stated here, else those that the file declares, where an
	/// unknown first dimension is 1 and any other is an error.
	pub fn declared(&self, stated: &[(String, TensorType)]) -> Result<Vec<(String, Given)>, ImportError> {
		if let Some((name, _)) = stated.iter().find(|(name, _)| !self.graph.input.iter().any(|i| i.name == *name)) {
			return Err(ImportError::Input { name: name.clone(), reason: "the graph has no such input".into() });
		}
		let mut given = Vec::new();
		for info in self.inputs() {
			let error = |reason| ImportError::Input { name: info.name.clone(), reason };
			let ty = match stated.iter().find(|(name, _)| *name == info.name) {
				Some((_, ty)) => ty.clone(),
				None => declared_type(info).map_err(|r| error(r.text))?.ok_or_else(|| {
					error("it has no shape; run onnx.shape_inference or export with static shapes".into())
				})?,
			};
			given.push((info.name.clone(), Given::Type(ty)));
		}
		Ok(given)
	}

	/// Everything that stands in the way of [`Onnx::compile`], as far as one can see past the first.
	pub fn problems(&self, given: &[(String, Given)]) -> Vec<ImportError> {
		let mut problems = Vec::new();
		match self.clone().into_model(given, Some(&mut problems)) {
			Err(error) if problems.is_empty() => vec![error],
			_ => problems,
		}
	}

	/// The model for inputs of these types and with these values, named as in the graph. Inputs whose values are given are
	/// no inputs of the model. [`ImportError::NeedsValues`] when a shape or an attribute hangs on the value of an input of
	/// which only the type is given.
	pub fn compile(&self, given: &[(String, Given)]) -> Result<Model, ImportError> {
		self.clone().into_model(given, None)
	}

	/// With `problems`, goes on after a node that cannot be lowered, and gathers there what is wrong with the nodes.
	fn into_model(
		mut self,
		given: &[(String, Given)],
		mut problems: Option<&mut Vec<ImportError>>,
	) -> Result<Model, ImportError> {
		let graph = &mut self.graph;
		for (what, got) in [("inputs", graph.input.len()), ("outputs", graph.output.len())] {
			// Old files list initialisers as inputs, so there the bound is on what remains.
			if what == "outputs" && got > MAX_SIGNATURE {
				return Err(ImportError::Limit { what, got: got as u64, limit: MAX_SIGNATURE as u64 });
			}
		}
		let mut builder = Builder::new(&self.file, &self.moved);
		let mut names = Names { model: graph.name.clone(), ..Default::default() };
		names.model.truncate(names.model.floor_char_boundary(MAX_NAME));
		let mut env: HashMap<String, Value> = HashMap::new();

		let initialised: HashSet<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
		let (mut free, mut frozen) = (Vec::new(), Vec::new());
		for info in &graph.input {
			let error = |r: Reason| ImportError::Input { name: info.name.clone(), reason: r.text };
			match given.iter().find(|(name, _)| *name == info.name).map(|(_, given)| given) {
				Some(Given::Type(ty)) => {
					check_given(info, ty).map_err(error)?;
					free.push((&info.name, ty));
				}
				Some(Given::Value(tensor)) => {
					check_given(info, &tensor.ty).map_err(error)?;
					frozen.push((&info.name, tensor));
				}
				None if initialised.contains(&info.name) => {}
				None => return Err(error("neither its type nor its value is given".into())),
			}
		}
		for (name, ty) in free {
			let error = |r: Reason| ImportError::Input { name: name.clone(), reason: r.text };
			if names.inputs.len() >= MAX_SIGNATURE {
				return Err(error(format!("the graph has more than {MAX_SIGNATURE} inputs").into()));
			}
			let id = builder.input(ty.clone(), name).map_err(error)?;
			if name.len() > MAX_NAME || env.insert(name.clone(), builder.value(id)).is_some() {
				return Err(error("the name is used twice or too long".into()));
			}
			names.inputs.push(name.clone());
		}
		for (name, tensor) in frozen {
			let error = |r: Reason| ImportError::Input { name: name.clone(), reason: r.text };
			let tensor = Tensor::over(tensor.ty.clone(), tensor.bytes.clone()).map_err(|e| error(e.into()))?;
			builder.allow(tensor.bytes.len() as u64 * 3);
			let id = builder.weight(tensor).map_err(error)?;
			if env.insert(name.clone(), builder.value(id)).is_some() {
				return Err(error("the name is used twice".into()));
			}
		}
		let given: HashSet<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
		for mut proto in std::mem::take(&mut graph.initializer) {
			let name = std::mem::take(&mut proto.name);
			let error = |r: Reason| ImportError::Initialiser { name: name.clone(), reason: r.text };
			let is_input = graph.input.iter().any(|i| i.name == name);
			if is_input && given.contains(name.as_str()) {
				continue;
			}
			let id = weights::initialiser(proto, &self.file).and_then(|t| builder.weight(t)).map_err(error)?;
			if env.contains_key(&name) {
				return Err(error("the name is used twice".into()));
			}
			env.insert(name, builder.value(id));
		}

		let mut context = Context::new(builder, env, self.opset, graph);
		let mut lost: HashSet<&str> = HashSet::new();
		for node in &graph.node {
			let Err(error) = lower::lower(&mut context, node) else { continue };
			let Some(problems) = &mut problems else { return Err(error) };
			// Of a node that reads what another should have given, only the operator can be judged.
			let blameless = node.input.iter().any(|name| lost.contains(name.as_str()));
			if !blameless || matches!(error, ImportError::Operator { .. }) {
				problems.push(error);
			}
			lost.extend(node.output.iter().map(String::as_str));
		}
		drop(lost);

		let Context { mut builder, env, .. } = context;
		let mut outputs = Vec::new();
		for info in &graph.output {
			let error = |r: Reason| ImportError::Output { name: info.name.clone(), reason: r.text };
			let value = env.get(&info.name).ok_or_else(|| error("no node produces it".into()))?;
			outputs.push(builder.plain(value).map_err(error)?);
			if info.name.len() > MAX_NAME {
				return Err(error("the name is too long".into()));
			}
			names.outputs.push(info.name.clone());
		}
		builder.finish(&outputs, names)
	}
}

/// The type that the file declares. An unknown first dimension is the batch and becomes 1; none where there is no shape.
fn declared_type(info: &ValueInfoProto) -> Result<Option<TensorType>, Reason> {
	let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).ok_or("it is no tensor")?;
	let Some(shape) = tensor.shape.as_ref() else { return Ok(None) };
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
	Ok(Some(ty))
}

/// Checks a given type against what the file declares.
fn check_given(info: &ValueInfoProto, ty: &TensorType) -> Result<(), Reason> {
	ty.check()?;
	let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).ok_or("it is no tensor")?;
	let declared = weights::dtype(tensor.elem_type)?;
	if declared != ty.dtype {
		return Err(format!("it is {}, given was {}", declared.name(), ty.dtype.name()).into());
	}
	let Some(shape) = &tensor.shape else { return Ok(()) };
	let fits = |(dim, given): (&Dimension, &u32)| dim.dim_value.is_none_or(|d| d <= 0 || d == i64::from(*given));
	if shape.dim.len() != ty.dims.len() || !shape.dim.iter().zip(&ty.dims).all(fits) {
		return Err(format!("given was {ty}, which is not its shape").into());
	}
	Ok(())
}
