//! The Assay node: validator, worker, RPC.
//!
//! [`cli`] says what can be asked of it and [`command`] does it. [`service`] puts a running node together: database, pool,
//! network, BABE and GRANDPA, and the off-chain workers. [`worker`] is what a worker's operator cares about: which engine,
//! which roles, which service key, and [`metrics`] is what it sees of them. [`engine`] runs an inference engine inside the node and
//! [`sealing`] makes blocks on demand, both for `--dev`. [`keys`], [`doctor`] and [`snapshot`] are for operators.

// The SDK's error type is as large as it is, and errors are rare here.
#![allow(clippy::result_large_err)]

mod chain_spec;
mod cli;
mod client_state;
mod command;
mod doctor;
mod engine;
mod equivocation;
mod executor;
mod http;
mod keys;
mod metrics;
mod place;
mod rpc;
mod sealing;
mod service;
mod slashing;
mod snapshot;
mod state;
mod worker;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
	match command::run() {
		Ok(()) => ExitCode::SUCCESS,
		Err(error) => {
			eprintln!("Error: {}", in_words(&error));
			ExitCode::FAILURE
		}
	}
}

/// The message of an error and those of its causes, each said once.
fn in_words(error: &dyn std::error::Error) -> String {
	let mut words = error.to_string();
	let mut cause = error.source();
	while let Some(inner) = cause {
		let message = inner.to_string();
		if !words.contains(&message) {
			words = format!("{words}: {message}");
		}
		cause = inner.source();
	}
	words
}
