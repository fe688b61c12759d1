//! Reductions over axes, in the order of the semantics: blocks, sixteen lanes, a tree.

use crate::{kernel, memory::Shared, pool::Pool, simd::Simd, Isa};
use assay_semantics::{float, ops::ReduceKind};

/// Reduction elements of a block where they lie together, and where they do not.
const BLOCK: usize = 256;
pub(crate) const STRIDED_BLOCK: usize = 32;

/// Input elements for which a second thread is worth its while.
const WORTH: usize = 1 << 15;

/// What a fold computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
	Sum,
	/// The sum divided by the number of elements.
	Mean,
	Max,
	Min,
}

impl Kind {
	/// The kind of a reduction; none if there is no kernel.
	#[allow(unreachable_patterns)]
	pub(crate) fn of(kind: ReduceKind) -> Option<Self> {
		Some(match kind {
			ReduceKind::Sum => Kind::Sum,
			ReduceKind::Mean => Kind::Mean,
			ReduceKind::Max => Kind::Max,
			ReduceKind::Min => Kind::Min,
			_ => return None,
		})
	}

	/// What a maximum or minimum starts from.
	fn start(self) -> f32 {
		match self {
			Kind::Max => f32::NEG_INFINITY,
			Kind::Min => f32::INFINITY,
			_ => 0.0,
		}
	}
}

#[inline(always)]
pub(crate) unsafe fn get<S: Simd>(p: *const f32, n: usize) -> S::F {
	unsafe {
		if n >= S::LANES {
			S::load(p)
		} else {
			S::load_n(p, n)
		}
	}
}

#[inline(always)]
unsafe fn pick<S: Simd>(kind: Kind, a: S::F, b: S::F) -> S::F {
	unsafe {
		if kind == Kind::Min {
			S::min(a, b)
		} else {
			S::max(a, b)
		}
	}
}

/// A reduction of `[outer, reduced, inner]` to `[outer, inner]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reduce {
	pub(crate) kind: Kind,
	pub(crate) outer: usize,
	pub(crate) reduced: usize,
	pub(crate) inner: usize,
}

/// The reduction of `n` elements that lie together.
#[inline(always)]
unsafe fn together_body<S: Simd>(kind: Kind, x: *const f32, n: usize) -> f32 {
	// SAFETY: the caller's: `n` elements.
	unsafe {
		if matches!(kind, Kind::Max | Kind::Min) {
			// The smallest is the negative of the largest of the negatives. Zeros are all alike until the end.
			let is_min = kind == Kind::Min;
			let sign = |x: S::F| if is_min { S::neg(x) } else { x };
			let start = S::splat(f32::NEG_INFINITY);
			let mut acc = [start; 4];
			let mut i = 0;
			while i + 4 * S::LANES <= n {
				for (j, acc) in acc.iter_mut().enumerate() {
					*acc = S::larger(*acc, sign(S::load(x.add(i + j * S::LANES))));
				}
				i += 4 * S::LANES;
			}
			while i + S::LANES <= n {
				acc[0] = S::larger(acc[0], sign(S::load(x.add(i))));
				i += S::LANES;
			}
			let rest = i;
			let acc = S::larger(S::larger(acc[0], acc[1]), S::larger(acc[2], acc[3]));
			let mut out = if rest == 0 { f32::NEG_INFINITY } else { S::largest(acc) };
			while i < n {
				out = float::max(out, if is_min { -*x.add(i) } else { *x.add(i) });
				i += 1;
			}
			return if is_min { -out + 0.0 } else { out + 0.0 };
		}
		let mut total = 0.0;
		let mut i = 0;
		while i < n {
			let end = n.min(i + BLOCK);
			let mut lanes = [S::splat(0.0); 4];
			while i + 16 <= end {
				S::add_lanes(&mut lanes, x.add(i), 16);
				i += 16;
			}
			if i < end {
				// The lanes that get nothing get +0, which changes no sum that started from +0.
				S::add_lanes(&mut lanes, x.add(i), end - i);
				i = end;
			}
			total += S::sum_lanes(&lanes);
		}
		total
	}
}

kernel!(
	/// The reductions of rows of `n` elements.
	pub(crate) fn rows(kind: Kind, x: *const f32, n: usize, y: *mut f32, rows: usize) = rows_body
);

#[inline(always)]
unsafe fn rows_body<S: Simd>(kind: Kind, x: *const f32, n: usize, y: *mut f32, rows: usize) {
	for r in 0..rows {
		// SAFETY: the caller's: `rows` rows and as many outputs.
		unsafe {
			let mut value = together_body::<S>(kind, x.add(r * n), n);
			if kind == Kind::Mean {
				value /= n as f32;
			}
			*y.add(r) = f32::from_bits(float::store(value));
		}
	}
}

kernel!(
	/// Reductions of `n` elements `stride` apart, for `width` of them side by side.
	fn apart(kind: Kind, x: *const f32, n: usize, stride: usize, y: *mut f32, width: usize) = apart_body
);

#[inline(always)]
unsafe fn apart_body<S: Simd>(kind: Kind, x: *const f32, n: usize, stride: usize, y: *mut f32, width: usize) {
	// SAFETY: the caller's: `n` rows of `width` elements, and `width` outputs.
	unsafe {
		let mut c = 0;
		while c < width {
			let lanes = S::LANES.min(width - c);
			let x = x.add(c);
			let mut acc = S::splat(kind.start());
			if matches!(kind, Kind::Max | Kind::Min) {
				for i in 0..n {
					acc = pick::<S>(kind, acc, get::<S>(x.add(i * stride), lanes));
				}
			} else {
				let mut i = 0;
				while i < n {
					let m = STRIDED_BLOCK.min(n - i);
					acc = S::add(acc, block::<S>(x.add(i * stride), stride, m, lanes));
					i += m;
				}
				if kind == Kind::Mean {
					acc = S::div(acc, S::splat(n as f32));
				}
				acc = S::flush(acc);
			}
			S::store_n(y.add(c), lanes, acc);
			c += lanes;
		}
	}
}

/// The sum of one block of at most 32: each of sixteen lanes has at most two elements.
#[inline(always)]
unsafe fn block<S: Simd>(x: *const f32, stride: usize, n: usize, width: usize) -> S::F {
	// SAFETY: the caller's: `n` rows of `width` elements.
	unsafe {
		let mut lanes = [S::splat(0.0); 16];
		for (i, lane) in lanes.iter_mut().enumerate() {
			if i < n {
				*lane = S::add(*lane, get::<S>(x.add(i * stride), width));
			}
			if i + 16 < n {
				*lane = S::add(*lane, get::<S>(x.add((i + 16) * stride), width));
			}
		}
		tree::<S>(lanes)
	}
}

/// The lanes added 8, 4, 2, 1 apart.
#[inline(always)]
pub(crate) unsafe fn tree<S: Simd>(mut lanes: [S::F; 16]) -> S::F {
	// SAFETY: no pointers.
	unsafe {
		for width in [8, 4, 2, 1] {
			for i in 0..width {
				lanes[i] = S::add(lanes[i], lanes[i + width]);
			}
		}
		lanes[0]
	}
}

impl Reduce {
	/// The reduction of these axes of these dimensions, if they stand side by side; dimensions of 1 do not count.
	pub(crate) fn new(kind: Kind, dims: &[u32], axes: &[u8]) -> Option<Self> {
		let mut out = Reduce { kind, outer: 1, reduced: 1, inner: 1 };
		let mut seen = false;
		for (axis, d) in dims.iter().enumerate().filter(|(_, d)| **d != 1) {
			let d = *d as usize;
			match (axes.iter().any(|a| usize::from(*a) == axis), seen) {
				(false, false) => out.outer *= d,
				(false, true) => out.inner *= d,
				(true, _) if out.inner != 1 => return None,
				(true, _) => {
					seen = true;
					out.reduced *= d;
				}
			}
		}
		Some(out)
	}

	/// Reduces `x`.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, x: &[f32], y: &mut [f32]) {
		let Reduce { kind, outer, reduced, inner } = *self;
		if outer * inner == 0 {
			return;
		}
		assert!(x.len() >= outer * reduced * inner && y.len() >= outer * inner);
		let (from, to) = (Shared(x.as_ptr().cast_mut()), Shared(y.as_mut_ptr()));
		let many = x.len() >= WORTH;
		if inner == 1 {
			let tasks = if many { outer.min(4 * pool.threads()) } else { 1 };
			pool.run(tasks, &|task| {
				let (start, end) = (task * outer / tasks, (task + 1) * outer / tasks);
				// SAFETY: rows are inside, as is checked above; each belongs to one task.
				unsafe { rows(isa, kind, from.get().add(start * reduced), reduced, to.get().add(start), end - start) }
			});
			return;
		}
		// Columns are cut at lines of the cache.
		let parts = if many && outer < pool.threads() { inner.div_ceil(64).min(4 * pool.threads()) } else { 1 };
		pool.run(outer * parts, &|task| {
			let (i, part) = (task / parts, task % parts);
			let lines = inner.div_ceil(16);
			let cut = |part: usize| (part * lines / parts * 16).min(inner);
			let (start, end) = (cut(part), cut(part + 1));
			// SAFETY: as above.
			unsafe {
				let x = from.get().add(i * reduced * inner + start);
				apart(isa, kind, x, reduced, inner, to.get().add(i * inner + start), end - start)
			}
		});
	}
}
