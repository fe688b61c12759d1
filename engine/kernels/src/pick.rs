//! Elements picked by other elements: rows by indices, one of two by a condition.

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

/// `condition ? a : b` with broadcasting, over f32.
#[derive(Clone, Debug)]
pub(crate) struct Select {
	/// Of the value, slowest first: elements, and how far apart in condition, `a` and `b`.
	axes: Vec<(usize, [usize; 3])>,
}

impl Select {
	/// For a value of these dimensions and operands of those; none when it is empty.
	pub(crate) fn new(out: &[u32], operands: [&[u32]; 3]) -> Option<Self> {
		let mut axes: Vec<(usize, [usize; 3])> = out.iter().map(|d| (*d as usize, [0; 3])).collect();
		for (k, dims) in operands.iter().enumerate() {
			let mut stride = 1;
			for (axis, d) in axes.iter_mut().rev().zip(dims.iter().rev()) {
				axis.1[k] = if *d == 1 { 0 } else { stride };
				stride *= *d as usize;
			}
		}
		if axes.is_empty() {
			axes.push((1, [0; 3]));
		}
		axes.iter().all(|(len, _)| *len > 0).then_some(Self { axes })
	}

	pub(crate) fn run(&self, condition: &[u8], a: &[f32], b: &[f32], out: &mut [f32]) {
		let Some(((len, [sc, sa, sb]), outer)) = self.axes.split_last() else { return };
		for (line, to) in out.chunks_exact_mut(*len).enumerate() {
			let (mut rest, mut at) = (line, [0; 3]);
			for (len, strides) in outer.iter().rev() {
				let i = rest % len;
				rest /= len;
				at.iter_mut().zip(strides).for_each(|(at, stride)| *at += i * stride);
			}
			let (c, a, b) = (&condition[at[0]..], &a[at[1]..], &b[at[2]..]);
			for (j, x) in to.iter_mut().enumerate() {
				*x = if c[j * sc] != 0 { a[j * sa] } else { b[j * sb] };
			}
		}
	}
}
