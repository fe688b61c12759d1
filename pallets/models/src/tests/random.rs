//! Random calls, with every invariant checked after each.

use super::*;
use assay_semantics::testing::Rng;

#[test]
fn registry_should_keep_its_invariants_when_calls_are_random() {
	for seed in 1..=8 {
		ExtBuilder::default().build_and_execute(|| {
			let mut random = Rng(0x9E37_79B9_7F4A_7C15 ^ (seed << 32));
			let issuance = Balances::total_issuance();
			let mut accepted = 0;
			for step in 0..400u32 {
				System::set_block_number(5 * step + 1);
				let who = RuntimeOrigin::signed([DAVE, EVE, POOR][random.below(3) as usize]);
				let seed = random.below(6) as u8;
				let name = name(["digits", "words"][random.below(2) as usize]);
				let result = match random.below(6) {
					0 => Models::register_model(who, name, registration(seed)),
					1 | 2 => Models::register_version(who, name, registration(seed)),
					3 => Models::set_price(who, model(seed), random.below(u64::MAX) as u128),
					4 => Models::deprecate_model(who, model(seed)),
					_ => Models::remove_model(who, model(seed)),
				};
				accepted += u32::from(result.is_ok());
				Models::do_try_state().unwrap();
				assert_eq!(Balances::total_issuance(), issuance);
			}
			assert!(accepted > 30, "only {accepted} calls were accepted");
		});
	}
}
