//! How Assay's pallets reach each other. Each declares what it needs in its `traits.rs`; here stands who gives it.

use crate::{
	weights, AccountId, Balance, BlockNumber, Inference, Models, Rewards, Runtime, RuntimeHoldReason, Workers,
};
use alloc::vec::Vec;
use assay_primitives::{Holds, JobId, ModelId, ServiceKey, SlashReason, TensorType};
use assay_semantics::judge;
use codec::{DecodeAll, Encode};
use frame_support::{
	dispatch::DispatchResult,
	traits::{fungible::Balanced, Imbalance},
	weights::Weight,
};
use pallet_disputes::traits::{ClaimInfo, Convicted, Verdict, VerdictKind};
use pallet_inference::traits::{Ask, Fault, ModelTerms, Shares, TraceSize};
use sp_core::H256;
use sp_runtime::{BoundedVec, DispatchError, Permill};

/// The registry, as inference sees it.
pub struct Registry;

impl pallet_inference::traits::Models<AccountId, Balance> for Registry {
	fn terms(model: &ModelId) -> Option<ModelTerms<Balance>> {
		let record = Models::get(model).filter(|_| Models::is_active(model))?;
		Some(ModelTerms {
			inputs: record.header.inputs.into_inner(),
			outputs: record.header.outputs.into_inner(),
			price: record.price,
			window: record.policy.window(),
		})
	}

	fn outputs(model: &ModelId) -> Option<Vec<TensorType>> {
		Models::get(model).map(|record| record.header.outputs.into_inner())
	}

	fn trace(model: &ModelId) -> TraceSize {
		Models::get(model).map_or(TraceSize::default(), |record| {
			let header = &record.header;
			let ends = header.inputs.len().saturating_add(header.outputs.len());
			TraceSize {
				blocks: record.policy.trace_blocks(),
				publication_bytes: judge::publication_bytes(header.encoded_size(), header.values, ends),
			}
		})
	}

	fn invalidate(model: &ModelId) {
		Models::invalidate(model)
	}

	fn is_invalid(model: &ModelId) -> bool {
		Models::is_invalid(model)
	}

	fn royalty(model: &ModelId) -> Option<(AccountId, Permill)> {
		Models::get(model).map(|record| (record.owner, record.royalty))
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_model(input: u32, output: u32) -> ModelId {
		crate::benchmarks::register_model(input, output)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_key(model: &ModelId) -> Vec<u8> {
		pallet_models::Models::<Runtime>::hashed_key_for(model)
	}
}

impl pallet_workers::Models for Registry {
	fn is_active(model: &ModelId) -> bool {
		Models::is_active(model)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn make_active() -> ModelId {
		crate::benchmarks::register_model(4, 4)
	}
}

/// The staked workers, as inference sees them.
pub struct Staked;

fn ask(terms: &pallet_workers::Terms) -> Ask<Balance> {
	Ask { min_price: terms.min_price, coverage_price: terms.coverage_price, min_deadline: terms.min_deadline }
}

impl pallet_inference::traits::Workers<AccountId, Balance> for Staked {
	fn draw(
		model: &ModelId,
		exclude: &[AccountId],
		seed: [u8; 32],
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Option<(AccountId, Ask<Balance>, Balance)> {
		let drawn = Workers::draw(model, exclude, seed, |terms| accept(&ask(terms)));
		drawn.map(|(worker, terms, bond)| (worker, ask(&terms), bond))
	}

	fn candidate(
		worker: &AccountId,
		model: &ModelId,
		accept: &mut dyn FnMut(&Ask<Balance>) -> Option<Balance>,
	) -> Result<(Ask<Balance>, Balance), DispatchError> {
		let (terms, bond) = Workers::candidate(worker, model, |terms| accept(&ask(terms)))?;
		Ok((ask(&terms), bond))
	}

	fn serves(worker: &AccountId, model: &ModelId) -> bool {
		pallet_workers::Services::<Runtime>::contains_key(model, worker)
	}

	fn server_count(model: &ModelId) -> u32 {
		Workers::server_count(model)
	}

	fn assign(worker: &AccountId, model: &ModelId, bond: Balance) -> DispatchResult {
		Workers::assign(worker, model, bond)
	}

	fn answered(worker: &AccountId, model: &ModelId) {
		Workers::answered(worker, model)
	}

	fn release(worker: &AccountId, bond: Balance) {
		Workers::release(worker, bond)
	}

	fn slash(
		worker: &AccountId,
		amount: Balance,
		reason: SlashReason,
		shares: &[(&AccountId, Balance)],
	) -> (Balance, Vec<Balance>) {
		let mut credit = Workers::slash(worker, amount, reason);
		let taken = credit.peek();
		let paid = shares.iter().map(|(to, share)| {
			let part = credit.extract(*share);
			let paid = part.peek();
			// What an account cannot take is burned with the rest.
			match <crate::Balances as Balanced<_>>::resolve(to, part) {
				Ok(()) => paid,
				Err(_) => 0,
			}
		});
		(taken, paid.collect())
	}

	fn suspend(worker: &AccountId) {
		Workers::suspend(worker)
	}

	fn service_key(worker: &AccountId) -> Option<ServiceKey> {
		Workers::service_key(worker)
	}

	fn worker_of(key: &ServiceKey) -> Option<AccountId> {
		Workers::worker_of(key)
	}

	fn covered(worker: &AccountId) -> Balance {
		pallet_workers::Workers::<Runtime>::get(worker).map_or(0, |worker| worker.covered)
	}

	fn open_claims(worker: &AccountId) -> u32 {
		pallet_workers::Workers::<Runtime>::get(worker).map_or(0, |worker| worker.open_claims)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_workers(model: &ModelId, count: u32, key: ServiceKey) -> AccountId {
		crate::benchmarks::bond_workers(model, count, key)
	}
}

/// The split of fees, as inference sees it.
pub struct Fees;

impl pallet_inference::traits::Rewards<AccountId, Balance, RuntimeHoldReason> for Fees {
	fn pay_out(
		payer: &AccountId,
		reason: &RuntimeHoldReason,
		fee: Balance,
		owner: &AccountId,
		royalty: Permill,
		worker: &AccountId,
	) -> Result<Shares<Balance>, DispatchError> {
		let shares = Rewards::pay_out(payer, reason, fee, owner, royalty, worker)?;
		Ok(Shares { burned: shares.burned, treasury: shares.treasury, royalty: shares.royalty, worker: shares.worker })
	}

	fn note_fault(worker: &AccountId, fault: Fault) {
		let fault = match fault {
			Fault::MissedDeadline => pallet_rewards::Fault::MissedDeadline,
			Fault::Declined => pallet_rewards::Fault::Declined,
		};
		Rewards::note_fault(worker, fault)
	}

	fn heartbeat_due(worker: &AccountId) -> bool {
		Rewards::heartbeat_due(worker)
	}

	fn note_heartbeat(worker: &AccountId) {
		Rewards::note_heartbeat(worker)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_heartbeat(worker: &AccountId) {
		Rewards::benchmark_heartbeat(worker)
	}
}

/// Emission follows active stake.
pub struct ActiveStake;

impl pallet_workers::StakeObserver<AccountId, Balance> for ActiveStake {
	fn active_stake_changed(worker: &AccountId, stake: Balance) {
		Rewards::set_active_stake(worker, stake)
	}

	fn settle(worker: &AccountId) {
		Rewards::payout_all(worker)
	}

	fn settle_weight() -> Weight {
		<weights::pallet_rewards::WeightInfo<Runtime> as pallet_rewards::WeightInfo>::payout_all()
	}
}

/// Delegators share what their worker earns.
pub struct Backing;

impl pallet_rewards::Distribute<AccountId, pallet_rewards::CreditOf<Runtime>> for Backing {
	fn distribute(
		worker: &AccountId,
		credit: pallet_rewards::CreditOf<Runtime>,
	) -> Result<(), pallet_rewards::CreditOf<Runtime>> {
		Workers::distribute(worker, credit)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_sharing(worker: &AccountId) {
		use assay_primitives::OPG;
		use frame_support::traits::fungible::Mutate;
		let (delegator, stake) = (AccountId::from([0xde; 32]), 10_000 * OPG);
		for who in [worker, &delegator] {
			let _ = crate::Balances::mint_into(who, 2 * stake);
		}
		let origin = |who: &AccountId| crate::RuntimeOrigin::signed(who.clone());
		Workers::bond(origin(worker), stake).expect("the account is endowed");
		Workers::set_commission(origin(worker), sp_runtime::Perbill::from_percent(10)).expect("it is a worker");
		Workers::delegate(origin(&delegator), worker.clone(), stake).expect("the worker takes delegations");
	}
}

/// Answers, as disputes see them.
pub struct Answers;

impl pallet_disputes::traits::Claims<AccountId, Balance, BlockNumber> for Answers {
	fn open_claim(job: JobId) -> Option<ClaimInfo<AccountId, Balance, BlockNumber>> {
		let open = Inference::open_claim(job)?;
		Some(ClaimInfo {
			claim: open.claim,
			model: open.model,
			input_root: open.input_root,
			output_root: open.output_root,
			worker: open.assignment.worker,
			bond: open.assignment.bond,
			fee: open.assignment.fee,
			coverage: open.coverage,
			committed_at: open.committed_at,
			settles_at: open.settles_at,
			trace_blocks: open.trace.blocks,
			publication_bytes: open.trace.publication_bytes,
		})
	}

	fn input(job: JobId) -> Option<Vec<u8>> {
		let pallet_inference::Input::Inline(bytes) = pallet_inference::Inputs::<Runtime>::get(job)?;
		Some(bytes.into_inner())
	}

	fn hold(job: JobId) {
		Inference::hold(job, Holds::DISPUTE)
	}

	fn unhold(job: JobId) {
		Inference::unhold(job, Holds::DISPUTE)
	}

	fn is_held(job: JobId) -> bool {
		Inference::holds(job).contains(Holds::DISPUTE)
	}

	fn convict(job: JobId, winner: Option<&AccountId>) -> Convicted<Balance> {
		let pallet_inference::Verdict { slashed, reward, compensation, burned } = Inference::convict(job, winner);
		Convicted { slashed, reward, burned, compensation }
	}

	fn invalidate_model(model: &ModelId) {
		Models::invalidate(model)
	}

	fn service_key(worker: &AccountId) -> Option<ServiceKey> {
		Workers::service_key(worker)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_claim(key: ServiceKey, model: ModelId, input_root: H256, output_root: H256) -> JobId {
		crate::benchmarks::commit_claim(key, model, input_root, output_root)
	}
}

/// The semantics as the judge of disputes.
pub struct Court;

/// The start of a list, as far as it fits.
fn short<S: frame_support::traits::Get<u32>>(bytes: Vec<u8>) -> BoundedVec<u8, S> {
	BoundedVec::truncate_from(bytes)
}

impl pallet_disputes::traits::Judge for Court {
	fn publish(model: &ModelId, input: &H256, output: &H256, publication: &[u8]) -> Result<H256, &'static str> {
		judge::check_publication(&model.0, &input.0, &output.0, publication).map(H256).map_err(|fault| fault.words())
	}

	fn demand(model: &ModelId, demand: &[u8], evidence: &[u8]) -> Result<u32, &'static str> {
		let info = judge::check_demand(&model.0, demand, evidence).map_err(|fault| fault.words())?;
		Ok(info.answer_bytes)
	}

	fn open(model: &ModelId, trace: &H256, demand: &[u8], opening: &[u8]) -> Result<Option<H256>, &'static str> {
		let states = judge::check_answer(&model.0, &trace.0, demand, opening).map_err(|fault| fault.words())?;
		Ok(states.map(H256))
	}

	fn needs_signature(demand: &[u8]) -> bool {
		judge::Demand::decode_all(&mut &demand[..]).is_ok_and(|demand| demand.needs_signature())
	}

	fn judge(
		model: &ModelId,
		trace: &H256,
		states: Option<(&[u8], H256)>,
		proof: &[u8],
	) -> Result<Verdict, &'static str> {
		// The root of the states names their element, so the demand adds nothing.
		let states = states.map(|(_, root)| root.0);
		let verdict = judge::check_proof(&model.0, &trace.0, states.as_ref(), proof).map_err(|fault| fault.words())?;
		Ok(match verdict {
			judge::Verdict::Wrong { at, element, expected, claimed, operator } => Verdict {
				kind: VerdictKind::Wrong,
				value: at.value,
				element,
				expected: short(expected),
				claimed: short(claimed),
				operator: short(operator),
			},
			judge::Verdict::InvalidModel { value } => Verdict {
				kind: VerdictKind::InvalidModel,
				value,
				element: None,
				expected: short(Vec::new()),
				claimed: short(Vec::new()),
				operator: short(Vec::new()),
			},
		})
	}

	fn step_weight(proof: &[u8]) -> Weight {
		judge::operator_of(proof).map_or(Weight::zero(), |(name, operands)| weights::judge_step(name, operands))
	}

	fn most_step_weight() -> Weight {
		Weight::from_parts(weights::most_judged(), 0)
	}

	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_case(_: u32) -> pallet_disputes::traits::BenchmarkCase {
		crate::benchmarks::dispute()
	}
}
