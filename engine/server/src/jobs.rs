//! Jobs, by key: the queue of those to do, and the results of those done.

use std::{
	collections::{BTreeMap, HashMap, VecDeque},
	sync::{Arc, Mutex, PoisonError},
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
		let digest = Self::digest_of(&input);
		let (input_len, task) = (input.len(), Mutex::new(Some(Task { input, work })));
		Self { key, model, digest, input_len, task, state: watch::Sender::new(State::Queued) }
	}

	/// What stands for an input.
	pub(crate) fn digest_of(input: &[u8]) -> [u8; 32] {
		assay_semantics::hash(b"assay/engine/input", &[input])
	}

	/// A job that is known by all that goes into it.
	pub(crate) fn asked(of: &[u8; 32], model: ModelId, input: Vec<u8>, work: Work) -> Self {
		let mut job = Self::new(None, model, input, work);
		job.key = Some(Key::Asked(assay_semantics::hash(b"assay/engine/asked", &[of, &job.digest])));
		job
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

	fn is_same(&self, model: ModelId, digest: &[u8; 32]) -> bool {
		self.model == model && self.digest == *digest
	}
}

/// A finished job that is kept for those who ask again.
struct Kept {
	cost: usize,
	/// When it was last asked for.
	tick: u64,
}

/// All jobs. Waiting and running ones are bounded by the queue; finished ones by count and bytes, those go first that
/// nobody has asked for longest.
pub(crate) struct Jobs {
	max_queue: usize,
	max_queue_bytes: usize,
	max_results: usize,
	max_result_bytes: usize,
	by_key: HashMap<Key, (Arc<Job>, Option<Kept>)>,
	by_age: BTreeMap<u64, Key>,
	kept_bytes: usize,
	tick: u64,
	queue: VecDeque<Arc<Job>>,
	queue_bytes: usize,
	closing: bool,
}

impl Jobs {
	pub(crate) fn new(options: &EngineOptions) -> Self {
		Self {
			max_queue: options.max_queue,
			max_queue_bytes: options.max_queue_bytes,
			max_results: options.max_results,
			max_result_bytes: options.max_result_bytes,
			by_key: HashMap::new(),
			by_age: BTreeMap::new(),
			kept_bytes: 0,
			tick: 0,
			queue: VecDeque::new(),
			queue_bytes: 0,
			closing: false,
		}
	}

	pub(crate) fn is_closing(&self) -> bool {
		self.closing
	}

	pub(crate) fn queued(&self) -> usize {
		self.queue.len()
	}

	/// Takes no more jobs, and forgets those not begun: their callers see that the sender is gone.
	pub(crate) fn close(&mut self) {
		self.closing = true;
		self.queue.clear();
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

	/// Puts a job that is not known yet at the end of the queue.
	pub(crate) fn push(&mut self, job: Arc<Job>) -> Result<(), Refusal> {
		if self.closing {
			return Err(Refusal::Closing);
		}
		let bytes = self.queue_bytes.saturating_add(job.input_len);
		// An input larger than the whole bound is taken when nothing else waits: it has passed the bound on bodies.
		if self.queue.len() >= self.max_queue || (bytes > self.max_queue_bytes && !self.queue.is_empty()) {
			return Err(Refusal::QueueFull);
		}
		if let Some(key) = &job.key {
			self.forget(key);
			self.by_key.insert(key.clone(), (job.clone(), None));
		}
		self.queue_bytes = bytes;
		self.queue.push_back(job);
		Ok(())
	}

	/// The next job to run.
	pub(crate) fn pop(&mut self) -> Option<Arc<Job>> {
		let job = self.queue.pop_front()?;
		self.queue_bytes = self.queue_bytes.saturating_sub(job.input_len);
		Some(job)
	}

	/// Tells everybody who waits, and keeps the result for those who come later.
	pub(crate) fn finish(&mut self, job: &Job, state: State) {
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
