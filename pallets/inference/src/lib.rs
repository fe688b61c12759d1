//! # Inference
//!
//! Takes requests for inferences, gives each to a staked worker, holds the answer open to challenge for its window, and pays
//! for it.
//!
//! ## Terminology
//!
//! - **Job**: a request on its way to an answer: a model, an input, an escrowed fee, a deadline.
//! - **Bond**: the part of the worker's stake set aside for one job. The share of it that a slash would burn exceeds the fee and
//!   the coverage together, so that lying costs more than it can gain, even for a worker that is its own requester.
//! - **Coverage**: what the requester stands to lose by a wrong answer; it pays for it, per block.
//! - **Commitment**: the worker's answer, signed by its service key over the claim hash.
//! - **Window**: the blocks in which the commitment can be challenged. Then it settles, with no further extrinsic.
//! - **Heartbeat**: a worker's word that it and its engine are there, signed by its service key over the hash of a recent block.
//!
//! ## Scenarios
//!
//! *A plain job.* Bob requests an inference and escrows at most 1 OPG. Two blocks later the chain draws Charlie among the workers
//! that serve the model, by stake, and sets his bond aside. His node's off-chain worker asks the engine and commits the answer,
//! without paying a fee. Twenty blocks later nobody has objected: the fee is split, what Charlie does not
//! charge returns to Bob, the bond is free, and of the job only the result is left, for a day.
//!
//! *A silent worker.* Charlie's engine is down. Half way to the deadline he loses a little stake, which is burned, and the job is
//! drawn again without him. Nobody answers by the deadline: Bob gets everything back.
//!
//! *A second thought.* Bob cancels before the job is assigned, and gets everything back but the transaction fee and the base
//! charge.
//!
//! ## Invariants
//!
//! - What is on hold for fees on an account is the sum of its open jobs' escrows, and none is below its job's fee.
//! - What is set aside of a worker's stake is the sum of the bonds of its open jobs.
//! - Every open job is on the agenda, so it ends without anybody's help; unless something holds its settlement.
//! - A job in a worker's hands is listed under that worker, and nothing else is.
//! - Every open job has an input, and only open jobs have; an open job has a result exactly if it was answered.
//! - Every result of a job that is no longer open is on the agenda, so it is forgotten.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub use pallet::*;

mod agenda;
#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
mod claims;
mod heartbeat;
mod lifecycle;
#[cfg(test)]
mod mock;
mod offchain;
#[cfg(test)]
mod tests;
pub mod traits;
mod types;
pub mod weights;

pub use heartbeat::HEARTBEAT_FRESH;
pub use types::*;
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use crate::{
		traits::{Models, Rewards, Shares, Workers},
		types::Task,
	};
	use assay_primitives::{claim, pool::REFUSED_OUTPUT_SIZE, ClaimHash, JobId, ModelId, ServiceSignature};
	use frame_support::{
		pallet_prelude::*,
		traits::{
			fungible::{Balanced, Credit, MutateHold},
			tokens::{Fortitude::Polite, Precision::Exact, Preservation::Preserve},
			OnUnbalanced, Randomness,
		},
		weights::{Weight, WeightToFee},
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
		/// The currency of fees.
		type Currency: MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason, Balance: Into<u128> + TryFrom<u128>>
			+ Balanced<Self::AccountId>;
		/// The overarching hold reason.
		type RuntimeHoldReason: From<HoldReason>;
		/// The registry of models.
		type Models: Models<Self::AccountId, BalanceOf<Self>>;
		/// The workers.
		type Workers: Workers<Self::AccountId, BalanceOf<Self>>;
		/// Where fees go.
		type Rewards: Rewards<Self::AccountId, BalanceOf<Self>, Self::RuntimeHoldReason>;
		/// Randomness for draws, fresh in every block. A draw only spreads load; nothing is unsound if it is biased.
		type Randomness: Randomness<Option<Self::Hash>, BlockNumberFor<Self>>;
		/// What a unit of weight in later blocks costs a requester.
		type WeightToFee: WeightToFee<Balance = BalanceOf<Self>>;
		/// What a byte in later blocks costs a requester.
		type LengthToFee: WeightToFee<Balance = BalanceOf<Self>>;
		/// Takes the base charge of requests.
		type OnCharge: OnUnbalanced<Credit<Self::AccountId, Self::Currency>>;
		/// Measured weights.
		type WeightInfo: WeightInfo;

		/// The longest inline input, in bytes.
		#[pallet::constant]
		type MaxInput: Get<u32>;
		/// The longest inline output, in bytes.
		#[pallet::constant]
		type MaxOutput: Get<u32>;
		/// The most workers that serve one model.
		#[pallet::constant]
		type MaxServers: Get<u32>;
		/// The blocks between a request and its first draw.
		#[pallet::constant]
		type DrawDelay: Get<BlockNumberFor<Self>>;
		/// The longest pause, in blocks, between two draws of a job for which nobody was free.
		#[pallet::constant]
		type MaxDrawPause: Get<u32>;
		/// The shortest time that a requester may give for an answer, in blocks.
		#[pallet::constant]
		type MinDeadline: Get<u32>;
		/// The longest time that a requester may give for an answer, in blocks.
		#[pallet::constant]
		type MaxDeadline: Get<u32>;
		/// The longest challenge window, in blocks.
		#[pallet::constant]
		type MaxWindow: Get<u32>;
		/// The blocks for which a settled result can be read.
		#[pallet::constant]
		type ResultLifetime: Get<BlockNumberFor<Self>>;
		/// The smallest bond of a job.
		#[pallet::constant]
		type MinBond: Get<BalanceOf<Self>>;
		/// The share of a slashed bond that is burned. A job's bond is so large that this share exceeds fee and coverage.
		#[pallet::constant]
		type BurnedShare: Get<Permill>;
		/// The share of a convicted worker's bond that goes to who proved it wrong.
		#[pallet::constant]
		type ChallengerShare: Get<Permill>;
		/// The share of it that goes to the requester at most, if the job goes to nobody else.
		#[pallet::constant]
		type RequesterShare: Get<Permill>;
		/// The smallest fee of a job.
		#[pallet::constant]
		type MinFee: Get<BalanceOf<Self>>;
		/// What a worker loses when it does not answer in time. Burned.
		#[pallet::constant]
		type LivenessPenalty: Get<BalanceOf<Self>>;
		/// What a request costs on top of the weight it causes. Not refundable.
		#[pallet::constant]
		type BaseCharge: Get<BalanceOf<Self>>;
		/// The most weight per block that goes into the agenda.
		#[pallet::constant]
		type AgendaWeight: Get<Weight>;
	}

	#[pallet::pallet]
	pub struct Pallet<T>(_);

	/// Why funds are on hold.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// The fee of an open job.
		#[codec(index = 0)]
		Fee,
	}

	/// The number of the next job.
	#[pallet::storage]
	#[pallet::whitelist_storage]
	pub type NextJobId<T: Config> = StorageValue<_, JobId, ValueQuery>;

	/// Open jobs.
	#[pallet::storage]
	pub type Jobs<T: Config> = StorageMap<_, Twox64Concat, JobId, JobOf<T>>;

	/// The inputs of open jobs.
	#[pallet::storage]
	pub type Inputs<T: Config> = StorageMap<_, Twox64Concat, JobId, Input<T::MaxInput>>;

	/// The jobs in each worker's hands; as many as its capacity allows.
	#[pallet::storage]
	pub type Assigned<T: Config> =
		StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Twox64Concat, JobId, (), OptionQuery>;

	/// The answers of open and of recently settled jobs.
	#[pallet::storage]
	pub type Results<T: Config> = StorageMap<_, Twox64Concat, JobId, JobResultOf<T>>;

	/// Tasks by block.
	#[pallet::storage]
	pub type Agenda<T: Config> =
		StorageDoubleMap<_, Twox64Concat, BlockNumberFor<T>, Twox64Concat, Task<BlockNumberFor<T>>, (), OptionQuery>;

	/// Up to where tasks are done.
	#[pallet::storage]
	#[pallet::whitelist_storage]
	pub type AgendaCursor<T: Config> = StorageValue<_, Cursor<BlockNumberFor<T>>, ValueQuery>;

	/// Up to where results are forgotten.
	#[pallet::storage]
	#[pallet::whitelist_storage]
	pub type PurgeCursor<T: Config> = StorageValue<_, Cursor<BlockNumberFor<T>>, ValueQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// An inference was requested, and its fee escrowed.
		Requested {
			/// The job.
			job: JobId,
			/// Who pays.
			requester: T::AccountId,
			/// The model to run.
			model: ModelId,
			/// The most the requester pays.
			max_fee: BalanceOf<T>,
			/// What the requester stands to lose by a wrong answer.
			coverage: BalanceOf<T>,
			/// The last block in which an answer counts.
			deadline: BlockNumberFor<T>,
			/// The worker that the requester named.
			worker: Option<T::AccountId>,
		},
		/// A job was given to a worker.
		Assigned {
			/// The job.
			job: JobId,
			/// Who has it now.
			worker: T::AccountId,
			/// What it charges.
			fee: BalanceOf<T>,
			/// The stake set aside for it.
			bond: BalanceOf<T>,
			/// The last block in which its answer counts.
			answer_by: BlockNumberFor<T>,
		},
		/// A worker gave a job back.
		Declined {
			/// The job.
			job: JobId,
			/// Who had it.
			worker: T::AccountId,
			/// Why.
			reason: DeclineReason,
		},
		/// A worker did not answer in time.
		Missed {
			/// The job.
			job: JobId,
			/// Who had it.
			worker: T::AccountId,
			/// The stake it lost.
			penalty: BalanceOf<T>,
		},
		/// A worker answered. The answer can be challenged until the window ends.
		Committed {
			/// The job.
			job: JobId,
			/// Who answered.
			worker: T::AccountId,
			/// What its service key signed.
			claim: ClaimHash,
			/// Commits to the output.
			output_root: H256,
			/// The block in which the answer settles if it stands.
			settles_at: BlockNumberFor<T>,
		},
		/// An answer stood, and was paid for.
		Settled {
			/// The job.
			job: JobId,
			/// Who answered.
			worker: T::AccountId,
			/// What the requester paid.
			fee: BalanceOf<T>,
			/// Where the fee went.
			shares: Shares<BalanceOf<T>>,
		},
		/// An answer was proven wrong, or not defended. It counts for nothing.
		Overturned {
			/// The job.
			job: JobId,
			/// Who answered.
			worker: T::AccountId,
			/// What its service key signed.
			claim: ClaimHash,
		},
		/// A worker said that it is there.
		Heartbeat {
			/// Who it is.
			worker: T::AccountId,
		},
		/// Nobody answered. The requester has its escrow back.
		Expired {
			/// The job.
			job: JobId,
			/// Who asked.
			requester: T::AccountId,
			/// What was given back.
			refund: BalanceOf<T>,
		},
		/// The requester took the request back.
		Cancelled {
			/// The job.
			job: JobId,
			/// Who asked.
			requester: T::AccountId,
			/// What was given back.
			refund: BalanceOf<T>,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// No active model has this id. See `Models` for those that do.
		ModelNotFound,
		/// The input is not as long as the model's input tensors are together.
		InputSizeMismatch,
		/// The maximum output is shorter than the model's output tensors are together, or longer than the chain takes.
		MaxOutputOutOfRange,
		/// The deadline is nearer or farther away than the chain allows.
		DeadlineOutOfRange,
		/// The window is shorter than the model's, or longer than the chain allows.
		WindowOutOfRange,
		/// The fee is below the model's price, or below what the named worker asks. Offer more.
		FeeTooLow,
		/// No stake can cover that much.
		CoverageTooHigh,
		/// The named worker does not serve this model. Name another, or none.
		WorkerDoesNotServe,
		/// There is no open job with this number. It may have settled, expired or been cancelled.
		JobNotFound,
		/// Only the requester may do this.
		NotRequester,
		/// The job has a worker already, so it can no longer be cancelled.
		AlreadyAssigned,
		/// The job has no worker yet, or got it only in this block.
		NotAssigned,
		/// The job is answered already.
		AlreadyAnswered,
		/// The worker's time to answer is over.
		TooLate,
		/// The output is not as long as the model's output tensors are together.
		OutputSizeMismatch,
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_initialize(now: BlockNumberFor<T>) -> Weight {
			Self::service_agenda(now, T::AgendaWeight::get())
		}

		fn offchain_worker(now: BlockNumberFor<T>) {
			Self::run_offchain(now);
		}

		fn integrity_test() {
			let block = T::BlockWeights::get().max_block;
			assert!(T::AgendaWeight::get().ref_time() < block.ref_time(), "the agenda must leave room for extrinsics");
			let base = Self::agenda_base()
				.saturating_add(T::WeightInfo::next_task())
				.saturating_add(T::WeightInfo::skip_task());
			for (name, task) in [
				("draw", T::WeightInfo::draw_job(T::MaxServers::get())),
				("expiry", T::WeightInfo::expire_job()),
				("settlement", T::WeightInfo::settle_job()),
				("conviction", T::WeightInfo::convict_job()),
				("purge", T::WeightInfo::purge_result()),
			] {
				assert!(
					base.saturating_add(task).all_lt(T::AgendaWeight::get()),
					"a {name} must fit into a block's agenda"
				);
			}
			let longest = T::MaxDeadline::get();
			assert!(
				BlockNumberFor::<T>::from(longest) < T::BlockHashCount::get(),
				"the hash of the block of assignment must be known until the deadline"
			);
			assert!(
				T::MinDeadline::get() > T::DrawDelay::get().saturated_into(),
				"a drawn worker needs a block to answer in"
			);
			assert!(T::ResultLifetime::get() >= T::MaxWindow::get().into(), "results outlive the longest window");
			assert!(!T::BurnedShare::get().is_zero(), "the burned share of a slash is what deters");
			let shares = [T::BurnedShare::get(), T::ChallengerShare::get(), T::RequesterShare::get()];
			let sum: u32 = shares.iter().map(|share| share.deconstruct()).sum();
			assert_eq!(sum, Permill::one().deconstruct(), "the shares of a slash are all of it");
			assert!(
				T::RequesterShare::get() <= T::BurnedShare::get(),
				"what a requester gets is never more than fee and coverage together"
			);
			assert!(!T::LivenessPenalty::get().is_zero() && T::LivenessPenalty::get() <= T::MinBond::get());
			// The smallest fee covers what the job costs the chain after the request.
			assert!(T::MinFee::get() >= T::WeightToFee::weight_to_fee(&T::WeightInfo::settle_job()));
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Requests an inference.
		///
		/// Anyone may call. `max_fee` is escrowed, or the fee alone if the worker that you name takes the job at once; what the
		/// worker does not charge comes back when the answer settles, and all of it if nobody answers within `deadline` blocks. On top, a small charge pays for the answer's own transaction, so that
		/// workers answer for free. `input` is the input tensors' raw bytes, in order; `max_output` the longest output to pay
		/// for, in bytes. `coverage` is what a wrong answer could cost you; a higher one costs a premium and binds more stake.
		/// `window` may lengthen the challenge window. `worker` names a worker; else one is drawn by stake.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::request({ let Input::Inline(bytes) = input; bytes.len().saturated_into() }))]
		pub fn request(
			origin: OriginFor<T>,
			model: ModelId,
			input: Input<T::MaxInput>,
			#[pallet::compact] max_fee: BalanceOf<T>,
			#[pallet::compact] coverage: BalanceOf<T>,
			max_output: u32,
			deadline: u32,
			window: Option<u32>,
			worker: Option<T::AccountId>,
		) -> DispatchResult {
			let requester = ensure_signed(origin)?;
			let terms = T::Models::terms(&model).ok_or(Error::<T>::ModelNotFound)?;
			let Input::Inline(bytes) = &input;
			let input_root =
				assay_primitives::model::input_root(&terms.inputs, bytes).ok_or(Error::<T>::InputSizeMismatch)?;
			let output = assay_primitives::model::byte_len(&terms.outputs).ok_or(Error::<T>::MaxOutputOutOfRange)?;
			ensure!(output <= max_output && max_output <= T::MaxOutput::get(), Error::<T>::MaxOutputOutOfRange);
			ensure!(
				T::MinDeadline::get() <= deadline && deadline <= T::MaxDeadline::get(),
				Error::<T>::DeadlineOutOfRange
			);
			let window = window.unwrap_or(terms.window);
			ensure!(terms.window <= window && window <= T::MaxWindow::get(), Error::<T>::WindowOutOfRange);
			ensure!(max_fee >= terms.price && max_fee >= T::MinFee::get(), Error::<T>::FeeTooLow);
			ensure!(Self::bond(max_fee, coverage).is_some(), Error::<T>::CoverageTooHigh);
			if let Some(worker) = &worker {
				ensure!(T::Workers::serves(worker, &model), Error::<T>::WorkerDoesNotServe);
			}

			let charge = T::Currency::withdraw(&requester, Self::charge(max_output), Exact, Preserve, Polite)?;
			T::OnCharge::on_unbalanced(charge);

			let now = frame_system::Pallet::<T>::block_number();
			let id = NextJobId::<T>::get();
			NextJobId::<T>::put(id.saturating_add(1));
			let mut job = Job {
				requester: requester.clone(),
				nonce: frame_system::Pallet::<T>::account_nonce(&requester).saturated_into(),
				model,
				input_root,
				max_fee,
				escrow: max_fee,
				coverage,
				max_output,
				deadline: now.saturating_add(deadline.into()),
				window: window.into(),
				named: worker.clone(),
				tried: Default::default(),
				stage: Stage::Waiting { draws: 0 },
			};
			Self::deposit_event(Event::Requested {
				job: id,
				requester: requester.clone(),
				model,
				max_fee,
				coverage,
				deadline: job.deadline,
				worker: worker.clone(),
			});
			Self::schedule(job.deadline.saturating_add(One::one()), Task::Expire(id));
			match worker {
				// A named worker that is busy gets the job when it is free; one that asks for more never would.
				Some(worker) => match Self::try_named(now, id, &mut job, &worker, &terms) {
					Ok(()) => (),
					Err(error) if error == Error::<T>::FeeTooLow.into() => return Err(error),
					Err(_) => Self::schedule(now.saturating_add(T::DrawDelay::get()), Task::Draw(id)),
				},
				None => Self::schedule(now.saturating_add(T::DrawDelay::get()), Task::Draw(id)),
			}
			if let Stage::Assigned(assignment) = &job.stage {
				job.escrow = assignment.fee;
			}
			T::Currency::hold(&HoldReason::Fee.into(), &requester, job.escrow)?;
			Inputs::<T>::insert(id, input);
			Jobs::<T>::insert(id, job);
			Ok(())
		}

		/// Takes a request back before a worker has it.
		///
		/// Only the requester may call. The escrow comes back, the charge for the request does not.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::cancel())]
		pub fn cancel(origin: OriginFor<T>, #[pallet::compact] job: JobId) -> DispatchResult {
			let who = ensure_signed(origin)?;
			let open = Jobs::<T>::get(job).ok_or(Error::<T>::JobNotFound)?;
			ensure!(open.requester == who, Error::<T>::NotRequester);
			ensure!(matches!(open.stage, Stage::Waiting { .. }), Error::<T>::AlreadyAssigned);
			let refund = Self::refund(&who, open.escrow);
			Self::forget(job);
			Self::deposit_event(Event::Cancelled { job, requester: who, refund });
			Ok(())
		}

		/// Gives a job back that this worker cannot answer.
		///
		/// Sent by the worker's node and signed by its service key; free. It costs availability, not stake. The job is drawn
		/// again, or expires at once if the requester wanted this worker and no other.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::decline())]
		#[pallet::weight_of_authorize(T::WeightInfo::authorize_decline())]
		#[pallet::authorize(|_source, job, reason, signature| {
			Self::authorize_decline(*job, reason, signature).map(|valid| (valid, Weight::zero()))
		})]
		pub fn decline(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			reason: DeclineReason,
			_signature: ServiceSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			let (open, assignment) = Self::held_job(job)?;
			Self::give_back(job, open, assignment, reason);
			Ok(())
		}

		/// Commits a worker to its answer.
		///
		/// Sent by the worker's node and signed by its service key over the claim hash; free. The challenge window opens.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::commit(output.len()))]
		#[pallet::weight_of_authorize(T::WeightInfo::authorize_commit(output.len()))]
		#[pallet::authorize(|_source, job, output, signature| {
			Self::authorize_commit(*job, output, signature).map(|valid| (valid, Weight::zero()))
		})]
		pub fn commit(
			origin: OriginFor<T>,
			#[pallet::compact] job: JobId,
			output: Output<T::MaxOutput>,
			_signature: ServiceSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			let answer = Self::check_answer(job, &output)?;
			Self::accept_answer(job, answer, output);
			Ok(())
		}

		// Index 4 is kept for a sealed commit: a hash of output root, worker and salt first, the output later.

		/// Says that a worker is there, so that it earns emission for its stake.
		///
		/// Sent by the worker's node while its engine is ready, and signed by its service key over the hash of block `at`, one of
		/// the last [`HEARTBEAT_FRESH`]; free. It is refused while the last one still has more than half of its life before it.
		#[pallet::call_index(5)]
		#[pallet::weight(T::WeightInfo::heartbeat())]
		#[pallet::weight_of_authorize(T::WeightInfo::authorize_heartbeat())]
		#[pallet::authorize(|_source, worker, at, signature| {
			Self::authorize_heartbeat(worker, *at, signature).map(|valid| (valid, Weight::zero()))
		})]
		pub fn heartbeat(
			origin: OriginFor<T>,
			worker: T::AccountId,
			_at: BlockNumberFor<T>,
			_signature: ServiceSignature,
		) -> DispatchResult {
			ensure_authorized(origin)?;
			T::Rewards::note_heartbeat(&worker);
			Self::deposit_event(Event::Heartbeat { worker });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// An open job.
		pub fn job(id: JobId) -> Option<JobOf<T>> {
			Jobs::<T>::get(id)
		}

		/// The answer to a job, with what is to be thought of it.
		pub fn result(id: JobId) -> Option<ResultViewOf<T>> {
			let result = Results::<T>::get(id)?;
			let status = if Jobs::<T>::contains_key(id) {
				ResultStatus::Pending
			} else {
				ResultStatus::Settled { readable_until: result.settles_at.saturating_add(T::ResultLifetime::get()) }
			};
			Some(ResultView { status, result })
		}

		/// The last block for the most urgent of the answers that a worker owes. `None` if it owes none.
		pub fn next_deadline(worker: T::AccountId) -> Option<BlockNumberFor<T>> {
			let jobs = Assigned::<T>::iter_key_prefix(worker).filter_map(Jobs::<T>::get);
			let deadlines = jobs.filter_map(|job| match job.stage {
				Stage::Assigned(assignment) => Some(assignment.answer_by),
				_ => None,
			});
			deadlines.min()
		}

		/// The least fee for which some worker would take a job on `model` now, the coverage being `coverage` and the deadline
		/// `deadline` blocks away. `None` if nobody would.
		pub fn quote(model: ModelId, coverage: BalanceOf<T>, deadline: u32) -> Option<BalanceOf<T>> {
			let terms = T::Models::terms(&model)?;
			let blocks = deadline.saturating_add(terms.window);
			let mut least: Option<BalanceOf<T>> = None;
			T::Workers::draw(&model, &[], [0; 32], &mut |ask| {
				if ask.min_deadline <= deadline {
					let fee = Self::fee(&terms, ask, coverage, blocks.into());
					least = Some(least.map_or(fee, |least| least.min(fee)));
				}
				None
			});
			least
		}

		/// The charge, on top of fee and transaction fee, for a request with the given maximum output in bytes.
		pub fn charge_for(max_output: u32) -> BalanceOf<T> {
			Self::charge(max_output)
		}
	}

	impl<T: Config> Pallet<T> {
		/// What a request pays for the work that it causes in later blocks. Not refundable.
		pub(crate) fn charge(max_output: u32) -> BalanceOf<T> {
			// A commit is its output, a signature, and a few bytes around them.
			let bytes = u64::from(max_output).saturating_add(128);
			T::BaseCharge::get()
				.saturating_add(T::WeightToFee::weight_to_fee(&Self::later_weight(max_output)))
				.saturating_add(T::LengthToFee::weight_to_fee(&Weight::from_parts(bytes, 0)))
		}

		/// A job in a worker's hands whose time is not over, and the terms on which it has it.
		fn held_job(id: JobId) -> Result<(JobOf<T>, AssignmentOf<T>), Error<T>> {
			let job = Jobs::<T>::get(id).ok_or(Error::<T>::JobNotFound)?;
			let assignment = match &job.stage {
				Stage::Waiting { .. } => return Err(Error::<T>::NotAssigned),
				Stage::Committed { .. } => return Err(Error::<T>::AlreadyAnswered),
				Stage::Assigned(assignment) => assignment.clone(),
			};
			let now = frame_system::Pallet::<T>::block_number();
			ensure!(now <= assignment.answer_by, Error::<T>::TooLate);
			Ok((job, assignment))
		}

		/// Cheap checks first, the signature last; nothing is left for the dispatch to refuse.
		pub(crate) fn authorize_commit(
			job: JobId,
			output: &Output<T::MaxOutput>,
			signature: &ServiceSignature,
		) -> TransactionValidity {
			let answer = Self::check_answer(job, output).map_err(refusal)?;
			let payload = claim::commit_payload(&answer.claim);
			ensure!(Self::signed_by(&answer.assignment.worker, &payload, signature), InvalidTransaction::BadProof);
			Self::valid_answer(job, &answer.assignment)
		}

		/// See [`Self::authorize_commit`].
		pub(crate) fn authorize_decline(
			job: JobId,
			reason: &DeclineReason,
			signature: &ServiceSignature,
		) -> TransactionValidity {
			let (_, assignment) = Self::held_job(job).map_err(refusal)?;
			let payload = Self::decline_payload(job, &assignment, reason).ok_or(InvalidTransaction::Future)?;
			ensure!(Self::signed_by(&assignment.worker, &payload, signature), InvalidTransaction::BadProof);
			Self::valid_answer(job, &assignment)
		}

		/// What the service key signs to decline. `None` in the very block of the assignment.
		pub(crate) fn decline_payload(
			job: JobId,
			assignment: &AssignmentOf<T>,
			reason: &DeclineReason,
		) -> Option<H256> {
			let assigned_in = Self::known_hash(assignment.assigned_at)?;
			let genesis = Self::known_hash(Zero::zero())?;
			Some(claim::decline_payload(&genesis, &assignment.worker, job, &assigned_in, reason))
		}

		/// One answer per assignment in the pool, ahead of ordinary transactions, gone when it would be too late.
		fn valid_answer(job: JobId, assignment: &AssignmentOf<T>) -> TransactionValidity {
			let now = frame_system::Pallet::<T>::block_number();
			ValidTransaction::with_tag_prefix("AssayAnswer")
				.priority(TransactionPriority::MAX / 2)
				.and_provides((job, assignment.assigned_at))
				.longevity(assignment.answer_by.saturating_sub(now).saturated_into::<u64>().max(1))
				.propagate(true)
				.build()
		}
	}

	/// Why the pool refuses an answer: words where the pool has them, else a code: see [`assay_primitives::pool`].
	fn refusal<T: Config>(error: Error<T>) -> TransactionValidityError {
		match error {
			Error::JobNotFound | Error::AlreadyAnswered | Error::TooLate => InvalidTransaction::Stale.into(),
			Error::NotAssigned => InvalidTransaction::Future.into(),
			Error::OutputSizeMismatch => InvalidTransaction::Custom(REFUSED_OUTPUT_SIZE).into(),
			_ => InvalidTransaction::Call.into(),
		}
	}

	#[cfg(any(feature = "std", feature = "try-runtime"))]
	impl<T: Config> Pallet<T> {
		/// Checks the invariants listed in the pallet's documentation.
		pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
			Self::check_escrow()?;
			Self::check_bonds()?;
			Self::check_indices()?;
			Self::check_agenda()
		}

		fn check_escrow() -> Result<(), sp_runtime::TryRuntimeError> {
			let mut escrow = alloc::collections::BTreeMap::<T::AccountId, BalanceOf<T>>::new();
			for job in Jobs::<T>::iter_values() {
				if let Stage::Assigned(assignment) | Stage::Committed { assignment, .. } = &job.stage {
					ensure!(assignment.fee <= job.escrow, "a fee is not escrowed");
				}
				let sum = escrow.entry(job.requester).or_default();
				*sum = sum.saturating_add(job.escrow);
			}
			for (requester, sum) in escrow {
				let held = <T::Currency as frame_support::traits::fungible::InspectHold<_>>::balance_on_hold(
					&HoldReason::Fee.into(),
					&requester,
				);
				ensure!(held == sum, "what is on hold for fees differs from the sum of the open jobs' escrows");
			}
			Ok(())
		}

		fn check_bonds() -> Result<(), sp_runtime::TryRuntimeError> {
			let mut bonds = alloc::collections::BTreeMap::<T::AccountId, (BalanceOf<T>, u32)>::new();
			for job in Jobs::<T>::iter_values() {
				if let Stage::Assigned(assignment) | Stage::Committed { assignment, .. } = job.stage {
					let gain = assignment.fee.saturating_add(job.coverage);
					ensure!(
						T::BurnedShare::get().mul_floor(assignment.bond).saturating_add(One::one()) >= gain,
						"a bond is too small"
					);
					let (sum, count) = bonds.entry(assignment.worker).or_default();
					*sum = sum.saturating_add(assignment.bond);
					*count = count.saturating_add(1);
				}
			}
			for (worker, (sum, count)) in bonds {
				ensure!(T::Workers::covered(&worker) == sum, "what is set aside differs from the sum of the bonds");
				ensure!(
					T::Workers::open_claims(&worker) == count,
					"the number of bonds differs from that of open claims"
				);
			}
			Ok(())
		}

		fn check_indices() -> Result<(), sp_runtime::TryRuntimeError> {
			let mut assigned = 0usize;
			for (id, job) in Jobs::<T>::iter() {
				ensure!(Inputs::<T>::contains_key(id), "an open job has no input");
				let answered = Results::<T>::contains_key(id);
				match &job.stage {
					Stage::Committed { .. } => ensure!(answered, "an answer has no result"),
					stage => {
						ensure!(!answered, "a job without an answer has a result");
						if let Stage::Assigned(assignment) = stage {
							assigned = assigned.saturating_add(1);
							ensure!(
								Assigned::<T>::contains_key(&assignment.worker, id),
								"a worker's job is not listed"
							);
						}
					}
				}
			}
			ensure!(Assigned::<T>::iter().count() == assigned, "a job is listed under a worker that does not have it");
			ensure!(Inputs::<T>::iter().count() == Jobs::<T>::iter().count(), "an input has no open job");
			Ok(())
		}

		fn check_agenda() -> Result<(), sp_runtime::TryRuntimeError> {
			let (done, purged) = (AgendaCursor::<T>::get(), PurgeCursor::<T>::get());
			let behind = |block, task: &_, cursor: &Cursor<_>| {
				block < cursor.block
					|| block == cursor.block
						&& cursor.after.is_some_and(|after| {
							Agenda::<T>::hashed_key_for(block, task) <= Agenda::<T>::hashed_key_for(block, after)
						})
			};
			let mut tasks = alloc::collections::BTreeSet::<JobId>::new();
			let mut forgettable = alloc::collections::BTreeSet::<JobId>::new();
			for (block, task) in Agenda::<T>::iter_keys() {
				ensure!(!behind(block, &task, &purged), "an entry of the agenda was left behind");
				if !behind(block, &task, &done) {
					tasks.insert(task.job());
					continue;
				}
				ensure!(matches!(task, Task::Settle(_)), "a task was left undone");
				ensure!(!Jobs::<T>::contains_key(task.job()), "an answer was left unsettled");
				ensure!(forgettable.insert(task.job()), "a result would be forgotten twice");
			}
			for (id, job) in Jobs::<T>::iter() {
				let held = matches!(job.stage, Stage::Committed { holds, .. } if !holds.is_empty());
				ensure!(held || tasks.contains(&id), "an open job is not on the agenda");
			}
			for id in Results::<T>::iter_keys() {
				ensure!(
					forgettable.contains(&id) != Jobs::<T>::contains_key(id),
					"a settled result would never be forgotten, or an open one is to be"
				);
			}
			Ok(())
		}
	}
}

impl<Max: frame_support::traits::Get<u32>> Output<Max> {
	/// The length of the output, in bytes.
	pub fn len(&self) -> u32 {
		let Self::Inline(bytes) = self;
		u32::try_from(bytes.len()).unwrap_or(u32::MAX)
	}

	/// Whether the output has no bytes.
	pub fn is_empty(&self) -> bool {
		self.len() == 0
	}
}
