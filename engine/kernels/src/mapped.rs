//! Files in memory.

use assay_semantics::{Bytes, Memory};
use std::{io, path::Path, sync::Arc};

/// The bytes of a file, mapped where the system can do that: parts are read from the disk when they are first used, and can
/// be dropped from memory at any time. Nobody may change or shorten the file meanwhile; the engine's store replaces files and
/// never changes them.
pub fn map_file(path: &Path) -> io::Result<Bytes> {
	#[cfg(target_os = "linux")]
	if let Some(mapped) = Mapped::open(path)? {
		return Ok(Bytes::shared(Arc::new(mapped)));
	}
	Ok(Bytes::shared(Arc::new(std::fs::read(path)?)))
}

/// A file mapped for reading.
#[cfg(target_os = "linux")]
struct Mapped {
	start: std::ptr::NonNull<u8>,
	len: usize,
}

// SAFETY: the mapping is only read, and owned by this value alone.
#[cfg(target_os = "linux")]
unsafe impl Send for Mapped {}
// SAFETY: as above.
#[cfg(target_os = "linux")]
unsafe impl Sync for Mapped {}

#[cfg(target_os = "linux")]
impl Mapped {
	/// The file; none when it cannot be mapped: it is empty, or no ordinary file.
	fn open(path: &Path) -> io::Result<Option<Self>> {
		use std::os::fd::AsRawFd;
		let file = std::fs::File::open(path)?;
		let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
		if len == 0 {
			return Ok(None);
		}
		// SAFETY: a new mapping at an address that the system chooses; private, so that nothing is written to the file.
		let start =
			unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
		if start == libc::MAP_FAILED {
			return Ok(None);
		}
		Ok(std::ptr::NonNull::new(start.cast()).map(|start| Self { start, len }))
	}
}

#[cfg(target_os = "linux")]
impl Memory for Mapped {
	fn bytes(&self) -> &[u8] {
		// SAFETY: mapped for reading, this long, until `drop`. That the file stays as it is, the caller of `map_file` answers for.
		unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
	}

	fn release(&self, start: usize, len: usize) {
		// Whole pages only: what is beside them may be in use.
		const PAGE: usize = 1 << 16;
		let end = start.saturating_add(len).min(self.len) / PAGE * PAGE;
		let start = start.next_multiple_of(PAGE);
		if start < end {
			// SAFETY: within the mapping. Nothing was written to it, so what is read again is what the file holds. Advice may be
			// refused.
			unsafe { libc::madvise(self.start.as_ptr().add(start).cast(), end - start, libc::MADV_DONTNEED) };
		}
	}
}

#[cfg(target_os = "linux")]
impl Drop for Mapped {
	fn drop(&mut self) {
		// SAFETY: mapped by `open`, and nothing borrows it any more.
		unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn map_file_should_give_what_the_file_holds_after_it_was_released_too() {
		let path = std::env::temp_dir().join(format!("assay-mapped-{}", std::process::id()));
		let content: Vec<u8> = (0..300_000u32).map(|i| (i * 7 / 3) as u8).collect();
		std::fs::write(&path, &content).unwrap();
		let bytes = map_file(&path).unwrap();
		std::fs::remove_file(&path).unwrap();
		assert_eq!(bytes, content);
		let part = bytes.part(5, 250_000).unwrap();
		part.release();
		drop(bytes);
		assert_eq!(part, content[5..250_005].to_vec());
		assert!(map_file(&path).is_err());
		std::fs::write(&path, []).unwrap();
		assert!(map_file(&path).unwrap().is_empty());
		std::fs::remove_file(&path).unwrap();
	}
}
