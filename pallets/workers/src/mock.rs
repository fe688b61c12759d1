//! A chain with this pallet, models to serve, and an observer that remembers what it was told.

use crate::{self as pallet_workers, traits, types::*, Config};
use assay_primitives::{Balance, ModelId, ServiceKey};
use frame_support::{
	derive_impl, parameter_types,
	traits::{fungible::Balanced, ConstU128, ConstU32},
	weights::Weight,
	PalletId,
};
use sp_core::{sr25519, H256};
use sp_runtime::{BuildStorage, Perbill};
use std::collections::BTreeMap;

type Block = frame_system::mocking::MockBlockU32<Test>;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Workers: pallet_workers,
	}
);

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
	/// The models that take no jobs.
	pub static Inactive: Vec<ModelId> = Vec::new();
	/// Whether stake can be slashed.
	pub static Armed: bool = true;
	pub const DelegationId: PalletId = PalletId(*b"assay/dg");
	/// What is owed to each worker for what it did before.
	pub static Owed: BTreeMap<u64, Balance> = BTreeMap::new();
	/// What the observer was told last of each worker.
	pub static Observed: BTreeMap<u64, Balance> = BTreeMap::new();
}

pub struct Registry;
impl traits::Models for Registry {
	fn is_active(model: &ModelId) -> bool {
		!Inactive::get().contains(model)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn make_active() -> ModelId {
		model(1)
	}
}

pub struct Observer;
impl traits::StakeObserver<u64, Balance> for Observer {
	fn active_stake_changed(who: &u64, new: Balance) {
		Observed::mutate(|observed| {
			let former = observed.insert(*who, new).unwrap_or(0);
			assert_ne!(former, new, "the observer was told of no change");
		});
	}

	fn settle(who: &u64) {
		let owed = Owed::mutate(|owed| owed.remove(who)).unwrap_or(0);
		assert!(Workers::distribute(who, Balances::issue(owed)).is_ok());
	}

	fn settle_weight() -> Weight {
		Weight::zero()
	}
}

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Models = Registry;
	type StakeObserver = Observer;
	type MinBond = ConstU128<MIN_BOND>;
	type UnbondingDelay = ConstU32<UNBONDING_DELAY>;
	type LongestClaim = ConstU32<UNBONDING_DELAY>;
	type MaxServers = ConstU32<4>;
	type MaxServed = ConstU32<3>;
	type MaxUnbonding = ConstU32<8>;
	type SlashingArmed = Armed;
	type SuspensionBlocks = ConstU32<SUSPENSION>;
	type DelegationId = DelegationId;
	type MinDelegation = ConstU128<MIN_DELEGATION>;
	type MaxLeverage = ConstU32<MAX_LEVERAGE>;
	type MaxSlashRecords = ConstU32<3>;
	type WeightInfo = ();
}

pub(crate) const MIN_BOND: Balance = 100;
pub(crate) const UNBONDING_DELAY: u32 = 50;
pub(crate) const SUSPENSION: u32 = 80;
pub(crate) const MIN_DELEGATION: Balance = 20;
pub(crate) const MAX_LEVERAGE: u32 = 4;
pub(crate) const EXISTENTIAL_DEPOSIT: Balance = 10;
pub(crate) const START_BALANCE: Balance = 1_000_000;

pub(crate) const CHARLIE: u64 = 1;
pub(crate) const EVE: u64 = 2;
pub(crate) const FERDIE: u64 = 3;
pub(crate) const GINA: u64 = 4;
pub(crate) const HANS: u64 = 5;
/// Has nothing.
pub(crate) const NOBODY: u64 = 99;

/// A model.
pub(crate) fn model(seed: u8) -> ModelId {
	H256::repeat_byte(seed)
}

/// A service key.
pub(crate) fn key(seed: u8) -> ServiceKey {
	sr25519::Public::from_raw([seed; 32]).into()
}

/// Terms with room for two jobs.
pub(crate) fn terms() -> Terms {
	Terms { capacity: 2, min_price: 5, coverage_price: Perbill::from_parts(10), min_deadline: 3 }
}

pub(crate) fn signed(who: u64) -> RuntimeOrigin {
	RuntimeOrigin::signed(who)
}

/// Builds the chain.
#[derive(Default)]
pub(crate) struct ExtBuilder {
	workers: Vec<GenesisWorker<u64>>,
	commissions: Vec<(u64, Perbill)>,
}

impl ExtBuilder {
	/// With a worker at genesis that serves models 1 up to `models`. Its service key has its number.
	pub(crate) fn with_worker(mut self, account: u64, bond: Balance, models: u8) -> Self {
		let services = (1..=models).map(|seed| (model(seed), terms())).collect();
		let service_key = Some(key(account as u8));
		self.workers.push(GenesisWorker { account, bond, service_key, services });
		self
	}

	/// With a worker that takes delegations.
	pub(crate) fn with_commission(mut self, worker: u64, rate: Perbill) -> Self {
		self.commissions.push((worker, rate));
		self
	}

	/// The workers at genesis.
	pub(crate) fn workers(self) -> Vec<GenesisWorker<u64>> {
		self.workers
	}

	pub(crate) fn build(self) -> sp_io::TestExternalities {
		Inactive::set(Vec::new());
		Armed::set(true);
		Owed::set(BTreeMap::new());
		Observed::set(BTreeMap::new());
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> {
			balances: (1..=20).map(|who| (who, START_BALANCE)).collect(),
			..Default::default()
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		pallet_workers::GenesisConfig::<Test> { workers: self.workers }.assimilate_storage(&mut storage).unwrap();
		let mut ext = sp_io::TestExternalities::from(storage);
		ext.execute_with(|| {
			System::set_block_number(1);
			for (worker, rate) in self.commissions {
				Workers::set_commission(signed(worker), rate).unwrap();
			}
		});
		ext
	}

	/// Run a test and check every invariant after it.
	pub(crate) fn build_and_execute(self, test: impl FnOnce()) {
		self.build().execute_with(|| {
			test();
			check();
		})
	}
}

/// Check every invariant, and that the observer knows the active stake of every worker.
pub(crate) fn check() {
	Workers::do_try_state().unwrap();
	for who in 1..=20 {
		let observed = Observed::get().get(&who).copied().unwrap_or(0);
		assert_eq!(Workers::active_stake(&who), observed, "the observer was not told of a change of {who}");
	}
}
