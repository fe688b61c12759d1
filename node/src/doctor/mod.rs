//! `assay-node doctor`: looks at a running node, its engine, its files and its chain, and says what is wrong and what to do.
//!
//! It asks the node over JSON-RPC and reads files on this machine, so it is run where the node runs, with the same `--chain` and
//! `--base-path`. It changes nothing.

mod chain;
mod engine;
mod keys;
mod machine;
mod rpc;

use crate::place::{Files, Place};
use clap::Args;
use rpc::Rpc;
use sc_cli::SubstrateCli;
use sc_service::ChainType;
use serde::Serialize;
use serde_json::json;
use std::fmt::Display;

/// Checks a running node.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
	/// Where the node listens for JSON-RPC. It should be this machine: elsewhere most methods that matter are refused.
	#[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9944")]
	url: String,

	/// The inference engine, if it is not the one that the node was told of.
	#[arg(long, value_name = "URL")]
	engine_url: Option<String>,

	/// Do not run a small inference on each model.
	#[arg(long)]
	skip_inference: bool,

	/// Print one JSON object instead of text.
	#[arg(long)]
	json: bool,

	#[clap(flatten)]
	place: Place,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
	Ok,
	Warn,
	Fail,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
	level: Level,
	check: &'static str,
	words: String,
	/// What to do; nothing if all is well.
	fix: Option<String>,
}

/// What all checks found, in their order.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
	fn ok(&mut self, check: &'static str, words: impl Into<String>) {
		self.0.push(Finding { level: Level::Ok, check, words: words.into(), fix: None });
	}

	fn warn(&mut self, check: &'static str, words: impl Into<String>, fix: impl Into<String>) {
		self.0.push(Finding { level: Level::Warn, check, words: words.into(), fix: Some(fix.into()) });
	}

	fn fail(&mut self, check: &'static str, words: impl Into<String>, fix: impl Into<String>) {
		self.0.push(Finding { level: Level::Fail, check, words: words.into(), fix: Some(fix.into()) });
	}

	/// What a check that could not be done says: a check must not pass because its question was not answered.
	fn unknown(&mut self, check: &'static str, error: impl Display) {
		self.warn(
			check,
			format!("this could not be checked: {error}"),
			"see that --url is your own node and runs here",
		);
	}

	fn failures(&self) -> usize {
		self.0.iter().filter(|finding| finding.level == Level::Fail).count()
	}
}

impl Doctor {
	/// Runs all checks and prints what they found. An error if one failed.
	pub(crate) fn run<C: SubstrateCli>(&self, cli: &C) -> sc_cli::Result<()> {
		let files = self.place.find(cli)?;
		let mut findings = Findings::default();
		machine::check(&files, &mut findings);
		match Rpc::connect(&self.url) {
			Ok(rpc) => self.ask(&rpc, &files, &mut findings)?,
			Err(error) => findings.fail(
				"node",
				format!("no node answers at {}: {error}", self.url),
				"start the node, or say --url and where it listens for JSON-RPC",
			),
		}

		let failures = findings.failures();
		if self.json {
			println!("{:#}", json!({ "ok": failures == 0, "findings": findings.0 }));
		} else {
			for Finding { level, check, words, fix } in &findings.0 {
				let level = format!("{level:?}").to_lowercase();
				println!(
					"{level:<5} {check:<9} {words}{}",
					fix.as_ref().map_or(String::new(), |fix| format!(". {fix}"))
				);
			}
		}
		match failures {
			0 => Ok(()),
			_ => Err(format!("{failures} of {} checks failed.", findings.0.len()).into()),
		}
	}

	fn ask(&self, rpc: &Rpc, files: &Files, findings: &mut Findings) -> sc_cli::Result<()> {
		let development = files.spec.chain_type() == ChainType::Development;
		chain::check(rpc, files, development, findings);
		// Without this method, the node keeps to itself what it was told; so does any node that others can reach.
		let settings = rpc.settings();
		let open = !matches!(&settings, Err(error) if error.contains("unsafe"));
		machine::check_ports(rpc, open, development, findings);
		let workers = keys::check(rpc, files, settings.as_ref().ok(), findings);
		let url = match (&self.engine_url, &settings) {
			(Some(url), _) => Some(url.trim_end_matches('/').to_owned()),
			(None, Ok(settings)) => String::from_utf8(settings.engine_url.clone()).ok().filter(|url| !url.is_empty()),
			(None, Err(error)) => {
				findings.unknown("engine", error);
				return Ok(());
			}
		};
		engine::check(rpc, url.as_deref(), &workers, !self.skip_inference, findings);
		Ok(())
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn findings_should_count_failures_only() {
		let mut findings = Findings::default();
		findings.ok("disk", "fine");
		findings.warn("disk", "hm", "do something");
		findings.unknown("clock", "no reply");
		assert_eq!(findings.failures(), 0);
		findings.fail("disk", "bad", "do something");
		assert_eq!(findings.failures(), 1);
		let json = serde_json::to_value(&findings.0).unwrap();
		assert_eq!(json[3], json!({ "level": "fail", "check": "disk", "words": "bad", "fix": "do something" }));
	}
}
