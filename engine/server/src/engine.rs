//! The engine: models in memory, threads that evaluate, tickets for those who wait.

use std::{
	collections::HashMap,
	fmt::Write,
	panic::{catch_unwind, AssertUnwindSafe},
	path::PathBuf,
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc, Condvar, Mutex, MutexGuard, PoisonError,
	},
	time::Duration,
};

use assay_semantics::{side_byte_len, EvalError, Model, Tensor, TensorType};
use codec::Encode;
use tokio::sync::watch;

use crate::{
	jobs::{Job, Jobs, Key, Task, Work},
	traces::{self, Inquiry, OwnTrace, Traces},
	Evaluator, Failure, JobKey, Kernels, ModelId, Refusal, State, Store, StoreError,
};

/// How much of everything the engine allows itself.
#[derive(Clone, Debug)]
pub struct EngineOptions {
	/// Threads that evaluate; 0 for one per processor.
	pub threads: usize,
	/// Jobs that may wait for a thread.
	pub max_queue: usize,
	/// Bytes of input that may wait for a thread.
	pub max_queue_bytes: usize,
	/// Bytes of one request's body.
	pub max_body_bytes: usize,
	/// Bytes of all bodies that are being read or answered.
	pub max_bodies_bytes: usize,
	/// Results that are kept for those who ask again.
	pub max_results: usize,
	/// Bytes of results that are kept.
	pub max_result_bytes: usize,
	/// Models that are kept in memory.
	pub max_models: usize,
	/// Traces that are kept: their inputs, and about 200 bytes for each value.
	pub max_traces: usize,
	/// Bytes of values of traces that are kept after they were computed again.
	pub max_value_bytes: usize,
}

impl Default for EngineOptions {
	fn default() -> Self {
		Self {
			threads: 0,
			max_queue: 256,
			max_queue_bytes: 256 << 20,
			max_body_bytes: 16 << 20,
			max_bodies_bytes: 256 << 20,
			max_results: 10_000,
			max_result_bytes: 256 << 20,
			max_models: 16,
			max_traces: 16,
			max_value_bytes: 256 << 20,
		}
	}
}

/// Keeps models and evaluates them. Dropping it forgets what waits; evaluations that have begun end by themselves.
pub struct Engine {
	shared: Arc<Shared>,
}

struct Shared {
	store: Store,
	options: EngineOptions,
	evaluator: Arc<dyn Evaluator>,
	models: Mutex<Models>,
	/// Held while a model is loaded, so that no model is loaded twice at once.
	loading: Mutex<()>,
	jobs: Mutex<Jobs>,
	traces: Traces,
	work: Condvar,
	counters: Counters,
}

#[derive(Default)]
struct Models {
	by_id: HashMap<ModelId, (Arc<Model>, u64)>,
	tick: u64,
}

#[derive(Default)]
struct Counters {
	started: AtomicU64,
	done: AtomicU64,
	failed: AtomicU64,
	panicked: AtomicU64,
	refused: AtomicU64,
	loaded: AtomicU64,
	traced: AtomicU64,
}

fn count(counter: &AtomicU64) {
	counter.fetch_add(1, Ordering::Relaxed);
}

/// A panic on another thread leaves our tables whole: nothing that can panic runs while they are locked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
	mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
	/// Opens the store in a folder, which is made if needed, and starts the threads. Evaluates with [`Kernels`], and is refused
	/// where they do not give the bits of the reference.
	pub fn open(store: impl Into<PathBuf>, options: EngineOptions) -> Result<Self, StoreError> {
		let store = Store::open(store)?;
		let kernels = Kernels::new(options.threads, options.max_models).map_err(StoreError::Kernels)?;
		log::debug!("the self-test of the {} kernels passed", kernels.name());
		Ok(Self::new(store, options, kernels))
	}

	/// Starts the threads over an open store, with an evaluator of the caller's choice.
	pub fn new(store: Store, mut options: EngineOptions, evaluator: impl Evaluator) -> Self {
		if options.threads == 0 {
			options.threads = std::thread::available_parallelism().map_or(1, |n| n.get());
		}
		let shared = Arc::new(Shared {
			store,
			evaluator: Arc::new(evaluator),
			models: Mutex::default(),
			loading: Mutex::default(),
			jobs: Mutex::new(Jobs::new(&options)),
			traces: Traces::new(options.max_traces, options.max_value_bytes),
			work: Condvar::new(),
			counters: Counters::default(),
			options,
		});
		for i in 0..shared.options.threads {
			let of_thread = shared.clone();
			let started = std::thread::Builder::new().name(format!("inference-{i}")).spawn(move || of_thread.work());
			if let Err(e) = started {
				log::error!("cannot start inference thread {i} of {}: {e}", shared.options.threads);
			}
		}
		Self { shared }
	}

	/// The folder of models.
	pub fn store(&self) -> &Store {
		&self.shared.store
	}

	/// What evaluates: the instruction set of the kernels, or `reference`.
	pub fn evaluator(&self) -> String {
		self.shared.evaluator.name()
	}

	/// The options that are in force.
	pub fn options(&self) -> &EngineOptions {
		&self.shared.options
	}

	/// The model, from memory or from the store. Reads and hashes the whole file the first time: not for async threads.
	pub fn model(&self, id: ModelId) -> Result<Arc<Model>, StoreError> {
		self.shared.model(id)
	}

	/// The model, if it is in memory.
	pub fn loaded(&self, id: ModelId) -> Option<Arc<Model>> {
		lock(&self.shared.models).get(id)
	}

	/// Starts a job, or finds the one that was started under the same key before. The input is that of all input
	/// tensors, one after the other, raw and little-endian.
	pub fn submit(&self, key: JobKey, model: ModelId, input: Vec<u8>) -> Result<Ticket, Refusal> {
		self.take(Job::new(Some(Key::Job(key)), model, input, Work::Infer))
	}

	/// Starts a job that nobody can ask for again; it is dropped from the queue with its ticket.
	pub fn submit_once(&self, model: ModelId, input: Vec<u8>) -> Result<Ticket, Refusal> {
		self.take(Job::new(None, model, input, Work::Infer))
	}

	/// Starts to build the trace of an input, or finds the one that was started under the same key before. When it is done,
	/// the ticket has the encoded `Publication`.
	pub fn submit_trace(&self, key: JobKey, model: ModelId, input: Vec<u8>) -> Result<Ticket, Refusal> {
		self.take(Job::new(Some(Key::Trace(key)), model, input, Work::Trace))
	}

	/// Starts to answer an encoded `Demand` on a trace that is built, or finds the answer. None when there is no such trace
	/// (any more): it has to be submitted again. When it is done, the ticket has the encoded `Answer`.
	pub fn open_trace(&self, key: &JobKey, demand: Vec<u8>) -> Result<Option<Ticket>, Refusal> {
		let known = lock(&self.shared.jobs).find(&Key::Trace(key.clone()));
		let built = known.and_then(|job| Some((job.model, job.built()?)));
		let Some((model, id)) = built else { return Ok(None) };
		let Some(trace) = self.shared.traces.get(&id) else { return Ok(None) };
		self.take(Job::asked(&id, model, demand, Work::Open(trace))).map(Some)
	}

	/// Starts to look into somebody's trace, or finds what was found. The body is the SCALE encoding of the input, the
	/// encoded `Publication`, and a list of encoded `Demand`s, each with its encoded `Answer`; all of them are byte strings.
	/// When it is done, the ticket has the encoded `Advice`.
	pub fn investigate(&self, model: ModelId, body: Vec<u8>) -> Result<Ticket, Refusal> {
		self.take(Job::asked(&model.0, model, body, Work::Investigate))
	}

	/// The job with this key, if it was submitted and has not been evicted since.
	pub fn find(&self, key: &JobKey) -> Option<Ticket> {
		self.ticket(&Key::Job(key.clone()))
	}

	/// The trace with this key, as [`Engine::find`] finds jobs.
	pub fn find_trace(&self, key: &JobKey) -> Option<Ticket> {
		self.ticket(&Key::Trace(key.clone()))
	}

	fn ticket(&self, key: &Key) -> Option<Ticket> {
		lock(&self.shared.jobs).find(key).map(|job| Ticket { state: job.state.subscribe() })
	}

	fn take(&self, job: Job) -> Result<Ticket, Refusal> {
		let refused = |refusal| {
			count(&self.shared.counters.refused);
			Err(refusal)
		};
		let is_stored = self.loaded(job.model).is_some() || self.shared.store.contains(job.model);
		let mut jobs = lock(&self.shared.jobs);
		// A trace that is gone has to be built again.
		let is_lost = |known: &Job| known.built().is_some_and(|id| self.shared.traces.get(&id).is_none());
		match jobs.same(&job).map(|known| known.filter(|known| !is_lost(known))) {
			Ok(Some(known)) => return Ok(Ticket { state: known.state.subscribe() }),
			Ok(None) if !is_stored => return refused(Refusal::UnknownModel(job.model)),
			Ok(None) => {}
			Err(refusal) => return refused(refusal),
		}
		let job = Arc::new(job);
		let ticket = Ticket { state: job.state.subscribe() };
		if let Err(refusal) = jobs.push(job) {
			return refused(refusal);
		}
		self.shared.work.notify_one();
		Ok(ticket)
	}

	/// Counters and gauges, in the text format of Prometheus.
	pub fn metrics(&self) -> String {
		let counters = &self.shared.counters;
		let queued = lock(&self.shared.jobs).queued() as u64;
		let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
		let mut text = String::new();
		for (name, kind, help, value) in [
			("jobs_started_total", "counter", "Evaluations begun.", get(&counters.started)),
			("jobs_done_total", "counter", "Evaluations that gave an output.", get(&counters.done)),
			("jobs_failed_total", "counter", "Jobs that gave none.", get(&counters.failed)),
			("jobs_panicked_total", "counter", "Jobs that failed by an error in the engine.", get(&counters.panicked)),
			("jobs_refused_total", "counter", "Jobs that were not taken.", get(&counters.refused)),
			("jobs_queued", "gauge", "Jobs that wait for a thread.", queued),
			("models_loaded_total", "counter", "Models read from the store.", get(&counters.loaded)),
			("traces_built_total", "counter", "Traces built.", get(&counters.traced)),
			("traces_kept", "gauge", "Traces whose roots are kept.", self.shared.traces.len() as u64),
			("values_kept", "gauge", "Values of traces in memory.", self.shared.traces.values() as u64),
		] {
			// Writing to a string cannot fail.
			let _ = write!(text, "# HELP assay_engine_{name} {help}\n# TYPE assay_engine_{name} {kind}\n");
			let _ = writeln!(text, "assay_engine_{name} {value}");
		}
		text
	}
}

impl Drop for Engine {
	fn drop(&mut self) {
		lock(&self.shared.jobs).close();
		self.shared.work.notify_all();
	}
}

/// A way to watch one job.
pub struct Ticket {
	state: watch::Receiver<State>,
}

impl Ticket {
	/// How far the job is.
	pub fn state(&self) -> State {
		self.state.borrow().clone()
	}

	/// Waits until the job is finished or the time is over, and says how far it is.
	pub async fn wait(&mut self, time: Duration) -> State {
		// Both ways of not getting there, time and a closed engine, leave a state that says so.
		let _ = tokio::time::timeout(time, self.state.wait_for(State::is_final)).await;
		self.state()
	}

	/// Waits until the job is finished.
	pub async fn finished(mut self) -> Result<State, Refusal> {
		self.state.wait_for(State::is_final).await.map(|state| state.clone()).map_err(|_| Refusal::Closing)
	}
}

impl Models {
	fn get(&mut self, id: ModelId) -> Option<Arc<Model>> {
		self.tick += 1;
		let (model, used) = self.by_id.get_mut(&id)?;
		*used = self.tick;
		Some(model.clone())
	}

	fn keep(&mut self, id: ModelId, model: Arc<Model>, max: usize) {
		while self.by_id.len() >= max.max(1) {
			let Some(oldest) = self.by_id.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) else { break };
			self.by_id.remove(&oldest);
		}
		self.tick += 1;
		self.by_id.insert(id, (model, self.tick));
	}
}

impl Shared {
	fn model(&self, id: ModelId) -> Result<Arc<Model>, StoreError> {
		if let Some(model) = lock(&self.models).get(id) {
			return Ok(model);
		}
		let _loading = lock(&self.loading);
		if let Some(model) = lock(&self.models).get(id) {
			return Ok(model);
		}
		let model = self.store.get(id).map(Arc::new).inspect_err(|e| log::error!("{e}"))?;
		count(&self.counters.loaded);
		log::info!("loaded model {id}");
		lock(&self.models).keep(id, model.clone(), self.options.max_models);
		Ok(model)
	}

	/// What each thread does until the engine is dropped.
	fn work(&self) {
		while let Some(job) = self.next() {
			if job.is_abandoned() {
				continue;
			}
			job.state.send_replace(State::Running);
			count(&self.counters.started);
			let Some(task) = job.take() else { continue };
			let state = match catch_unwind(AssertUnwindSafe(|| self.run(job.model, &job.digest, task))) {
				Ok(Ok(output)) => {
					count(&self.counters.done);
					State::Done(Arc::new(output))
				}
				Ok(Err(failure)) => {
					count(&self.counters.failed);
					State::Failed(failure)
				}
				Err(panic) => {
					count(&self.counters.failed);
					count(&self.counters.panicked);
					let failure = Failure::Panic(format!("an error in the engine: {}", panic_message(&*panic)));
					log::error!("model {}: {failure}", job.model);
					State::Failed(failure)
				}
			};
			lock(&self.jobs).finish(&job, state);
		}
	}

	fn next(&self) -> Option<Arc<Job>> {
		let mut jobs = lock(&self.jobs);
		loop {
			if jobs.is_closing() {
				return None;
			}
			if let Some(job) = jobs.pop() {
				return Some(job);
			}
			jobs = self.work.wait(jobs).unwrap_or_else(PoisonError::into_inner);
		}
	}

	fn run(&self, id: ModelId, digest: &[u8; 32], task: Task) -> Result<Vec<u8>, Failure> {
		match task.work {
			Work::Infer => self.infer(id, task.input),
			Work::Trace => Ok(self.trace(id, digest, &task.input)?.publication().encode()),
			Work::Open(trace) => traces::open(&trace, &task.input),
			Work::Investigate => {
				let inquiry = Inquiry::decode(&task.input)?;
				let digest = Job::digest_of(&inquiry.input);
				inquiry.advise(self.trace(id, &digest, &inquiry.input)?)
			}
		}
	}

	fn infer(&self, id: ModelId, input: Vec<u8>) -> Result<Vec<u8>, Failure> {
		let model = self.model(id).map_err(|e| Failure::Engine(e.to_string()))?;
		let inputs = split(&model.header().inputs, &input)?;
		drop(input);
		let outputs = self.evaluator.outputs(&model, &inputs).map_err(evaluation)?;
		let bytes = outputs.into_iter().map(|output| output.bytes.into_vec());
		Ok(bytes.reduce(|joined, next| [joined, next].concat()).unwrap_or_default())
	}

	/// The trace of an input with this digest, built if it is not there.
	fn trace(&self, id: ModelId, digest: &[u8; 32], input: &[u8]) -> Result<OwnTrace, Failure> {
		let model = self.model(id).map_err(|e| Failure::Engine(e.to_string()))?;
		let inputs = split(&model.header().inputs, input)?;
		let built = self.traces.build(traces::trace_id(id, digest), &self.evaluator, model, inputs);
		let (trace, is_new) = built.map_err(evaluation)?;
		if is_new {
			count(&self.counters.traced);
		}
		Ok(trace)
	}
}

fn evaluation(e: EvalError) -> Failure {
	match e {
		EvalError::Memory => Failure::Engine(e.to_string()),
		_ => Failure::Input(e.to_string()),
	}
}

/// Cuts concatenated tensors apart.
pub(crate) fn split(types: &[TensorType], bytes: &[u8]) -> Result<Vec<Tensor>, Failure> {
	let invalid = |reason: String| Failure::Input(reason);
	let expected = side_byte_len(types).ok_or_else(|| invalid("the model's tensors are too large".into()))?;
	if expected != bytes.len() as u64 {
		return Err(invalid(format!("the input must be {expected} bytes long, and it is {}", bytes.len())));
	}
	let mut rest = bytes;
	let mut tensors = Vec::with_capacity(types.len());
	for ty in types {
		let len = ty.byte_len().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
		let (tensor, after) =
			rest.split_at_checked(len).ok_or_else(|| invalid("the model's tensors are too large".into()))?;
		tensors.push(Tensor::new(ty.clone(), tensor.to_vec()).map_err(|e| invalid(e.to_string()))?);
		rest = after;
	}
	Ok(tensors)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
	let text = panic.downcast_ref::<&str>().copied();
	text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
