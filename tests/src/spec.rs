//! Chain specs of local networks that have what a test needs.

use crate::process::{binary, Folder};
use assay_runtime::genesis_config_presets::local_of;
use serde_json::{json, Value};
use std::{
	fs,
	path::{Path, PathBuf},
	process::Command,
};

/// Who takes part in a local network, by the names of development accounts, and how long its sessions are.
pub struct Spec<'a> {
	/// The validators.
	pub validators: &'a [&'a str],
	/// The workers; all serve the sample model.
	pub workers: &'a [&'a str],
	/// The slots of a session.
	pub session_slots: u32,
	/// The sessions of an era.
	pub sessions_per_era: u32,
}

impl Spec<'_> {
	/// Writes the plain spec into a folder.
	pub fn write(&self, folder: &Folder) -> PathBuf {
		let path = folder.path().join("plain.json");
		export(&["--chain", "local"], &path);
		let mut spec: Value = read(&path);
		let mut genesis = local_of(self.validators, self.workers);
		genesis["network"]["pace"]["sessionSlots"] = json!(self.session_slots);
		genesis["network"]["pace"]["sessionsPerEra"] = json!(self.sessions_per_era);
		let runtime = &mut spec["genesis"]["runtimeGenesis"];
		*runtime = json!({ "code": runtime["code"].take(), "patch": genesis });
		fs::write(&path, spec.to_string()).expect("a spec can be written");
		path
	}
}

/// Writes the plain spec of a chain that begins with an earlier runtime, which a folder keeps: its code and its genesis.
pub fn spec_of(folder: &Folder, earlier: &Path) -> PathBuf {
	let path = folder.path().join("plain.json");
	export(&["--chain", "local"], &path);
	let code = fs::read(earlier.join("runtime.wasm")).unwrap_or_else(|error| panic!("{}: {error}", earlier.display()));
	let mut spec = read(&path);
	spec["genesis"]["runtimeGenesis"] =
		json!({ "code": format!("0x{}", hex::encode(code)), "patch": read(&earlier.join("genesis.json")) });
	fs::write(&path, spec.to_string()).expect("a spec can be written");
	path
}

fn read(path: &Path) -> Value {
	let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
	serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn export(arguments: &[&str], path: &Path) {
	let mut command = Command::new(binary("assay-node"));
	command.arg("export-chain-spec").args(arguments).arg("--output").arg(path);
	let output = command.output().expect("the node can be started");
	assert!(output.status.success(), "no spec for {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
