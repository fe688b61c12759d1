//! Rows picked by indices.

use assay_semantics::{DType, TensorType};

/// `value[a.., i.., b..] = data[a.., indices[i..], b..]`, as copies of rows.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
	/// Rows of the axis.
	size: usize,
	/// Indices.
	count: usize,
	/// Bytes of a row.
	row: usize,
	/// Whether the indices are i64; else i32.
	wide: bool,
}

fn product(dims: &[u32]) -> usize {
	dims.iter().map(|d| *d as usize).product()
}

impl Rows {
	/// For data and indices of these types; none when there is nothing to pick from.
	pub(crate) fn new(axis: usize, data: &TensorType, indices: &TensorType) -> Option<Self> {
		let (size, row) = (*data.dims.get(axis)? as usize, product(data.dims.get(axis + 1..)?) * data.dtype.size());
		let picked = Self { size, count: product(&indices.dims), row, wide: indices.dtype == DType::I64 };
		(product(&data.dims) > 0 && picked.count > 0).then_some(picked)
	}

	pub(crate) fn run(&self, data: &[u8], indices: &[u8], out: &mut [u8]) {
		let place = |i: usize| -> usize {
			let index = match self.wide {
				true => i64::from_le_bytes(indices[8 * i..][..8].try_into().unwrap_or_default()),
				false => i32::from_le_bytes(indices[4 * i..][..4].try_into().unwrap_or_default()).into(),
			};
			// A negative one counts from the end, one that is outside is clamped.
			let size = self.size as i64;
			let index = if index < 0 { index.saturating_add(size) } else { index };
			index.clamp(0, size - 1) as usize
		};
		for (at, to) in out.chunks_exact_mut(self.row).enumerate() {
			let (outer, i) = (at / self.count, at % self.count);
			to.copy_from_slice(&data[(outer * self.size + place(i)) * self.row..][..self.row]);
		}
	}
}
