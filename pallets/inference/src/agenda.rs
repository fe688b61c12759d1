//! The agenda: tasks for later blocks.
//!
//! An insertion is never refused, and a task is never lost: a block may have any number of tasks, and a cursor walks over them as
//! far as the block's weight allows. What does not fit waits for the next block.
//!
//! A job has one entry at a time, and a draw or an answer that is due beside it: first its deadline; from its answer on, its settlement.
//! Tasks are removed when they are done, but for settlements. They stay, so that a second cursor, which walks a result's
//! lifetime behind the first, finds the results to forget.

use crate::{traits::Workers, weights::WeightInfo, *};
use frame_support::{traits::Get, weights::WeightMeter};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::{
	traits::{CheckedSub, One, Saturating},
	Weight,
};

type TaskOf<T> = Task<BlockNumberFor<T>>;

impl<T: Config> Pallet<T> {
	/// Puts `task` on the agenda of block `at`, or of the next block if that has passed.
	pub(crate) fn schedule(at: BlockNumberFor<T>, task: TaskOf<T>) {
		let next = frame_system::Pallet::<T>::block_number().saturating_add(One::one());
		Agenda::<T>::insert(at.max(next), task, ());
	}

	/// Does what is due, as far as the weight allows. Returns the weight used.
	pub(crate) fn service_agenda(now: BlockNumberFor<T>, limit: Weight) -> Weight {
		let mut meter = WeightMeter::with_limit(limit);
		if meter.try_consume(Self::agenda_base()).is_err() {
			return meter.consumed();
		}
		let mut cursor = AgendaCursor::<T>::get();
		Self::walk(&mut cursor, now, &mut meter, |block, task, meter| {
			if let Task::Settle(job) = task {
				// Hardly ever moot, so that it is not looked at twice.
				if meter.try_consume(T::WeightInfo::settle_job()).is_err() {
					return false;
				}
				if Self::settle(now, *job) {
					return true;
				}
			} else {
				if meter.try_consume(T::WeightInfo::skip_task()).is_err() {
					return false;
				}
				if let Some(weight) = Self::task_weight(task) {
					if meter.try_consume(weight).is_err() {
						return false;
					}
					Self::perform(now, task);
				}
			}
			Agenda::<T>::remove(block, task);
			true
		});
		AgendaCursor::<T>::put(cursor);

		// Only what the first cursor has left behind, and no result before its time.
		let Some(until) = now.checked_sub(&T::ResultLifetime::get().saturating_add(One::one())) else {
			return meter.consumed();
		};
		let mut purged = PurgeCursor::<T>::get();
		let until = until.min(cursor.block.saturating_sub(One::one()));
		Self::walk(&mut purged, until, &mut meter, |block, task, meter| {
			if meter.try_consume(T::WeightInfo::purge_result()).is_err() {
				return false;
			}
			Agenda::<T>::remove(block, task);
			Results::<T>::remove(task.job());
			true
		});
		PurgeCursor::<T>::put(purged);
		meter.consumed()
	}

	/// What a block's work on the agenda costs before the first task: both cursors, and the entries that all jobs of a block
	/// share, which the measured weights therefore leave out: the number of the next job and the treasury's account.
	pub(crate) fn agenda_base() -> Weight {
		T::DbWeight::get().reads_writes(4, 4)
	}

	/// Hands the tasks of the blocks up to `until` that lie after the cursor to `each`, until it says no or the weight is
	/// used up.
	fn walk(
		cursor: &mut Cursor<BlockNumberFor<T>>,
		until: BlockNumberFor<T>,
		meter: &mut WeightMeter,
		mut each: impl FnMut(BlockNumberFor<T>, &TaskOf<T>, &mut WeightMeter) -> bool,
	) {
		while cursor.block <= until {
			let mut tasks = match cursor.after {
				Some(task) => {
					Agenda::<T>::iter_key_prefix_from(cursor.block, Agenda::<T>::hashed_key_for(cursor.block, task))
				}
				None => Agenda::<T>::iter_key_prefix(cursor.block),
			};
			loop {
				if meter.try_consume(T::WeightInfo::next_task()).is_err() {
					return;
				}
				let Some(task) = tasks.next() else { break };
				if !each(cursor.block, &task, meter) {
					return;
				}
				cursor.after = Some(task);
			}
			cursor.block.saturating_inc();
			cursor.after = None;
		}
	}

	/// The most that a task other than a settlement can weigh, beside the look at its job. `None` if it is moot.
	pub(crate) fn task_weight(task: &TaskOf<T>) -> Option<Weight> {
		let job = Jobs::<T>::get(task.job())?;
		match (task, &job.stage) {
			(Task::Draw(_), Stage::Waiting { .. }) => {
				let servers = T::Workers::server_count(&job.model);
				Some(T::WeightInfo::draw_job(servers).saturating_add(T::DbWeight::get().reads(1)))
			}
			(Task::AnswerDue(_, at), Stage::Assigned(assignment)) if assignment.assigned_at == *at => {
				Some(T::WeightInfo::expire_job())
			}
			(Task::Expire(_), Stage::Waiting { .. } | Stage::Assigned(_)) => Some(T::WeightInfo::expire_job()),
			(Task::Convict(_), Stage::Committed { .. }) => Some(T::WeightInfo::convict_job()),
			_ => None,
		}
	}

	fn perform(now: BlockNumberFor<T>, task: &TaskOf<T>) {
		match *task {
			Task::Draw(job) => Self::draw_worker(now, job),
			Task::AnswerDue(job, assigned_at) => Self::answer_due(now, job, assigned_at),
			Task::Expire(job) => Self::deadline_passed(now, job),
			Task::Settle(job) => {
				Self::settle(now, job);
			}
			// What a dispute holds, the dispute ends.
			Task::Convict(job) => {
				if Self::holds(job).is_empty() {
					Self::convict(job, None);
				}
			}
		}
	}
}
