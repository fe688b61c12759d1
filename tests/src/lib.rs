//! What the end-to-end tests share: real processes, a real network on the loopback device, a view of the whole state.
//!
//! Nothing here waits for seconds to pass: waits are for events or blocks, and bounded in blocks. The wall clock appears only
//! as a limit after which a process that says nothing is taken for dead.

mod island;
mod operator;
mod process;
mod spec;
mod state;

pub use island::Island;
pub use operator::{get, Operator};
pub use process::{free_address, Cli, CliOutput, Engine, Folder, Local, Node, NodeOptions, Watchtower};
pub use spec::{spec_of, Spec};
pub use state::{check_invariants, save_state};

use anyhow::{bail, Context};
use assay_cli::{
	account::Who,
	chain::{At, Chain},
	follow::Follower,
	infer::Request,
	job,
	models::{self, OnChain},
	types::JobEvent,
};
use std::{path::PathBuf, time::Duration};
use subxt_signer::sr25519::Keypair;

/// Charlie's service key on the development chain.
pub const SERVICE_KEY: &str = "//Charlie//service";
/// After this long without a block, a node is taken for dead. Blocks are 3 s apart.
pub const NO_BLOCK: Duration = Duration::from_secs(60);

/// The repository.
pub fn repository() -> PathBuf {
	PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Images of handwritten digits that the sample model was not trained on and reads right, with what is on them.
pub fn digit_images() -> Vec<(PathBuf, u64)> {
	#[derive(serde::Deserialize)]
	struct Expected {
		image: String,
		label: u64,
		predicted: u64,
	}
	let folder = repository().join("models/digits");
	let text = std::fs::read_to_string(folder.join("expected.json")).expect("models/digits/expected.json");
	let expected: Vec<Expected> = serde_json::from_str(&text).expect("models/digits/expected.json");
	let right = expected.into_iter().filter(|expected| expected.label == expected.predicted);
	let images: Vec<_> = right
		.map(|expected| (folder.join("images").join(expected.image), expected.label))
		.filter(|(path, _)| path.is_file())
		.collect();
	assert!(images.len() >= 40, "{} has only {} images that the model reads right", folder.display(), images.len());
	images
}

/// A development key, such as `//Bob`.
pub fn key(name: &str) -> Keypair {
	let who: Who = name.parse().expect("the name of a development key");
	who.signer().expect("a development key")
}

/// The account of a development key.
pub fn account(name: &str) -> subxt::utils::AccountId32 {
	subxt::utils::AccountId32(key(name).public_key().0)
}

/// The sample model on a chain.
pub async fn digits(chain: &Chain) -> anyhow::Result<OnChain> {
	let at = chain.best().await?;
	models::find(chain, &at, "digits").await
}

/// A request to the sample model with an image as its input, at the fee that the dearest worker asks.
pub async fn digits_request(chain: &Chain, image: &std::path::Path, deadline: u32) -> anyhow::Result<Request> {
	let model = digits(chain).await?;
	let at = chain.best().await?;
	let input = assay_cli::input::read(image, &model.record.inputs(), &[])?;
	let fee: Option<u128> = chain.view(&at, "Inference", "quote", (model.id, 0u128, deadline)).await?;
	Ok(Request {
		model: model.id,
		input: input.bytes,
		max_fee: fee.context("nobody serves the sample model")?,
		coverage: 0,
		max_output: u32::try_from(assay_cli::input::byte_len(&model.record.outputs())?)?,
		deadline,
		window: None,
		worker: None,
	})
}

/// Submits a request and says which job it became, and from which block on to look for it: a reorganisation may bring it into an
/// earlier block than the one that it was in first.
pub async fn request(chain: &Chain, signer: &Keypair, request: &Request) -> anyhow::Result<(u64, u64)> {
	let from = chain.finalised().await?.block_number() + 1;
	let included = chain.submit(signer, &request.call()).await?;
	for (phase, job, event) in job::events_in(&included.events)? {
		if included.caused(phase) && matches!(event, JobEvent::Requested { .. }) {
			return Ok((job, from));
		}
	}
	bail!("the request is in block {} and became no job", included.block)
}

/// The next block; an error if there is none for long.
pub async fn next_block(blocks: &mut Follower<'_>) -> anyhow::Result<At> {
	tokio::time::timeout(NO_BLOCK, blocks.next()).await.context("the node produces no blocks")?
}

/// What happened to one job, block by block from `from` on, until `done` says that it is enough. At most `limit` blocks.
pub async fn follow_job(
	chain: &Chain,
	job: u64,
	from: u64,
	limit: u64,
	done: impl FnMut(&JobEvent) -> bool,
) -> anyhow::Result<Vec<(u64, JobEvent)>> {
	follow_job_behind(chain, job, from, limit, 0, done).await
}

/// Like [`follow_job`], each block only when `depth` blocks lie on it: among several validators, short reorganisations are common.
pub async fn follow_job_behind(
	chain: &Chain,
	job: u64,
	from: u64,
	limit: u64,
	depth: u64,
	mut done: impl FnMut(&JobEvent) -> bool,
) -> anyhow::Result<Vec<(u64, JobEvent)>> {
	let mut seen = Vec::new();
	let mut blocks = chain.follow_behind(from.saturating_sub(1), depth).await?;
	for _ in 0..limit {
		let at = next_block(&mut blocks).await?;
		// Where the chain changed its mind, what was seen before has not happened.
		seen.retain(|(block, _)| *block < at.block_number());
		let events = at.events().fetch().await?;
		for (_, _, event) in job::events_in(&events)?.into_iter().filter(|(_, id, _)| *id == job) {
			let enough = done(&event);
			seen.push((at.block_number(), event));
			if enough {
				return Ok(seen);
			}
		}
	}
	bail!("job {job} did not get there within {limit} blocks of block {from}: {seen:#?}")
}

/// Waits until the chain finalises: then validators have found each other, and what they made alone is gone.
pub async fn finality(chain: &Chain) -> anyhow::Result<()> {
	finalised(chain, 1).await
}

/// Waits until a block is final.
pub async fn finalised(chain: &Chain, block: u64) -> anyhow::Result<()> {
	const LIMIT: usize = 60;
	let mut blocks = chain.follow(block.saturating_sub(1)).await?;
	for _ in 0..LIMIT {
		next_block(&mut blocks).await?;
		if chain.finalised().await?.block_number() >= block {
			return Ok(());
		}
	}
	bail!("block {block} was not final {LIMIT} blocks later")
}

/// Lets `count` blocks pass.
pub async fn pass_blocks(chain: &Chain, count: u64) -> anyhow::Result<()> {
	let mut blocks = chain.follow(chain.best().await?.block_number()).await?;
	for _ in 0..count {
		next_block(&mut blocks).await?;
	}
	Ok(())
}

/// The transactions that wait in the node's pool.
pub async fn pool(chain: &Chain) -> anyhow::Result<Vec<String>> {
	let pending = chain.raw().request("author_pendingExtrinsics", subxt::rpcs::rpc_params![]).await;
	pending.context("cannot look into the pool")
}
