//! Jobs that nobody disputes.

use super::*;
use assay_primitives::{JobId, OPG};
use frame_support::{
	assert_ok,
	dispatch::GetDispatchInfo,
	traits::{
		fungible::{Inspect, InspectHold},
		Hooks,
	},
};
use pallet_inference::{Event, Input, Output};
use sp_keyring::Sr25519Keyring::{Bob, Charlie, Dave};
use sp_runtime::{generic::Preamble, transaction_validity::TransactionSource, BoundedVec};

/// Plays a scenario in block 1.
fn on_a_chain(scenario: impl FnOnce()) {
	with_preset("development", || {
		run_to(1);
		scenario();
	});
}

/// Goes on with nothing but the hooks of the pallets that jobs need.
fn run_to(to: BlockNumber) {
	while System::block_number() < to {
		let next = System::block_number() + 1;
		System::reset_events();
		System::initialize(&next, &Hash::from_low_u64_be(u64::from(next)), &Default::default());
		if next == 1 {
			frame_system::BlockHash::<Runtime>::insert(0, GENESIS);
		}
		Inference::on_initialize(next);
		Disputes::on_initialize(next);
		Rewards::on_initialize(next);
		Rewards::on_idle(next, frame_support::weights::Weight::MAX);
	}
}

fn request(named: bool) -> JobId {
	let id = pallet_inference::NextJobId::<Runtime>::get();
	assert_ok!(Inference::request(
		RuntimeOrigin::signed(Bob.to_account_id()),
		digits(),
		Input::Inline(BoundedVec::truncate_from(vec![0; 256])),
		OPG,
		0,
		40,
		100,
		None,
		named.then(|| Charlie.to_account_id()),
	));
	id
}

/// The answer as Charlie's node would send it.
fn answer(id: JobId) -> UncheckedExtrinsic {
	authorized(answer_with(id, vec![0; 40]))
}

fn commit(id: JobId) {
	let UncheckedExtrinsic { function, .. } = answer(id);
	use frame_support::traits::Authorize;
	function.authorize(TransactionSource::External).expect("needs authorisation").expect("is authorised");
	let origin = frame_system::RawOrigin::Authorized.into();
	assert_ok!(sp_runtime::traits::Dispatchable::dispatch(function, origin));
}

#[test]
fn job_should_be_paid_out_to_the_last_planck() {
	on_a_chain(|| {
		let id = request(false);
		// Drawn in block 3, so that block 4 is the first in which the hash of the block of assignment is known.
		run_to(4);
		commit(id);
		let free = |who: &AccountId| Balances::balance(who);
		let [bob, charlie, dave] = [Bob, Charlie, Dave].map(|who| who.to_account_id());
		let treasury = Rewards::treasury();
		let before = [&charlie, &dave, &treasury].map(free);
		let issuance = Balances::total_issuance();
		run_to(24);
		let settled = System::events().into_iter().find_map(|record| match record.event {
			RuntimeEvent::Inference(Event::Settled { fee, shares, .. }) => Some((fee, shares)),
			_ => None,
		});
		let (fee, shares) = settled.expect("it settles in block 24");
		assert_eq!(fee, 20 * assay_primitives::MILLI_OPG);
		assert_eq!(shares.burned + shares.treasury + shares.royalty + shares.worker, fee);
		let gained = [&charlie, &dave, &treasury].map(free);
		assert_eq!(gained[0] - before[0], shares.worker);
		assert_eq!(gained[1] - before[1], shares.royalty);
		assert_eq!(gained[2] - before[2], shares.treasury);
		assert_eq!(issuance - Balances::total_issuance(), shares.burned);
		assert_eq!(Balances::total_balance_on_hold(&bob), 0);
	});
}

#[test]
fn answer_should_be_a_valid_free_transaction() {
	on_a_chain(|| {
		let id = request(true);
		run_to(2);
		let transaction = answer(id);
		assert!(matches!(transaction.preamble, Preamble::General(..)));
		let info = transaction.get_dispatch_info();
		assert!(info.total_weight().all_lt(configs::RuntimeBlockWeights::get().max_block));
		// The pool looks from the state after the block, so the transaction must be valid one block later.
		let block = System::block_hash(1);
		let valid = Executive::validate_transaction(TransactionSource::External, transaction.clone(), block);
		let valid = valid.expect("the pool takes it");
		assert_eq!(valid.provides.len(), 1);
		let mut twisted = transaction;
		if let RuntimeCall::Inference(pallet_inference::Call::commit { output: Output::Inline(bytes), .. }) =
			&mut twisted.function
		{
			bytes[0] ^= 1;
		}
		assert!(Executive::validate_transaction(TransactionSource::External, twisted, block).is_err());
		run_to(System::block_number().max(2));
	});
}

#[test]
fn silent_worker_should_pay_and_keep_its_other_stake() {
	on_a_chain(|| {
		let id = request(true);
		let stake = |who: &AccountId| pallet_workers::Workers::<Runtime>::get(who).unwrap().bonded;
		let charlie = Charlie.to_account_id();
		let before = stake(&charlie);
		run_to(102);
		assert!(Inference::job(id).is_none());
		assert_eq!(before - stake(&charlie), OPG / 10);
		assert_eq!(Balances::total_balance_on_hold(&Bob.to_account_id()), 0);
	});
}

#[test]
fn ten_thousand_settled_jobs_should_leave_nothing_when_their_results_have_expired() {
	on_a_chain(|| {
		let entries = || {
			let mut count = 0;
			let mut key = Vec::new();
			while let Some(next) = sp_io::storage::next_key(&key) {
				// Block hashes and events are the system's, and bounded.
				if next.starts_with(&sp_io::hashing::twox_128(b"Inference")) {
					count += 1;
				}
				key = next;
			}
			count
		};
		let before = entries();
		for _ in 0..100 {
			let ids: Vec<_> = (0..100).map(|_| request(true)).collect();
			run_to(System::block_number() + 1);
			ids.into_iter().for_each(commit);
			run_to(System::block_number() + 21);
		}
		assert_eq!(pallet_inference::Jobs::<Runtime>::iter().count(), 0);
		assert_eq!(pallet_inference::Results::<Runtime>::iter().count(), 10_000);
		check_invariants().unwrap();
		run_to(System::block_number() + assay_primitives::DAYS + 2);
		assert_eq!(entries(), before + 2, "new are the number of the next job, and how far results are forgotten");
		assert_eq!(pallet_inference::NextJobId::<Runtime>::get(), 10_000);
	});
}
