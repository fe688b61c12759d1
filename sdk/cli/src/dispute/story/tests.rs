use super::*;
use crate::disputes::{Challenge, Outcome, Stage, Verdict, VerdictKind};
use assay_semantics::{judge::Demand, trace::Coordinate};
use codec::Encode;

const WORKER: AccountId32 = AccountId32([1; 32]);
const DAVE: AccountId32 = AccountId32([2; 32]);
const ERIN: AccountId32 = AccountId32([3; 32]);
const CLAIM: Bytes32 = [9; 32];

fn fact(block: u64, event: DisputeEvent) -> Entry {
	Entry { block, fact: Fact::Dispute(event) }
}

fn committed() -> Entry {
	let committed = Committed { worker: WORKER, claim: CLAIM, output_root: [8; 32], settles_at: 30 };
	Entry { block: 10, fact: Fact::Job(JobEvent::Committed(committed)) }
}

fn challenged(block: u64, challenger: AccountId32, number: u64) -> Entry {
	fact(block, DisputeEvent::Challenged(events::Challenged { job: 4, claim: CLAIM, challenger, number, bond: 5 }))
}

fn convicted(block: u64, grounds: Grounds) -> Entry {
	let outcome = Outcome { slashed: 100, reward: 30, burned: 60, compensation: 10 };
	let event = events::Convicted { job: 4, claim: CLAIM, worker: WORKER, grounds, winner: Some(DAVE), outcome };
	fact(block, DisputeEvent::Convicted(event))
}

fn demand() -> Vec<u8> {
	Demand::Tile { at: Coordinate::of(7), tile: 3 }.encode()
}

#[test]
fn story_should_tell_a_whole_dispute_in_order() {
	let proof = Verdict {
		kind: VerdictKind::Wrong,
		value: 7,
		element: Some(800),
		expected: 1.0f32.to_le_bytes().to_vec(),
		claimed: 2.0f32.to_le_bytes().to_vec(),
		operator: b"Gemm".to_vec(),
	};
	let entries = [
		committed(),
		fact(11, DisputeEvent::Sealed(events::Sealed { challenger: DAVE, hash: [0; 32], number: 6 })),
		challenged(12, DAVE, 6),
		challenged(13, ERIN, 7),
		fact(14, DisputeEvent::Published(events::Published { job: 4, claim: CLAIM, trace_root: [5; 32] })),
		fact(
			15,
			DisputeEvent::Demanded(events::Demanded {
				job: 4,
				claim: CLAIM,
				challenger: DAVE,
				demand: demand(),
				answer_by: 20,
			}),
		),
		fact(16, DisputeEvent::Opened(events::Opened { job: 4, claim: CLAIM, demand: demand() })),
		convicted(17, Grounds::Proof(proof)),
		Entry { block: 17, fact: Fact::Job(JobEvent::Overturned { worker: WORKER }) },
		fact(
			18,
			DisputeEvent::BondReturned(events::BondReturned {
				job: 4,
				claim: CLAIM,
				challenger: DAVE,
				bond: 5,
				fees: 2,
			}),
		),
	];
	let story = tell(4, &entries, None);
	let text = story.lines.join("\n");
	let order = [
		"answered",
		"sealed in block 11",
		"without a seal",
		"published by the worker in block 14",
		"the bytes of tile 3 of value 7; to be opened by block 20",
		"opened    by the worker in block 16",
		"element 800 of value 7 (Gemm) is wrong: it is 0x3f800000",
		"claimed 0x40000000",
		"it loses",
		"counts for nothing",
		"returned",
	];
	let mut from = 0;
	for part in order {
		from += text[from..].find(part).unwrap_or_else(|| panic!("{part:?} is not after {from} in\n{text}"));
	}
	let claim = &story.object["claims"][0];
	assert_eq!(story.object["state"], "overturned");
	assert_eq!(claim["state"], "overturned");
	assert_eq!(claim["challenges"][0]["sealed_in"], 11);
	assert_eq!(claim["challenges"][0]["state"], "won");
	assert!(claim["challenges"][1]["sealed_in"].is_null());
	assert_eq!(claim["demands"][0]["opened_in"], 16);
	assert_eq!((&claim["verdict"]["operator"], &claim["verdict"]["element"]), (&json!("Gemm"), &json!(800)));
	assert_eq!(claim["verdict"]["convicted_in"], 17);
}

#[test]
fn story_should_say_what_was_not_answered_when_the_worker_was_silent() {
	let asked = events::Demanded { job: 4, claim: CLAIM, challenger: DAVE, demand: demand(), answer_by: 20 };
	let grounds = Grounds::NoAnswer(node_id(&demand()));
	let entries =
		[committed(), challenged(12, DAVE, 0), fact(15, DisputeEvent::Demanded(asked)), convicted(21, grounds)];
	let text = tell(4, &entries, None).lines.join("\n");
	assert!(text.contains("it did not open the bytes of tile 3 of value 7 in time"), "{text}");
}

#[test]
fn story_should_tell_of_a_lost_challenge() {
	let lost = events::ChallengeLost { job: 4, claim: CLAIM, challenger: DAVE, burned: 3, to_worker: 2 };
	let entries = [
		committed(),
		challenged(12, DAVE, 0),
		fact(40, DisputeEvent::ChallengeLost(lost)),
		fact(40, DisputeEvent::Defended(events::Defended { job: 4, claim: CLAIM })),
	];
	let story = tell(4, &entries, None);
	assert_eq!(story.object["claims"][0]["challenges"][0]["state"], "lost");
	assert_eq!(story.object["claims"][0]["defended_in"], 40);
}

#[test]
fn story_should_say_whose_move_it_is_and_what_else_happens() {
	let challenge = Challenge { number: 0, started: 12, bond: 5, fees: 0, demands: 0, stage: Stage::Publication };
	let info = |to_move| ChallengeInfo { challenger: DAVE, challenge: challenge.clone(), to_move, move_by: 22 };
	let mut open = Open {
		now: 13,
		claim: CLAIM,
		settles_at: 30,
		published: false,
		challenges: vec![info(false)],
		demands: vec![],
	};
	let entries = [committed(), challenged(12, DAVE, 0)];
	let line = |open: &Open| tell(4, &entries, Some(open)).lines.join("\n");
	assert!(line(&open).contains("must publish its trace by block 22; if not, it is convicted"));
	open.published = true;
	open.demands = vec![DemandInfo { demand: demand(), bytes: 1_024, answer_by: 22 }];
	assert!(line(&open).contains("the bytes of tile 3 of value 7, 1024 bytes, by block 22"));
	open.challenges = vec![info(true)];
	let story = tell(4, &entries, Some(&open));
	assert!(story.lines.join("\n").contains("by block 22; if not, its challenge is lost"));
	assert_eq!(story.object["next"]["moves"][0]["to_move"], "challenger");
	assert_eq!(story.object["state"], "disputed");
}

#[test]
fn story_should_say_so_when_nobody_challenged() {
	let open = Open { now: 13, claim: CLAIM, settles_at: 30, published: false, challenges: vec![], demands: vec![] };
	let story = tell(4, &[committed()], Some(&open));
	let text = story.lines.join("\n");
	assert!(text.contains("can be challenged for 17 more blocks") && text.contains("Nobody challenged"), "{text}");
	assert_eq!(story.object["claims"][0]["state"], "open");
	assert!(tell(4, &[], None).lines[1].contains("Nothing is known"));
}
