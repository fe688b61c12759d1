//! The agenda: tasks for later blocks.
//!
//! An insertion is never refused, and a task is never lost: each block has a queue of its own without a bound on its length, and a
//! cursor walks over the queues as far as the block's weight allows. What does not fit waits for the next block, in order. Nothing
//! is unsound if a task is late: a message that comes after its time is refused whether or not the task has been done.

use crate::{weights::WeightInfo, Agenda, AgendaCursor, AgendaLength, Config, Pallet, Task, CLEAN_UP};
use frame_support::weights::WeightMeter;
use frame_system::pallet_prelude::BlockNumberFor;
use sp_runtime::{
	traits::{One, Saturating},
	Weight,
};

impl<T: Config> Pallet<T> {
	/// Puts `task` on the agenda of block `at`, or of the next block if that has passed.
	pub(crate) fn schedule(at: BlockNumberFor<T>, task: Task<T::AccountId>) {
		let at = at.max(Self::now().saturating_add(One::one()));
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
	pub(crate) fn task_weight(task: &Task<T::AccountId>) -> Weight {
		match task {
			Task::Lapse(..) => T::WeightInfo::lapse(),
			Task::Publication(_) | Task::Answer(..) | Task::Move(..) => T::WeightInfo::timeout(),
			Task::WindowEnd(_) => T::WeightInfo::end_window(),
			Task::CleanUp(_) => T::WeightInfo::clean_up(CLEAN_UP),
		}
	}

	fn perform(now: BlockNumberFor<T>, task: Task<T::AccountId>) {
		match task {
			Task::Lapse(who, hash) => Self::lapse(now, who, hash),
			Task::Publication(claim) => Self::publication_due(now, claim),
			Task::Answer(claim, node) => Self::answer_due(now, claim, node),
			Task::Move(claim, number) => Self::move_due(now, claim, number),
			Task::WindowEnd(claim) => Self::end_window(now, claim),
			Task::CleanUp(claim) => Self::clean_up(now, claim),
		}
	}
}
