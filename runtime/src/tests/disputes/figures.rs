//! What disputes take. `cargo test -p assay-runtime figures -- --nocapture` prints the table of `docs/benchmarks.md`.

use super::*;

/// What one dispute took, from the seal to the verdict.
struct Figures {
	transactions: usize,
	/// The publication included.
	openings: usize,
	blocks: BlockNumber,
	bytes: usize,
	/// What the challenger paid for transactions.
	fees: Balance,
	proof: usize,
}

impl Figures {
	/// Transactions and openings.
	fn numbers(&self) -> (usize, usize) {
		(self.transactions, self.openings)
	}
}

fn opg(amount: Balance) -> String {
	format!("{:.3}", amount as f64 / OPG as f64)
}

/// Charlie lies, Dave proves it, by a proof of this kind if one is given; everything is asserted, and the figures are printed.
fn figures(name: &str, case: Case, kind: impl Into<Option<ProofKind>>) -> Figures {
	let (mut figures, kind) = (None, kind.into());
	on_a_chain(|chain| {
		let claim = lie(chain, &case);
		let books = Books::open(chain, &claim);
		let begin = System::block_number();
		let play = Play::new(&claim, Dave, case.honest(), case.lying());
		let proven = play.convict(chain);
		assert!(kind.is_none_or(|kind| kind == proven), "{proven:?}");
		let blocks = System::block_number() - begin;
		let grounds = assert_convicted(chain, &books, &claim, Dave);
		let Grounds::Proof(verdict) = grounds else { panic!("{grounds:?}") };
		assert_eq!(verdict.value as usize, case.lie_at);
		let sent = &chain.sent[books.sent..];
		let openings = sent.iter().filter(|sent| ["publish", "open"].contains(&sent.call)).count();
		let bytes = sent.iter().map(|sent| sent.bytes).sum();
		let proof = sent.iter().find(|sent| sent.call == "prove").unwrap().bytes;
		let fees = books.fees(chain, &Dave.to_account_id());
		figures = Some(Figures { transactions: sent.len(), openings, blocks, bytes, fees, proof });
		assert_forgotten(chain);
	});
	let figures = figures.unwrap();
	let Figures { transactions, openings, blocks, bytes, fees, proof } = figures;
	let (operators, parameters) = (case.operators(), case.parameters());
	let (values, largest) = (case.model.nodes().len(), case.largest());
	println!(
		"| {name} | {operators} | {parameters} | {values} | {largest} | {transactions} | {openings} | {blocks} | {bytes} | {proof} | {} |",
		opg(fees)
	);
	assert!(figures.bytes <= 256 * 1024);
	let least = configs::ChallengerShare::get().mul_floor(OPG);
	assert!(figures.fees < least, "the smallest reward pays for the dispute: relation 2");
	figures
}

#[test]
fn sample_model() {
	assert_eq!(figures("sample model", models::digits(), ProofKind::Element).numbers(), (8, 3));
}

#[test]
fn residual_network() {
	let case = models::residual();
	assert!(case.operators() >= 100 && case.parameters() >= 1_000_000);
	assert_eq!(figures("residual network", case, ProofKind::Element).numbers(), (8, 3));
}

#[test]
fn more_than_1024_values() {
	let case = models::many_values();
	assert!(case.model.nodes().len() > 1_024);
	assert_eq!(figures("more than 1,024 values", case, ProofKind::Element).numbers(), (10, 4));
}

#[test]
fn as_many_elements_as_1024_tiles_hold_each_a_long_fold() {
	let case = models::wide(64, 0);
	assert_eq!(case.largest(), 262_144);
	assert_eq!(figures("262,144 elements, long fold", case, ProofKind::Finish).numbers(), (10, 4));
}

#[test]
fn more_elements_than_1024_tiles_hold_each_a_long_fold() {
	let case = models::wide(65, 0);
	assert!(case.largest() > 262_144);
	assert_eq!(figures("more than 1,024 tiles, long fold", case, ProofKind::Finish).numbers(), (12, 5));
}

#[test]
fn everything_at_once() {
	let case = models::wide(65, 1_100);
	assert_eq!(figures("all of that at once", case, ProofKind::Finish).numbers(), (14, 6));
}

/// Models that people have, as `scripts/models` makes them: the small ones must be there, `scripts/models --large` makes the others.
#[test]
fn whole_models() {
	for (name, set) in
		[("encoder-opset17", 3), ("light-squeezenet", 0), ("light-resnet50", 0), ("bert-base-opset17", 0)]
	{
		let there = assay_onnx_suite::models::folder().join(name).exists();
		if !there && ["light-resnet50", "bert-base-opset17"].contains(&name) {
			println!("| {name} | is not there: scripts/models --large |");
			continue;
		}
		let took = figures(name, models::whole(name, set), None);
		assert!(took.openings <= 5 && took.transactions <= 12, "{name}");
	}
}
