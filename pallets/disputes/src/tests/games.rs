//! Random games. Honest players play by the book, at the last moment if chance wills; villains send whatever they like, in any order.
//! `GAMES` says how many games, `SEED` where to begin.

use crate::{mock::*, *};
use std::collections::{BTreeMap, BTreeSet};

/// SplitMix64.
struct Dice(u64);

impl Dice {
	fn roll(&mut self) -> u64 {
		self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
		let mut z = self.0;
		z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		z ^ (z >> 31)
	}

	/// One of `0..sides`.
	fn below(&mut self, sides: u64) -> u64 {
		self.roll() % sides
	}

	/// Once in `times`.
	fn once_in(&mut self, times: u64) -> bool {
		self.below(times) == 0
	}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
	/// Computes right, publishes and answers.
	Honest,
	/// Its output is wrong. It answers, except once in so many blocks never again.
	Liar { gives_up: u64 },
	/// Its output is right, its trace is not.
	Crooked,
}

struct Claimed {
	job: u64,
	worker: AccountId,
	kind: Kind,
	trace: Trace,
	right: Trace,
	silent: bool,
	/// The partial states that it opened.
	mids: BTreeMap<u8, u8>,
}

/// An honest challenger's business with one claim.
#[derive(Clone, Copy)]
struct Plan {
	begins: u64,
	seals: bool,
	reveals: u64,
	sealed: bool,
	done: bool,
}

struct Game {
	dice: Dice,
	claims: Vec<Claimed>,
	towers: Vec<AccountId>,
	villains: Vec<AccountId>,
	plans: BTreeMap<(AccountId, u64), Plan>,
	full_left: u64,
	convicted: BTreeSet<u64>,
	/// What happened, by the kind of event.
	seen: BTreeMap<&'static str, u64>,
}

/// A villain does not mind how it went.
fn tried<E>(_: Result<(), E>) {}

/// A node of a trace, as the chain knows it.
fn state(job: u64, what: Ask) -> Option<NodeOf<Test>> {
	Nodes::<Test>::get(hash_of(job), payload::node_id(&ask(what)))
}

fn is_open(job: u64, what: Ask) -> bool {
	matches!(state(job, what), Some(Node::Opened { .. }))
}

impl Game {
	fn new(seed: u64) -> Self {
		let mut dice = Dice(seed);
		let mut claims = Vec::new();
		for worker in WORKER..=WORKER + dice.below(3) {
			let input = dice.below(256) as u8;
			let right = right_trace(input);
			let mut trace = right;
			let kind = match dice.below(5) {
				0 | 1 => Kind::Honest,
				2 => Kind::Crooked,
				_ => Kind::Liar { gives_up: [4, 20, 1_000][dice.below(3) as usize] },
			};
			match kind {
				Kind::Honest => (),
				Kind::Crooked => trace[1 + dice.below(14) as usize] ^= 1 + dice.below(255) as u8,
				Kind::Liar { .. } if dice.once_in(2) => trace = wrong_trace(input, 1 + dice.below(15) as u8),
				Kind::Liar { .. } => {
					for _ in 0..dice.below(3) {
						trace[1 + dice.below(14) as usize] ^= dice.below(256) as u8;
					}
					trace[15] ^= 1 + dice.below(255) as u8;
				}
			}
			let job = commit(worker, model(), input, trace[15]);
			claims.push(Claimed { job, worker, kind, trace, right, silent: false, mids: BTreeMap::new() });
		}
		let split = DAVE + dice.below(4);
		let towers: Vec<_> = (DAVE..split).collect();
		let villains = (split..split + dice.below(4)).collect();
		let mut plans = BTreeMap::new();
		for who in &towers {
			for claim in claims.iter().filter(|claim| claim.trace[15] != claim.right[15]) {
				let begins = 1 + dice.below(7);
				let (seals, reveals) = (!dice.once_in(3), begins + 1 + dice.below(4));
				plans.insert((*who, claim.job), Plan { begins, seals, reveals, sealed: false, done: false });
			}
		}
		PublicationBytes::set(136);
		// Prices move with what is owed.
		PriceStep::set(2_000);
		STRICT.with(|strict| strict.set(dice.once_in(20)));
		Self {
			full_left: dice.below(5),
			dice,
			claims,
			towers,
			villains,
			plans,
			convicted: BTreeSet::new(),
			seen: BTreeMap::new(),
		}
	}

	/// Whether to act now, with time until block `last`: never later than that.
	fn now_is_the_time(&mut self, last: u64) -> bool {
		let left = last.saturating_sub(System::block_number());
		self.dice.once_in(left + 1)
	}

	fn check(&mut self) {
		Court::do_try_state().unwrap();
	}

	/// Notes what happened in this block.
	fn note(&mut self) {
		for event in events() {
			let kind = match event {
				Event::Sealed { .. } => "sealed",
				Event::Unsealed { .. } => "unsealed",
				Event::SealLapsed { .. } => "lapsed",
				Event::Challenged { .. } => "challenged",
				Event::Published { .. } => "published",
				Event::Demanded { .. } => "demanded",
				Event::Opened { .. } => "opened",
				Event::Convicted { job, grounds, winner, .. } => {
					assert!(winner.is_some());
					self.convicted.insert(job);
					match grounds {
						Grounds::Proof(_) => "proven",
						Grounds::NoPublication => "unpublished",
						Grounds::NoAnswer(_) => "unanswered",
					}
				}
				Event::ChallengeLost { .. } => "lost",
				Event::Defended { .. } => "defended",
				Event::BondReturned { .. } => "returned",
				_ => "other",
			};
			*self.seen.entry(kind).or_default() += 1;
		}
	}

	/// The worker of claim `index` does what it owes.
	fn work(&mut self, index: usize) {
		let (job, kind, trace) = (self.claims[index].job, self.claims[index].kind, self.claims[index].trace);
		if let Kind::Liar { gives_up } = kind {
			self.claims[index].silent |= self.dice.once_in(gives_up);
		}
		let Some(DisputeInfo { dispute, .. }) = Court::dispute(job) else { return };
		if self.claims[index].silent {
			return;
		}
		if let Phase::Unpublished(clock) = dispute.phase {
			if self.now_is_the_time(clock.last(FullBlocks::<Test>::get())) {
				publish(self.claims[index].worker, job, &trace).unwrap();
			}
			return;
		}
		for owed in Court::demands(job) {
			if !self.now_is_the_time(owed.answer_by) {
				continue;
			}
			let what: Ask = codec::Decode::decode(&mut &owed.demand[..]).unwrap();
			self.answer(index, what);
			self.check();
		}
	}

	/// Opens a node, and lies about partial states as a liar may: so that the last step fits, or the first.
	fn answer(&mut self, index: usize, what: Ask) {
		let claim = &self.claims[index];
		let mut shown = claim.trace;
		if let Ask::States(at) = what {
			let previous = claim.trace[usize::from(at) - 1];
			if claim.kind == Kind::Honest || self.dice.once_in(2) {
				shown[usize::from(at)] = previous.wrapping_mul(3).wrapping_add(1);
			}
			self.claims[index].mids.insert(at, mid(&shown, at));
		}
		open(self.claims[index].job, &shown, what).unwrap();
	}

	/// An honest challenger does its next thing about one claim.
	fn watch(&mut self, who: AccountId, index: usize) {
		let (job, now) = (self.claims[index].job, System::block_number());
		let Some(mut plan) = self.plans.get(&(who, job)).copied() else { return };
		if !plan.done && now >= plan.begins {
			let over = outcome(job).is_some();
			if plan.sealed && over {
				assert_eq!(unseal(who, job), Ok(()));
				plan.done = true;
			} else if over {
				plan.done = true;
			} else if plan.seals && !plan.sealed {
				assert_eq!(seal(who, job), Ok(()));
				plan.sealed = true;
				plan.reveals = plan.reveals.max(now + 1);
			} else if !plan.seals {
				plan.done = challenge(who, job).is_ok();
			} else if now >= plan.reveals {
				plan.done = reveal(who, job).is_ok();
			}
			self.plans.insert((who, job), plan);
			self.check();
		}
		let mine = Court::challenges(job).into_iter().find(|challenge| challenge.challenger == who);
		let Some(ChallengeInfo { to_move: true, move_by, .. }) = mine else { return };
		if self.now_is_the_time(move_by) {
			self.investigate(who, index);
			self.check();
		}
	}

	/// Asks for the first thing that differs, or proves it wrong.
	fn investigate(&mut self, who: AccountId, index: usize) {
		let claim = &self.claims[index];
		let (job, theirs, right) = (claim.job, groups(&claim.trace), groups(&claim.right));
		let g = (0..4).find(|g| theirs[*g] != right[*g]).expect("the output differs") as u8;
		let known = |g: u8| g == 0 || g == 3 || is_open(job, Ask::Group(g));
		if !known(g) {
			assert_eq!(demand(who, job, Ask::Group(g)), Ok(()));
			return;
		}
		let at = (0..16u8).find(|i| claim.trace[usize::from(*i)] != claim.right[usize::from(*i)]).unwrap();
		if is_long(at) && !is_open(job, Ask::States(at)) {
			assert_eq!(demand(who, job, Ask::States(at)), Ok(()));
			return;
		}
		let evil = self.evidence(index, at);
		assert_eq!(prove_with(who, job, is_long(at).then_some(Ask::States(at)), evil), Ok(()));
	}

	fn evidence(&self, index: usize, at: u8) -> Evil {
		let claim = &self.claims[index];
		let Evil::Element { index, groups, here, before, .. } = proof(&claim.trace, at) else { unreachable!() };
		Evil::Element { index, groups, here, before, mid: claim.mids.get(&at).copied() }
	}

	/// A villain does something.
	fn scheme(&mut self, who: AccountId) {
		let index = self.dice.below(self.claims.len() as u64) as usize;
		let (job, trace) = (self.claims[index].job, self.claims[index].trace);
		let what = match self.dice.below(3) {
			0 => Ask::States(5 * self.dice.below(4) as u8),
			_ => Ask::Group(self.dice.below(5) as u8),
		};
		match self.dice.below(13) {
			0 => tried(seal(who, job)),
			1 => tried(reveal(who, job)),
			2 => tried(challenge(who, job)),
			3..=5 => tried(demand(who, job, what)),
			6 => {
				let at = 1 + self.dice.below(15) as u8;
				let evil = self.evidence(index, at);
				tried(prove_with(who, job, is_long(at).then_some(Ask::States(at)), evil));
			}
			7 => {
				let mut lie = trace;
				lie[self.dice.below(16) as usize] ^= self.dice.below(256) as u8;
				tried(prove(who, job, &lie, self.dice.below(16) as u8));
			}
			8 => {
				// Published, or opened, by a stranger.
				assert!(publish(who, job, &trace).is_err());
				match what {
					Ask::Group(g) if g < 4 => tried(open_by(None, job, &trace, what)),
					_ => assert!(open_by(Some(who), job, &trace, Ask::States(5)).is_err()),
				}
			}
			9 => {
				let everybody = self.villains.iter().chain(&self.towers).copied().collect::<Vec<_>>();
				let other = everybody.get(self.dice.below(9) as usize).copied();
				tried(timeout(job, other));
			}
			10 => tried(withdraw(who, job)),
			11 => tried(unseal(who, job)),
			_ => {
				let other = self.claims[self.dice.below(self.claims.len() as u64) as usize].job;
				let origin = RuntimeOrigin::signed(who);
				tried(Court::challenge(origin, job, hash_of(other), Some(salt_of(who)), RICH));
			}
		}
		self.check();
	}

	/// One block: everybody acts, in random order.
	fn block(&mut self) {
		let full = self.full_left > 0 && self.dice.once_in(12);
		let mut actors: Vec<u64> = Vec::new();
		let (w, t) = (self.claims.len() as u64, self.towers.len() as u64 * self.claims.len() as u64);
		if !full {
			actors.extend(0..w + t);
		}
		actors.extend((w + t)..(w + t + 2 * self.villains.len() as u64));
		for i in (1..actors.len()).rev() {
			actors.swap(i, self.dice.below(i as u64 + 1) as usize);
		}
		for actor in actors {
			if actor < w {
				self.work(actor as usize);
				self.check();
			} else if actor < w + t {
				let pair = actor - w;
				self.watch(self.towers[(pair / w) as usize], (pair % w) as usize);
			} else if self.dice.once_in(2) {
				let villain = self.villains[((actor - w - t) / 2) as usize];
				self.scheme(villain);
			}
		}
		if full {
			// The villains filled it: nobody else got in.
			self.full_left -= 1;
			fill_block();
		}
		self.note();
		System::reset_events();
		run(1);
		self.check();
		self.note();
		System::reset_events();
	}

	fn is_over(&self) -> bool {
		self.claims.iter().all(|claim| outcome(claim.job).is_some())
	}

	/// What all that may collude have.
	fn coalition(&self) -> Balance {
		let liars = self.claims.iter().filter(|claim| claim.kind != Kind::Honest).map(|claim| claim.worker);
		let workers = liars.map(|who| wealth(who) + wealth(stake_of(who))).sum::<Balance>();
		workers + self.villains.iter().map(|who| wealth(*who)).sum::<Balance>() + wealth(REQUESTER)
	}

	fn play(mut self) -> BTreeMap<&'static str, u64> {
		let before = self.coalition();
		// The window, the longest challenge, and the block in which the agenda sees that it is over.
		let bound = 1 + WINDOW + Court::longest_challenge(0) + 1;
		while !self.is_over() {
			assert!(System::block_number() <= bound, "a dispute outlasts its bound");
			self.block();
		}
		// Honest challengers whose seals are still closed open them.
		for _ in 0..3 {
			for index in 0..self.claims.len() {
				for who in self.towers.clone() {
					self.watch(who, index);
				}
			}
		}
		run(30);
		assert_empty();
		for claim in &self.claims {
			let convicted = matches!(outcome(claim.job), Some(Outcome::Convicted(_)));
			assert_eq!(convicted, self.convicted.contains(&claim.job));
			match claim.kind {
				Kind::Honest => {
					assert!(!convicted, "an honest worker was convicted");
					assert!(wealth(claim.worker) >= RICH && wealth(stake_of(claim.worker)) == RICH);
				}
				Kind::Liar { .. } if !self.towers.is_empty() => assert!(convicted, "a liar was not convicted"),
				_ => (),
			}
		}
		for who in &self.towers {
			assert!(wealth(*who) >= RICH, "an honest challenger lost");
		}
		let lost = 12_000 * self.convicted.len() as Balance;
		assert!(self.coalition() + lost <= before, "lying paid");
		self.seen
	}
}

#[test]
fn honest_players_should_never_lose_when_anything_happens() {
	let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
	let games = number("GAMES").unwrap_or(if cfg!(debug_assertions) { 150 } else { 10_000 });
	let mut all = BTreeMap::new();
	let first = number("SEED").unwrap_or(0);
	for seed in first..first + games {
		let played = std::panic::catch_unwind(|| externalities().execute_with(|| Game::new(seed).play()));
		let seen = played.unwrap_or_else(|_| panic!("game {seed} went wrong; see it with SEED={seed} GAMES=1"));
		for (kind, count) in seen {
			*all.entry(kind).or_insert(0) += count;
		}
	}
	println!("{all:?}");
	// Enough happened for the above to mean something.
	let kinds = [
		"sealed",
		"unsealed",
		"lapsed",
		"challenged",
		"published",
		"demanded",
		"opened",
		"proven",
		"unpublished",
		"unanswered",
		"lost",
		"defended",
		"returned",
	];
	for kind in kinds.iter().filter(|_| games >= 150) {
		assert!(all.contains_key(kind), "nothing was {kind} in {games} games");
	}
}
