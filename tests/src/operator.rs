//! What an operator does besides running a node: subcommands of the node's binary, and a look at its metrics.

use crate::process::{binary, CliOutput};
use anyhow::Context;
use serde_json::Value;
use std::{
	io::{Read, Write},
	net::{SocketAddr, TcpStream},
	path::{Path, PathBuf},
	process::{Command, Stdio},
	time::Duration,
};

/// Somebody who runs subcommands of `assay-node` on the files of one chain.
pub struct Operator {
	chain: Vec<String>,
	base_path: PathBuf,
}

impl Operator {
	/// On the files of a development chain.
	pub fn of_dev(base_path: &Path) -> Self {
		Self { chain: vec!["--dev".into()], base_path: base_path.into() }
	}

	/// On the files of the chain `local`.
	pub fn of_local(base_path: &Path) -> Self {
		Self { chain: vec!["--chain".into(), "local".into()], base_path: base_path.into() }
	}

	/// Runs `assay-node` with these arguments, the chain and its place.
	pub fn run(&self, arguments: &[&str]) -> anyhow::Result<CliOutput> {
		self.run_with_input(arguments, "")
	}

	/// The same, with something to read on standard input.
	pub fn run_with_input(&self, arguments: &[&str], input: &str) -> anyhow::Result<CliOutput> {
		let mut command = Command::new(binary("assay-node"));
		command.args(arguments).args(&self.chain).arg("--base-path").arg(&self.base_path);
		let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
		child.stdin.take().context("stdin")?.write_all(input.as_bytes())?;
		let output = child.wait_with_output()?;
		let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
		// What is no JSON is a string.
		let json = serde_json::from_str(&stdout).unwrap_or(Value::String(stdout));
		let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
		Ok(CliOutput { code: output.status.code().unwrap_or(-1), json, stderr })
	}

	/// Like [`Operator::run`], for what must succeed.
	pub fn succeed(&self, arguments: &[&str]) -> anyhow::Result<Value> {
		let output = self.run(arguments)?;
		anyhow::ensure!(output.code == 0, "assay-node {arguments:?} failed: {}{}", output.stderr, output.json);
		Ok(output.json)
	}

	/// Like [`Operator::run`], for what must fail. Returns what it says.
	pub fn fail(&self, arguments: &[&str]) -> anyhow::Result<String> {
		let output = self.run(arguments)?;
		anyhow::ensure!(output.code == 1, "assay-node {arguments:?} ended with {}: {}", output.code, output.json);
		Ok(output.stderr)
	}
}

/// Sends an HTTP request and returns head and body of the reply.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
	let mut stream = TcpStream::connect(address)?;
	stream.set_read_timeout(Some(Duration::from_secs(30)))?;
	write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
	let mut reply = String::new();
	stream.read_to_string(&mut reply)?;
	Ok(reply)
}
