//! Disputes that the worker loses.

use super::*;
use assay_semantics::{
	commit as trees, ops::Unary, prover::prove_invalid, tensor_root, DType, ModelHeader as Header, Node, Op,
	TensorType, SEMANTICS_VERSION,
};
use frame_support::assert_noop;

#[test]
fn worker_should_be_convicted_when_a_state_does_not_follow_from_the_one_before() {
	let case = models::long_fold();
	on_a_chain(|chain| {
		let claim = lie(chain, &case);
		let books = Books::open(chain, &claim);
		let mut play = Play::new(&claim, Dave, case.honest(), case.lying());
		// The states jump half way, so that the last one gives something else than the right element.
		play.states = |states| states.iter_mut().skip(4).for_each(|state| state.0[0] ^= 1 << 22);
		assert_eq!(play.convict(chain), ProofKind::Step);
		assert_convicted(chain, &books, &claim, Dave);
		assert_forgotten(chain);
	});
}

#[test]
fn worker_should_be_convicted_when_it_does_not_publish() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = lie(chain, &case);
		let books = Books::open(chain, &claim);
		challenge(chain, Dave, &claim, false);
		let last = Disputes::next_deadline(claim.job).unwrap();
		assert_eq!(last, System::block_number() + 20);
		chain.run_to(last);
		assert!(chain.takes(publication(&claim, case.lying().publication().encode())), "the last block counts");
		chain.run(2);
		assert_eq!(assert_convicted(chain, &books, &claim, Dave), Grounds::NoPublication);
		assert_forgotten(chain);
	});
}

#[test]
fn worker_should_have_twice_the_time_and_no_more_when_blocks_are_full() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = lie(chain, &case);
		let books = Books::open(chain, &claim);
		challenge(chain, Dave, &claim, false);
		let since = System::block_number();
		while verdict_is_open(chain) {
			chain.fill();
			chain.next();
		}
		assert_eq!(System::block_number(), since + 42, "convicted in the first block after twice the clock");
		assert_eq!(assert_convicted(chain, &books, &claim, Dave), Grounds::NoPublication);
		assert_forgotten(chain);
	});
}

fn verdict_is_open(chain: &Chain) -> bool {
	!chain.events.iter().any(|event| matches!(event, RuntimeEvent::Disputes(Event::Convicted { .. })))
}

#[test]
fn worker_should_be_convicted_when_it_does_not_open_a_node() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = lie(chain, &case);
		let books = Books::open(chain, &claim);
		challenge(chain, Dave, &claim, false);
		let worker = case.lying();
		publish(chain, &claim, &worker);
		let view = Investigation::new(
			case.honest(),
			&Inference::open_claim(claim.job).unwrap().output_root.0,
			&worker.publication(),
		);
		let Next::Demand(wanted, evidence) = view.unwrap().next() else { panic!("a demand") };
		let paid = held(Dave, pallet_disputes::HoldReason::Demand);
		let answer = worker.open(&wanted).unwrap().encode();
		let fee = Disputes::demand_fee(answer.len() as u32);
		chain.sign(Dave, demand(&claim, &wanted, &evidence));
		let held = held(Dave, pallet_disputes::HoldReason::Demand);
		assert_eq!(held, paid + fee, "the demand's fee is for the answer's bytes");
		let last = Disputes::next_deadline(claim.job).unwrap();
		assert_eq!(last, System::block_number() + 20);
		chain.run_to(last);
		assert!(chain.takes(opening(&claim, &wanted, answer.clone())), "the last block counts");
		chain.next();
		assert!(!chain.takes(opening(&claim, &wanted, answer)), "the next does not");
		chain.next();
		let node = payload::node_id(&wanted.encode());
		assert_eq!(assert_convicted(chain, &books, &claim, Dave), Grounds::NoAnswer(node));
		assert_forgotten(chain);
	});
}

#[test]
fn share_should_go_to_who_sealed_first_when_somebody_else_challenges_and_proves() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = lie(chain, &case);
		let books = Books::open(chain, &claim);
		seal(chain, Dave, &claim);
		chain.next();
		// Eve saw Dave's challenge in the pool, and is a transaction ahead of it.
		challenge(chain, Eve, &claim, false);
		challenge(chain, Dave, &claim, true);
		let play = Play::new(&claim, Eve, case.honest(), case.lying());
		let game = play.investigate(chain);
		chain.sign(Eve, game.prove.unwrap());
		chain.next();
		assert_convicted(chain, &books, &claim, Dave);
		assert!(books.fees(chain, &Eve.to_account_id()) > 0, "Eve has only paid");
		assert_forgotten(chain);
	});
}

#[test]
fn job_should_be_answered_by_another_worker_when_there_is_time_after_a_verdict() {
	let case = models::digits();
	on_a_chain(|chain| {
		let model = offer(chain, &case.model.header(), &[Charlie, Ferdie]);
		let job = request(chain, model, case.input(), None);
		let claim = commit(chain, job, case.wrong());
		let other = if claim.worker == Charlie { Ferdie } else { Charlie };
		let books = Books::open(chain, &claim);
		Play::new(&claim, Dave, case.honest(), case.lying()).convict(chain);
		let (_, _, outcome) = verdict(chain, &claim);
		assert_eq!((outcome.slashed, outcome.compensation), (claim.bond, 0), "Bob gets an answer instead");
		assert_eq!(outcome.reward, configs::ChallengerShare::get().mul_floor(claim.bond));
		assert!(Inference::result(job).is_none(), "nobody relies on the wrong answer");

		let second = commit(chain, job, case.right());
		assert_eq!(second.worker, other);
		assert_ne!(second.hash, claim.hash);
		books.settle(chain, claim.bond, &[(claim.worker, -signed(claim.bond)), (Dave, signed(outcome.reward))]);
		chain.run_to(second.settles_at + 1);
		assert!(Inference::job(job).is_none());
		let result = Inference::result(job).unwrap().result;
		assert_eq!(result.output, Output::Inline(BoundedVec::truncate_from(case.right())));
		assert_eq!(result.worker, other.to_account_id());
		let paid: Vec<_> = chain
			.events
			.iter()
			.filter_map(|event| match event {
				RuntimeEvent::Inference(pallet_inference::Event::Settled { worker, fee, .. }) => Some((worker, *fee)),
				_ => None,
			})
			.collect();
		assert_eq!(paid, [(&other.to_account_id(), second.fee)]);
		assert_nothing_held();
		assert_forgotten(chain);
	});
}

/// A model whose second node states a type that its operator does not give, with an input.
fn invalid_model() -> (Header, Vec<Node>, TensorType, TensorType) {
	let (input, output) = (TensorType::new(DType::F32, [1, 4]), TensorType::new(DType::F32, [1, 5]));
	let nodes = vec![
		Node { op: Op::Input(0), inputs: vec![], ty: input.clone() },
		Node { op: Op::Unary(Unary::Relu), inputs: vec![0], ty: output.clone() },
	];
	let header = Header {
		semantics_version: SEMANTICS_VERSION,
		ir_root: trees::ir_root(&nodes),
		values: 2,
		weight_root: trees::weight_root(&[]),
		inputs: vec![input.clone()],
		outputs: vec![output.clone()],
		max_iterations: 1,
	};
	(header, nodes, input, output)
}

#[test]
fn model_should_be_invalid_and_its_other_claims_convicted_when_one_of_its_nodes_is_shown_to_be() {
	let (header, nodes, input, output) = invalid_model();
	on_a_chain(|chain| {
		let model = offer(chain, &header, &[Charlie]);
		let (question, answer) = (vec![0; 16], vec![0; 20]);
		let [disputed, other] = [0, 1].map(|_| {
			let job = request(chain, model, question.clone(), Some(Charlie));
			commit(chain, job, answer.clone())
		});
		let waiting = request(chain, model, question.clone(), Some(Charlie));
		let books = Books::open(chain, &disputed);
		challenge(chain, Dave, &disputed, false);
		let roots = vec![tensor_root(&input, &question).unwrap(), tensor_root(&output, &answer).unwrap()];
		let words = Publication { header: header.clone(), top: roots, ends: vec![], path: vec![] };
		chain.free(publication(&disputed, words.encode()));
		chain.next();
		let proof = prove_invalid(&header, &nodes, &[]).unwrap();
		let prove = |claim: &Claim| Disputing::prove {
			job: claim.job,
			claim: claim.hash,
			states: None,
			proof: message(proof.encode()),
		};
		chain.sign(Dave, prove(&disputed));
		assert!(Models::is_invalid(&model) && !Models::is_active(&model));
		chain.next();
		let (grounds, ..) = verdict(chain, &disputed);
		assert!(matches!(grounds, Grounds::Proof(verdict) if verdict.value == 1 && verdict.element.is_none()));

		// The other claim is nobody's dispute: it is convicted when it would settle, and all but Bob's share is burned.
		assert!(Inference::open_claim(other.job).is_some());
		chain.run_to(other.settles_at + 2);
		assert!(Inference::job(other.job).is_none() && Inference::result(other.job).is_none());
		let shares = |claim: &Claim| signed(configs::RequesterShare::get().mul_floor(claim.bond).min(COVERAGE));
		let reward = signed(configs::ChallengerShare::get().mul_floor(disputed.bond));
		let bonds = disputed.bond + other.bond;
		let changes = [(Charlie, -signed(bonds)), (Dave, reward), (Bob, shares(&disputed) + shares(&other))];
		books.settle(chain, bonds, &changes);

		// Whoever answers the third one now loses its bond too.
		chain.free(answer_with(waiting, answer));
		let last = Inference::open_claim(waiting).unwrap();
		chain.run_to(last.settles_at + 2);
		books.settle(
			chain,
			bonds + last.assignment.bond,
			&[
				(Charlie, -signed(bonds + last.assignment.bond)),
				(Dave, reward),
				(Bob, shares(&disputed) + shares(&other) * 2),
			],
		);
		assert_nothing_held();
		assert_forgotten(chain);
	});
}

#[test]
fn message_should_change_nothing_when_it_names_another_claim_or_comes_too_late() {
	let case = models::digits();
	on_a_chain(|chain| {
		let [claim, other] = [lie(chain, &case), lie(chain, &case)];
		challenge(chain, Dave, &claim, false);
		challenge(chain, Dave, &other, false);
		let worker = case.lying();
		// The publication of one claim is not that of the other, although the computations are the same.
		let Disputing::publish { publication: words, signature, .. } =
			publication(&claim, worker.publication().encode())
		else {
			panic!("a publication")
		};
		let moved =
			|job, claim| Disputing::publish { job, claim, publication: words.clone(), signature: signature.clone() };
		assert!(!chain.takes(moved(other.job, other.hash)));
		assert!(!chain.takes(moved(claim.job, other.hash)));
		assert!(!chain.takes(moved(other.job, claim.hash)));
		assert!(chain.takes(moved(claim.job, claim.hash)));
		publish(chain, &claim, &worker);
		assert!(!chain.takes(moved(claim.job, claim.hash)), "once only");
		let error = pallet_disputes::Error::<Runtime>::AlreadyChallenged;
		let again =
			|| Disputes::challenge(RuntimeOrigin::signed(Dave.to_account_id()), claim.job, claim.hash, None, OPG);
		assert_noop!(again(), error);
		chain.run_to(claim.settles_at);
		let late = || Disputes::challenge(RuntimeOrigin::signed(Eve.to_account_id()), claim.job, claim.hash, None, OPG);
		assert_noop!(late(), pallet_disputes::Error::<Runtime>::WindowOver);
	});
}
