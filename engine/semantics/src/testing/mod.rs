//! For tests only: random nodes of every operator, random values, liars, and the whole game of a dispute. Not in the runtime.

pub mod bytes;
pub mod game;
pub mod nodes;

use crate::{DType, Tensor, TensorType};
use alloc::vec::Vec;

/// A small generator of pseudo-random numbers (splitmix64). The same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
	/// The next 64 bits.
	pub fn bits(&mut self) -> u64 {
		self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
		let mut z = self.0;
		z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
		z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
		z ^ (z >> 31)
	}

	/// A number below `n`; 0 when `n` is 0.
	pub fn below(&mut self, n: u64) -> u64 {
		self.bits() % n.max(1)
	}

	/// A number from `low` to `high`, both included.
	pub fn between(&mut self, low: u32, high: u32) -> u32 {
		low + self.below(u64::from(high.saturating_sub(low)) + 1) as u32
	}

	/// True once in `n` times.
	pub fn one_in(&mut self, n: u64) -> bool {
		self.below(n) == 0
	}

	/// One of these.
	pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
		list[self.below(list.len() as u64) as usize]
	}
}

/// Raw bytes for a tensor of this type: ordinary values, and those that have shown bugs elsewhere; also bits that are
/// not canonical, which inputs and weights may hold.
pub fn tensor(rng: &mut Rng, ty: &TensorType) -> Tensor {
	let count = ty.elements().unwrap_or(0);
	let mut bytes = Vec::new();
	for _ in 0..count {
		let bits = match ty.dtype {
			dtype if dtype.is_float() && rng.one_in(100) => rng.bits(),
			dtype if dtype.is_float() => {
				let x = if rng.one_in(40) {
					rng.pick(&[
						f32::NAN,
						f32::INFINITY,
						f32::NEG_INFINITY,
						-0.0,
						0.0,
						1e-40,
						-1e-40,
						f32::MIN_POSITIVE,
						f32::MAX,
						1e-30,
					])
				} else {
					(rng.below(8001) as f32 - 4000.0) / 999.0
				};
				// Subnormals of f32 stay what they are: an operand may hold them.
				match dtype {
					DType::F32 => u64::from(x.to_bits()),
					_ => crate::number::from_f64(dtype, f64::from(x)),
				}
			}
			// Small ones are places and shifts, too.
			DType::I32 | DType::I64 if rng.one_in(2) => (rng.below(24) as i64 - 12) as u64,
			_ => rng.bits(),
		};
		bytes.extend_from_slice(&bits.to_le_bytes()[..ty.dtype.size()]);
	}
	Tensor { ty: ty.clone(), bytes: bytes.into() }
}
