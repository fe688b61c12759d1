//! What all models that are compiled from one file share.

use crate::{error::Reason, layout::Perm};
use assay_semantics::{Bytes, Roots, Tensor, TensorType};
use std::{
	collections::{HashMap, HashSet},
	ops::Range,
	sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Weights of a file in memory that lives as long as this: initialisers as they were read, what was transposed of them,
/// and their roots. So a second model costs neither memory nor hashing.
#[derive(Debug)]
pub(crate) struct Shared {
	/// Addresses of the file's memory.
	file: Range<usize>,
	kept: Mutex<Kept>,
	roots: Roots,
}

#[derive(Default, Debug)]
struct Kept {
	/// By their numbers in the file. Canonical.
	initialisers: HashMap<usize, Tensor>,
	/// Where their bytes begin.
	starts: HashSet<usize>,
	/// By address, type and permutation of what they were made from.
	moved: HashMap<(usize, TensorType, Perm), Bytes>,
}

impl Shared {
	/// Of a file that was not read yet.
	pub(crate) fn new(file: &Bytes) -> Self {
		let start = file.as_ptr() as usize;
		Self { file: start..start + file.len(), kept: Mutex::default(), roots: Roots::default() }
	}

	fn kept(&self) -> MutexGuard<'_, Kept> {
		self.kept.lock().unwrap_or_else(PoisonError::into_inner)
	}

	/// The roots of weights in shared memory.
	pub(crate) fn roots(&self) -> &Roots {
		&self.roots
	}

	/// Whether these bytes live as long as this.
	fn holds(&self, tensor: &Tensor) -> bool {
		let start = tensor.bytes.as_ptr() as usize;
		!tensor.bytes.is_empty() && (self.file.contains(&start) || self.kept().starts.contains(&start))
	}

	/// Whether these are an initialiser's bytes, which were made canonical when they were read.
	pub(crate) fn is_initialiser(&self, tensor: &Tensor) -> bool {
		!tensor.bytes.is_empty() && self.kept().starts.contains(&(tensor.bytes.as_ptr() as usize))
	}

	/// An initialiser; `read` gives it canonical the first time.
	pub(crate) fn initialiser(
		&self,
		number: usize,
		read: impl FnOnce() -> Result<Tensor, Reason>,
	) -> Result<Tensor, Reason> {
		if let Some(tensor) = self.kept().initialisers.get(&number) {
			return Ok(tensor.clone());
		}
		let mut tensor = read()?;
		if !tensor.bytes.is_shared() {
			tensor.bytes = Bytes::shared(Arc::new(tensor.bytes.into_vec()));
		}
		let mut kept = self.kept();
		kept.starts.insert(tensor.bytes.as_ptr() as usize);
		kept.initialisers.insert(number, tensor.clone());
		Ok(tensor)
	}

	/// A tensor with its dimensions permuted, which `make` does.
	pub(crate) fn moved(&self, x: &Tensor, perm: &[u8], make: impl FnOnce() -> Vec<u8>) -> Bytes {
		if !self.holds(x) {
			return make().into();
		}
		let key = (x.bytes.as_ptr() as usize, x.ty.clone(), perm.to_vec());
		if let Some(bytes) = self.kept().moved.get(&key) {
			return bytes.clone();
		}
		let bytes = Bytes::shared(Arc::new(make()));
		self.kept().moved.insert(key, bytes.clone());
		bytes
	}
}
