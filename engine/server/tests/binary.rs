//! `assay-engine`, as an operator runs it.

mod support;

use std::{
	io::{BufRead, BufReader, Read, Write},
	net::{SocketAddr, TcpStream},
	process::{Child, Command, Output, Stdio},
	time::{Duration, Instant},
};

use assay_import::proto::*;
use codec::Encode;
use prost::Message;
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
	let said = String::from_utf8(output.stderr).unwrap();
	for part in [r#"input "image" FP32[1,1,8,8]"#, "operators: ", "2 MatMul", "weights, ", "bytes in a trace"] {
		assert!(said.contains(part), "{part} is not in {said}");
	}

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

/// A graph of these nodes: operator, operands, output. Its input `x` has two open dimensions after the batch.
fn onnx(nodes: &[(&str, &[&str], &str)]) -> Vec<u8> {
	let dim = |name: &str| Dimension { dim_value: None, dim_param: Some(name.into()) };
	let tensor_type = TensorTypeProto {
		elem_type: 1,
		shape: Some(TensorShapeProto { dim: vec![dim("batch"), dim("rows"), dim("columns")] }),
	};
	let r#type = Some(TypeProto { tensor_type: Some(tensor_type) });
	let node = |(op, input, output): &(&str, &[&str], &str)| NodeProto {
		op_type: op.to_string(),
		name: format!("node {output}"),
		input: input.iter().map(|name| name.to_string()).collect(),
		output: vec![output.to_string()],
		..Default::default()
	};
	let graph = GraphProto {
		node: nodes.iter().map(node).collect(),
		input: vec![ValueInfoProto { name: "x".into(), r#type }],
		output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
		..Default::default()
	};
	let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 17 }];
	ModelProto { ir_version: 8, graph: Some(graph), opset_import, ..Default::default() }.encode_to_vec()
}

#[test]
fn import_should_take_types_of_inputs_when_the_file_leaves_them_open() {
	let folder = Folder::new();
	let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
	std::fs::write(path("open.onnx"), onnx(&[("Relu", &["x"], "h"), ("Add", &["h", "x"], "y")])).unwrap();
	let import = |args: &[&str]| engine(&[&["import", &path("open.onnx"), "--store", &path("store")], args].concat());

	let output = import(&[]);
	let said = String::from_utf8(output.stderr).unwrap();
	assert!(!output.status.success() && output.stdout.is_empty());
	assert!(said.contains("input `x`: dimension 1 (`rows`), dimension 2 (`columns`) are not known"), "{said}");

	let mut ids = Vec::new();
	for ty in ["FP32[1,2,3]", "FP32[4, 5, 6]"] {
		let output = import(&["--input", &format!("x={ty}")]);
		let said = String::from_utf8(output.stderr).unwrap();
		assert!(output.status.success(), "{said}");
		let ty = ty.replace(' ', "");
		for part in [format!("input \"x\" {ty}"), format!("output \"y\" {ty}"), "2 operators: 1 Binary, 1 Unary".into()]
		{
			assert!(said.contains(&part), "{part} is not in {said}");
		}
		ids.push(String::from_utf8(output.stdout).unwrap());
	}
	assert_ne!(ids[0], ids[1]);
	for (wrong, words) in [
		("z=FP32[1,2,3]", "no such input; it has x"),
		("x=FP16[1,2,3]", "it is FP32"),
		("x=FP32[1,2]", "not its shape"),
		("x=FP33[1,2,3]", "is not like"),
		("x=FP32[1,-2,3]", "is not like"),
		("x", "is not like"),
	] {
		let output = import(&["--input", wrong]);
		let said = String::from_utf8(output.stderr).unwrap();
		assert!(!output.status.success() && said.contains(words), "{wrong}: {said}");
	}
}

#[test]
fn import_should_name_everything_that_it_refuses() {
	let folder = Folder::new();
	let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
	let nodes: [(&str, &[&str], &str); 7] = [
		("Unheard", &["x"], "a"),
		("Unheard", &["x"], "b"),
		("Relu", &["a"], "c"),
		("Strange", &["c"], "d"),
		("Reshape", &["x"], "e"),
		("Add", &["e", "d"], "f"),
		("Transpose", &["missing"], "y"),
	];
	std::fs::write(path("bad.onnx"), onnx(&nodes)).unwrap();
	let import = |args: &[&str]| {
		let output = engine(&[&["import", &path("bad.onnx"), "--store", &path("store")], args].concat());
		assert!(!output.status.success() && output.stdout.is_empty());
		String::from_utf8(output.stderr).unwrap()
	};
	let said = import(&["--input", "x=FP32[1,2,3]"]);
	for line in [
		"- operator Unheard is not supported (2 nodes: `node a`, `node b`)",
		"- operator Strange is not supported (node `node d`)",
		"- node `node e` (Reshape): input 1 is missing",
		"- node `node y` (Transpose): it reads `missing`",
	] {
		assert!(said.contains(line), "{line} is not in {said}");
	}
	assert_eq!(said.lines().filter(|line| line.starts_with("- ")).count(), 4, "{said}");
	// Operators are named when types are open, too.
	let said = import(&[]);
	assert!(said.contains("are not known") && said.contains("Unheard") && said.contains("Strange"), "{said}");
	assert!(!std::path::Path::new(&path("store")).exists());
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
