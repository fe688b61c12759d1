//! Pools over windows of images, in the order of the semantics.

use crate::{
	fold::{get, tree, STRIDED_BLOCK},
	kernel,
	memory::Shared,
	pool::Pool,
	simd::Simd,
	Isa,
};

/// Outputs for which a second thread is worth its while.
const WORTH: usize = 1 << 12;

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
		let tasks = if y.len() < WORTH { 1 } else { lines.min(8 * pool.threads()) };
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
