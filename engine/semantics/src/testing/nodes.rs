//! Random nodes of every operator. A new operator is added to the list at the end; without it, this does not compile.

use super::Rng;
use crate::{
	ops::{
		out_type, Binary, BitCast, Cast, Concat, Conv, Expand, Gather, MatMul, Pad, Pool, PoolKind, Prefix, PrefixKind,
		Quantize, Rank, Reduce, ReduceKind, Resample, Reshape, Sample, SampleBorder, SampleMode, Scatter, ScatterKind,
		ScatterUpdate, Select, Slice, Transpose, Unary, Window,
	},
	DType, Op, TensorType,
};
use alloc::{vec, vec::Vec};

/// How large tensors may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
	/// Small enough to be evaluated many times.
	Small,
	/// Up to what the semantics allow, with strides that spread reads over as many tiles as possible. Types only.
	Hostile,
}

/// A node that may be wrong; [`Kind::random`] tries until it is right.
type Draft = (Op, Vec<TensorType>);

const NUMBERS: [DType; 12] = [
	DType::F32,
	DType::I8,
	DType::U8,
	DType::I32,
	DType::I64,
	DType::F16,
	DType::BF16,
	DType::F64,
	DType::I16,
	DType::U16,
	DType::U32,
	DType::U64,
];
const FLOATS: [DType; 4] = [DType::F32, DType::F16, DType::BF16, DType::F64];

fn dim(rng: &mut Rng, size: Size) -> u32 {
	match size {
		Size::Small if rng.one_in(60) => 0,
		Size::Small if rng.one_in(6) => 1,
		Size::Small => rng.between(1, 9),
		Size::Hostile if rng.one_in(4) => rng.between(1, 3),
		Size::Hostile => match rng.below(3) {
			// Multiples of tiles, and one element beside them.
			0 => rng.pick(&[16, 64, 128, 256, 512, 1024, 4096, 16_384]),
			1 => rng.pick(&[15, 17, 33, 63, 129, 255, 257, 1023, 1025]),
			_ => 1 << rng.below(14),
		},
	}
}

fn dims(rng: &mut Rng, size: Size, low: u32, high: u32) -> Vec<u32> {
	(0..rng.between(low, high)).map(|_| dim(rng, size)).collect()
}

fn reshape(rng: &mut Rng, size: Size) -> Draft {
	let mut dims = dims(rng, size, 0, 4);
	let ty = TensorType::new(rng.pick(&DType::ALL), dims.clone());
	dims.reverse();
	if rng.one_in(2) {
		let at = rng.below(dims.len() as u64 + 1) as usize;
		dims.insert(at, 1);
	}
	(Op::Reshape(Reshape { dims }), vec![ty])
}

fn transpose(rng: &mut Rng, size: Size) -> Draft {
	let dims = dims(rng, size, 0, 4);
	let mut left: Vec<u8> = (0..dims.len() as u8).collect();
	let mut perm = Vec::new();
	while !left.is_empty() {
		let at = rng.below(left.len() as u64) as usize;
		perm.push(left.remove(at));
	}
	(Op::Transpose(Transpose { perm }), vec![TensorType::new(rng.pick(&DType::ALL), dims)])
}

fn slice(rng: &mut Rng, size: Size) -> Draft {
	let dims = dims(rng, size, 1, 4);
	let (mut starts, mut sizes, mut steps) = (vec![], vec![], vec![]);
	for d in &dims {
		let start = rng.below(u64::from(*d)) as u32;
		let step = i64::from(rng.between(1, 3)) * if rng.one_in(2) { -1 } else { 1 };
		let room = if step > 0 { i64::from(*d) - 1 - i64::from(start) } else { i64::from(start) } / step.abs();
		starts.push(start);
		sizes.push(rng.between(0, room.max(0) as u32 + 1).min(*d));
		steps.push(step as i32);
	}
	(Op::Slice(Slice { starts, sizes, steps }), vec![TensorType::new(rng.pick(&DType::ALL), dims)])
}

/// Dimensions that broadcast to `out`.
fn narrow(rng: &mut Rng, out: &[u32]) -> Vec<u32> {
	let skip = if rng.one_in(3) { rng.below(out.len() as u64 + 1) as usize } else { 0 };
	out[skip..].iter().map(|d| if rng.one_in(3) { 1 } else { *d }).collect()
}

fn expand(rng: &mut Rng, size: Size) -> Draft {
	let dims = dims(rng, size, 0, 4);
	let operand = TensorType::new(rng.pick(&DType::ALL), narrow(rng, &dims));
	(Op::Expand(Expand { dims }), vec![operand])
}

fn concat(rng: &mut Rng, size: Size) -> Draft {
	let dims = dims(rng, size, 1, 3);
	let axis = rng.below(dims.len() as u64) as usize;
	let dtype = rng.pick(&DType::ALL);
	let count = if rng.one_in(10) { rng.between(1, 64) } else { rng.between(1, 4) };
	let part = |_| {
		let mut dims = dims.clone();
		dims[axis] = rng.between(0, 5);
		TensorType::new(dtype, dims)
	};
	(Op::Concat(Concat { axis: axis as u8 }), (0..count).map(part).collect())
}

fn pad(rng: &mut Rng, size: Size) -> Draft {
	let ty = TensorType::new(rng.pick(&DType::ALL), dims(rng, size, 0, 4));
	let mut border = || ty.dims.iter().map(|_| rng.between(0, 2)).collect();
	let (before, after) = (border(), border());
	(Op::Pad(Pad { before, after, value: rng.bits() }), vec![ty])
}

/// A type that [`Kind::random`] keeps only where the operator accepts it; f32 in half of the cases.
fn any(rng: &mut Rng) -> DType {
	if rng.one_in(2) {
		DType::F32
	} else {
		rng.pick(&DType::ALL)
	}
}

fn unary(rng: &mut Rng, size: Size) -> Draft {
	let op = rng.pick(&[
		Unary::Relu,
		Unary::Neg,
		Unary::Abs,
		Unary::Exp,
		Unary::ExpSoftmax,
		Unary::Sigmoid,
		Unary::Tanh,
		Unary::Reciprocal,
		Unary::Sqrt,
		Unary::Log,
		Unary::Log1p,
		Unary::Erf,
		Unary::Sin,
		Unary::Cos,
		Unary::Tan,
		Unary::Atan,
		Unary::Floor,
		Unary::Ceil,
		Unary::Round,
		Unary::Sign,
		Unary::Not,
		Unary::IsNan,
		Unary::IsInf,
	]);
	(Op::Unary(op), vec![TensorType::new(any(rng), dims(rng, size, 0, 4))])
}

fn binary(rng: &mut Rng, size: Size) -> Draft {
	let op = rng.pick(&[
		Binary::Add,
		Binary::Sub,
		Binary::Mul,
		Binary::Div,
		Binary::Max,
		Binary::Min,
		Binary::Pow,
		Binary::Mod,
		Binary::Rem,
		Binary::And,
		Binary::Or,
		Binary::Xor,
		Binary::ShiftLeft,
		Binary::ShiftRight,
		Binary::Equal,
		Binary::Less,
		Binary::LessOrEqual,
	]);
	let (dtype, out) = (any(rng), dims(rng, size, 0, 4));
	let ins = [narrow(rng, &out), narrow(rng, &out)].map(|d| TensorType::new(dtype, d));
	(Op::Binary(op), ins.to_vec())
}

fn select(rng: &mut Rng, size: Size) -> Draft {
	let (dtype, out) = (any(rng), dims(rng, size, 0, 4));
	let ins = [DType::Bool, dtype, dtype].map(|dtype| TensorType::new(dtype, narrow(rng, &out)));
	(Op::Select(Select), ins.to_vec())
}

fn bit_cast(rng: &mut Rng, size: Size) -> Draft {
	let op = BitCast { to: rng.pick(&DType::ALL) };
	(Op::BitCast(op), vec![TensorType::new(rng.pick(&DType::ALL), dims(rng, size, 0, 4))])
}

/// Indices: i32 or i64.
fn indices(rng: &mut Rng, dims: Vec<u32>) -> TensorType {
	TensorType::new(rng.pick(&[DType::I32, DType::I64]), dims)
}

/// Dimensions up to those of a tensor, and any along the axis.
fn inside(rng: &mut Rng, size: Size, of: &[u32], axis: usize) -> Vec<u32> {
	let at = |(i, d): (usize, &u32)| match i == axis {
		true => dim(rng, size),
		false if rng.one_in(3) => (*d).min(rng.between(0, 4)),
		false => *d,
	};
	of.iter().enumerate().map(at).collect()
}

fn gather(rng: &mut Rng, size: Size) -> Draft {
	let data = dims(rng, size, 1, 4);
	let axis = rng.below(data.len() as u64) as usize;
	let (op, at) = match rng.below(3) {
		0 => (Gather::Axis(axis as u8), dims(rng, size, 0, 2)),
		1 => (Gather::Elements(axis as u8), inside(rng, size, &data, axis)),
		_ => {
			let mut at = data[..axis].to_vec();
			at.extend(dims(rng, size, 0, 1));
			at.push(rng.below((data.len() - axis) as u64 + 1) as u32);
			(Gather::Tuples(axis as u8), at)
		}
	};
	(Op::Gather(op), vec![TensorType::new(rng.pick(&DType::ALL), data), indices(rng, at)])
}

fn scatter(rng: &mut Rng, size: Size) -> Draft {
	let data = dims(rng, size, 1, 4);
	let axis = rng.below(data.len() as u64) as usize;
	let update = rng.pick(&[
		ScatterUpdate::Replace,
		ScatterUpdate::Add,
		ScatterUpdate::Mul,
		ScatterUpdate::Max,
		ScatterUpdate::Min,
	]);
	let (kind, at, updates) = if rng.one_in(2) {
		let at = inside(rng, size, &data, axis);
		(ScatterKind::Elements(axis as u8), at.clone(), at)
	} else {
		let tuple = rng.below(data.len() as u64 + 1) as usize;
		let outer = dims(rng, size, 0, 2);
		let updates = [&outer[..], &data[tuple..]].concat();
		(ScatterKind::Tuples, [&outer[..], &[tuple as u32]].concat(), updates)
	};
	let dtype = any(rng);
	let ins = vec![TensorType::new(dtype, data), indices(rng, at), TensorType::new(dtype, updates)];
	(Op::Scatter(Scatter { kind, update }), ins)
}

fn rank(rng: &mut Rng, size: Size) -> Draft {
	let data = dims(rng, size, 1, 3);
	let axis = rng.below(data.len() as u64) as u8;
	(Op::Rank(Rank { axis, descending: rng.one_in(2) }), vec![TensorType::new(rng.pick(&DType::ALL), data)])
}

fn prefix(rng: &mut Rng, size: Size) -> Draft {
	let data = dims(rng, size, 1, 3);
	let axis = rng.below(data.len() as u64) as u8;
	let kind = rng.pick(&[PrefixKind::Sum, PrefixKind::Product]);
	let op = Prefix { kind, axis, exclusive: rng.one_in(2), reverse: rng.one_in(2) };
	(Op::Prefix(op), vec![TensorType::new(any(rng), data)])
}

fn cast(rng: &mut Rng, size: Size) -> Draft {
	let op = Cast { to: rng.pick(&DType::ALL) };
	(Op::Cast(op), vec![TensorType::new(rng.pick(&DType::ALL), dims(rng, size, 0, 4))])
}

fn quantize(rng: &mut Rng, size: Size) -> Draft {
	let out = dims(rng, size, 0, 4);
	let types =
		[rng.pick(&[DType::F32, DType::I32]), DType::F32, rng.pick(&[DType::I8, DType::U8, DType::I16, DType::U16])];
	let ins = types.map(|dtype| TensorType::new(dtype, narrow(rng, &out)));
	(Op::Quantize(Quantize { multiply: rng.one_in(2) }), ins.to_vec())
}

fn mat_mul(rng: &mut Rng, size: Size) -> Draft {
	let batch = dims(rng, size, 0, 2);
	let k = match size {
		Size::Small if rng.one_in(3) => rng.between(250, 2000),
		Size::Small => rng.between(0, 300),
		Size::Hostile => rng.between(0, 300_000),
	};
	let (mut a, mut b) = (narrow(rng, &batch), narrow(rng, &batch));
	a.extend([dim(rng, size), k]);
	b.extend([dim(rng, size), k]);
	let dtypes = factors(rng);
	(Op::MatMul(MatMul), vec![TensorType::new(dtypes[0], a), TensorType::new(dtypes[1], b)])
}

/// Element types of the operands of a product.
fn factors(rng: &mut Rng) -> [DType; 2] {
	match rng.below(8) {
		0 | 1 => [(); 2].map(|()| rng.pick(&[DType::I8, DType::U8])),
		2 => [rng.pick(&[DType::I32, DType::I64, DType::U32, DType::U64]); 2],
		3 => [rng.pick(&FLOATS); 2],
		_ => [DType::F32; 2],
	}
}

fn window(rng: &mut Rng, axes: usize) -> Window {
	let mut list = |low, high| (0..axes).map(|_| rng.between(low, high)).collect();
	Window { strides: list(1, 3), dilations: list(1, 3), before: list(0, 2), after: list(0, 2) }
}

fn conv(rng: &mut Rng, size: Size) -> Draft {
	let axes = rng.between(0, 3) as usize;
	let groups = if rng.one_in(3) { rng.between(1, 4) } else { 1 };
	let depth = match size {
		Size::Small if rng.one_in(3) => rng.between(14, 80),
		Size::Small => rng.between(1, 6),
		Size::Hostile => rng.pick(&[1, 2, 3, 8, 15, 16, 17, 18, 31, 33, 64, 255, 256, 257]),
	};
	let mut x = vec![rng.between(1, 2)];
	let mut w = vec![groups * rng.between(1, 3)];
	for _ in 0..axes {
		let kernel = if rng.one_in(3) { rng.between(4, 14) } else { rng.between(1, 4) };
		w.push(if size == Size::Hostile { rng.pick(&[1, 3, 16, 31, 32, 64]) } else { kernel });
		x.push(match size {
			Size::Small => kernel + rng.between(0, 5),
			Size::Hostile => dim(rng, size),
		});
	}
	x.push(groups * depth);
	w.push(depth);
	let op = Op::Conv(Conv { window: window(rng, axes), groups });
	let dtypes = factors(rng);
	(op, vec![TensorType::new(dtypes[0], x), TensorType::new(dtypes[1], w)])
}

fn reduce(rng: &mut Rng, size: Size) -> Draft {
	let last = rng.one_in(2);
	let kind = rng.pick(&[
		ReduceKind::Sum,
		ReduceKind::Mean,
		ReduceKind::Max,
		ReduceKind::Min,
		ReduceKind::Product,
		ReduceKind::ArgMax { last },
		ReduceKind::ArgMin { last },
	]);
	let dtype = any(rng);
	let mut dims = dims(rng, size, 0, 4);
	if let (Size::Small, true, Some(d)) = (size, rng.one_in(3), dims.first_mut()) {
		*d = rng.between(30, 300);
	}
	if rng.one_in(2) {
		dims.reverse();
	}
	let axes = (0..dims.len() as u8).filter(|_| rng.one_in(2)).collect();
	(Op::Reduce(Reduce { kind, axes, keep_dims: rng.one_in(2) }), vec![TensorType::new(dtype, dims)])
}

fn pool(rng: &mut Rng, size: Size) -> Draft {
	let average = |count_border| PoolKind::Average { count_border };
	let kind = rng.pick(&[PoolKind::Max, average(true), average(false), PoolKind::Sum, PoolKind::ArgMax]);
	let any = matches!(kind, PoolKind::Max | PoolKind::ArgMax);
	let dtype = if any { rng.pick(&NUMBERS) } else { rng.pick(&FLOATS) };
	let axes = rng.between(0, 3) as usize;
	let (mut x, mut kernel) = (vec![rng.between(1, 2)], vec![]);
	for _ in 0..axes {
		kernel.push(if rng.one_in(2) { rng.between(5, 20) } else { rng.between(1, 4) });
		x.push(match size {
			Size::Small => kernel.last().copied().unwrap_or(1) + rng.between(0, 4),
			Size::Hostile => dim(rng, size),
		});
	}
	x.push(dim(rng, size));
	(Op::Pool(Pool { kind, kernel, window: window(rng, axes) }), vec![TensorType::new(dtype, x)])
}

fn resample(rng: &mut Rng, size: Size) -> Draft {
	let x = dims(rng, size, 1, 4);
	let axis = rng.below(x.len() as u64) as u8;
	let terms = match size {
		Size::Small => rng.between(0, 40),
		Size::Hostile => rng.between(0, 20_000),
	};
	let table = [dim(rng, size), terms];
	let index = rng.pick(&[DType::I32, DType::I64]);
	let types = [(DType::F32, x), (index, table.to_vec()), (DType::F32, table.to_vec())];
	(Op::Resample(Resample { axis }), types.map(|(t, d)| TensorType::new(t, d)).to_vec())
}

fn sample(rng: &mut Rng, size: Size) -> Draft {
	let mode = rng.pick(&[SampleMode::Nearest, SampleMode::Linear, SampleMode::Cubic]);
	let border =
		rng.pick(&[SampleBorder::Zeros, SampleBorder::Clamp, SampleBorder::MirrorCentres, SampleBorder::MirrorEdges]);
	let axes = rng.between(1, 3);
	let mut x = dims(rng, size, axes + 2, axes + 2);
	let mut at = dims(rng, size, 1, 3);
	let mut types = vec![];
	if rng.one_in(3) {
		let index = rng.pick(&[DType::I32, DType::I64]);
		types.push(TensorType::new(index, vec![at[0]]));
	} else {
		at[0] = x[0];
	}
	x.iter_mut().for_each(|d| *d = (*d).max(1));
	at.push(axes);
	types.insert(0, TensorType::new(DType::F32, at));
	types.insert(0, TensorType::new(DType::F32, x));
	(Op::Sample(Sample { mode, border }), types)
}

macro_rules! kinds {
	($($name:ident => $random:expr,)*) => {
		/// The operators that compute something.
		#[derive(Clone, Copy, PartialEq, Eq, Debug)]
		#[allow(missing_docs)]
		pub enum Kind { $($name),* }

		impl Kind {
			/// Every one of them.
			pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

			/// The kind of an operator; none for sources.
			pub fn of(op: &Op) -> Option<Kind> {
				match op {
					Op::Input(_) | Op::Weight(_) => None,
					$(Op::$name(_) => Some(Kind::$name),)*
				}
			}

			fn draft(self, rng: &mut Rng, size: Size) -> Draft {
				match self { $(Kind::$name => $random(rng, size)),* }
			}
		}
	};
}

kinds! {
	Reshape => reshape,
	Transpose => transpose,
	Slice => slice,
	Expand => expand,
	Concat => concat,
	Pad => pad,
	Unary => unary,
	Binary => binary,
	Cast => cast,
	Quantize => quantize,
	MatMul => mat_mul,
	Conv => conv,
	Reduce => reduce,
	Pool => pool,
	Resample => resample,
	Sample => sample,
	Gather => gather,
	Scatter => scatter,
	Select => select,
	BitCast => bit_cast,
	Rank => rank,
	Prefix => prefix,
}

impl Kind {
	/// A valid operator of this kind with the types of its operands and of its value.
	pub fn random(self, rng: &mut Rng, size: Size) -> (Op, Vec<TensorType>, TensorType) {
		let most = if size == Size::Small { 20_000 } else { u64::MAX };
		loop {
			let (op, ins) = self.draft(rng, size);
			let types: Vec<&TensorType> = ins.iter().collect();
			let Ok(out) = out_type(&op, &types) else { continue };
			if ins.iter().chain([&out]).all(|t| t.elements().is_some_and(|n| n <= most)) {
				return (op, ins, out);
			}
		}
	}
}
