//! Models from the first block on.

use super::*;
use crate::Models as ModelsMap;

#[test]
fn genesis_should_register_models_and_hold_deposits() {
	ExtBuilder::default().with_model(DAVE, "digits", &registration(1)).build_and_execute(|| {
		let record = Models::get(&model(1)).expect("registered");
		assert_eq!((record.owner, record.version, record.registered_at), (DAVE, 1, 0));
		assert_eq!(held(DAVE), record.deposit);
		assert!(Models::is_active(&model(1)));
	});
}

#[test]
fn genesis_should_register_versions_when_a_name_is_repeated() {
	ExtBuilder::default()
		.with_model(DAVE, "digits", &registration(1))
		.with_model(DAVE, "digits", &registration(2))
		.build_and_execute(|| {
			assert_eq!(Models::latest(DAVE, name("digits")), Some(model(2)));
			assert_eq!(ModelsMap::<Test>::get(model(2)).map(|record| record.version), Some(2));
		});
}

#[test]
#[should_panic(expected = "genesis: the registration of model `digits` does not decode")]
fn genesis_should_panic_when_bytes_are_left_over() {
	let config = crate::GenesisConfig::<Test> { models: vec![(DAVE, "digits".into(), vec![0u8; 3].into())] };
	sp_io::TestExternalities::default().execute_with(|| frame_support::traits::BuildGenesisConfig::build(&config));
}

#[test]
#[should_panic(expected = "genesis: model `digits` cannot be registered")]
fn genesis_should_panic_when_the_owner_cannot_pay_the_deposit() {
	ExtBuilder::default().with_model(POOR, "digits", &registration(1)).build();
}

#[test]
#[should_panic(expected = "is too long")]
fn genesis_should_panic_when_a_name_is_too_long() {
	ExtBuilder::default().with_model(DAVE, &"x".repeat(65), &registration(1)).build();
}
