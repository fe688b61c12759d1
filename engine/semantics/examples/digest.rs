//! A digest of what the reference gives for random nodes with hostile values, for each kind of operator: the same
//! lines on every machine. `scripts/test-aarch64` compares two. An argument says how many nodes of each kind.

use assay_semantics::{
	evaluate_node, hash,
	testing::{
		nodes::{Kind, Size},
		tensor, Rng,
	},
	Hash, Tensor,
};

fn main() {
	let count: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(300);
	for kind in Kind::ALL {
		let mut digest = Hash::default();
		for seed in 0..count {
			let mut rng = Rng(seed);
			let (op, types, _) = kind.random(&mut rng, Size::Small);
			let operands: Vec<Tensor> = types.iter().map(|ty| tensor(&mut rng, ty)).collect();
			let out = evaluate_node(&op, &operands.iter().collect::<Vec<_>>()).expect("a valid node");
			digest = hash(b"assay/digest", &[&digest, out.ty.to_string().as_bytes(), &out.bytes]);
		}
		let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
		println!("{hex} {kind:?}");
	}
}
