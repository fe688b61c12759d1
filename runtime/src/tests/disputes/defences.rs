//! Disputes that the worker wins.

use super::*;
use frame_support::{assert_noop, pallet_prelude::DispatchError};

type Error = pallet_disputes::Error<Runtime>;

/// Asserts that a challenge of Charlie's right answer is lost and the answer is paid for.
fn assert_defended(chain: &mut Chain, books: &Books, claim: &Claim, challenger: Sr25519Keyring, fees: Balance) {
	let bond = Disputes::bond_for(claim.job).expect("the claim is open");
	chain.run(22);
	let burned = configs::BurnedOfBond::get().mul_ceil(bond);
	let lost = chain.events.iter().find_map(|event| match event {
		RuntimeEvent::Disputes(Event::ChallengeLost { claim: hash, challenger, burned, to_worker, .. })
			if *hash == claim.hash =>
		{
			Some((challenger.clone(), *burned, *to_worker))
		}
		_ => None,
	});
	assert_eq!(lost, Some((challenger.to_account_id(), burned + fees, bond - burned)));
	chain.run_to(claim.settles_at.max(System::block_number()) + 2);
	let shares = chain.events.iter().find_map(|event| match event {
		RuntimeEvent::Inference(pallet_inference::Event::Settled { job, shares, .. }) if *job == claim.job => {
			Some(shares.clone())
		}
		_ => None,
	});
	let shares = shares.expect("the claim has settled");
	assert_eq!(shares.burned + shares.treasury + shares.royalty + shares.worker, claim.fee);
	assert_nothing_held();
	assert!(!pallet_workers::Workers::<Runtime>::get(&books.worker).unwrap().paused);
	// The sample model is Dave's; he earns the royalty.
	let changes = [
		(Bob, -signed(claim.fee)),
		(Charlie, signed(shares.worker + bond - burned)),
		(Dave, signed(shares.royalty)),
		(challenger, -signed(bond + fees)),
	];
	let treasury = Rewards::treasury();
	assert!(Balances::total_balance(&treasury) >= shares.treasury);
	books.settle_with(chain, 0, &changes, shares.treasury);
	assert_forgotten(chain);
}

#[test]
fn challenger_should_lose_its_bond_to_the_worker_when_its_proof_is_none() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = answer_rightly(chain, &case);
		let books = Books::open(chain, &claim);
		// Eve's engine is wrong where the liar's was.
		let play = Play::new(&claim, Eve, case.lying(), case.honest());
		play.challenge(chain);
		let game = play.investigate(chain);
		let refused: DispatchError = Error::ProofRefused.into();
		assert_eq!(chain.try_sign(Eve, game.prove.unwrap()), Err(refused));
		let fees = held(Eve, pallet_disputes::HoldReason::Demand);
		assert!(fees > 0);
		assert_defended(chain, &books, &claim, Eve, fees);
	});
}

#[test]
fn challenger_should_lose_its_bond_when_it_does_not_move() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = answer_rightly(chain, &case);
		let books = Books::open(chain, &claim);
		challenge(chain, Eve, &claim, false);
		publish(chain, &claim, &case.honest());
		assert_eq!(Disputes::next_deadline(claim.job), Some(System::block_number() + 20));
		let fees = held(Eve, pallet_disputes::HoldReason::Demand);
		assert_defended(chain, &books, &claim, Eve, fees);
	});
}

#[test]
fn dispute_should_end_within_its_bound_when_everybody_waits_for_the_last_block() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = answer_rightly(chain, &case);
		let books = Books::open(chain, &claim);
		let to_the_last = |chain: &mut Chain| chain.run_to(Disputes::next_deadline(claim.job).unwrap());
		chain.run_to(claim.settles_at - 1);
		challenge(chain, Eve, &claim, false);
		let since = System::block_number();
		to_the_last(chain);
		let worker = case.honest();
		publish(chain, &claim, &worker);
		// Every demand that Eve may make, and an answer to each.
		let wanted: Vec<_> = (0..u32::MAX)
			.map(|value| Demand::Tiles { at: assay_semantics::trace::Coordinate::of(value) })
			.filter(|wanted| worker.evidence(wanted).is_some() && worker.open(wanted).is_some())
			.filter(|wanted| {
				let evidence = worker.evidence(wanted).unwrap().encode();
				judge::check_demand(&case.model.id(), &wanted.encode(), &evidence).is_ok()
			})
			.take(7)
			.collect();
		for wanted in &wanted {
			to_the_last(chain);
			chain.sign(Eve, demand(&claim, wanted, &worker.evidence(wanted).unwrap()));
			to_the_last(chain);
			chain.free(opening(&claim, wanted, worker.open(wanted).unwrap().encode()));
		}
		let more = demand(&claim, &Demand::Node { value: 1 }, &worker.evidence(&Demand::Node { value: 1 }).unwrap());
		assert_eq!(chain.try_sign(Eve, more), Err(Error::NoDemandsLeft.into()));
		to_the_last(chain);
		chain.next();
		let longest = Disputes::longest_challenge(1);
		let took = System::block_number() - since;
		println!("everybody waits: {took} blocks; the bound, with every clock doubled, is {longest}");
		assert!(took <= longest / 2 + 1);
		let publication = Disputes::fee_for(claim.job).expect("the claim is open");
		let openings: Balance =
			wanted.iter().map(|wanted| Disputes::demand_fee(worker.open(wanted).unwrap().encoded_size() as u32)).sum();
		let fees = publication + openings;
		let held = held(Eve, pallet_disputes::HoldReason::Demand);
		assert!(held == 0 || held == fees);
		assert_defended(chain, &books, &claim, Eve, fees);
	});
}

#[test]
fn claim_should_stand_against_the_second_challenger_too_when_the_first_has_lost() {
	let case = models::digits();
	on_a_chain(|chain| {
		let claim = answer_rightly(chain, &case);
		let books = Books::open(chain, &claim);
		challenge(chain, Eve, &claim, false);
		publish(chain, &claim, &case.honest());
		chain.run_to(claim.settles_at - 1);
		challenge(chain, Ferdie, &claim, false);
		assert_noop!(
			Disputes::challenge(RuntimeOrigin::signed(Charlie.to_account_id()), claim.job, claim.hash, None, OPG),
			Error::OwnClaim
		);
		chain.run(5);
		assert!(Inference::open_claim(claim.job).is_some(), "Ferdie's challenge keeps it from settling");
		let bond = Disputes::bond_for(claim.job).expect("the claim is open");
		let fee = Disputes::fee_for(claim.job).expect("the claim is open");
		chain.run(30);
		let burned = configs::BurnedOfBond::get().mul_ceil(bond);
		let shares = chain.events.iter().find_map(|event| match event {
			RuntimeEvent::Inference(pallet_inference::Event::Settled { shares, .. }) => Some(shares.clone()),
			_ => None,
		});
		let shares = shares.expect("the claim has settled");
		let changes = [
			(Bob, -signed(claim.fee)),
			(Charlie, signed(shares.worker + 2 * (bond - burned))),
			(Dave, signed(shares.royalty)),
			(Eve, -signed(bond + fee)),
			(Ferdie, -signed(bond)),
		];
		books.settle_with(chain, 0, &changes, shares.treasury);
		assert_forgotten(chain);
	});
}
