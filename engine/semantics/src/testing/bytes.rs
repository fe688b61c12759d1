//! Bytes that nobody meant: what readers of strangers' bytes are fed.

use super::Rng;
use alloc::vec::Vec;

/// Changes, drops, repeats or inserts bytes, a few times. `words` are what readers of these bytes look for; without any, only
/// bytes are inserted.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, words: &[&[u8]]) {
	for _ in 0..=rng.below(3) {
		if bytes.is_empty() {
			return;
		}
		let at = rng.below(bytes.len() as u64) as usize;
		let len = (rng.below(40) as usize).min(bytes.len() - at);
		match rng.below(if words.is_empty() { 6 } else { 8 }) {
			0 => bytes[at] ^= 1 << rng.below(8),
			1 => bytes[at] = rng.pick(&[0, 1, 2, 3, 0x7f, 0x80, 0xfc, 0xff]),
			2 => drop(bytes.drain(at..at + len)),
			3 => {
				let piece = bytes[at..at + len].to_vec();
				let to = rng.below(bytes.len() as u64) as usize;
				bytes.splice(to..to, piece);
			}
			4 => bytes.truncate(at),
			5 => bytes.extend((0..len).map(|_| rng.bits() as u8)),
			6 => drop(bytes.splice(at..at, rng.pick(words).iter().copied())),
			_ => {
				let len = len.min(8);
				bytes.splice(at..at + len, rng.pick(words).iter().copied());
			}
		}
	}
}
