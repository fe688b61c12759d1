//! Where values lie that live at different times.

use crate::memory::ALIGN;
use std::collections::BTreeMap;

/// A piece of the arena, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
	pub(crate) start: usize,
	len: usize,
}

/// Memory that is given out and taken back while a plan is made; a run then needs one allocation.
#[derive(Default)]
pub(crate) struct Arena {
	/// Free pieces by start, never side by side.
	free: BTreeMap<usize, usize>,
	size: usize,
}

impl Arena {
	/// A piece of this many bytes: the smallest free one that is large enough, else new memory.
	pub(crate) fn take(&mut self, bytes: usize) -> Slot {
		let len = bytes.next_multiple_of(ALIGN).max(ALIGN);
		let fitting = self.free.iter().filter(|(_, n)| **n >= len).min_by_key(|(_, n)| **n);
		let (start, found) = match (fitting, self.free.last_key_value()) {
			(Some((start, n)), _) => (*start, *n),
			// A free piece at the end grows.
			(None, Some((start, n))) if start + n == self.size => (*start, *n),
			_ => (self.size, 0),
		};
		self.free.remove(&start);
		if found > len {
			self.free.insert(start + len, found - len);
		}
		self.size = self.size.max(start + len);
		Slot { start, len }
	}

	/// Takes a piece back.
	pub(crate) fn give(&mut self, slot: Slot) {
		let Slot { mut start, mut len } = slot;
		if let Some((before, n)) = self.free.range(..start).next_back().map(|(s, n)| (*s, *n)) {
			if before + n == start {
				self.free.remove(&before);
				(start, len) = (before, n + len);
			}
		}
		if let Some(n) = self.free.remove(&(start + len)) {
			len += n;
		}
		self.free.insert(start, len);
	}

	/// Bytes that are needed at once.
	pub(crate) fn size(&self) -> usize {
		self.size
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use assay_semantics::testing::Rng;

	#[test]
	fn slots_should_not_overlap_while_they_live() {
		let mut rng = Rng(1);
		let (mut arena, mut live) = (Arena::default(), Vec::<Slot>::new());
		for _ in 0..3000 {
			if live.len() > 20 || (!live.is_empty() && rng.one_in(2)) {
				let slot = live.swap_remove(rng.below(live.len() as u64) as usize);
				arena.give(slot);
			} else {
				let slot = arena.take(rng.below(5000) as usize);
				assert!(live.iter().all(|s| s.start + s.len <= slot.start || slot.start + slot.len <= s.start));
				assert!(slot.start + slot.len <= arena.size() && slot.start.is_multiple_of(ALIGN));
				live.push(slot);
			}
		}
		live.drain(..).for_each(|slot| arena.give(slot));
		assert_eq!(arena.free.len(), 1);
	}
}
