//! Who is drawn.

use super::*;
use std::collections::BTreeMap;

fn three() -> ExtBuilder {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).with_worker(EVE, 3_000, 1).with_worker(FERDIE, 6_000, 1)
}

fn drawn(exclude: &[u64], seed: [u8; 32], bond: Balance) -> Option<u64> {
	Workers::draw(&model(1), exclude, seed, |_| Some(bond)).map(|(who, ..)| who)
}

#[test]
fn draw_should_follow_stake() {
	three().build_and_execute(|| {
		let mut counts = BTreeMap::new();
		for i in 0..2_000u32 {
			let seed = sp_io::hashing::blake2_256(&i.to_le_bytes());
			*counts.entry(drawn(&[], seed, 1).unwrap()).or_insert(0) += 1;
		}
		for (who, expected) in [(CHARLIE, 200), (EVE, 600), (FERDIE, 1_200i32)] {
			let count: i32 = counts[&who];
			assert!((count - expected).abs() < 90, "{who} was drawn {count} times instead of {expected}");
		}
	});
}

#[test]
fn draw_should_cover_the_whole_range_when_seeds_are_extreme() {
	three().build_and_execute(|| {
		assert_eq!(drawn(&[], [0; 32], 1), Some(CHARLIE));
		assert!(drawn(&[], [0xFF; 32], 1).is_some());
		let seed = |n: u32| sp_core::U256::from(n).to_little_endian();
		assert_eq!(drawn(&[], seed(999), 1), Some(CHARLIE));
		assert_eq!(drawn(&[], seed(1_000), 1), Some(EVE));
		assert_eq!(drawn(&[], seed(3_999), 1), Some(EVE));
		assert_eq!(drawn(&[], seed(4_000), 1), Some(FERDIE));
		assert_eq!(drawn(&[], seed(9_999), 1), Some(FERDIE));
		assert_eq!(drawn(&[], seed(10_000), 1), Some(CHARLIE));
	});
}

#[test]
fn draw_should_pass_over_workers_that_cannot_take_the_job() {
	three().build_and_execute(|| {
		assert_eq!(drawn(&[CHARLIE, EVE], [7; 32], 1), Some(FERDIE));
		assert_eq!(drawn(&[CHARLIE, EVE, FERDIE], [7; 32], 1), None);
		assert_eq!(drawn(&[], [0; 32], 3_001), Some(FERDIE));
		assert_eq!(drawn(&[], [0; 32], 6_001), None);
		assert_ok!(Workers::pause(signed(FERDIE)));
		assert_eq!(drawn(&[CHARLIE], [0xFF; 32], 1), Some(EVE));
		for _ in 0..2 {
			assert_ok!(Workers::assign(&EVE, &model(1), 1));
		}
		assert_eq!(drawn(&[CHARLIE], [0xFF; 32], 1), None);
	});
}

#[test]
fn draw_should_ask_for_the_bond_on_the_terms_of_each_worker() {
	three().build_and_execute(|| {
		let dear = Terms { min_price: 1_000, ..terms() };
		assert_ok!(Workers::serve_model(signed(FERDIE), model(1), dear));
		let drawn = Workers::draw(&model(1), &[CHARLIE], [0xFF; 32], |terms| (terms.min_price <= 10).then_some(42));
		assert_eq!(drawn, Some((EVE, terms(), 42)));
	});
}

#[test]
fn draw_should_find_nobody_when_nobody_serves() {
	ExtBuilder::default().build_and_execute(|| {
		assert_eq!(drawn(&[], [1; 32], 0), None);
	});
}
