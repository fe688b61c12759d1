//! A runtime with this pallet, balances, a small stand-in for inference, and a judge of a small game: a trace is sixteen bytes in
//! four groups, each byte three times the one before plus one. Bytes 5, 10 and 15 are long: they have a partial state.

use crate::{
	self as pallet_disputes,
	traits::{ClaimInfo, Claims, Convicted, Fault, Judge, Verdict, VerdictKind},
	*,
};
use assay_primitives::{ClaimHash, JobId, ModelId, ServiceKey, ServiceSignature};
use codec::{Decode, DecodeAll, Encode};
use frame_support::{
	derive_impl,
	dispatch::{DispatchClass, DispatchResult},
	parameter_types,
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
	pub static MaxOutstandingBytes: u32 = 10_000;
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
	type MaxTraceBlocks = ConstU32<20>;
	type ChallengeBond = ConstU128<1_001>;
	type TraceBlockBond = ConstU128<10>;
	type BurnedOfBond = BurnedOfBond;
	type SealDeposit = ConstU128<50>;
	type DemandFeePerByte = ConstU128<1>;
	type MaxMessage = ConstU32<512>;
	type MaxDemand = ConstU32<16>;
	type MaxOutstandingBytes = MaxOutstandingBytes;
	type DeferBlocks = ConstU32<2>;
	type AgendaWeight = AgendaWeight;
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

// ---- The claims.

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

// ---- The judge.

pub(crate) type Trace = [u8; 16];
pub(crate) type Group = [u8; 4];

pub(crate) fn model() -> ModelId {
	H256::repeat_byte(7)
}

/// A model with an invalid node.
pub(crate) fn bad_model() -> ModelId {
	H256::repeat_byte(9)
}

fn third(value: u8) -> u8 {
	value.wrapping_mul(3)
}

fn next(value: u8) -> u8 {
	third(value).wrapping_add(1)
}

/// Whether a byte has a partial state.
pub(crate) fn is_long(index: u8) -> bool {
	index > 0 && index.is_multiple_of(5) && index < 16
}

pub(crate) fn right_trace(input: u8) -> Trace {
	let mut value = input;
	core::array::from_fn(|index| {
		if index > 0 {
			value = next(value);
		}
		value
	})
}

pub(crate) fn group(trace: &Trace, group: u8) -> Group {
	core::array::from_fn(|i| trace[usize::from(group) * 4 + i])
}

pub(crate) fn groups(trace: &Trace) -> [H256; 4] {
	core::array::from_fn(|g| H256(blake2_256(&group(trace, g as u8))))
}

pub(crate) fn root(trace: &Trace) -> H256 {
	H256(blake2_256(&groups(trace).encode()))
}

pub(crate) fn end_root(value: u8) -> H256 {
	H256::repeat_byte(value)
}

#[derive(Encode, Decode, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
	Group(u8),
	States(u8),
}

#[derive(Encode, Decode, Clone, Debug)]
pub(crate) enum Evil {
	Element { index: u8, groups: [H256; 4], here: Group, before: Group, mid: Option<u8> },
	Model,
}

pub struct TestJudge;
impl Judge for TestJudge {
	fn publish(_: &ModelId, input_root: &H256, output_root: &H256, publication: &[u8]) -> Result<H256, Fault> {
		let (groups, first, last) =
			<([H256; 4], Group, Group)>::decode_all(&mut &publication[..]).map_err(|_| "malformed")?;
		if H256(blake2_256(&first)) != groups[0] || H256(blake2_256(&last)) != groups[3] {
			return Err("the ends are not the trace's");
		}
		if end_root(first[0]) != *input_root || end_root(last[3]) != *output_root {
			return Err("the trace has other ends than the claim");
		}
		Ok(H256(blake2_256(&groups.encode())))
	}
	fn demand(_: &ModelId, demand: &[u8], evidence: &[u8]) -> Result<u32, Fault> {
		if evidence != b"node" {
			return Err("no evidence");
		}
		match Ask::decode_all(&mut &demand[..]).map_err(|_| "malformed")? {
			Ask::Group(group) if group < 4 => Ok(132),
			Ask::States(index) if is_long(index) => Ok(1),
			_ => Err("there is no such node"),
		}
	}
	fn open(_: &ModelId, trace_root: &H256, demand: &[u8], opening: &[u8]) -> Result<Option<H256>, Fault> {
		match Ask::decode_all(&mut &demand[..]).map_err(|_| "malformed")? {
			Ask::Group(group) => {
				let (bytes, groups) = <(Group, [H256; 4])>::decode_all(&mut &opening[..]).map_err(|_| "malformed")?;
				if H256(blake2_256(&groups.encode())) != *trace_root
					|| groups.get(usize::from(group)) != Some(&H256(blake2_256(&bytes)))
				{
					return Err("not of the trace");
				}
				Ok(None)
			}
			Ask::States(index) => {
				let mid = u8::decode_all(&mut &opening[..]).map_err(|_| "malformed")?;
				Ok(Some(H256(blake2_256(&[index, mid]))))
			}
		}
	}
	fn needs_signature(demand: &[u8]) -> bool {
		matches!(Ask::decode_all(&mut &demand[..]), Ok(Ask::States(_)))
	}
	fn judge(model: &ModelId, trace_root: &H256, states_root: Option<H256>, proof: &[u8]) -> Result<Verdict, Fault> {
		let verdict = |kind, index: u8, expected: u8, claimed: u8| Verdict {
			kind,
			value: index.into(),
			element: Some(0),
			expected: BoundedVec::truncate_from(vec![expected]),
			claimed: BoundedVec::truncate_from(vec![claimed]),
			operator: BoundedVec::truncate_from(b"Next".to_vec()),
		};
		match Evil::decode_all(&mut &proof[..]).map_err(|_| "malformed")? {
			Evil::Model if *model == bad_model() => Ok(verdict(VerdictKind::InvalidModel, 0, 0, 0)),
			Evil::Model => Err("the model is valid"),
			Evil::Element { index, groups, here, before, mid } => {
				if index == 0 || index > 15 {
					return Err("there is no such element");
				}
				let at = |index: u8| (usize::from(index / 4), usize::from(index % 4));
				let ((g, i), (h, j)) = (at(index), at(index - 1));
				if H256(blake2_256(&groups.encode())) != *trace_root
					|| groups[g] != H256(blake2_256(&here))
					|| groups[h] != H256(blake2_256(&before))
				{
					return Err("not of the trace");
				}
				let (value, previous) = (here[i], before[j]);
				match (is_long(index), mid) {
					(false, None) if value != next(previous) => {
						Ok(verdict(VerdictKind::Wrong, index, next(previous), value))
					}
					(true, Some(mid)) => {
						if states_root != Some(H256(blake2_256(&[index, mid]))) {
							return Err("not the worker's states");
						}
						if mid != third(previous) {
							return Ok(verdict(VerdictKind::Wrong, index, third(previous), mid));
						}
						if value != mid.wrapping_add(1) {
							return Ok(verdict(VerdictKind::Wrong, index, mid.wrapping_add(1), value));
						}
						Err("the element is right")
					}
					(false, None) => Err("the element is right"),
					_ => Err("the element has partial states, or has none"),
				}
			}
		}
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_case(_: u32) -> traits::BenchmarkCase {
		let trace = wrong_trace(5, 10);
		let states = Ask::States(10);
		traits::BenchmarkCase {
			model: model(),
			input_root: end_root(5),
			output_root: end_root(trace[15]),
			publication: publication(&trace).into_inner(),
			demand: states.encode(),
			evidence: b"node".to_vec(),
			opening: opening(&trace, states).into_inner(),
			proof: proof(&trace, 10).encode(),
		}
	}
}

// ---- Scenarios.

/// Runs a scenario, and checks every invariant after it.
pub(crate) fn scenario(run: impl FnOnce()) {
	externalities().execute_with(|| {
		run();
		Court::do_try_state().expect("the invariants hold");
	});
}

pub(crate) fn externalities() -> sp_io::TestExternalities {
	let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().expect("a valid genesis");
	let workers = (WORKER..WORKER + 4).flat_map(|who| [who, stake_of(who)]);
	let balances = [REQUESTER].into_iter().chain(DAVE..DAVE + 8).chain(workers).map(|who| (who, RICH)).collect();
	pallet_balances::GenesisConfig::<Test> { balances, ..Default::default() }
		.assimilate_storage(&mut storage)
		.expect("a valid genesis");
	CLAIMS.with(|all| all.borrow_mut().clear());
	INVALID.with(|all| all.borrow_mut().clear());
	MaxOutstandingBytes::set(10_000);
	let mut externalities = sp_io::TestExternalities::new(storage);
	externalities.execute_with(|| run_to(1));
	externalities
}

/// Externalities that can make keys.
#[cfg(feature = "runtime-benchmarks")]
pub(crate) fn benchmark_externalities() -> sp_io::TestExternalities {
	let mut externalities = externalities();
	externalities.register_extension(sp_keystore::KeystoreExt::new(sp_keystore::testing::MemoryKeystore::new()));
	externalities
}

/// A claim by `worker` that the last byte of `input`'s trace is `output`, made now.
pub(crate) fn commit(worker: AccountId, model: ModelId, input: u8, output: u8) -> JobId {
	CLAIMS.with(|all| {
		let mut all = all.borrow_mut();
		let job = all.len() as JobId;
		let now = System::block_number();
		let info = ClaimInfo {
			claim: H256(blake2_256(&(b"claim", job).encode())),
			model,
			input_root: end_root(input),
			output_root: end_root(output),
			worker,
			bond: BOND,
			fee: 1_000,
			coverage: COVERAGE,
			committed_at: now,
			settles_at: now + WINDOW,
			trace_blocks: 2,
		};
		all.insert(job, MockClaim { info, held: false, outcome: None });
		job
	})
}

/// A trace with byte `wrong` off by one, and all after it computed from there.
pub(crate) fn wrong_trace(input: u8, wrong: u8) -> Trace {
	let mut trace = right_trace(input);
	for index in usize::from(wrong)..16 {
		let right = next(trace[index - 1]);
		trace[index] = if index == usize::from(wrong) { right.wrapping_add(1) } else { right };
	}
	trace
}

/// A claim of [`WORKER`] on input 5 whose trace is right, with the trace.
pub(crate) fn right_claim() -> (JobId, Trace) {
	let trace = right_trace(5);
	(commit(WORKER, model(), 5, trace[15]), trace)
}

/// A claim of [`WORKER`] on input 5 whose trace is wrong at `wrong`, with the trace.
pub(crate) fn wrong_claim(wrong: u8) -> (JobId, Trace) {
	let trace = wrong_trace(5, wrong);
	(commit(WORKER, model(), 5, trace[15]), trace)
}

/// Goes to block `to`, as the executive would.
pub(crate) fn run_to(to: u64) {
	while System::block_number() < to {
		let parent = System::block_number();
		if parent > 0 {
			Court::on_finalize(parent);
		}
		let now = parent + 1;
		System::reset_events();
		System::initialize(&now, &H256(blake2_256(&parent.encode())), &Default::default());
		CLAIMS.with(|all| {
			for c in all.borrow_mut().values_mut() {
				if c.outcome.is_none() && !c.held && c.info.settles_at <= now {
					c.outcome = Some(Outcome::Settled(now));
				}
			}
		});
		Court::on_initialize(now);
	}
}

/// Goes on by `blocks`.
pub(crate) fn run(blocks: u64) {
	run_to(System::block_number() + blocks);
}

/// Leaves no room in this block.
pub(crate) fn fill_block() {
	let all =
		<<Test as frame_system::Config>::BlockWeights as Get<frame_system::limits::BlockWeights>>::get().max_block;
	System::register_extra_weight_unchecked(all, DispatchClass::Operational);
}

/// Goes on by `blocks`, all of them full, this one included.
pub(crate) fn run_full(blocks: u64) {
	for _ in 0..blocks {
		fill_block();
		run(1);
	}
}

/// This pallet's events of the current block.
pub(crate) fn events() -> Vec<Event<Test>> {
	let records = System::events().into_iter();
	records.filter_map(|r| if let RuntimeEvent::Court(event) = r.event { Some(event) } else { None }).collect()
}

pub(crate) fn last_event() -> Event<Test> {
	events().pop().expect("there is an event")
}

/// Dispatches as in a block: a failing call changes nothing.
fn dispatch(call: Call<Test>, origin: RuntimeOrigin) -> DispatchResult {
	use sp_runtime::traits::Dispatchable;
	let root = || STRICT.with(|strict| strict.get().then(|| sp_io::storage::root(sp_runtime::StateVersion::V1)));
	let before = root();
	let result = RuntimeCall::from(call).dispatch(origin).map(|_| ()).map_err(|error| error.error);
	if result.is_err() {
		assert_eq!(before, root(), "a failing message changed something");
	}
	result
}

fn signed(who: AccountId, call: Call<Test>) -> DispatchResult {
	dispatch(call, RuntimeOrigin::signed(who))
}

pub(crate) fn message(bytes: impl Encode) -> Message<Test> {
	BoundedVec::truncate_from(bytes.encode())
}

pub(crate) fn ask(ask: Ask) -> Demand<Test> {
	BoundedVec::truncate_from(ask.encode())
}

pub(crate) fn salt_of(who: AccountId) -> [u8; 32] {
	blake2_256(&(b"salt", who).encode())
}

pub(crate) fn seal(who: AccountId, job: JobId) -> DispatchResult {
	let hash = payload::seal_hash(&hash_of(job), &who, &salt_of(who));
	signed(who, Call::seal { hash })
}

pub(crate) fn reveal(who: AccountId, job: JobId) -> DispatchResult {
	signed(who, Call::challenge { job, claim: hash_of(job), salt: Some(salt_of(who)) })
}

pub(crate) fn unseal(who: AccountId, job: JobId) -> DispatchResult {
	signed(who, Call::unseal { job, claim: hash_of(job), salt: salt_of(who) })
}

pub(crate) fn challenge(who: AccountId, job: JobId) -> DispatchResult {
	signed(who, Call::challenge { job, claim: hash_of(job), salt: None })
}

pub(crate) fn demand(who: AccountId, job: JobId, what: Ask) -> DispatchResult {
	let evidence = BoundedVec::truncate_from(b"node".to_vec());
	signed(who, Call::demand { job, claim: hash_of(job), demand: ask(what), evidence })
}

pub(crate) fn timeout(job: JobId, challenger: Option<AccountId>) -> DispatchResult {
	signed(POOR, Call::timeout { job, claim: hash_of(job), challenger })
}

pub(crate) fn withdraw(who: AccountId, job: JobId) -> DispatchResult {
	signed(who, Call::withdraw { job, claim: hash_of(job) })
}

pub(crate) fn publication(trace: &Trace) -> Message<Test> {
	message((groups(trace), group(trace, 0), group(trace, 3)))
}

/// Publishes as a transaction: authorised first, then dispatched.
pub(crate) fn publish(signer: AccountId, job: JobId, trace: &Trace) -> Result<(), &'static str> {
	let (claim, publication) = (hash_of(job), publication(trace));
	let payload = payload::publish_payload(&claim, &publication);
	let signature: ServiceSignature = service_pair(signer).sign(&payload.0).into();
	Court::authorize_publish(job, &claim, &publication, &signature).map_err(<&'static str>::from)?;
	let call = Call::publish { job, claim, publication, signature };
	assert_eq!(dispatch(call, frame_system::RawOrigin::Authorized.into()), Ok(()), "what is authorised cannot fail");
	Ok(())
}

/// The opening that a worker with this trace gives. It lies about partial states so that they end in its value.
pub(crate) fn opening(trace: &Trace, what: Ask) -> Message<Test> {
	match what {
		Ask::Group(g) => message((group(trace, g), groups(trace))),
		Ask::States(index) => message(mid(trace, index)),
	}
}

pub(crate) fn mid(trace: &Trace, index: u8) -> u8 {
	trace[usize::from(index)].wrapping_sub(1)
}

/// Opens as a transaction, signed by `signer` if there is one.
pub(crate) fn open_by(signer: Option<AccountId>, job: JobId, trace: &Trace, what: Ask) -> Result<(), &'static str> {
	let (claim, demand, opening) = (hash_of(job), ask(what), opening(trace, what));
	let payload = payload::open_payload(&claim, &demand, &opening);
	let signature = signer.map(|signer| ServiceSignature::from(service_pair(signer).sign(&payload.0)));
	Court::authorize_open(job, &claim, &demand, &opening, &signature).map_err(<&'static str>::from)?;
	let call = Call::open { job, claim, demand, opening, signature };
	assert_eq!(dispatch(call, frame_system::RawOrigin::Authorized.into()), Ok(()), "what is authorised cannot fail");
	Ok(())
}

/// Opens as the worker of the claim would.
pub(crate) fn open(job: JobId, trace: &Trace, what: Ask) -> Result<(), &'static str> {
	let worker = claim(job, |c| c.info.worker);
	open_by(matches!(what, Ask::States(_)).then_some(worker), job, trace, what)
}

/// The proof that byte `index` of `trace` is wrong.
pub(crate) fn proof(trace: &Trace, index: u8) -> Evil {
	let mid = is_long(index).then(|| mid(trace, index));
	let (here, before) = (group(trace, index / 4), group(trace, index.saturating_sub(1) / 4));
	Evil::Element { index, groups: groups(trace), here, before, mid }
}

pub(crate) fn prove_with(who: AccountId, job: JobId, states: Option<Ask>, proof: Evil) -> DispatchResult {
	signed(who, Call::prove { job, claim: hash_of(job), states: states.map(ask), proof: message(proof) })
}

/// Proves that byte `index` of `trace` is wrong, with its states if it has any.
pub(crate) fn prove(who: AccountId, job: JobId, trace: &Trace, index: u8) -> DispatchResult {
	prove_with(who, job, is_long(index).then_some(Ask::States(index)), proof(trace, index))
}

pub(crate) fn held(who: AccountId, reason: HoldReason) -> Balance {
	Balances::balance_on_hold(&reason.into(), &who)
}

/// All that an account has, on hold or not.
pub(crate) fn wealth(who: AccountId) -> Balance {
	<Balances as Inspect<_>>::total_balance(&who)
}

/// That nothing is stored of any dispute.
pub(crate) fn assert_empty() {
	assert_eq!(Seals::<Test>::iter().count(), 0, "seals are left");
	assert_eq!(crate::Disputes::<Test>::iter().count(), 0, "disputes are left");
	assert_eq!(Challenges::<Test>::iter().count(), 0, "challenges are left");
	assert_eq!(Queue::<Test>::iter().count(), 0, "queues are left");
	assert_eq!(Nodes::<Test>::iter().count(), 0, "nodes are left");
	assert_eq!(Agenda::<Test>::iter().count(), 0, "tasks are left");
	assert_eq!(AgendaLength::<Test>::iter().count(), 0, "queues of tasks are left");
	assert_eq!(Outstanding::<Test>::get(), 0, "bytes are outstanding");
	for (_, account) in frame_system::Account::<Test>::iter() {
		assert_eq!(account.data.reserved, 0, "something is on hold");
	}
}

/// An error of this pallet.
pub(crate) fn error(error: Error<Test>) -> DispatchResult {
	Err(DispatchError::from(error))
}
