//! The sample model, through the server, against what ONNX Runtime said of the same images.

mod support;

use assay_server::EngineOptions;
use codec::Encode;
use serde_json::Value;
use support::{digits, imported, Server, DIGITS};

fn expected() -> Vec<Value> {
	serde_json::from_slice(&std::fs::read(digits().join("expected.json")).unwrap()).unwrap()
}

/// The input tensor that a PNG stands for: pixel / 255.
fn input(name: &str) -> Vec<u8> {
	let image = image::open(digits().join("images").join(name)).unwrap().into_luma8();
	assert_eq!(image.dimensions(), (8, 8));
	image.iter().flat_map(|p| (f32::from(*p) / 255.0).to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
	bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn every_held_out_image_should_be_read_as_onnx_runtime_reads_it() {
	let server = Server::start(EngineOptions::default());
	let expected = expected();
	assert!(expected.len() >= 360);
	let mut right = 0;
	for case in &expected {
		let name = case["image"].as_str().unwrap();
		let answer = server.put(&name.replace('.', "-"), &input(name), 2000);
		assert_eq!(answer.status, 200, "{name}: {answer:?}");
		let probabilities = floats(&answer.body);
		assert_eq!(probabilities.len(), 10);
		for (got, theirs) in probabilities.iter().zip(case["probabilities"].as_array().unwrap()) {
			assert!((f64::from(*got) - theirs.as_f64().unwrap()).abs() < 1e-5, "{name}: {got} for {theirs}");
		}
		let class = (0..10).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap() as u64;
		assert_eq!(class, case["predicted"].as_u64().unwrap(), "{name}");
		right += usize::from(class == case["label"].as_u64().unwrap());
	}
	assert!(right * 100 >= expected.len() * 98, "{right} of {} are right", expected.len());
	assert_eq!(server.counter("jobs_done_total"), expected.len() as u64);
	assert_eq!(server.counter("models_loaded_total"), 1);
}

#[test]
fn artifact_and_header_should_be_what_importing_the_onnx_file_gives() {
	let file = |name| std::fs::read(digits().join(name)).unwrap();
	assert!(file("digits.assay") == DIGITS.0, "models/digits/digits.assay is stale: import digits.onnx again");
	assert_eq!(file("header.scale"), imported().header().encode());
	let readme = String::from_utf8(file("README.md")).unwrap();
	assert!(readme.contains(&DIGITS.1.to_string()), "models/digits/README.md names another model id");
}
