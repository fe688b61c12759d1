//! Presets, indices, and the relations between constants of several pallets.

use super::*;
use assay_primitives::OPG;

#[test]
fn every_preset_should_build_and_hold_the_invariants() {
	for preset in genesis_config_presets::preset_names() {
		with_preset(preset.as_ref(), || {
			assert_eq!(Balances::total_issuance(), 900_000_000 * OPG);
			let workers = match preset.as_ref() {
				sp_genesis_builder::DEV_RUNTIME_PRESET => 1,
				sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET => 2,
				_ => 0,
			};
			assert_eq!(Workers::server_count(&digits()), workers);
			assert_eq!(Models::is_active(&digits()), workers > 0);
		});
	}
}

#[test]
fn integrity_tests_should_hold() {
	sp_io::TestExternalities::default()
		.execute_with(<AllPalletsWithSystem as frame_support::traits::IntegrityTest>::integrity_test);
}

#[test]
fn pallet_indices_should_not_change() {
	use frame_support::traits::PalletInfoAccess;
	let indices = [
		System::index(),
		Timestamp::index(),
		Babe::index(),
		Authorship::index(),
		Session::index(),
		Grandpa::index(),
		Balances::index(),
		TransactionPayment::index(),
		Utility::index(),
		Proxy::index(),
		Multisig::index(),
		Sudo::index(),
		Network::index(),
		Staking::index(),
		VoterList::index(),
		Offences::index(),
		Historical::index(),
		AuthorityDiscovery::index(),
		Council::index(),
		Treasury::index(),
		Models::index(),
		Workers::index(),
		Inference::index(),
		Disputes::index(),
		Rewards::index(),
	];
	assert!(indices.into_iter().eq(0..25));
}

/// The relations of the protocol between constants of several pallets. Those within one pallet are its `integrity_test`.
#[test]
fn relations_between_pallets_should_hold() {
	use frame_support::{traits::Get, weights::WeightToFee};
	use pallet_disputes::Config as D;
	use pallet_inference::Config as I;
	use pallet_models::Config as M;
	use pallet_rewards::Config as R;
	use pallet_workers::Config as W;
	use sp_runtime::Permill;

	fn blocks<G: Get<u32>>() -> u32 {
		G::get()
	}
	fn planck<G: Get<Balance>>() -> Balance {
		G::get()
	}
	fn share<G: Get<Permill>>() -> Permill {
		G::get()
	}

	// The same numbers wherever they stand.
	assert_eq!(blocks::<<Runtime as D>::MaxTraceBlocks>(), blocks::<<Runtime as M>::MaxTraceBlocks>());
	assert_eq!(planck::<<Runtime as D>::MinJobBond>(), planck::<<Runtime as I>::MinBond>());
	assert_eq!(blocks::<<Runtime as I>::MaxWindow>(), blocks::<<Runtime as M>::MaxWindow>());
	assert_eq!(blocks::<<Runtime as W>::LongestClaim>(), blocks::<<Runtime as M>::LongestJob>());
	let shares = <[_; 3]>::from((
		share::<<Runtime as I>::BurnedShare>(),
		share::<<Runtime as I>::RequesterShare>(),
		share::<<Runtime as I>::ChallengerShare>(),
	));
	let disputes = <[_; 3]>::from((
		share::<<Runtime as D>::BurnedShare>(),
		share::<<Runtime as D>::RequesterShare>(),
		share::<<Runtime as D>::ChallengerShare>(),
	));
	assert_eq!(shares, disputes);

	// 4: what the others count on is no shorter than what a dispute can take.
	let longest = Disputes::longest_challenge(blocks::<<Runtime as D>::MaxTraceBlocks>());
	println!("the longest challenge takes {longest} blocks of {}", configs::LONGEST_DISPUTE);
	assert!(longest <= configs::LONGEST_DISPUTE);

	// 2: the winner's share of the smallest bond pays for the fees of a whole dispute; what it takes is measured in `disputes`.
	// 3: what a worker gets for a groundless challenge covers its trace and openings, whatever the model.
	// A window is long enough to recompute, to seal in one block and reveal in the next, and for finality.
	assert!(blocks::<<Runtime as M>::WindowSlack>() > blocks::<<Runtime as D>::Finality>());

	// 6: stake stays until the last claim on it is over, data having been withheld once, and final.
	let window = blocks::<<Runtime as I>::MaxWindow>();
	let claim = blocks::<<Runtime as I>::MaxDeadline>() + 2 * window + longest + configs::FINALITY;
	assert!(blocks::<<Runtime as W>::LongestClaim>() >= claim);
	assert!(blocks::<<Runtime as W>::UnbondingDelay>() >= claim);
	assert!(blocks::<<Runtime as M>::LongestJob>() >= claim, "a model is not removed before");
	assert!(blocks::<<Runtime as frame_system::Config>::BlockHashCount>() > blocks::<<Runtime as I>::MaxDeadline>());

	// 8: a request pays for what it causes, and silence costs something, but not more than the bond.
	use pallet_inference::WeightInfo;
	type Weights = <Runtime as I>::WeightInfo;
	let most = blocks::<<Runtime as I>::MaxOutput>();
	let commit = Weights::commit(most).saturating_add(Weights::authorize_commit(most));
	let later = commit.saturating_add(Weights::settle_job());
	let fee = <Runtime as I>::WeightToFee::weight_to_fee(&later)
		+ <Runtime as I>::LengthToFee::weight_to_fee(&frame_support::weights::Weight::from_parts(most.into(), 0));
	assert!(Inference::charge_for(most) + planck::<<Runtime as I>::MinFee>() >= fee);
	let penalty = planck::<<Runtime as I>::LivenessPenalty>();
	assert!(penalty > 0 && penalty <= planck::<<Runtime as I>::MinBond>());

	// 10: something is left for the worker.
	let taken = [
		share::<<Runtime as R>::BurnShare>(),
		share::<<Runtime as R>::TreasuryShare>(),
		share::<<Runtime as M>::MaxRoyalty>(),
	];
	assert!(taken.iter().map(|share| share.deconstruct()).sum::<u32>() < 1_000_000);
	assert_eq!(share::<<Runtime as R>::MaxRoyalty>(), share::<<Runtime as M>::MaxRoyalty>());

	// A heartbeat is good for one time only: when the next one is due, it is too old.
	assert!(blocks::<<Runtime as R>::HeartbeatLifetime>() / 2 > pallet_inference::HEARTBEAT_FRESH);

	// 11: a result can be read for as long as it can be disputed.
	assert!(blocks::<<Runtime as I>::ResultLifetime>() >= window);
}

/// What a starving challenger would have to be outbid by, and that a liar cannot.
#[test]
fn pricing_a_challenger_out_should_cost_many_times_what_it_would_pay() {
	use frame_support::traits::Get;
	use pallet_disputes::Config as D;
	let most = <<Runtime as D>::MaxMessage as Get<u32>>::get();
	let mut spent: Balance = 0;
	let mut owed = 0;
	for mebibytes in 1..=8 {
		while owed < mebibytes * 1024 * 1024 {
			spent = spent.saturating_add(Disputes::fee_at(owed, most));
			owed += most;
		}
		let honest = Disputes::fee_at(owed, 32 * 1024);
		println!("{mebibytes} MiB owed: for {} OPG; then 32 KiB cost {} milli-OPG", spent / OPG, honest * 1_000 / OPG);
		assert!(spent >= 8 * honest || mebibytes == 1);
	}
	assert!(spent > 500_000_000 * OPG, "workers can be made to owe 8 MiB");
}

/// Every operator has a measured step.
#[test]
fn every_operator_should_be_weighed() {
	for kind in assay_semantics::testing::nodes::Kind::ALL {
		let name = format!("{kind:?}");
		assert!(weights::judge::STEPS.iter().any(|(known, ..)| *known == name), "{name} is not in weights/judge.rs");
		assert!(weights::judge_step(&name, 2).ref_time() <= weights::most_judged());
	}
	assert!(weights::judge_step("Nothing", 0).ref_time() == weights::most_judged());
}

/// What jobs read and write, as the benchmarks on this very runtime saw it, is none of the disputes': who is not challenged pays nothing
/// for it that others could be.
#[test]
fn undisputed_jobs_should_touch_nothing_of_disputes() {
	let measured = include_str!("../weights/pallet_inference.rs");
	assert!(measured.contains("Storage: `Inference::Jobs`") && measured.contains("Storage: `Workers::Workers`"));
	assert!(!measured.contains("`Disputes::"), "a job's calls and tasks touch the storage of disputes");
}
