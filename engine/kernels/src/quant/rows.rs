//! The rows of the left operand, copied together: what a tile reads lies in its order, whatever the window.

use super::micro::BLOCK;
use crate::{kernel, simd::Simd};

/// Where rows are.
#[derive(Clone, Debug)]
pub(crate) enum Rows {
	/// So many, each in one piece, this many elements apart.
	Plain { count: usize, pitch: usize },
	/// The windows of an image.
	Image(Image),
}

/// Windows over `[N, D, H, W, C]`.
#[derive(Clone, Debug)]
pub(crate) struct Image {
	pub(crate) from: [usize; 5],
	/// `D, H, W` of the output, and so on.
	pub(crate) out: [usize; 3],
	pub(crate) kernel: [usize; 3],
	pub(crate) strides: [usize; 3],
	pub(crate) dilations: [usize; 3],
	pub(crate) before: [usize; 3],
	/// Channels of a group.
	pub(crate) depth: usize,
	/// What the border holds.
	pub(crate) fill: u8,
}

/// How elements are copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
	/// As they are.
	Same,
	/// 128 is added: signed to unsigned.
	Flip,
	/// To 16 bits.
	Widen,
	/// To 16 bits, signed.
	WidenSigned,
}

impl Mode {
	fn size(self) -> usize {
		match self {
			Mode::Same | Mode::Flip => 1,
			_ => 2,
		}
	}
}

impl Rows {
	/// How many rows there are.
	pub(crate) fn count(&self) -> usize {
		match self {
			Rows::Plain { count, .. } => *count,
			Rows::Image(image) => image.from[0] * image.out.iter().product::<usize>(),
		}
	}

	/// Elements of the left operand that are read from `start` on, with `k` in each row.
	pub(crate) fn reach(&self, start: usize, k: usize) -> usize {
		match self {
			Rows::Plain { count, pitch } => start + count.saturating_sub(1) * pitch + k,
			// The first element of a group's channels is inside a pixel.
			Rows::Image(image) => {
				image.from.iter().product::<usize>() + (start + image.depth).saturating_sub(image.from[4])
			}
		}
	}
}

/// What is copied: `rows` rows from `first` on, of `k` elements each.
pub(super) struct Part<'a> {
	pub(super) from: &'a Rows,
	pub(super) mode: Mode,
	pub(super) a: *const u8,
	/// The end of the left operand.
	pub(super) end: *const u8,
	pub(super) first: usize,
	pub(super) rows: usize,
	pub(super) k: usize,
	/// For each block of [`BLOCK`] words the rows' parts, one after the other.
	pub(super) to: *mut u8,
}

kernel!(
	/// Copies rows together.
	pub(super) fn gather(part: &Part) = gather_body
);

/// Where the next elements of a row go.
struct Writer {
	to: *mut u8,
	/// Bytes from a row's block to its next.
	skip: usize,
	/// Bytes of the block that are written.
	at: usize,
	mode: Mode,
	/// What stands for nothing.
	fill: u8,
	/// The end of what may be read.
	end: *const u8,
}

impl Writer {
	/// # Safety
	///
	/// There is room for `n` elements, and so many at `from`; or null, for the border.
	#[inline(always)]
	unsafe fn put(&mut self, mut from: *const u8, mut n: usize) {
		let size = self.mode.size();
		// Whole chunks, where that leaves neither operand: what is written too much is written again, or counts nothing.
		let room = (self.end as usize).saturating_sub(from as usize) >= n + 64 && self.at + n + 64 <= 4 * BLOCK;
		if self.mode == Mode::Same && !from.is_null() && room {
			let to = self.to.wrapping_add(self.at);
			let mut i = 0;
			while i < n {
				// SAFETY: the caller's, and what was just looked at.
				unsafe { chunk::<64>(from.add(i), to.add(i)) };
				i += 64;
			}
			self.at += n;
			return;
		}
		while n > 0 {
			let part = n.min((4 * BLOCK - self.at) / size);
			let to = self.to.wrapping_add(self.at);
			// SAFETY: the caller's.
			unsafe {
				match from.is_null() {
					true => fill(self.mode, self.fill, to, part),
					false => {
						copy(self.mode, from, to, part);
						from = from.add(part);
					}
				}
			}
			n -= part;
			self.at += part * size;
			if self.at == 4 * BLOCK {
				self.at = 0;
				self.to = self.to.wrapping_add(self.skip);
			}
		}
	}
}

#[inline(always)]
unsafe fn fill(mode: Mode, x: u8, to: *mut u8, n: usize) {
	let wide = if mode == Mode::WidenSigned { i16::from(x as i8) } else { i16::from(x) };
	// SAFETY: the caller's: room for `n` elements.
	unsafe {
		match mode {
			Mode::Same => std::ptr::write_bytes(to, x, n),
			Mode::Flip => std::ptr::write_bytes(to, x ^ 0x80, n),
			_ => (0..n).for_each(|i| to.cast::<i16>().add(i).write_unaligned(wide)),
		}
	}
}

#[inline(always)]
unsafe fn chunk<const N: usize>(from: *const u8, to: *mut u8) {
	// SAFETY: the caller's: `N` bytes on both sides.
	unsafe { std::ptr::copy_nonoverlapping(from, to, N) }
}

#[inline(always)]
unsafe fn copy(mode: Mode, from: *const u8, to: *mut u8, n: usize) {
	// SAFETY, for all of it: the caller's: `n` elements at `from`, and room for them.
	unsafe {
		match mode {
			Mode::Same if n >= 16 => {
				let mut i = 0;
				while i + 64 <= n {
					chunk::<64>(from.add(i), to.add(i));
					i += 64;
				}
				while i + 16 <= n {
					chunk::<16>(from.add(i), to.add(i));
					i += 16;
				}
				chunk::<16>(from.add(n - 16), to.add(n - 16));
			}
			Mode::Same if n >= 4 => {
				let half = if n >= 8 { 8 } else { 4 };
				if half == 8 {
					chunk::<8>(from, to);
					chunk::<8>(from.add(n - 8), to.add(n - 8));
				} else {
					chunk::<4>(from, to);
					chunk::<4>(from.add(n - 4), to.add(n - 4));
				}
			}
			Mode::Same => (0..n).for_each(|i| *to.add(i) = *from.add(i)),
			Mode::Flip => (0..n).for_each(|i| *to.add(i) = *from.add(i) ^ 0x80),
			Mode::Widen => (0..n).for_each(|i| to.cast::<u16>().add(i).write_unaligned(u16::from(*from.add(i)))),
			Mode::WidenSigned => {
				(0..n).for_each(|i| to.cast::<i16>().add(i).write_unaligned(i16::from(*from.add(i) as i8)))
			}
		}
	}
}

/// # Safety
///
/// The rows are inside the left operand, and there is room for them.
#[inline(always)]
unsafe fn gather_body<S: Simd>(part: &Part) {
	let mut place = match part.from {
		Rows::Image(image) => image.place(part.first),
		Rows::Plain { .. } => [0; 4],
	};
	let fill = if let Rows::Image(image) = part.from { image.fill } else { 0 };
	for i in 0..part.rows {
		let to = part.to.wrapping_add(i * 4 * BLOCK);
		let mut writer = Writer { to, skip: part.rows * 4 * BLOCK, at: 0, mode: part.mode, fill, end: part.end };
		// SAFETY: the caller's.
		unsafe {
			match part.from {
				Rows::Plain { pitch, .. } => writer.put(part.a.add((part.first + i) * pitch), part.k),
				Rows::Image(image) => {
					image.window(part.a, place, &mut writer);
					image.next(&mut place);
				}
			}
		}
	}
}

impl Image {
	/// Image, plane, line and pixel of a row.
	fn place(&self, row: usize) -> [usize; 4] {
		let [od, oh, ow] = self.out;
		let line = row / ow;
		[line / oh / od, line / oh % od, line % oh, row % ow]
	}

	#[inline(always)]
	fn next(&self, place: &mut [usize; 4]) {
		for axis in (0..3).rev() {
			place[axis + 1] += 1;
			if place[axis + 1] < self.out[axis] {
				return;
			}
			place[axis + 1] = 0;
		}
		place[0] += 1;
	}

	/// One window.
	///
	/// # Safety
	///
	/// As [`gather_body`].
	#[inline(always)]
	unsafe fn window(&self, a: *const u8, [image, z, y, x]: [usize; 4], writer: &mut Writer) {
		let [_, d, h, w, c] = self.from;
		let [kd, kh, kw] = self.kernel;
		let at = |out: usize, k: usize, axis: usize, size: usize| {
			let at = out * self.strides[axis] + k * self.dilations[axis];
			at.checked_sub(self.before[axis]).filter(|at| *at < size)
		};
		let joined = self.depth == c && self.dilations[2] == 1;
		// Pixels of the window from `start` to `start + kw`, less the border before.
		let start = x * self.strides[2];
		let first = self.before[2].saturating_sub(start).min(kw);
		let last = (w + self.before[2]).saturating_sub(start).clamp(first, kw);
		for kz in 0..kd {
			for ky in 0..kh {
				let (Some(iz), Some(iy)) = (at(z, kz, 0, d), at(y, ky, 1, h)) else {
					// SAFETY: the caller's.
					unsafe { writer.put(std::ptr::null(), kw * self.depth) };
					continue;
				};
				let line = a.wrapping_add(((image * d + iz) * h + iy) * w * c);
				// SAFETY: the caller's; pixels are inside the line.
				unsafe {
					if joined {
						writer.put(std::ptr::null(), first * c);
						if last > first {
							writer.put(line.add((start + first - self.before[2]) * c), (last - first) * c);
						}
						writer.put(std::ptr::null(), (kw - last) * c);
						continue;
					}
					for kx in 0..kw {
						let from = at(x, kx, 2, w).map_or(std::ptr::null(), |ix| line.add(ix * c));
						writer.put(from, self.depth);
					}
				}
			}
		}
	}
}
