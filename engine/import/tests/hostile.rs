//! Damaged files never panic: they give an error, or a model that passes its check.

mod common;

use assay_import::{import_onnx, read_artifact, write_artifact, ArtifactError};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Damage {
	Truncate(prop::sample::Index),
	Flip(prop::sample::Index, u8),
	Insert(prop::sample::Index, u8),
	Overwrite(prop::sample::Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
	let one = prop_oneof![
		any::<prop::sample::Index>().prop_map(Damage::Truncate),
		(any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
		(any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
		(any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..12))
			.prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
	];
	prop::collection::vec(one, 1..4)
}

fn apply(mut file: Vec<u8>, list: Vec<Damage>) -> Vec<u8> {
	for damage in list {
		if file.is_empty() {
			break;
		}
		let len = file.len();
		match damage {
			Damage::Truncate(at) => file.truncate(at.index(len)),
			Damage::Flip(at, bit) => file[at.index(len)] ^= 1 << bit,
			Damage::Insert(at, byte) => file.insert(at.index(len), byte),
			Damage::Overwrite(at, bytes) => {
				let start = at.index(len);
				file.iter_mut().skip(start).zip(bytes).for_each(|(f, b)| *f = b);
			}
		}
	}
	file
}

/// The network without most of its weights' bytes, so that damage hits structure.
fn lean() -> Vec<u8> {
	let file = common::network();
	file.bytes()
}

#[test]
fn artifact_should_round_trip_and_be_canonical() {
	let model = import_onnx(&lean()).unwrap();
	let file = write_artifact(&model);
	let again = read_artifact(&file).unwrap();
	assert_eq!(model, again);
	assert_eq!(model.id(), again.id());
	assert_eq!(write_artifact(&again), file);
	assert_eq!(file.len() % 64, 0);
}

#[test]
fn artifact_should_name_the_root_when_content_was_changed() {
	let model = import_onnx(&lean()).unwrap();
	let mut file = write_artifact(&model);
	let last = file.len() - 64;
	file[last] ^= 1;
	let error = read_artifact(&file).unwrap_err();
	assert!(matches!(error, ArtifactError::Header("weight root")), "{error}");
	let mut file = write_artifact(&model);
	file[12] ^= 1;
	assert!(matches!(read_artifact(&file), Err(ArtifactError::Header("ModelId"))));
	file[0] ^= 1;
	assert!(matches!(read_artifact(&file), Err(ArtifactError::Magic)));
}

proptest! {
	#![proptest_config(ProptestConfig::with_cases(1000))]

	#[test]
	fn import_should_not_panic_when_the_file_is_damaged(list in damage()) {
		if let Ok(model) = import_onnx(&apply(lean(), list)) {
			prop_assert!(model.check().is_ok());
			prop_assert_eq!(read_artifact(&write_artifact(&model)).unwrap(), model);
		}
	}

	#[test]
	fn import_should_not_panic_when_the_graph_is_damaged(list in damage()) {
		// Without weights' bytes nearly every damage hits structure; the shapes are all that is left of the weights.
		let mut file = common::network();
		file.graph.initializer.iter_mut().filter(|t| t.data_type == 1).for_each(|t| t.raw_data.clear());
		file.graph.input.extend(file.graph.initializer.iter().filter(|t| t.data_type == 1).map(|t| {
			common::File::new().input(&t.name, &t.dims).graph.input.remove(0)
		}));
		file.graph.initializer.retain(|t| t.data_type != 1);
		let bytes = file.bytes();
		prop_assert!(import_onnx(&bytes).is_ok());
		if let Ok(model) = import_onnx(&apply(bytes, list)) {
			prop_assert!(model.check().is_ok());
		}
	}

	#[test]
	fn import_should_not_panic_when_bytes_are_random(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
		let _ = import_onnx(&bytes);
		let _ = read_artifact(&bytes);
	}

	#[test]
	fn artifact_should_be_refused_when_damaged(list in damage()) {
		let model = import_onnx(&lean()).unwrap();
		let file = write_artifact(&model);
		let damaged = apply(file.clone(), list);
		match read_artifact(&damaged) {
			// Names are outside the id; whatever else was changed is found.
			Ok(read) => prop_assert_eq!(read.id(), model.id()),
			Err(_) => prop_assert!(damaged != file),
		}
	}
}
