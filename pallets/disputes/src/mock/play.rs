//! Scenarios: time, messages, and what came of them.

use super::*;
use frame_support::dispatch::{DispatchClass, DispatchResult};

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
	PriceStep::set(1_000_000);
	DelayShare::set(Permill::zero());
	PublicationBytes::set(0);
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
			trace_blocks: 0,
			publication_bytes: PublicationBytes::get(),
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
	signed(who, Call::challenge { job, claim: hash_of(job), salt: Some(salt_of(who)), max_fee: RICH })
}

pub(crate) fn unseal(who: AccountId, job: JobId) -> DispatchResult {
	signed(who, Call::unseal { job, claim: hash_of(job), salt: salt_of(who) })
}

pub(crate) fn challenge(who: AccountId, job: JobId) -> DispatchResult {
	signed(who, Call::challenge { job, claim: hash_of(job), salt: None, max_fee: RICH })
}

pub(crate) fn demand(who: AccountId, job: JobId, what: Ask) -> DispatchResult {
	demand_for(who, job, what, RICH)
}

/// A demand at a price of at most `max_fee`.
pub(crate) fn demand_for(who: AccountId, job: JobId, what: Ask, max_fee: Balance) -> DispatchResult {
	let evidence = BoundedVec::truncate_from(b"node".to_vec());
	signed(who, Call::demand { job, claim: hash_of(job), demand: ask(what), evidence, max_fee })
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
