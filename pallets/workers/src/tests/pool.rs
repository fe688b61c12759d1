//! Shares: never worth more than they cost, and every rounding against whoever moves.

use super::*;
use assay_semantics::testing::Rng;

#[test]
fn nobody_should_gain_by_moving_and_nobody_should_lose_by_others_moving() {
	for seed in 1..=20 {
		let mut random = Rng(0x9E37_79B9_7F4A_7C15 ^ (seed << 32));
		let mut joint = Joint::default();
		let mut holders = [0u128; 4];
		for _ in 0..500 {
			let who = random.below(4) as usize;
			let before = holders.map(|shares| joint.value(shares));
			let slashed = joint.stake > 0 && random.below(8) == 0;
			match random.below(7) {
				_ if slashed => joint.stake -= u128::from(random.below(1_000)).min(joint.stake),
				0..=2 if joint.is_open() => {
					let amount = u128::from(random.below(1_000)) + 1;
					let shares = joint.add(amount);
					assert!(shares >= amount);
					holders[who] += shares;
					assert!(joint.value(holders[who]) <= before[who] + amount);
				}
				3 => {
					let amount = joint.redeem(core::mem::take(&mut holders[who]));
					assert_eq!(amount, before[who]);
				}
				4 | 5 if before[who] > 0 => {
					let amount = u128::from(random.below(before[who] as u64)) + 1;
					let cost = joint.take_out(amount);
					assert!(cost >= amount && cost <= holders[who]);
					holders[who] -= cost;
					assert!(joint.value(holders[who]) + amount <= before[who]);
				}
				_ => continue,
			}
			assert!(joint.stake <= joint.shares);
			assert_eq!(joint.shares, holders.iter().sum());
			assert!(joint.shares > 0 || joint.stake == 0);
			for other in (0..4).filter(|other| *other != who && !slashed) {
				let now = joint.value(holders[other]);
				assert!(now >= before[other], "{other} has {now} of {} left", before[other]);
			}
		}
	}
}

#[test]
fn shares_should_stay_countable_when_stake_is_all_there_is_and_nearly_all_was_taken() {
	let all = 1_000_000_000 * 10u128.pow(18);
	let mut joint = Joint::default();
	joint.add(all);
	joint.stake /= 1_000_000;
	assert!(joint.is_open());
	let more = joint.add(all);
	assert_eq!(more, all * 1_000_000);
	assert_eq!(joint.value(more), all);
	joint.stake = joint.shares / 1_000_001;
	assert!(!joint.is_open());
}
