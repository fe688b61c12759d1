//! A runtime with this pallet, balances, and small stand-ins for models, workers and rewards. The real ones meet in the
//! runtime's own tests.

use crate::{
	self as pallet_inference,
	traits::{Ask, Fault, ModelTerms, Models, Rewards, Shares, Workers},
	*,
};
use assay_primitives::{JobId, ModelId, ServiceKey, ServiceSignature, SlashReason, TensorType};
use assay_semantics::DType;
use codec::Encode;
use frame_support::{
	derive_impl,
	dispatch::DispatchResult,
	parameter_types,
	traits::{
		fungible::{InspectHold, Mutate, MutateHold},
		tokens::{Fortitude::Force, Precision::Exact, Restriction::Free},
		ConstU128, ConstU32, ConstU64, Hooks, Randomness,
	},
	weights::{IdentityFee, Weight},
};
use sp_core::{crypto::Pair, sr25519, H256};
use sp_runtime::{testing::TestXt, BoundedVec, BuildStorage, DispatchError, Perbill, Permill};
use std::{cell::RefCell, collections::BTreeMap};

pub(crate) type AccountId = u64;
pub(crate) type Balance = u128;

frame_support::construct_runtime!(
	pub enum Test {
		System: frame_system,
		Balances: pallet_balances,
		Inference: pallet_inference,
	}
);

pub(crate) type Extrinsic = TestXt<RuntimeCall, frame_system::AuthorizeCall<Test>>;

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
	type Block = frame_system::mocking::MockBlock<Test>;
	type AccountData = pallet_balances::AccountData<Balance>;
	type BlockHashCount = ConstU64<500>;
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
	pub const BurnedShare: Permill = Permill::from_percent(50);
	pub const ChallengerShare: Permill = Permill::from_percent(30);
	pub const RequesterShare: Permill = Permill::from_percent(20);
}

/// The block's number, spread over 32 bytes.
pub struct TestRandomness;
impl Randomness<Option<H256>, u64> for TestRandomness {
	fn random(subject: &[u8]) -> (Option<H256>, u64) {
		(Some(H256(sp_io::hashing::blake2_256(subject))), System::block_number())
	}
}

pub(crate) const INPUT: u32 = 8;
pub(crate) const OUTPUT: u32 = 4;
pub(crate) const PRICE: Balance = 100;
pub(crate) const WINDOW: u64 = 10;
pub(crate) const OWNER: AccountId = 90;
pub(crate) const TREASURY: AccountId = 91;

pub(crate) fn model() -> ModelId {
	H256::repeat_byte(7)
}

#[derive(Clone, Default)]
pub(crate) struct MockWorker {
	pub(crate) stake: Balance,
	pub(crate) covered: Balance,
	pub(crate) claims: u32,
	pub(crate) busy: u32,
	pub(crate) capacity: u32,
	pub(crate) min_price: Balance,
	pub(crate) coverage_price: Perbill,
	pub(crate) slashed: Balance,
	pub(crate) faults: u32,
	pub(crate) suspended: bool,
	pub(crate) heartbeat_due: bool,
	pub(crate) heartbeats: u32,
}

thread_local! {
	pub(crate) static WORKERS: RefCell<BTreeMap<AccountId, MockWorker>> = const { RefCell::new(BTreeMap::new()) };
	pub(crate) static DEPRECATED: RefCell<bool> = const { RefCell::new(false) };
	pub(crate) static INVALID: RefCell<bool> = const { RefCell::new(false) };
}

pub(crate) fn worker<R>(who: AccountId, f: impl FnOnce(&mut MockWorker) -> R) -> R {
	WORKERS.with(|all| f(all.borrow_mut().get_mut(&who).expect("a known worker")))
}

/// The service key pair of a worker.
pub(crate) fn service_pair(who: AccountId) -> sr25519::Pair {
	sr25519::Pair::from_seed(&service_seed(who))
}

/// The seed of a worker's service key.
pub(crate) fn service_seed(who: AccountId) -> [u8; 32] {
	sp_io::hashing::blake2_256(&who.encode())
}

fn tensor(bytes: u32) -> TensorType {
	TensorType { dtype: DType::U8, dims: BoundedVec::truncate_from(vec![bytes]) }
}

pub struct TestModels;
impl Models<AccountId, Balance> for TestModels {
	fn terms(id: &ModelId) -> Option<ModelTerms<Balance>> {
		(*id == model() && !DEPRECATED.with(|d| *d.borrow())).then(|| ModelTerms {
			inputs: vec![tensor(INPUT)],
			outputs: vec![tensor(OUTPUT)],
			price: PRICE,
			window: WINDOW as u32,
		})
	}
	fn outputs(id: &ModelId) -> Option<Vec<TensorType>> {
		(*id == model()).then(|| vec![tensor(OUTPUT)])
	}
	fn trace(_: &ModelId) -> crate::traits::TraceSize {
		crate::traits::TraceSize { blocks: 5, publication_bytes: 100 }
	}
	fn invalidate(_: &ModelId) {
		INVALID.with(|invalid| *invalid.borrow_mut() = true);
	}
	fn is_invalid(_: &ModelId) -> bool {
		INVALID.with(|invalid| *invalid.borrow())
	}
	fn royalty(id: &ModelId) -> Option<(AccountId, Permill)> {
		(*id == model()).then_some((OWNER, Permill::from_percent(10)))
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_model(_: u32, _: u32) -> ModelId {
		model()
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_key(_: &ModelId) -> Vec<u8> {
		Vec::new()
	}
}

pub struct TestWorkers;
impl TestWorkers {
	fn check(
		who: &MockWorker,
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Option<(Ask<Balance>, Balance)> {
		let ask = Ask { min_price: who.min_price, coverage_price: who.coverage_price, min_deadline: 1 };
		let bond = accept(&ask)?;
		(!who.suspended && who.busy < who.capacity && who.covered + bond <= who.stake).then_some((ask, bond))
	}
}
impl Workers<AccountId, Balance> for TestWorkers {
	fn draw(
		_: &ModelId,
		exclude: &[AccountId],
		seed: [u8; 32],
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Option<(AccountId, Ask<Balance>, Balance)> {
		let able: Vec<_> = WORKERS.with(|all| {
			let all = all.borrow();
			let able = all.iter().filter(|(who, _)| !exclude.contains(who));
			able.filter_map(|(who, worker)| Self::check(worker, accept).map(|(ask, bond)| (*who, ask, bond))).collect()
		});
		able.get(usize::from(seed[0]) % able.len().max(1)).cloned()
	}
	fn candidate(
		who: &AccountId,
		_: &ModelId,
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Result<(Ask<Balance>, Balance), DispatchError> {
		worker(*who, |worker| Self::check(worker, accept)).ok_or(DispatchError::Other("busy"))
	}
	fn serves(who: &AccountId, id: &ModelId) -> bool {
		*id == model() && WORKERS.with(|all| all.borrow().contains_key(who))
	}
	fn server_count(_: &ModelId) -> u32 {
		WORKERS.with(|all| all.borrow().len() as u32)
	}
	fn assign(who: &AccountId, _: &ModelId, bond: Balance) -> DispatchResult {
		worker(*who, |w| {
			w.covered += bond;
			w.claims += 1;
			w.busy += 1;
			assert!(w.covered <= w.stake && w.busy <= w.capacity);
		});
		Ok(())
	}
	fn answered(who: &AccountId, _: &ModelId) {
		worker(*who, |w| w.busy -= 1);
	}
	fn release(who: &AccountId, bond: Balance) {
		worker(*who, |w| {
			w.covered -= bond;
			w.claims -= 1;
		});
	}
	fn slash(
		who: &AccountId,
		amount: Balance,
		_: SlashReason,
		shares: &[(&AccountId, Balance)],
	) -> (Balance, Vec<Balance>) {
		let taken = worker(*who, |w| {
			let taken = amount.min(w.stake);
			w.stake -= taken;
			w.slashed += taken;
			taken
		});
		let mut left = taken;
		let paid = shares.iter().map(|(to, share)| {
			let share = left.min(*share);
			left -= share;
			if share > 0 {
				Balances::mint_into(to, share).expect("the receiver exists");
			}
			share
		});
		(taken, paid.collect())
	}
	fn suspend(who: &AccountId) {
		worker(*who, |w| w.suspended = true);
	}
	fn service_key(who: &AccountId) -> Option<ServiceKey> {
		Some(service_pair(*who).public().into())
	}
	fn worker_of(key: &ServiceKey) -> Option<AccountId> {
		WORKERS.with(|all| all.borrow().keys().copied().find(|who| Self::service_key(who).as_ref() == Some(key)))
	}
	fn covered(who: &AccountId) -> Balance {
		worker(*who, |w| w.covered)
	}
	fn open_claims(who: &AccountId) -> u32 {
		worker(*who, |w| w.claims)
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_workers(_: &ModelId, _: u32, _: ServiceKey) -> AccountId {
		unimplemented!("benchmarks run on the real runtime")
	}
}

/// 5 % burned, 5 % to the treasury, the royalty to the owner, the rest to the worker.
pub struct TestRewards;
impl Rewards<AccountId, Balance, RuntimeHoldReason> for TestRewards {
	fn pay_out(
		payer: &AccountId,
		reason: &RuntimeHoldReason,
		fee: Balance,
		owner: &AccountId,
		royalty: Permill,
		worker: &AccountId,
	) -> Result<Shares<Balance>, DispatchError> {
		let burned = fee / 20;
		let treasury = fee / 20;
		let royalty = royalty.mul_floor(fee);
		let rest = fee - burned - treasury - royalty;
		Balances::burn_held(reason, payer, burned, Exact, Force)?;
		for (to, amount) in [(&TREASURY, treasury), (owner, royalty), (worker, rest)] {
			Balances::transfer_on_hold(reason, payer, to, amount, Exact, Free, Force)?;
		}
		Ok(Shares { burned, treasury, royalty, worker: rest })
	}
	fn note_fault(who: &AccountId, fault: Fault) {
		let weight = match fault {
			Fault::MissedDeadline => 10,
			Fault::Declined => 1,
		};
		worker(*who, |w| w.faults += weight);
	}
	fn heartbeat_due(who: &AccountId) -> bool {
		worker(*who, |w| w.heartbeat_due)
	}
	fn note_heartbeat(who: &AccountId) {
		worker(*who, |w| {
			w.heartbeats += 1;
			w.heartbeat_due = false;
		});
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_heartbeat(who: &AccountId) {
		worker(*who, |w| w.heartbeat_due = true);
	}
}

impl Config for Test {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Models = TestModels;
	type Workers = TestWorkers;
	type Rewards = TestRewards;
	type Randomness = TestRandomness;
	type WeightToFee = frame_support::weights::FixedFee<5, Balance>;
	type LengthToFee = IdentityFee<Balance>;
	type OnCharge = ();
	type WeightInfo = ();
	type MaxInput = ConstU32<1024>;
	type MaxOutput = ConstU32<1024>;
	type MaxServers = ConstU32<16>;
	type DrawDelay = ConstU64<2>;
	type MaxDrawPause = ConstU32<8>;
	type MinDeadline = ConstU32<4>;
	type MaxDeadline = ConstU32<100>;
	type MaxWindow = ConstU32<50>;
	type ResultLifetime = ConstU64<60>;
	type MinBond = ConstU128<50>;
	type BurnedShare = BurnedShare;
	type ChallengerShare = ChallengerShare;
	type RequesterShare = RequesterShare;
	type MinFee = ConstU128<20>;
	type LivenessPenalty = ConstU128<30>;
	type BaseCharge = ConstU128<1>;
	type AgendaWeight = AgendaWeight;
}

pub(crate) const BOB: AccountId = 1;
pub(crate) const ALICE: AccountId = 2;
pub(crate) const CHARLIE: AccountId = 10;
pub(crate) const DAVE: AccountId = 11;
pub(crate) const POOR: AccountId = 12;

/// Runs a scenario with the given workers, and checks every invariant after it.
pub(crate) fn with_workers(workers: &[AccountId], scenario: impl FnOnce()) {
	with_workers_and(workers, |_| (), scenario);
}

/// Like [`with_workers`], in externalities that `prepare` may extend.
pub(crate) fn with_workers_and(
	workers: &[AccountId],
	prepare: impl FnOnce(&mut sp_io::TestExternalities),
	scenario: impl FnOnce(),
) {
	let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().expect("a valid genesis");
	let balances = [BOB, ALICE, OWNER, TREASURY, CHARLIE, DAVE].map(|who| (who, 1_000_000)).to_vec();
	pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }
		.assimilate_storage(&mut storage)
		.expect("a valid genesis");
	WORKERS.with(|all| {
		*all.borrow_mut() = workers
			.iter()
			.map(|who| (*who, MockWorker { stake: 10_000, capacity: 3, min_price: 120, ..Default::default() }))
			.collect();
	});
	DEPRECATED.with(|deprecated| *deprecated.borrow_mut() = false);
	INVALID.with(|invalid| *invalid.borrow_mut() = false);
	let mut externalities = sp_io::TestExternalities::new(storage);
	prepare(&mut externalities);
	externalities.execute_with(|| {
		frame_system::BlockHash::<Test>::insert(0, H256::repeat_byte(0xaa));
		run_to(1);
		scenario();
		Inference::do_try_state().expect("the invariants hold");
	});
}

/// Goes to block `to`, as the executive would.
pub(crate) fn run_to(to: u64) {
	while System::block_number() < to {
		let parent = System::block_number();
		let hash = H256(sp_io::hashing::blake2_256(&parent.encode()));
		let next = parent + 1;
		System::reset_events();
		System::initialize(&next, &hash, &Default::default());
		if parent == 0 {
			frame_system::BlockHash::<Test>::insert(0, H256::repeat_byte(0xaa));
		}
		Inference::on_initialize(next);
	}
}

/// Goes `blocks` ahead and returns this pallet's events of all of them.
pub(crate) fn run_and_collect(blocks: u64) -> Vec<Event<Test>> {
	let mut events = events();
	for _ in 0..blocks {
		run_to(System::block_number() + 1);
		events.extend(self::events());
	}
	events
}

/// This pallet's events of the current block.
pub(crate) fn events() -> Vec<Event<Test>> {
	let records = System::events().into_iter();
	records.filter_map(|r| if let RuntimeEvent::Inference(event) = r.event { Some(event) } else { None }).collect()
}

pub(crate) struct Req {
	pub(crate) who: AccountId,
	pub(crate) model: ModelId,
	pub(crate) input: Vec<u8>,
	pub(crate) max_fee: Balance,
	pub(crate) coverage: Balance,
	pub(crate) max_output: u32,
	pub(crate) deadline: u32,
	pub(crate) window: Option<u32>,
	pub(crate) worker: Option<AccountId>,
}

impl Default for Req {
	fn default() -> Self {
		Self {
			who: BOB,
			model: model(),
			input: vec![1; INPUT as usize],
			max_fee: 500,
			coverage: 0,
			max_output: OUTPUT,
			deadline: 20,
			window: None,
			worker: None,
		}
	}
}

impl Req {
	/// Sends the request. A failing one changes nothing, as in a block.
	pub(crate) fn send(self) -> Result<JobId, DispatchError> {
		let id = NextJobId::<Test>::get();
		frame_support::storage::with_storage_layer(|| {
			Inference::request(
				RuntimeOrigin::signed(self.who),
				self.model,
				Input::Inline(BoundedVec::truncate_from(self.input)),
				self.max_fee,
				self.coverage,
				self.max_output,
				self.deadline,
				self.window,
				self.worker,
			)
		})?;
		Ok(id)
	}
}

pub(crate) fn output(byte: u8) -> Output<ConstU32<1024>> {
	Output::Inline(BoundedVec::truncate_from(vec![byte; OUTPUT as usize]))
}

/// The signature with which `signer` would commit `output` to the job as it stands.
pub(crate) fn commit_signature(signer: AccountId, id: JobId, output: &Output<ConstU32<1024>>) -> ServiceSignature {
	let payload = match Inference::check_answer(id, output) {
		Ok(answer) => assay_primitives::claim::commit_payload(&answer.claim),
		Err(_) => H256::zero(),
	};
	service_pair(signer).sign(&payload.0).into()
}

/// Sends an answer as a transaction: authorised first, then dispatched.
pub(crate) fn commit(signer: AccountId, id: JobId, output: Output<ConstU32<1024>>) -> Result<(), &'static str> {
	let signature = commit_signature(signer, id, &output);
	Inference::authorize_commit(id, &output, &signature).map_err(<&'static str>::from)?;
	let origin = frame_system::RawOrigin::Authorized.into();
	assert_eq!(Inference::commit(origin, id, output, signature), Ok(()), "what is authorised cannot fail");
	Ok(())
}

/// Gives a job back as a transaction.
pub(crate) fn decline(signer: AccountId, id: JobId, reason: DeclineReason) -> Result<(), &'static str> {
	let payload = match Jobs::<Test>::get(id).map(|job| job.stage) {
		Some(Stage::Assigned(a)) => Inference::decline_payload(id, &a, &reason).unwrap_or_default(),
		_ => H256::zero(),
	};
	let signature = service_pair(signer).sign(&payload.0).into();
	Inference::authorize_decline(id, &reason, &signature).map_err(<&'static str>::from)?;
	let origin = frame_system::RawOrigin::Authorized.into();
	assert_eq!(Inference::decline(origin, id, reason, signature), Ok(()), "what is authorised cannot fail");
	Ok(())
}

pub(crate) fn held(who: AccountId) -> Balance {
	Balances::balance_on_hold(&HoldReason::Fee.into(), &who)
}
