//! Convolutions of bytes with one input and one output channel for each group, and maxima of windows: vectors over channels,
//! a few pixels at a time.

use super::{
	dots::Panels,
	finish::{store, Columns, To},
	ints::Ints,
	rows::Image,
};
use crate::{kernel, memory::Shared, pool::Pool, Isa};

/// Pixels of output that are computed together.
const PIXELS: usize = 4;

/// Elements of output for which a second thread is worth its while.
const WORTH: usize = 1 << 13;

/// Elements of a window: number, and the channels of the first pixel.
type Taps = [(usize, *const u8)];

/// Pixels of output that have the same taps.
struct Piece<'a> {
	taps: &'a Taps,
	/// Elements of input from one pixel to the next.
	step: usize,
	signed: bool,
	/// `[taps, padded]`, as words.
	w: *const i32,
	padded: usize,
	operands: Columns,
	to: To,
	c: *mut u8,
	channels: usize,
}

kernel!(fn sums(piece: &Piece, pixels: usize) = sums_body);

/// # Safety
///
/// The pointers are valid for what the piece says.
#[inline(always)]
unsafe fn sums_body<S: Ints>(piece: &Piece, pixels: usize) {
	// SAFETY: the caller's.
	unsafe {
		let mut p = 0;
		while p < pixels {
			let n = if p + PIXELS <= pixels { PIXELS } else { 1 };
			for c in (0..piece.channels).step_by(S::LANES) {
				match n {
					PIXELS => some::<S, PIXELS>(piece, p, c),
					_ => some::<S, 1>(piece, p, c),
				}
			}
			p += n;
		}
	}
}

#[inline(always)]
unsafe fn some<S: Ints, const P: usize>(piece: &Piece, pixel: usize, c: usize) {
	let n = S::LANES.min(piece.channels - c);
	// SAFETY: the caller's.
	unsafe {
		let mut acc = [S::load_i(piece.operands.bias.add(c)); P];
		for (tap, x) in piece.taps {
			let w = S::load_i(piece.w.add(tap * piece.padded + c));
			let x = x.wrapping_add(pixel * piece.step + c);
			for (i, acc) in acc.iter_mut().enumerate() {
				*acc = S::pairs(*acc, S::load_bytes(x.wrapping_add(i * piece.step), n, piece.signed), w);
			}
		}
		let columns = Columns { scale: piece.operands.scale.wrapping_add(c), ..piece.operands };
		let size = piece.to.size();
		let out = piece.c.wrapping_add((pixel * piece.channels + c) * size);
		store::<S>(acc.as_ptr(), 1, P, columns, piece.to, out, piece.channels * size, n);
	}
}

kernel!(fn maxima(taps: &Taps, at: usize, signed: bool, y: *mut u8, channels: usize) = maxima_body);

/// # Safety
///
/// `channels` bytes `at` bytes after each tap, and as many outputs.
#[inline(always)]
unsafe fn maxima_body<S: Ints>(taps: &Taps, at: usize, signed: bool, y: *mut u8, channels: usize) {
	// The order of signed bytes is that of unsigned ones with the highest bit turned.
	let flip = if signed { 0x80 } else { 0 };
	let mut c = 0;
	// SAFETY: the caller's.
	unsafe {
		while c + 64 <= channels {
			let mut best = [0u8; 64];
			for (_, x) in taps {
				let x = x.add(at + c).cast::<[u8; 64]>().read_unaligned();
				best.iter_mut().zip(x).for_each(|(b, x)| *b = (*b).max(x ^ flip));
			}
			best.iter_mut().for_each(|b| *b ^= flip);
			y.add(c).cast::<[u8; 64]>().write_unaligned(best);
			c += 64;
		}
		while c < channels {
			let best = taps.iter().fold(0, |b: u8, (_, x)| b.max(*x.add(at + c) ^ flip));
			*y.add(c) = best ^ flip;
			c += 1;
		}
	}
}

impl Image {
	/// Calls `f` with pieces of lines whose windows have the same taps, by tasks: the taps, the first pixel of output and how
	/// many pixels. What is in the border is at `border`, for one pixel at a time, or left out.
	fn pieces(
		&self,
		pool: &Pool,
		from: Shared<u8>,
		border: Option<Shared<u8>>,
		f: &(dyn Fn(&Taps, usize, usize) + Sync),
	) {
		let [n, d, h, w, c] = self.from;
		let [od, oh, ow] = self.out;
		let lines = n * od * oh;
		if lines * ow * c == 0 {
			return;
		}
		let inside = |out: usize, k: usize, axis: usize, size: usize| {
			let at = out * self.strides[axis] + k * self.dilations[axis];
			at.checked_sub(self.before[axis]).filter(|at| *at < size)
		};
		// Pixels of a line whose windows are inside along it.
		let whole = |x: usize| inside(x, 0, 2, w).is_some() && inside(x, self.kernel[2] - 1, 2, w).is_some();
		let first = (0..ow).find(|x| whole(*x)).unwrap_or(ow);
		let last = (0..ow).rfind(|x| whole(*x)).map_or(first, |x| x + 1);
		let tasks = if lines * ow * c < WORTH { 1 } else { lines.min(4 * pool.threads()) };
		pool.run(tasks, &|task| {
			let mut taps = Vec::new();
			for line in task * lines / tasks..(task + 1) * lines / tasks {
				let (y, rest) = (line % oh, line / oh);
				let (z, image) = (rest % od, rest / od);
				let mut x = 0;
				while x < ow {
					let mut count = if x == first && last > first { last - first } else { 1 };
					taps.clear();
					for kz in 0..self.kernel[0] {
						for ky in 0..self.kernel[1] {
							for kx in 0..self.kernel[2] {
								let number = (kz * self.kernel[1] + ky) * self.kernel[2] + kx;
								let at = (inside(z, kz, 0, d), inside(y, ky, 1, h), inside(x, kx, 2, w));
								if let (Some(iz), Some(iy), Some(ix)) = at {
									let at = (((image * d + iz) * h + iy) * w + ix) * c;
									taps.push((number, from.get().wrapping_add(at).cast_const()));
								} else if let Some(border) = border {
									taps.push((number, border.get().cast_const()));
									count = 1;
								}
							}
						}
					}
					f(&taps, line * ow + x, count);
					x += count;
				}
			}
		});
	}

	/// Convolves channel by channel. `panels` holds `[taps, padded]` words.
	pub(crate) fn depthwise(
		&self,
		isa: Isa,
		pool: &Pool,
		x: &[u8],
		signed: bool,
		panels: &Panels,
		padded: usize,
		to: To,
		out: &mut [u8],
	) {
		let [n, d, h, w, c] = self.from;
		let pixels = n * self.out.iter().product::<usize>();
		let taps: usize = self.kernel.iter().product();
		assert!(x.len() >= n * d * h * w * c && out.len() >= pixels * c * to.size(), "an operand is too short");
		assert!(padded >= c.next_multiple_of(16) && panels.words.bytes().len() >= 4 * taps * padded);
		assert!(panels.bias.bytes().len() >= 4 * padded && panels.scale.bytes().len() >= 4 * padded);
		let mut pixel = vec![self.fill; c];
		let border = (self.fill != 0).then_some(Shared(pixel.as_mut_ptr()));
		let (x, start) = (Shared(x.as_ptr().cast_mut()), Shared(out.as_mut_ptr()));
		self.pieces(pool, x, border, &|taps, pixel, count| {
			let piece = Piece {
				taps,
				step: self.strides[2] * c,
				signed,
				w: panels.words.bytes().as_ptr().cast(),
				padded,
				operands: Columns { bias: panels.bias.bytes().as_ptr().cast(), scale: panels.scale.floats().as_ptr() },
				to,
				c: start.get().wrapping_add(pixel * c * to.size()),
				channels: c,
			};
			// SAFETY: taps are inside the image and pixels inside the output, which are as long as is checked above; each
			// line belongs to one task.
			unsafe { sums(isa, &piece, count) }
		});
	}

	/// The largest of each window; the smallest number where nothing is inside.
	pub(crate) fn maximum(&self, isa: Isa, pool: &Pool, x: &[u8], signed: bool, out: &mut [u8]) {
		let [n, d, h, w, c] = self.from;
		let pixels = n * self.out.iter().product::<usize>();
		assert!(x.len() >= n * d * h * w * c && out.len() >= pixels * c, "an operand is too short");
		let (x, start) = (Shared(x.as_ptr().cast_mut()), Shared(out.as_mut_ptr()));
		self.pieces(pool, x, None, &|taps, pixel, count| {
			for i in 0..count {
				// SAFETY: as above.
				unsafe {
					let at = i * self.strides[2] * c;
					maxima(isa, taps, at, signed, start.get().wrapping_add((pixel + i) * c), c);
				}
			}
		});
	}
}
