//! ONNX to Assay's canonical IR, and the canonical artifact.
//!
//! [`import_onnx`] reads an ONNX file and gives a checked [`assay_semantics::Model`]; [`write_artifact`] and
//! [`read_artifact`] keep it in a file. Both readers take bytes from strangers: every size is checked before it is used,
//! memory is bounded, and what they refuse they explain.
//!
//! To add an ONNX operator: a function in the family's file under `lower/` and a line in `lower::lower`.

mod artifact;
mod attributes;
mod builder;
mod error;
mod layout;
mod lower;
mod onnx;
pub mod proto;
mod scan;
mod weights;

pub use artifact::{read_artifact, write_artifact, ArtifactError};
pub use error::ImportError;
pub use onnx::import_onnx;
