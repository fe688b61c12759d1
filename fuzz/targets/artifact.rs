//! A stranger's artifact: refused in words, or the one artifact of its model.
#![no_main]

use assay_import::{read_artifact, write_artifact};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
	match read_artifact(file) {
		Ok(model) => assert!(write_artifact(&model) == file),
		Err(error) => assert!(!error.to_string().is_empty()),
	}
});
