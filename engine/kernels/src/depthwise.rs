//! Convolution with one input and one output channel for each group: vectors over channels, a few pixels at a time.

use crate::{
	gemm::{Scratch, Strip, Then},
	kernel,
	memory::Shared,
	pool::Pool,
	simd::Simd,
	Isa,
};

/// Lines of output that a task with a border takes.
const LINES: usize = 8;

/// A depthwise convolution over an image whose border is real.
#[derive(Clone, Debug)]
pub(crate) struct Depthwise {
	/// Lines of output along `N, D, H`.
	pub(crate) count: [usize; 3],
	/// Elements between them in the input.
	pub(crate) stride: [usize; 3],
	/// Pixels of a line of output, and elements between them in the input.
	pub(crate) width: usize,
	pub(crate) step: usize,
	/// Where the input of each element of the kernel is, from that of the first.
	pub(crate) taps: Vec<usize>,
	/// Channels.
	pub(crate) channels: usize,
	/// The border, as in [`crate::gemm::Gemm`].
	pub(crate) strip: Option<Strip>,
}

thread_local! {
	static STRIP: Scratch = const { Scratch::new() };
}

/// One line of output.
struct Line<'a> {
	taps: &'a [usize],
	/// The first pixel's input.
	x: *const f32,
	step: usize,
	/// `[taps, channels]`
	w: *const f32,
	/// The first pixel's output.
	y: *mut f32,
	channels: usize,
	width: usize,
	then: &'a [Then],
	/// Element of `y` in the tensors of `then`.
	element: usize,
}

kernel!(fn line(line: &Line) = each);

/// Pixels of output that are computed together.
const PIXELS: usize = 8;

/// # Safety
///
/// The pointers are valid for what the line says.
#[inline(always)]
unsafe fn each<S: Simd>(line: &Line) {
	let full = line.channels / S::LANES * S::LANES;
	// Taps that are neighbours, three by three, of windows that are neighbours: what one reads is read by three.
	let triples = line.step == line.channels
		&& line.taps.len() <= crate::gemm::BLOCK
		&& line.taps.len().is_multiple_of(3)
		&& line.taps.chunks_exact(3).all(|t| t[1] == t[0] + line.channels && t[2] == t[1] + line.channels);
	// SAFETY: the caller's.
	unsafe {
		let mut p = 0;
		while p < line.width {
			let together = p + PIXELS <= line.width;
			let mut c = 0;
			while c < full {
				match together {
					true if triples => threes::<S>(line, p, c),
					true => pixels::<S, PIXELS>(line, p, c, S::LANES),
					false => pixels::<S, 1>(line, p, c, S::LANES),
				}
				c += S::LANES;
			}
			if c < line.channels {
				match together {
					true => pixels::<S, PIXELS>(line, p, c, line.channels - c),
					false => pixels::<S, 1>(line, p, c, line.channels - c),
				}
			}
			p += if together { PIXELS } else { 1 };
		}
	}
}

#[inline(always)]
unsafe fn get<S: Simd>(p: *const f32, n: usize) -> S::F {
	// SAFETY: the caller's: `n` elements.
	unsafe {
		if n >= S::LANES {
			S::load(p)
		} else {
			S::load_n(p, n)
		}
	}
}

/// [`PIXELS`] pixels by one vector of channels, three taps at a time.
#[inline(always)]
unsafe fn threes<S: Simd>(line: &Line, pixel: usize, c: usize) {
	// SAFETY: the caller's.
	unsafe {
		let mut acc = [S::splat(0.0); PIXELS];
		let mut w = line.w.wrapping_add(c);
		for taps in line.taps.chunks_exact(3) {
			let (u, v) = (S::load(w), S::load(w.wrapping_add(line.channels)));
			let s = S::load(w.wrapping_add(2 * line.channels));
			let x = line.x.wrapping_add(pixel * line.step + taps[0] + c);
			let (mut first, mut second) = (S::load(x), S::load(x.wrapping_add(line.step)));
			for (i, acc) in acc.iter_mut().enumerate() {
				let third = S::load(x.wrapping_add((i + 2) * line.step));
				*acc = S::fma(third, s, S::fma(second, v, S::fma(first, u, *acc)));
				(first, second) = (second, third);
			}
			w = w.wrapping_add(3 * line.channels);
		}
		for (i, acc) in acc.iter().enumerate() {
			finish::<S>(line, (pixel + i) * line.channels + c, c, S::LANES, S::add(S::splat(0.0), *acc));
		}
	}
}

/// `P` pixels by one vector of `n` channels.
#[inline(always)]
unsafe fn pixels<S: Simd, const P: usize>(line: &Line, pixel: usize, c: usize, n: usize) {
	// SAFETY: the caller's.
	unsafe {
		let mut total = [S::splat(0.0); P];
		let mut w = line.w.wrapping_add(c);
		for block in line.taps.chunks(crate::gemm::BLOCK) {
			let mut acc = [S::splat(0.0); P];
			for tap in block {
				let y = get::<S>(w, n);
				let x = line.x.wrapping_add(pixel * line.step + tap + c);
				for (i, acc) in acc.iter_mut().enumerate() {
					*acc = S::fma(get::<S>(x.wrapping_add(i * line.step), n), y, *acc);
				}
				w = w.wrapping_add(line.channels);
			}
			for (total, acc) in total.iter_mut().zip(acc) {
				*total = S::add(*total, acc);
			}
		}
		for (i, total) in total.iter().enumerate() {
			finish::<S>(line, (pixel + i) * line.channels + c, c, n, *total);
		}
	}
}

/// Stores `n` sums, and what follows, from an element of the line and channel `c` on.
#[inline(always)]
unsafe fn finish<S: Simd>(line: &Line, element: usize, c: usize, n: usize, total: S::F) {
	// SAFETY: the caller's.
	unsafe {
		let mut x = S::flush(total);
		for then in line.then {
			x = match *then {
				Then::AddColumn(p) => S::flush(S::add(x, get::<S>(p.wrapping_add(c), n))),
				Then::MulColumn(p) => S::flush(S::mul(x, get::<S>(p.wrapping_add(c), n))),
				Then::AddTensor(p) => S::flush(S::add(x, get::<S>(p.wrapping_add(line.element + element), n))),
				Then::Relu => S::relu(x),
			};
		}
		S::store_n(line.y.wrapping_add(element), n, x);
	}
}

impl Depthwise {
	/// Convolves. `w` is `[taps, channels]`; `then` is valid for the shape of the output.
	pub(crate) fn run(&self, isa: Isa, pool: &Pool, x: &[f32], w: &[f32], y: &mut [f32], then: &[Then]) {
		let lines: usize = self.count.iter().product();
		if lines == 0 || self.width == 0 || self.channels == 0 {
			return;
		}
		let start = |line: usize| {
			let [_, b, c] = self.count;
			let at = [line / (b * c), line / c % b, line % c];
			at.iter().zip(self.stride).map(|(i, s)| i * s).sum::<usize>()
		};
		let reach = (self.width - 1) * self.step + self.channels;
		let check = |last: usize, len: usize| {
			assert!(self.taps.iter().all(|tap| tap + last + reach <= len), "the input is too short");
		};
		assert!(w.len() >= self.taps.len() * self.channels, "the weights are too short");
		let size = self.width * self.channels;
		assert!(y.len() >= lines * size, "the output is too short");
		let (to, then) = (Shared(y.as_mut_ptr()), Shared(std::ptr::from_ref(then).cast_mut()));
		// SAFETY: a line belongs to one task; the bounds are checked before.
		let each = |i: usize, x: *const f32| unsafe {
			line(
				isa,
				&Line {
					taps: &self.taps,
					x,
					step: self.step,
					w: w.as_ptr(),
					y: to.get().add(i * size),
					channels: self.channels,
					width: self.width,
					then: &*then.get(),
					element: i * size,
				},
			)
		};
		let Some(strip) = &self.strip else {
			check(start(lines - 1), x.len());
			let tasks = lines.min(8 * pool.threads());
			pool.run(tasks, &|task| {
				for i in task * lines / tasks..(task + 1) * lines / tasks {
					each(i, x.as_ptr().wrapping_add(start(i)));
				}
			});
			return;
		};
		assert!(x.len() >= strip.from.iter().product(), "the image is too short");
		let [images, _, of_image] = self.count;
		let cuts = of_image.div_ceil(LINES).max(pool.threads().min(of_image));
		pool.run(images * cuts, &|task| {
			let (image, cut) = (task / cuts, task % cuts);
			let (first, end) = (cut * of_image / cuts, (cut + 1) * of_image / cuts);
			STRIP.with(|scratch| {
				scratch.with(strip.floats(end - first), |to| {
					let to = to.expect("memory for a few lines of an image");
					strip.fill(image, first, end - first, x, to);
					check((end - first - 1) * self.stride[2], to.len());
					for i in first..end {
						each(image * of_image + i, to.as_ptr().wrapping_add((i - first) * self.stride[2]));
					}
				})
			});
		});
	}
}
