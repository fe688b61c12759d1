//! What two thirds of a council can do, and one of its members cannot.

use super::*;
use assay_primitives::OPG;
use codec::Encode;
use frame_support::{
	assert_noop, assert_ok,
	dispatch::GetDispatchInfo,
	traits::{fungible::Mutate, Get},
};
use pallet_collective::Instance1;
use sp_runtime::traits::{BadOrigin, Hash as _};

fn council() -> Vec<AccountId> {
	pallet_collective::Members::<Runtime, Instance1>::get()
}

/// A motion of the council on a call: proposed by one, approved by two thirds, closed by somebody.
fn move_and_carry(call: RuntimeCall) {
	let members = council();
	let threshold = (members.len() * 2).div_ceil(3) as u32;
	let (hash, length) = (BlakeTwo256::hash_of(&call), call.encoded_size() as u32);
	let weight = call.get_dispatch_info().call_weight;
	let index = pallet_collective::ProposalCount::<Runtime, Instance1>::get();
	let by = |member: &AccountId| RuntimeOrigin::signed(member.clone());
	assert_ok!(Council::propose(by(&members[0]), threshold, Box::new(call), length));
	for member in &members[..threshold as usize] {
		assert_ok!(Council::vote(by(member), hash, index, true));
	}
	assert_ok!(Council::close(by(&members[0]), hash, index, weight, length));
	let executed = System::events().into_iter().rev().find_map(|record| match record.event {
		RuntimeEvent::Council(pallet_collective::Event::Executed { result, .. }) => Some(result),
		_ => None,
	});
	assert_eq!(executed, Some(Ok(())));
}

fn enact(call: impl Into<RuntimeCall>) -> RuntimeCall {
	pallet_network::Call::enact { call: Box::new(call.into()) }.into()
}

#[test]
fn council_should_arm_slashing_and_upgrade_where_there_is_no_superuser() {
	with_preset(genesis_config_presets::TESTNET_RUNTIME_PRESET, || {
		System::set_block_number(1);
		assert!(pallet_sudo::Key::<Runtime>::get().is_none() && council().len() >= 3);
		assert!(!Network::slashing_armed());
		move_and_carry(pallet_network::Call::arm_slashing { armed: true }.into());
		assert!(Network::slashing_armed());

		// The code itself fits into a motion as far as weight goes; its hash alone is the cheaper way.
		let code = Hash::repeat_byte(7);
		move_and_carry(enact(frame_system::Call::authorize_upgrade { code_hash: code }));
		assert_eq!(System::authorized_upgrade().map(|authorized| *authorized.code_hash()), Some(code));
		let set_code: RuntimeCall = frame_system::Call::set_code { code: vec![0; 1_000_000] }.into();
		let most = <<Runtime as pallet_collective::Config<Instance1>>::MaxProposalWeight as Get<_>>::get();
		assert!(enact(set_code).get_dispatch_info().call_weight.all_lte(most));
	});
}

#[test]
fn council_should_spend_from_the_treasury() {
	with_preset(sp_genesis_builder::DEV_RUNTIME_PRESET, || {
		System::set_block_number(1);
		Balances::mint_into(&Treasury::account_id(), 1_000 * OPG).unwrap();
		let dave = Sr25519Keyring::Dave.to_account_id();
		let call = pallet_treasury::Call::spend {
			asset_kind: Box::new(()),
			amount: 300 * OPG,
			beneficiary: Box::new(dave.clone()),
			valid_from: None,
		};
		move_and_carry(call.into());
		let before = Balances::free_balance(&dave);
		assert_ok!(Treasury::payout(RuntimeOrigin::signed(Sr25519Keyring::Bob.to_account_id()), 0));
		assert_eq!(Balances::free_balance(&dave), before + 300 * OPG);
	});
}

#[test]
fn one_member_should_decide_nothing() {
	with_preset(genesis_config_presets::TESTNET_RUNTIME_PRESET, || {
		System::set_block_number(1);
		let members = council();
		let by = RuntimeOrigin::signed(members[0].clone());
		let call: RuntimeCall = pallet_network::Call::arm_slashing { armed: true }.into();
		assert_noop!(Network::arm_slashing(by.clone(), true), BadOrigin);
		assert_noop!(Network::enact(by.clone(), Box::new(call.clone())), BadOrigin);
		// A motion of one is carried at once, and then refused: one is not two thirds.
		let length = call.encoded_size() as u32;
		assert_ok!(Council::propose(by, 1, Box::new(call), length));
		assert!(!Network::slashing_armed());
		let stranger = RuntimeOrigin::signed(AccountId::new([9; 32]));
		let call: RuntimeCall = pallet_network::Call::arm_slashing { armed: true }.into();
		assert!(Council::propose(stranger, 2, Box::new(call), length).is_err());
	});
}
