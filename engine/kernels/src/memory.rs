//! Aligned memory, and pointers that threads share.

use std::{
	alloc::{alloc_zeroed, dealloc, Layout},
	ptr::NonNull,
	sync::Arc,
};

/// Bytes to which everything is aligned: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// Bytes of a large page. Memory of this size and more is aligned to it.
const LARGE: usize = 1 << 21;

/// Zeroed memory, aligned to [`ALIGN`] and, if there is much of it, to large pages.
pub(crate) struct Buffer {
	start: NonNull<u8>,
	len: usize,
	/// The mapping that it is in, if it is not the allocator's.
	mapped: Option<(NonNull<u8>, usize)>,
}

// SAFETY: a buffer is plain memory that it owns alone.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

fn layout(len: usize) -> Option<Layout> {
	Layout::from_size_align(len, ALIGN).ok()
}

impl Buffer {
	/// A buffer of this many bytes; `None` when there is not enough memory.
	pub(crate) fn new(bytes: usize) -> Option<Self> {
		let len = bytes.checked_next_multiple_of(ALIGN)?.max(ALIGN);
		#[cfg(target_os = "linux")]
		if len >= LARGE {
			return Self::map(len);
		}
		// SAFETY: the size is not 0.
		let start = NonNull::new(unsafe { alloc_zeroed(layout(len)?) })?;
		Some(Self { start, len, mapped: None })
	}

	/// Memory from the system, in large pages where it has them: they spare the walks through page tables that weights cost
	/// otherwise. The advice has to come before the memory is first written, which an allocator would do.
	#[cfg(target_os = "linux")]
	fn map(len: usize) -> Option<Self> {
		let all = len.checked_add(LARGE)?;
		// SAFETY: a new mapping at an address that the system chooses.
		let start = unsafe {
			let access = libc::PROT_READ | libc::PROT_WRITE;
			libc::mmap(std::ptr::null_mut(), all, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
		};
		if start == libc::MAP_FAILED {
			return None;
		}
		let whole = NonNull::new(start.cast::<u8>())?;
		let skip = whole.as_ptr().align_offset(LARGE);
		// SAFETY: the mapping has a large page more than is needed.
		let start = unsafe { whole.add(if skip <= LARGE { skip } else { 0 }) };
		// SAFETY: the memory is owned; the advice, which may be refused, changes nothing that it holds.
		unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
		Some(Self { start, len, mapped: Some((whole, all)) })
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
		#[cfg(target_os = "linux")]
		if let Some((start, len)) = self.mapped {
			// SAFETY: mapped so, and nobody uses it any more.
			unsafe { libc::munmap(start.as_ptr().cast(), len) };
			return;
		}
		if let Some(layout) = layout(self.len) {
			// SAFETY: allocated with this layout.
			unsafe { dealloc(self.start.as_ptr(), layout) }
		}
	}
}

/// A part of a buffer that others have parts of, too.
pub(crate) struct Part {
	buffer: Arc<Buffer>,
	start: usize,
	floats: usize,
}

impl Part {
	/// The floats.
	pub(crate) fn floats(&self) -> &[f32] {
		&self.buffer.floats()[self.start..][..self.floats]
	}
}

/// Buffers for many small things that live equally long, so that they are in large pages together.
#[derive(Default)]
pub(crate) struct Shelf {
	current: Option<(Arc<Buffer>, usize)>,
}

/// Bytes of a buffer of a shelf. What is not written takes no memory.
const BOARD: usize = 16 << 20;

impl Shelf {
	/// Room for these floats, written by `fill`.
	pub(crate) fn put(&mut self, floats: usize, fill: impl FnOnce(&mut [f32])) -> Option<Part> {
		let bytes = floats.checked_mul(4)?.checked_next_multiple_of(ALIGN)?;
		if self.current.as_ref().is_none_or(|(buffer, used)| buffer.len - used < bytes) {
			self.current = Some((Arc::new(Buffer::new(bytes.max(BOARD))?), 0));
		}
		let (buffer, used) = self.current.as_mut()?;
		// SAFETY: inside the buffer, aligned, and nobody else has this part yet.
		let to = unsafe { std::slice::from_raw_parts_mut(buffer.start().add(*used).cast(), floats) };
		fill(to);
		let part = Part { buffer: buffer.clone(), start: *used / 4, floats };
		*used += bytes;
		Some(part)
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
