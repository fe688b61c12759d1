//! `assay-engine`, as an operator runs it.

mod support;

use std::{
	io::{BufRead, BufReader, Read, Write},
	net::{SocketAddr, TcpStream},
	process::{Child, Command, Output, Stdio},
	time::{Duration, Instant},
};

use codec::Encode;
use support::{digits, evaluated, imported, request, shade, until, Folder, DIGITS};

/// Does not outlive its test.
struct Running(Child);

impl Drop for Running {
	fn drop(&mut self) {
		let _ = self.0.kill();
		let _ = self.0.wait();
	}
}

fn engine(args: &[&str]) -> Output {
	Command::new(env!("CARGO_BIN_EXE_assay-engine")).args(args).output().unwrap()
}

#[test]
fn import_should_write_artifact_and_header_and_show_should_read_them() {
	let folder = Folder::new();
	let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
	let onnx = digits().join("digits.onnx");
	let (store, out, header) = (path("store"), path("a.assay"), path("header.scale"));
	let args = ["import", onnx.to_str().unwrap(), "--store", &store, "--out", &out, "--header-out", &header];
	let output = engine(&args);
	assert!(output.status.success(), "{output:?}");
	assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", DIGITS.1));
	for file in [out.clone(), path(&format!("store/{}.assay", DIGITS.1))] {
		assert!(std::fs::read(file).unwrap() == DIGITS.0);
	}
	let encoded = imported().header().encode();
	assert_eq!(std::fs::read(header).unwrap(), encoded);

	let shown = String::from_utf8(engine(&["show", &out]).stdout).unwrap();
	for part in [DIGITS.1.to_string(), hex::encode(encoded), r#"input "image" FP32[1,1,8,8]"#.into(), "MatMul".into()] {
		assert!(shown.contains(&part), "{part} is not in {shown}");
	}
}

#[test]
fn commands_should_fail_in_words_when_the_file_is_wrong() {
	let readme = digits().join("README.md");
	let readme = readme.to_str().unwrap();
	let folder = Folder::new();
	let store = folder.0.to_str().unwrap();
	for args in [
		&["show", readme][..],
		&["show", "/nowhere/model.assay"],
		&["import", readme, "--store", store],
		&["import", "/nowhere/model.onnx", "--store", store],
		&["import", readme],
		&["serve", "--store", readme],
	] {
		let output = engine(args);
		assert!(!output.status.success(), "{args:?}");
		assert!(
			output.stderr.len() > 20 && !String::from_utf8_lossy(&output.stderr).contains("panicked"),
			"{output:?}"
		);
	}
}

/// A server over the sample model, and its address.
fn serving(folder: &Folder, args: &[&str]) -> (Running, SocketAddr) {
	assay_server::Store::open(&folder.0).unwrap().put(&DIGITS.0).unwrap();
	let server = Command::new(env!("CARGO_BIN_EXE_assay-engine"))
		.args(["serve", "--listen", "127.0.0.1:0", "--store", folder.0.to_str().unwrap()])
		.args(args)
		.stderr(Stdio::piped())
		.spawn()
		.unwrap();
	let mut server = Running(server);
	let mut line = String::new();
	// The pipe is closed after one line: a log that nobody reads must not stop the engine.
	BufReader::new(server.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
	let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
	(server, address)
}

impl Running {
	fn signal(&self, name: &str) {
		let asked = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
		assert!(asked.success());
	}
}

#[test]
fn serve_should_answer_until_it_is_stopped() {
	for signal in ["-TERM", "-INT"] {
		let folder = Folder::new();
		let (mut server, address) = serving(&folder, &[]);
		let path = format!("/assay/v1/jobs/a?model={}&wait_ms=2000", DIGITS.1);
		let answer = request(address, "PUT", &path, &shade(1));
		assert_eq!((answer.status, answer.body), (200, evaluated(&shade(1))));
		server.signal(signal);
		assert_eq!(server.0.wait().unwrap().code(), Some(0));
	}
}

#[test]
fn request_in_progress_should_be_answered_and_none_begun_when_the_engine_is_stopped() {
	let folder = Folder::new();
	let (mut server, address) = serving(&folder, &[]);
	let path = format!("/v2/models/{}/infer", DIGITS.1);
	let body = [shade(1), shade(2)].concat();
	// Half of its body is there when the signal comes; so the request has begun.
	let mut stream = TcpStream::connect(address).unwrap();
	let head =
		format!("POST {path} HTTP/1.1\r\nhost: x\r\ninference-header-content-length: 0\r\ncontent-length: 256\r\n\r\n");
	stream.write_all(head.as_bytes()).unwrap();
	stream.write_all(&body[..128]).unwrap();
	std::thread::sleep(Duration::from_millis(200));
	server.signal("-TERM");
	until("nobody can connect", || TcpStream::connect(address).is_err());
	assert!(server.0.try_wait().unwrap().is_none());
	stream.write_all(&body[128..256]).unwrap();
	let mut answer = Vec::new();
	// To the end: the connection is not kept.
	stream.read_to_end(&mut answer).unwrap();
	assert!(answer.starts_with(b"HTTP/1.1 200") && answer.ends_with(&evaluated(&shade(1))));
	assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

#[test]
fn engine_should_stop_in_time_when_a_client_never_ends_its_request() {
	let folder = Folder::new();
	let (mut server, address) = serving(&folder, &["--shutdown-seconds", "1"]);
	let mut stream = TcpStream::connect(address).unwrap();
	let head = format!("POST /v2/models/{}/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 256\r\n\r\n", DIGITS.1);
	stream.write_all(head.as_bytes()).unwrap();
	std::thread::sleep(Duration::from_millis(200));
	let since = Instant::now();
	server.signal("-TERM");
	assert_eq!(server.0.wait().unwrap().code(), Some(0));
	assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&since.elapsed()));
}
