//! The sample model, when it is in the checkout.

use assay_import::{import_onnx, read_artifact, write_artifact};
use assay_semantics::{evaluate, Tensor};
use std::path::Path;

#[test]
fn digits_should_import_and_give_probabilities() {
	let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/digits.onnx");
	let Ok(bytes) = std::fs::read(&path) else { return };
	let model = import_onnx(&bytes).unwrap();
	assert_eq!(read_artifact(&write_artifact(&model)).unwrap(), model);
	for node in model.nodes() {
		println!("{:?} {:?} {}", node.op, node.inputs, node.ty);
	}
	let image: Vec<f32> = (0..64).map(|i| ((i * 7) % 16) as f32 / 15.0).collect();
	let out = evaluate(&model, &[Tensor::from_f32([1, 1, 8, 8], &image).unwrap()]).unwrap();
	let probabilities = out[0].to_f32().unwrap();
	assert_eq!(probabilities.len(), 10);
	assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
}
