//! A few threads that share the tasks of one step.
//!
//! Own, and not `rayon`: a model has a hundred steps of some 100 us each, so what counts is how soon a thread begins and
//! how soon the caller knows that all have ended. Workers look for the next step for a while before they sleep. Which
//! thread runs which task is left to chance; no task's result depends on it, as no reduction is split over tasks.

use crate::isa::Modes;
use std::{
	any::Any,
	hint,
	panic::{catch_unwind, resume_unwind, AssertUnwindSafe},
	sync::{
		atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
		Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
	},
	thread::{self, JoinHandle},
};

/// Rounds of looking before a thread sleeps: some 50 us.
const PATIENCE: u32 = 2_000;

/// A step: a function of the task's number.
#[derive(Clone, Copy)]
struct Step {
	run: *const (dyn Fn(usize) + Sync),
	tasks: usize,
}

// SAFETY: the function is `Sync`, and `Pool::run` keeps it alive until every thread is done with it.
unsafe impl Send for Step {}

/// Of the word that says how things stand: whether workers may join the step, one worker that has joined, one step.
const OPEN: u64 = 1;
const ONE: u64 = 2;
const NEXT: u64 = 1 << 16;

/// The workers that have joined.
fn joined(state: u64) -> u64 {
	state % NEXT / ONE
}

#[derive(Default)]
struct Shared {
	/// The number of the step, the workers that have joined it, and whether others may. The caller waits for those that have
	/// joined, not for one that sleeps or whose processor somebody else has.
	state: AtomicU64,
	step: Mutex<Option<Step>>,
	/// Workers that sleep or are about to.
	asleep: AtomicUsize,
	bed: Mutex<()>,
	wake: Condvar,
	/// The next task of the step.
	next: AtomicUsize,
	/// What a task panicked with.
	panic: Mutex<Option<Box<dyn Any + Send>>>,
	closing: AtomicBool,
}

/// The caller's thread and `threads - 1` others.
pub(crate) struct Pool {
	shared: Arc<Shared>,
	workers: Vec<JoinHandle<()>>,
	/// Held while a step runs: a pool runs one at a time. Who comes meanwhile runs its step alone.
	running: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
	mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
	/// A pool of this many threads, the caller's among them. Fewer where the machine gives none.
	pub(crate) fn new(threads: usize) -> Self {
		let shared = Arc::new(Shared::default());
		let workers = (1..threads.clamp(1, 1024))
			.filter_map(|i| {
				let shared = shared.clone();
				thread::Builder::new().name(format!("kernels-{i}")).spawn(move || work(&shared)).ok()
			})
			.collect();
		Self { shared, workers, running: Mutex::new(()) }
	}

	/// Threads, the caller's among them.
	pub(crate) fn threads(&self) -> usize {
		self.workers.len() + 1
	}

	/// Runs `step(0)` to `step(tasks - 1)`, in any order, and returns when all are done. A panic in a task is a panic here.
	pub(crate) fn run(&self, tasks: usize, step: &(dyn Fn(usize) + Sync)) {
		let running = match tasks {
			0 | 1 => None,
			_ if self.workers.is_empty() => None,
			_ => self.running.try_lock().or_else(recover).ok(),
		};
		let Some(_running) = running else {
			(0..tasks).for_each(step);
			return;
		};
		let shared = &*self.shared;
		// SAFETY: only the lifetime changes. Workers use it only while they have joined, and this waits for those.
		let run = unsafe {
			std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(step)
		};
		let step = Step { run, tasks };
		// Nobody has joined, and nobody can.
		*lock(&shared.step) = Some(step);
		shared.next.store(0, Ordering::Relaxed);
		let number = shared.state.load(Ordering::Relaxed) / NEXT + 1;
		shared.state.store(number.wrapping_mul(NEXT) | OPEN, Ordering::SeqCst);
		if shared.asleep.load(Ordering::SeqCst) > 0 {
			drop(lock(&shared.bed));
			shared.wake.notify_all();
		}
		take(shared, step);
		let mut state = shared.state.fetch_and(!OPEN, Ordering::AcqRel);
		let mut rounds = 0u32;
		while joined(state) > 0 {
			rounds += 1;
			if rounds < PATIENCE {
				hint::spin_loop();
			} else {
				thread::yield_now();
			}
			state = shared.state.load(Ordering::Acquire);
		}
		if let Some(panic) = lock(&shared.panic).take() {
			resume_unwind(panic);
		}
	}
}

/// A lock that a panic left behind is as good as new: it guards nothing.
fn recover<T>(error: TryLockError<MutexGuard<'_, T>>) -> Result<MutexGuard<'_, T>, ()> {
	match error {
		TryLockError::Poisoned(there) => Ok(there.into_inner()),
		TryLockError::WouldBlock => Err(()),
	}
}

/// Takes tasks of a step until there are none.
fn take(shared: &Shared, step: Step) {
	loop {
		let task = shared.next.fetch_add(1, Ordering::Relaxed);
		if task >= step.tasks {
			return;
		}
		// SAFETY: `Pool::run` keeps the function alive while a thread is busy with it.
		let run = unsafe { &*step.run };
		if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(task))) {
			lock(&shared.panic).get_or_insert(panic);
			shared.next.store(step.tasks, Ordering::Relaxed);
		}
	}
}

/// Joins a step that is open and has another number than the last: the step, and its number.
fn join(shared: &Shared, last: u64) -> Option<(Step, u64)> {
	let state = shared.state.load(Ordering::SeqCst);
	if state & OPEN == 0 || state / NEXT == last {
		return None;
	}
	shared.state.compare_exchange(state, state + ONE, Ordering::AcqRel, Ordering::Relaxed).ok()?;
	let step = *lock(&shared.step);
	step.map(|step| (step, state / NEXT))
}

fn work(shared: &Shared) {
	let _modes = Modes::set();
	let mut last = 0;
	let mut rounds = 0;
	while !shared.closing.load(Ordering::Relaxed) {
		if let Some((step, number)) = join(shared, last) {
			take(shared, step);
			shared.state.fetch_sub(ONE, Ordering::Release);
			(last, rounds) = (number, 0);
			continue;
		}
		if rounds < PATIENCE {
			rounds += 1;
			hint::spin_loop();
			continue;
		}
		// Whoever opens a step after this worker has said that it sleeps wakes it; what was opened before is seen here.
		let bed = lock(&shared.bed);
		shared.asleep.fetch_add(1, Ordering::SeqCst);
		let state = shared.state.load(Ordering::SeqCst);
		if (state & OPEN == 0 || state / NEXT == last) && !shared.closing.load(Ordering::SeqCst) {
			drop(shared.wake.wait(bed));
		}
		shared.asleep.fetch_sub(1, Ordering::SeqCst);
		rounds = 0;
	}
}

impl Drop for Pool {
	fn drop(&mut self) {
		self.shared.closing.store(true, Ordering::SeqCst);
		drop(lock(&self.shared.bed));
		self.shared.wake.notify_all();
		for worker in self.workers.drain(..) {
			let _ = worker.join();
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn pool_should_run_every_task_once() {
		for threads in [1, 2, 7] {
			let pool = Pool::new(threads);
			for tasks in [0, 1, 2, 5, 100] {
				let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
				pool.run(tasks, &|i| {
					counts[i].fetch_add(1, Ordering::Relaxed);
				});
				assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
			}
		}
	}

	#[test]
	fn pool_should_run_steps_that_follow_each_other_and_pauses() {
		let pool = Pool::new(4);
		let count = AtomicUsize::new(0);
		for i in 0..20_000 {
			pool.run(2 + i % 5, &|_| {
				count.fetch_add(1, Ordering::Relaxed);
			});
			if i % 4_000 == 0 {
				thread::sleep(std::time::Duration::from_millis(2));
			}
		}
		assert_eq!(count.load(Ordering::Relaxed), (0..20_000).map(|i| 2 + i % 5).sum());
	}

	#[test]
	fn pool_should_go_on_when_a_task_panicked() {
		let pool = Pool::new(3);
		let result = catch_unwind(AssertUnwindSafe(|| pool.run(10, &|i| assert!(i != 4, "four"))));
		assert!(result.is_err());
		let count = AtomicUsize::new(0);
		pool.run(10, &|_| {
			count.fetch_add(1, Ordering::Relaxed);
		});
		assert_eq!(count.load(Ordering::Relaxed), 10);
	}
}
