//! What the store takes, and what it refuses.

mod support;

use assay_semantics::{evaluate, Tensor};
use assay_server::{EngineOptions, ModelId, Store, StoreError};
use support::{evaluated, imported, shade, Folder, Server, DIGITS};

#[test]
fn model_should_come_back_when_it_was_put() {
	let folder = Folder::new();
	let store = Store::open(folder.0.join("deep/store")).unwrap();
	assert_eq!(store.list().unwrap(), []);
	assert!(matches!(store.get(DIGITS.1), Err(StoreError::Unknown(id)) if id == DIGITS.1));
	for _ in 0..2 {
		assert_eq!(store.put(&DIGITS.0).unwrap(), DIGITS.1);
	}
	std::fs::write(folder.0.join("deep/store/notes.txt"), "not a model").unwrap();
	assert_eq!(store.list().unwrap(), [DIGITS.1]);
	assert_eq!(store.get(DIGITS.1).unwrap().id(), DIGITS.1 .0);
	// No temporary file is left beside the model and the note.
	assert_eq!(std::fs::read_dir(folder.0.join("deep/store")).unwrap().count(), 2);
}

#[test]
fn file_should_be_refused_and_kept_when_one_byte_of_it_is_wrong() {
	let folder = Folder::new();
	let store = Store::open(&folder.0).unwrap();
	store.put(&DIGITS.0).unwrap();
	let path = store.path(DIGITS.1);
	// A bit of a weight, a bit of the front, and a file that ends early.
	let weight = DIGITS.0.len() - 100;
	let flip = |at: usize| {
		let mut damaged = DIGITS.0.clone();
		damaged[at] ^= 1;
		damaged
	};
	for damaged in [flip(weight), flip(0), DIGITS.0[..weight].to_vec(), Vec::new()] {
		std::fs::write(&path, &damaged).unwrap();
		let error = store.get(DIGITS.1).expect_err("refused");
		assert!(matches!(error, StoreError::Refused { .. }), "{error}");
		assert!(error.to_string().contains("is refused"), "{error}");
		assert_eq!(std::fs::read(&path).unwrap(), damaged);
	}
	assert!(matches!(store.put(&DIGITS.0[..weight]), Err(StoreError::NoArtifact(_))));
	store.put(&DIGITS.0).unwrap();
	store.get(DIGITS.1).unwrap();
}

#[test]
fn file_should_be_refused_when_it_has_the_name_of_another_model() {
	let folder = Folder::new();
	let store = Store::open(&folder.0).unwrap();
	let other = ModelId([7; 32]);
	std::fs::write(store.path(other), &DIGITS.0).unwrap();
	let error = store.get(other).expect_err("refused").to_string();
	assert!(error.contains(&DIGITS.1.to_string()), "{error}");
}

#[test]
fn store_should_say_what_is_wrong_when_its_folder_is_a_file() {
	let folder = Folder::new();
	let path = folder.0.join("file");
	std::fs::write(&path, "").unwrap();
	let error = Store::open(&path).expect_err("refused").to_string();
	assert!(error.contains("cannot make the folder") && error.contains("file"), "{error}");
}

#[test]
fn server_should_name_the_damage_and_recover_when_the_file_is_replaced() {
	let server = Server::start(EngineOptions::default());
	let path = server.engine.store().path(DIGITS.1);
	let mut damaged = DIGITS.0.clone();
	*damaged.last_mut().unwrap() ^= 1;
	std::fs::write(&path, damaged).unwrap();
	for answer in [server.put("a", &shade(1), 2000), server.get(&format!("/v2/models/{}/ready", DIGITS.1))] {
		assert_eq!(answer.status, 500);
		assert!(answer.error().contains("is refused"), "{}", answer.error());
	}
	server.engine.store().put(&DIGITS.0).unwrap();
	assert_eq!(server.put("a", &shade(1), 2000).status, 200);
}

#[test]
fn model_should_stay_whole_when_its_file_is_replaced_and_removed() {
	let folder = Folder::new();
	let store = Store::open(&folder.0).unwrap();
	store.put_model(&imported()).unwrap();
	assert!(std::fs::read(store.path(DIGITS.1)).unwrap() == DIGITS.0);
	let model = store.get(DIGITS.1).unwrap();
	store.put(&DIGITS.0).unwrap();
	std::fs::remove_file(store.path(DIGITS.1)).unwrap();
	let input = Tensor::new(model.header().inputs[0].clone(), shade(3)).unwrap();
	assert_eq!(evaluate(&model, &[input]).unwrap()[0].bytes, evaluated(&shade(3)));
}
