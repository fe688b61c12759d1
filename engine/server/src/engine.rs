//! The engine: models in memory, threads that evaluate, tickets for those who wait.

use std::{
	collections::{HashMap, HashSet},
	panic::{catch_unwind, AssertUnwindSafe},
	path::PathBuf,
	sync::{
		atomic::{AtomicBool, Ordering},
		Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
	},
	time::{Duration, Instant},
};

use assay_semantics::{side_byte_len, EvalError, Model, Tensor, TensorType};
use codec::Encode;
use tokio::sync::watch;

use crate::{
	jobs::{Job, Jobs, Key, Lane, Task, Work},
	metrics::Metrics,
	traces::{self, Inquiry, OwnTrace, Traces},
	Evaluator, Failure, JobKey, Kernels, ModelId, Refusal, State, Store, StoreError,
};

/// How much of everything the engine allows itself.
#[derive(Clone, Debug)]
pub struct EngineOptions {
	/// Evaluations at once; 0 for one per processor. The chain's jobs never wait for those of API users: where these have
	/// all threads, there are more for a while.
	pub threads: usize,
	/// Evaluations at once for users of the Open Inference Protocol; 0 for as many as `threads`.
	pub max_running: usize,
	/// Jobs that may wait for a thread: so many of the chain, and so many of API users.
	pub max_queue: usize,
	/// Bytes of input that may wait for a thread, on each of the two sides.
	pub max_queue_bytes: usize,
	/// Bytes of one request's body.
	pub max_body_bytes: usize,
	/// Bytes of all bodies that are being read or answered, on each of the two sides.
	pub max_bodies_bytes: usize,
	/// Bytes of one reply to an API user.
	pub max_output_bytes: usize,
	/// What a body may take to arrive.
	pub max_body_time: Duration,
	/// What an API user's request may take from the arrival of its body to the answer.
	pub max_infer_time: Duration,
	/// Connections that are open at once. API users have at most half of them at work; where all are taken, the one that is
	/// idle longest is closed.
	pub max_connections: usize,
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
			max_running: 0,
			max_queue: 256,
			max_queue_bytes: 256 << 20,
			max_body_bytes: 16 << 20,
			max_bodies_bytes: 256 << 20,
			max_output_bytes: 64 << 20,
			max_body_time: Duration::from_secs(30),
			max_infer_time: Duration::from_secs(60),
			max_connections: 1024,
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
	/// The models that are being loaded: none is loaded twice at once, and none waits for another.
	loading: Mutex<HashSet<ModelId>>,
	loaded: Condvar,
	jobs: Mutex<Jobs>,
	traces: Traces,
	work: Condvar,
	metrics: Metrics,
	draining: AtomicBool,
}

#[derive(Default)]
struct Models {
	by_id: HashMap<ModelId, (Arc<Model>, u64)>,
	tick: u64,
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
		if options.max_running == 0 || options.max_running > options.threads {
			options.max_running = options.threads;
		}
		let shared = Arc::new(Shared {
			store,
			evaluator: Arc::new(evaluator),
			models: Mutex::default(),
			loading: Mutex::default(),
			loaded: Condvar::new(),
			jobs: Mutex::new(Jobs::new(&options)),
			traces: Traces::new(options.max_traces, options.max_value_bytes),
			work: Condvar::new(),
			metrics: Metrics::new(),
			draining: AtomicBool::new(false),
			options,
		});
		// Enough for the chain when API users have all they may have.
		let threads = shared.options.threads + shared.options.max_running;
		for i in 0..threads {
			let of_thread = shared.clone();
			let started = std::thread::Builder::new().name(format!("inference-{i}")).spawn(move || of_thread.work());
			if let Err(e) = started {
				log::error!("cannot start inference thread {i} of {threads}: {e}");
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

	/// Whether the model is in memory, without counting that as a use.
	pub(crate) fn is_loaded(&self, id: ModelId) -> bool {
		lock(&self.shared.models).by_id.contains_key(&id)
	}

	/// Starts a job, or finds the one that was started under the same key before. The input is that of all input
	/// tensors, one after the other, raw and little-endian.
	pub fn submit(&self, key: JobKey, model: ModelId, input: Vec<u8>) -> Result<Ticket, Refusal> {
		self.take(Job::new(Some(Key::Job(key)), model, input, Work::Infer))
	}

	/// Starts a job that nobody can ask for again: an API user's. It is dropped with its ticket, queued or running.
	/// Where the evaluator can stop half-way, it does.
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
		lock(&self.shared.jobs).find(key).map(|job| Ticket::new(&job, &self.shared))
	}

	fn take(&self, job: Job) -> Result<Ticket, Refusal> {
		let refused = |refusal| {
			self.shared.metrics.refused.inc();
			Err(refusal)
		};
		let is_stored = self.loaded(job.model).is_some() || self.shared.store.contains(job.model);
		let mut jobs = lock(&self.shared.jobs);
		// A trace that is gone has to be built again.
		let is_lost = |known: &Job| known.built().is_some_and(|id| self.shared.traces.get(&id).is_none());
		match jobs.same(&job).map(|known| known.filter(|known| !is_lost(known))) {
			Ok(Some(known)) => {
				self.shared.metrics.found.inc();
				return Ok(Ticket::new(&known, &self.shared));
			}
			Ok(None) if !is_stored => return refused(Refusal::UnknownModel(job.model)),
			Ok(None) => {}
			Err(refusal) => return refused(refusal),
		}
		let job = Arc::new(job);
		let ticket = Ticket::new(&job, &self.shared);
		if let Err(refusal) = jobs.push(job) {
			// A ticket that goes looks into the queue.
			drop(jobs);
			return refused(refusal);
		}
		drop(jobs);
		self.shared.work.notify_one();
		Ok(ticket)
	}

	/// Counters, gauges and histograms, in the text format of OpenMetrics.
	pub fn metrics(&self) -> String {
		let metrics = &self.shared.metrics;
		{
			let jobs = lock(&self.shared.jobs);
			Lane::ALL.into_iter().for_each(|lane| metrics.set_lane(lane, jobs.queued(lane), jobs.running(lane)));
		}
		let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
		let (found, computed) = self.shared.traces.lookups();
		for (counter, now) in [(&metrics.values_found, found), (&metrics.values_computed, computed)] {
			counter.inc_by(now.saturating_sub(counter.get()));
		}
		metrics.traces_kept.set(number(self.shared.traces.len()));
		metrics.values_kept.set(number(self.shared.traces.values()));
		// Writing to a string cannot fail.
		metrics.encoded().unwrap_or_default()
	}

	pub(crate) fn meters(&self) -> &Metrics {
		&self.shared.metrics
	}

	/// Says that the engine is going down: it is not ready any more, and does what it has taken.
	pub(crate) fn drain(&self) {
		self.shared.draining.store(true, Ordering::Relaxed);
	}

	pub(crate) fn is_draining(&self) -> bool {
		self.shared.draining.load(Ordering::Relaxed)
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
	/// Of a job that nobody else can ask for.
	own: Option<(Weak<Job>, Weak<Shared>)>,
}

impl Ticket {
	fn new(job: &Arc<Job>, shared: &Arc<Shared>) -> Self {
		let own = (job.lane() == Lane::Api).then(|| (Arc::downgrade(job), Arc::downgrade(shared)));
		Self { state: job.state.subscribe(), own }
	}

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

impl Drop for Ticket {
	/// What nobody waits for makes room in the queue. If it runs, it ends once the evaluator sees that nobody listens.
	fn drop(&mut self) {
		let Some((job, shared)) = self.own.take() else { return };
		let (Some(job), Some(shared)) = (job.upgrade(), shared.upgrade()) else { return };
		if !self.state.borrow().is_final() && lock(&shared.jobs).drop_queued(&job) {
			shared.metrics.cancelled.inc();
		}
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

/// The right to load a model.
struct Loading<'a>(&'a Shared, ModelId);

impl Drop for Loading<'_> {
	fn drop(&mut self) {
		lock(&self.0.loading).remove(&self.1);
		self.0.loaded.notify_all();
	}
}

impl Shared {
	fn model(&self, id: ModelId) -> Result<Arc<Model>, StoreError> {
		let in_memory = || {
			lock(&self.models).get(id).inspect(|_| {
				self.metrics.in_memory.inc();
			})
		};
		if let Some(model) = in_memory() {
			return Ok(model);
		}
		let mut loading = lock(&self.loading);
		while loading.contains(&id) {
			loading = self.loaded.wait(loading).unwrap_or_else(PoisonError::into_inner);
		}
		if let Some(model) = in_memory() {
			return Ok(model);
		}
		loading.insert(id);
		drop(loading);
		let _loading = Loading(self, id);
		let model = self.store.get(id).map(Arc::new).inspect_err(|e| log::error!("{e}"))?;
		self.metrics.loaded.inc();
		log::info!("loaded model {id}");
		lock(&self.models).keep(id, model.clone(), self.options.max_models);
		Ok(model)
	}

	/// What each thread does until the engine is dropped.
	fn work(&self) {
		while let Some(job) = self.next() {
			job.state.send_replace(State::Running);
			self.metrics.started.inc();
			let since = Instant::now();
			let ran = catch_unwind(AssertUnwindSafe(|| job.take().map_or(Ok(None), |task| self.run(&job, task))));
			self.metrics.evaluated(job.lane(), since.elapsed());
			let state = match ran {
				Ok(Ok(Some(output))) => {
					self.metrics.done.inc();
					State::Done(Arc::new(output))
				}
				Ok(Ok(None)) => {
					self.metrics.cancelled.inc();
					State::Failed(Failure::Engine("stopped: nobody waits for it".into()))
				}
				Ok(Err(failure)) => {
					self.metrics.failed.inc();
					State::Failed(failure)
				}
				Err(panic) => {
					self.metrics.failed.inc();
					self.metrics.panicked.inc();
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

	/// What the job gives; none if nobody waits for it any more.
	fn run(&self, job: &Job, task: Task) -> Result<Option<Vec<u8>>, Failure> {
		let (id, digest) = (job.model, &job.digest);
		match task.work {
			Work::Infer => self.infer(id, task.input, &|| !job.is_abandoned()),
			Work::Trace => Ok(Some(self.trace(id, digest, &task.input)?.publication().encode())),
			Work::Open(trace) => traces::open(&trace, &task.input).map(Some),
			Work::Investigate => {
				let inquiry = Inquiry::decode(&task.input)?;
				let digest = Job::digest_of(&inquiry.input);
				inquiry.advise(self.trace(id, &digest, &inquiry.input)?).map(Some)
			}
		}
	}

	fn infer(
		&self,
		id: ModelId,
		input: Vec<u8>,
		wanted: &(dyn Fn() -> bool + Sync),
	) -> Result<Option<Vec<u8>>, Failure> {
		if !wanted() {
			return Ok(None);
		}
		let model = self.model(id).map_err(|e| Failure::Engine(e.to_string()))?;
		let inputs = split(&model.header().inputs, &input)?;
		drop(input);
		let outputs = self.evaluator.outputs_while(&model, &inputs, wanted).map_err(evaluation)?;
		Ok(outputs.map(|outputs| {
			let bytes = outputs.into_iter().map(|output| output.bytes.into_vec());
			bytes.reduce(|joined, next| [joined, next].concat()).unwrap_or_default()
		}))
	}

	/// The trace of an input with this digest, built if it is not there.
	fn trace(&self, id: ModelId, digest: &[u8; 32], input: &[u8]) -> Result<OwnTrace, Failure> {
		let model = self.model(id).map_err(|e| Failure::Engine(e.to_string()))?;
		let inputs = split(&model.header().inputs, input)?;
		let built = self.traces.build(traces::trace_id(id, digest), &self.evaluator, model, inputs);
		let (trace, is_new) = built.map_err(evaluation)?;
		if is_new {
			self.metrics.traced.inc();
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
