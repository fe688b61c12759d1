//! Contractions of a plan: MatMul and Conv as products over panels.

use crate::{
	build::{elements, sizes, three, Builder},
	depthwise::Depthwise,
	gemm::{self, blocks, pack, panel_floats, Border, Columns, Gemm, Lines, Product, Run, Strip},
	memory::Buffer,
	pointwise::flush,
	step::{After, Loc, Right, Work},
	stream,
	views::row_major,
};
use assay_semantics::{float, ops::Conv, EvalError, Node, ValueId};

impl Builder<'_> {
	/// A weight's panels: sets of `n` columns of `k` elements, one after the other.
	fn packed(&mut self, weight: usize, sets: usize, n: usize, k: usize) -> Result<Right, EvalError> {
		let size = panel_floats(2 * self.isa.lanes(), n, k);
		let tensor = &self.model.weights()[weight];
		let (isa, pool, panel) = (self.isa, self.pool, 2 * self.isa.lanes());
		let mut read = Ok(());
		let panels = self.shelf.put(sets * size, |to| {
			for set in 0..sets {
				let to = &mut to[set * size..][..size];
				// Whole panels at a time.
				read = stream::floats(&tensor.bytes, set * n * k * 4, n * k, panel * k, &mut |at, floats| {
					flush(isa, floats);
					pack(isa, pool, &[0], Columns::together(floats.len() / k.max(1), k), floats, &mut to[at..]);
				});
				if read.is_err() {
					break;
				}
			}
		});
		read?;
		Ok(Right::Packed(panels.ok_or(EvalError::Memory)?))
	}

	pub(crate) fn mat_mul(
		&mut self,
		node: &Node,
		tail: ValueId,
		ins: &[Loc],
		then: Vec<After>,
		scratch: &mut dyn FnMut(usize) -> Loc,
	) -> Result<Work, EvalError> {
		let (a, b) = (sizes(&self.ty(node.inputs[0]).dims), sizes(&self.ty(node.inputs[1]).dims));
		let out = sizes(&node.ty.dims);
		let ([batch_a @ .., m, k], [batch_b @ .., n, _], [batch @ .., _, _]) =
			(a.as_slice(), b.as_slice(), out.as_slice())
		else {
			return Err(EvalError::Memory);
		};
		let (m, n, k) = (*m, *n, *k);
		let (left, right) = (self.view_of(node.inputs[0]), self.view_of(node.inputs[1]));
		let (Some(strides_a), Some(strides_b)) = (left.strides(), right.strides()) else {
			return Err(EvalError::Memory);
		};
		let to = self.outward.get(&tail).map_or_else(|| row_major(&out), |outward| outward.strides.clone());
		let sets: usize = batch_b.iter().product();
		let count: usize = batch.iter().product();
		let size = panel_floats(2 * self.isa.lanes(), n, k);
		// Where element 0 of product `i` is in an operand with these leading dimensions.
		let at = |i: usize, dims: &[usize], strides: &[isize]| -> usize {
			let (mut rest, mut index) = (i, 0);
			for axis in (0..batch.len()).rev() {
				let c = rest % batch[axis];
				rest /= batch[axis];
				if let Some(axis) = (axis + dims.len()).checked_sub(batch.len()) {
					index += if dims[axis] == 1 { 0 } else { c * strides[axis] as usize };
				}
			}
			index
		};
		// One right operand: all rows are one product, if they are at one distance on both sides.
		let rows_a = (sets == 1 && batch_a == batch).then(|| joined(&a[..a.len() - 1], &strides_a)).flatten();
		let rows_to = joined(&out[..out.len() - 1], &to);
		let (rows, step, ldc, products) = match (rows_a, rows_to) {
			(Some(step), Some(ldc)) => {
				let all = Product { a: left.start as usize, b: 0, c: 0 };
				(count * m, step.unwrap_or(k), ldc.unwrap_or(n), vec![all])
			}
			_ => {
				let packed = row_major(&[batch_b, &[size]].concat());
				let product = |i| Product {
					a: left.start as usize + at(i, batch_a, &strides_a),
					b: at(i, batch_b, &packed),
					c: at(i, batch, &to),
				};
				let distance = |strides: &[isize], i: usize, one: usize| if m == 1 { one } else { strides[i] as usize };
				let step = distance(&strides_a, a.len() - 2, k);
				(m, step, distance(&to, out.len() - 2, n), (0..count).map(product).collect())
			}
		};
		let right = match ins[1] {
			Loc::Weight(i) => self.packed(i, sets, n, k)?,
			from => {
				let [.., column, step] = strides_b[..] else { return Err(EvalError::Memory) };
				let whole = row_major(&[batch_b, &[1]].concat());
				let starts = (0..sets).map(|i| {
					let index = batch_b.iter().enumerate().map(|(axis, d)| {
						let own = whole[axis] as usize;
						(i / own.max(1)) % d * strides_b[axis] as usize
					});
					right.start as usize + index.sum::<usize>()
				});
				let columns = Columns { n, k, column: column as usize, step: step as usize };
				let whole = elements(self.ty(right.base));
				Right::Computed { from, whole, panels: scratch(sets * size * 4), sets: starts.collect(), columns }
			}
		};
		let lines = Lines { count: [1; 3], stride: [0; 3], width: rows, step };
		let blocks = blocks([Run { offset: 0, len: k }]);
		let gemm = Gemm { lines, blocks, k, n, ldc, ldt: n, products, strip: None };
		self.keep(ins[0])?;
		let whole = elements(self.ty(left.base));
		Ok(Work::Gemm { gemm, left: ins[0], whole, right, border: None, then, span: elements(&node.ty) })
	}

	pub(crate) fn conv(
		&mut self,
		node: &Node,
		conv: &Conv,
		ins: &[Loc],
		then: Vec<After>,
		scratch: &mut dyn FnMut(usize) -> Loc,
	) -> Result<Work, EvalError> {
		let (x, w) = (self.ty(node.inputs[0]).clone(), self.ty(node.inputs[1]).clone());
		let shape = || -> Option<_> {
			let ([n, spatial @ .., c], [o, kernel @ .., depth]) = (x.dims.as_slice(), w.dims.as_slice()) else {
				return None;
			};
			let [_, out @ .., _] = node.ty.dims.as_slice() else { return None };
			let window = &conv.window;
			Some((
				[*n as usize, *c as usize, *o as usize, *depth as usize],
				[three(spatial, 1)?, three(kernel, 1)?, three(out, 1)?],
				[three(&window.strides, 1)?, three(&window.dilations, 1)?, three(&window.before, 0)?],
			))
		};
		let Some(([n, c, o, depth], [input, kernel, out], [stride, dilation, before])) = shape() else {
			return Err(EvalError::Memory);
		};
		// The image that the windows cover.
		let covered: [usize; 3] = std::array::from_fn(|i| (out[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1);
		let needs_border = (0..3).any(|i| before[i] > 0 || covered[i] > input[i]);
		let image = if needs_border { covered } else { input };
		// Images get their border a few lines at a time, volumes all at once.
		let flat = kernel[0] == 1 && input[0] == 1 && before[0] == 0;
		let strip = (needs_border && flat).then(|| Strip {
			from: [n, input[1], input[2], c],
			width: image[2],
			before: [before[1], before[2]],
			step: stride[1],
			extent: (kernel[1] - 1) * dilation[1] + 1,
		});
		let border =
			(needs_border && !flat).then(|| Border { from: [n, input[0], input[1], input[2], c], to: image, before });
		let line = image[2] * c;
		let lines = Lines {
			count: [n, out[0], out[1]],
			stride: [image[0] * image[1] * line, stride[0] * image[1] * line, stride[1] * line],
			width: out[2],
			step: stride[2] * c,
		};
		let tap = |z: usize, y: usize, x: usize| {
			z * dilation[0] * image[1] * line + y * dilation[1] * line + x * dilation[2] * c
		};
		let taps: Vec<usize> = (0..kernel[0])
			.flat_map(|z| (0..kernel[1]).flat_map(move |y| (0..kernel[2]).map(move |x| (z, y, x))))
			.map(|(z, y, x)| tap(z, y, x))
			.collect();
		let k = taps.len() * depth;
		self.keep(ins[0])?;
		let bordered = border.as_ref().map(|border| (border.clone(), scratch(border.floats() * 4)));
		let groups = conv.groups as usize;
		if depth == 1 && o == c && groups == c {
			if let Loc::Weight(i) = ins[1] {
				let tensor = &self.model.weights()[i];
				let mut weights = Buffer::new(k * c * 4).ok_or(EvalError::Memory)?;
				for (i, x) in tensor.bytes.chunks_exact(4).enumerate() {
					let x = float::load(u32::from_le_bytes([x[0], x[1], x[2], x[3]]));
					weights.floats_mut()[i % k * c + i / k] = x;
				}
				let Lines { count, stride, width, step } = lines;
				let depthwise = Depthwise { count, stride, width, step, taps, channels: c, strip };
				let whole = n * input.iter().product::<usize>() * c;
				return Ok(Work::Depthwise { depthwise, left: ins[0], whole, weights, border: bordered, then });
			}
		}
		let columns = o / groups;
		let size = panel_floats(2 * self.isa.lanes(), columns, k);
		let right = match ins[1] {
			Loc::Weight(i) => self.packed(i, groups, columns, k)?,
			from => Right::Computed {
				from,
				whole: o * k,
				panels: scratch(groups * size * 4),
				sets: (0..groups).map(|group| group * columns * k).collect(),
				columns: Columns::together(columns, k),
			},
		};
		let products = (0..groups).map(|g| Product { a: g * depth, b: g * size, c: g * columns }).collect();
		let runs = taps.iter().map(|tap| Run { offset: *tap, len: depth });
		let whole = n * input.iter().product::<usize>() * c;
		let lines = if strip.is_some() { lines } else { lines.joined() };
		let gemm = Gemm { lines, blocks: gemm::blocks(runs), k, n: columns, ldc: o, ldt: o, products, strip };
		Ok(Work::Gemm { gemm, left: ins[0], whole, right, border: bordered, then, span: elements(&node.ty) })
	}
}

/// The distance between rows along all these axes together; none if it changes, and inside none if there is one row.
fn joined(dims: &[usize], strides: &[isize]) -> Option<Option<usize>> {
	let mut rows: Option<(usize, isize)> = None;
	for (d, s) in dims.iter().zip(strides).rev().filter(|(d, _)| **d != 1) {
		rows = Some(match rows {
			None => (*d, *s),
			Some((len, step)) if *s == step * len as isize => (len * d, step),
			Some(_) => return None,
		});
	}
	Some(rows.map(|(_, step)| step as usize))
}
