use super::*;
use crate::disputes::Clock;
use subxt::utils::AccountId32;

const CLOCK: Clock = Clock { start: 20, length: 10, full: 0 };

/// A claim found wrong, in block 10 of a window that ends at 40.
fn wrong() -> Known {
	Known {
		now: 10,
		settles_at: Some(40),
		finding: Some(Finding::Wrong("a byte".into())),
		disputes: true,
		reveal: 8,
		..Known::default()
	}
}

fn dispute(phase: Phase) -> Option<Dispute> {
	Some(Dispute { job: 1, model: [1; 32], worker: AccountId32([2; 32]), settles_at: 40, phase, live: 1 })
}

fn published() -> Option<Dispute> {
	dispute(Phase::Published { trace_root: [3; 32], at: 22 })
}

fn mine(stage: Stage) -> Option<Challenge> {
	Some(Challenge { number: 0, started: 20, bond: 1, fees: 0, demands: 0, stage })
}

fn seal(at: u32) -> Option<Seal> {
	Some(Seal { at, number: 0, deposit: 1 })
}

#[test]
fn claim_should_be_checked_once_and_forgotten_when_it_is_right() {
	let known = Known { finding: None, ..wrong() };
	assert_eq!(next(&known), Next::Check);
	assert_eq!(next(&Known { finding: Some(Finding::Right), ..wrong() }), Next::End(End::Right));
	let unknown = Known { finding: Some(Finding::Unknown("why".into())), ..wrong() };
	assert_eq!(next(&unknown), Next::End(End::Unchecked("why".into())));
	assert!(matches!(next(&Known { now: 39, ..known.clone() }), Next::End(End::Unchecked(_))));
	assert_eq!(next(&Known { settles_at: None, ..known }), Next::End(End::Gone));
}

#[test]
fn wrong_claim_should_be_sealed_then_challenged_in_the_next_block() {
	assert_eq!(next(&wrong()), Next::Seal);
	assert_eq!(next(&Known { now: 11, seal: seal(11), ..wrong() }), Next::Challenge { sealed: true });
}

#[test]
fn wrong_claim_should_be_challenged_without_a_seal_when_time_is_short() {
	assert_eq!(next(&Known { now: 36, ..wrong() }), Next::Seal);
	assert_eq!(next(&Known { now: 37, ..wrong() }), Next::Challenge { sealed: false });
	assert_eq!(next(&Known { now: 38, ..wrong() }), Next::Challenge { sealed: false });
	assert!(matches!(next(&Known { now: 39, ..wrong() }), Next::End(End::Missed(_))));
	// The seal of a watchtower that was stopped too long.
	assert_eq!(next(&Known { now: 17, seal: seal(10), ..wrong() }), Next::Challenge { sealed: true });
	assert_eq!(next(&Known { now: 18, seal: seal(10), ..wrong() }), Next::Challenge { sealed: false });
}

#[test]
fn wrong_claim_should_be_reported_only_when_the_chain_has_no_disputes() {
	assert!(matches!(next(&Known { disputes: false, ..wrong() }), Next::End(End::Missed(_))));
}

#[test]
fn challenge_of_somebody_else_should_be_joined_only_when_the_claim_is_wrong() {
	for phase in [Phase::Unpublished(CLOCK), Phase::Published { trace_root: [3; 32], at: 22 }] {
		let known = Known { now: 23, dispute: dispute(phase), ..wrong() };
		assert_eq!(next(&known), Next::Seal);
		assert_eq!(next(&Known { finding: Some(Finding::Right), ..known.clone() }), Next::End(End::Right));
		assert_eq!(next(&Known { finding: None, ..known }), Next::Check);
	}
	let late = Known { now: 30, dispute: dispute(Phase::Unpublished(CLOCK)), ..wrong() };
	assert_eq!(next(&late), Next::Wait(Wait::Verdict));
}

#[test]
fn claim_should_never_be_challenged_twice() {
	let known = Known { now: 25, challenged_in: Some(20), ..wrong() };
	assert_eq!(next(&known), Next::Wait(Wait::Chain));
	assert_eq!(next(&Known { now: 30, ..known.clone() }), Next::End(End::Lost));
	assert_eq!(next(&Known { now: 30, dispute: published(), ..known.clone() }), Next::End(End::Lost));
	assert_eq!(next(&Known { now: 30, settles_at: None, ..known }), Next::End(End::Gone));
}

#[test]
fn moves_should_follow_whose_turn_it_is() {
	let known = Known { now: 25, challenged_in: Some(20), ..wrong() };
	let turn = |dispute: Option<Dispute>, stage: Stage, node: Option<Node>| {
		next(&Known { dispute, mine: mine(stage), node, ..known.clone() })
	};
	let unpublished = || dispute(Phase::Unpublished(CLOCK));
	assert_eq!(turn(unpublished(), Stage::Publication, None), Next::Wait(Wait::Publication(30)));
	let mut move_of_ours = Next::Move { published_at: 22 };
	assert_eq!(turn(published(), Stage::Publication, None), move_of_ours);
	assert_eq!(turn(published(), Stage::Move(CLOCK), None), move_of_ours);
	let asked = Node::Outstanding { demand: vec![], bytes: 1, clock: CLOCK };
	assert_eq!(turn(published(), Stage::Answer([0; 32]), Some(asked.clone())), Next::Wait(Wait::Answer(30)));
	assert_eq!(turn(published(), Stage::Answer([0; 32]), Some(Node::Opened { at: 24 })), move_of_ours);
	// A silent worker is the chain's business.
	let later = Known { now: 31, dispute: unpublished(), mine: mine(Stage::Publication), ..known.clone() };
	assert_eq!(next(&later), Next::Wait(Wait::Verdict));
	assert_eq!(next(&Known { full: 3, ..later }), Next::Wait(Wait::Publication(33)));
	// What was found before a restart does not matter once the challenge is made.
	move_of_ours = next(&Known {
		finding: None,
		challenged_in: None,
		dispute: published(),
		mine: mine(Stage::Publication),
		..known
	});
	assert_eq!(move_of_ours, Next::Move { published_at: 22 });
}

#[test]
fn bond_should_be_taken_back_when_the_chain_is_busy() {
	let known = Known {
		now: 50,
		settles_at: None,
		dispute: dispute(Phase::Convicted { at: 50 }),
		mine: mine(Stage::Publication),
		challenged_in: Some(20),
		..wrong()
	};
	assert_eq!(next(&known), Next::Wait(Wait::Bond));
	assert_eq!(next(&Known { now: 56, ..known.clone() }), Next::Withdraw);
	assert_eq!(next(&Known { mine: None, ..known.clone() }), Next::End(End::Convicted(true)));
	// Sealed, and convicted before the seal was revealed.
	let sealed = Known { mine: None, challenged_in: None, seal: seal(49), ..known };
	assert_eq!(next(&sealed), Next::Unseal);
	assert_eq!(next(&Known { seal: seal(42), ..sealed.clone() }), Next::End(End::Convicted(false)));
	assert_eq!(next(&Known { seal: None, ..sealed }), Next::End(End::Convicted(false)));
}

#[test]
fn sample_should_be_a_fixed_share_that_depends_on_the_key() {
	let claims: Vec<Bytes32> = (0u32..4_000).map(|i| assay_semantics::hash(b"test", &[&i.to_le_bytes()])).collect();
	let taken = |key: &str, percent: u32| -> Vec<bool> {
		claims.iter().map(|claim| sampled(key, claim, Share(percent * 10_000_000))).collect()
	};
	assert!(taken("a", 100).into_iter().all(|taken| taken));
	assert!(!taken("a", 0).into_iter().any(|taken| taken));
	let quarter = taken("a", 25);
	let count = quarter.iter().filter(|taken| **taken).count();
	assert!((900..1_100).contains(&count), "{count}");
	assert_eq!(quarter, taken("a", 25));
	assert_ne!(quarter, taken("b", 25));
	// Whoever raises the share goes on checking what it checked before.
	assert!(quarter.iter().zip(taken("a", 50)).all(|(less, more)| !less || more));
}
