//! Reductions over axes and over windows, in the order of the semantics: blocks, sixteen lanes, a tree.

use crate::{kernel, memory::Shared, pool::Pool, simd::Simd, Isa};
use assay_semantics::{float, ops::ReduceKind};

/// Reduction elements of a block where they lie together, and where they do not.
const BLOCK: usize = 256;
const STRIDED_BLOCK: usize = 32;

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
unsafe fn get<S: Simd>(p: *const f32, n: usize) -> S::F {
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
unsafe fn tree<S: Simd>(mut lanes: [S::F; 16]) -> S::F {
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

/// A pool over `[N, D, H, W, C]`.
#[derive(Clone, Debug)]
pub(crate) struct Window {
	/// `[N, D, H, W, C]`
	pub(crate) from: [usize; 5],
	/// `D, H, W` of the output.
	pub(crate) to: [usize; 3],
	pub(crate) kernel: [usize; 3],
	pub(crate) strides: [usize; 3],
	pub(crate) dilations: [usize; 3],
	pub(crate) before: [usize; 3],
	/// None for the maximum; else whether the border counts in the average.
	pub(crate) average: Option<bool>,
}

/// Elements of the kernel that are inside the image: number and place.
type Taps = [(usize, usize)];

kernel!(fn maximum(x: *const f32, taps: &Taps, y: *mut f32, channels: usize) = maximum_body);

#[inline(always)]
unsafe fn maximum_body<S: Simd>(x: *const f32, taps: &Taps, y: *mut f32, channels: usize) {
	// SAFETY: the caller's: `channels` elements at each tap, and as many outputs.
	unsafe {
		let mut c = 0;
		while c + 4 * S::LANES <= channels {
			let mut acc = [S::splat(f32::NEG_INFINITY); 4];
			for (_, at) in taps {
				for (j, acc) in acc.iter_mut().enumerate() {
					*acc = S::larger(*acc, S::load(x.add(at + c + j * S::LANES)));
				}
			}
			for (j, acc) in acc.into_iter().enumerate() {
				S::store(y.add(c + j * S::LANES), S::add(acc, S::splat(0.0)));
			}
			c += 4 * S::LANES;
		}
		while c < channels {
			let n = S::LANES.min(channels - c);
			let mut acc = S::splat(f32::NEG_INFINITY);
			for (_, at) in taps {
				acc = S::larger(acc, get::<S>(x.add(at + c), n));
			}
			// Once is as good as after each: zeros of both signs are equal until then.
			S::store_n(y.add(c), n, S::add(acc, S::splat(0.0)));
			c += n;
		}
	}
}

/// The sum over a block of `N` taps, at most sixteen: one for each lane. Lanes without any would add +0, which only changes the
/// sign of a zero, and the total that this is added to is +0.
#[inline(always)]
unsafe fn few<S: Simd, const N: usize>(x: *const f32, taps: &Taps, n: usize) -> S::F {
	// SAFETY: the caller's: `n` elements at each tap.
	unsafe {
		let mut lanes = [S::splat(0.0); N];
		for (lane, (_, at)) in lanes.iter_mut().zip(taps) {
			*lane = get::<S>(x.add(*at), n);
		}
		first_lanes::<S, N>(lanes)
	}
}

/// The same where only some of nine taps are inside.
#[inline(always)]
unsafe fn some<S: Simd>(x: *const f32, taps: &Taps, n: usize) -> S::F {
	// SAFETY: the caller's: `n` elements at each tap.
	unsafe {
		let mut lanes = [S::splat(0.0); 9];
		for (r, at) in taps {
			lanes[*r % 9] = get::<S>(x.add(*at), n);
		}
		first_lanes::<S, 9>(lanes)
	}
}

/// The lanes added 8, 4, 2, 1 apart, where those from `N` on have nothing.
#[inline(always)]
unsafe fn first_lanes<S: Simd, const N: usize>(mut lanes: [S::F; N]) -> S::F {
	let mut live = N;
	for width in [8, 4, 2, 1] {
		for i in width..live {
			// SAFETY: no pointers.
			lanes[i - width] = unsafe { S::add(lanes[i - width], lanes[i]) };
		}
		live = live.min(width);
	}
	lanes[0]
}

kernel!(fn average(x: *const f32, taps: &Taps, count: f32, y: *mut f32, channels: usize) = average_body);

#[inline(always)]
unsafe fn average_body<S: Simd>(x: *const f32, taps: &Taps, count: f32, y: *mut f32, channels: usize) {
	// SAFETY: the caller's: `channels` elements at each tap, and as many outputs.
	unsafe {
		let is_whole = taps.last().is_some_and(|(r, _)| r + 1 == taps.len());
		let mut c = 0;
		while c < channels {
			let n = S::LANES.min(channels - c);
			let mut total = S::splat(0.0);
			// What is usual, in registers.
			let sum = match taps.last() {
				Some((3, _)) if is_whole => Some(few::<S, 4>(x.add(c), taps, n)),
				Some((8, _)) if is_whole => Some(few::<S, 9>(x.add(c), taps, n)),
				Some((0..9, _)) => Some(some::<S>(x.add(c), taps, n)),
				_ => None,
			};
			if let Some(sum) = sum {
				S::store_n(y.add(c), n, S::flush(S::div(S::add(total, sum), S::splat(count))));
				c += n;
				continue;
			}
			// Blocks of which nothing is inside would add +0 to a sum that is never -0.
			for block in taps.chunk_by(|(a, _), (b, _)| a / STRIDED_BLOCK == b / STRIDED_BLOCK) {
				let mut lanes = [S::splat(0.0); 16];
				for (r, at) in block {
					let lane = &mut lanes[r % 16];
					*lane = S::add(*lane, get::<S>(x.add(at + c), n));
				}
				total = S::add(total, tree::<S>(lanes));
			}
			S::store_n(y.add(c), n, S::flush(S::div(total, S::splat(count))));
			c += n;
		}
	}
}

impl Window {
	/// Pools `x`.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, x: &[f32], y: &mut [f32]) {
		let [n, d, h, w, c] = self.from;
		let [od, oh, ow] = self.to;
		let lines = n * od * oh;
		if lines * ow * c == 0 {
			return;
		}
		assert!(x.len() >= n * d * h * w * c && y.len() >= lines * ow * c);
		let (from, to) = (Shared(x.as_ptr().cast_mut()), Shared(y.as_mut_ptr()));
		let tasks = if y.len() < WORTH / 8 { 1 } else { lines.min(8 * pool.threads()) };
		let volume: usize = self.kernel.iter().product();
		// Where an element of the kernel is along an axis, if inside.
		let inside = |axis: usize, out: usize, k: usize, size: usize| {
			let at = out * self.strides[axis] + k * self.dilations[axis];
			at.checked_sub(self.before[axis]).filter(|at| *at < size)
		};
		// The elements of a kernel that is inside as a whole, from its first.
		let mut whole = Vec::with_capacity(volume);
		for kz in 0..self.kernel[0] {
			for ky in 0..self.kernel[1] {
				for kx in 0..self.kernel[2] {
					let [dz, dy, dx] = self.dilations;
					whole.push((whole.len(), ((kz * dz * h + ky * dy) * w + kx * dx) * c));
				}
			}
		}
		let first = |axis: usize, out: usize, size: usize| {
			let last = out * self.strides[axis] + (self.kernel[axis] - 1) * self.dilations[axis];
			let start = (out * self.strides[axis]).checked_sub(self.before[axis])?;
			(last - self.before[axis] < size).then_some(start)
		};
		pool.run(tasks, &|task| {
			let mut taps = Vec::new();
			for line in task * lines / tasks..(task + 1) * lines / tasks {
				let (image, z, y) = (line / (od * oh), line / oh % od, line % oh);
				let corner = first(0, z, d).zip(first(1, y, h));
				for pixel in 0..ow {
					if let Some(((iz, iy), ix)) = corner.zip(first(2, pixel, w)) {
						// SAFETY: the window is inside the image; a line belongs to one task.
						unsafe {
							let x = from.get().add((((image * d + iz) * h + iy) * w + ix) * c);
							let y = to.get().add((line * ow + pixel) * c);
							match self.average {
								None => maximum(isa, x, &whole, y, c),
								Some(_) => average(isa, x, &whole, volume as f32, y, c),
							}
						}
						continue;
					}
					taps.clear();
					for kz in 0..self.kernel[0] {
						let Some(iz) = inside(0, z, kz, d) else { continue };
						for ky in 0..self.kernel[1] {
							let Some(iy) = inside(1, y, ky, h) else { continue };
							for kx in 0..self.kernel[2] {
								let Some(ix) = inside(2, pixel, kx, w) else { continue };
								let r = (kz * self.kernel[1] + ky) * self.kernel[2] + kx;
								taps.push((r, (((image * d + iz) * h + iy) * w + ix) * c));
							}
						}
					}
					// SAFETY: the taps are inside the image; a line belongs to one task.
					unsafe {
						let y = to.get().add((line * ow + pixel) * c);
						match self.average {
							None => maximum(isa, from.get(), &taps, y, c),
							Some(border) => {
								let count = if border { volume } else { taps.len().max(1) };
								average(isa, from.get(), &taps, count as f32, y, c)
							}
						}
					}
				}
			}
		});
	}
}
