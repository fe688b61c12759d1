//! For tests only, and built without the runtime: an engine that lies on demand, and a model large enough to lie about.
//!
//! - [`Faulty`]: an evaluator with a fault; `faulty-engine` is the server around it. `assay-engine` has no such choice.
//! - [`resnet`]: a residual network as an ONNX file.

mod faulty;
pub mod resnet;

pub use faulty::{Faulty, Flip};

/// The sample model.
pub fn digits() -> anyhow::Result<assay_semantics::Model> {
	let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/digits.assay");
	let bytes = std::fs::read(&path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
	Ok(assay_import::read_artifact(&bytes)?)
}
