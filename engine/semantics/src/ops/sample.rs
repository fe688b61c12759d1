//! Interpolation: at places that the graph fixes ([`Resample`]), and at places that are computed ([`Sample`]).

use super::{
	from_f32,
	index::{ravel, unravel},
	to_i64, Bits, Operator, Read, Site, State, TypeError,
};
use crate::{
	float::{self, state_bits},
	DType, TensorType, MAX_RANK,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::ops::Range;
use scale_info::TypeInfo;

/// Terms of one step: each may lie in a tile of its own, and indices and weights in a few more.
const TERMS: u64 = 16;

/// The most spatial axes of a [`Sample`].
const MAX_AXES: usize = 3;

/// The chain in the state.
#[inline]
fn chain(state: State) -> f32 {
	f32::from_bits(state.0[0] as u32)
}

/// The state of a chain.
#[inline]
fn state_of(chain: f32) -> State {
	State([u64::from(state_bits(chain)), 0])
}

/// Weighted sums along an axis: `value[.., o, ..] = sum over t of weights[o, t] * x[.., indices[o, t], ..]`.
///
/// Operands: `x` (f32), `indices` (i32 or i64, `[O, T]`), `weights` (f32, `[O, T]`). One fma chain from +0 over ascending
/// `t`: `acc = fma(weight, element, acc)`. An index outside the axis is clamped. A weight of 0 multiplies like any other,
/// so that 0 times an infinity is NaN. Without terms the value is +0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Resample {
	/// The axis.
	pub axis: u8,
}

impl Operator for Resample {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let [x, indices, weights] = ins else { return Err(TypeError("Resample: the operator takes three operands")) };
		if x.dtype != DType::F32 || weights.dtype != DType::F32 || !matches!(indices.dtype, DType::I32 | DType::I64) {
			return Err(TypeError("Resample: f32 elements and weights, i32 or i64 indices"));
		}
		let ([o, t], true) = (indices.dims.as_slice(), indices.dims == weights.dims) else {
			return Err(TypeError("Resample: indices and weights need two dimensions, the same"));
		};
		let mut out = (*x).clone();
		let dim = out.dims.get_mut(usize::from(self.axis)).ok_or(TypeError("Resample: the axis is outside"))?;
		if *dim == 0 && *t > 0 {
			return Err(TypeError("Resample: the axis is empty"));
		}
		*dim = *o;
		Ok(out)
	}

	fn reduction(&self, site: &Site) -> u64 {
		site.dims(1).get(1).map_or(0, |t| u64::from(*t))
	}

	fn block(&self, _site: &Site) -> u64 {
		TERMS
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let (axis, terms) = (usize::from(self.axis), self.reduction(site));
		let mut at = unravel(index, &site.out.dims);
		let row = at.get(axis).map_or(0, |o| o.saturating_mul(terms));
		let mut acc = chain(state);
		for t in range {
			let term = row.saturating_add(t);
			let from = to_i64(site.dtype(1), read.read(1, term)).max(0);
			if let Some(c) = at.get_mut(axis) {
				*c = from.unsigned_abs();
			}
			acc = float::fma(read.f32(2, term), read.f32(0, ravel(&at, site.dims(0))), acc);
		}
		state_of(acc)
	}

	fn finish<R: Read + ?Sized>(&self, _site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		from_f32(chain(state))
	}
}

/// How [`Sample`] interpolates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum SampleMode {
	/// The element at the coordinate, rounded half to even, along each axis.
	#[codec(index = 0)]
	Nearest,
	/// Two elements along each axis: `1 - f` and `f`, with `f = x - floor(x)`.
	#[codec(index = 1)]
	Linear,
	/// Four elements along each axis, by Keys' cubic with a = -0.75.
	#[codec(index = 2)]
	Cubic,
}

/// What [`Sample`] finds outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum SampleBorder {
	/// Nothing: the term is left out.
	#[codec(index = 0)]
	Zeros,
	/// The nearest element inside.
	#[codec(index = 1)]
	Clamp,
	/// The elements mirrored at the centres of the outermost elements.
	#[codec(index = 2)]
	MirrorCentres,
	/// The elements mirrored at the outer edges of the outermost elements.
	#[codec(index = 3)]
	MirrorEdges,
}

/// Interpolation at computed coordinates.
///
/// Operands: `x` (f32, `[N, spatial.., C]`, one to three spatial axes), `at` (f32, `[M, places.., D]`: `D` coordinates, one
/// for each spatial axis, slowest first, in elements: 0 is the centre of the first), and, if `M` is not `N`, `sample` (i32
/// or i64, `[M]`: which of the `N` each of the `M` looks at, clamped). Value: `[M, places.., C]`.
///
/// The terms are the elements around the coordinate, row-major. A term's weight is the product of its weights along the
/// axes, slowest first; one fma chain from +0: `acc = fma(weight, element, acc)`. Coordinates become integers by floor (or
/// half to even), saturated, NaN to 0, and so do their sums with the terms' offsets; the border maps each integer on its own.
/// A coordinate that is NaN or infinite has NaN weights, which count where the term is not left out, except in
/// [`SampleMode::Nearest`], where all weights are 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Sample {
	/// How elements are combined.
	pub mode: SampleMode,
	/// What is outside.
	pub border: SampleBorder,
}

/// Keys' cubic at distance `x >= 0`, a = -0.75.
#[inline]
fn cubic(x: f32) -> f32 {
	const A: f32 = -0.75;
	if x <= 1.0 {
		((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
	} else {
		((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
	}
}

impl Sample {
	/// Terms along each axis.
	fn terms(&self) -> u64 {
		match self.mode {
			SampleMode::Nearest => 1,
			SampleMode::Linear => 2,
			SampleMode::Cubic => 4,
		}
	}

	/// The position and weight of term `k` along an axis at coordinate `x`.
	fn term(&self, x: f32, k: u64) -> (i64, f32) {
		match self.mode {
			SampleMode::Nearest => (float::round_half_even(x) as i64, 1.0),
			SampleMode::Linear => {
				let low = float::floor(x);
				let f = x - low;
				if k == 0 {
					(low as i64, 1.0 - f)
				} else {
					((low as i64).saturating_add(1), f)
				}
			}
			SampleMode::Cubic => {
				let low = float::floor(x);
				let f = x - low;
				let (offset, distance) = match k {
					0 => (-1, f + 1.0),
					1 => (0, f),
					2 => (1, 1.0 - f),
					_ => (2, 2.0 - f),
				};
				((low as i64).saturating_add(offset), cubic(distance))
			}
		}
	}

	/// The element that stands at position `i` along an axis of `n` elements; `None` for nothing.
	fn place(&self, i: i64, n: u32) -> Option<u64> {
		let n = i64::from(n);
		let mirrored = |period: i64, last: i64| {
			let m = i.checked_rem_euclid(period).unwrap_or(0);
			if m < n {
				m
			} else {
				last.saturating_sub(m)
			}
		};
		let at = match self.border {
			SampleBorder::Zeros if !(0..n).contains(&i) => return None,
			SampleBorder::Zeros => i,
			SampleBorder::Clamp => i.min(n.saturating_sub(1)).max(0),
			SampleBorder::MirrorCentres => {
				let period = n.saturating_sub(1).saturating_mul(2);
				mirrored(period, period)
			}
			SampleBorder::MirrorEdges => {
				let period = n.saturating_mul(2);
				mirrored(period, period.saturating_sub(1))
			}
		};
		u64::try_from(at).ok()
	}
}

impl Operator for Sample {
	fn out_type(&self, ins: &[&TensorType]) -> Result<TensorType, TypeError> {
		let (x, at, sample) = match ins {
			[x, at] => (x, at, None),
			[x, at, sample] => (x, at, Some(sample)),
			_ => return Err(TypeError("Sample: the operator takes two or three operands")),
		};
		if x.dtype != DType::F32 || at.dtype != DType::F32 {
			return Err(TypeError("Sample: elements and coordinates must be f32"));
		}
		let ([n, spatial @ .., c], [m, places @ .., d]) = (x.dims.as_slice(), at.dims.as_slice()) else {
			return Err(TypeError("Sample: the operands need at least two dimensions"));
		};
		if !(1..=MAX_AXES).contains(&spatial.len()) || u32::try_from(spatial.len()) != Ok(*d) {
			return Err(TypeError("Sample: one coordinate for each of one to three spatial axes"));
		}
		let fits = match sample {
			None => m == n,
			Some(s) => matches!(s.dtype, DType::I32 | DType::I64) && s.dims == [*m],
		};
		if !fits || *n == 0 || spatial.contains(&0) {
			return Err(TypeError("Sample: the samples do not fit together, or there is nothing to look at"));
		}
		let mut dims = alloc::vec![*m];
		dims.extend_from_slice(places);
		dims.push(*c);
		Ok(TensorType::new(DType::F32, dims))
	}

	fn reduction(&self, site: &Site) -> u64 {
		let axes = site.dims(0).len().saturating_sub(2).min(MAX_AXES);
		(0..axes).fold(1, |n: u64, _| n.saturating_mul(self.terms()))
	}

	fn block(&self, _site: &Site) -> u64 {
		TERMS
	}

	fn step<R: Read + ?Sized>(&self, site: &Site, index: u64, range: Range<u64>, state: State, read: &R) -> State {
		let [_, spatial @ .., c] = site.dims(0) else { return state };
		let channels = u64::from(*c).max(1);
		let (place, channel) = (index / channels, index % channels);
		// The first axis of the value chooses the sample.
		let first = unravel(index, &site.out.dims)[0];
		let sample =
			if site.ins.len() > 2 { to_i64(site.dtype(2), read.read(2, first)).max(0).unsigned_abs() } else { first };
		let axes = spatial.len().min(MAX_AXES);
		let mut x = [0.0f32; MAX_AXES];
		for (axis, x) in (0u64..).zip(x.iter_mut()).take(axes) {
			*x = read.f32(1, place.saturating_mul(axes as u64).saturating_add(axis));
		}
		let terms = self.terms();
		let mut acc = chain(state);
		for r in range {
			let mut at = [0u64; MAX_RANK];
			let mut outside = false;
			let mut weight = 1.0;
			at[0] = sample;
			for (axis, (dim, x)) in spatial.iter().zip(&x).enumerate() {
				let below = (axes.saturating_sub(axis).saturating_sub(1)) as u32;
				let k = r / terms.saturating_pow(below).max(1) % terms;
				let (position, w) = self.term(*x, k);
				weight *= w;
				match (self.place(position, *dim), at.get_mut(axis.saturating_add(1))) {
					(Some(p), Some(c)) => *c = p,
					_ => outside = true,
				}
			}
			if outside {
				continue;
			}
			if let Some(c) = at.get_mut(axes.saturating_add(1)) {
				*c = channel;
			}
			acc = float::fma(weight, read.f32(0, ravel(&at, site.dims(0))), acc);
		}
		state_of(acc)
	}

	fn finish<R: Read + ?Sized>(&self, _site: &Site, _index: u64, state: State, _read: &R) -> Bits {
		from_f32(chain(state))
	}
}
