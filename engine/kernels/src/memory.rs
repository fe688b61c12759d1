//! Aligned memory, and pointers that threads share.

use std::{
	alloc::{alloc_zeroed, dealloc, Layout},
	ptr::NonNull,
};

/// Bytes to which everything is aligned: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// Bytes of a large page. Memory of this size and more is aligned to it.
const LARGE: usize = 1 << 21;

/// Zeroed memory, aligned to [`ALIGN`] and to large pages.
pub(crate) struct Buffer {
	start: NonNull<u8>,
	len: usize,
}

// SAFETY: a buffer is plain memory that it owns alone.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

fn layout(len: usize) -> Option<Layout> {
	Layout::from_size_align(len, if len >= LARGE { LARGE } else { ALIGN }).ok()
}

impl Buffer {
	/// A buffer of this many bytes; `None` when there is not enough memory.
	pub(crate) fn new(bytes: usize) -> Option<Self> {
		let len = bytes.checked_next_multiple_of(ALIGN)?.max(ALIGN);
		// SAFETY: the size is not 0.
		let start = NonNull::new(unsafe { alloc_zeroed(layout(len)?) })?;
		#[cfg(target_os = "linux")]
		if len >= LARGE {
			// Large pages spare the walks through page tables that weights cost otherwise. Advice may be refused.
			// SAFETY: the memory is owned; the advice changes nothing that it holds.
			unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
		}
		Some(Self { start, len })
	}

	/// The first byte.
	pub(crate) fn start(&self) -> *mut u8 {
		self.start.as_ptr()
	}

	/// The bytes.
	pub(crate) fn bytes(&self) -> &[u8] {
		// SAFETY: the memory is owned, initialised and this long.
		unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
	}

	/// The bytes.
	pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
		// SAFETY: the memory is owned, initialised and this long.
		unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
	}

	/// The memory as f32.
	pub(crate) fn floats(&self) -> &[f32] {
		// SAFETY: aligned to 64 bytes, and any bits are an f32.
		unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len / 4) }
	}

	/// The memory as f32.
	pub(crate) fn floats_mut(&mut self) -> &mut [f32] {
		// SAFETY: aligned to 64 bytes, and any bits are an f32.
		unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len / 4) }
	}
}

impl Drop for Buffer {
	fn drop(&mut self) {
		// SAFETY: allocated with this layout.
		if let Some(layout) = layout(self.len) {
			unsafe { dealloc(self.start.as_ptr(), layout) }
		}
	}
}

/// A pointer that tasks of one step share. Each task writes its own part.
pub(crate) struct Shared<T: ?Sized>(pub(crate) *mut T);

impl<T: ?Sized> Clone for Shared<T> {
	fn clone(&self) -> Self {
		*self
	}
}

impl<T: ?Sized> Copy for Shared<T> {}

// SAFETY: whoever dereferences it answers for it, in a block of its own.
unsafe impl<T: ?Sized> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized> Sync for Shared<T> {}

impl<T: ?Sized> Shared<T> {
	/// The pointer. A method, so that closures capture the whole.
	pub(crate) fn get(self) -> *mut T {
		self.0
	}
}
