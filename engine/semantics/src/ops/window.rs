//! The geometry of a sliding window, shared by convolution and pooling.

use super::{
	index::{ravel, Coords},
	TypeError,
};
use crate::MAX_RANK;
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;

/// How a window slides over `[N, spatial.., C]`; every list has one entry for each spatial axis.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Window {
	/// Distance between windows.
	pub strides: Vec<u32>,
	/// Distance between elements of a window.
	pub dilations: Vec<u32>,
	/// Elements of border before.
	pub before: Vec<u32>,
	/// Elements of border after.
	pub after: Vec<u32>,
}

impl Window {
	/// The spatial dimensions of the value: `(in + before + after - dilation * (kernel - 1) - 1) / stride + 1`.
	pub(crate) fn out_dims(&self, spatial: &[u32], kernel: &[u32]) -> Result<Vec<u32>, TypeError> {
		let n = spatial.len();
		if [kernel.len(), self.strides.len(), self.dilations.len(), self.before.len(), self.after.len()] != [n; 5] {
			return Err(TypeError("window: one kernel size, stride, dilation and border for each spatial axis"));
		}
		let mut out = Vec::with_capacity(n);
		for (axis, (input, kernel)) in spatial.iter().zip(kernel).enumerate() {
			let get = |list: &[u32]| list.get(axis).map_or(0, |v| u64::from(*v));
			let (stride, dilation) = (get(&self.strides), get(&self.dilations));
			if stride == 0 || dilation == 0 || *kernel == 0 {
				return Err(TypeError("window: kernel size, stride or dilation is 0"));
			}
			// Sums of a few u32 and a product of two fit a u64.
			let extent = dilation.saturating_mul(u64::from(*kernel) - 1).saturating_add(1);
			let padded = u64::from(*input).saturating_add(get(&self.before)).saturating_add(get(&self.after));
			let room = padded.checked_sub(extent).ok_or(TypeError("window: larger than the padded input"))?;
			out.push(u32::try_from(room / stride + 1).map_err(|_| TypeError("window: too large"))?);
		}
		Ok(out)
	}

	/// The index of the first channel of `input` (`[N, spatial.., C]`) under kernel position `kpos` of the window at `out`
	/// (coordinates in the value); `None` in the border.
	#[inline]
	pub(crate) fn at(&self, out: &Coords, kpos: u64, kernel: &[u32], input: &[u32]) -> Option<u64> {
		let spatial = input.len().saturating_sub(2);
		let mut at = [0u64; MAX_RANK];
		at[0] = out[0];
		let mut rest = kpos;
		for axis in (0..spatial.min(kernel.len())).rev() {
			let get = |list: &[u32]| list.get(axis).map_or(0, |v| u64::from(*v));
			let size = get(kernel).max(1);
			let k = rest % size;
			rest /= size;
			let from = out
				.get(axis + 1)?
				.saturating_mul(get(&self.strides))
				.saturating_add(k.saturating_mul(get(&self.dilations)));
			let c = from.checked_sub(get(&self.before))?;
			if c >= u64::from(*input.get(axis + 1)?) {
				return None;
			}
			*at.get_mut(axis + 1)? = c;
		}
		Some(ravel(&at, input))
	}
}
