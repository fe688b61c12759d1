//! Random operations of validators, nominators and workers on a chain of real blocks, with sessions and eras that pass.

use super::{chain::Chain, *};
use assay_primitives::OPG;
use assay_semantics::testing::Rng;
use pallet_staking::{RewardDestination, ValidatorPrefs};
use sp_keyring::Sr25519Keyring::{Alice, AliceStash, Bob, BobStash, Charlie, Dave, Eve, Ferdie, One, Two};
use sp_runtime::{traits::Dispatchable, Perbill};

/// How many operations are tried.
const OPERATIONS: usize = 10_000;
/// The accounts that try them.
const ACTORS: [Sr25519Keyring; 10] = [Alice, AliceStash, Bob, BobStash, Charlie, Dave, Eve, Ferdie, One, Two];

/// What it draws.
struct Random(Rng);

impl Random {
	fn below(&mut self, bound: u64) -> u64 {
		self.0.below(bound)
	}

	fn actor(&mut self) -> Sr25519Keyring {
		ACTORS[self.below(ACTORS.len() as u64) as usize]
	}

	fn amount(&mut self) -> Balance {
		match self.below(12) {
			0 => 0,
			1 => Balance::MAX,
			2 => 1,
			_ => Balance::from(self.below(50_000)) * OPG / 4,
		}
	}

	fn staking(&mut self) -> RuntimeCall {
		use pallet_staking::Call;
		let amount = self.amount();
		match self.below(12) {
			0 | 1 => Call::bond { value: amount, payee: self.payee() },
			2 => Call::bond_extra { max_additional: amount },
			3 => Call::unbond { value: amount },
			4 => Call::rebond { value: amount },
			5 => Call::withdraw_unbonded { num_slashing_spans: self.below(3) as u32 },
			6 => Call::validate {
				prefs: ValidatorPrefs { commission: Perbill::from_percent(self.below(101) as u32), blocked: false },
			},
			7 | 8 => {
				let targets = (0..=self.below(4)).map(|_| self.actor().to_account_id().into()).collect();
				Call::nominate { targets }
			}
			9 => Call::chill {},
			10 => Call::set_payee { payee: self.payee() },
			_ => Call::payout_stakers { validator_stash: self.actor().to_account_id(), era: self.below(200) as u32 },
		}
		.into()
	}

	fn payee(&mut self) -> RewardDestination<AccountId> {
		match self.below(3) {
			0 => RewardDestination::Staked,
			1 => RewardDestination::Stash,
			_ => RewardDestination::Account(self.actor().to_account_id()),
		}
	}

	fn worker(&mut self) -> RuntimeCall {
		use pallet_workers::Call;
		let amount = self.amount();
		let (worker, delegator) = (self.actor().to_account_id(), self.actor().to_account_id());
		match self.below(18) {
			9 => Call::set_commission { rate: Perbill::from_percent(self.below(101) as u32) },
			10..=12 => Call::delegate { worker, amount },
			13 => Call::undelegate { worker, amount: (self.below(2) == 0).then_some(amount) },
			14 => Call::withdraw_delegation { worker, delegator },
			15 => Call::claim { worker, delegator },
			16 => Call::set_payee {
				worker,
				payee: if self.below(2) == 0 { pallet_workers::Payee::Account } else { pallet_workers::Payee::Stake },
			},
			17 => Call::withdraw_for { worker },
			0 => Call::bond { amount },
			1 => Call::bond_extra { amount },
			2 => Call::unbond { amount },
			3 => Call::withdraw {},
			4 => Call::pause {},
			5 => Call::resume {},
			6 => Call::stop_serving { model: digits() },
			7 => Call::set_service_key { key: service_key(&self.actor().to_account_id()).public().into() },
			_ => Call::serve_model {
				model: digits(),
				terms: pallet_workers::Terms {
					capacity: self.below(4) as u32,
					min_price: self.below(100).into(),
					coverage_price: Perbill::from_parts(self.below(1_000) as u32),
					min_deadline: self.below(10) as u32,
				},
			},
		}
		.into()
	}

	fn rewards(&mut self) -> RuntimeCall {
		pallet_rewards::Call::payout_era { worker: self.actor().to_account_id(), era: self.below(4) as u32 }.into()
	}
}

#[test]
fn staking_and_workers_should_keep_their_invariants_through_random_operations() {
	with_preset("local_testnet", || {
		let mut random = Random(Rng(0x5DEE_CE66_D1CE_4E5B));
		let mut chain = Chain::start();
		let mut taken = 0;
		for _ in 0..OPERATIONS {
			let is_full = || {
				let most = configs::RuntimeBlockWeights::get().max_block.ref_time() / 4;
				System::block_weight().total().ref_time() > most
			};
			if is_full() {
				chain.next();
			}
			let who = random.actor();
			let call = match random.below(10) {
				0..=4 => random.staking(),
				5..=8 => random.worker(),
				_ => random.rewards(),
			};
			// Who has put everything at stake has nothing left for fees, and must get out of it all the same. The block of an
			// election has little room.
			let can_pay = Balances::usable_balance(who.to_account_id()) > OPG && !is_full();
			let done = if can_pay {
				chain.try_sign(who, call).is_ok()
			} else {
				let done = call.dispatch(RuntimeOrigin::signed(who.to_account_id())).is_ok();
				check_invariants().expect("an operation keeps the invariants");
				done
			};
			taken += usize::from(done);
			match random.below(200) {
				// Time passes: mostly a little, now and then a session.
				0 => chain.run(20),
				1..=24 => chain.next(),
				_ => {}
			}
			// A worker loses some of its stake now and then, as a conviction would take it.
			if random.below(50) == 0 {
				let worker = random.actor().to_account_id();
				if pallet_workers::Workers::<Runtime>::contains_key(&worker) {
					let amount = random.amount();
					drop(Workers::slash(&worker, amount, assay_primitives::SlashReason::WrongAnswer));
					check_invariants().expect("a slash keeps the invariants");
				}
			}
		}
		assert!(taken > OPERATIONS / 5, "only {taken} of {OPERATIONS} operations were possible");
		let eras = pallet_staking::CurrentEra::<Runtime>::get().expect("an era is on");
		assert!(eras > 20, "only {eras} eras passed");
		assert!(chain
			.events
			.iter()
			.any(|event| matches!(event, RuntimeEvent::Staking(pallet_staking::Event::Rewarded { .. }))));
	});
}
