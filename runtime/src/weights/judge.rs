//! What the judge takes for a step of each operator, measured in Wasm by `cargo bench --workspace --bench judge`. `scripts/weights` writes
//! this file.

/// Operator, picoseconds, picoseconds for each operand.
pub const STEPS: &[(&str, u64, u64)] = &[
	("Binary", 165910000, 0),
	("BitCast", 158006000, 0),
	("Cast", 117581000, 0),
	("Concat", 53490000, 14408000),
	("Conv", 121377000, 0),
	("Expand", 194337000, 0),
	("Gather", 157403000, 0),
	("MatMul", 164853000, 0),
	("Pad", 111933000, 0),
	("Pool", 119307000, 0),
	("Prefix", 128781000, 0),
	("Quantize", 223161000, 0),
	("Rank", 124727000, 0),
	("Reduce", 124230000, 0),
	("Resample", 136951000, 0),
	("Reshape", 90747000, 0),
	("Sample", 231217000, 0),
	("Scatter", 174845000, 0),
	("Select", 165037000, 0),
	("Slice", 286687000, 0),
	("Transpose", 108239000, 0),
	("Unary", 149008000, 0),
];
