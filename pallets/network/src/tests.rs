//! Tests, on a chain with nothing but this pallet.

use crate::{self as pallet_network, *};
use frame_support::{assert_noop, assert_ok, derive_impl, traits::ConstU64};
use frame_system::EnsureRoot;
use sp_runtime::{traits::BadOrigin, BuildStorage, DispatchError};

type Block = frame_system::mocking::MockBlock<Test>;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Network: pallet_network,
	}
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
}

impl Config for Test {
	type RuntimeCall = RuntimeCall;
	type GovernanceOrigin = EnsureRoot<u64>;
	type RemindEvery = ConstU64<10>;
	type WeightInfo = ();
}

fn with_network(slashing_disarmed: bool, test: impl FnOnce()) {
	let genesis = GenesisConfig::<Test> { slashing_disarmed, ..Default::default() };
	let storage = RuntimeGenesisConfig { network: genesis, ..Default::default() }.build_storage().unwrap();
	sp_io::TestExternalities::from(storage).execute_with(|| {
		System::set_block_number(1);
		test();
		Network::do_try_state().unwrap();
	})
}

fn events() -> Vec<Event<Test>> {
	System::read_events_for_pallet()
}

#[test]
fn slashing_should_be_armed_unless_genesis_says_otherwise() {
	with_network(false, || assert!(Network::slashing_armed()));
	with_network(true, || assert!(!Network::slashing_armed()));
}

#[test]
fn governance_alone_should_arm_slashing() {
	with_network(true, || {
		assert_noop!(Network::arm_slashing(RuntimeOrigin::signed(1), true), BadOrigin);
		assert_noop!(Network::arm_slashing(RuntimeOrigin::none(), true), BadOrigin);
		assert_ok!(Network::arm_slashing(RuntimeOrigin::root(), true));
		assert!(Network::slashing_armed());
		assert_eq!(events(), [Event::SlashingSet { armed: true }]);
	})
}

#[test]
fn disarmed_network_should_be_reminded() {
	with_network(true, || {
		(1..=20).for_each(|block| {
			<Network as frame_support::traits::Hooks<u64>>::on_initialize(block);
		});
		assert_eq!(events(), [Event::SlashingStillDisarmed, Event::SlashingStillDisarmed]);
	});
	with_network(false, || {
		<Network as frame_support::traits::Hooks<u64>>::on_initialize(10);
		assert_eq!(events(), []);
	});
}

#[test]
fn governance_should_enact_calls_as_root() {
	with_network(false, || {
		let call =
			|| Box::new(RuntimeCall::System(frame_system::Call::set_storage { items: vec![(vec![1], vec![2])] }));
		assert_noop!(Network::enact(RuntimeOrigin::signed(1), call()), BadOrigin);
		assert_ok!(Network::enact(RuntimeOrigin::root(), call()));
		assert_eq!(frame_support::storage::unhashed::get_raw(&[1]), Some(vec![2]));
		assert_eq!(events(), [Event::Enacted { result: Ok(()) }]);
	})
}

#[test]
fn failure_of_an_enacted_call_should_be_told() {
	with_network(false, || {
		let call = RuntimeCall::System(frame_system::Call::remark_with_event { remark: vec![] });
		assert_ok!(Network::enact(RuntimeOrigin::root(), Box::new(call)));
		assert_eq!(events(), [Event::Enacted { result: Err(DispatchError::BadOrigin) }]);
	})
}

#[test]
#[should_panic(expected = "a session needs a slot")]
fn session_without_slots_should_be_refused() {
	let pace = Pace { session_slots: 0, ..Default::default() };
	let genesis = GenesisConfig::<Test> { pace, ..Default::default() };
	let _ = RuntimeGenesisConfig { network: genesis, ..Default::default() }.build_storage();
}
