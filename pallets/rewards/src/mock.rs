//! A chain with this pallet and a hold for fees.

use crate::{self as pallet_rewards, traits, types::*, Config};
use assay_primitives::Balance;
use frame_support::{
	derive_impl, parameter_types,
	traits::{
		fungible::{Balanced, InspectHold, MutateHold},
		ConstU128, ConstU32, Hooks, Imbalance,
	},
	PalletId,
};
use sp_runtime::{BuildStorage, Permill, Weight};

type Block = frame_system::mocking::MockBlockU32<Test>;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Jobs: jobs,
		Rewards: pallet_rewards,
	}
);

/// Stands for the pallet that holds fees.
// The macro's output is public, whatever the module is.
#[allow(unreachable_pub)]
#[frame_support::pallet]
pub mod jobs {
	#[pallet::config]
	pub trait Config: frame_system::Config {}

	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// Why a balance is held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// For a fee.
		#[codec(index = 0)]
		Fee,
		/// For something else.
		#[codec(index = 1)]
		Other,
	}
}

impl jobs::Config for Test {}

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = Block;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
	type AccountStore = System;
}

parameter_types! {
	pub const BurnShare: Permill = Permill::from_percent(5);
	pub const TreasuryShare: Permill = Permill::from_percent(5);
	pub const MaxRoyalty: Permill = Permill::from_percent(30);
	pub const TreasuryId: PalletId = PalletId(*b"assay/tr");
	pub const MissedDeadlineFault: Permill = Permill::from_percent(25);
	pub const DeclinedFault: Permill = Permill::from_percent(5);
	/// For ever, unless a test says otherwise.
	pub static HeartbeatLifetime: u32 = u32::MAX / 2;
}

/// Gives every worker what it earned, but a quarter of what Ferdie earns to Gina, who stands behind him.
pub struct Sharing;
impl traits::Distribute<u64, CreditOf<Test>> for Sharing {
	fn distribute(worker: &u64, mut credit: CreditOf<Test>) -> Result<(), CreditOf<Test>> {
		if *worker == FERDIE {
			let part = credit.extract(credit.peek() / 4);
			if let Err(back) = Balances::resolve(&GINA, part) {
				return Err(credit.merge(back));
			}
		}
		Balances::resolve(worker, credit)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_sharing(_: &u64) {}
}

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Distribute = Sharing;
	type BurnShare = BurnShare;
	type TreasuryShare = TreasuryShare;
	type MaxRoyalty = MaxRoyalty;
	type TreasuryId = TreasuryId;
	type EraLength = ConstU32<ERA_LENGTH>;
	type EmissionTotal = ConstU128<EMISSION_TOTAL>;
	type EmissionEras = ConstU32<EMISSION_ERAS>;
	type HistoryDepth = ConstU32<HISTORY_DEPTH>;
	type HeartbeatLifetime = HeartbeatLifetime;
	type MissedDeadlineFault = MissedDeadlineFault;
	type DeclinedFault = DeclinedFault;
	type WeightInfo = ();
}

pub(crate) const EXISTENTIAL_DEPOSIT: Balance = 10;
pub(crate) const ERA_LENGTH: u32 = 10;
pub(crate) const EMISSION_TOTAL: Balance = 1_000_003;
pub(crate) const EMISSION_ERAS: u32 = 7;
pub(crate) const HISTORY_DEPTH: u32 = 4;
pub(crate) const START_BALANCE: Balance = 1_000_000;

pub(crate) const BOB: u64 = 1;
pub(crate) const CHARLIE: u64 = 2;
pub(crate) const DAVE: u64 = 3;
pub(crate) const EVE: u64 = 4;
/// Shares what he earns.
pub(crate) const FERDIE: u64 = 11;
/// With her.
pub(crate) const GINA: u64 = 12;
/// Has nothing.
pub(crate) const NOBODY: u64 = 99;

/// The reason for which fees are held.
pub(crate) fn fee_reason() -> RuntimeHoldReason {
	jobs::HoldReason::Fee.into()
}

/// Hold a fee on an account.
pub(crate) fn hold_fee(who: u64, fee: Balance) {
	Balances::hold(&fee_reason(), &who, fee).unwrap();
}

/// What is held on an account for fees.
pub(crate) fn held(who: u64) -> Balance {
	Balances::balance_on_hold(&fee_reason(), &who)
}

/// Go on to a block, with every step of every block between.
pub(crate) fn run_to(block: u32) {
	while System::block_number() < block {
		let next = System::block_number() + 1;
		System::set_block_number(next);
		Rewards::on_initialize(next);
		Rewards::on_idle(next, Weight::MAX);
	}
}

/// Go on to the first block of an era.
pub(crate) fn run_to_era(era: EraIndex) {
	run_to(era * ERA_LENGTH);
	assert_eq!(crate::CurrentEra::<Test>::get().index, era);
}

/// Builds the chain.
#[derive(Default)]
pub(crate) struct ExtBuilder {
	emission_enabled: bool,
	treasury_exists: bool,
}

impl ExtBuilder {
	/// With emission.
	pub(crate) fn with_emission(mut self) -> Self {
		self.emission_enabled = true;
		self
	}

	/// With something in the treasury.
	pub(crate) fn with_treasury(mut self) -> Self {
		self.treasury_exists = true;
		self
	}

	pub(crate) fn build(self) -> sp_io::TestExternalities {
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		let mut balances: Vec<_> = (1..=12).map(|who| (who, START_BALANCE)).collect();
		if self.treasury_exists {
			balances.push((Rewards::treasury(), EXISTENTIAL_DEPOSIT));
		}
		pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }
			.assimilate_storage(&mut storage)
			.unwrap();
		pallet_rewards::GenesisConfig::<Test> { emission_enabled: self.emission_enabled, ..Default::default() }
			.assimilate_storage(&mut storage)
			.unwrap();
		sp_io::TestExternalities::from(storage)
	}

	/// Run a test from block 1 on and check every invariant after it.
	pub(crate) fn build_and_execute(self, test: impl FnOnce()) {
		self.build().execute_with(|| {
			run_to(1);
			test();
			Rewards::do_try_state().unwrap();
		})
	}
}
