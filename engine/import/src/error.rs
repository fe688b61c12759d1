//! What can be wrong with an ONNX file, and what to do about it.

use assay_semantics::ModelError;

/// Why an ONNX file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
	/// The file is over a limit.
	#[error("the file has {got} {what}, the limit is {limit}")]
	Limit {
		/// What there is too much of.
		what: &'static str,
		/// How much there is.
		got: u64,
		/// How much there may be.
		limit: u64,
	},
	/// The file is no protobuf of ONNX's schema.
	#[error("this is no readable ONNX file ({0}); it may be truncated: check it with onnx.checker")]
	Protobuf(String),
	/// The file has no graph.
	#[error("the file has no graph; is it an ONNX model?")]
	NoGraph,
	/// The file's operator set is not known.
	#[error(
		"operator set {0} is not supported; convert the model to one between {1} and {2} with onnx.version_converter"
	)]
	Opset(i64, i64, i64),
	/// A graph input or output cannot be taken.
	#[error("input `{name}`: {reason}")]
	Input {
		/// Its name.
		name: String,
		/// What is wrong and what to do.
		reason: String,
	},
	/// A graph output cannot be given.
	#[error("output `{name}`: {reason}")]
	Output {
		/// Its name.
		name: String,
		/// What is wrong and what to do.
		reason: String,
	},
	/// An initialiser cannot be taken.
	#[error("initialiser `{name}`: {reason}")]
	Initialiser {
		/// Its name.
		name: String,
		/// What is wrong and what to do.
		reason: String,
	},
	/// The operator is not supported.
	#[error(
		"node `{node}`: operator {op} is not supported; replace it or simplify the model (onnxsim folds constants)"
	)]
	Operator {
		/// The node's name, or that of its first output.
		node: String,
		/// The operator, with its domain.
		op: String,
	},
	/// A node cannot be lowered.
	#[error("node `{node}` ({op}): {reason}")]
	Node {
		/// The node's name, or that of its first output.
		node: String,
		/// The operator.
		op: String,
		/// What is wrong and what to do.
		reason: String,
	},
	/// A shape or an attribute hangs on the values of inputs.
	#[error(
		"node `{node}` ({op}): {reason}; it hangs on the value of {}, which must be given to import this graph",
		.inputs.iter().map(|i| format!("`{i}`")).collect::<Vec<_>>().join(", ")
	)]
	NeedsValues {
		/// The node's name, or that of its first output.
		node: String,
		/// The operator.
		op: String,
		/// What must be constant.
		reason: String,
		/// The inputs whose values are needed.
		inputs: Vec<String>,
	},
	/// The result is not valid; this is a fault of the importer or a model over a limit of the semantics.
	#[error("the imported model is not valid: {0}")]
	Model(#[from] ModelError),
}

/// What is wrong with a node; becomes [`ImportError::Node`] or [`ImportError::NeedsValues`].
#[derive(Debug)]
pub(crate) struct Reason {
	/// In words.
	pub(crate) text: String,
	/// The graph inputs, by name, whose values would help.
	pub(crate) needs: Vec<String>,
}

impl<T: core::fmt::Display> From<T> for Reason {
	fn from(reason: T) -> Self {
		Reason { text: reason.to_string(), needs: Vec::new() }
	}
}
