//! `faulty-engine`: serves a store of models as `assay-engine serve` does, with a fault. For tests of disputes.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use assay_server::{serve, Engine, EngineOptions, Store};
use assay_test_engine::{Faulty, Flip};
use clap::Parser;

/// An inference engine with a fault. For tests only: its operator loses the bond.
#[derive(Parser)]
#[command(name = "faulty-engine")]
struct Cli {
	/// The folder of models.
	#[arg(long)]
	store: PathBuf,
	/// Where to listen.
	#[arg(long, default_value = "127.0.0.1:8080")]
	listen: SocketAddr,
	/// Threads that evaluate models; 0 for one per processor.
	#[arg(long, default_value_t = 0)]
	threads: usize,
	/// Change a bit of an element of a value, and compute everything after it from that.
	#[arg(long, value_name = "VALUE:ELEMENT:BIT")]
	flip: Option<Flip>,
	/// The same with a weight.
	#[arg(long, value_name = "WEIGHT:ELEMENT:BIT")]
	weight: Option<Flip>,
	/// Change the output after it was computed.
	#[arg(long)]
	swap_output: bool,
	/// Wait before each evaluation.
	#[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
	late: u64,
	/// Answer jobs, but build no trace.
	#[arg(long)]
	withhold: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
	let Cli { store, listen, threads, flip, weight, swap_output, late, withhold } = Cli::parse();
	let fault = Faulty { flip, weight, swap_output, late: Duration::from_millis(late), withhold };
	let words = format!("{fault:?}");
	let engine = Engine::new(Store::open(store)?, EngineOptions { threads, ..Default::default() }, fault);
	let listener = tokio::net::TcpListener::bind(listen).await?;
	eprintln!("serving at http://{} with {words}", listener.local_addr()?);
	serve(listener, Arc::new(engine), async { drop(tokio::signal::ctrl_c().await) }).await?;
	Ok(())
}
