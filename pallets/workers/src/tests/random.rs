//! Random calls, with every invariant checked after each.

use super::*;

/// A small generator (xorshift), so that the test is the same everywhere.
struct Random(u64);

impl Random {
	fn next(&mut self) -> u64 {
		self.0 ^= self.0 << 13;
		self.0 ^= self.0 >> 7;
		self.0 ^= self.0 << 17;
		self.0
	}

	fn below(&mut self, bound: u64) -> u64 {
		self.next() % bound
	}

	fn seed(&mut self) -> [u8; 32] {
		sp_io::hashing::blake2_256(&self.next().to_le_bytes())
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
}

#[test]
fn ledgers_should_keep_their_invariants_when_calls_are_random() {
	for seed in 1..=4 {
		ExtBuilder::default().with_worker(CHARLIE, 1_000, 2).build_and_execute(|| {
			let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ (seed << 32));
			let mut jobs: Vec<Job> = Vec::new();
			let mut issuance = Balances::total_issuance();
			let (mut accepted, mut assigned) = (0, 0);
			let mut block = 1;
			for _ in 0..400 {
				block += random.below(4) as u32;
				System::set_block_number(block);
				let who = random.below(6) + 1;
				let seed = random.below(4) as u8 + 1;
				let amount = random.amount();
				let result = match random.below(14) {
					0 => Workers::bond(signed(who), amount),
					1 => Workers::bond_extra(signed(who), amount),
					2 | 3 => Workers::set_service_key(signed(who), key(random.below(8) as u8)),
					4 | 5 => Workers::serve_model(signed(who), model(seed), terms()),
					6 => Workers::stop_serving(signed(who), model(seed)),
					7 => Workers::pause(signed(who)),
					8 => Workers::resume(signed(who)),
					9 => match WorkersMap::<Test>::get(who) {
						Some(worker) if random.below(2) == 0 => Workers::unbond(signed(who), worker.bonded),
						_ => Workers::unbond(signed(who), amount),
					},
					10 => Workers::withdraw(signed(who)),
					11 | 12 => match Workers::draw(&model(seed), &[who], random.seed(), |_| Some(amount / 4)) {
						Some((worker, _, bond)) => {
							assert_ne!(worker, who);
							assert_ok!(Workers::assign(&worker, &model(seed), bond));
							jobs.push(Job { worker, seed, bond, answered: false });
							assigned += 1;
							Ok(())
						}
						None => Ok(()),
					},
					_ if !jobs.is_empty() => {
						let mut job = jobs.swap_remove(random.below(jobs.len() as u64) as usize);
						if !job.answered {
							Workers::answered(&job.worker, &model(job.seed));
							job.answered = true;
						}
						match random.below(3) {
							0 => jobs.push(job),
							verdict => {
								Workers::release(&job.worker, job.bond);
								if verdict == 1 {
									let taken = slash(job.worker, amount);
									assert!(taken <= amount);
									issuance -= taken;
								}
							}
						}
						Ok(())
					}
					_ => Ok(()),
				};
				accepted += u32::from(result.is_ok());
				check();
				assert_eq!(Balances::total_issuance(), issuance);
				let open: u32 = WorkersMap::<Test>::iter_values().map(|worker| worker.open_claims).sum();
				assert_eq!(open as usize, jobs.len());
			}
			assert!(accepted > 100 && assigned > 10, "{accepted} calls were accepted, {assigned} jobs assigned");
		});
	}
}
