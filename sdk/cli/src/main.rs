//! The command line client of Assay.

use assay_cli::{
	account::{self, Usage},
	args::{Args, Command},
	chain::{Chain, Refused},
	dispute, infer, job, models,
	report::Report,
	rewards, watch, worker,
};
use clap::Parser;
use serde_json::json;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
	let args = Args::parse();
	let report = Report::new(args.global.json);
	match run(args, &report).await {
		Ok(done) => done,
		Err(error) => {
			let name = error.downcast_ref::<Refused>().and_then(|refused| refused.name.clone());
			report.finish(json!({ "error": format!("{error:#}"), "name": name }));
			report.error(&error);
			if error.is::<Usage>() {
				return ExitCode::from(2);
			}
			ExitCode::FAILURE
		}
	}
}

async fn run(args: Args, report: &Report) -> anyhow::Result<ExitCode> {
	let global = &args.global;
	// A command that fails for its own sake, without any chain's help, connects late.
	let chain = || Chain::connect(&global.url);
	match args.command {
		Command::Models(command) => models::run(command, global, chain, report).await?,
		Command::Infer(command) => {
			let settled = infer::run(command, global, &chain().await?, report).await?;
			if !settled {
				return Ok(ExitCode::FAILURE);
			}
		}
		Command::Job(command) => job::run(&command, &chain().await?, report).await?,
		Command::Dispute(command) => dispute::run(&command, &chain().await?, report).await?,
		Command::Watch(command) => watch::run(&command, global, chain().await?, report).await?,
		Command::Worker(command) => worker::run(command, global, &chain().await?, report).await?,
		Command::Account(command) => account::run(&command, global, &chain().await?, report).await?,
		Command::Rewards(command) => rewards::run(command, global, &chain().await?, report).await?,
	}
	Ok(ExitCode::SUCCESS)
}
