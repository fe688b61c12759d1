//! Fast kernels with the bits of [`assay_semantics`], and the plan that runs a whole model with them.
//!
//! - [`Plan`]: a model made ready: which operators run together, where each value lies, weights in panels. [`Plan::run`]
//!   gives the outputs that `assay_semantics::evaluate` gives, bit for bit, with any instruction set and any number of
//!   threads. What has no kernel is computed by the element functions of the semantics, so every model runs.
//! - [`Isa`]: the instruction set, chosen when the program runs; [`ISA_VARIABLE`] forces one.
//! - [`self_test`]: random nodes with hostile values through the kernels and through the reference.
//!
//! How the bits stay the same: a reduction has one order, which the kernels keep by vectorising over outputs and never
//! along the reduction, and by never splitting it over threads; every other operation is correctly rounded. Subnormals are
//! flushed where the semantics stores. The payload of a NaN is free inside, and canonical in every tensor that is given out.
//!
//! This is the only crate of the project with unsafe code: vector instructions need it. Each block says why it is sound;
//! what the crate offers is safe.
//!
//! It knows nothing of ONNX, of HTTP or of a chain.

#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian, and the kernels read them as they are");

mod arena;
mod build;
mod check;
mod columns;
mod contract;
mod copy;
mod depthwise;
mod fold;
mod fuse;
mod gemm;
mod group;
mod isa;
mod mapped;
mod memory;
mod movement;
mod pick;
mod place;
mod plan;
mod pointwise;
mod pool;
mod program;
mod quant;
mod simd;
mod step;
mod stream;
mod views;
mod window;

pub use check::{self_test, Mismatch};
pub use isa::{Isa, UnknownIsa, ISA_VARIABLE};
pub use mapped::map_file;
pub use plan::{Options, Plan, Threads};
