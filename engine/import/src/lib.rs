//! ONNX to Assay's canonical IR, and the canonical artifact.
//!
//! [`import_onnx`] reads an ONNX file and gives a checked [`assay_semantics::Model`]; [`write_artifact`] and
//! [`read_artifact`] keep it in a file. Both readers take bytes from strangers: every size is checked before it is used,
//! memory is bounded, and what they refuse they explain.
//!
//! A graph whose shapes are not known, or hang on values of its inputs, is compiled for given types and values:
//! [`Onnx::compile`], or [`Session`], which finds out what it needs.
//!
//! To add an ONNX operator: a function in the family's file under `lower/` and a line in `lower::lower`.

mod artifact;
mod attributes;
mod builder;
mod error;
mod functions;
mod layout;
mod lower;
mod onnx;
pub mod proto;
mod quantised;
mod scan;
mod session;
mod shared;
mod weights;

pub use artifact::{read_artifact, read_artifact_shared, write_artifact, write_artifact_to, ArtifactError};
pub use error::ImportError;
pub use onnx::{import_onnx, read_tensor, Given, Onnx};
pub use session::{Session, SessionError};
