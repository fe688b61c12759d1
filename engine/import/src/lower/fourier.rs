//! Fourier transforms as products with constant matrices, and constants of signal processing.
//!
//! Constants are computed in f64 with `libm`, at an exact version, and rounded once: the same on every machine.

use super::{norms::single, Lowering, Outputs};
use crate::{attributes::axis, builder::Value, error::Reason, weights};
use core::f64::consts::PI;

/// The most elements of a transform's matrix.
const MAX_MATRIX: u64 = 1 << 24;

/// The most elements of a computed window.
const MAX_WINDOW: i64 = 1 << 24;

/// What a transform turns into what.
#[derive(Clone, Copy)]
struct Transform {
	/// Elements that are transformed.
	input: u32,
	/// Elements that come of it.
	output: u32,
	/// The length of the transform.
	length: u32,
	/// Whether the operand has imaginary parts.
	complex: bool,
	inverse: bool,
	/// Inverse of a half spectrum, to real numbers.
	to_real: bool,
}

impl Transform {
	/// The matrix, `[output * parts, input * parts]`; parts lie side by side.
	fn matrix(self) -> Result<(u32, u32, Vec<f32>), Reason> {
		let (parts_in, parts_out) = (if self.complex { 2u32 } else { 1 }, if self.to_real { 1u32 } else { 2 });
		let rows = self.output.checked_mul(parts_out).ok_or("too large")?;
		let columns = self.input.checked_mul(parts_in).ok_or("too large")?;
		if u64::from(rows) * u64::from(columns) > MAX_MATRIX {
			return Err("the transform is too long: its matrix would have more than 2^24 elements".into());
		}
		let n = u64::from(self.length.max(1));
		let angle = |k: u64| 2.0 * PI * (k % n) as f64 / n as f64;
		let scale = if self.inverse { 1.0 / n as f64 } else { 1.0 };
		let sign = if self.inverse { 1.0 } else { -1.0 };
		let mut matrix = Vec::new();
		for row in 0..rows {
			let (k, imaginary_out) = (u64::from(row / parts_out), row % parts_out == 1);
			for column in 0..columns {
				let (j, imaginary_in) = (u64::from(column / parts_in), column % parts_in == 1);
				let angle = angle(k * j);
				// Elements of a half spectrum stand for their mirror images too.
				let twice = self.to_real && j != 0 && 2 * j != n;
				let weight = scale * if twice { 2.0 } else { 1.0 };
				// (a + ib)(cos + i sign sin)
				let entry = match (imaginary_out, imaginary_in) {
					(false, false) | (true, true) => libm::cos(angle),
					(false, true) => -sign * libm::sin(angle),
					(true, false) => sign * libm::sin(angle),
				};
				matrix.push((entry * weight) as f32);
			}
		}
		Ok((rows, columns, matrix))
	}
}

impl Lowering<'_> {
	/// `x` (`[.., input, parts]`) transformed along the axis before the last, as `[.., output, parts]`.
	fn transformed(&mut self, x: &Value, transform: Transform) -> Result<Value, Reason> {
		let dims = self.dims(x);
		let (rows, columns, matrix) = transform.matrix()?;
		let matrix = self.numbers(&[rows, columns], &matrix)?;
		let outer = dims[..dims.len() - 2].to_vec();
		let mut flat = outer.clone();
		flat.push(columns);
		// A matrix product needs two dimensions.
		let single_row = flat.len() < 2;
		if single_row {
			flat.insert(0, 1);
		}
		let x = self.reshape_to(x, flat)?;
		let y = self.product(&x, &matrix)?;
		let mut out = outer;
		out.extend([transform.output, rows / transform.output.max(1)]);
		self.reshape_to(&y, out)
	}

	pub(super) fn dft(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let attributes = self.attributes();
		let (inverse, onesided) = (attributes.flag("inverse")?, attributes.flag("onesided")?);
		let rank = x.perm.len();
		let at = match self.context.opset < 20 {
			true => attributes.int("axis", 1)?,
			false => self.constant_integers(2)?.and_then(|a| a.first().copied()).unwrap_or(-2),
		};
		let at = axis(at, rank)?;
		if at + 1 == rank {
			return Err("the last axis holds real and imaginary parts".into());
		}
		let dims = self.dims(&x);
		let parts = dims[rank - 1];
		if !(1..=2).contains(&parts) {
			return Err("the last axis must hold one or two parts".into());
		}
		let to_real = inverse && onesided;
		let length = match self.constant_integers(1)?.and_then(|l| l.first().copied()) {
			Some(length) => u32::try_from(length)?,
			None if to_real => dims[at].saturating_sub(1).saturating_mul(2),
			None => dims[at],
		};
		let half = length / 2 + 1;
		let input = if to_real { half } else { length };
		let output = if onesided && !inverse { half } else { length };
		// Cut off, or zeros appended, to the length.
		let x = if dims[at] > input {
			self.part(&x, at, 0, input)?
		} else {
			let mut after = vec![0; rank];
			after[at] = input - dims[at];
			self.padded(&x, &vec![0; rank], &after, 0)?
		};
		let mut perm: Vec<u8> = (0..rank as u8).collect();
		perm.swap(at, rank - 2);
		let moved = self.permuted(&x, &perm)?;
		let transform = Transform { input, output, length, complex: parts == 2, inverse, to_real };
		let y = self.transformed(&moved, transform)?;
		let y = self.permuted(&y, &perm)?;
		single(self.cast_to(&y, dtype)?)
	}

	pub(super) fn stft(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let x = match *self.dims(&x).as_slice() {
			[b, n] => self.reshape_to(&x, [b, n, 1])?,
			_ => x,
		};
		let &[_, n, parts] = self.dims(&x).as_slice() else { return Err("the signal needs three dimensions".into()) };
		let step = self.constant_integers(1)?.and_then(|s| s.first().copied()).ok_or("the frame step is missing")?;
		let step = u32::try_from(step).ok().filter(|s| *s > 0).ok_or("the frame step must be positive")?;
		let window = match self.optional(2)? {
			Some(window) => Some(self.wide(&window)?),
			None => None,
		};
		let length = match self.constant_integers(3)?.and_then(|l| l.first().copied()) {
			Some(length) => u32::try_from(length)?,
			None => window.as_ref().and_then(|w| self.dims(w).first().copied()).unwrap_or(n),
		};
		let frames = n.checked_sub(length).ok_or("a frame is longer than the signal")? / step + 1;
		super::control::check_unrolled(frames)?;
		let mut cut = Vec::new();
		for f in 0..frames {
			let frame = self.part(&x, 1, f * step, length)?;
			let mut dims = self.dims(&frame);
			dims.insert(1, 1);
			cut.push(self.reshape_to(&frame, dims)?);
		}
		let mut framed = self.joined(&cut, 1)?;
		if let Some(window) = window {
			let window = self.reshape_to(&window, [length, 1])?;
			framed = self.mul(&framed, &window)?;
		}
		let onesided = self.attributes().int("onesided", 1)? != 0;
		let output = if onesided { length / 2 + 1 } else { length };
		let transform =
			Transform { input: length, output, length, complex: parts == 2, inverse: false, to_real: false };
		let y = self.transformed(&framed, transform)?;
		single(self.cast_to(&y, dtype)?)
	}

	/// The element type that `output_datatype` names; f32 by default.
	fn output_datatype(&self) -> Result<assay_semantics::DType, Reason> {
		weights::dtype(i32::try_from(self.attributes().int("output_datatype", 1)?)?)
	}

	/// `a - b cos(2 pi i / n) + c cos(4 pi i / n)`
	pub(super) fn cosine_window(&mut self, [a, b, c]: [f64; 3]) -> Result<Outputs, Reason> {
		let size = self.constant_integers(0)?.and_then(|s| s.first().copied()).ok_or("the size is missing")?;
		if !(0..=MAX_WINDOW).contains(&size) {
			return Err(format!("the size {size} is out of range").into());
		}
		let periodic = self.attributes().int("periodic", 1)? != 0;
		let n = (if periodic { size } else { size - 1 }).max(1) as f64;
		let element = |i: i64| {
			let angle = 2.0 * PI * i as f64 / n;
			(a - b * libm::cos(angle) + c * libm::cos(2.0 * angle)) as f32
		};
		let window: Vec<f32> = (0..size).map(element).collect();
		let window = self.numbers(&[u32::try_from(size)?], &window)?;
		let to = self.output_datatype()?;
		single(self.cast_to(&window, to)?)
	}

	/// Triangles, evenly spaced on the mel scale, as a matrix `[dft_length / 2 + 1, bins]`.
	pub(super) fn mel_weight_matrix(&mut self) -> Result<Outputs, Reason> {
		let mut whole = Vec::new();
		for i in 0..3 {
			whole.push(self.constant_integers(i)?.and_then(|s| s.first().copied()).ok_or("an operand is missing")?);
		}
		let mut edges = Vec::new();
		for i in 3..5 {
			let hertz = self.constant_floats(i)?.and_then(|s| s.first().copied()).ok_or("an operand is missing")?;
			edges.push(2595.0 * libm::log10(1.0 + f64::from(hertz) / 700.0));
		}
		let [bins, length, rate] = whole[..] else { return Err("an operand is missing".into()) };
		let rows = length / 2 + 1;
		if bins < 1 || rate < 1 || length < 0 || !(edges[0] >= 0.0 && edges[1] >= edges[0] && edges[1] < 1e6) {
			return Err("the operands are out of range".into());
		}
		if rows.saturating_mul(bins) > MAX_WINDOW {
			return Err("the matrix is too large".into());
		}
		let step = (edges[1] - edges[0]) / (bins + 2) as f64;
		let edge = |i: i64| {
			let hertz = 700.0 * (libm::pow(10.0, (i as f64 * step + edges[0]) / 2595.0) - 1.0);
			libm::floor((length + 1) as f64 * hertz / rate as f64) as i64
		};
		let mut matrix = vec![0.0f32; usize::try_from(rows * bins)?];
		let mut set = |row: i64, bin: i64, value: f64| {
			if (0..rows).contains(&row) {
				matrix[(row * bins + bin) as usize] = value as f32;
			}
		};
		for bin in 0..bins {
			let (low, centre, high) = (edge(bin), edge(bin + 1), edge(bin + 2));
			if low == centre {
				set(centre, bin, 1.0);
			}
			for row in low.max(0)..=centre.min(rows) {
				if low < centre {
					set(row, bin, (row - low) as f64 / (centre - low) as f64);
				}
			}
			for row in centre.max(0)..high.min(rows) {
				set(row, bin, (high - row) as f64 / (high - centre) as f64);
			}
		}
		let matrix = self.numbers(&[u32::try_from(rows)?, u32::try_from(bins)?], &matrix)?;
		let to = self.output_datatype()?;
		single(self.cast_to(&matrix, to)?)
	}
}
