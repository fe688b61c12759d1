//! The judge in the Wasm runtime of a running node, beside the same code built natively: the same verdicts, the same faults, on
//! proofs about every operator, right and mutated.

use assay_cli::chain::{At, Chain};
use assay_runtime::Runtime;
use assay_semantics::testing::{
	game::{convicting, Case},
	nodes::Kind,
	Rng,
};
use assay_tests::{Node, NodeOptions};
use codec::{Decode, Encode};
use pallet_disputes::traits::{Judge, Verdict, VerdictKind};
use sp_core::H256;
use std::time::{Duration, Instant};

/// Proofs for each kind of operator; one in four is judged once more with a bit changed.
const CASES: usize = 1_000;
/// How many of them are timed.
const TIMED: usize = 50;

type Court = <Runtime as pallet_disputes::Config>::Judge;
type Judgement = Result<Verdict, Vec<u8>>;

fn native(case: &Case) -> Judgement {
	let states = case.states.as_ref().map(|(demand, root)| (demand.as_slice(), H256(*root)));
	Court::judge(&H256(case.model), &H256(case.trace_root), states, &case.proof)
		.map_err(|fault| fault.as_bytes().to_vec())
}

/// Bytes of the same length that are no proof.
fn spoil(mut proof: Vec<u8>) -> Vec<u8> {
	if let Some(first) = proof.first_mut() {
		*first = 0xff;
	}
	proof
}

fn arguments(case: &Case) -> Vec<u8> {
	(case.model, case.trace_root, &case.states, &case.proof).encode()
}

/// What judging each of these takes on average, one after the other.
async fn time(chain: &Chain, at: &At, cases: &[Case]) -> anyhow::Result<Duration> {
	let since = Instant::now();
	for case in cases {
		chain.view_encoded(at, "Disputes", "judge", &arguments(case)).await?;
	}
	Ok(since.elapsed() / u32::try_from(cases.len().max(1))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn wasm_judge_should_agree_with_the_native_one_on_every_operator() -> anyhow::Result<()> {
	let node = Node::start("judge", NodeOptions { no_engine: true, ..Default::default() });
	let chain = node.chain().await?;
	let at = chain.best().await?;
	let mut rng = Rng(7);
	for kind in Kind::ALL {
		let (mut convicted, mut refused) = (0, 0);
		let mut cases = Vec::new();
		// Nothing can be said about an empty value; of some kinds, many are.
		let found = std::iter::repeat_with(|| convicting(&mut rng, *kind)).take(20 * CASES).flatten().take(CASES);
		let found: Vec<Case> = found.collect();
		let bytes = found.iter().map(|case| case.proof.len()).sum::<usize>() / found.len().max(1);
		let sample: Vec<Case> = found.iter().take(TIMED).cloned().collect();
		for (number, case) in found.into_iter().enumerate() {
			if number % 4 == 0 {
				let mut mutated = case.clone();
				let at = rng.below(mutated.proof.len() as u64) as usize;
				mutated.proof[at] ^= 1 << rng.below(8);
				cases.push(mutated);
			}
			cases.push(case);
		}
		for chunk in cases.chunks(16) {
			let asked = chunk.iter().map(|case| async {
				let reply = chain.view_encoded(&at, "Disputes", "judge", &arguments(case)).await?;
				anyhow::Ok(Judgement::decode(&mut &reply[..])?)
			});
			for (case, wasm) in chunk.iter().zip(futures::future::join_all(asked).await) {
				let native = native(case);
				match &native {
					Ok(verdict) => {
						assert_eq!(verdict.kind, VerdictKind::Wrong);
						convicted += 1;
					}
					Err(_) => refused += 1,
				}
				assert_eq!(wasm?, native, "{kind:?}");
			}
		}
		// What the same call takes with a proof that does not decode is no work of the judge.
		let spoilt: Vec<Case> = sample.iter().cloned().map(|case| Case { proof: spoil(case.proof), ..case }).collect();
		let spent = time(&chain, &at, &sample).await?.saturating_sub(time(&chain, &at, &spoilt).await?);
		println!(
			"{kind:?}: {convicted} convicted, {refused} refused by both; {bytes} bytes and {spent:?} a proof in Wasm"
		);
		assert!(convicted >= CASES, "{kind:?}: too few cases to say anything");
	}
	Ok(())
}
