//! Roots that are computed once, for models that share weights.

use crate::{commit, Bytes, Hash, Tensor, TensorType};
use alloc::sync::Arc;
use std::{
	collections::HashMap,
	sync::{Mutex, PoisonError},
};

/// The value roots of tensors in shared memory, which it holds on to: memory that is shared never changes, so a place in it
/// has one root for each type.
#[derive(Clone, Default)]
pub struct Roots(Arc<Mutex<HashMap<(usize, TensorType), (Bytes, Hash)>>>);

impl Roots {
	/// The value root of a tensor whose bytes fit its type. Hashed anew when the memory is the tensor's own.
	pub fn root_of(&self, tensor: &Tensor) -> Hash {
		if !tensor.bytes.is_shared() {
			return commit::root_of(tensor);
		}
		let key = (tensor.bytes.as_ptr() as usize, tensor.ty.clone());
		let roots = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
		if let Some((_, root)) = roots().get(&key) {
			return *root;
		}
		let root = commit::root_of(tensor);
		tensor.bytes.release();
		roots().insert(key, (tensor.bytes.clone(), root));
		root
	}
}

impl core::fmt::Debug for Roots {
	fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
		write!(f, "Roots of {} tensors", self.0.lock().unwrap_or_else(PoisonError::into_inner).len())
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::DType;

	#[test]
	fn roots_should_be_those_of_the_tensors_whatever_memory_they_share() {
		let memory = Bytes::shared(Arc::new((0..200u8).collect::<alloc::vec::Vec<u8>>()));
		let roots = Roots::default();
		let at = |start, len, ty| Tensor { ty, bytes: memory.part(start, len).unwrap() };
		let tensors = [
			at(0, 8, TensorType::new(DType::U8, [8])),
			at(0, 8, TensorType::new(DType::U8, [2, 4])),
			at(0, 8, TensorType::new(DType::F32, [2])),
			at(4, 8, TensorType::new(DType::U8, [8])),
			at(0, 12, TensorType::new(DType::U8, [12])),
			Tensor { ty: TensorType::new(DType::U8, [8]), bytes: memory[..8].to_vec().into() },
		];
		for _ in 0..2 {
			for tensor in &tensors {
				assert_eq!(roots.root_of(tensor), commit::root_of(tensor));
			}
		}
		assert_eq!(roots.0.lock().unwrap().len(), 5);
	}
}
