//! Assay's canonical tensor semantics: the one right answer of every model, down to the last bit.
//!
//! Nothing here knows of a chain, of ONNX or of a fast kernel. The crate is compiled twice, natively and into the
//! runtime, and both must agree on every bit; so it is `no_std`, uses no transcendental function of any library, and
//! never panics on data that came from outside. `docs/semantics.md` is the normative text of it.
//!
//! | module | what it pins |
//! |---|---|
//! | [`tensor`], [`mod@bytes`] | element types, shapes, little-endian bytes |
//! | [`float`] | binary32 arithmetic: fma, NaN, subnormals, exp, tanh, sigmoid, conversions |
//! | [`double`] | binary64 arithmetic, and the rarer functions of binary32 |
//! | [`number`] | elements as numbers, whatever their type |
//! | [`ir`] | the graph: nodes, values, operators and their codec indices |
//! | [`ops`] | one element of one operator: type function, fold, bits |
//! | [`merkle`], [`commit`] | the trees, the domain-separated hash, roots, `ModelId`, statements |
//! | [`model`] | a graph with its weights, checked node by node |
//! | [`eval`] | the reference evaluation, built on the element functions and on nothing else |
//! | [`mod@trace`] | all values of an inference as one root, and how its trees are opened in pieces |
//! | [`judge`] | disputes: what is published, demanded and opened, and what proves a trace wrong |
//! | [`prover`] | the two sides of a dispute, off chain |
//!
//! A semantics version never changes once a model has been registered under it: a different bit is a different version.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bytes;
pub mod commit;
pub mod double;
pub mod eval;
pub mod float;
pub mod ir;
pub mod judge;
pub mod merkle;
pub mod model;
pub mod number;
pub mod ops;
pub mod prover;
#[cfg(any(test, feature = "std"))]
mod roots;
pub mod tensor;
// Native builds only; the runtime is built without it.
#[cfg(any(test, feature = "std"))]
pub mod testing;
pub mod trace;

pub use bytes::{Bytes, Memory};
pub use commit::{
	hash, side_byte_len, side_root, statement, tensor_root, CommitError, ModelHeader, Side, STATEMENT_VERSION,
};
pub use eval::{evaluate, evaluate_node, trace, EvalError, Walk};
pub use ir::{Node, Op, ValueId};
pub use model::{Model, ModelError, Names};
pub use ops::TypeError;
#[cfg(any(test, feature = "std"))]
pub use roots::Roots;
pub use tensor::{DType, Tensor, TensorError, TensorType, MAX_RANK};

/// A BLAKE2b-256 digest.
pub type Hash = [u8; 32];

/// The version of the semantics that this crate implements; part of every `ModelId`.
pub const SEMANTICS_VERSION: u32 = 1;
