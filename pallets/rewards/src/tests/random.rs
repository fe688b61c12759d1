//! Random stakes, fees, faults and payouts, with every invariant checked after each.

use super::*;
use assay_semantics::testing::Rng;

#[test]
fn issuance_should_change_by_what_is_minted_and_burned_when_calls_are_random() {
	for seed in 1..=4 {
		ExtBuilder::default().with_emission().build_and_execute(|| {
			let mut random = Rng(0x9E37_79B9_7F4A_7C15 ^ (seed << 32));
			HeartbeatLifetime::set(5);
			let mut issuance = Balances::total_issuance();
			let (mut burned, mut payouts) = (0, 0);
			for _ in 0..2_500 {
				run_to(System::block_number() + (random.below(4) / 3) as u32);
				let who = random.below(13) + 1;
				match random.below(7) {
					0 | 1 => Rewards::set_active_stake(&who, random.below(1_000).into()),
					2 => {
						let fault = [Fault::MissedDeadline, Fault::Declined][random.below(2) as usize];
						Rewards::note_fault(&who, fault);
					}
					6 => {
						let due = Rewards::heartbeat_due(&who);
						Rewards::note_heartbeat(&who);
						assert!(!due || !Rewards::heartbeat_due(&who));
					}
					3 => {
						let era = (CurrentEra::<Test>::get().index + 1).saturating_sub(random.below(6) as u32);
						let minted = TotalMinted::<Test>::get();
						let claimable = Rewards::claimable(who).into_iter().find(|(e, _)| *e == era);
						let paid = payout(who, era).is_ok();
						let amount = TotalMinted::<Test>::get() - minted;
						assert_eq!(amount, claimable.filter(|_| paid).map_or(0, |(_, amount)| amount));
						issuance += amount;
						payouts += u32::from(paid);
					}
					4 if random.below(4) == 0 => {
						let minted = TotalMinted::<Test>::get();
						let claimable: Balance = Rewards::claimable(who).into_iter().map(|(_, amount)| amount).sum();
						Rewards::payout_all(&who);
						let amount = TotalMinted::<Test>::get() - minted;
						assert!(amount == claimable || amount == 0);
						issuance += amount;
						payouts += u32::from(amount > 0);
					}
					_ => {
						let fee = random.below(300).into();
						hold_fee(BOB, fee);
						let royalty = Permill::from_parts(random.below(1_000_000) as u32);
						let shares =
							Rewards::pay_out(&BOB, &fee_reason(), fee, &who, royalty, &(random.below(15) + 1)).unwrap();
						assert_eq!(shares.total(), fee);
						assert_eq!(held(BOB), 0);
						issuance -= shares.burned;
						burned += shares.burned;
					}
				}
				Rewards::do_try_state().unwrap();
				assert_eq!(Balances::total_issuance(), issuance);
			}
			assert!(burned > 0 && payouts > 5, "{burned} burned, {payouts} payouts");
			assert!(TotalMinted::<Test>::get() <= EMISSION_TOTAL);
		});
	}
}
