//! What the judge takes for a step of each operator in Wasm, measured on proofs about random nodes of the largest kind: in picoseconds,
//! and more for each operand. `scripts/weights` writes this file.

/// Operator, picoseconds, picoseconds for each operand.
pub const STEPS: &[(&str, u64, u64)] = &[
	("Binary", 300_000_000, 0),
	("BitCast", 300_000_000, 0),
	("Cast", 300_000_000, 0),
	("Concat", 300_000_000, 0),
	("Conv", 300_000_000, 0),
	("Expand", 300_000_000, 0),
	("Gather", 300_000_000, 0),
	("MatMul", 300_000_000, 0),
	("Pad", 300_000_000, 0),
	("Pool", 300_000_000, 0),
	("Prefix", 300_000_000, 0),
	("Quantize", 300_000_000, 0),
	("Rank", 300_000_000, 0),
	("Reduce", 300_000_000, 0),
	("Resample", 300_000_000, 0),
	("Reshape", 300_000_000, 0),
	("Sample", 300_000_000, 0),
	("Scatter", 300_000_000, 0),
	("Select", 300_000_000, 0),
	("Slice", 300_000_000, 0),
	("Transpose", 300_000_000, 0),
	("Unary", 300_000_000, 0),
];
