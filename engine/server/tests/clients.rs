//! `assay-engine` and a client that nobody here wrote: Triton's, for Python.

mod support;

use std::{
	fs,
	io::{BufRead, BufReader},
	path::{Path, PathBuf},
	process::{Child, Command, Stdio},
};

use support::{evaluated, shade, Folder, DIGITS};

/// Python with the client, which `scripts/setup --test` installs.
fn python() -> PathBuf {
	let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
	let home = || PathBuf::from(std::env::var_os("HOME").expect("a home folder")).join(".cache");
	let venv = cache.unwrap_or_else(home).join("assay/venv-clients");
	let required = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/clients.requirements.txt");
	let installed = fs::read(venv.join("clients.installed")).unwrap_or_default();
	assert!(
		installed == fs::read(required).unwrap(),
		"{} lacks the Python packages of scripts/clients.requirements.txt: run scripts/setup --test",
		venv.display()
	);
	venv.join("bin/python")
}

/// Does not outlive its test.
struct Running(Child);

impl Drop for Running {
	fn drop(&mut self) {
		let _ = self.0.kill();
		let _ = self.0.wait();
	}
}

#[test]
fn tritonclient_should_get_the_bits_of_the_semantics_in_every_way_it_can_ask() {
	let (python, folder) = (python(), Folder::new());
	let (store, cases) = (folder.0.join("store"), folder.0.join("cases"));
	assay_server::Store::open(&store).unwrap().put(&DIGITS.0).unwrap();
	fs::create_dir(&cases).unwrap();
	for n in 0..8u8 {
		let mut input = shade(n.wrapping_mul(37));
		// Two values that JSON has a hard time with.
		input[..8].copy_from_slice(&[1, 0, 0, 0, 0xff, 0xff, 0x7f, 0x3f]);
		fs::write(cases.join(format!("{n}.in")), &input).unwrap();
		fs::write(cases.join(format!("{n}.out")), evaluated(&input)).unwrap();
	}
	let server = Command::new(env!("CARGO_BIN_EXE_assay-engine"))
		.args(["serve", "--listen", "127.0.0.1:0", "--store", store.to_str().unwrap()])
		.stderr(Stdio::piped())
		.spawn()
		.unwrap();
	let mut server = Running(server);
	let mut line = String::new();
	BufReader::new(server.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
	let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
	let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tritonclient_test.py");
	let asked = Command::new(python).arg(script).args([address, &DIGITS.1.to_string()]).arg(&cases).output().unwrap();
	let (out, errors) = (String::from_utf8_lossy(&asked.stdout), String::from_utf8_lossy(&asked.stderr));
	assert!(asked.status.success(), "{out}{errors}");
}
