//! Integers: contractions of bytes with what becomes of their sums, maxima of windows, and operators on single elements that
//! quantise, dequantise or lie between.
//!
//! Integers wrap, so their order is free; what is rounded is rounded element by element, as the semantics has it.

#[cfg(target_arch = "x86_64")]
mod amx;
mod depthwise;
mod dots;
mod finish;
mod group;
mod ints;
mod micro;
mod mixed;
mod rows;

pub(crate) use group::Kind;

use crate::{
	build::{elements, sizes, strides, three, Builder},
	memory::Buffer,
	pool::Pool,
	step::{Loc, Memory},
	Isa,
};
use assay_semantics::{
	float,
	ops::{Conv, Window},
	DType, EvalError, Node, Op, TensorType, ValueId,
};
use dots::{Dots, Panels, Product};
use finish::To;
use group::Then;
use mixed::Mixed;
use rows::{Image, Rows};

/// A step over integers.
pub(crate) enum Job {
	Dots {
		dots: Dots,
		/// With its bytes.
		left: (Loc, usize),
		right: Right,
		to: To,
	},
	Depthwise {
		image: Image,
		left: (Loc, usize),
		signed: bool,
		panels: Panels,
		/// Columns with padding.
		padded: usize,
		to: To,
	},
	Maximum {
		image: Image,
		left: (Loc, usize),
		signed: bool,
	},
	Mixed {
		mixed: Mixed,
		/// With their bytes.
		operands: Vec<(Loc, usize)>,
	},
}

/// The right operand of a contraction.
pub(crate) enum Right {
	Packed(Panels),
	/// Packed each time.
	Computed(Loc, usize),
}

fn is_signed(ty: &TensorType) -> bool {
	ty.dtype == DType::I8
}

impl Job {
	/// What it does, in a few words.
	pub(crate) fn describe(&self) -> String {
		match self {
			Job::Dots { dots, to, .. } => {
				let (m, n, k, products) = (dots.rows.count(), dots.n, dots.k, dots.products.len());
				let ops = 2e-6 * (m * n * k * products) as f64;
				let kind = if matches!(dots.rows, Rows::Plain { .. }) { "rows" } else { "windows" };
				let to = if *to == To::Words { "i32" } else { "bytes" };
				format!("dots {products}x {m} {kind}, k {k} n {n} to {to}, {ops:.1} MOP")
			}
			Job::Depthwise { image, .. } => format!("depthwise of bytes, {:?}", image.kernel),
			Job::Maximum { image, .. } => format!("maximum of bytes, {:?}", image.kernel),
			Job::Mixed { mixed, .. } => format!("mixed chain of {}", mixed.codes.len()),
		}
	}

	/// What is read.
	pub(crate) fn reads(&self) -> Vec<Loc> {
		match self {
			Job::Dots { left, right: Right::Computed(right, _), .. } => vec![left.0, *right],
			Job::Dots { left, .. } | Job::Depthwise { left, .. } | Job::Maximum { left, .. } => vec![left.0],
			Job::Mixed { operands, .. } => operands.iter().map(|(loc, _)| *loc).collect(),
		}
	}

	/// Runs the step over a value of so many elements.
	///
	/// # Safety
	///
	/// Nothing else uses the value's memory, and nothing writes the operands'.
	pub(crate) unsafe fn run(&self, isa: Isa, pool: &Pool, memory: &Memory, out: Loc, elements: usize) {
		// SAFETY, for all of it: the caller's.
		let bytes = |(loc, n): &(Loc, usize)| unsafe { memory.bytes(*loc, *n) };
		match self {
			Job::Dots { dots, left, right, to } => {
				let out = unsafe { memory.bytes_mut(out, elements * to.size()) };
				match right {
					Right::Packed(panels) => dots.run(isa, pool, bytes(left), panels, *to, out),
					Right::Computed(loc, n) => {
						let mut panels = dots.panels(isa).expect("memory for a right operand");
						dots.pack(isa, pool, bytes(&(*loc, *n)), &mut panels);
						dots.run(isa, pool, bytes(left), &panels, *to, out);
					}
				}
			}
			Job::Depthwise { image, left, signed, panels, padded, to } => {
				let out = unsafe { memory.bytes_mut(out, elements * to.size()) };
				image.depthwise(isa, pool, bytes(left), *signed, panels, *padded, *to, out);
			}
			Job::Maximum { image, left, signed } => {
				image.maximum(isa, pool, bytes(left), *signed, unsafe { memory.bytes_mut(out, elements) });
			}
			Job::Mixed { mixed, operands } => {
				let operands: Vec<&[u8]> = operands.iter().map(bytes).collect();
				let out = unsafe { memory.bytes_mut(out, elements * mixed.dtype.size()) };
				mixed.run(isa, pool, &operands, elements, out);
			}
		}
	}
}

impl Builder<'_> {
	/// The step of a group over integers.
	pub(crate) fn integer_job(
		&mut self,
		nodes: &[ValueId],
		kind: &Kind,
		locs: &[Option<Loc>],
	) -> Result<Job, EvalError> {
		let loc = |v: ValueId| locs[v as usize].ok_or(EvalError::Memory);
		let is_pad = |v: &&ValueId| matches!(self.node(**v).op, Op::Pad(_));
		let head = nodes.iter().find(|v| !is_pad(v)).copied().ok_or(EvalError::Memory)?;
		let node = self.node(head).clone();
		if let Kind::Mixed(mixed, operands) = kind {
			let mut list = Vec::with_capacity(operands.len());
			for v in operands {
				self.keep(loc(*v)?)?;
				list.push((loc(*v)?, elements(self.ty(*v)) * self.ty(*v).dtype.size()));
			}
			return Ok(Job::Mixed { mixed: mixed.clone(), operands: list });
		}
		let pad = if let Kind::Contraction(pad, _) = kind { *pad } else { None };
		let x = pad.map_or(node.inputs[0], |pad| self.node(pad).inputs[0]);
		let signed = is_signed(self.ty(x));
		let left = (loc(x)?, elements(self.ty(x)));
		self.keep(left.0)?;
		match (&node.op, kind) {
			(Op::Pool(pool), _) => {
				let image = self.image(&node, x, &pool.window, &pool.kernel, 0).ok_or(EvalError::Memory)?;
				Ok(Job::Maximum { image, left, signed })
			}
			(Op::Conv(conv), Kind::Contraction(_, then)) => {
				self.bytes_conv(&node, conv, x, pad, left, then, loc(node.inputs[1])?)
			}
			(_, Kind::Contraction(_, then)) => {
				let dots = self.bytes_product(&node)?;
				self.dots(dots, left, then, loc(node.inputs[1])?)
			}
			_ => Err(EvalError::Memory),
		}
	}

	/// The windows of a convolution or a pool.
	fn image(&self, node: &Node, x: ValueId, window: &Window, kernel: &[u32], depth: usize) -> Option<Image> {
		let [n, spatial @ .., c] = self.ty(x).dims.as_slice() else { return None };
		let [_, out @ .., _] = node.ty.dims.as_slice() else { return None };
		let [d, h, w] = three(spatial, 1)?;
		Some(Image {
			from: [*n as usize, d, h, w, *c as usize],
			out: three(out, 1)?,
			kernel: three(kernel, 1)?,
			strides: three(&window.strides, 1)?,
			dilations: three(&window.dilations, 1)?,
			before: three(&window.before, 0)?,
			depth,
			fill: 0,
		})
	}

	fn bytes_conv(
		&mut self,
		node: &Node,
		conv: &Conv,
		x: ValueId,
		pad: Option<ValueId>,
		left: (Loc, usize),
		then: &[Then],
		right: Loc,
	) -> Result<Job, EvalError> {
		let image = |kernel: &[u32], depth: usize| {
			let mut image = self.image(node, x, &conv.window, kernel, depth)?;
			if let Some(Op::Pad(pad)) = pad.map(|pad| &self.node(pad).op) {
				image.before = three(pad.before.get(1..pad.before.len().checked_sub(1)?)?, 0)?;
				image.fill = pad.value as u8;
			}
			Some(image)
		};
		let (x, w) = (self.ty(x).clone(), self.ty(node.inputs[1]).clone());
		let ([o, kernel @ .., depth], Some(c)) = (w.dims.as_slice(), x.dims.last()) else {
			return Err(EvalError::Memory);
		};
		let (o, depth, c, groups) = (*o as usize, *depth as usize, *c as usize, conv.groups as usize);
		let image = image(kernel, depth).ok_or(EvalError::Memory)?;
		let k = image.kernel.iter().product::<usize>() * depth;
		let n = o / groups;
		if let (true, Loc::Weight(i)) = (depth == 1 && o == c && groups == c, right) {
			return self.bytes_depthwise(image, left, [is_signed(&x), is_signed(&w)], i, then);
		}
		let [count, d, h, width, _] = image.from;
		let is_plain = image.kernel == [1; 3] && image.strides == [1; 3] && image.out == [d, h, width];
		let rows = match is_plain && image.before == [0; 3] {
			true => Rows::Plain { count: count * d * h * width, pitch: c },
			false => Rows::Image(image),
		};
		let products = (0..groups).map(|g| Product { a: g * depth, set: g, c: g * n }).collect();
		let signed = [is_signed(&x), is_signed(&w)];
		self.dots(Dots { rows, k, n, sets: groups, ldc: o, signed, products }, left, then, right)
	}

	fn bytes_depthwise(
		&mut self,
		image: Image,
		left: (Loc, usize),
		signed: [bool; 2],
		weight: usize,
		then: &[Then],
	) -> Result<Job, EvalError> {
		let (c, taps) = (image.from[4], image.kernel.iter().product::<usize>());
		let padded = c.next_multiple_of(16);
		let buffer = |n: usize| Buffer::new(4 * n).ok_or(EvalError::Memory);
		let mut panels = Panels { words: buffer(taps * padded)?, bias: buffer(padded)?, scale: buffer(padded)? };
		let words = panels.words.bytes_mut();
		for (i, x) in self.model.weights()[weight].bytes.iter().enumerate() {
			let x = if signed[1] { i16::from(*x as i8) } else { i16::from(*x) };
			// A half of the word is 0, so that only the other one counts.
			words[4 * (i % taps * padded + i / taps)..][..2].copy_from_slice(&x.to_le_bytes());
		}
		let to = self.columns(then, 1, c, padded, &mut panels);
		Ok(Job::Depthwise { image, left, signed: signed[0], panels, padded, to })
	}

	/// Matrix products, whose batches broadcast.
	fn bytes_product(&self, node: &Node) -> Result<Dots, EvalError> {
		let types = [self.ty(node.inputs[0]), self.ty(node.inputs[1])];
		let signed = types.map(is_signed);
		let [a, b] = types.map(|ty| sizes(&ty.dims));
		let out = sizes(&node.ty.dims);
		let ([batch_a @ .., m, k], [batch_b @ .., n, _], [batch @ .., _, _]) = (&a[..], &b[..], &out[..]) else {
			return Err(EvalError::Memory);
		};
		let (m, n, k) = (*m, *n, *k);
		let sets: usize = batch_b.iter().product();
		let count: usize = batch.iter().product();
		if sets == 1 && batch_a.iter().product::<usize>() == count {
			let rows = Rows::Plain { count: count * m, pitch: k };
			let products = vec![Product { a: 0, set: 0, c: 0 }];
			return Ok(Dots { rows, k, n, sets, ldc: n, signed, products });
		}
		let at = |i: usize, dims: &[usize]| -> usize {
			let (mut rest, mut index) = (i, 0);
			let own = strides(dims);
			for axis in (0..batch.len()).rev() {
				let c = rest % batch[axis];
				rest /= batch[axis];
				if let Some(axis) = (axis + dims.len()).checked_sub(batch.len()) {
					index += if dims[axis] == 1 { 0 } else { c * own[axis] };
				}
			}
			index
		};
		let product = |i| Product { a: at(i, batch_a) * m * k, set: at(i, batch_b), c: i * m * n };
		let products = (0..count).map(product).collect();
		Ok(Dots { rows: Rows::Plain { count: m, pitch: k }, k, n, sets, ldc: n, signed, products })
	}

	/// A contraction with its right operand packed, if it is a weight.
	fn dots(&mut self, dots: Dots, left: (Loc, usize), then: &[Then], right: Loc) -> Result<Job, EvalError> {
		let Loc::Weight(i) = right else {
			let right = Right::Computed(right, dots.sets * dots.n * dots.k);
			return Ok(Job::Dots { dots, left, right, to: To::Words });
		};
		let mut panels = dots.panels(self.isa).ok_or(EvalError::Memory)?;
		dots.pack(self.isa, self.pool, &self.model.weights()[i].bytes, &mut panels);
		let padded = dots.padded(self.isa);
		let to = self.columns(then, dots.sets, dots.n, padded, &mut panels);
		Ok(Job::Dots { dots, left, right: Right::Packed(panels), to })
	}

	/// Takes what follows into the columns' operands, and says what becomes of the sums.
	fn columns(&self, then: &[Then], sets: usize, n: usize, padded: usize, panels: &mut Panels) -> To {
		let words = |v: ValueId| -> Vec<[u8; 4]> {
			match self.node(v).op {
				Op::Weight(i) => {
					self.model.weights()[i as usize].bytes.chunks_exact(4).map(|x| [x[0], x[1], x[2], x[3]]).collect()
				}
				_ => Vec::new(),
			}
		};
		let mut to = To::Words;
		// Each column with its place in the operands: those of groups follow each other, those of a batch are the same.
		let places = |len: usize| {
			(0..sets).flat_map(move |set| {
				(0..n).map(move |j| (set * padded + j, if len == 1 { 0 } else { (set * n + j) % len.max(1) }))
			})
		};
		for then in then {
			match then {
				Then::Add(v) | Then::Sub(v) => {
					let list = words(*v);
					for (to, from) in places(list.len()) {
						let bias = &mut panels.bias.bytes_mut()[4 * to..][..4];
						let old = i32::from_le_bytes([bias[0], bias[1], bias[2], bias[3]]);
						let x = i32::from_le_bytes(list[from]);
						let x = if matches!(then, Then::Add(_)) { old.wrapping_add(x) } else { old.wrapping_sub(x) };
						bias.copy_from_slice(&x.to_le_bytes());
					}
				}
				Then::Quantize { divide, scale, zero } => {
					let list = words(*scale);
					for (to, from) in places(list.len()) {
						panels.scale.floats_mut()[to] = float::load(u32::from_le_bytes(list[from]));
					}
					let signed = self.ty(*zero).dtype == DType::I8;
					let byte = match self.node(*zero).op {
						Op::Weight(i) => self.model.weights()[i as usize].bytes.first().copied().unwrap_or(0),
						_ => 0,
					};
					let zero = if signed { i32::from(byte as i8) } else { i32::from(byte) };
					let scales = list.iter().map(|x| f32::from_le_bytes(*x));
					let small = !divide && scales.into_iter().all(|x| x.abs() < 0.5);
					to = To::Bytes { divide: *divide, small, signed, zero };
				}
			}
		}
		to
	}
}
