//! # Disputes
//!
//! Proves wrong answers wrong. A dispute is a fraud proof against the worker's own words: it publishes the trace of its computation,
//! opens what it is asked for, and one element that is wrong convicts it. Any number of challengers play side by side.
//!
//! ## Terminology
//!
//! - **Claim**: a worker's committed answer to one job; its hash stands in every message.
//! - **Trace**: the Merkle tree over all values of one inference. Its root is published only when the claim is challenged.
//! - **Demand**: a challenger's question about a node of the trace. **Opening**: the worker's answer. A node is opened once, for all.
//! - **Proof**: the inputs of one element, opened against the worker's own trace, showing that the element is wrong.
//! - **Judge**: the code that checks all of these; see [`traits::Judge`].
//! - **Seal**: a hash that hides which claim its owner is going to challenge.
//! - **Move**: what a challenger does next, a demand or a proof. **Clock**: the time for a publication, an answer or a move. Blocks in
//!   which the largest dispute message had no room do not count, until the clock has run twice its length.
//!
//! ## Scenarios
//!
//! *A wrong answer.* Dave's watchtower recomputes Charlie's answer and gets another. It seals a challenge, reveals it a block later,
//! and puts a bond on hold. Charlie's node publishes its trace. Dave demands the values, then the tiles of the first value that
//! differs, then one tile, and proves one of its elements wrong. Charlie's bond for the job is slashed: a share goes to Dave, a share
//! to the requester, the rest is burned. Dave's bond and what his demands cost come back by themselves.
//!
//! *A silent worker.* Charlie does not publish, or does not open a node in time. It is convicted as by a proof.
//!
//! *A groundless challenge.* Mallory challenges a right answer. Charlie's node answers whatever she asks. Her time to prove something
//! runs out: what her demands cost is burned, her bond goes partly to Charlie and partly up in smoke, and the claim settles.
//!
//! *Two watchtowers.* Dave and Erin both found it. One proves, both get their bonds and fees back. The share goes to whoever sealed
//! first, so that nobody gains from copying challenges or proofs out of the transaction pool.
//!
//! ## Why it is built this way
//!
//! - **Places in the queue are taken by seals**, or by the challenge itself if there was no seal, whichever comes first on the chain. A
//!   seal that is never revealed costs its deposit; else one could seal every claim, wait for others to find the wrong ones, and be
//!   first. If the claim is convicted before a seal on it is revealed, `unseal` gives the deposit back.
//! - **Demand fees are on hold until the end.** A lost challenge burns them. A conviction gives them back, all together at most what
//!   it burned of the worker's bond: an honest challenger loses nothing even if another one wins, and a worker that plays
//!   against itself to fill blocks for free burns at least the price of what it filled.
//! - **A worker can challenge itself first** and win its own share back. Only the burned share deters; that it does is a matter
//!   of the size of the bond, which inference sees to.
//! - **Asking is dearer the more is asked.** The price of a byte doubles with every `PriceStep` bytes that the chain's workers owe. So
//!   nobody can make honest workers owe more than blocks have room for, and whoever would price a challenger out pays many times what
//!   that one would have to.
//! - **No dispute is cut off.** Each clock at most doubles, so a challenge ends within [`Pallet::longest_challenge`] without a rule that
//!   would take time from whoever has the move then.
//! - **Nothing that was opened is stored.** Blocks are the data; later messages carry paths. What is stored is deleted at the end, in
//!   bounded steps.
//! - **A message that is malformed, early, late, duplicate or unauthorised changes nothing.**
//!
//! ## Invariants
//!
//! - What is on hold on an account is the sum of its seals' deposits, of its challenges' bonds, and of its challenges' demand fees.
//! - A claim is held from settling exactly while its dispute has a live challenge and is undecided.
//! - Whatever has to end has a task on the agenda: seals, publications, answers, challenges, disputes.
//! - The counters of a dispute, and the chain's outstanding bytes, agree with challenges and nodes.
//! - The queue of a claim and its challenges list each other.
//! - Challenges and nodes belong to a dispute.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub use pallet::*;

mod agenda;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod ending;
mod game;
#[cfg(test)]
mod mock;
mod offchain;
pub mod payload;
#[cfg(test)]
mod tests;
pub mod traits;
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
mod types;
pub mod weights;

pub use types::*;
pub use weights::WeightInfo;

/// Bonds and markers that one task cleans up.
pub const CLEAN_UP: u32 = 16;
/// The most entries that a view function lists.
pub const VIEW_LIMIT: usize = 256;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::{
		game::Turn,
		traits::{Claims, Convicted, Judge, Verdict},
		types::Task,
	};
	use alloc::vec::Vec;
	use assay_primitives::{
		pool::{REFUSED_OPENING, REFUSED_PUBLICATION},
		ClaimHash, JobId, ServiceSignature,
	};
	use frame_support::{
		dispatch::DispatchClass,
		pallet_prelude::*,
		traits::fungible::{Balanced, MutateHold},
		weights::Weight,
	};
	use frame_system::{
		offchain::CreateAuthorizedTransaction,
		pallet_prelude::{BlockNumberFor, *},
	};
	use sp_core::H256;
	use sp_runtime::{
		traits::{One, SaturatedConversion, Saturating, Zero},
		Permill,
	};

	#[pallet::config]
	pub trait Config:
		CreateAuthorizedTransaction<Call<Self>> + frame_system::Config<RuntimeEvent: From<Event<Self>>>
	{
		/// The currency of bonds.
		type Currency: MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason, Balance: Into<u128> + TryFrom<u128>>
			+ Balanced<Self::AccountId>;
		/// The overarching hold reason.
		type RuntimeHoldReason: From<HoldReason>;
		/// The claims that can be disputed.
		type Claims: Claims<Self::AccountId, BalanceOf<Self>, BlockNumberFor<Self>>;
		/// The rules of the game.
		type Judge: Judge;
		/// Measured weights.
		type WeightInfo: WeightInfo;

		/// R_p: the least time to publish a trace, in blocks. Longer where traces take long.
		#[pallet::constant]
		type PublishBlocks: Get<BlockNumberFor<Self>>;
		/// R_w: the least time to answer a demand, in blocks.
		#[pallet::constant]
		type AnswerBlocks: Get<BlockNumberFor<Self>>;
		/// R_c: the least time for a challenger's move, in blocks.
		#[pallet::constant]
		type MoveBlocks: Get<BlockNumberFor<Self>>;
		/// R_prove: the least time for the proof, once no demand is left, in blocks.
		#[pallet::constant]
		type ProveBlocks: Get<BlockNumberFor<Self>>;
		/// D: the demands that one challenge may make.
		#[pallet::constant]
		type MaxOpenings: Get<u32>;
		/// The blocks within which a seal must be revealed.
		#[pallet::constant]
		type RevealBlocks: Get<BlockNumberFor<Self>>;
		/// F: the blocks that finality may take; every clock is longer.
		#[pallet::constant]
		type Finality: Get<BlockNumberFor<Self>>;
		/// The most blocks for building a trace that count, whatever a model declares.
		#[pallet::constant]
		type MaxTraceBlocks: Get<u32>;
		/// How many traces a worker can build in its time, beside finality.
		#[pallet::constant]
		type WorkerTraces: Get<u32>;
		/// How many traces a challenger can build in its time, beside finality.
		#[pallet::constant]
		type ChallengerTraces: Get<u32>;
		/// b: the bond of a challenge, without what the length of the trace adds.
		#[pallet::constant]
		type ChallengeBond: Get<BalanceOf<Self>>;
		/// What each block for building the trace adds to the bond of a challenge.
		#[pallet::constant]
		type TraceBlockBond: Get<BalanceOf<Self>>;
		/// delta: the share of a lost challenge's bond that is burned. The rest goes to the worker.
		#[pallet::constant]
		type BurnedOfBond: Get<Permill>;
		/// The deposit of a seal.
		#[pallet::constant]
		type SealDeposit: Get<BalanceOf<Self>>;
		/// The share of a job's bond that a challenge puts on hold besides, for the delay.
		#[pallet::constant]
		type DelayShare: Get<Permill>;
		/// What a demand puts on hold for each byte of the answer when no worker owes anything.
		#[pallet::constant]
		type DemandFeePerByte: Get<BalanceOf<Self>>;
		/// The bytes owed by which the price of a byte doubles.
		#[pallet::constant]
		type PriceStep: Get<u32>;
		/// The longest encoded publication, opening, proof or evidence, in bytes.
		#[pallet::constant]
		type MaxMessage: Get<u32>;
		/// The longest encoded demand, in bytes.
		#[pallet::constant]
		type MaxDemand: Get<u32>;
		/// The most weight per block that goes into the agenda.
		#[pallet::constant]
		type AgendaWeight: Get<Weight>;

		/// More than anybody has for one answer, so that what is dearer is not for sale. For checks only.
		#[pallet::constant]
		type Scarce: Get<BalanceOf<Self>>;
		/// B_min: the smallest bond of a job. For checks only.
		#[pallet::constant]
		type MinJobBond: Get<BalanceOf<Self>>;
		/// beta: the share of a convicted worker's bond that is burned. For checks only.
		#[pallet::constant]
		type BurnedShare: Get<Permill>;
		/// rho: the share of a convicted worker's bond that goes to the requester. For checks only.
		#[pallet::constant]
		type RequesterShare: Get<Permill>;
		/// kappa: the share of a convicted worker's bond that goes to the winner. For checks only.
		#[pallet::constant]
		type ChallengerShare: Get<Permill>;
	}

	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// Why funds are on hold.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// The deposit of a seal.
		#[codec(index = 0)]
		Seal,
		/// The bond of a challenge.
		#[codec(index = 1)]
		Challenge,
		/// The fees of a challenge's demands.
		#[codec(index = 2)]
		Demand,
	}

	/// Seals that are neither revealed nor lapsed. By account, so that nobody can take another's hash.
	#[pallet::storage]
	pub type Seals<T: Config> = StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, H256, SealOf<T>>;

	/// The number of the next seal, or challenge without one.
	#[pallet::storage]
	pub type NextNumber<T: Config> = StorageValue<_, u64, ValueQuery>;

	/// Disputes, until everything about them is cleaned up.
	#[pallet::storage]
	pub type Disputes<T: Config> = StorageMap<_, Identity, ClaimHash, DisputeOf<T>>;

	/// The challenges of a claim that are not lost.
	#[pallet::storage]
	pub type Challenges<T: Config> =
		StorageDoubleMap<_, Identity, ClaimHash, Blake2_128Concat, T::AccountId, ChallengeOf<T>>;

	/// The challengers of a claim in the order of their numbers. The hasher keeps the order: the first entry wins.
	#[pallet::storage]
	pub type Queue<T: Config> = StorageDoubleMap<_, Identity, ClaimHash, Identity, Place, T::AccountId>;

	/// The nodes of a trace that were demanded.
	#[pallet::storage]
	pub type Nodes<T: Config> = StorageDoubleMap<_, Identity, ClaimHash, Identity, NodeId, NodeOf<T>>;

	/// The answer bytes that all workers together owe.
	#[pallet::storage]
	pub type Outstanding<T: Config> = StorageValue<_, u32, ValueQuery>;

	/// The number of past blocks in which the largest dispute message had no room.
	#[pallet::storage]
	pub type FullBlocks<T: Config> = StorageValue<_, u32, ValueQuery>;

	/// Tasks by block and position.
	#[pallet::storage]
	pub type Agenda<T: Config> =
		StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Twox64Concat, u32, Task<T::AccountId>>;

	/// The number of tasks that were ever put on a block's agenda.
	#[pallet::storage]
	pub type AgendaLength<T: Config> = StorageMap<_, Twox64Concat, BlockNumberFor<T>, u32, ValueQuery>;

	/// The block and the position of the next task.
	#[pallet::storage]
	pub type AgendaCursor<T: Config> = StorageValue<_, (BlockNumberFor<T>, u32), ValueQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// Somebody is going to challenge some claim.
		Sealed {
			/// Who.
			challenger: T::AccountId,
			/// Hides which claim.
			hash: H256,
			/// The place in the queue that it takes.
			number: u64,
		},
		/// A seal was given back, its claim having been convicted before it was revealed.
		Unsealed {
			/// Whose it was.
			challenger: T::AccountId,
			/// The seal.
			hash: H256,
		},
		/// A seal was not revealed in time.
		SealLapsed {
			/// Whose it was.
			challenger: T::AccountId,
			/// The seal.
			hash: H256,
			/// Its deposit.
			burned: BalanceOf<T>,
		},
		/// A claim was challenged. It does not settle until the challenge is over.
		Challenged {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// Who challenges.
			challenger: T::AccountId,
			/// Its place in the queue for the challenger's share.
			number: u64,
			/// What it has on hold.
			bond: BalanceOf<T>,
		},
		/// A worker published its trace.
		Published {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// Commits to all values of the trace.
			trace_root: H256,
		},
		/// A challenger asks for a node of the trace.
		Demanded {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// Who asks.
			challenger: T::AccountId,
			/// What for.
			demand: Demand<T>,
			/// The last block for the answer, unless blocks fill up.
			answer_by: BlockNumberFor<T>,
		},
		/// A node of the trace was opened, for all challengers.
		Opened {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// What was asked for.
			demand: Demand<T>,
		},
		/// A worker was convicted.
		Convicted {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// Who made it.
			worker: T::AccountId,
			/// What it is convicted of.
			grounds: Grounds,
			/// Who gets the challenger's share.
			winner: Option<T::AccountId>,
			/// Where the worker's bond went.
			outcome: Convicted<BalanceOf<T>>,
		},
		/// A challenger did not prove anything in time.
		ChallengeLost {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// Who challenged.
			challenger: T::AccountId,
			/// What was burned of bond and demand fees.
			burned: BalanceOf<T>,
			/// What the worker got for its trouble.
			to_worker: BalanceOf<T>,
		},
		/// No challenge of a claim is left. It settles when its window ends.
		Defended {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
		},
		/// A challenger got back what it had on hold for a claim that was convicted.
		BondReturned {
			/// The job.
			job: JobId,
			/// The claim.
			claim: ClaimHash,
			/// Who challenged.
			challenger: T::AccountId,
			/// The bond.
			bond: BalanceOf<T>,
			/// Demand fees.
			fees: BalanceOf<T>,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// The job has no claim that is open to challenge. It may not be answered yet, or have settled.
		ClaimNotOpen,
		/// The claim is not the one of this job. Take both from the `Committed` event of a finalised block.
		ClaimMismatch,
		/// Nobody has challenged this claim, or all about it is forgotten.
		NotDisputed,
		/// The window is over; the claim can no longer be challenged.
		WindowOver,
		/// A worker cannot challenge its own claim.
		OwnClaim,
		/// This account has a live challenge of this claim.
		AlreadyChallenged,
		/// This account has made this very seal. Use another salt.
		AlreadySealed,
		/// This account has no such seal. It may have lapsed; challenge without one.
		SealNotFound,
		/// A seal can be revealed from the next block on.
		SealTooFresh,
		/// The seal was not revealed in time.
		SealExpired,
		/// The dispute is decided, or no challenge is left.
		DisputeOver,
		/// The worker has published its trace.
		AlreadyPublished,
		/// The worker has not published its trace yet.
		NotPublished,
		/// This account has no live challenge of this claim.
		NotChallenger,
		/// It is the worker's move.
		NotYourMove,
		/// The time for this message is over.
		TooLate,
		/// The challenge has made all its demands; only a proof is left.
		NoDemandsLeft,
		/// The node was opened before: read it from the block of the `Opened` event.
		AlreadyOpen,
		/// The judge refuses the demand: there is no such node, or the evidence does not show it.
		DemandRefused,
		/// The price of an answer is above `max_fee`: workers owe much. Offer more, or ask again in a later block.
		FeeTooHigh,
		/// Nobody asked for this.
		NotDemanded,
		/// The signature is missing, needless, or not by the worker's service key.
		BadSignature,
		/// The judge refuses the publication.
		PublicationRefused,
		/// The judge refuses the opening.
		OpeningRefused,
		/// The judge refuses the proof: it is malformed, or the element is right.
		ProofRefused,
		/// The states that the proof is about were not opened.
		StatesNotOpen,
		/// Nobody's time is over.
		NothingDue,
		/// The worker was not convicted.
		NotConvicted,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_initialize(now: BlockNumberFor<T>) -> Weight {
			Self::service_agenda(now, T::AgendaWeight::get()).saturating_add(T::WeightInfo::on_block())
		}

		fn on_finalize(_: BlockNumberFor<T>) {
			if !Self::has_room() {
				FullBlocks::<T>::mutate(|full| *full = full.saturating_add(1));
			}
		}

		fn offchain_worker(now: BlockNumberFor<T>) {
			Self::run_offchain(now);
		}

		fn integrity_test() {
			Self::check_constants();
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Announces a challenge without telling of which claim.
		///
		/// Anyone may call. `hash` is [`payload::seal_hash`] of claim, caller and a random salt. A deposit is put on hold; it comes
		/// back when the challenge is made, which must be at least one block and at most `RevealBlocks` blocks later, and is
		/// burned otherwise. The seal takes the next place in the queue for the challenger's share.
		#[pallet::call_index(0)]
		#[pallet::weight((T::WeightInfo::seal(), DispatchClass::Operational))]
		pub fn seal(origin: OriginFor<T>, hash: H256) -> DispatchResult {
			let who = ensure_signed(origin)?;
			ensure!(!Seals::<T>::contains_key(&who, hash), Error::<T>::AlreadySealed);
			let deposit = T::SealDeposit::get();
			T::Currency::hold(&HoldReason::Seal.into(), &who, deposit)?;
			let now = Self::now();
			let number = Self::next_number();
			Seals::<T>::insert(&who, hash, Seal { at: now, number, deposit });
			let lapses = now.saturating_add(T::RevealBlocks::get()).saturating_add(One::one());
			Self::schedule(lapses, Task::Lapse(who.clone(), hash));
			Self::deposit_event(Event::Sealed { challenger: who, hash, number });
			Ok(())
		}

		/// Challenges a claim whose window is open.
		///
		/// Anyone but its worker may call, once per claim. A bond is put on hold: it comes back, and the demand fees with it, if the
		/// worker is convicted by anyone, and is lost if the caller does not move in time. With the `salt` of a seal, the challenge
		/// takes the seal's place in the queue; without one, the next. The first challenge keeps the claim from settling, and puts the
		/// price of the publication on hold like a demand's, at most `max_fee`; see the view function `fee_for`.
		#[pallet::call_index(1)]
		#[pallet::weight((T::WeightInfo::challenge(), DispatchClass::Operational))]
		pub fn challenge(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			salt: Option<[u8; 32]>,
			#[pallet::compact] max_fee: BalanceOf<T>,
		) -> DispatchResult {
			Self::do_challenge(ensure_signed(origin)?, job, claim, salt, max_fee)
		}

		/// Publishes the trace of a challenged claim.
		///
		/// Sent by the worker's node and signed by its service key over [`payload::publish_payload`]; free, and once per claim. From
		/// here on the challengers have the move.
		#[pallet::call_index(2)]
		#[pallet::weight((T::WeightInfo::publish(message_len(publication)), DispatchClass::Operational))]
		#[pallet::weight_of_authorize(T::WeightInfo::authorize_publish(message_len(publication)))]
		#[pallet::authorize(|_source, job, claim, publication, signature| {
			Self::authorize_publish(*job, claim, publication, signature).map(|valid| (valid, Weight::zero()))
		})]
		pub fn publish(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			publication: Message<T>,
			_signature: ServiceSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			let (dispute, _, trace_root) = Self::check_publication(job, &claim, &publication, |_| true)?;
			Self::accept_publication(job, claim, dispute, trace_root);
			Ok(())
		}

		/// Asks the worker for a node of its trace.
		///
		/// A challenger may call that has the move. `evidence` shows that there is such a node, and how long the answer is; a fee for
		/// that length, at most `max_fee`, is put on hold with the bond. The more bytes the chain's workers owe, the dearer they are.
		/// Somebody else's unanswered demand for the same node is joined without a fee.
		#[pallet::call_index(3)]
		#[pallet::weight((T::WeightInfo::demand(message_len(evidence)), DispatchClass::Operational))]
		pub fn demand(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			demand: Demand<T>,
			evidence: Message<T>,
			#[pallet::compact] max_fee: BalanceOf<T>,
		) -> DispatchResult {
			Self::do_demand(ensure_signed(origin)?, job, claim, demand, &evidence, max_fee)
		}

		/// Answers a demand.
		///
		/// Anyone may send it, free, as the answer proves itself against the trace. Only where it is the worker's word, a signature
		/// by its service key over [`payload::open_payload`] is needed. All who waited for it have the move again.
		#[pallet::call_index(4)]
		#[pallet::weight((T::WeightInfo::open(message_len(opening)), DispatchClass::Operational))]
		#[pallet::weight_of_authorize(T::WeightInfo::authorize_open(message_len(opening)))]
		#[pallet::authorize(|_source, job, claim, demand, opening, signature| {
			Self::authorize_open(*job, claim, demand, opening, signature).map(|valid| (valid, Weight::zero()))
		})]
		pub fn open(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			demand: Demand<T>,
			opening: Message<T>,
			signature: Option<ServiceSignature>,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			let (dispute, bytes, _, states) =
				Self::check_opening(job, &claim, &demand, &opening, signature.is_some(), |_| true)?;
			Self::accept_opening(claim, dispute, demand, bytes, states);
			Ok(())
		}

		/// Proves that the trace is wrong, or that the model is invalid.
		///
		/// Any challenger of the claim may call whose own time is not over, at any time after the publication. `states` is the demand
		/// whose opening holds the partial states that the proof is about, if it is about any. A valid proof convicts the worker;
		/// the share goes to the first in the queue, and everybody's bonds come back.
		#[pallet::call_index(5)]
		#[pallet::weight((
			T::WeightInfo::prove(message_len(proof)).saturating_add(T::Judge::step_weight(proof)),
			DispatchClass::Operational,
		))]
		pub fn prove(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			states: Option<Demand<T>>,
			proof: Message<T>,
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let states = states.as_ref().map(|demand| demand.as_slice());
			let (dispute, verdict) = Self::check_proof(&who, job, &claim, states, &proof)?;
			Self::convict(claim, dispute, Grounds::Proof(verdict));
			Ok(())
		}

		/// Ends what is over. The chain does so by itself; this helps when it is busy.
		///
		/// Anyone may call. Without `challenger`: the worker's time to publish. With: that challenger's time to move, or the worker's
		/// to answer what that challenger waits for.
		#[pallet::call_index(6)]
		#[pallet::weight((T::WeightInfo::timeout(), DispatchClass::Operational))]
		pub fn timeout(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			challenger: Option<T::AccountId>,
		) -> DispatchResult {
			ensure_signed(origin)?;
			Self::time_out(job, claim, challenger)
		}

		/// Takes bond and demand fees back after a conviction. The chain does so by itself; this helps when it is busy.
		///
		/// A challenger of the convicted claim may call.
		#[pallet::call_index(7)]
		#[pallet::weight(T::WeightInfo::withdraw())]
		pub fn withdraw(origin: OriginFor<T>, #[pallet::compact] job: JobId, claim: ClaimHash) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let dispute = Self::convicted(job, &claim)?;
			let challenge = Challenges::<T>::get(claim, &who).ok_or(Error::<T>::NotChallenger)?;
			Self::return_bond(claim, &dispute, who, challenge);
			Ok(())
		}

		/// Takes back a seal on a claim that was convicted before it was revealed.
		///
		/// The owner of the seal may call, as long as it could have been revealed.
		#[pallet::call_index(8)]
		#[pallet::weight(T::WeightInfo::unseal())]
		pub fn unseal(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			claim: ClaimHash,
			salt: [u8; 32],
		) -> DispatchResult {
			let who = ensure_signed(origin)?;
			Self::convicted(job, &claim)?;
			let hash = payload::seal_hash(&claim, &who, &salt);
			let seal = Seals::<T>::get(&who, hash).ok_or(Error::<T>::SealNotFound)?;
			Seals::<T>::remove(&who, hash);
			Self::give_back(&HoldReason::Seal, &who, seal.deposit);
			Self::deposit_event(Event::Unsealed { challenger: who, hash });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// The dispute about a job's open claim.
		pub fn dispute(job: JobId) -> Option<DisputeInfo<T::AccountId, BalanceOf<T>, BlockNumberFor<T>>> {
			Self::dispute_of(T::Claims::open_claim(job)?.claim)
		}

		/// The dispute about a claim, open or recently convicted.
		pub fn dispute_of(claim: ClaimHash) -> Option<DisputeInfo<T::AccountId, BalanceOf<T>, BlockNumberFor<T>>> {
			let dispute = Disputes::<T>::get(claim)?;
			Some(DisputeInfo { claim, dispute, first: Queue::<T>::iter_prefix_values(claim).next() })
		}

		/// The challenges of a job's open claim, first in the queue first, at most [`VIEW_LIMIT`].
		pub fn challenges(job: JobId) -> Vec<ChallengeInfo<T::AccountId, BalanceOf<T>, BlockNumberFor<T>>> {
			let Some(DisputeInfo { claim, dispute, .. }) = Self::dispute(job) else { return Vec::new() };
			let full = FullBlocks::<T>::get();
			let challengers = Queue::<T>::iter_prefix_values(claim).take(VIEW_LIMIT);
			let info = challengers.filter_map(|challenger| {
				let challenge = Challenges::<T>::get(claim, &challenger)?;
				let (to_move, clock) = match Self::turn(&claim, &dispute, &challenge) {
					Turn::Worker(clock) => (false, clock),
					Turn::Challenger(clock) => (true, clock),
				};
				Some(ChallengeInfo { challenger, challenge, to_move, move_by: clock.last(full) })
			});
			info.collect()
		}

		/// The demands that the worker of a job's open claim must answer, at most [`VIEW_LIMIT`].
		pub fn demands(job: JobId) -> Vec<DemandInfo<BlockNumberFor<T>, Demand<T>>> {
			let Some(DisputeInfo { claim, .. }) = Self::dispute(job) else { return Vec::new() };
			let full = FullBlocks::<T>::get();
			let open = Nodes::<T>::iter_prefix_values(claim).filter_map(|node| match node {
				Node::Outstanding { demand, bytes, clock } => {
					Some(DemandInfo { demand, bytes, answer_by: clock.last(full) })
				}
				Node::Opened { .. } => None,
			});
			open.take(VIEW_LIMIT).collect()
		}

		/// The next block in which somebody's time in the dispute about a job's open claim ends, as far as known.
		pub fn next_deadline(job: JobId) -> Option<BlockNumberFor<T>> {
			Self::challenges(job).into_iter().map(|challenge| challenge.move_by).min()
		}

		/// What the judge says to a proof, before it is sent: the verdict, or what is wrong with the proof in words. `states` is the
		/// demand for partial states that the proof is about, with the root over those.
		pub fn judge(
			model: assay_primitives::ModelId,
			trace_root: H256,
			states: Option<(Vec<u8>, H256)>,
			proof: Vec<u8>,
		) -> Result<Verdict, Vec<u8>> {
			let states = states.as_ref().map(|(demand, root)| (demand.as_slice(), *root));
			T::Judge::judge(&model, &trace_root, states, &proof).map_err(|fault| fault.as_bytes().to_vec())
		}

		/// What a challenge of a job's open claim puts on hold.
		pub fn bond_for(job: JobId) -> Option<BalanceOf<T>> {
			let info = T::Claims::open_claim(job)?;
			Some(Self::challenge_bond(info.trace_blocks, info.bond))
		}

		/// What the first challenge of a job's open claim puts on hold besides, for the publication, at the price of now.
		pub fn fee_for(job: JobId) -> Option<BalanceOf<T>> {
			Some(Self::demand_fee(T::Claims::open_claim(job)?.publication_bytes))
		}
	}

	impl<T: Config> Pallet<T> {
		/// A dispute that ended with a conviction.
		fn convicted(job: JobId, claim: &ClaimHash) -> Result<DisputeOf<T>, Error<T>> {
			let dispute = Disputes::<T>::get(claim).ok_or(Error::<T>::NotDisputed)?;
			ensure!(dispute.job == job, Error::<T>::ClaimMismatch);
			ensure!(matches!(dispute.phase, Phase::Convicted { .. }), Error::<T>::NotConvicted);
			Ok(dispute)
		}

		/// Everything that dispatch would check, the dearest last: a signature costs less than the judge, so that strangers' traces
		/// are refused cheaply.
		pub(crate) fn authorize_publish(
			job: JobId,
			claim: &ClaimHash,
			publication: &Message<T>,
			signature: &ServiceSignature,
		) -> TransactionValidity {
			let signed = |dispute: &DisputeOf<T>| {
				Self::signed_by(&dispute.worker, &payload::publish_payload(claim, publication), signature)
			};
			let (_, clock, _) = Self::check_publication(job, claim, publication, signed).map_err(refusal)?;
			Self::valid("AssayPublication", claim, H256::zero(), &clock)
		}

		/// See [`Self::authorize_publish`].
		pub(crate) fn authorize_open(
			job: JobId,
			claim: &ClaimHash,
			demand: &Demand<T>,
			opening: &Message<T>,
			signature: &Option<ServiceSignature>,
		) -> TransactionValidity {
			let signed = |dispute: &DisputeOf<T>| {
				signature.as_ref().is_none_or(|signature| {
					Self::signed_by(&dispute.worker, &payload::open_payload(claim, demand, opening), signature)
				})
			};
			let (_, _, clock, _) =
				Self::check_opening(job, claim, demand, opening, signature.is_some(), signed).map_err(refusal)?;
			Self::valid("AssayOpening", claim, payload::node_id(demand), &clock)
		}

		/// One publication per claim and one opening per node in the pool, ahead of whatever anybody tips, gone when too late.
		fn valid(tag: &'static str, claim: &ClaimHash, node: NodeId, clock: &ClockOf<T>) -> TransactionValidity {
			ValidTransaction::with_tag_prefix(tag)
				.priority(TransactionPriority::MAX)
				.and_provides((claim, node))
				.longevity(Self::blocks_left(clock))
				.propagate(true)
				.build()
		}

		/// The relations between the constants that the game's soundness rests on.
		fn check_constants() {
			let (n, weights) = (T::MaxMessage::get(), T::BlockWeights::get());
			// Shares.
			let shares = [T::BurnedShare::get(), T::RequesterShare::get(), T::ChallengerShare::get()];
			let sum = shares.iter().fold(0u32, |sum, share| sum.saturating_add(share.deconstruct()));
			assert_eq!(sum, 1_000_000, "the shares of a slashed bond add up to the bond");
			assert!(!T::BurnedShare::get().is_zero(), "the burned share is what deters");
			assert!(T::RequesterShare::get() <= T::BurnedShare::get(), "a requester gets no more than it can lose");
			assert!(!T::BurnedOfBond::get().is_zero() && T::BurnedOfBond::get() < Permill::one());
			let worker =
				T::ChallengeBond::get().saturating_sub(T::BurnedOfBond::get().mul_ceil(T::ChallengeBond::get()));
			assert!(!worker.is_zero(), "a worker is paid for a groundless challenge");
			assert!(!T::SealDeposit::get().is_zero(), "sealing every claim must not be free");
			assert!(!T::DemandFeePerByte::get().is_zero(), "answers are free to send, so asking must not be");
			let path = T::DemandFeePerByte::get().saturating_mul(n.into());
			let path = path.saturating_mul(T::MaxOpenings::get().saturating_add(1).into());
			let bond = T::MinJobBond::get();
			assert!(T::ChallengerShare::get().mul_floor(bond) > path, "the winner's share must pay for a full path");
			assert!(T::BurnedShare::get().mul_floor(bond) >= path, "a full path must be given back in full");
			// Clocks.
			let clocks = [
				T::PublishBlocks::get(),
				T::AnswerBlocks::get(),
				T::MoveBlocks::get(),
				T::ProveBlocks::get(),
				T::RevealBlocks::get(),
			];
			assert!(clocks.iter().all(|clock| *clock > T::Finality::get()), "every clock outlasts finality");
			assert!(T::WorkerTraces::get() >= 2, "a worker has time for its trace twice");
			assert!(T::ChallengerTraces::get() >= 2, "a challenger has time for its trace twice");
			assert!(T::MaxOpenings::get() >= 5, "the way to one state of one element takes five openings");
			// Room.
			let largest = Self::largest_weight();
			let class = weights.get(DispatchClass::Operational);
			let with_base = largest.saturating_add(class.base_extrinsic);
			assert!(class.reserved.is_none_or(|reserved| with_base.all_lte(reserved)), "a message fits the reserve");
			let proof = T::WeightInfo::prove(n).saturating_add(T::Judge::most_step_weight()).ref_time();
			assert!(proof <= weights.max_block.ref_time() / 20, "a proof takes at most a twentieth of a block");
			let length = T::BlockLength::get();
			let reserve =
				length.max.get(DispatchClass::Operational).saturating_sub(*length.max.get(DispatchClass::Normal));
			assert!(n.saturating_add(game::ENVELOPE) <= reserve, "the longest message fits the reserve");
			// The half of what the reserve takes in an answer's time; nobody must be able to make workers owe that.
			let blocks: u32 = T::AnswerBlocks::get().min(T::PublishBlocks::get()).saturated_into();
			let half = reserve.saturating_mul(blocks) / 2;
			let last = Self::fee_at(half.saturating_sub(n), n);
			assert!(last >= T::Scarce::get(), "the room for answers must be too dear to be bought up");
			assert!(n <= T::PriceStep::get(), "one answer alone must not raise its own price more than twice");
			let step = T::WeightInfo::service_agenda_step().saturating_mul(2);
			for task in [
				T::WeightInfo::lapse(),
				T::WeightInfo::timeout(),
				T::WeightInfo::end_window(),
				T::WeightInfo::clean_up(CLEAN_UP),
			] {
				assert!(step.saturating_add(task).all_lt(T::AgendaWeight::get()), "a task must fit into the agenda");
			}
		}
	}

	/// The length of a message, for weights.
	fn message_len<Max>(message: &BoundedVec<u8, Max>) -> u32 {
		u32::try_from(message.len()).unwrap_or(u32::MAX)
	}

	/// Why the pool refuses a message.
	fn refusal<T: Config>(error: Error<T>) -> TransactionValidityError {
		match error {
			Error::NotDisputed | Error::DisputeOver | Error::AlreadyPublished | Error::AlreadyOpen | Error::TooLate => {
				InvalidTransaction::Stale.into()
			}
			Error::NotPublished | Error::NotDemanded => InvalidTransaction::Future.into(),
			Error::BadSignature => InvalidTransaction::BadProof.into(),
			Error::PublicationRefused => InvalidTransaction::Custom(REFUSED_PUBLICATION).into(),
			Error::OpeningRefused => InvalidTransaction::Custom(REFUSED_OPENING).into(),
			_ => InvalidTransaction::Call.into(),
		}
	}
}
