//! A chain with this pallet, and models to register on it.

use crate::{self as pallet_models, types::*, Config};
use assay_primitives::{model::MaxTensors, Balance, ModelHeader, ModelId, Policy, TensorType};
use codec::{Decode, Encode};
use frame_support::{
	derive_impl, parameter_types,
	traits::{ConstU128, ConstU32},
	BoundedVec,
};
use sp_core::H256;
use sp_runtime::{BuildStorage, Permill};

type Block = frame_system::mocking::MockBlockU32<Test>;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Models: pallet_models,
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
	pub const MaxInput: u32 = 1_024;
	pub const MaxOutput: u32 = 256;
	pub const MaxRoyalty: Permill = Permill::from_percent(30);
	pub const MinWindow: u32 = 20;
	pub const MaxWindow: u32 = 1_000;
	pub const WindowSlack: u32 = 10;
	pub const MaxTraceBlocks: u32 = 50;
	pub const SemanticsVersion: u32 = 1;
}

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type BaseDeposit = ConstU128<BASE_DEPOSIT>;
	type ByteDeposit = ConstU128<BYTE_DEPOSIT>;
	type SemanticsVersion = SemanticsVersion;
	type MaxInput = MaxInput;
	type MaxOutput = MaxOutput;
	type MaxRoyalty = MaxRoyalty;
	type MinWindow = MinWindow;
	type MaxWindow = MaxWindow;
	type WindowSlack = WindowSlack;
	type MaxTraceBlocks = MaxTraceBlocks;
	type LongestJob = ConstU32<LONGEST_JOB>;
	type WeightInfo = ();
}

pub(crate) const EXISTENTIAL_DEPOSIT: Balance = 10;
pub(crate) const BASE_DEPOSIT: Balance = 1_000;
pub(crate) const BYTE_DEPOSIT: Balance = 10;
pub(crate) const LONGEST_JOB: u32 = 50;
pub(crate) const START_BALANCE: Balance = 1_000_000;

pub(crate) const DAVE: u64 = 1;
pub(crate) const EVE: u64 = 2;
/// Has just enough to exist.
pub(crate) const POOR: u64 = 3;

/// A tensor of f32 (element type 0) with `elements` elements.
pub(crate) fn tensor(elements: u32) -> TensorType {
	let dtype = Decode::decode(&mut &[0u8][..]).unwrap();
	TensorType { dtype, dims: BoundedVec::truncate_from(vec![elements]) }
}

/// Names for tensors.
pub(crate) fn names(names: &[&str]) -> BoundedVec<Name, MaxTensors> {
	BoundedVec::truncate_from(names.iter().map(|n| name(n)).collect())
}

/// A name.
pub(crate) fn name(text: &str) -> Name {
	Name::try_from(text.as_bytes().to_vec()).unwrap()
}

/// A registration that is fine; `seed` tells models apart.
pub(crate) fn registration(seed: u8) -> Registration {
	Registration {
		header: ModelHeader {
			semantics_version: 1,
			ir_root: H256::repeat_byte(seed),
			values: 7,
			weight_root: H256::repeat_byte(0xAA),
			inputs: BoundedVec::truncate_from(vec![tensor(64)]),
			outputs: BoundedVec::truncate_from(vec![tensor(10)]),
			max_iterations: 1,
		},
		input_names: names(&["image"]),
		output_names: names(&["scores"]),
		artifacts: BoundedVec::truncate_from(vec![Url::try_from(b"https://models.example/digits".to_vec()).unwrap()]),
		price: 500,
		royalty: Permill::from_percent(10),
		policy: Policy::optimistic(100, 20, 5),
	}
}

/// The identity of [`registration`].
pub(crate) fn model(seed: u8) -> ModelId {
	registration(seed).header.id()
}

/// Builds the chain.
#[derive(Default)]
pub(crate) struct ExtBuilder {
	models: Vec<(u64, String, sp_core::Bytes)>,
}

impl ExtBuilder {
	/// With a model at genesis.
	pub(crate) fn with_model(mut self, owner: u64, name: &str, registration: &Registration) -> Self {
		self.models.push((owner, name.into(), registration.encode().into()));
		self
	}

	pub(crate) fn build(self) -> sp_io::TestExternalities {
		let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
		pallet_balances::GenesisConfig::<Test> {
			balances: vec![(DAVE, START_BALANCE), (EVE, START_BALANCE), (POOR, EXISTENTIAL_DEPOSIT)],
			..Default::default()
		}
		.assimilate_storage(&mut storage)
		.unwrap();
		pallet_models::GenesisConfig::<Test> { models: self.models }.assimilate_storage(&mut storage).unwrap();
		let mut ext = sp_io::TestExternalities::from(storage);
		ext.execute_with(|| System::set_block_number(1));
		ext
	}

	/// Run a test and check every invariant after it.
	pub(crate) fn build_and_execute(self, test: impl FnOnce()) {
		self.build().execute_with(|| {
			test();
			Models::do_try_state().unwrap();
		})
	}
}
