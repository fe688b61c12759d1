//! Disputes about the sample model: a lie in any of its values is found and proven.

use assay_import::read_artifact;
use assay_semantics::{
	judge::Verdict,
	prover::Trace,
	testing::{
		game::{flip, lie, play, Outcome},
		Rng,
	},
	trace, Op, Tensor,
};
use std::path::Path;

#[test]
fn liar_about_digits_should_be_convicted() {
	let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits/digits.assay");
	let Ok(bytes) = std::fs::read(&path) else { return };
	let model = read_artifact(&bytes).unwrap();
	let image: Vec<f32> = (0..64).map(|i| ((i * 7) % 16) as f32 / 15.0).collect();
	let own = trace(&model, &[Tensor::from_f32([1, 1, 8, 8], &image).unwrap()]).unwrap();
	let mut rng = Rng(1);
	let (mut most, mut sum, mut games) = (0, 0, 0);
	for value in 0..own.len() {
		if matches!(model.nodes()[value].op, Op::Input(_)) {
			continue;
		}
		for _ in 0..8 {
			let mut values = own.clone();
			lie(&model, &mut values, value, true, |t| flip(&mut rng, t));
			let worker = Trace::new(&model, values);
			let outcome = play(Trace::new(&model, own.clone()), &worker, &worker.output_root(), &|_| {});
			let Outcome::Convicted { bytes, verdict: Verdict::Wrong { at, .. }, .. } = outcome else {
				panic!("{outcome:?}")
			};
			assert_eq!(at.value as usize, value);
			most = most.max(bytes);
			sum += bytes;
			games += 1;
		}
	}
	println!("{games} games, proofs of {} bytes, at most {most}", sum / games);
	let worker = Trace::new(&model, own.clone());
	assert_eq!(play(Trace::new(&model, own), &worker, &worker.output_root(), &|_| {}), Outcome::Agreed);
}
