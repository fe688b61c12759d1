//! Bytes that nobody meant as a proof. `scripts/fuzz-judge` runs this for as long as one likes.

use assay_semantics::{
	judge::{check_answer, check_demand, check_proof, check_publication},
	prover::{Investigation, Next, Trace},
	testing::{
		bytes,
		game::{around, flip, lie},
		nodes::Kind,
		Rng,
	},
	trace,
};
use codec::Encode;
use std::time::{Duration, Instant};

#[test]
fn judge_should_neither_panic_nor_convict_the_honest_when_fed_anything() {
	let seconds = std::env::var("ASSAY_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
	let seed = std::env::var("ASSAY_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
	let (since, mut rng, mut tried, mut said) = (Instant::now(), Rng(seed), 0u64, Duration::ZERO);
	while since.elapsed() < Duration::from_secs(seconds) {
		if since.elapsed() >= said {
			println!("{tried} messages after {:?}; seed {seed}", since.elapsed());
			said += Duration::from_secs(60);
		}
		let (model, inputs, node) = {
			let kind = rng.pick(Kind::ALL);
			around(&mut rng, kind)
		};
		let values = trace(&model, &inputs).expect("a valid model on its own inputs");
		if values[node].bytes.is_empty() {
			continue;
		}
		let mut wrong = values.clone();
		lie(&model, &mut wrong, node, true, |value| flip(&mut rng, value));
		let honest = Trace::new(&model, values.clone());
		let honest_root = honest.root();
		let worker = Trace::new(&model, wrong);
		let (id, input, output, root) = (model.id(), worker.input_root(), worker.output_root(), worker.root());
		let publication = worker.publication();
		let mut messages = vec![publication.encode()];
		let mut investigation = Investigation::new(honest, &output, &publication).expect("it is published right");
		let mut states = None;
		let proof = loop {
			match investigation.next() {
				Next::Agree => break None,
				Next::Prove(proof) => break Some(proof.encode()),
				Next::Demand(demand, evidence) => {
					let answer = worker.open(&demand).expect("it is there");
					states = answer.opening.states_root(&demand);
					investigation.learn(&demand, &answer.opening).expect("it is right");
					messages.extend([demand.encode(), evidence.encode(), answer.encode()]);
				}
			}
		};
		let Some(proof) = proof else { continue };
		// The right proof convicts the liar and nobody else.
		assert!(check_proof(&id, &root, states.as_ref(), &proof).is_ok());
		assert!(check_proof(&id, &honest_root, states.as_ref(), &proof).is_err());
		for _ in 0..20 {
			let mut bytes = proof.clone();
			bytes::mutate(&mut rng, &mut bytes, &[]);
			let _ = check_proof(&id, &root, states.as_ref(), &bytes);
			assert!(check_proof(&id, &honest_root, states.as_ref(), &bytes).is_err(), "{bytes:?}");
			let mut bytes = messages[rng.below(messages.len() as u64) as usize].clone();
			bytes::mutate(&mut rng, &mut bytes, &[]);
			let other = &messages[rng.below(messages.len() as u64) as usize];
			let _ = check_publication(&id, &input, &output, &bytes);
			let _ = check_demand(&id, &bytes, other);
			let _ = check_demand(&id, other, &bytes);
			let _ = check_answer(&id, &root, other, &bytes);
			tried += 6;
		}
	}
	assert!(tried > 0, "nothing was tried in {seconds} s");
	println!("{tried} messages");
}
