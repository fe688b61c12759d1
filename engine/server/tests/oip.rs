//! The Open Inference Protocol v2, as a client sees it.

mod support;

use assay_server::EngineOptions;
use serde_json::{json, Value};
use support::{evaluated, exchange, shade, Answer, Server, DIGITS};

fn infer(server: &Server, request: &Value) -> Answer {
	server.request("POST", &format!("/v2/models/{}/infer", DIGITS.1), request.to_string().as_bytes())
}

fn request(data: Value) -> Value {
	json!({ "inputs": [{ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": data }] })
}

#[test]
fn server_should_say_what_it_is_and_what_its_models_take() {
	let server = Server::start(EngineOptions::default());
	assert_eq!(server.get("/v2").json()["name"], "assay-engine");
	assert_eq!(server.get("/v2/health/live").status, 200);
	assert_eq!(server.get("/v2/health/ready").status, 200);
	let model = DIGITS.1;
	assert_eq!(server.get(&format!("/v2/models/{model}/ready")).status, 200);
	let metadata = server.get(&format!("/v2/models/{model}")).json();
	assert_eq!(metadata["name"], model.to_string());
	assert_eq!(metadata["inputs"], json!([{ "name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8] }]));
	assert_eq!(metadata["outputs"], json!([{ "name": "probabilities", "datatype": "FP32", "shape": [1, 10] }]));
}

#[test]
fn inference_should_give_the_bits_of_the_semantics_when_data_is_flat_or_nested() {
	let server = Server::start(EngineOptions::default());
	let row = json!([vec![1.0; 8]]);
	let nested = json!([[vec![row[0].clone(); 8]]]);
	for data in [json!(vec![1.0; 64]), nested] {
		let mut asked = request(data);
		asked["id"] = json!("a-42");
		let answer = infer(&server, &asked);
		assert_eq!(answer.status, 200, "{answer:?}");
		let answer = answer.json();
		assert_eq!(answer["model_name"], DIGITS.1.to_string());
		assert_eq!(answer["id"], "a-42");
		let output = &answer["outputs"][0];
		assert_eq!((&output["name"], &output["datatype"]), (&json!("probabilities"), &json!("FP32")));
		assert_eq!(output["shape"], json!([1, 10]));
		let numbers = output["data"].as_array().unwrap().iter();
		let bytes: Vec<u8> = numbers.flat_map(|n| (n.as_f64().unwrap() as f32).to_le_bytes()).collect();
		assert_eq!(bytes, evaluated(&shade(255)));
	}
	let mut named = request(json!(vec![1.0; 64]));
	named["outputs"] = json!([{ "name": "probabilities" }]);
	assert_eq!(infer(&server, &named).json()["outputs"].as_array().unwrap().len(), 1);
}

#[test]
fn inference_should_be_refused_in_words_when_the_request_is_wrong() {
	let server = Server::start(EngineOptions::default());
	let good = request(json!(vec![1.0; 64]));
	let edited = |pointer: &str, value: Value| {
		let mut wrong = good.clone();
		*wrong.pointer_mut(pointer).unwrap() = value;
		wrong
	};
	let mut unknown_output = good.clone();
	unknown_output["outputs"] = json!([{ "name": "logits" }]);
	for (wrong, word) in [
		(edited("/inputs/0/shape", json!([1, 64])), "shape"),
		(edited("/inputs/0/shape", json!([-1, 1, 8, 8])), "request"),
		(edited("/inputs/0/datatype", json!("INT32")), "datatype"),
		(edited("/inputs/0/datatype", json!("FLOAT")), "datatype"),
		(edited("/inputs/0/name", json!("pixels")), "missing"),
		(edited("/inputs/0/data", json!(vec![1.0; 63])), "63 elements"),
		(edited("/inputs/0/data", json!([vec![1.0; 32], vec![1.0; 32]])), "nested"),
		(edited("/inputs/0/data", json!(vec![true; 64])), "FP32"),
		(edited("/inputs", json!([])), "takes 1 inputs"),
		(unknown_output, "no output"),
		(json!({}), "inputs"),
		(json!([1, 2]), "request"),
	] {
		let answer = infer(&server, &wrong);
		assert_eq!(answer.status, 400, "{wrong}");
		assert!(answer.error().contains(word), "{word:?} is not in {:?}", answer.error());
	}
	for garbage in [&b""[..], b"{", b"\xff\xfe", b"null", &[b'['; 5000]] {
		let answer = server.request("POST", &format!("/v2/models/{}/infer", DIGITS.1), garbage);
		assert_eq!(answer.status, 400);
		assert!(!answer.error().is_empty());
	}
	assert_eq!(infer(&server, &good).status, 200);
}

#[test]
fn address_should_be_not_found_when_model_or_path_is_unknown() {
	let server = Server::start(EngineOptions::default());
	let unknown = "00".repeat(32);
	for path in [format!("/v2/models/{unknown}"), format!("/v2/models/{unknown}/ready"), "/v2/models/digits".into()] {
		let answer = server.get(&path);
		assert_eq!(answer.status, 404, "{path}");
		assert!(answer.error().contains("model"), "{path}");
	}
	let body = request(json!(vec![1.0; 64])).to_string();
	assert_eq!(server.request("POST", &format!("/v2/models/{unknown}/infer"), body.as_bytes()).status, 404);
	assert!(!server.get("/nothing").error().is_empty());
	let wrong_method = server.request("DELETE", "/v2", b"");
	assert_eq!(wrong_method.status, 405);
	assert!(!wrong_method.error().is_empty());
}

#[test]
fn body_should_be_refused_when_it_is_too_long_announced_or_not() {
	let server = Server::start(EngineOptions { max_body_bytes: 4096, ..Default::default() });
	let answer = server.put("long", &[0; 5000], 0);
	assert_eq!(answer.status, 413);
	assert!(answer.error().contains("4096"));
	let chunked = format!(
		"POST /v2/models/{}/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{}\r\n0\r\n\r\n",
		DIGITS.1,
		" ".repeat(5000)
	);
	assert_eq!(exchange(server.address, chunked.as_bytes()).status, 413);
}

#[test]
fn request_should_be_put_off_when_bodies_take_too_much_memory() {
	let server = Server::start(EngineOptions { max_bodies_bytes: 0, ..Default::default() });
	let answer = server.put("a", &shade(1), 0);
	assert_eq!(answer.status, 503);
	assert!(answer.head.contains("retry-after: 1"));
	assert_eq!(server.get("/v2/health/live").status, 200);
}
