//! What the judge takes for a step of each operator, measured in Wasm by `cargo bench --workspace --bench judge`. `scripts/weights` writes
//! this file.

/// Operator, picoseconds, picoseconds for each operand.
pub const STEPS: &[(&str, u64, u64)] = &[
	("Binary", 201995000, 0),
	("BitCast", 363075000, 0),
	("Cast", 217319000, 0),
	("Concat", 149976500, 38599500),
	("Conv", 252664000, 0),
	("Expand", 174719000, 0),
	("Gather", 251164000, 0),
	("MatMul", 451671000, 0),
	("Pad", 265649000, 0),
	("Pool", 267318000, 0),
	("Prefix", 308688000, 0),
	("Quantize", 214289000, 0),
	("Rank", 249811000, 0),
	("Reduce", 237613000, 0),
	("Resample", 452292000, 0),
	("Reshape", 193067000, 0),
	("Sample", 286130000, 0),
	("Scatter", 478421000, 0),
	("Select", 260628000, 0),
	("Slice", 161921000, 0),
	("Transpose", 192936000, 0),
	("Unary", 222831000, 0),
];
