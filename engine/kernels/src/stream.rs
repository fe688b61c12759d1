//! Weights piece by piece, so that a model's file need not be in memory while its plan is made.

use crate::memory::Buffer;
use assay_semantics::{Bytes, EvalError};

/// Floats of a piece, unless one unit is longer.
const PIECE: usize = 1 << 20;

/// Gives `len` floats that begin at byte `start`, in pieces of whole units of `unit` floats but for the last: where the piece
/// begins, and a copy, as a tensor's bytes have no alignment. What was read is given back where memory is shared. An error where
/// there are too few bytes, or too little memory.
pub(crate) fn floats(
	bytes: &Bytes,
	start: usize,
	len: usize,
	unit: usize,
	visit: &mut dyn FnMut(usize, &mut [f32]),
) -> Result<(), EvalError> {
	let unit = unit.max(1);
	let most = unit.saturating_mul((PIECE / unit).max(1)).min(len);
	let mut piece = Buffer::new(most * 4).ok_or(EvalError::Memory)?;
	for at in (0..len).step_by(most.max(1)) {
		let here = most.min(len - at);
		let from = start + at * 4;
		let of = bytes.get(from..from + here * 4).ok_or(EvalError::Memory)?;
		piece.bytes_mut()[..here * 4].copy_from_slice(of);
		visit(at, &mut piece.floats_mut()[..here]);
		if bytes.is_shared() {
			bytes.part(from, here * 4).iter().for_each(Bytes::release);
		}
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;
	use std::sync::Arc;

	#[test]
	fn pieces_should_be_the_whole_when_units_are_short_and_long() {
		let content: Vec<u8> = (0..12_000_000u32).map(|i| (i * 7 / 5) as u8).collect();
		for bytes in [Bytes::from(content.clone()), Bytes::shared(Arc::new(content.clone()))] {
			for (start, len, unit) in
				[(1, 2_700_000, 3), (0, 1 << 21, 1 << 22), (4, 2_900_001, 7), (3, 0, 5), (3, 9, 0)]
			{
				let mut got = Vec::new();
				floats(&bytes, start, len, unit, &mut |at, floats| {
					assert!(at * 4 == got.len() && at % unit.max(1) == 0);
					got.extend(floats.iter().flat_map(|x| x.to_le_bytes()));
				})
				.unwrap();
				assert!(got == content[start..][..len * 4]);
			}
			assert!(floats(&bytes, 0, 4_000_000, 1000, &mut |_, _| {}).is_err());
		}
	}
}
