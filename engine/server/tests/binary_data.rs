//! The binary tensor data extension, versions, and every element type there is.

mod support;

use assay_semantics::{
	testing::{self, Rng},
	DType, Model, Names, Node, Op, Tensor, TensorType,
};
use assay_server::{EngineOptions, ModelId, Store};
use serde_json::{json, Value};
use support::{evaluated, exchange, shade, Answer, Folder, Server, DIGITS};

const HEADER: &str = "Inference-Header-Content-Length";

fn post(server: &Server, model: ModelId, json: &str, binary: &[u8]) -> Answer {
	sent(server, model, Some(json.len()), &[json.as_bytes(), binary].concat())
}

fn sent(server: &Server, model: ModelId, json: Option<usize>, body: &[u8]) -> Answer {
	let header = json.map_or(String::new(), |length| format!("{HEADER}: {length}\r\n"));
	let head = format!(
		"POST /v2/models/{model}/versions/1/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}content-length: {}\r\n\r\n",
		body.len()
	);
	exchange(server.address, &[head.as_bytes(), body].concat())
}

/// The JSON of an answer, and what stands behind it.
fn parts(answer: &Answer) -> (Value, Vec<u8>) {
	assert_eq!(answer.status, 200, "{answer:?}");
	let length = answer.head.lines().find_map(|line| line.strip_prefix("inference-header-content-length: "));
	let length = length.map_or(answer.body.len(), |length| length.parse().unwrap());
	let (json, binary) = answer.body.split_at(length);
	(serde_json::from_slice(json).unwrap(), binary.to_vec())
}

fn image(parameters: Value) -> Value {
	json!({ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "parameters": parameters })
}

#[test]
fn binary_data_should_go_both_ways_when_it_is_asked_for() {
	let server = Server::start(EngineOptions::default());
	let input = image(json!({ "binary_data_size": 256 }));
	let right = evaluated(&shade(7));
	for (asked, is_binary) in [
		(json!({ "inputs": [input] }), false),
		(json!({ "inputs": [input], "parameters": { "binary_data_output": true, "priority": 3 } }), true),
		(
			json!({ "inputs": [input], "outputs": [{ "name": "probabilities", "parameters": { "binary_data": true } }] }),
			true,
		),
		(
			json!({
				"inputs": [input],
				"outputs": [{ "name": "probabilities", "parameters": { "binary_data": false } }],
				"parameters": { "binary_data_output": true },
			}),
			false,
		),
	] {
		let (json, binary) = parts(&post(&server, DIGITS.1, &asked.to_string(), &shade(7)));
		assert_eq!((&json["model_name"], &json["model_version"]), (&json!(DIGITS.1.to_string()), &json!("1")));
		let output = &json["outputs"][0];
		assert_eq!((&output["datatype"], &output["shape"]), (&json!("FP32"), &json!([1, 10])));
		if is_binary {
			assert_eq!((&output["parameters"]["binary_data_size"], output.get("data")), (&json!(40), None));
			assert_eq!(binary, right);
		} else {
			assert!(
				binary.is_empty() && output["data"].as_array().unwrap().len() == 10 && output["parameters"].is_null()
			);
		}
	}
	// Without JSON, the body is the only input.
	let answer = sent(&server, DIGITS.1, Some(0), &shade(7));
	assert!(answer.head.contains("content-type: application/octet-stream"));
	assert_eq!(parts(&answer).1, right);
}

#[test]
fn binary_data_should_be_refused_in_words_when_it_is_not_what_is_announced() {
	let server = Server::start(EngineOptions::default());
	let asked = |parameters: Value| json!({ "inputs": [image(parameters)] }).to_string();
	let right = asked(json!({ "binary_data_size": 256 }));
	for (json, binary, word) in [
		(right.clone(), shade(1)[1..].to_vec(), "255 of its 256 bytes"),
		(right.clone(), [&shade(1)[..], &[0]].concat(), "1 bytes of binary data belong to no input"),
		(asked(json!({ "binary_data_size": 255 })), shade(1)[1..].to_vec(), "are not a FP32[1,1,8,8]"),
		(asked(json!({ "binary_data_size": u64::MAX })), shade(1), "18446744073709551615 bytes"),
		(asked(json!({ "binary_data_size": -1 })), shade(1), "no inference request"),
		(asked(json!({ "binary_data_size": "256" })), shade(1), "no inference request"),
		(asked(json!({ "shared_memory_region": "a", "shared_memory_byte_size": 256 })), vec![], "shared memory"),
		(asked(json!({})), vec![], "data is missing"),
		(r#"{"inputs": []}"#.into(), vec![], "takes 1 inputs"),
	] {
		let answer = post(&server, DIGITS.1, &json, &binary);
		assert_eq!(answer.status, 400, "{json}");
		assert!(answer.error().contains(word), "{word:?} is not in {:?}", answer.error());
	}
	let data = json!({ "inputs": [{
		"name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": vec![1; 64], "parameters": { "binary_data_size": 0 },
	}] });
	assert!(post(&server, DIGITS.1, &data.to_string(), b"").error().contains("both"));
	let body = [right.as_bytes(), &shade(1)].concat();
	assert!(sent(&server, DIGITS.1, None, right.as_bytes()).error().contains("needs the header"));
	assert!(sent(&server, DIGITS.1, None, &body).error().contains("no inference request"));
	assert!(sent(&server, DIGITS.1, Some(body.len() + 1), &body).error().contains("whole body"));
	assert_eq!(sent(&server, DIGITS.1, Some(0), &shade(1)[1..]).status, 422);
	for length in ["-1", "many", "18446744073709551616", ""] {
		let head = format!(
			"POST /v2/models/{}/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{HEADER}: {length}\r\ncontent-length: 2\r\n\r\n{{}}",
			DIGITS.1
		);
		let answer = exchange(server.address, head.as_bytes());
		assert_eq!(answer.status, 400);
		assert!(answer.error().contains(HEADER), "{answer:?}");
	}
	for (output, word) in [
		(json!([{ "name": "probabilities" }, { "name": "probabilities" }]), "twice"),
		(json!([{ "name": "probabilities", "parameters": { "classification": 3 } }]), "classification"),
		(json!([{ "name": "probabilities", "parameters": { "shared_memory_region": "a" } }]), "shared memory"),
	] {
		let json = json!({ "inputs": [image(json!({ "binary_data_size": 256 }))], "outputs": output }).to_string();
		assert!(post(&server, DIGITS.1, &json, &shade(1)).error().contains(word));
	}
	let compressed = format!(
		"POST /v2/models/{}/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{{}}",
		DIGITS.1
	);
	let answer = exchange(server.address, compressed.as_bytes());
	assert_eq!((answer.status, answer.error().contains("compressed")), (415, true));
}

#[test]
fn model_should_have_one_version() {
	let server = Server::start(EngineOptions::default());
	let path = format!("/v2/models/{}", DIGITS.1);
	let metadata = server.get(&path).json();
	assert_eq!(metadata["versions"], json!(["1"]));
	assert_eq!(server.get(&format!("{path}/versions/1")).json(), metadata);
	assert_eq!(server.get(&format!("{path}/versions/1/ready")).json()["ready"], true);
	for rest in ["", "/ready"] {
		let answer = server.get(&format!("{path}/versions/2{rest}"));
		assert_eq!((answer.status, answer.error().contains("the only one is 1")), (404, true));
	}
	assert_eq!(server.request("POST", &format!("{path}/versions/0/infer"), b"{}").status, 404);
	// Not even text.
	let answer = server.get("/v2/models/%ff");
	assert_eq!((answer.status, answer.error().is_empty()), (400, false));
	let extensions = server.get("/v2").json()["extensions"].clone();
	assert_eq!(extensions, json!(["binary_tensor_data", "assay_jobs", "assay_traces"]));
}

/// A model that gives every input back as it reads it, one of each element type.
fn mirror() -> Model {
	let types: Vec<_> = DType::ALL.into_iter().map(|dtype| TensorType::new(dtype, [2, 12])).collect();
	let source = |(i, ty): (usize, &TensorType)| Node { op: Op::Input(i as u32), inputs: vec![], ty: ty.clone() };
	let mut nodes: Vec<_> = types.iter().enumerate().map(source).collect();
	let turned = Op::Transpose(assay_semantics::ops::Transpose { perm: vec![0, 1] });
	for (i, ty) in types.iter().enumerate() {
		nodes.push(Node { op: turned.clone(), inputs: vec![i as u32], ty: ty.clone() });
	}
	let names = vec![String::new(); types.len()];
	let names = Names { model: "mirror".into(), inputs: names.clone(), outputs: names };
	Model::new(nodes, vec![], types.len() as u32, names).unwrap()
}

#[test]
fn every_element_type_should_survive_as_json_and_as_binary_data() {
	let (model, folder) = (mirror(), Folder::new());
	let id = Store::open(&folder.0).unwrap().put(&assay_import::write_artifact(&model)).unwrap();
	let server = Server::over(folder, EngineOptions::default(), assay_semantics::evaluate);
	let mut rng = Rng(5);
	for _ in 0..20 {
		let types = model.header().inputs;
		let tensors: Vec<Tensor> = types.iter().map(|ty| testing::tensor(&mut rng, ty)).collect();
		let input = |(i, tensor): (usize, &Tensor)| {
			let size = json!({ "binary_data_size": tensor.bytes.len() });
			json!({ "name": format!("input_{i}"), "shape": [2, 12], "datatype": tensor.ty.dtype.name(), "parameters": size })
		};
		let inputs: Vec<Value> = tensors.iter().enumerate().map(input).collect();
		let bytes = tensors.iter().map(|tensor| &tensor.bytes[..]).collect::<Vec<_>>().concat();
		let right: Vec<Vec<u8>> = assay_semantics::evaluate(&model, &tensors)
			.unwrap()
			.into_iter()
			.map(|tensor| tensor.bytes.into_vec())
			.collect();
		let asked = json!({ "inputs": inputs, "parameters": { "binary_data_output": true } });
		assert_eq!(parts(&post(&server, id, &asked.to_string(), &bytes)).1, right.concat());
		// As JSON out, and with that as JSON in.
		let (answer, _) = parts(&post(&server, id, &json!({ "inputs": inputs }).to_string(), &bytes));
		let mut again = answer["outputs"].as_array().unwrap().clone();
		for (i, input) in again.iter_mut().enumerate() {
			input["name"] = json!(format!("input_{i}"));
		}
		again.reverse();
		let asked = json!({ "inputs": again, "parameters": { "binary_data_output": true } });
		assert_eq!(parts(&post(&server, id, &asked.to_string(), b"")).1, right.concat());
		// Some outputs, in another order.
		let some = json!([
			{ "name": "output_3", "parameters": { "binary_data": true } },
			{ "name": "output_5" },
			{ "name": "output_0", "parameters": { "binary_data": true } },
		]);
		let (json, binary) =
			parts(&post(&server, id, &json!({ "inputs": inputs, "outputs": some }).to_string(), &bytes));
		assert_eq!(json["outputs"][1]["data"].as_array().unwrap().len(), 24);
		assert_eq!(binary, [&right[3][..], &right[0]].concat());
	}
}
