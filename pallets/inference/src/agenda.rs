//! The agenda: tasks for later blocks.
//!
//! An insertion is never refused, and a task is never lost: each block has a queue of its own without a bound on its length, and a
//! cursor walks over the queues as far as the block's weight allows. What does not fit waits for the next block, in order.

use crate::{weights::WeightInfo, Agenda, AgendaCursor, AgendaLength, Config, Pallet, Task};
use frame_support::{traits::Get, weights::WeightMeter};
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::{
	traits::{One, Saturating},
	Weight,
};

impl<T: Config> Pallet<T> {
	/// Puts `task` on the agenda of block `at`, or of the next block if that has passed.
	pub(crate) fn schedule(at: BlockNumberFor<T>, task: Task<BlockNumberFor<T>>) {
		let next = frame_system::Pallet::<T>::block_number().saturating_add(One::one());
		let at = at.max(next);
		AgendaLength::<T>::mutate(at, |length| {
			Agenda::<T>::insert(at, *length, task);
			*length = length.saturating_add(1);
		});
	}

	/// Does what is due, as far as the weight allows. Returns the weight used.
	pub(crate) fn service_agenda(now: BlockNumberFor<T>, limit: Weight) -> Weight {
		let mut meter = WeightMeter::with_limit(limit);
		let step = T::WeightInfo::service_agenda_step();
		if meter.try_consume(step).is_err() {
			return meter.consumed();
		}
		let (mut block, mut index) = AgendaCursor::<T>::get();
		'blocks: while block <= now {
			let length = AgendaLength::<T>::get(block);
			while index < length {
				let Some(task) = Agenda::<T>::get(block, index) else {
					index = index.saturating_add(1);
					continue;
				};
				if meter.try_consume(Self::task_weight(&task)).is_err() {
					break 'blocks;
				}
				Agenda::<T>::remove(block, index);
				index = index.saturating_add(1);
				Self::perform(now, task);
			}
			AgendaLength::<T>::remove(block);
			block.saturating_inc();
			index = 0;
			if meter.try_consume(step).is_err() {
				break;
			}
		}
		AgendaCursor::<T>::put((block, index));
		meter.consumed()
	}

	/// The most that a task can weigh.
	fn task_weight(task: &Task<BlockNumberFor<T>>) -> Weight {
		match task {
			Task::Draw(_) => T::WeightInfo::draw_job(T::MaxServers::get()),
			Task::AnswerDue(..) | Task::Expire(_) => T::WeightInfo::expire_job(),
			Task::Settle(_, length) => T::WeightInfo::settle_job(*length),
			Task::Purge(_) => T::WeightInfo::purge_result(),
		}
	}

	fn perform(now: BlockNumberFor<T>, task: Task<BlockNumberFor<T>>) {
		match task {
			Task::Draw(job) => Self::draw_worker(now, job),
			Task::AnswerDue(job, assigned_at) => Self::answer_due(now, job, assigned_at),
			Task::Expire(job) => Self::deadline_passed(now, job),
			Task::Settle(job, _) => Self::settle(now, job),
			Task::Purge(job) => Self::purge(job),
		}
	}
}
