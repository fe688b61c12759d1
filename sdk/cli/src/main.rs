//! The command line client of Assay.

use assay_cli::{
	account::{commands as accounts, keystore, Usage},
	args::{without_secret, Args, Command},
	chain::{Chain, Refused},
	delegation, dispute, infer, job, models,
	report::Report,
	rewards, staking, watch, worker,
};
use clap::{CommandFactory, Parser};
use serde_json::json;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
	let args = Args::try_parse().unwrap_or_else(|error| without_secret(error).exit());
	keystore::settle(&args.global);
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
		Command::Job(command) => job::run(&command, global, &chain().await?, report).await?,
		Command::Dispute(command) => dispute::run(&command, &chain().await?, report).await?,
		Command::Watch(command) => watch::run(&command, global, chain().await?, report).await?,
		Command::Worker(command) => worker::run(command, global, &chain().await?, report).await?,
		Command::Delegate(command) => delegation::delegate(&command, global, &chain().await?, report).await?,
		Command::Delegation(command) => delegation::run(&command, global, &chain().await?, report).await?,
		Command::Validator(command) => staking::validator::run(&command, global, &chain().await?, report).await?,
		Command::Nominate(command) => staking::nominate(&command, global, &chain().await?, report).await?,
		Command::Staking(command) => staking::run(&command, global, &chain().await?, report).await?,
		Command::Account(command) => accounts::run(&command, global, chain, report).await?,
		Command::Send(command) => accounts::send(&command, global, &chain().await?, report).await?,
		Command::Rewards(command) => rewards::run(command, global, &chain().await?, report).await?,
		Command::Completions { shell } => completions(shell, report),
	}
	Ok(ExitCode::SUCCESS)
}

/// `assay completions`.
fn completions(shell: clap_complete::Shell, report: &Report) {
	let mut script = Vec::new();
	clap_complete::generate(shell, &mut Args::command(), "assay", &mut script);
	let script = String::from_utf8_lossy(&script);
	if !report.is_json() {
		report.line(script.trim_end());
	}
	report.finish(json!({ "shell": shell.to_string(), "script": script }));
}
