//! Traces: their roots are kept, their values are computed again when somebody asks for them.

use std::{
	collections::{HashMap, VecDeque},
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc, Mutex, TryLockError,
	},
};

use assay_semantics::{
	commit,
	judge::Demand,
	prover::{advise, Trace, Values},
	EvalError, Hash, Model, Op, Tensor, ValueId,
};
use codec::{DecodeAll, DecodeWithMemLimit, Encode};

use crate::{engine::lock, Evaluator, Failure, ModelId};

/// Stands for a model and an input: traces are deterministic.
pub(crate) type TraceId = Hash;

/// A trace of which the roots are kept.
pub(crate) type OwnTrace = Trace<Arc<Model>, Again>;

/// Memory that the messages of an investigation may take, beside its input.
pub(crate) const MAX_MESSAGES_BYTES: usize = 1 << 20;

pub(crate) fn trace_id(model: ModelId, input: &Hash) -> TraceId {
	assay_semantics::hash(b"assay/engine/trace", &[&model.0, input])
}

/// The traces that are kept, the one last used longest ago goes first.
pub(crate) struct Traces {
	max: usize,
	kept: Mutex<(HashMap<TraceId, (Arc<Slot>, u64)>, u64)>,
	recent: Arc<Recent>,
}

/// Locked while its trace is built, so that no trace is built twice at once.
type Slot = Mutex<Option<OwnTrace>>;

impl Traces {
	pub(crate) fn new(max: usize, max_value_bytes: usize) -> Self {
		let recent = Recent { max_bytes: max_value_bytes, ..Default::default() };
		Self { max: max.max(1), kept: Mutex::default(), recent: Arc::new(recent) }
	}

	/// A trace that is there and finished.
	pub(crate) fn get(&self, id: &TraceId) -> Option<OwnTrace> {
		let mut kept = lock(&self.kept);
		let (by_id, tick) = &mut *kept;
		let (slot, used) = by_id.get_mut(id)?;
		*tick += 1;
		*used = *tick;
		let there = match slot.try_lock() {
			Ok(there) => there.clone(),
			// Whoever panicked had not put anything there.
			Err(TryLockError::Poisoned(there)) => there.into_inner().clone(),
			Err(TryLockError::WouldBlock) => None,
		};
		there
	}

	fn slot(&self, id: TraceId) -> Arc<Slot> {
		let mut kept = lock(&self.kept);
		let (by_id, tick) = &mut *kept;
		while by_id.len() >= self.max && !by_id.contains_key(&id) {
			let Some(oldest) = by_id.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) else { break };
			by_id.remove(&oldest);
		}
		*tick += 1;
		let (slot, used) = by_id.entry(id).or_default();
		*used = *tick;
		slot.clone()
	}

	/// The trace, which is built if it is not there. True if it was built.
	pub(crate) fn build(
		&self,
		id: TraceId,
		evaluator: &Arc<dyn Evaluator>,
		model: Arc<Model>,
		inputs: Vec<Tensor>,
	) -> Result<(OwnTrace, bool), EvalError> {
		let slot = self.slot(id);
		let mut there = lock(&slot);
		if let Some(trace) = &*there {
			return Ok((trace.clone(), false));
		}
		let mut roots = Vec::with_capacity(model.nodes().len());
		evaluator.values(&model, &inputs, None, &mut |value, tensor| roots.push(root(&model, value, tensor)))?;
		let (evaluator, recent) = (evaluator.clone(), self.recent.clone());
		let values = Again(Arc::new(Source { id, model: model.clone(), inputs, evaluator, recent }));
		let trace = Trace::from_roots(model, roots, values);
		*there = Some(trace.clone());
		Ok((trace, true))
	}

	/// How many traces there are, finished or not.
	pub(crate) fn len(&self) -> usize {
		lock(&self.kept).0.len()
	}

	/// How often values were found in memory, and how often they had to be computed.
	pub(crate) fn lookups(&self) -> (u64, u64) {
		let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
		(get(&self.recent.found), get(&self.recent.computed))
	}

	/// How many computed values are in memory.
	pub(crate) fn values(&self) -> usize {
		lock(&self.recent.list).iter().filter(|(_, _, held)| matches!(held, Held::Computed(_))).count()
	}
}

/// The root of a value. Those of the model's own weights are known.
fn root(model: &Model, value: ValueId, tensor: &Tensor) -> Hash {
	if let Some(Op::Weight(i)) = model.nodes().get(value as usize).map(|n| &n.op) {
		let weight = model.weights().get(*i as usize).zip(model.weight_roots().get(*i as usize));
		if let Some((_, root)) = weight.filter(|(weight, _)| std::ptr::eq(*weight, tensor)) {
			return *root;
		}
	}
	commit::root_of(tensor)
}

/// The values of one trace: from memory if somebody has just asked for them, else from another evaluation.
#[derive(Clone)]
pub(crate) struct Again(Arc<Source>);

struct Source {
	id: TraceId,
	model: Arc<Model>,
	inputs: Vec<Tensor>,
	evaluator: Arc<dyn Evaluator>,
	recent: Arc<Recent>,
}

impl Values for Again {
	fn with<R>(&self, values: &[ValueId], f: impl FnOnce(&[&Tensor]) -> Option<R>) -> Option<R> {
		let held = self.0.recent.get(&self.0.id, values).or_else(|| self.0.compute(values))?;
		let tensors: Option<Vec<&Tensor>> = values.iter().zip(&held).map(|(v, held)| self.0.tensor(*v, held)).collect();
		f(&tensors?)
	}
}

impl Source {
	fn own(&self, value: ValueId) -> Option<&Tensor> {
		match self.model.nodes().get(value as usize)?.op {
			Op::Input(i) => self.inputs.get(i as usize),
			Op::Weight(i) => self.model.weights().get(i as usize),
			_ => None,
		}
	}

	fn tensor<'a>(&'a self, value: ValueId, held: &'a Held) -> Option<&'a Tensor> {
		match held {
			Held::Own => self.own(value),
			Held::Computed(tensor) => Some(tensor),
		}
	}

	/// Evaluates up to these values.
	fn compute(&self, values: &[ValueId]) -> Option<Vec<Held>> {
		let mut wanted = values.to_vec();
		if let [value] = *values {
			// Who asks for a value asks next for what it is computed from, which is there now.
			wanted.extend(self.model.nodes().get(value as usize)?.inputs.iter().copied());
		}
		let mut found = HashMap::new();
		let visit = &mut |value: ValueId, tensor: &Tensor| {
			if wanted.contains(&value) {
				let own = self.own(value).is_some_and(|own| std::ptr::eq(own, tensor));
				found.insert(value, if own { Held::Own } else { Held::Computed(Arc::new(tensor.clone())) });
			}
		};
		if let Err(e) = self.evaluator.values(&self.model, &self.inputs, Some(&wanted), visit) {
			log::error!("a value of a trace cannot be computed: {e}");
			return None;
		}
		let held = values.iter().map(|v| found.get(v).cloned()).collect();
		for (value, tensor) in found {
			self.recent.put(self.id, value, tensor);
		}
		held
	}
}

/// A value in memory.
#[derive(Clone)]
enum Held {
	/// It is the input, or the model's weight.
	Own,
	Computed(Arc<Tensor>),
}

/// Values that were computed again lately, of all traces, the latest first.
#[derive(Default)]
struct Recent {
	max_bytes: usize,
	list: Mutex<VecDeque<(TraceId, ValueId, Held)>>,
	/// Lookups that found all values, and those that did not.
	found: AtomicU64,
	computed: AtomicU64,
}

/// Values kept, whatever their size: the list is searched from end to end.
const MAX_RECENT: usize = 256;

impl Recent {
	/// These values, if all of them are there.
	fn get(&self, trace: &TraceId, values: &[ValueId]) -> Option<Vec<Held>> {
		let mut list = lock(&self.list);
		let mut take = |value: &ValueId| {
			let at = list.iter().position(|(t, v, _)| t == trace && v == value)?;
			let entry = list.remove(at)?;
			let held = entry.2.clone();
			list.push_front(entry);
			Some(held)
		};
		let held: Option<_> = values.iter().map(&mut take).collect();
		if held.is_some() { &self.found } else { &self.computed }.fetch_add(1, Ordering::Relaxed);
		held
	}

	fn put(&self, trace: TraceId, value: ValueId, held: Held) {
		let size = |held: &Held| match held {
			Held::Own => 0,
			Held::Computed(tensor) => tensor.bytes.len(),
		};
		let mut list = lock(&self.list);
		list.retain(|(t, v, _)| (t, v) != (&trace, &value));
		list.push_front((trace, value, held));
		let mut bytes: usize = list.iter().map(|(_, _, held)| size(held)).sum();
		// The latest goes too if it is too large: whoever computed it has it.
		while bytes > self.max_bytes || list.len() > MAX_RECENT {
			let Some((_, _, held)) = list.pop_back() else { break };
			bytes = bytes.saturating_sub(size(&held));
		}
	}
}

fn unavailable() -> Failure {
	Failure::Engine("a value of the trace cannot be computed now; the engine's log says why".into())
}

/// The encoded answer to an encoded demand.
pub(crate) fn open(trace: &OwnTrace, demand: &[u8]) -> Result<Vec<u8>, Failure> {
	let demand =
		Demand::decode_all(&mut &demand[..]).map_err(|_| Failure::Malformed("the body is no demand".into()))?;
	let evidence = trace.evidence(&demand).ok_or_else(|| Failure::Input("there is no such value".into()))?;
	demand.check(&trace.model().id(), &evidence).map_err(|fault| Failure::Input(fault.to_string()))?;
	trace.open(&demand).map(|answer| answer.encode()).ok_or_else(unavailable)
}

/// The body of a request for an investigation.
pub(crate) struct Inquiry {
	pub(crate) input: Vec<u8>,
	publication: Vec<u8>,
	answers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Inquiry {
	pub(crate) fn decode(body: &[u8]) -> Result<Self, Failure> {
		let mut rest = body;
		let most = body.len().saturating_add(MAX_MESSAGES_BYTES);
		let decoded = DecodeWithMemLimit::decode_with_mem_limit(&mut rest, most);
		match decoded {
			Ok((input, publication, answers)) if rest.is_empty() => Ok(Self { input, publication, answers }),
			_ => Err(Failure::Malformed(
				"the body is not the SCALE encoding of input, publication and a list of demands with their answers"
					.into(),
			)),
		}
	}

	/// The encoded advice.
	pub(crate) fn advise(&self, own: OwnTrace) -> Result<Vec<u8>, Failure> {
		let advice =
			advise(own, &self.publication, &self.answers).map_err(|fault| Failure::Input(fault.to_string()))?;
		advice.map(|advice| advice.encode()).ok_or_else(unavailable)
	}
}
