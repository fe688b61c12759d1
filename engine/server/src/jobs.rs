//! Jobs: the queues of those to do, and by key the results of those done.
//!
//! There are two lanes. What has a key is the chain's: it is first in line, and finds a thread whatever else runs. What has
//! none is an API user's.

use std::{
	collections::{BTreeMap, HashMap, VecDeque},
	sync::{Arc, Mutex, PoisonError},
	time::Duration,
};

use tokio::sync::watch;

use crate::{
	traces::{trace_id, OwnTrace, TraceId},
	EngineOptions, JobKey, ModelId,
};

/// Why a job that was run has no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
	/// The bytes are not what was asked for.
	#[error("{0}")]
	Malformed(String),
	/// The input does not fit the model, or the model cannot be evaluated on it; or a message of a dispute is refused.
	#[error("{0}")]
	Input(String),
	/// The engine lacks something: an intact file of the model, memory. This can be mended, so the job runs again when
	/// it is submitted again.
	#[error("{0}")]
	Engine(String),
	/// The evaluation stopped on an error in the engine itself.
	#[error("{0}")]
	Panic(String),
}

/// How far a job is.
#[derive(Clone, Debug)]
pub enum State {
	/// Waiting for a thread.
	Queued,
	/// On a thread.
	Running,
	/// Done. A job has the output tensors, one after the other, as raw little-endian bytes; other work an encoded message.
	Done(Arc<Vec<u8>>),
	/// Done, without an output.
	Failed(Failure),
}

impl State {
	/// Whether nothing will change any more.
	pub fn is_final(&self) -> bool {
		matches!(self, Self::Done(_) | Self::Failed(_))
	}
}

/// Why a job was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
	/// The model is not in the store.
	#[error("model {0} is not in the store")]
	UnknownModel(ModelId),
	/// The key belongs to another model or another input.
	#[error("this key was used with another model or another input")]
	KeyTaken,
	/// There is no room for another job; the same call may be made again later.
	#[error("the queue is full; try again later")]
	QueueFull,
	/// The engine lets nobody wait that long.
	#[error(
		"no answer in {0:?}, the most that this engine gives a request; try again later, or ask its operator for more"
	)]
	TooSlow(Duration),
	/// The engine is going down.
	#[error("the engine is shutting down")]
	Closing,
}

/// What a piece of work is called. Jobs and traces have names of their own choosing; the rest is known by what is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
	Job(JobKey),
	Trace(JobKey),
	Asked([u8; 32]),
}

/// What to do with the input.
pub(crate) enum Work {
	/// Evaluate the model.
	Infer,
	/// Build the trace.
	Trace,
	/// Answer a demand, which is the input.
	Open(OwnTrace),
	/// Say what to do about somebody's publication; the input is a request's whole body.
	Investigate,
}

/// What a thread takes away.
pub(crate) struct Task {
	pub(crate) input: Vec<u8>,
	pub(crate) work: Work,
}

pub(crate) struct Job {
	key: Option<Key>,
	pub(crate) model: ModelId,
	/// Stands for the input once the input is gone.
	pub(crate) digest: [u8; 32],
	task: Mutex<Option<Task>>,
	input_len: usize,
	pub(crate) state: watch::Sender<State>,
}

impl Job {
	pub(crate) fn new(key: Option<Key>, model: ModelId, input: Vec<u8>, work: Work) -> Self {
		// Nobody compares what has no key.
		let digest = key.as_ref().map_or([0; 32], |_| Self::digest_of(&input));
		let (input_len, task) = (input.len(), Mutex::new(Some(Task { input, work })));
		Self { key, model, digest, input_len, task, state: watch::Sender::new(State::Queued) }
	}

	/// What stands for an input.
	pub(crate) fn digest_of(input: &[u8]) -> [u8; 32] {
		// The tree's leaves are hashed side by side.
		let root = assay_semantics::commit::tiles_root(input);
		assay_semantics::hash(b"assay/engine/input", &[&(input.len() as u64).to_le_bytes(), &root])
	}

	/// A job that is known by all that goes into it.
	pub(crate) fn asked(of: &[u8; 32], model: ModelId, input: Vec<u8>, work: Work) -> Self {
		let digest = Self::digest_of(&input);
		let key = Key::Asked(assay_semantics::hash(b"assay/engine/asked", &[of, &digest]));
		Self::new(Some(key), model, input, work)
	}

	/// What to do, which the one thread that runs the job takes away.
	pub(crate) fn take(&self) -> Option<Task> {
		self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
	}

	/// The trace that was built, if this built one.
	pub(crate) fn built(&self) -> Option<TraceId> {
		let done = matches!(*self.state.borrow(), State::Done(_));
		(done && matches!(self.key, Some(Key::Trace(_)))).then(|| trace_id(self.model, &self.digest))
	}

	/// Whether nobody can ever collect the result.
	pub(crate) fn is_abandoned(&self) -> bool {
		self.key.is_none() && self.state.receiver_count() == 0
	}

	/// The lane it is on.
	pub(crate) fn lane(&self) -> Lane {
		match self.key {
			Some(_) => Lane::Chain,
			None => Lane::Api,
		}
	}

	fn is_same(&self, model: ModelId, digest: &[u8; 32]) -> bool {
		self.model == model && self.digest == *digest
	}
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
	Chain,
	Api,
}

impl Lane {
	pub(crate) const ALL: [Self; 2] = [Self::Chain, Self::Api];
}

/// What waits, and how much runs.
#[derive(Default)]
struct Queue {
	jobs: VecDeque<Arc<Job>>,
	bytes: usize,
	running: usize,
}

impl Queue {
	fn pop(&mut self) -> Option<Arc<Job>> {
		let job = self.jobs.pop_front()?;
		self.bytes = self.bytes.saturating_sub(job.input_len);
		self.running += 1;
		Some(job)
	}
}

/// A finished job that is kept for those who ask again.
struct Kept {
	cost: usize,
	/// When it was last asked for.
	tick: u64,
}

/// All jobs. Waiting and running ones are bounded by the queues; finished ones by count and bytes, those go first that
/// nobody has asked for longest.
pub(crate) struct Jobs {
	max_queue: usize,
	max_queue_bytes: usize,
	max_results: usize,
	max_result_bytes: usize,
	/// Jobs that run at once, of the chain; API users have what these leave.
	threads: usize,
	max_running: usize,
	by_key: HashMap<Key, (Arc<Job>, Option<Kept>)>,
	by_age: BTreeMap<u64, Key>,
	kept_bytes: usize,
	tick: u64,
	chain: Queue,
	api: Queue,
	closing: bool,
}

impl Jobs {
	pub(crate) fn new(options: &EngineOptions) -> Self {
		Self {
			max_queue: options.max_queue,
			max_queue_bytes: options.max_queue_bytes,
			max_results: options.max_results,
			max_result_bytes: options.max_result_bytes,
			threads: options.threads.max(1),
			max_running: options.max_running,
			by_key: HashMap::new(),
			by_age: BTreeMap::new(),
			kept_bytes: 0,
			tick: 0,
			chain: Queue::default(),
			api: Queue::default(),
			closing: false,
		}
	}

	pub(crate) fn is_closing(&self) -> bool {
		self.closing
	}

	/// How many wait on a lane.
	pub(crate) fn queued(&self, lane: Lane) -> usize {
		self.lane(lane).jobs.len()
	}

	/// How many of a lane are on threads.
	pub(crate) fn running(&self, lane: Lane) -> usize {
		self.lane(lane).running
	}

	fn lane(&self, lane: Lane) -> &Queue {
		match lane {
			Lane::Chain => &self.chain,
			Lane::Api => &self.api,
		}
	}

	fn lane_mut(&mut self, lane: Lane) -> &mut Queue {
		match lane {
			Lane::Chain => &mut self.chain,
			Lane::Api => &mut self.api,
		}
	}

	/// Takes no more jobs, and forgets those not begun: their callers see that the sender is gone.
	pub(crate) fn close(&mut self) {
		self.closing = true;
		self.chain.jobs.clear();
		self.api.jobs.clear();
		self.by_key.retain(|_, (job, _)| !matches!(*job.state.borrow(), State::Queued));
	}

	/// The job with this key, if it is known.
	pub(crate) fn find(&mut self, key: &Key) -> Option<Arc<Job>> {
		let (job, kept) = self.by_key.get_mut(key)?;
		if let Some(kept) = kept {
			self.tick += 1;
			self.by_age.remove(&kept.tick);
			self.by_age.insert(self.tick, key.clone());
			kept.tick = self.tick;
		}
		Some(job.clone())
	}

	/// The known job that this call means. `None` if it has to be run.
	pub(crate) fn same(&mut self, job: &Job) -> Result<Option<Arc<Job>>, Refusal> {
		let Some(known) = job.key.as_ref().and_then(|key| self.find(key)) else { return Ok(None) };
		let is_mendable = matches!(*known.state.borrow(), State::Failed(Failure::Engine(_)));
		match (known.is_same(job.model, &job.digest), is_mendable) {
			(false, _) => Err(Refusal::KeyTaken),
			(true, true) => Ok(None),
			(true, false) => Ok(Some(known)),
		}
	}

	/// Puts a job that is not known yet at the end of its lane's queue.
	pub(crate) fn push(&mut self, job: Arc<Job>) -> Result<(), Refusal> {
		if self.closing {
			return Err(Refusal::Closing);
		}
		let (max_queue, max_bytes) = (self.max_queue, self.max_queue_bytes);
		let queue = self.lane_mut(job.lane());
		let bytes = queue.bytes.saturating_add(job.input_len);
		// An input larger than the whole bound is taken when nothing else waits: it has passed the bound on bodies.
		if queue.jobs.len() >= max_queue || (bytes > max_bytes && !queue.jobs.is_empty()) {
			return Err(Refusal::QueueFull);
		}
		queue.bytes = bytes;
		queue.jobs.push_back(job.clone());
		if let Some(key) = &job.key {
			self.forget(key);
			self.by_key.insert(key.clone(), (job.clone(), None));
		}
		Ok(())
	}

	/// The next job to run, if one may run now. Whoever takes it says so when it ends: [`Jobs::finish`].
	pub(crate) fn pop(&mut self) -> Option<Arc<Job>> {
		if self.chain.running < self.threads {
			if let Some(job) = self.chain.pop() {
				return Some(job);
			}
		}
		let is_room = self.chain.running + self.api.running < self.threads && self.api.running < self.max_running;
		is_room.then(|| self.api.pop()).flatten()
	}

	/// Takes a job out of its queue, if it is there still.
	pub(crate) fn drop_queued(&mut self, job: &Arc<Job>) -> bool {
		let queue = self.lane_mut(job.lane());
		let Some(at) = queue.jobs.iter().position(|queued| Arc::ptr_eq(queued, job)) else { return false };
		queue.jobs.remove(at);
		queue.bytes = queue.bytes.saturating_sub(job.input_len);
		true
	}

	/// Tells everybody who waits, and keeps the result for those who come later.
	pub(crate) fn finish(&mut self, job: &Job, state: State) {
		let queue = self.lane_mut(job.lane());
		queue.running = queue.running.saturating_sub(1);
		let cost = match &state {
			State::Done(output) => output.len(),
			_ => 0,
		} + 512;
		job.state.send_replace(state);
		let Some(key) = &job.key else { return };
		let Some((_, kept)) = self.by_key.get_mut(key) else { return };
		self.tick += 1;
		*kept = Some(Kept { cost, tick: self.tick });
		self.by_age.insert(self.tick, key.clone());
		self.kept_bytes += cost;
		// The newest stays whatever it costs: its caller has had no chance to collect it.
		while self.by_age.len() > 1 && (self.by_age.len() > self.max_results || self.kept_bytes > self.max_result_bytes)
		{
			let Some((_, oldest)) = self.by_age.pop_first() else { break };
			self.forget(&oldest);
		}
	}

	fn forget(&mut self, key: &Key) {
		if let Some((_, Some(kept))) = self.by_key.remove(key) {
			self.by_age.remove(&kept.tick);
			self.kept_bytes = self.kept_bytes.saturating_sub(kept.cost);
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn job(key: &str, input: &[u8]) -> Arc<Job> {
		Arc::new(Job::new(Some(name(key)), ModelId([1; 32]), input.to_vec(), Work::Infer))
	}

	fn name(key: &str) -> Key {
		Key::Job(key.parse().unwrap())
	}

	fn run(jobs: &mut Jobs, key: &str, output: usize) {
		jobs.push(job(key, b"")).unwrap();
		let next = jobs.pop().unwrap();
		jobs.finish(&next, State::Done(Arc::new(vec![0; output])));
	}

	fn knows(jobs: &mut Jobs, key: &str) -> bool {
		jobs.by_key.contains_key(&name(key))
	}

	#[test]
	fn results_should_leave_in_order_of_last_use_when_there_are_too_many() {
		let mut jobs = Jobs::new(&EngineOptions { max_results: 2, ..Default::default() });
		run(&mut jobs, "a", 1);
		run(&mut jobs, "b", 1);
		jobs.find(&name("a")).unwrap();
		run(&mut jobs, "c", 1);
		assert!(knows(&mut jobs, "a") && !knows(&mut jobs, "b") && knows(&mut jobs, "c"));
	}

	#[test]
	fn results_should_leave_when_they_take_too_many_bytes_but_never_the_newest() {
		let mut jobs = Jobs::new(&EngineOptions { max_result_bytes: 4096, ..Default::default() });
		run(&mut jobs, "a", 1000);
		run(&mut jobs, "b", 1000);
		run(&mut jobs, "c", 10_000);
		assert!(!knows(&mut jobs, "a") && !knows(&mut jobs, "b") && knows(&mut jobs, "c"));
		run(&mut jobs, "d", 1);
		assert!(!knows(&mut jobs, "c") && knows(&mut jobs, "d"));
		assert_eq!((jobs.kept_bytes, jobs.by_age.len()), (513, 1));
	}

	#[test]
	fn queue_should_be_full_when_its_bytes_are() {
		let mut jobs = Jobs::new(&EngineOptions { max_queue_bytes: 10, ..Default::default() });
		jobs.push(job("large", &[0; 20])).unwrap();
		assert_eq!(jobs.push(job("b", &[0; 1])), Err(Refusal::QueueFull));
		jobs.pop().unwrap();
		jobs.push(job("b", &[0; 6])).unwrap();
		assert_eq!(jobs.push(job("c", &[0; 6])), Err(Refusal::QueueFull));
		jobs.push(job("d", &[0; 4])).unwrap();
	}

	#[test]
	fn chain_should_be_first_and_never_wait_for_users_when_both_ask() {
		let mut jobs = Jobs::new(&EngineOptions { threads: 2, max_running: 2, ..Default::default() });
		let asked = || Arc::new(Job::new(None, ModelId([1; 32]), vec![], Work::Infer));
		let lane = |job: Option<Arc<Job>>| job.map(|job| job.lane());
		for _ in 0..3 {
			jobs.push(asked()).unwrap();
		}
		let users = [jobs.pop().unwrap(), jobs.pop().unwrap()];
		assert!(jobs.pop().is_none());
		for key in ["a", "b", "c"] {
			jobs.push(job(key, b"")).unwrap();
		}
		// Both run at once though users have all threads; the third waits for one of them.
		assert_eq!(lane(jobs.pop()), Some(Lane::Chain));
		let second = jobs.pop().unwrap();
		assert_eq!((second.lane(), jobs.pop().is_none()), (Lane::Chain, true));
		// Users begin nothing while the chain has the threads.
		users.iter().for_each(|job| jobs.finish(job, State::Done(Arc::default())));
		assert!(jobs.pop().is_none());
		jobs.finish(&second, State::Done(Arc::default()));
		assert_eq!(lane(jobs.pop()), Some(Lane::Chain));
		assert_eq!((jobs.queued(Lane::Api), jobs.running(Lane::Chain)), (1, 2));
	}

	#[test]
	fn queue_should_have_room_when_a_waiting_job_is_dropped() {
		let mut jobs = Jobs::new(&EngineOptions { max_queue: 1, ..Default::default() });
		let asked = || Arc::new(Job::new(None, ModelId([1; 32]), vec![0; 8], Work::Infer));
		let first = asked();
		jobs.push(first.clone()).unwrap();
		assert_eq!(jobs.push(asked()), Err(Refusal::QueueFull));
		// The lanes have a queue each.
		jobs.push(job("a", b"")).unwrap();
		assert!(jobs.drop_queued(&first) && !jobs.drop_queued(&first));
		assert_eq!(jobs.api.bytes, 0);
		jobs.push(asked()).unwrap();
	}

	#[test]
	fn job_should_run_again_when_only_the_engine_lacked_something() {
		let mut jobs = Jobs::new(&EngineOptions::default());
		let first = job("a", b"x");
		jobs.push(first.clone()).unwrap();
		assert!(jobs.same(&job("a", b"x")).unwrap().is_some());
		assert_eq!(jobs.same(&job("a", b"y")).err(), Some(Refusal::KeyTaken));
		let taken = jobs.pop().unwrap();
		jobs.finish(&taken, State::Failed(Failure::Engine("damaged".into())));
		assert!(jobs.same(&job("a", b"x")).unwrap().is_none());
		jobs.push(job("a", b"x")).unwrap();
		assert_eq!((jobs.kept_bytes, jobs.by_age.len()), (0, 0));
	}
}
