//! A hundred requests at once.

use assay_cli::{amount::OPG, infer::Request, job, types::JobEvent, worker};
use assay_tests::{account, check_invariants, digit_images, digits_request, key, next_block, pool, Node, NodeOptions};
use std::collections::BTreeMap;

const REQUESTS: u64 = 100;
/// Jobs that the worker computes at once: fewer than there are.
const CAPACITY: u32 = 30;
/// What each requester stands to lose: so much that the worker's stake covers about sixty jobs.
const COVERAGE: u128 = 825 * OPG;
/// Blocks for an answer: some jobs have to wait until others have settled.
const DEADLINE: u32 = 200;
/// Blocks in which all must have settled. They wait for the worker's capacity, and for their windows.
const LIMIT: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn hundred_requests_at_once_should_all_settle_within_capacity_and_coverage() -> anyhow::Result<()> {
	let node = Node::start("hundred", NodeOptions::default());
	let chain = node.chain().await?;
	let (bob, charlie) = (key("//Bob"), account("//Charlie"));
	let images = digit_images();

	let capacity = CAPACITY.to_string();
	let serve = ["worker", "serve", "digits", "--account", "//Charlie", "--capacity", &capacity, "--min-deadline", "3"];
	node.cli().succeed(&serve)?;

	// All from one account, numbered one after the other, sent without waiting for any.
	let at = chain.best().await?;
	let first = chain.next_nonce(&account("//Bob")).await?;
	let mut labels = Vec::new();
	for index in 0..REQUESTS {
		let (image, label) = &images[usize::try_from(index)? % images.len()];
		let request = digits_request(&chain, image, DEADLINE).await?;
		let quote: Option<u128> = chain.view(&at, "Inference", "quote", (request.model, COVERAGE, DEADLINE)).await?;
		let max_fee = quote.expect("Charlie serves the model");
		let request = Request { max_fee, coverage: COVERAGE, ..request };
		let bytes = chain.sign_at(&at, &bob, &request.call(), first + index)?;
		chain.rpc().author_submit_extrinsic(&bytes).await?;
		labels.push(*label);
	}

	let mut states: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
	let (mut most_in_flight, mut most_covered, mut bonded, mut settled) = (0, 0, 0, 0);
	let mut blocks = chain.follow(at.block_number()).await?;
	for _ in 0..LIMIT {
		let at = next_block(&mut blocks).await?;
		for (_, id, event) in job::events_in(&at.events().fetch().await?)? {
			let state = states.entry(id).or_default();
			match event {
				JobEvent::Committed(_) => state.0 += 1,
				JobEvent::Settled(_) => {
					state.1 += 1;
					settled += 1;
				}
				JobEvent::Missed { .. } | JobEvent::Expired { .. } | JobEvent::Declined { .. } => {
					panic!("job {id}: {event:?}")
				}
				_ => (),
			}
		}
		let status: Option<assay_cli::types::WorkerStatus> =
			chain.view(&at, "Workers", "worker_status", (charlie.0,)).await?;
		let status = status.expect("Charlie is a worker");
		assert!(status.covered <= status.bonded, "block {}: {status:?}", at.block_number());
		(most_covered, bonded) = (most_covered.max(status.covered), status.bonded);
		for (_, terms, in_flight) in &status.services {
			assert!(*in_flight <= terms.capacity, "block {}: {status:?}", at.block_number());
			most_in_flight = most_in_flight.max(*in_flight);
		}
		if settled == REQUESTS {
			break;
		}
	}
	assert_eq!(settled, REQUESTS, "not all settled within {LIMIT} blocks: {states:?}");
	assert!(states.values().all(|state| *state == (1, 1)), "{states:?}");
	// Both limits were reached, or this test would show nothing.
	assert_eq!(most_in_flight, CAPACITY);
	assert!(bonded - most_covered < 2 * COVERAGE + 2 * OPG, "{most_covered} of {bonded} was set aside at most");

	// Each has the answer to its own question.
	let at = chain.best().await?;
	let outputs = assay_tests::digits(&chain).await?.record.outputs();
	for (id, label) in states.keys().zip(labels) {
		let result = job::result(&chain, &at, *id).await?.expect("the result is kept for a while");
		assert_eq!(job::answer(result.output.bytes(), &outputs).json["class"], label, "job {id}");
	}
	let status = worker::status(&chain, &charlie).await?.expect("Charlie is a worker");
	assert_eq!((status.covered, status.open_claims), (0, 0));
	assert!(pool(&chain).await?.is_empty());
	check_invariants(&chain).await
}
