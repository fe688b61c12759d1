//! A runtime with this pallet, balances, a small stand-in for inference, and a judge of a small game.

use crate::{
	self as pallet_disputes,
	traits::{ClaimInfo, Claims, Convicted},
	*,
};
use assay_primitives::{ClaimHash, JobId, ModelId, ServiceKey, ServiceSignature};
use codec::Encode;
use frame_support::{
	derive_impl, parameter_types,
	traits::{
		fungible::{Inspect, InspectHold, Mutate},
		tokens::{Fortitude::Force, Precision::Exact, Preservation::Expendable},
		ConstU128, ConstU32, ConstU64, Get, Hooks,
	},
	weights::Weight,
};
use sp_core::{crypto::Pair, sr25519, H256};
use sp_io::hashing::blake2_256;
use sp_runtime::{testing::TestXt, BoundedVec, BuildStorage, DispatchError, Permill};
use std::{
	cell::{Cell, RefCell},
	collections::BTreeMap,
};

mod judge;
mod play;

pub(crate) use judge::*;
pub(crate) use play::*;

pub(crate) type AccountId = u64;
pub(crate) type Balance = u128;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Court: pallet_disputes,
	}
);

pub(crate) type Extrinsic = TestXt<RuntimeCall, frame_system::AuthorizeCall<Test>>;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlock<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
	type AccountStore = System;
	type Balance = Balance;
	type ExistentialDeposit = ConstU128<10>;
	type RuntimeHoldReason = RuntimeHoldReason;
}

impl frame_system::offchain::CreateTransactionBase<Call<Test>> for Test {
	type RuntimeCall = RuntimeCall;
	type Extrinsic = Extrinsic;
}

impl frame_system::offchain::CreateTransaction<Call<Test>> for Test {
	type Extension = frame_system::AuthorizeCall<Test>;

	fn create_transaction(call: RuntimeCall, extension: Self::Extension) -> Extrinsic {
		Extrinsic::new_transaction(call, extension)
	}
}

impl frame_system::offchain::CreateAuthorizedTransaction<Call<Test>> for Test {
	fn create_extension() -> Self::Extension {
		frame_system::AuthorizeCall::new()
	}
}

parameter_types! {
	pub AgendaWeight: Weight = Weight::from_parts(20_000, 2_000);
	pub const BurnedOfBond: Permill = Permill::from_percent(50);
	pub const BurnedShare: Permill = Permill::from_percent(50);
	pub const RequesterShare: Permill = Permill::from_percent(30);
	pub const ChallengerShare: Permill = Permill::from_percent(20);
	pub const MaxTraceBlocks: u32 = 20;
	pub static PriceStep: u32 = 1_000_000;
	pub static DelayShare: Permill = Permill::zero();
	pub static PublicationBytes: u32 = 0;
}

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Claims = TestClaims;
	type Judge = TestJudge;
	type WeightInfo = ();
	type PublishBlocks = ConstU64<10>;
	type AnswerBlocks = ConstU64<6>;
	type MoveBlocks = ConstU64<5>;
	type ProveBlocks = ConstU64<4>;
	type MaxOpenings = ConstU32<5>;
	type RevealBlocks = ConstU64<8>;
	type Finality = ConstU64<3>;
	type MaxTraceBlocks = MaxTraceBlocks;
	type WorkerTraces = ConstU32<2>;
	type ChallengerTraces = ConstU32<2>;
	type ChallengeBond = ConstU128<1_021>;
	type TraceBlockBond = ConstU128<10>;
	type BurnedOfBond = BurnedOfBond;
	type SealDeposit = ConstU128<50>;
	type DelayShare = DelayShare;
	type DemandFeePerByte = ConstU128<1>;
	type PriceStep = PriceStep;
	type MaxMessage = ConstU32<512>;
	type MaxDemand = ConstU32<16>;
	type AgendaWeight = AgendaWeight;
	type Scarce = ConstU128<1_000>;
	type MinJobBond = ConstU128<20_000>;
	type BurnedShare = BurnedShare;
	type RequesterShare = RequesterShare;
	type ChallengerShare = ChallengerShare;
}

pub(crate) const REQUESTER: AccountId = 1;
pub(crate) const WORKER: AccountId = 10;
pub(crate) const DAVE: AccountId = 20;
pub(crate) const ERIN: AccountId = 21;
pub(crate) const MALLORY: AccountId = 22;
pub(crate) const POOR: AccountId = 99;
pub(crate) const RICH: Balance = 1_000_000;
pub(crate) const BOND: Balance = 20_000;
pub(crate) const COVERAGE: Balance = 4_000;
pub(crate) const WINDOW: u64 = 20;

/// Where a worker's stake lies.
pub(crate) fn stake_of(worker: AccountId) -> AccountId {
	worker + 1_000
}

#[derive(Clone, Debug)]
pub(crate) struct MockClaim {
	pub(crate) info: ClaimInfo<AccountId, Balance, u64>,
	pub(crate) held: bool,
	pub(crate) outcome: Option<Outcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
	Settled(u64),
	Convicted(u64),
}

thread_local! {
	pub(crate) static CLAIMS: RefCell<BTreeMap<JobId, MockClaim>> = const { RefCell::new(BTreeMap::new()) };
	/// The key of all workers, in benchmarks.
	static BENCHMARK_KEY: RefCell<Option<ServiceKey>> = const { RefCell::new(None) };
	/// Whether every failing message is seen to change nothing. Slow.
	pub(crate) static STRICT: Cell<bool> = const { Cell::new(true) };
	pub(crate) static INVALID: RefCell<Vec<ModelId>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn claim<R>(job: JobId, f: impl FnOnce(&mut MockClaim) -> R) -> R {
	CLAIMS.with(|all| f(all.borrow_mut().get_mut(&job).expect("a known job")))
}

pub(crate) fn outcome(job: JobId) -> Option<Outcome> {
	claim(job, |c| c.outcome.clone())
}

pub(crate) fn hash_of(job: JobId) -> ClaimHash {
	claim(job, |c| c.info.claim)
}

pub(crate) fn service_pair(who: AccountId) -> sr25519::Pair {
	sr25519::Pair::from_seed(&blake2_256(&who.encode()))
}

pub struct TestClaims;
impl Claims<AccountId, Balance, u64> for TestClaims {
	fn open_claim(job: JobId) -> Option<ClaimInfo<AccountId, Balance, u64>> {
		CLAIMS.with(|all| all.borrow().get(&job).filter(|c| c.outcome.is_none()).map(|c| c.info.clone()))
	}
	fn input(_: JobId) -> Option<Vec<u8>> {
		Some(vec![1; 8])
	}
	fn hold(job: JobId) {
		claim(job, |c| {
			assert!(!c.held && c.outcome.is_none());
			c.held = true;
		});
	}
	fn unhold(job: JobId) {
		claim(job, |c| {
			assert!(c.held && c.outcome.is_none());
			c.held = false;
		});
	}
	fn is_held(job: JobId) -> bool {
		claim(job, |c| c.held)
	}
	fn convict(job: JobId, winner: Option<&AccountId>) -> Convicted<Balance> {
		let info = claim(job, |c| {
			assert!(c.held && c.outcome.is_none());
			c.outcome = Some(Outcome::Convicted(System::block_number()));
			c.held = false;
			c.info.clone()
		});
		let stake = stake_of(info.worker);
		let reward = winner.map_or(0, |_| ChallengerShare::get().mul_floor(info.bond));
		let compensation = RequesterShare::get().mul_floor(info.bond).min(info.coverage);
		let burned = info.bond - reward - compensation;
		if let Some(winner) = winner {
			<Balances as Mutate<_>>::transfer(&stake, winner, reward, Expendable).unwrap();
		}
		<Balances as Mutate<_>>::transfer(&stake, &REQUESTER, compensation, Expendable).unwrap();
		<Balances as Mutate<_>>::burn_from(&stake, burned, Expendable, Exact, Force).unwrap();
		Convicted { slashed: info.bond, reward, burned, compensation }
	}
	fn invalidate_model(model: &ModelId) {
		INVALID.with(|all| all.borrow_mut().push(*model));
	}
	fn service_key(worker: &AccountId) -> Option<ServiceKey> {
		let key = BENCHMARK_KEY.with(|key| key.borrow().clone());
		Some(key.unwrap_or_else(|| service_pair(*worker).public().into()))
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_claim(key: ServiceKey, model: ModelId, input_root: H256, output_root: H256) -> JobId {
		let job = commit(WORKER, model, 0, 0);
		claim(job, |c| (c.info.input_root, c.info.output_root) = (input_root, output_root));
		BENCHMARK_KEY.with(|all| *all.borrow_mut() = Some(key));
		job
	}
}
