//! What somebody tries who has stake and ill will.

use super::*;
use crate::consensus::{Punish, MAX_CANDIDATES};
use assay_primitives::{SlashReason, OPG};
use frame_support::{assert_noop, assert_ok, traits::Imbalance};
use pallet_staking::{RewardDestination, ValidatorPrefs};
use sp_runtime::Perbill;
use sp_staking::offence::{OffenceDetails, OnOffenceHandler};

fn by(who: &AccountId) -> RuntimeOrigin {
	RuntimeOrigin::signed(who.clone())
}

/// One more candidate than an election takes would end all elections.
#[test]
fn candidates_should_never_be_more_than_an_election_takes() {
	with_preset("local_testnet", || {
		System::set_block_number(1);
		let mut stood = pallet_staking::Validators::<Runtime>::count();
		for number in 0..=MAX_CANDIDATES {
			let who = AccountId::from(sp_io::hashing::blake2_256(&number.to_le_bytes()));
			assert_ok!(Balances::force_set_balance(RuntimeOrigin::root(), who.clone().into(), 2_000 * OPG));
			assert_ok!(Staking::bond(by(&who), 1_000 * OPG, RewardDestination::Stash));
			let done = Staking::validate(by(&who), ValidatorPrefs::default());
			assert_eq!(done.is_ok(), stood < MAX_CANDIDATES, "{done:?}");
			stood += u32::from(done.is_ok());
		}
		assert_eq!(stood, MAX_CANDIDATES);
		use frame_election_provider_support::ElectionProvider;
		let elected = <Runtime as pallet_staking::Config>::ElectionProvider::elect(0).expect("there is an election");
		assert!(!elected.is_empty());
	});
}

/// A worker with as many delegators as count, who asks itself and challenges itself, gets half of its own bond back at most.
#[test]
fn delegators_should_not_pay_for_a_liar_that_is_on_all_sides() {
	with_preset("local_testnet", || {
		System::set_block_number(1);
		let worker = Sr25519Keyring::Charlie.to_account_id();
		let delegator = Sr25519Keyring::Two.to_account_id();
		let own = pallet_workers::Workers::<Runtime>::get(&worker).expect("Charlie is a worker").bonded;
		assert_ok!(Workers::set_commission(by(&worker), Perbill::one()));
		assert_ok!(Workers::delegate(by(&delegator), worker.clone(), own));
		let status = Workers::worker_status(worker.clone()).expect("Charlie is a worker");
		assert_eq!((status.bonded, status.free), (2 * own, own));
		let issuance = Balances::total_issuance();
		let credit = Workers::slash(&worker, own, SlashReason::WrongAnswer);
		// What a challenger and a requester can share is a part of this.
		assert_eq!(credit.peek(), own);
		assert_eq!(Workers::delegation(worker, delegator).expect("a delegation").stake, 0);
		drop(credit);
		assert_eq!(Balances::total_issuance(), issuance - 2 * own);
	});
}

/// Staking slashes in one era only, some time after the offence; who reports later must not have waited it out.
#[test]
fn offence_should_be_punished_when_it_is_reported_late() {
	for (reported_in, at_once) in [(3, false), (8, true), (100, true)] {
		with_preset(genesis_config_presets::TESTNET_RUNTIME_PRESET, || {
			System::set_block_number(1);
			assert_ok!(Network::arm_slashing(RuntimeOrigin::root(), true));
			pallet_network::NetworkPace::<Runtime>::mutate(|pace| pace.slash_defer_eras = 5);
			let (offender, _) = pallet_staking::Validators::<Runtime>::iter().next().expect("a validator");
			let stake = pallet_staking::Ledger::<Runtime>::get(&offender).expect("it has bonded").active;
			// Era 2 began with session 12; what was at stake in it is known.
			pallet_staking::BondedEras::<Runtime>::put((0..=reported_in).map(|era| (era, era * 6)).collect::<Vec<_>>());
			pallet_staking::ErasStartSessionIndex::<Runtime>::insert(reported_in, reported_in * 6);
			pallet_staking::ActiveEra::<Runtime>::put(pallet_staking::ActiveEraInfo {
				index: reported_in,
				start: None,
			});
			let exposure = sp_staking::Exposure { total: stake, own: stake, others: vec![] };
			pallet_staking::EraInfo::<Runtime>::set_exposure(2, &offender, exposure);
			let offence = OffenceDetails { offender: (offender.clone(), ()), reporters: vec![] };
			Punish::on_offence(&[offence], &[Perbill::from_percent(10)], 13);
			let left = pallet_staking::Ledger::<Runtime>::get(&offender).expect("it has bonded").active;
			assert_eq!(left, if at_once { stake - stake / 10 } else { stake }, "reported in era {reported_in}");
			assert_eq!(pallet_staking::UnappliedSlashes::<Runtime>::contains_key(8), !at_once);
			assert!(!consensus::LateOffence::get());
		});
	}
}

/// A proxy for staking must not send rewards elsewhere, nor one for a worker take stake out.
#[test]
fn proxies_should_not_take_money_elsewhere() {
	use configs::ProxyType;
	use frame_support::traits::InstanceFilter;
	let elsewhere = RewardDestination::Account(AccountId::new([9; 32]));
	let staking = |call: pallet_staking::Call<Runtime>| RuntimeCall::Staking(call);
	let refused = [
		staking(pallet_staking::Call::set_payee { payee: elsewhere.clone() }),
		staking(pallet_staking::Call::bond { value: OPG, payee: elsewhere }),
		pallet_workers::Call::unbond { amount: OPG }.into(),
		pallet_balances::Call::transfer_all { dest: AccountId::new([9; 32]).into(), keep_alive: false }.into(),
	];
	for call in refused {
		assert!(!ProxyType::Staking.filter(&call) && !ProxyType::Operator.filter(&call), "{call:?}");
	}
	assert!(ProxyType::Staking.filter(&staking(pallet_staking::Call::bond_extra { max_additional: OPG })));
}

/// Without a key nobody can answer, so nobody earns for being there; and to pause and resume is no heartbeat.
#[test]
fn emission_should_not_come_without_a_key_or_a_heartbeat() {
	with_preset(sp_genesis_builder::DEV_RUNTIME_PRESET, || {
		System::set_block_number(1);
		let idler = Sr25519Keyring::Two.to_account_id();
		let terms = pallet_workers::Terms {
			capacity: 1,
			min_price: Balance::MAX,
			coverage_price: Perbill::zero(),
			min_deadline: 1,
		};
		assert_ok!(Workers::bond(by(&idler), 1_000 * OPG));
		assert_ok!(Workers::serve_model(by(&idler), digits(), terms));
		assert_eq!(Rewards::live_until(idler.clone()), None);
		assert_ok!(Workers::set_service_key(by(&idler), sr25519::Public::from_raw([7; 32]).into()));
		let live_until = Rewards::live_until(idler.clone());
		assert!(live_until.is_some());
		System::set_block_number(150);
		assert_ok!(Workers::pause(by(&idler)));
		assert_ok!(Workers::resume(by(&idler)));
		assert_eq!(Rewards::live_until(idler.clone()), live_until);
		assert_noop!(Workers::resume(by(&idler)), pallet_workers::Error::<Runtime>::WorkerNotPaused);
	});
}
