//! The bytes of a tensor: its own, or a part of memory that is shared, as that of a mapped file.

#[cfg(any(test, feature = "std"))]
use alloc::sync::Arc;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, EncodeLike, Error, Input, Output};
use core::{
	fmt,
	ops::{Deref, DerefMut},
};
use scale_info::{Type, TypeInfo};

/// Bytes that are read as a slice. Shared ones are copied before they are changed, so no one sees another's changes. Encoded,
/// compared and shown as a `Vec<u8>`.
#[derive(Clone, Default)]
pub struct Bytes {
	/// Empty when they are shared.
	own: Vec<u8>,
	#[cfg(any(test, feature = "std"))]
	shared: Option<Shared>,
}

/// Memory that several hold. What is in it must not change while anyone holds it.
pub trait Memory: Send + Sync {
	/// All of it; always the same.
	fn bytes(&self) -> &[u8];

	/// Says that nobody will read `start .. start + len` soon. It can be read all the same.
	fn release(&self, start: usize, len: usize) {
		let _ = (start, len);
	}
}

impl Memory for Vec<u8> {
	fn bytes(&self) -> &[u8] {
		self
	}
}

#[cfg(any(test, feature = "std"))]
#[derive(Clone)]
struct Shared {
	owner: Arc<dyn Memory>,
	start: usize,
	len: usize,
}

#[cfg(any(test, feature = "std"))]
impl Shared {
	fn as_slice(&self) -> &[u8] {
		self.owner.bytes().get(self.start..).and_then(|rest| rest.get(..self.len)).unwrap_or_default()
	}
}

impl Bytes {
	/// All bytes of the owner.
	#[cfg(any(test, feature = "std"))]
	pub fn shared(owner: Arc<dyn Memory>) -> Self {
		let len = owner.bytes().len();
		Self { own: Vec::new(), shared: Some(Shared { owner, start: 0, len }) }
	}

	/// Bytes `start .. start + len`; none when that is out of range. Shares memory if these bytes are shared, else copies.
	pub fn part(&self, start: usize, len: usize) -> Option<Self> {
		let part = self.get(start..start.checked_add(len)?)?;
		#[cfg(any(test, feature = "std"))]
		if let Some(Shared { owner, start: first, .. }) = &self.shared {
			let shared = Shared { owner: owner.clone(), start: first.checked_add(start)?, len };
			return Some(Self { own: Vec::new(), shared: Some(shared) });
		}
		Some(part.to_vec().into())
	}

	/// Whether others may hold the same memory.
	pub fn is_shared(&self) -> bool {
		#[cfg(any(test, feature = "std"))]
		if self.shared.is_some() {
			return true;
		}
		false
	}

	/// Says that nobody will read these bytes soon: shared memory may give back what it only has to hold while it is read.
	pub fn release(&self) {
		#[cfg(any(test, feature = "std"))]
		if let Some(Shared { owner, start, len }) = &self.shared {
			owner.release(*start, *len);
		}
	}

	/// The bytes as a vector to change; shared ones are copied first.
	pub fn to_mut(&mut self) -> &mut Vec<u8> {
		#[cfg(any(test, feature = "std"))]
		if let Some(shared) = self.shared.take() {
			self.own = shared.as_slice().to_vec();
		}
		&mut self.own
	}

	/// The bytes as a vector; shared ones are copied.
	pub fn into_vec(mut self) -> Vec<u8> {
		core::mem::take(self.to_mut())
	}

	/// The bytes.
	#[inline]
	pub fn as_slice(&self) -> &[u8] {
		#[cfg(any(test, feature = "std"))]
		if let Some(shared) = &self.shared {
			return shared.as_slice();
		}
		&self.own
	}
}

impl Deref for Bytes {
	type Target = [u8];

	#[inline]
	fn deref(&self) -> &[u8] {
		self.as_slice()
	}
}

impl DerefMut for Bytes {
	fn deref_mut(&mut self) -> &mut [u8] {
		self.to_mut()
	}
}

impl AsRef<[u8]> for Bytes {
	fn as_ref(&self) -> &[u8] {
		self
	}
}

impl From<Vec<u8>> for Bytes {
	fn from(own: Vec<u8>) -> Self {
		Self {
			own,
			#[cfg(any(test, feature = "std"))]
			shared: None,
		}
	}
}

impl From<Bytes> for Vec<u8> {
	fn from(bytes: Bytes) -> Self {
		bytes.into_vec()
	}
}

impl FromIterator<u8> for Bytes {
	fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
		bytes.into_iter().collect::<Vec<u8>>().into()
	}
}

impl IntoIterator for Bytes {
	type Item = u8;
	type IntoIter = alloc::vec::IntoIter<u8>;

	fn into_iter(self) -> Self::IntoIter {
		self.into_vec().into_iter()
	}
}

impl<'a> IntoIterator for &'a Bytes {
	type Item = &'a u8;
	type IntoIter = core::slice::Iter<'a, u8>;

	fn into_iter(self) -> Self::IntoIter {
		self.iter()
	}
}

impl PartialEq for Bytes {
	fn eq(&self, other: &Self) -> bool {
		**self == **other
	}
}

impl Eq for Bytes {}

impl<const N: usize> PartialEq<[u8; N]> for Bytes {
	fn eq(&self, other: &[u8; N]) -> bool {
		**self == *other
	}
}

impl PartialEq<Vec<u8>> for Bytes {
	fn eq(&self, other: &Vec<u8>) -> bool {
		**self == **other
	}
}

impl fmt::Debug for Bytes {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		(**self).fmt(f)
	}
}

impl Encode for Bytes {
	fn size_hint(&self) -> usize {
		(**self).size_hint()
	}

	fn encode_to<T: Output + ?Sized>(&self, dest: &mut T) {
		(**self).encode_to(dest);
	}
}

impl EncodeLike for Bytes {}
impl EncodeLike<Vec<u8>> for Bytes {}

impl Decode for Bytes {
	fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
		Vec::<u8>::decode(input).map(Into::into)
	}
}

impl DecodeWithMemTracking for Bytes {}

impl TypeInfo for Bytes {
	type Identity = <Vec<u8> as TypeInfo>::Identity;

	fn type_info() -> Type {
		Vec::<u8>::type_info()
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use alloc::sync::Arc;

	#[test]
	fn bytes_should_share_parts_and_copy_when_they_are_changed() {
		let whole = Bytes::shared(Arc::new(std::vec![1u8, 2, 3, 4, 5]));
		let mut part = whole.part(1, 3).unwrap();
		assert_eq!(part, [2, 3, 4]);
		assert_eq!(part.as_ptr(), whole[1..].as_ptr());
		part[0] = 9;
		assert_eq!((&whole[..], &part[..]), (&[1, 2, 3, 4, 5][..], &[9, 3, 4][..]));
		assert_eq!(whole.part(2, 3).unwrap().part(1, 2).unwrap(), [4, 5]);
		for (start, len) in [(0, 6), (5, 1), (usize::MAX, 1), (1, usize::MAX)] {
			assert!(whole.part(start, len).is_none());
			assert!(Bytes::from(std::vec![1u8, 2]).part(start, len).is_none());
		}
	}

	#[test]
	fn bytes_should_be_encoded_as_a_vector_of_bytes() {
		let vector: Vec<u8> = (0..100).collect();
		let shared = Bytes::shared(Arc::new(vector.clone()));
		assert_eq!(shared.encode(), vector.encode());
		assert_eq!(Bytes::decode(&mut &vector.encode()[..]).unwrap(), shared);
		assert_eq!(Bytes::type_info(), Vec::<u8>::type_info());
	}
}
