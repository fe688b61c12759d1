//! A stranger's ONNX file: refused in words, or a model that its artifact holds whole.
#![no_main]

use assay_import::{import_onnx, read_artifact, write_artifact};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
	match import_onnx(file) {
		// A small file can ask for 2 GiB of constants. Copies of that say nothing new.
		Ok(model) if model.weights().iter().map(|weight| weight.bytes.len()).sum::<usize>() > 1 << 24 => {}
		Ok(model) => assert_eq!(read_artifact(&write_artifact(&model)).expect("our own artifact"), model),
		Err(error) => assert!(!error.to_string().is_empty()),
	}
});
