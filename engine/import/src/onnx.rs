//! From a file to a model: inputs, initialisers, nodes, outputs.

use crate::{
	builder::{Builder, Value},
	error::{ImportError, Reason},
	functions::Inliner,
	lower::{self, Context},
	proto::{Dimension, GraphProto, ModelProto, TensorProto, ValueInfoProto},
	quantised, scan,
	shared::Shared,
	weights,
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
	shared: Arc<Shared>,
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
		let shared = Arc::new(Shared::new(&file));
		Ok(Self { graph, opset, file, shared })
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
		let (given, problems) = self.given(stated);
		problems.into_iter().next().map_or(Ok(given), Err)
	}

	/// The same with everything that is wrong. An input whose type is not known is given too, with dimensions of 1.
	fn given(&self, stated: &[(String, TensorType)]) -> (Vec<(String, Given)>, Vec<ImportError>) {
		let error = |name: &str, reason| ImportError::Input { name: name.into(), reason };
		let unknown = stated.iter().filter(|(name, _)| !self.graph.input.iter().any(|i| i.name == *name));
		let has = format!("the graph has no such input; it has {}", self.input_names().join(", "));
		let mut problems: Vec<ImportError> = unknown.map(|(name, _)| error(name, has.clone())).collect();
		let mut given = Vec::new();
		for info in self.inputs() {
			let ty = match stated.iter().find(|(name, _)| *name == info.name) {
				Some((_, ty)) => check_given(info, ty).map(|()| (ty.clone(), None)),
				None => declared_type(info),
			};
			match ty {
				Ok((ty, open)) => {
					given.push((info.name.clone(), Given::Type(ty)));
					problems.extend(open.map(|reason| error(&info.name, reason)));
				}
				Err(reason) => problems.push(error(&info.name, reason.text)),
			}
		}
		(given, problems)
	}

	/// Everything that stands in the way of a model for inputs of the types that [`Onnx::declared`] gives, as far as one can
	/// see past the first problem.
	pub fn problems(&self, stated: &[(String, TensorType)]) -> Vec<ImportError> {
		let (given, mut problems) = self.given(stated);
		let mut found = Vec::new();
		let end = self.clone().into_model(&given, Some(&mut found));
		if let (Err(error), true) = (end, found.is_empty()) {
			found.push(error);
		}
		// With types that are not the right ones, only operators can be judged.
		let certain = problems.is_empty();
		problems.extend(found.into_iter().filter(|e| certain || matches!(e, ImportError::Operator { .. })));
		problems
	}

	/// The model for inputs of these types and with these values, named as in the graph. Inputs whose values are given are
	/// no inputs of the model. [`ImportError::NeedsValues`] when a shape or an attribute hangs on the value of an input of
	/// which only the type is given.
	pub fn compile(&self, given: &[(String, Given)]) -> Result<Model, ImportError> {
		self.clone().into_model(given, None)
	}

	/// With `problems`, goes on after an initialiser that cannot be read and a node that cannot be lowered, and gathers there
	/// what is wrong with them.
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
		let mut builder = Builder::new(self.file.len(), &self.shared);
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
			// A copy: what is shared would be kept for the next model.
			let tensor = Tensor::new(tensor.ty.clone(), tensor.bytes.to_vec()).map_err(|e| error(e.into()))?;
			builder.allow(tensor.bytes.len() as u64 * 3);
			let id = builder.weight(tensor).map_err(error)?;
			if env.insert(name.clone(), builder.value(id)).is_some() {
				return Err(error("the name is used twice".into()));
			}
		}
		let given: HashSet<&str> = given.iter().map(|(name, _)| name.as_str()).collect();
		let mut lost: HashSet<String> = HashSet::new();
		for (number, mut proto) in std::mem::take(&mut graph.initializer).into_iter().enumerate() {
			let name = std::mem::take(&mut proto.name);
			let error = |r: Reason| ImportError::Initialiser { name: name.clone(), reason: r.text };
			let is_input = graph.input.iter().any(|i| i.name == name);
			if is_input && given.contains(name.as_str()) {
				continue;
			}
			let tensor = self.shared.initialiser(number, || weights::initialiser(proto, &self.file));
			let id = match tensor.and_then(|t| builder.weight(t)).map_err(error) {
				Ok(id) => id,
				Err(error) => {
					let Some(problems) = &mut problems else { return Err(error) };
					problems.push(error);
					lost.insert(name);
					continue;
				}
			};
			if env.contains_key(&name) {
				return Err(error("the name is used twice".into()));
			}
			env.insert(name, builder.value(id));
		}

		let mut context = Context::new(builder, env, self.opset, graph);
		for node in &graph.node {
			let Err(error) = lower::lower(&mut context, node) else { continue };
			let Some(problems) = &mut problems else { return Err(error) };
			// Of a node that reads what another should have given, only the operator can be judged.
			let blameless = node.input.iter().any(|name| lost.contains(name));
			if !blameless || matches!(error, ImportError::Operator { .. }) {
				problems.push(error);
			}
			lost.extend(node.output.iter().cloned());
		}

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

/// The type that the file declares, where unknown dimensions are 1: the first is the batch. And why that is not enough, where
/// others are unknown, or there is no shape.
fn declared_type(info: &ValueInfoProto) -> Result<(TensorType, Option<String>), Reason> {
	let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).ok_or("it is no tensor")?;
	let dtype = weights::dtype(tensor.elem_type)?;
	let remedy = "export the model with static shapes, or state the input's type";
	let Some(shape) = tensor.shape.as_ref() else {
		return Ok((TensorType::new(dtype, []), Some(format!("it has no shape; {remedy}"))));
	};
	let known = |dim: &Dimension| dim.dim_value.filter(|d| *d > 0);
	let dims: Vec<i64> = shape.dim.iter().map(|dim| known(dim).unwrap_or(1)).collect();
	let open = shape.dim.iter().enumerate().skip(1).filter(|(_, dim)| known(dim).is_none());
	let open: Vec<String> =
		open.map(|(axis, dim)| format!("dimension {axis} (`{}`)", dim.dim_param.as_deref().unwrap_or("?"))).collect();
	let verb = if open.len() == 1 { "is" } else { "are" };
	let reason = format!("{} {verb} not known: only the first may be; {remedy}", open.join(", "));
	let ty = TensorType::new(dtype, weights::dims(&dims)?);
	ty.check()?;
	Ok((ty, (!open.is_empty()).then_some(reason)))
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
