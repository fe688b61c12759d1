//! The messages of a dispute: what each needs, and what it changes. Every check stands before every change.

use crate::{
	payload,
	traits::{ClaimInfo, Claims, Judge, Verdict},
	BalanceOf, Challenge, ChallengeOf, Challenges, Clock, ClockOf, Config, Demand, Dispute, DisputeOf, Disputes, Error,
	Event, FullBlocks, HoldReason, NextNumber, Node, NodeId, NodeOf, Nodes, Outstanding, Pallet, Phase, Place, Queue,
	Seals, Stage, Task,
};
use assay_primitives::{ClaimHash, JobId, ServiceSignature};
use frame_support::{
	defensive,
	dispatch::{DispatchClass, DispatchResult},
	ensure,
	traits::{fungible::MutateHold, Get},
	weights::Weight,
};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_core::H256;
use sp_runtime::{
	helpers_128bit::multiply_by_rational_with_rounding,
	traits::{Bounded, SaturatedConversion, Saturating, Zero},
	DispatchError, Rounding, RuntimeAppPublic,
};

/// Whose move it is, and how long.
pub(crate) enum Turn<T: Config> {
	Worker(ClockOf<T>),
	Challenger(ClockOf<T>),
}

/// Bytes of an extrinsic around its message.
pub(crate) const ENVELOPE: u32 = 1_024;

impl<T: Config> Pallet<T> {
	pub(crate) fn now() -> BlockNumberFor<T> {
		frame_system::Pallet::<T>::block_number()
	}

	/// A clock that starts now.
	fn clock(length: BlockNumberFor<T>) -> ClockOf<T> {
		Clock { start: Self::now(), length, full: FullBlocks::<T>::get() }
	}

	pub(crate) fn is_over(clock: &ClockOf<T>) -> bool {
		clock.is_over(Self::now(), FullBlocks::<T>::get())
	}

	/// `least`, or finality and the time for `traces` traces, if that is more.
	fn scaled(least: BlockNumberFor<T>, traces: u32, trace_blocks: u32) -> BlockNumberFor<T> {
		let traces = trace_blocks.min(T::MaxTraceBlocks::get()).saturating_mul(traces);
		least.max(T::Finality::get().saturating_add(traces.into()))
	}

	/// R_p: the time for publishing a trace that takes `trace_blocks` to build.
	pub fn publish_blocks(trace_blocks: u32) -> BlockNumberFor<T> {
		Self::scaled(T::PublishBlocks::get(), T::WorkerTraces::get(), trace_blocks)
	}

	/// R_w: the time for answering a demand. The engine may have to build the trace again.
	pub fn answer_blocks(trace_blocks: u32) -> BlockNumberFor<T> {
		Self::scaled(T::AnswerBlocks::get(), T::WorkerTraces::get(), trace_blocks)
	}

	/// R_c, or R_prove when no demand is left: the time for a challenger's move.
	pub fn move_blocks(trace_blocks: u32, demands: u32) -> BlockNumberFor<T> {
		let least = if demands < T::MaxOpenings::get() { T::MoveBlocks::get() } else { T::ProveBlocks::get() };
		Self::scaled(least, T::ChallengerTraces::get(), trace_blocks)
	}

	/// G: the longest that one challenge can take, in blocks: every clock at twice its length.
	pub fn longest_challenge(trace_blocks: u32) -> BlockNumberFor<T> {
		let openings = T::MaxOpenings::get();
		let round = Self::answer_blocks(trace_blocks).saturating_add(Self::move_blocks(trace_blocks, 0));
		let last = Self::move_blocks(trace_blocks, openings);
		let once = Self::publish_blocks(trace_blocks)
			.saturating_add(round.saturating_mul(openings.into()))
			.saturating_add(last);
		once.saturating_mul(2u32.into())
	}

	/// What a challenge of a claim puts on hold: for the worker's trouble, its trace, and the delay of what it has at stake.
	pub fn challenge_bond(trace_blocks: u32, bond: BalanceOf<T>) -> BalanceOf<T> {
		let trace = trace_blocks.min(T::MaxTraceBlocks::get());
		T::ChallengeBond::get()
			.saturating_add(T::TraceBlockBond::get().saturating_mul(trace.into()))
			.saturating_add(T::DelayShare::get().mul_ceil(bond))
	}

	/// What asking for `bytes` more bytes puts on hold while the chain's workers owe `owed`. The price of a byte doubles with every
	/// `PriceStep` bytes that they owe, these included, and is linear in between.
	pub fn fee_at(owed: u32, bytes: u32) -> BalanceOf<T> {
		let (owed, step) = (u128::from(owed.saturating_add(bytes)), u128::from(T::PriceStep::get()).max(1));
		let doubled = 1u128.checked_shl((owed / step).saturated_into()).unwrap_or(u128::MAX);
		let base: u128 = T::DemandFeePerByte::get().into();
		let fee = base.saturating_mul(u128::from(bytes)).saturating_mul(doubled);
		let part = multiply_by_rational_with_rounding(fee, owed % step, step, Rounding::Down).unwrap_or(u128::MAX);
		fee.saturating_add(part).try_into().unwrap_or_else(|_| BalanceOf::<T>::max_value())
	}

	/// What asking for `bytes` bytes puts on hold now.
	pub fn demand_fee(bytes: u32) -> BalanceOf<T> {
		Self::fee_at(Outstanding::<T>::get(), bytes)
	}

	/// Makes the worker owe `bytes` bytes to `who`, at the price of now. Nothing has changed if it fails.
	fn owe(
		who: &T::AccountId,
		max_fee: BalanceOf<T>,
		bytes: u32,
		dispute: &mut DisputeOf<T>,
	) -> Result<BalanceOf<T>, DispatchError> {
		let fee = Self::demand_fee(bytes);
		ensure!(fee <= max_fee, Error::<T>::FeeTooHigh);
		T::Currency::hold(&HoldReason::Demand.into(), who, fee)?;
		dispute.fees = dispute.fees.saturating_add(fee);
		dispute.outstanding = dispute.outstanding.saturating_add(bytes);
		Outstanding::<T>::mutate(|all| *all = all.saturating_add(bytes));
		Ok(fee)
	}

	/// The worker has given `bytes` of what it owes.
	fn pay_off(dispute: &mut DisputeOf<T>, bytes: u32) {
		Outstanding::<T>::mutate(|all| *all = all.saturating_sub(bytes));
		dispute.outstanding = dispute.outstanding.saturating_sub(bytes);
	}

	/// Whether the largest dispute message would still fit into this block, as `CheckWeight` sees it. Whatever fills the block counts,
	/// failed messages too, since those keep others out just as well.
	pub(crate) fn has_room() -> bool {
		let length = T::BlockLength::get();
		let largest = T::MaxMessage::get().saturating_add(ENVELOPE);
		let after = frame_system::Pallet::<T>::block_size().saturating_add(largest);
		if after > *length.max.get(DispatchClass::Operational) {
			return false;
		}
		let limits = T::BlockWeights::get();
		let class = limits.get(DispatchClass::Operational);
		let used = frame_system::Pallet::<T>::block_weight();
		let message = Self::largest_weight().saturating_add(class.base_extrinsic);
		let after = used.get(DispatchClass::Operational).saturating_add(message);
		let total = used.total().saturating_add(message);
		class.max_total.is_none_or(|max| after.all_lte(max))
			&& (total.all_lte(limits.max_block) || class.reserved.is_none_or(|reserved| after.all_lte(reserved)))
	}

	/// The weight of the heaviest dispute message, with its length as proof size, as `CheckWeight` counts it.
	pub(crate) fn largest_weight() -> Weight {
		use crate::WeightInfo;
		let n = T::MaxMessage::get();
		let publish = T::WeightInfo::publish(n).saturating_add(T::WeightInfo::authorize_publish(n));
		let open = T::WeightInfo::open(n).saturating_add(T::WeightInfo::authorize_open(n));
		let prove = T::WeightInfo::prove(n).saturating_add(T::Judge::most_step_weight());
		let length = u64::from(n.saturating_add(ENVELOPE));
		publish.max(open).max(prove).saturating_add_proof_size(length)
	}

	/// The next place in the order of seals and challenges.
	pub(crate) fn next_number() -> u64 {
		NextNumber::<T>::mutate(|next| {
			let number = *next;
			*next = next.saturating_add(1);
			number
		})
	}

	pub(crate) fn place(number: u64) -> Place {
		number.to_be_bytes()
	}

	/// Whose move it is in a live challenge.
	pub(crate) fn turn(claim: &ClaimHash, dispute: &DisputeOf<T>, challenge: &ChallengeOf<T>) -> Turn<T> {
		let length = Self::move_blocks(dispute.trace_blocks, challenge.demands);
		match (&challenge.stage, &dispute.phase) {
			(Stage::Move(clock), _) => Turn::Challenger(*clock),
			(Stage::Publication, Phase::Unpublished(clock)) => Turn::Worker(*clock),
			(Stage::Publication, Phase::Published { at, full, .. }) => {
				Turn::Challenger(Clock { start: *at, length, full: *full })
			}
			(Stage::Answer(node), _) => match Nodes::<T>::get(claim, node) {
				Some(Node::Outstanding { clock, .. }) => Turn::Worker(clock),
				Some(Node::Opened { at, full, .. }) => Turn::Challenger(Clock { start: at, length, full }),
				None => {
					defensive!("a challenge waits for a node that nobody demanded");
					Turn::Challenger(Self::clock(length))
				}
			},
			// Not live; nobody asks.
			(Stage::Publication, _) => Turn::Challenger(Self::clock(length)),
		}
	}

	/// The dispute about a claim, if it is still undecided.
	pub(crate) fn live_dispute(job: JobId, claim: &ClaimHash) -> Result<DisputeOf<T>, Error<T>> {
		let dispute = Disputes::<T>::get(claim).ok_or(Error::<T>::NotDisputed)?;
		ensure!(dispute.job == job, Error::<T>::ClaimMismatch);
		ensure!(
			dispute.live > 0 && matches!(dispute.phase, Phase::Unpublished(_) | Phase::Published { .. }),
			Error::<T>::DisputeOver
		);
		Ok(dispute)
	}

	/// A live dispute whose trace is known, and its root.
	fn published(job: JobId, claim: &ClaimHash) -> Result<(DisputeOf<T>, H256), Error<T>> {
		let dispute = Self::live_dispute(job, claim)?;
		match dispute.phase {
			Phase::Published { trace_root, .. } => Ok((dispute, trace_root)),
			_ => Err(Error::<T>::NotPublished),
		}
	}

	pub(crate) fn do_challenge(
		who: T::AccountId,
		job: JobId,
		claim: ClaimHash,
		salt: Option<[u8; 32]>,
		max_fee: BalanceOf<T>,
	) -> DispatchResult {
		let now = Self::now();
		let info = T::Claims::open_claim(job).ok_or(Error::<T>::ClaimNotOpen)?;
		ensure!(info.claim == claim, Error::<T>::ClaimMismatch);
		ensure!(info.worker != who, Error::<T>::OwnClaim);
		ensure!(now < info.settles_at, Error::<T>::WindowOver);
		ensure!(!Challenges::<T>::contains_key(claim, &who), Error::<T>::AlreadyChallenged);
		let dispute = Disputes::<T>::get(claim);
		match dispute.as_ref().map(|dispute| &dispute.phase) {
			None | Some(Phase::Published { .. }) => (),
			Some(Phase::Unpublished(clock)) => ensure!(!Self::is_over(clock), Error::<T>::DisputeOver),
			Some(Phase::Convicted { .. } | Phase::Defended) => return Err(Error::<T>::DisputeOver.into()),
		}

		let number = match &salt {
			Some(salt) => Self::reveal(&who, payload::seal_hash(&claim, &who, salt))?,
			None => Self::next_number(),
		};
		let bond = Self::challenge_bond(info.trace_blocks, info.bond);
		T::Currency::hold(&HoldReason::Challenge.into(), &who, bond)?;
		let fresh = dispute.is_none();
		let mut dispute = dispute.unwrap_or_else(|| Self::new_dispute(job, &info));
		// The first challenge asks for the publication.
		let fees = match fresh {
			true => Self::owe(&who, max_fee, info.publication_bytes, &mut dispute)?,
			false => Zero::zero(),
		};
		let stage = match dispute.phase {
			Phase::Published { .. } => Stage::Move(Self::clock(Self::move_blocks(dispute.trace_blocks, 0))),
			_ => Stage::Publication,
		};
		if let (true, Phase::Unpublished(clock)) = (fresh, &dispute.phase) {
			Self::schedule(clock.over_at(FullBlocks::<T>::get()), Task::Publication(claim));
		}
		let first = dispute.live == 0;
		dispute.live = dispute.live.saturating_add(1);
		dispute.settles_at = info.settles_at;
		Disputes::<T>::insert(claim, dispute);
		let challenge = Challenge { number, started: now, bond, fees, demands: 0, stage };
		Challenges::<T>::insert(claim, &who, challenge);
		Queue::<T>::insert(claim, Self::place(number), &who);
		Self::schedule(now.saturating_add(Self::shortest_move(info.trace_blocks)), Task::Move(claim, number));
		if first {
			T::Claims::hold(job);
		}
		Self::deposit_event(Event::Challenged { job, claim, challenger: who, number, bond });
		Ok(())
	}

	/// The least blocks from a move handed to a challenger to the first block in which its time can be over.
	pub(crate) fn shortest_move(trace_blocks: u32) -> BlockNumberFor<T> {
		let last = Self::move_blocks(trace_blocks, T::MaxOpenings::get());
		Self::move_blocks(trace_blocks, 0).min(last).saturating_add(1u32.into())
	}

	fn new_dispute(job: JobId, info: &ClaimInfo<T::AccountId, BalanceOf<T>, BlockNumberFor<T>>) -> DisputeOf<T> {
		Dispute {
			job,
			model: info.model,
			input_root: info.input_root,
			output_root: info.output_root,
			worker: info.worker.clone(),
			settles_at: info.settles_at,
			trace_blocks: info.trace_blocks,
			phase: Phase::Unpublished(Self::clock(Self::publish_blocks(info.trace_blocks))),
			live: 0,
			fees: Zero::zero(),
			outstanding: 0,
		}
	}

	/// Takes a seal back and returns its number.
	fn reveal(who: &T::AccountId, hash: H256) -> Result<u64, DispatchError> {
		let seal = Seals::<T>::get(who, hash).ok_or(Error::<T>::SealNotFound)?;
		let now = Self::now();
		ensure!(seal.at < now, Error::<T>::SealTooFresh);
		ensure!(now <= seal.at.saturating_add(T::RevealBlocks::get()), Error::<T>::SealExpired);
		Seals::<T>::remove(who, hash);
		Self::give_back(&HoldReason::Seal, who, seal.deposit);
		Ok(seal.number)
	}

	/// Checks everything about a publication but the signature. Returns the trace root.
	pub(crate) fn check_publication(
		job: JobId,
		claim: &ClaimHash,
		publication: &[u8],
		signed: impl FnOnce(&DisputeOf<T>) -> bool,
	) -> Result<(DisputeOf<T>, ClockOf<T>, H256), Error<T>> {
		let dispute = Self::live_dispute(job, claim)?;
		let Phase::Unpublished(clock) = dispute.phase else { return Err(Error::<T>::AlreadyPublished) };
		ensure!(!Self::is_over(&clock), Error::<T>::TooLate);
		ensure!(signed(&dispute), Error::<T>::BadSignature);
		let root = T::Judge::publish(&dispute.model, &dispute.input_root, &dispute.output_root, publication).map_err(
			|fault| {
				log::debug!(target: "assay::disputes", "publication of {claim:?} refused: {fault}");
				Error::<T>::PublicationRefused
			},
		)?;
		Ok((dispute, clock, root))
	}

	pub(crate) fn accept_publication(job: JobId, claim: ClaimHash, mut dispute: DisputeOf<T>, trace_root: H256) {
		dispute.phase = Phase::Published { trace_root, at: Self::now(), full: FullBlocks::<T>::get() };
		// Until here, the publication is all that was asked for.
		let bytes = dispute.outstanding;
		Self::pay_off(&mut dispute, bytes);
		Disputes::<T>::insert(claim, dispute);
		Self::deposit_event(Event::Published { job, claim, trace_root });
	}

	/// The live challenge of `who`, with whose move it is. A challenge whose own time is over is as good as lost.
	fn live_challenge(
		claim: &ClaimHash,
		dispute: &DisputeOf<T>,
		who: &T::AccountId,
	) -> Result<(ChallengeOf<T>, Turn<T>), Error<T>> {
		let challenge = Challenges::<T>::get(claim, who).ok_or(Error::<T>::NotChallenger)?;
		let turn = Self::turn(claim, dispute, &challenge);
		if let Turn::Challenger(clock) = &turn {
			ensure!(!Self::is_over(clock), Error::<T>::TooLate);
		}
		Ok((challenge, turn))
	}

	pub(crate) fn do_demand(
		who: T::AccountId,
		job: JobId,
		claim: ClaimHash,
		demand: Demand<T>,
		evidence: &[u8],
		max_fee: BalanceOf<T>,
	) -> DispatchResult {
		let (mut dispute, _) = Self::published(job, &claim)?;
		let (mut challenge, turn) = Self::live_challenge(&claim, &dispute, &who)?;
		ensure!(matches!(turn, Turn::Challenger(_)), Error::<T>::NotYourMove);
		ensure!(challenge.demands < T::MaxOpenings::get(), Error::<T>::NoDemandsLeft);
		let node = payload::node_id(&demand);
		let due = match Nodes::<T>::get(claim, node) {
			Some(Node::Opened { .. }) => return Err(Error::<T>::AlreadyOpen.into()),
			Some(Node::Outstanding { clock, .. }) => {
				ensure!(!Self::is_over(&clock), Error::<T>::DisputeOver);
				clock
			}
			None => {
				let bytes = T::Judge::demand(&dispute.model, &demand, evidence).map_err(|fault| {
					log::debug!(target: "assay::disputes", "demand on {claim:?} refused: {fault}");
					Error::<T>::DemandRefused
				})?;
				ensure!(bytes <= T::MaxMessage::get(), Error::<T>::DemandRefused);
				let fee = Self::owe(&who, max_fee, bytes, &mut dispute)?;
				challenge.fees = challenge.fees.saturating_add(fee);
				let clock = Self::clock(Self::answer_blocks(dispute.trace_blocks));
				Self::schedule(clock.over_at(FullBlocks::<T>::get()), Task::Answer(claim, node));
				Nodes::<T>::insert(claim, node, Node::Outstanding { demand: demand.clone(), bytes, clock });
				Disputes::<T>::insert(claim, dispute);
				clock
			}
		};
		challenge.demands = challenge.demands.saturating_add(1);
		challenge.stage = Stage::Answer(node);
		Challenges::<T>::insert(claim, &who, challenge);
		let answer_by = due.last(FullBlocks::<T>::get());
		Self::deposit_event(Event::Demanded { job, claim, challenger: who, demand, answer_by });
		Ok(())
	}

	/// Checks everything about an opening. Returns the dispute, the answered demand's length and clock, and the root over the partial
	/// states if it was a demand for those.
	pub(crate) fn check_opening(
		job: JobId,
		claim: &ClaimHash,
		demand: &[u8],
		opening: &[u8],
		has_signature: bool,
		signed: impl FnOnce(&DisputeOf<T>) -> bool,
	) -> Result<(DisputeOf<T>, u32, ClockOf<T>, Option<H256>), Error<T>> {
		let (dispute, trace_root) = Self::published(job, claim)?;
		let (bytes, clock) = match Self::node(claim, &payload::node_id(demand)) {
			Some(Node::Outstanding { bytes, clock, .. }) => (bytes, clock),
			Some(Node::Opened { .. }) => return Err(Error::<T>::AlreadyOpen),
			None => return Err(Error::<T>::NotDemanded),
		};
		ensure!(!Self::is_over(&clock), Error::<T>::TooLate);
		// One way to send an answer: a needless signature would make another transaction of the same answer.
		ensure!(T::Judge::needs_signature(demand) == has_signature, Error::<T>::BadSignature);
		ensure!(signed(&dispute), Error::<T>::BadSignature);
		let states = T::Judge::open(&dispute.model, &trace_root, demand, opening).map_err(|fault| {
			log::debug!(target: "assay::disputes", "opening of {claim:?} refused: {fault}");
			Error::<T>::OpeningRefused
		})?;
		Ok((dispute, bytes, clock, states))
	}

	pub(crate) fn accept_opening(
		claim: ClaimHash,
		mut dispute: DisputeOf<T>,
		demand: Demand<T>,
		bytes: u32,
		states_root: Option<H256>,
	) {
		let node = payload::node_id(&demand);
		let opened = Node::Opened { at: Self::now(), full: FullBlocks::<T>::get(), states_root };
		Nodes::<T>::insert(claim, node, opened);
		Self::pay_off(&mut dispute, bytes);
		let job = dispute.job;
		Disputes::<T>::insert(claim, dispute);
		Self::deposit_event(Event::Opened { job, claim, demand });
	}

	/// Judges a proof.
	pub(crate) fn check_proof(
		who: &T::AccountId,
		job: JobId,
		claim: &ClaimHash,
		states: Option<&[u8]>,
		proof: &[u8],
	) -> Result<(DisputeOf<T>, Verdict), Error<T>> {
		let (dispute, trace_root) = Self::published(job, claim)?;
		Self::live_challenge(claim, &dispute, who)?;
		let states = match states {
			None => None,
			Some(demand) => match Self::node(claim, &payload::node_id(demand)) {
				Some(Node::Opened { states_root: Some(root), .. }) => Some((demand, root)),
				_ => return Err(Error::<T>::StatesNotOpen),
			},
		};
		let verdict = T::Judge::judge(&dispute.model, &trace_root, states, proof).map_err(|fault| {
			log::debug!(target: "assay::disputes", "proof against {claim:?} refused: {fault}");
			Error::<T>::ProofRefused
		})?;
		Ok((dispute, verdict))
	}

	pub(crate) fn node(claim: &ClaimHash, node: &NodeId) -> Option<NodeOf<T>> {
		Nodes::<T>::get(claim, node)
	}

	/// Whether `signature` over `payload` is by the service key of `worker`.
	pub(crate) fn signed_by(worker: &T::AccountId, payload: &H256, signature: &ServiceSignature) -> bool {
		T::Claims::service_key(worker).is_some_and(|key| key.verify(&payload.0, signature))
	}

	/// The blocks left on a clock, for a transaction's longevity.
	pub(crate) fn blocks_left(clock: &ClockOf<T>) -> u64 {
		clock.last(FullBlocks::<T>::get()).saturating_sub(Self::now()).saturated_into::<u64>().max(1)
	}
}
