//! What the server costs beside the evaluation. `cargo bench --workspace --bench overhead` prints it.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
	io::{Read, Write},
	net::TcpStream,
	time::{Duration, Instant},
};

use assay_semantics::{ops::Transpose, DType, Model, Names, Node, Op, Tensor, TensorType};
use assay_server::{EngineOptions, ModelId, Store};
use serde_json::json;
use support::{Folder, Server};

/// A model of one operator on tensors of this shape.
fn model(dims: &[u32]) -> Model {
	let ty = TensorType::new(DType::F32, dims);
	let turned = Op::Transpose(Transpose { perm: (0..dims.len() as u8).collect() });
	let nodes = vec![
		Node { op: Op::Input(0), inputs: vec![], ty: ty.clone() },
		Node { op: turned, inputs: vec![0], ty: ty.clone() },
	];
	let names = Names { model: "turned".into(), inputs: vec!["x".into()], outputs: vec!["y".into()] };
	Model::new(nodes, vec![], 1, names).unwrap()
}

/// Times of requests on one connection, sorted.
fn times(server: &Server, id: ModelId, body: &[u8], header: Option<usize>, count: usize) -> Vec<Duration> {
	let mut stream = TcpStream::connect(server.address).unwrap();
	stream.set_nodelay(true).unwrap();
	let header = header.map_or(String::new(), |n| format!("inference-header-content-length: {n}\r\n"));
	let head =
		format!("POST /v2/models/{id}/infer HTTP/1.1\r\nhost: x\r\n{header}content-length: {}\r\n\r\n", body.len());
	let request = [head.as_bytes(), body].concat();
	let mut answer = vec![0; 32 << 20];
	let mut times = Vec::new();
	for _ in 0..count {
		let since = Instant::now();
		stream.write_all(&request).unwrap();
		let (mut length, mut most) = (0, usize::MAX);
		while length < most {
			length += stream.read(&mut answer[length..]).unwrap();
			if let Some(end) = answer[..length.min(1000)].windows(4).position(|w| w == b"\r\n\r\n") {
				let head = std::str::from_utf8(&answer[..end]).unwrap();
				assert!(head.starts_with("HTTP/1.1 200"), "{head}");
				let body = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
				most = end + 4 + body.parse::<usize>().unwrap();
			}
		}
		times.push(since.elapsed());
	}
	times.sort();
	times
}

fn main() {
	for (dims, count) in [(&[1, 64][..], 3000), (&[1, 3, 224, 224], 200)] {
		let (model, folder) = (model(dims), Folder::new());
		let id = Store::open(&folder.0).unwrap().put(&assay_import::write_artifact(&model)).unwrap();
		// Costs nothing but a copy.
		let evaluate = |_: &Model, inputs: &[Tensor]| Ok(inputs.to_vec());
		let server = Server::over(folder, EngineOptions::default(), evaluate);
		let elements = dims.iter().product::<u32>() as usize;
		let numbers: Vec<f32> = (0..elements).map(|i| (i as f32 * 0.37).sin()).collect();
		let raw: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
		let input = json!({ "name": "x", "shape": dims, "datatype": "FP32", "data": numbers });
		let as_json = json!({ "inputs": [input] }).to_string();
		let size = json!({ "binary_data_size": raw.len() });
		let input = json!({ "name": "x", "shape": dims, "datatype": "FP32", "parameters": size });
		let binary = json!({ "inputs": [input], "parameters": { "binary_data_output": true } }).to_string();
		let with_data = [binary.as_bytes(), &raw].concat();
		for (kind, body, header) in [("JSON", as_json.as_bytes(), None), ("binary", &with_data, Some(binary.len()))] {
			times(&server, id, body, header, count / 10);
			let times = times(&server, id, body, header, count);
			let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
			println!("{elements} elements in and out, {kind}: median {half:?}, 99 % within {most:?}");
		}
	}
}
