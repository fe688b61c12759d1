//! A transformer as PyTorch exports it: imported for the length of a sentence, registered, served, and asked.

use anyhow::Context;
use assay_onnx_suite::models::{difference, folder, read, TOLERANCE};
use assay_semantics::{DType, Tensor};
use assay_tests::{check_invariants, Engine, Folder, Node, NodeOptions};
use serde_json::{json, Value};

/// The graph leaves batch and length open. `scripts/models` makes it, with what ONNX Runtime gives.
const NAME: &str = "encoder-opset17";
/// Nine tokens.
const SET: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn encoder_should_answer_on_chain_what_onnx_runtime_answers() -> anyhow::Result<()> {
	let mut case = read(&folder().join(NAME)).context("make the models with scripts/models")?;
	let (inputs, expected) = case.sets.swap_remove(SET);
	let files = Folder::new("encoder");
	let (artifact, question) = (files.path().join("encoder.assay"), files.path().join("sentence.json"));

	let mut arguments = vec!["--out".to_owned(), artifact.display().to_string()];
	for (name, tensor) in &inputs {
		arguments.extend(["--input".to_owned(), format!("{name}={}", tensor.ty)]);
	}
	let mut engine = Engine::new("encoder-engine");
	engine.import_with(&folder().join(NAME).join("model.onnx"), &arguments);
	engine.start();
	let node = Node::start("encoder-node", NodeOptions { engine_url: Some(engine.url()), ..Default::default() });
	let cli = node.cli();
	let file = artifact.to_str().context("a path in UTF-8")?;
	cli.succeed(&["models", "register", file, "--name", "encoder", "--price", "0.01", "--account", "//Dave"])?;
	cli.succeed(&["worker", "serve", "encoder", "--capacity", "4", "--account", "//Charlie"])?;

	let asked: Vec<Value> = inputs
		.iter()
		.map(|(name, tensor)| {
			assert_eq!(tensor.ty.dtype, DType::I64);
			let numbers = tensor.bytes.chunks_exact(8).map(|n| i64::from_le_bytes(n.try_into().unwrap_or_default()));
			let numbers: Vec<i64> = numbers.collect();
			json!({ "name": name, "shape": tensor.ty.dims, "datatype": "INT64", "data": numbers })
		})
		.collect();
	std::fs::write(&question, serde_json::to_vec(&json!({ "inputs": asked }))?)?;
	let told =
		cli.succeed(&["infer", "encoder", question.to_str().context("a path in UTF-8")?, "--account", "//Bob"])?;
	assert_eq!(told["state"], "settled", "{told:#}");

	let raw = hex::decode(told["output"]["raw"].as_str().context("the output")?.trim_start_matches("0x"))?;
	let (mut rest, mut answered) = (&raw[..], Vec::new());
	for tensor in &expected {
		let (own, others) = rest.split_at_checked(tensor.bytes.len()).context("the output is shorter")?;
		answered.push(Tensor::new(tensor.ty.clone(), own.to_vec()).context("a tensor")?);
		rest = others;
	}
	let worst = difference(&answered, &expected).map_err(anyhow::Error::msg)?;
	assert!(rest.is_empty() && worst <= TOLERANCE, "{worst}");
	check_invariants(&node.chain().await?).await
}
