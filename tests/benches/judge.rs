//! What the judge takes in the Wasm runtime of a running node for a step of each operator.
//!
//! `cargo bench --workspace --bench judge` prints a table, and writes it to the file named in `WEIGHTS` as the runtime's weights. A
//! proof's time is the least of several calls less the least of as many with bytes of the same length that are no proof; an
//! operator's is that of the dearest of its proofs.

use assay_cli::chain::{At, Chain};
use assay_semantics::{
	judge::operator_of,
	testing::{
		game::{convicting, Case},
		nodes::Kind,
		Rng,
	},
};
use assay_tests::{Node, NodeOptions};
use codec::Encode;
use std::{
	collections::BTreeMap,
	fmt::Write,
	time::{Duration, Instant},
};

/// Proofs for each kind of operator.
const CASES: usize = 120;
/// Calls for each proof, of which the fastest counts.
const CALLS: usize = 4;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
	let node = Node::start("bench-judge", NodeOptions { no_engine: true, ..Default::default() });
	let chain = node.chain().await?;
	let at = chain.best().await?;
	let mut rng = Rng(11);
	// Least time by operator and number of operands.
	let mut times: BTreeMap<&str, BTreeMap<u64, Duration>> = BTreeMap::new();
	for kind in Kind::ALL {
		let cases = std::iter::repeat_with(|| convicting(&mut rng, *kind)).take(20 * CASES).flatten().take(CASES);
		for case in cases.collect::<Vec<_>>() {
			let Some((name, operands)) = operator_of(&case.proof) else { continue };
			let spent = judged(&chain, &at, case).await?;
			let most = times.entry(name).or_default().entry(operands as u64).or_default();
			*most = spent.max(*most);
		}
	}
	let mut table = String::from(HEAD);
	for (name, by_operands) in times {
		let (base, each) = line(&by_operands);
		println!("{name:<12} {:>6} us and {:>4} for each operand", base / 1_000_000, each / 1_000_000);
		writeln!(table, "\t(\"{name}\", {base}, {each}),")?;
	}
	table.push_str("];\n");
	if let Ok(file) = std::env::var("WEIGHTS") {
		std::fs::write(file, table)?;
	}
	Ok(())
}

/// A line in picoseconds above all these times.
fn line(times: &BTreeMap<u64, Duration>) -> (u64, u64) {
	let picoseconds = |time: &Duration| time.as_nanos() as u64 * 1_000;
	let Some((fewest, least)) = times.first_key_value() else { return (0, 0) };
	let least = picoseconds(least);
	let slope = |(n, time): (&u64, &Duration)| picoseconds(time).saturating_sub(least) / (n - fewest).max(1);
	let each = times.iter().skip(1).map(slope).max().unwrap_or_default();
	(least.saturating_sub(each.saturating_mul(*fewest)), each)
}

/// What judging a proof takes.
async fn judged(chain: &Chain, at: &At, case: Case) -> anyhow::Result<Duration> {
	let mut no_proof = case.proof.clone();
	if let Some(first) = no_proof.first_mut() {
		*first = 0xff;
	}
	let without = fastest(chain, at, &Case { proof: no_proof, ..case.clone() }).await?;
	Ok(fastest(chain, at, &case).await?.saturating_sub(without))
}

async fn fastest(chain: &Chain, at: &At, case: &Case) -> anyhow::Result<Duration> {
	let arguments = (case.model, case.trace_root, &case.states, &case.proof).encode();
	let mut least = Duration::MAX;
	for _ in 0..CALLS {
		let since = Instant::now();
		chain.view_encoded(at, "Disputes", "judge", &arguments).await?;
		least = least.min(since.elapsed());
	}
	Ok(least)
}

const HEAD: &str = "\
//! What the judge takes for a step of each operator, measured in Wasm by `cargo bench --workspace --bench judge`. `scripts/weights` writes
//! this file.

/// Operator, picoseconds, picoseconds for each operand.
pub const STEPS: &[(&str, u64, u64)] = &[
";
