//! Quantisation, and products of integers.

use super::{norms::single, Lowering, Outputs};
use crate::{attributes::axis, builder::Value, error::Reason, layout::channels_last, weights};
use assay_semantics::{
	ops::{Binary, BitCast, Conv, Quantize, ReduceKind, Window},
	DType, Op,
};

impl Lowering<'_> {
	/// A scale or zero point as it broadcasts to a tensor of these dimensions: a scalar as it is, one value for each element
	/// of an axis, or one for each block along it.
	fn spread_over(&mut self, v: &Value, dims: &[u32], at: usize, block: i64) -> Result<Value, Reason> {
		let own = self.dims(v);
		match own.as_slice() {
			[] => Ok(v.clone()),
			[1] => self.reshape_to(v, []),
			[n] if block == 0 && dims.get(at) == Some(n) => {
				let mut shape = vec![1; dims.len()];
				shape[at] = *n;
				self.reshape_to(v, shape)
			}
			_ if block > 0 && own.len() == dims.len() && at < dims.len() => {
				let block = u32::try_from(block)?;
				let mut apart = own.clone();
				apart.insert(at + 1, 1);
				let mut wide = apart.clone();
				wide[at + 1] = block;
				let mut merged = own.clone();
				merged[at] = own[at].checked_mul(block).ok_or("too large")?;
				let v = self.reshape_to(v, apart)?;
				let v = self.expanded(&v, &wide)?;
				let v = self.reshape_to(&v, merged.clone())?;
				if merged[at] < dims[at] {
					return Err("the blocks do not cover the axis".into());
				}
				self.part(&v, at, 0, dims[at])
			}
			_ => Err("scale and zero point do not fit the operand".into()),
		}
	}

	/// `clamp(rne(x / scale) + zero)`; the product for requantisation.
	pub(super) fn quantized(
		&mut self,
		x: &Value,
		scale: &Value,
		zero: &Value,
		multiply: bool,
	) -> Result<Value, Reason> {
		let rank = x.perm.len();
		let mut ids = vec![x.id];
		for v in [scale, zero] {
			let scalar = v.perm.is_empty();
			let v = if scalar { v.clone() } else { self.raised(v, rank)? };
			ids.push(if scalar { v.id } else { self.context.builder.fetch(&v, &x.perm)? });
		}
		let op = Op::Quantize(Quantize { multiply });
		Ok(Value { id: self.context.builder.push(op, &ids)?, perm: x.perm.clone() })
	}

	pub(super) fn quantize_linear(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let x = if self.dtype(&x) == DType::I32 { self.cast_to(&x, DType::F32)? } else { self.wide(&x)? };
		let (scale, _) = self.widened(1)?;
		let dims = self.dims(&x);
		let attributes = self.attributes();
		let at = if dims.is_empty() { 0 } else { axis(attributes.int("axis", 1)?, dims.len().max(2))? };
		let block = attributes.int("block_size", 0)?;
		let zero = match self.optional(2)? {
			Some(zero) => zero,
			None => {
				let to = match attributes.int("output_dtype", 0)? {
					0 => DType::U8,
					n => weights::dtype(i32::try_from(n)?)?,
				};
				self.number_of(to, 0.0)?
			}
		};
		let scale = self.spread_over(&scale, &dims, at, block)?;
		let zero = self.spread_over(&zero, &dims, at, block)?;
		single(self.quantized(&x, &scale, &zero, false)?)
	}

	/// `(x - zero) * scale`, the difference as i32.
	pub(super) fn dequantize_linear(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let (scale, dtype) = self.widened(1)?;
		let dims = self.dims(&x);
		let attributes = self.attributes();
		let at = if dims.is_empty() { 0 } else { axis(attributes.int("axis", 1)?, dims.len().max(2))? };
		let block = attributes.int("block_size", 0)?;
		let mut y = self.cast_to(&x, DType::I32)?;
		if let Some(zero) = self.optional(2)? {
			let zero = self.cast_to(&zero, DType::I32)?;
			let zero = self.spread_over(&zero, &dims, at, block)?;
			y = self.sub(&y, &zero)?;
		}
		let y = self.cast_to(&y, DType::F32)?;
		let scale = self.spread_over(&scale, &dims, at, block)?;
		let y = self.mul(&y, &scale)?;
		let to = match attributes.int("output_dtype", 0)? {
			0 => dtype,
			n => weights::dtype(i32::try_from(n)?)?,
		};
		single(self.cast_to(&y, to)?)
	}

	/// The scale that makes the range of the elements, with 0 in it, 255 steps.
	pub(super) fn dynamic_quantize_linear(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let axes: Vec<usize> = (0..x.perm.len()).collect();
		let zero = self.number(0.0)?;
		let largest = self.reduced(ReduceKind::Max, &x, &axes)?;
		let largest = self.reshape_to(&largest, [])?;
		let largest = self.context.builder.binary(Binary::Max, &largest, &zero)?;
		let smallest = self.reduced(ReduceKind::Min, &x, &axes)?;
		let smallest = self.reshape_to(&smallest, [])?;
		let smallest = self.context.builder.binary(Binary::Min, &smallest, &zero)?;
		let span = self.sub(&largest, &smallest)?;
		let steps = self.number(255.0)?;
		let scale = self.div(&span, &steps)?;
		let none = self.number_of(DType::U8, 0.0)?;
		let below = self.sub(&zero, &smallest)?;
		let point = self.quantized(&below, &scale, &none, false)?;
		let y = self.quantized(&x, &scale, &point, false)?;
		Ok(vec![Some(y), Some(scale), Some(point)])
	}

	/// A zero point, unless it is missing or known to be 0.
	pub(super) fn zero_point(&mut self, i: usize) -> Result<Option<Value>, Reason> {
		let Some(zero) = self.optional(i)? else { return Ok(None) };
		let known = self.known(&zero)?;
		Ok(if known.is_some_and(|t| t.bytes.iter().all(|b| *b == 0)) { None } else { Some(zero) })
	}

	/// One value for each row of a matrix, `[.., M, 1]`, or for each column, `[.., 1, N]`; a scalar as it is.
	pub(super) fn along(&mut self, v: &Value, rows: bool) -> Result<Value, Reason> {
		match *self.dims(v).as_slice() {
			[1] => self.reshape_to(v, []),
			[n] => self.reshape_to(v, if rows { [n, 1] } else { [1, n] }),
			_ => Ok(v.clone()),
		}
	}

	/// `(A - za) (B - zb)` as i32 modulo 2^32, `A` `[.., M, K]`, `B` `[.., K, N]`: the product of the operands as they are, and
	/// what the zero points change.
	pub(super) fn integer_product(&mut self, a: &Value, b: &Value, zeros: [Option<Value>; 2]) -> Result<Value, Reason> {
		let [za, zb] = zeros;
		let (b, zb) = self.recentred(b, zb)?;
		let b = self.flipped(&b)?;
		let k = *self.dims(a).last().ok_or("a matrix needs two dimensions")?;
		let mut y = self.product(a, &b)?;
		let mut wide = Vec::new();
		for (zero, rows) in [(za, true), (zb, false)] {
			wide.push(match zero {
				Some(zero) => {
					let zero = self.cast_to(&zero, DType::I32)?;
					Some(self.along(&zero, rows)?)
				}
				None => None,
			});
		}
		if let Some(zb) = &wide[1] {
			let ones = self.filled(DType::I8, &[1, k], 1.0)?;
			let sums = self.product(a, &ones)?;
			let change = self.mul(&sums, zb)?;
			y = self.sub(&y, &change)?;
		}
		if let Some(za) = &wide[0] {
			let sums = self.sums_of_rows(&b)?;
			let change = self.mul(&sums, za)?;
			y = self.sub(&y, &change)?;
		}
		if let [Some(za), Some(zb)] = wide.as_slice() {
			let count = self.integers(&[], &[i64::from(k)])?;
			let count = self.cast_to(&count, DType::I32)?;
			let both = self.mul(za, zb)?;
			let change = self.mul(&both, &count)?;
			y = self.add(&y, &change)?;
		}
		Ok(y)
	}

	/// The sums of the rows of `B`, `[.., N, K]`, as `[.., 1, N]` modulo 2^32: a product with ones, computed now if `B` is
	/// constant.
	fn sums_of_rows(&mut self, b: &Value) -> Result<Value, Reason> {
		let k = *self.dims(b).last().ok_or("a matrix needs two dimensions")?;
		let ones = self.filled(DType::I8, &[1, k], 1.0)?;
		let sums = self.product(&ones, b)?;
		// Where that is too much work, it is left to be done.
		let _ = self.known(&sums);
		Ok(sums)
	}

	/// Weights and their zero point, as i8 if they are constants: without a zero point where it is one number and the
	/// differences fit, else both 128 less. Products of unsigned with signed bytes are what machines are fastest at.
	fn recentred(&mut self, w: &Value, zero: Option<Value>) -> Result<(Value, Option<Value>), Reason> {
		let dtype = self.dtype(w);
		let constant = self.context.builder.constant(w.id).map(|t| t.bytes.clone());
		let Some(bytes) = constant.filter(|_| matches!(dtype, DType::U8 | DType::I8)) else {
			return Ok((w.clone(), zero));
		};
		let signed = dtype == DType::I8;
		let value = |x: u8| if signed { i16::from(x as i8) } else { i16::from(x) };
		let known = match &zero {
			None => Some(0),
			Some(zero) => self.known(zero)?.filter(|t| t.bytes.len() == 1).map(|t| value(t.bytes[0])),
		};
		let fits = known.filter(|point| bytes.iter().all(|x| (-128..128).contains(&(value(*x) - point))));
		let bit_cast = |l: &mut Self, v: Value| -> Result<Value, Reason> {
			Ok(Value { id: l.context.builder.push(Op::BitCast(BitCast { to: DType::I8 }), &[v.id])?, perm: v.perm })
		};
		if let (Some(_), Some(zero)) = (fits, &zero) {
			let zero = self.reshape_to(zero, [])?;
			let id = self.context.builder.push(Op::Binary(Binary::Sub), &[w.id, zero.id])?;
			let w = Value { id, perm: w.perm.clone() };
			return Ok((if signed { w } else { bit_cast(self, w)? }, None));
		}
		match (signed, fits) {
			(true, _) => Ok((w.clone(), zero)),
			(false, Some(_)) => Ok((bit_cast(self, w.clone())?, None)),
			(false, None) => {
				let half = self.number_of(DType::U8, 128.0)?;
				let zero = match zero {
					Some(zero) => zero,
					None => self.number_of(DType::U8, 0.0)?,
				};
				let mut less = [w.clone(), zero];
				for v in &mut less {
					let id = self.context.builder.push(Op::Binary(Binary::Sub), &[v.id, half.id])?;
					*v = bit_cast(self, Value { id, perm: v.perm.clone() })?;
				}
				let [w, zero] = less;
				Ok((w, Some(zero)))
			}
		}
	}

	/// Operands of a matrix product: a vector is a row on the left, a column on the right.
	fn matrices(&mut self, a: usize, b: usize) -> Result<(Value, Value, [bool; 2]), Reason> {
		let (a, b) = (self.input(a)?, self.input(b)?);
		let vectors = [a.perm.len() == 1, b.perm.len() == 1];
		let raise = |l: &mut Self, v: &Value, shape: fn(u32) -> [u32; 2]| match *l.dims(v).as_slice() {
			[n] => l.reshape_to(v, shape(n)),
			[] => Err("a scalar has no matrix product".into()),
			_ => Ok(v.clone()),
		};
		Ok((raise(self, &a, |n| [1, n])?, raise(self, &b, |n| [n, 1])?, vectors))
	}

	/// A product without the dimensions that vectors were given.
	fn without(&mut self, y: &Value, vectors: [bool; 2]) -> Result<Value, Reason> {
		let mut dims = self.dims(y);
		if vectors[1] {
			dims.pop();
		}
		if vectors[0] {
			let at = dims.len() - if vectors[1] { 1 } else { 2 };
			dims.remove(at);
		}
		self.reshape_to(y, dims)
	}

	pub(super) fn mat_mul_integer(&mut self) -> Result<Outputs, Reason> {
		let (a, b, vectors) = self.matrices(0, 1)?;
		let zeros = [self.zero_point(2)?, self.zero_point(3)?];
		let y = self.integer_product(&a, &b, zeros)?;
		single(self.without(&y, vectors)?)
	}

	/// The factor of a requantisation, `f32(f32(sa * sb) / sy)`.
	fn factor(&mut self, a: &Value, b: &Value, y: &Value) -> Result<Value, Reason> {
		let product = self.mul(a, b)?;
		self.div(&product, y)
	}

	pub(super) fn qlinear_mat_mul(&mut self) -> Result<Outputs, Reason> {
		let (a, b, vectors) = self.matrices(0, 3)?;
		let mut scales = Vec::new();
		for (i, rows) in [(1, true), (4, false), (6, true)] {
			let (scale, _) = self.widened(i)?;
			scales.push(self.along(&scale, rows)?);
		}
		let zeros = [self.zero_point(2)?, self.zero_point(5)?];
		let sum = self.integer_product(&a, &b, zeros)?;
		let factor = self.factor(&scales[0], &scales[1], &scales[2])?;
		let zero = self.input(7)?;
		let zero = self.along(&zero, true)?;
		let y = self.quantized(&sum, &factor, &zero, true)?;
		single(self.without(&y, vectors)?)
	}

	/// `conv(x - zx, w - zw)` as i32 modulo 2^32, in the order of [`channels_last`].
	fn integer_conv(&mut self, x: &Value, w: &Value, zeros: [Option<Value>; 2]) -> Result<Value, Reason> {
		let (dims, kernel) = (self.dims(x), self.dims(w));
		if dims.len() < 3 || kernel.len() != dims.len() {
			return Err("input and weights need the same number of dimensions, at least three".into());
		}
		let window = self.conv_window(&dims[2..], &kernel[2..])?;
		let groups = u32::try_from(self.attributes().int("group", 1)?)?;
		let perm = channels_last(dims.len());
		let conv = |l: &mut Self, x: &Value, w: &Value, window: Window| -> Result<Value, Reason> {
			let builder = &mut l.context.builder;
			let (x, w) = (builder.fetch(x, &perm)?, builder.fetch(w, &perm)?);
			let id = builder.push(Op::Conv(Conv { window, groups }), &[x, w])?;
			Ok(Value { id, perm: perm.clone() })
		};
		let [zx, zw] = zeros;
		let (w, zw) = self.recentred(w, zw)?;
		let w = &w;
		let axes = kernel.len() - 2;
		let has_border = window.before.iter().chain(&window.after).any(|b| *b > 0);
		let known = match &zx {
			Some(zero) => self.known(zero)?.filter(|t| t.bytes.len() == 1).map(|t| t.bytes[0]),
			None => None,
		};
		// The border of what is convolved is 0, that of the operand its zero point. Where that is known, it is written, and
		// what it adds is the same everywhere.
		let (image, window, is_flat) = match known {
			Some(border) if has_border => {
				let sides = |list: &[u32]| [&[0; 2], list].concat();
				let padded = self.padded(x, &sides(&window.before), &sides(&window.after), border.into())?;
				(padded, Window { before: vec![0; axes], after: vec![0; axes], ..window }, true)
			}
			_ => (x.clone(), window, !has_border),
		};
		let mut y = conv(self, &image, w, window.clone())?;
		// (x - zx) (w - zw) = x w - zw x - zx (w - zw), each summed over the window.
		let mut shape = vec![1; dims.len()];
		let zw = match zw {
			Some(zero) => {
				let zero = self.cast_to(&zero, DType::I32)?;
				shape[1] = self.dims(&zero).first().copied().unwrap_or(1);
				Some(self.reshape_to(&zero, shape.clone())?)
			}
			None => None,
		};
		let mut ones = kernel.clone();
		ones[0] = if groups == 1 { 1 } else { kernel[0] };
		if let Some(zw) = &zw {
			let ones = self.filled(DType::I8, &ones, 1.0)?;
			let sums = conv(self, &image, &ones, window.clone())?;
			let change = self.mul(&sums, zw)?;
			y = self.sub(&y, &change)?;
		}
		let Some(zx) = zx else { return Ok(y) };
		let zx = self.cast_to(&zx, DType::I32)?;
		let zx = self.reshape_to(&zx, [])?;
		let rest = kernel[1..].iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large")?;
		let image = [&[1], &dims[1..]].concat();
		let mut sums = if is_flat {
			// In whatever order: it is free.
			let rows = Value { id: w.id, perm: (0..kernel.len() as u8).collect() };
			let rows = if w.perm.first() == Some(&0) { rows } else { w.clone() };
			let rows = self.reshape_to(&rows, [kernel[0], rest])?;
			let sums = self.sums_of_rows(&rows)?;
			shape[1] = kernel[0];
			self.reshape_to(&sums, shape)?
		} else {
			let image = self.filled(DType::U8, &image, 1.0)?;
			conv(self, &image, w, window.clone())?
		};
		if let Some(zw) = &zw {
			let count = if is_flat {
				let count = self.integers(&[], &[i64::from(rest)])?;
				self.cast_to(&count, DType::I32)?
			} else {
				let (image, ones) = (self.filled(DType::U8, &image, 1.0)?, self.filled(DType::I8, &ones, 1.0)?);
				conv(self, &image, &ones, window)?
			};
			let change = self.mul(&count, zw)?;
			sums = self.sub(&sums, &change)?;
		}
		let change = self.mul(&sums, &zx)?;
		self.sub(&y, &change)
	}

	pub(super) fn conv_integer(&mut self) -> Result<Outputs, Reason> {
		let (x, w) = (self.input(0)?, self.input(1)?);
		let zeros = [self.zero_point(2)?, self.zero_point(3)?];
		single(self.integer_conv(&x, &w, zeros)?)
	}

	pub(super) fn qlinear_conv(&mut self) -> Result<Outputs, Reason> {
		let (x, w) = (self.input(0)?, self.input(3)?);
		let zeros = [self.zero_point(2)?, self.zero_point(5)?];
		let mut y = self.integer_conv(&x, &w, zeros)?;
		let rank = x.perm.len();
		let channels = self.dims(&w)[0];
		let mut shape = vec![1; rank];
		shape[1] = channels;
		if let Some(bias) = self.optional(8)? {
			let bias = self.reshape_to(&bias, shape.clone())?;
			y = self.add(&y, &bias)?;
		}
		let mut scales = Vec::new();
		for i in [1, 4, 6] {
			let (scale, _) = self.widened(i)?;
			scales.push(match self.dims(&scale).as_slice() {
				[n] if *n > 1 => self.reshape_to(&scale, shape.clone())?,
				_ => self.reshape_to(&scale, [])?,
			});
		}
		let factor = self.factor(&scales[0], &scales[1], &scales[2])?;
		let zero = self.input(7)?;
		let zero = self.reshape_to(&zero, [])?;
		single(self.quantized(&y, &factor, &zero, true)?)
	}
}
