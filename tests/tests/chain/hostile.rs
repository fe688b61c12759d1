//! People who get it wrong, and people who mean it.

use assay_cli::{
	account::balances,
	amount::OPG,
	chain::{call, rejected, At, Chain, Refused},
	infer::Request,
	job::{self, OpenJob, Stage},
	types::JobEvent,
};
use assay_primitives::{claim, Claim};
use assay_semantics::{side_root, Side};
use assay_tests::{
	account, check_invariants, digit_images, digits, digits_request, follow_job, key, pass_blocks, pool, request,
	Folder, Node, NodeOptions, SERVICE_KEY,
};
use sp_core::H256;
use subxt::{dynamic::Value, utils::AccountId32};
use subxt_signer::sr25519::Keypair;

/// A commit as the worker's node would send it.
fn commit(chain: &Chain, at: &At, id: u64, output: &[u8], signature: [u8; 64]) -> anyhow::Result<Vec<u8>> {
	let arguments = [
		("job", Value::u128(id.into())),
		("output", Value::unnamed_variant("Inline", [Value::from_bytes(output)])),
		("signature", Value::from_bytes(signature)),
	];
	chain.general(at, &call("Inference", "commit", arguments))
}

/// What the service key of an assigned job's worker signs for an output.
async fn payload(chain: &Chain, id: u64, job: &OpenJob, output: &[u8]) -> anyhow::Result<H256> {
	let Stage::Assigned(assignment) = &job.stage else { anyhow::bail!("job {id} is not assigned: {job:?}") };
	let types = digits(chain).await?.record.outputs();
	let output_root = side_root(Side::Output, &types, output).map_err(|error| anyhow::anyhow!("{error:?}"))?;
	let assigned_in = chain.at_number(assignment.assigned_at.into()).await?.block_hash();
	let claim = Claim {
		genesis: H256(chain.genesis().0),
		requester: job.requester.0,
		nonce: job.nonce,
		job: id,
		worker: assignment.worker.0,
		assigned_in: H256(assigned_in.0),
		statement: claim::statement(&H256(job.model), &H256(job.input_root), &H256(output_root)),
		coverage: job.coverage,
		deadline: job.deadline,
	};
	Ok(claim::commit_payload(&claim.hash()))
}

/// The name of the error with which something was refused.
fn name(error: &anyhow::Error) -> String {
	match error.downcast_ref::<Refused>() {
		Some(refused) => refused.name.clone().unwrap_or_else(|| refused.text.clone()),
		None => panic!("not refused in words, but: {error:#}"),
	}
}

/// Submits and expects the pool to say no at once.
async fn pool_refuses(chain: &Chain, bytes: &[u8]) -> String {
	match chain.rpc().author_submit_extrinsic(bytes).await {
		Ok(hash) => panic!("the pool took {hash:?}"),
		Err(error) => name(&rejected(error)),
	}
}

/// Waits until a request is in a worker's hands.
async fn assigned(chain: &Chain, signer: &Keypair, asked: &Request) -> anyhow::Result<(u64, OpenJob)> {
	let (id, block) = request(chain, signer, asked).await?;
	follow_job(chain, id, block, 20, |event| matches!(event, JobEvent::Assigned(_))).await?;
	// The block of the assignment has to be a past one.
	pass_blocks(chain, 1).await?;
	let job = job::open(chain, &chain.best().await?, id).await?;
	Ok((id, job.expect("an assigned job is open")))
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_should_be_refused_by_name_before_anything_is_taken() -> anyhow::Result<()> {
	let node = Node::start("wrong-requests", NodeOptions { no_engine: true, ..Default::default() });
	let chain = node.chain().await?;
	let cli = node.cli();
	let bob = key("//Bob");
	let (image, _) = digit_images().swap_remove(0);
	let good = || digits_request(&chain, &image, 20);
	let before = balances(&chain, &account("//Bob")).await?;

	// The client sees these before it sends anything.
	let folder = Folder::new("hostile");
	let file = |name: &str, bytes: &[u8]| {
		let path = folder.path().join(name);
		std::fs::write(&path, bytes).expect("a temporary file");
		path.to_str().expect("UTF-8").to_owned()
	};
	let (short, garbage) = (file("short.bin", &[0; 17]), file("garbage.png", b"\x89PNG\r\n\x1a\n garbage"));
	let shape = r#"{"inputs": [{"name": "x", "shape": [1, 7], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6, 7]}]}"#;
	let shape = file("shape.json", shape.as_bytes());
	let image = image.to_str().expect("UTF-8");
	for (model, path, account, words) in [
		("digits", short.as_str(), "//Bob", "it has 17 bytes, and the model takes"),
		("digits", garbage.as_str(), "//Bob", "no PNG that can be read"),
		("digits", shape.as_str(), "//Bob", "the model takes"),
		("digits", "/nowhere.png", "//Bob", "cannot read /nowhere.png"),
		("letters", image, "//Bob", "no model named \"letters\""),
		("digits", image, "//Ferdie//nobody", "send it some OPG"),
	] {
		let said = cli.fail(&["infer", model, path, "--account", account])?;
		assert!(said.contains(words), "{said:?} does not say {words:?}");
	}
	for (options, words) in [
		(["--max-fee", "0.001"], "Inference.FeeTooLow"),
		(["--deadline", "1"], "Inference.DeadlineOutOfRange"),
		(["--window", "1"], "Inference.WindowOutOfRange"),
		(["--worker", "//Eve"], "does not serve"),
	] {
		let said = cli.fail(&[["infer", "digits", image, "--account", "//Bob"].as_slice(), &options].concat())?;
		assert!(said.contains(words), "{said:?} does not say {words:?}");
	}
	let untouched = balances(&chain, &account("//Bob")).await?;
	assert_eq!((untouched.free, untouched.nonce), (before.free, before.nonce));

	// Whoever goes around the client meets the chain.
	for (expected, wrong) in [
		("Inference.InputSizeMismatch", Request { input: vec![0; 17], ..good().await? }),
		("Inference.ModelNotFound", Request { model: [7; 32], ..good().await? }),
		("Inference.FeeTooLow", Request { max_fee: 1, ..good().await? }),
		("Inference.MaxOutputOutOfRange", Request { max_output: 1, ..good().await? }),
		("Inference.DeadlineOutOfRange", Request { deadline: 0, ..good().await? }),
		("Inference.WindowOutOfRange", Request { window: Some(0), ..good().await? }),
		("Inference.WorkerDoesNotServe", Request { worker: Some(account("//Eve")), ..good().await? }),
		("Token.FundsUnavailable", Request { max_fee: 1_000_000_000 * OPG, ..good().await? }),
	] {
		let error = chain.submit(&bob, &wrong.call()).await.err().unwrap_or_else(|| panic!("{expected}: it was taken"));
		assert_eq!(name(&error), expected, "{error:#}");
		assert!(error.to_string().len() > expected.len() + 10, "no words: {error:#}");
	}
	// An account with nothing cannot even pay for the transaction.
	let nobody = key("//Ferdie//nobody");
	let error = chain.submit(&nobody, &good().await?.call()).await.err().expect("an account without funds was served");
	assert_eq!(name(&error), "Transaction.Payment");
	// Bytes that are no transaction.
	assert!(chain.rpc().author_submit_extrinsic(&[0xde, 0xad, 0xbe, 0xef]).await.is_err());

	let after = balances(&chain, &account("//Bob")).await?;
	assert_eq!((after.held, after.holds.len()), (0, 0), "something of Bob's is on hold for a request that was refused");
	let jobs: Vec<(u64, OpenJob)> = chain.storage_map(&chain.best().await?, "Inference", "Jobs").await?;
	assert!(jobs.is_empty(), "{jobs:?}");
	assert_eq!(pool(&chain).await?, Vec::<String>::new());
	check_invariants(&chain).await
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_should_not_get_into_the_pool() -> anyhow::Result<()> {
	// No engine and no role: this test is Charlie's node.
	let node = Node::start("wrong-answers", NodeOptions { no_engine: true, ..Default::default() });
	let chain = node.chain().await?;
	let (bob, service, stranger) = (key("//Bob"), key(SERVICE_KEY), key("//Eve"));
	let (image, _) = digit_images().swap_remove(0);
	let length = assay_cli::input::byte_len(&digits(&chain).await?.record.outputs())?;
	let output = vec![0u8; length];

	// Before there is a worker.
	let (early, _) = request(&chain, &bob, &digits_request(&chain, &image, 40).await?).await?;
	let at = chain.best().await?;
	let sent = commit(&chain, &at, early, &output, service.sign(&[0; 32]).0)?;
	assert_eq!(pool_refuses(&chain, &sent).await, "Transaction.Future");
	let unknown = commit(&chain, &at, early + 1_000, &output, service.sign(&[0; 32]).0)?;
	assert_eq!(pool_refuses(&chain, &unknown).await, "Transaction.Stale");

	// By a stranger; over another answer; too long, too short; without a signature.
	let (id, job) = assigned(&chain, &bob, &digits_request(&chain, &image, 40).await?).await?;
	let payload_of_answer = payload(&chain, id, &job, &output).await?;
	let other = vec![1u8; length];
	let at = chain.best().await?;
	let signed = service.sign(&payload_of_answer.0).0;
	for (sent, expected) in [
		(commit(&chain, &at, id, &output, stranger.sign(&payload_of_answer.0).0)?, "Transaction.BadProof"),
		(commit(&chain, &at, id, &other, signed)?, "Transaction.BadProof"),
		(commit(&chain, &at, id, &output, [0; 64])?, "Transaction.BadProof"),
		(commit(&chain, &at, id, &vec![0; length + 1], signed)?, "Transaction.OutputSize"),
		(commit(&chain, &at, id, &[], signed)?, "Transaction.OutputSize"),
	] {
		assert_eq!(pool_refuses(&chain, &sent).await, expected);
	}
	// Longer than any output may be: the runtime cannot even read it.
	let oversized = commit(&chain, &at, id, &vec![0; 200_000], signed)?;
	assert!(chain.rpc().author_submit_extrinsic(&oversized).await.is_err());
	// As a plain transaction of Eve's, who would pay for it.
	let arguments = [
		("job", Value::u128(id.into())),
		("output", Value::unnamed_variant("Inline", [Value::from_bytes(&output)])),
		("signature", Value::from_bytes(signed)),
	];
	let error = chain.submit(&stranger, &call("Inference", "commit", arguments)).await.err();
	assert!(error.is_some(), "Eve committed Charlie");
	assert_eq!(pool(&chain).await?, Vec::<String>::new());

	// The one right answer gets in: what was refused above was refused for its own fault.
	let right = commit(&chain, &at, id, &output, signed)?;
	let included = chain.submit_encoded(&right).await?;
	let events = job::events_in(&included.events)?;
	assert!(events.iter().any(|(_, job, event)| *job == id && matches!(event, JobEvent::Committed(_))), "{events:?}");

	// A second one, the same or another.
	assert!(chain.rpc().author_submit_extrinsic(&right).await.is_err());
	let at = chain.best().await?;
	let second = commit(&chain, &at, id, &other, service.sign(&payload(&chain, id, &job, &other).await?.0).0)?;
	assert_eq!(pool_refuses(&chain, &second).await, "Transaction.Stale");

	// After the deadline.
	let (late, job) = assigned(&chain, &bob, &digits_request(&chain, &image, 10).await?).await?;
	let signed = service.sign(&payload(&chain, late, &job, &output).await?.0).0;
	follow_job(&chain, late, chain.best().await?.block_number(), 30, |event| matches!(event, JobEvent::Expired { .. }))
		.await?;
	let too_late = commit(&chain, &chain.best().await?, late, &output, signed)?;
	assert_eq!(pool_refuses(&chain, &too_late).await, "Transaction.Stale");

	assert_eq!(pool(&chain).await?, Vec::<String>::new());
	let held = balances(&chain, &AccountId32(stranger.public_key().0)).await?.held;
	assert_eq!(held, 0);
	check_invariants(&chain).await
}
