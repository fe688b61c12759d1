//! The body of a request for an inference: refused in words, or answered.
#![no_main]

use std::sync::LazyLock;

use assay_semantics::Model;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
	assay_import::read_artifact(include_bytes!("../../models/digits/digits.assay")).expect("the sample model")
});

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
	// Without the header that says where JSON ends, with 0, and with what the fuzzer likes.
	for header in [None, Some(0), body.first().map(|n| usize::from(*n) * 4)] {
		match assay_server::try_body(&MODEL, header, body) {
			Ok(answer) => assert!(answer.starts_with(b"{\"model_name\"")),
			Err(words) => assert!(!words.is_empty()),
		}
	}
});
