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
	traits::{SaturatedConversion, Saturating, Zero},
	DispatchError, RuntimeAppPublic,
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
		Clock { start: Self::now(), length, full: FullBlocks::<T>::get(), deferred: 0 }
	}

	pub(crate) fn is_over(clock: &ClockOf<T>) -> bool {
		clock.is_over(Self::now(), FullBlocks::<T>::get())
	}

	/// The time for publishing a trace that takes `trace_blocks` to build.
	pub fn publish_blocks(trace_blocks: u32) -> BlockNumberFor<T> {
		let trace = trace_blocks.min(T::MaxTraceBlocks::get());
		let scaled = T::Finality::get().saturating_add(trace.saturating_mul(2).into());
		T::PublishBlocks::get().max(scaled)
	}

	/// The longest that one challenge can take, in blocks: every clock at twice its length.
	pub fn longest_challenge(trace_blocks: u32) -> BlockNumberFor<T> {
		let round = T::AnswerBlocks::get().saturating_add(T::MoveBlocks::get());
		let rounds = round.saturating_mul(T::MaxOpenings::get().into());
		let once = Self::publish_blocks(trace_blocks).saturating_add(rounds).saturating_add(T::ProveBlocks::get());
		once.saturating_mul(2u32.into())
	}

	/// What a challenge of a claim with the given `trace_blocks` puts on hold.
	pub fn challenge_bond(trace_blocks: u32) -> BalanceOf<T> {
		let trace = trace_blocks.min(T::MaxTraceBlocks::get());
		T::ChallengeBond::get().saturating_add(T::TraceBlockBond::get().saturating_mul(trace.into()))
	}

	/// What a demand for an answer of `bytes` bytes puts on hold.
	pub fn demand_fee(bytes: u32) -> BalanceOf<T> {
		T::DemandFeePerByte::get().saturating_mul(bytes.into())
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
		let prove = T::WeightInfo::prove(n);
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
		let length =
			if challenge.demands < T::MaxOpenings::get() { T::MoveBlocks::get() } else { T::ProveBlocks::get() };
		match (&challenge.stage, &dispute.phase) {
			(Stage::Move(clock), _) => Turn::Challenger(*clock),
			(Stage::Publication, Phase::Unpublished(clock)) => Turn::Worker(*clock),
			(Stage::Publication, Phase::Published { at, full, .. }) => {
				Turn::Challenger(Clock { start: *at, length, full: *full, deferred: 0 })
			}
			(Stage::Answer(node), _) => match Nodes::<T>::get(claim, node) {
				Some(Node::Outstanding { clock, .. }) => Turn::Worker(clock),
				Some(Node::Opened { at, full, .. }) => Turn::Challenger(Clock { start: at, length, full, deferred: 0 }),
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
		let bond = Self::challenge_bond(info.trace_blocks);
		T::Currency::hold(&HoldReason::Challenge.into(), &who, bond)?;
		let fresh = dispute.is_none();
		let mut dispute = dispute.unwrap_or_else(|| Self::new_dispute(job, &info));
		let stage = match dispute.phase {
			Phase::Published { .. } => Stage::Move(Self::clock(T::MoveBlocks::get())),
			_ => Stage::Publication,
		};
		if let (true, Phase::Unpublished(clock)) = (fresh, &dispute.phase) {
			Self::schedule(clock.over_at(FullBlocks::<T>::get()), Task::Publication(claim));
		}
		let first = dispute.live == 0;
		dispute.live = dispute.live.saturating_add(1);
		dispute.settles_at = info.settles_at;
		Disputes::<T>::insert(claim, dispute);
		let challenge = Challenge { number, started: now, bond, fees: Zero::zero(), demands: 0, stage };
		Challenges::<T>::insert(claim, &who, challenge);
		Queue::<T>::insert(claim, Self::place(number), &who);
		Self::schedule(now.saturating_add(Self::shortest_move()), Task::Move(claim, number));
		if first {
			T::Claims::hold(job);
		}
		Self::deposit_event(Event::Challenged { job, claim, challenger: who, number, bond });
		Ok(())
	}

	/// The least blocks from a move handed to a challenger to the first block in which its time can be over.
	pub(crate) fn shortest_move() -> BlockNumberFor<T> {
		T::MoveBlocks::get().min(T::ProveBlocks::get()).saturating_add(1u32.into())
	}

	fn new_dispute(job: JobId, info: &ClaimInfo<T::AccountId, BalanceOf<T>, BlockNumberFor<T>>) -> DisputeOf<T> {
		Dispute {
			job,
			model: info.model,
			input_root: info.input_root,
			output_root: info.output_root,
			worker: info.worker.clone(),
			settles_at: info.settles_at,
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
	) -> DispatchResult {
		let (mut dispute, _) = Self::published(job, &claim)?;
		let (mut challenge, turn) = Self::live_challenge(&claim, &dispute, &who)?;
		let Turn::Challenger(clock) = turn else { return Err(Error::<T>::NotYourMove.into()) };
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
				let outstanding = Outstanding::<T>::get().saturating_add(bytes);
				if outstanding > T::MaxOutstandingBytes::get() {
					return Self::defer(who, job, claim, challenge, clock);
				}
				let fee = Self::demand_fee(bytes);
				T::Currency::hold(&HoldReason::Demand.into(), &who, fee)?;
				challenge.fees = challenge.fees.saturating_add(fee);
				dispute.fees = dispute.fees.saturating_add(fee);
				dispute.outstanding = dispute.outstanding.saturating_add(bytes);
				Outstanding::<T>::put(outstanding);
				let clock = Self::clock(T::AnswerBlocks::get());
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

	/// The chain's workers owe as much as fits: the challenger gets more time instead of an answer.
	fn defer(
		who: T::AccountId,
		job: JobId,
		claim: ClaimHash,
		mut challenge: ChallengeOf<T>,
		clock: ClockOf<T>,
	) -> DispatchResult {
		let full = FullBlocks::<T>::get();
		let longer = Clock { deferred: clock.deferred.saturating_add(T::DeferBlocks::get()), ..clock };
		let move_by = longer.last(full);
		ensure!(move_by > clock.last(full), Error::<T>::TooMuchOutstanding);
		challenge.stage = Stage::Move(longer);
		Challenges::<T>::insert(claim, &who, challenge);
		Self::deposit_event(Event::DemandDeferred { job, claim, challenger: who, move_by });
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
		Outstanding::<T>::mutate(|all| *all = all.saturating_sub(bytes));
		dispute.outstanding = dispute.outstanding.saturating_sub(bytes);
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
