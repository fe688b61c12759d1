//! A model made ready to run.

use crate::{
	build::{build, Built},
	isa::Modes,
	memory::Buffer,
	pool::Pool,
	step::{canonicalise, clean_copies, is_ready, settle, tensor, Loc, Memory, Step, Work},
	Isa,
};
use assay_semantics::{Bytes, EvalError, Model, Tensor, TensorType, ValueId};
use std::{
	collections::HashMap,
	fmt,
	sync::{Arc, Mutex, PoisonError},
};

/// Arenas that a plan keeps for the next run.
const KEPT: usize = 4;

/// Threads that plans share. A step runs on all of them, or on the caller's alone while another plan's step has them.
#[derive(Clone)]
pub struct Threads(Arc<Pool>);

impl Threads {
	/// This many threads, the caller's among them; 0 for one per processor.
	pub fn new(threads: usize) -> Self {
		let threads = match threads {
			0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
			n => n,
		};
		Self(Arc::new(Pool::new(threads)))
	}

	/// How many there are, the caller's among them.
	pub fn count(&self) -> usize {
		self.0.threads()
	}
}

impl fmt::Debug for Threads {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "Threads({})", self.count())
	}
}

/// How a plan runs.
#[derive(Clone, Debug)]
pub struct Options {
	/// The threads.
	pub threads: Threads,
	/// The instruction set.
	pub isa: Isa,
}

impl Options {
	/// This many threads (0: one per processor) and the fastest instruction set.
	pub fn new(threads: usize) -> Self {
		Self { threads: Threads::new(threads), isa: Isa::best() }
	}
}

/// An arena, memory for outputs, and the inputs that are read where they are.
type Begun<'a> = (Buffer, Buffer, Vec<Option<&'a [u8]>>);

/// The outputs of a run. Who drops them last gives their memory back for another.
struct Outputs {
	buffer: Option<Buffer>,
	kept: Arc<Mutex<Vec<Buffer>>>,
}

impl assay_semantics::Memory for Outputs {
	fn bytes(&self) -> &[u8] {
		self.buffer.as_ref().map_or(&[], Buffer::bytes)
	}
}

impl Drop for Outputs {
	fn drop(&mut self) {
		if let Some(buffer) = self.buffer.take() {
			keep(&self.kept, buffer);
		}
	}
}

/// A model made ready to run: steps in order, packed weights, places of values. It holds what it needs of the model.
pub struct Plan {
	isa: Isa,
	threads: Threads,
	steps: Vec<Step>,
	locs: Vec<Option<Loc>>,
	weights: HashMap<usize, Buffer>,
	/// Types of the inputs, which are the first values.
	inputs: Vec<TensorType>,
	/// Inputs that are read by copies only, which make them canonical, and outputs that such copies write.
	lazy: Vec<bool>,
	settled: Vec<Loc>,
	/// Types of the outputs, which are the last values.
	outputs: Vec<TensorType>,
	/// Bytes of the arena, and of the outputs.
	bytes: (usize, usize),
	arenas: Mutex<Vec<Buffer>>,
	kept: Arc<Mutex<Vec<Buffer>>>,
}

impl Plan {
	/// A plan that computes the outputs. Fails only for want of memory.
	pub fn new(model: &Model, options: &Options) -> Result<Self, EvalError> {
		Self::build(model, options, true)
	}

	/// A plan that computes every value, for [`Plan::values`]: nothing is fused, nothing is left out. Slower.
	pub fn traced(model: &Model, options: &Options) -> Result<Self, EvalError> {
		Self::build(model, options, false)
	}

	fn build(model: &Model, options: &Options, fuse: bool) -> Result<Self, EvalError> {
		let Built { mut steps, locs, weights, arena, output } = build(model, options.isa, &options.threads.0, fuse)?;
		model.weights().iter().for_each(|weight| weight.bytes.release());
		let header = model.header();
		let list: Vec<Loc> = locs[model.first_output()..].iter().copied().flatten().collect();
		let (lazy, settled) =
			if fuse { clean_copies(&mut steps, &header.inputs, &list) } else { (Vec::new(), Vec::new()) };
		Ok(Self {
			lazy,
			settled,
			isa: options.isa,
			threads: options.threads.clone(),
			steps,
			locs,
			weights,
			inputs: header.inputs,
			outputs: header.outputs,
			bytes: (arena, output),
			arenas: Mutex::default(),
			kept: Arc::default(),
		})
	}

	/// The instruction set.
	pub fn isa(&self) -> Isa {
		self.isa
	}

	/// Bytes of values that a run needs at once.
	pub fn arena_bytes(&self) -> usize {
		self.bytes.0 + self.bytes.1
	}

	/// The outputs on these inputs: the bits of `assay_semantics::evaluate`.
	pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
		Ok(self.run_while(inputs, &|| true)?.unwrap_or_default())
	}

	/// The outputs; or none, once `wanted`, which is asked after each step, says that nobody waits for them any more.
	pub fn run_while(&self, inputs: &[Tensor], wanted: &dyn Fn() -> bool) -> Result<Option<Vec<Tensor>>, EvalError> {
		let (arena, outputs, inputs) = self.begin(inputs)?;
		let memory = Memory { arena: &arena, outputs: &outputs, weights: &self.weights, inputs: &inputs };
		let _modes = Modes::set();
		for step in &self.steps {
			step.run(self.isa, &self.threads.0, &memory)?;
			if !wanted() {
				self.end(arena);
				return Ok(None);
			}
		}
		let first = self.locs.len() - self.outputs.len();
		let list = || self.outputs.iter().zip(&self.locs[first..]);
		let mut tensors: Vec<Option<Tensor>> = Vec::with_capacity(self.outputs.len());
		for (ty, loc) in list() {
			let loc = loc.ok_or(EvalError::Memory)?;
			let is_there = matches!(loc, Loc::Output(_));
			if is_there && !self.settled.contains(&loc) {
				settle(self.isa, &memory, loc, ty);
			}
			tensors.push((!is_there).then(|| tensor(self.isa, &memory, loc, ty)));
		}
		self.end(arena);
		let shared = Bytes::shared(Arc::new(Outputs { buffer: Some(outputs), kept: self.kept.clone() }));
		let tensors = tensors.into_iter().zip(list()).map(|(tensor, (ty, loc))| match (tensor, loc) {
			(Some(tensor), _) => Ok(tensor),
			(None, Some(Loc::Output(start))) => {
				let n = ty.byte_len().and_then(|n| usize::try_from(n).ok()).ok_or(EvalError::Memory)?;
				Ok(Tensor { ty: ty.clone(), bytes: shared.part(*start, n).ok_or(EvalError::Memory)? })
			}
			_ => Err(EvalError::Memory),
		});
		tensors.collect::<Result<_, _>>().map(Some)
	}

	/// Gives computed values to `visit`, in order, until it says false. Of a plan made by [`Plan::traced`] these are all
	/// values but inputs and weights; of another, those that were not fused away.
	pub fn values(
		&self,
		inputs: &[Tensor],
		visit: &mut dyn FnMut(ValueId, &dyn Fn() -> Tensor) -> bool,
	) -> Result<(), EvalError> {
		let (arena, outputs, inputs) = self.begin(inputs)?;
		let memory = Memory { arena: &arena, outputs: &outputs, weights: &self.weights, inputs: &inputs };
		let _modes = Modes::set();
		for step in &self.steps {
			step.run(self.isa, &self.threads.0, &memory)?;
			if !visit(step.value, &|| tensor(self.isa, &memory, step.out, &step.ty)) {
				break;
			}
		}
		self.end(arena);
		Ok(())
	}

	/// The shortest time of each step in so many runs, in microseconds, with what the step does. For whoever makes it faster.
	pub fn profile(&self, inputs: &[Tensor], runs: usize) -> Result<Vec<(String, f64)>, EvalError> {
		let mut times: Vec<(String, f64)> = self.steps.iter().map(|s| (s.describe(), f64::INFINITY)).collect();
		for _ in 0..runs {
			let (arena, outputs, inputs) = self.begin(inputs)?;
			let memory = Memory { arena: &arena, outputs: &outputs, weights: &self.weights, inputs: &inputs };
			let _modes = Modes::set();
			for (step, (_, time)) in self.steps.iter().zip(&mut times) {
				let start = std::time::Instant::now();
				step.run(self.isa, &self.threads.0, &memory)?;
				*time = time.min(start.elapsed().as_secs_f64() * 1e6);
			}
			self.end(arena);
		}
		Ok(times)
	}

	/// How many steps run the element functions of the semantics for want of a kernel, with their operators' names.
	pub fn without_kernel(&self) -> Vec<&'static str> {
		let op = |step: &Step| match &step.work {
			Work::Reference { op, .. } => Some(assay_semantics::ops::name(op)),
			_ => None,
		};
		self.steps.iter().filter_map(op).collect()
	}

	/// An arena with those inputs in it that cannot be read where they are, and the others.
	fn begin<'a>(&self, inputs: &'a [Tensor]) -> Result<Begun<'a>, EvalError> {
		if inputs.len() != self.inputs.len() {
			return Err(EvalError::Inputs { expected: self.inputs.len(), got: inputs.len() });
		}
		for (input, (tensor, ty)) in inputs.iter().zip(&self.inputs).enumerate() {
			if tensor.ty != *ty || ty.byte_len() != Some(tensor.bytes.len() as u64) {
				return Err(EvalError::Input { input });
			}
		}
		let kept = |buffers: &Mutex<Vec<Buffer>>, bytes: usize| {
			let kept = buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
			kept.or_else(|| Buffer::new(bytes)).ok_or(EvalError::Memory)
		};
		let (arena, outputs) = (kept(&self.arenas, self.bytes.0)?, kept(&self.kept, self.bytes.1)?);
		let memory = Memory { arena: &arena, outputs: &outputs, weights: &self.weights, inputs: &[] };
		let mut there = Vec::with_capacity(inputs.len());
		let _modes = Modes::set();
		for (i, (tensor, loc)) in inputs.iter().zip(&self.locs).enumerate() {
			let is_lazy = self.lazy.get(i) == Some(&true) && tensor.bytes.as_ptr().cast::<f32>().is_aligned();
			if is_lazy || is_ready(self.isa, tensor.ty.dtype, &tensor.bytes) {
				there.push(Some(&tensor.bytes[..]));
				continue;
			}
			// SAFETY: no step runs yet, and no two inputs share memory.
			let to = unsafe { memory.bytes_mut(loc.ok_or(EvalError::Memory)?, tensor.bytes.len()) };
			to.copy_from_slice(&tensor.bytes);
			canonicalise(self.isa, tensor.ty.dtype, to);
			there.push(None);
		}
		Ok((arena, outputs, there))
	}

	fn end(&self, arena: Buffer) {
		keep(&self.arenas, arena);
	}
}

/// Keeps memory for another run, unless there is enough.
fn keep(buffers: &Mutex<Vec<Buffer>>, buffer: Buffer) {
	let mut buffers = buffers.lock().unwrap_or_else(PoisonError::into_inner);
	if buffers.len() < KEPT {
		buffers.push(buffer);
	}
}

impl fmt::Debug for Plan {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "Plan of {} steps for {}, {:?}", self.steps.len(), self.isa, self.threads)
	}
}
