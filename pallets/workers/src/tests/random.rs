//! Random calls, with every invariant checked after each.

use super::*;
use assay_semantics::testing::Rng;

/// What it draws.
struct Random(Rng);

impl Random {
	fn below(&mut self, bound: u64) -> u64 {
		self.0.below(bound)
	}

	fn seed(&mut self) -> [u8; 32] {
		sp_io::hashing::blake2_256(&self.0.bits().to_le_bytes())
	}

	fn amount(&mut self) -> Balance {
		match self.below(10) {
			0 => 0,
			1 => u128::MAX,
			2 => MIN_BOND,
			_ => self.below(2_000).into(),
		}
	}
}

/// A job under way.
struct Job {
	worker: u64,
	seed: u8,
	bond: Balance,
	answered: bool,
	assigned_at: u32,
}

/// End a job, as the pallet of jobs does it: the bond is released, and no more than it is slashed. What was burned.
fn end(job: Job, convicted: bool) -> Balance {
	if !job.answered {
		Workers::answered(&job.worker, &model(job.seed));
	}
	Workers::release(&job.worker, job.bond);
	if !convicted {
		return 0;
	}
	Workers::suspend(&job.worker);
	let issuance = Balances::total_issuance();
	let taken = slash(job.worker, job.bond);
	// Whatever has left in the meantime: the stake was there when the job was assigned, and is still within reach.
	assert_eq!(taken, if Armed::get() { job.bond } else { 0 });
	let burned = issuance - Balances::total_issuance();
	assert!(burned <= taken * (1 + u128::from(MAX_LEVERAGE)));
	burned
}

#[test]
fn ledgers_should_keep_their_invariants_when_ten_thousand_calls_are_random() {
	for seed in 1..=4 {
		open().build_and_execute(|| {
			let mut random = Random(Rng(0x9E37_79B9_7F4A_7C15 ^ (seed << 32)));
			let mut jobs: Vec<Job> = Vec::new();
			let mut issuance = Balances::total_issuance();
			let mut block = 1;
			// How often each kind of call was accepted.
			let mut accepted = [0u32; 24];
			for _ in 0..2_500 {
				for _ in 0..random.below(4) {
					block += 1;
					System::set_block_number(block);
					// No claim is open for longer than `LongestClaim`.
					while let Some(late) = jobs.iter().position(|job| job.assigned_at + UNBONDING_DELAY <= block) {
						issuance -= end(jobs.swap_remove(late), random.below(4) == 0);
					}
				}
				let who = random.below(6) + 1;
				let other = random.below(6) + 1;
				let seed = random.below(4) as u8 + 1;
				let amount = random.amount();
				let kind = random.below(24) as usize;
				let owed = || Owed::get().values().sum::<Balance>();
				let owed_before = owed();
				let done = match kind {
					0 => Workers::bond(signed(who), amount),
					1 => Workers::bond_extra(signed(who), amount),
					2 => Workers::set_service_key(signed(who), key(random.below(8) as u8)),
					3 if WorkersMap::<Test>::get(who).is_some_and(|worker| worker.paused) => {
						Workers::resume(signed(who))
					}
					3 | 4 => Workers::serve_model(signed(who), model(seed), terms()),
					5 if random.below(2) == 0 => Workers::stop_serving(signed(who), model(seed)),
					6 if random.below(2) == 0 => Workers::pause(signed(who)),
					7 => Workers::resume(signed(who)),
					8 => match WorkersMap::<Test>::get(who) {
						Some(worker) if random.below(4) == 0 => Workers::unbond(signed(who), worker.bonded),
						_ => Workers::unbond(signed(who), amount / 4),
					},
					9 => Workers::withdraw(signed(who)),
					10 => Workers::withdraw_for(signed(who), other),
					11 => Workers::set_commission(signed(who), Perbill::from_percent(random.below(101) as u32)),
					12..=14 => Workers::delegate(signed(who), other, amount),
					15 => Workers::undelegate(signed(who), other, Some(amount / 2)),
					16 => Workers::undelegate(signed(who), other, None),
					17 => Workers::withdraw_delegation(signed(CHARLIE), who, other),
					18 => Workers::claim(signed(CHARLIE), who, other),
					19 => Workers::set_payee(signed(who), other, [Payee::Account, Payee::Stake][seed as usize % 2]),
					20 => {
						let earned = random.below(500).into();
						if random.below(2) == 0 {
							reward(who, earned);
							issuance += earned;
						} else {
							Owed::mutate(|owed| owed.insert(who, earned));
						}
						Ok(())
					}
					21 | 22 => match Workers::draw(&model(seed), &[who], random.seed(), |_| Some(amount / 4)) {
						Some((worker, _, bond)) => {
							assert_ne!(worker, who);
							assert_ok!(Workers::assign(&worker, &model(seed), bond));
							jobs.push(Job { worker, seed, bond, answered: false, assigned_at: block });
							Ok(())
						}
						None => Err("nobody was drawn".into()),
					},
					23 if !jobs.is_empty() => {
						let mut job = jobs.swap_remove(random.below(jobs.len() as u64) as usize);
						match random.below(4) {
							0 if !job.answered => {
								Workers::answered(&job.worker, &model(job.seed));
								job.answered = true;
								jobs.push(job);
							}
							verdict => {
								let worker = job.worker;
								Armed::set(random.below(8) > 0);
								issuance -= end(job, verdict == 1);
								Armed::set(true);
								// Now and then one that has nothing to answer for loses whatever it has.
								if random.below(16) == 0 && WorkersMap::<Test>::get(worker).unwrap().covered == 0 {
									slash(worker, amount);
									issuance = Balances::total_issuance();
								}
							}
						}
						Ok(())
					}
					_ => Err("not this time".into()),
				};
				accepted[kind] += u32::from(done.is_ok());
				// What was owed is paid by whoever changes what it is shared by.
				if done.is_ok() && matches!(kind, 0 | 1 | 11..=16 | 18) {
					issuance += owed_before - owed();
				}
				check();
				assert_eq!(Balances::total_issuance(), issuance);
				let open: u32 = WorkersMap::<Test>::iter_values().map(|worker| worker.open_claims).sum();
				assert_eq!(open as usize, jobs.len());
			}
			assert!(accepted.iter().all(|times| *times > 3), "calls of each kind were accepted {accepted:?} times");

			// Everybody gets out, and nothing is left behind.
			Owed::set(Default::default());
			for job in jobs {
				issuance -= end(job, false);
			}
			for (worker, delegator, _) in Delegations::<Test>::iter().collect::<Vec<_>>() {
				if stake(worker, delegator) > 0 {
					assert_ok!(Workers::undelegate(signed(delegator), worker, None));
				}
			}
			System::set_block_number(block + 2 * UNBONDING_DELAY);
			for (who, record) in WorkersMap::<Test>::iter().collect::<Vec<_>>() {
				if record.unbonding.is_full() {
					assert_ok!(Workers::withdraw(signed(who)));
				}
				if record.bonded > 0 {
					assert_ok!(Workers::unbond(signed(who), record.bonded));
				}
			}
			System::set_block_number(block + 4 * UNBONDING_DELAY);
			for who in WorkersMap::<Test>::iter_keys().collect::<Vec<_>>() {
				assert_ok!(Workers::withdraw_for(signed(NOBODY), who));
			}
			for (worker, delegator, _) in Delegations::<Test>::iter().collect::<Vec<_>>() {
				assert_ok!(Workers::withdraw_delegation(signed(NOBODY), worker, delegator));
			}
			let left =
				(WorkersMap::<Test>::iter().count(), Pools::<Test>::iter().count(), Matured::<Test>::iter().count());
			assert_eq!((left, delegated_in_all()), ((0, 0, 0), 0));
			assert_eq!(Balances::total_issuance(), issuance);
		});
	}
}
