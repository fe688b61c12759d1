//! Prints what ONNX's own tests give. See `scripts/onnx-suite`.

use assay_onnx_suite::{report, run};

fn main() -> std::io::Result<()> {
	report::main(&std::env::args().skip(1).collect::<Vec<_>>(), &run)
}
