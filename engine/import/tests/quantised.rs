//! Quantised graphs: what is said in floats between integers becomes integers, and means the same; operators of the
//! quantiser's own domain mean what they stand for.

mod common;

use assay_import::{import_onnx, proto::*};
use assay_semantics::{
	evaluate,
	testing::{tensor, Rng},
	DType, Model, Op, Tensor, TensorType,
};
use common::*;

/// ONNX's numbers of types.
const FLOAT: i32 = 1;
const U8: i32 = 2;
const I8: i32 = 3;
const I32: i32 = 6;

trait Add {
	fn constant(self, name: &str, kind: i32, dims: &[i64], bytes: Vec<u8>) -> Self;
	fn scale(self, name: &str, scale: f32) -> Self;
	fn call(self, domain: &str, op: &str, inputs: &str, output: &str, attributes: Vec<AttributeProto>) -> Self;
}

impl Add for File {
	fn constant(mut self, name: &str, kind: i32, dims: &[i64], bytes: Vec<u8>) -> Self {
		self.graph.initializer.push(TensorProto {
			dims: dims.to_vec(),
			data_type: kind,
			name: name.into(),
			raw_data: bytes.into(),
			..Default::default()
		});
		self
	}

	fn scale(self, name: &str, scale: f32) -> Self {
		self.constant(name, FLOAT, &[], scale.to_le_bytes().to_vec())
	}

	fn call(self, domain: &str, op: &str, inputs: &str, output: &str, attributes: Vec<AttributeProto>) -> Self {
		let mut file = self.node(op, inputs, output, attributes);
		if let Some(node) = file.graph.node.last_mut() {
			node.domain = domain.into();
		}
		file
	}
}

fn import(file: File) -> Model {
	import_onnx(&file.bytes()).unwrap()
}

fn bytes(rng: &mut Rng, n: usize) -> Vec<u8> {
	(0..n).map(|_| rng.bits() as u8).collect()
}

/// A graph input of f32 that is quantised and dequantised: `q` are the integers, `x` the floats.
fn begin(dims: &[i64]) -> File {
	File::new()
		.input("f", dims)
		.scale("sx", 0.02)
		.constant("zx", U8, &[], vec![117])
		.scale("sy", 0.11)
		.constant("zy", U8, &[], vec![3])
		.node("QuantizeLinear", "f sx zx", "q", vec![])
		.node("DequantizeLinear", "q sx zx", "x", vec![])
}

/// Contractions of a model: of floats, of integers.
fn contractions(model: &Model) -> (usize, usize) {
	let all = model.nodes().iter().filter(|n| matches!(n.op, Op::Conv(_) | Op::MatMul(_)));
	let floats = all.clone().filter(|n| n.ty.dtype == DType::F32).count();
	(floats, all.count() - floats)
}

/// Runs on an input that has all numbers in it.
fn run(model: &Model) -> Vec<u8> {
	let ty = model.header().inputs[0].clone();
	let n = ty.elements().unwrap() as usize;
	let x = Tensor::from_f32(ty.dims, &noise(n, 5).iter().map(|x| x * 3.0).collect::<Vec<_>>()).unwrap();
	evaluate(model, &[x]).unwrap()[0].bytes.to_vec()
}

/// A convolution between integers, with what may stand around it; `end` gives `y` from `c`.
fn conv(kind: i32, point: u8, relu: bool, end: fn(File) -> File) -> File {
	let mut rng = Rng(3);
	// As i8 with the zero point taken away, the weights are the same whatever their type.
	let weights = bytes(&mut rng, 6 * 2 * 9).into_iter().map(|b| if kind == U8 { b ^ 0x80 } else { b }).collect();
	let scales: Vec<f32> = (0..6).map(|i| 0.001 + i as f32 * 0.0007).collect();
	let bias_scales = scales.iter().flat_map(|s| (s * 0.02f32).to_le_bytes()).collect();
	let bias = (0..6).flat_map(|i| (i * 700 - 2000i32).to_le_bytes()).collect();
	let file = begin(&[1, 4, 7, 6])
		.constant("w", kind, &[6, 2, 3, 3], weights)
		.constant("sw", FLOAT, &[6], scales.iter().flat_map(|s| s.to_le_bytes()).collect())
		.constant("zw", kind, &[6], vec![point; 6])
		.constant("zu", kind, &[], vec![point])
		.scale("su", 0.003)
		.constant("b", I32, &[6], bias)
		.constant("sb", FLOAT, &[6], bias_scales)
		.node("DequantizeLinear", "b sb", "bf", vec![int("axis", 0)])
		.node("DequantizeLinear", "w sw zw", "wf", vec![int("axis", 0)])
		.node("DequantizeLinear", "w su zu", "uf", vec![]);
	let attributes = vec![ints("pads", &[1, 1, 1, 1]), int("group", 2)];
	let file = match kind {
		U8 => file.node("Conv", "x uf", "c", attributes),
		_ => file.node("Conv", "x wf bf", "c", attributes),
	};
	end(if relu { file.node("Relu", "c", "r", vec![]) } else { file })
}

#[test]
fn conv_between_integers_should_be_one_of_integers_within_a_step_of_the_floats() {
	for kind in [I8, U8] {
		let point = if kind == U8 { 128 } else { 0 };
		let quantised =
			import(conv(kind, point, false, |f| f.node("QuantizeLinear", "c sy zy", "y", vec![]).output("y")));
		assert_eq!(contractions(&quantised), (0, 1));
		// Read twice, it stays what it is.
		let float = import(conv(kind, point, false, |f| {
			f.node("QuantizeLinear", "c sy zy", "y", vec![]).output("y").output("c")
		}));
		assert_eq!(contractions(&float), (1, 0));
		let (a, b) = (run(&quantised), run(&float));
		assert!(a.iter().any(|x| *x != a[0]));
		assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= 1), "{a:?} {b:?}");
	}
}

#[test]
fn relu_should_go_only_where_the_zero_point_is_the_smallest_number() {
	let file = |point: u8| {
		let end: fn(File) -> File = |f| f.node("QuantizeLinear", "r sy zr", "y", vec![]).output("y");
		conv(I8, 0, true, end).constant("zr", U8, &[], vec![point])
	};
	let (gone, stays) = (import(file(0)), import(file(3)));
	assert_eq!((contractions(&gone), contractions(&stays)), ((0, 1), (1, 0)));
	let y = run(&gone);
	assert!(y.contains(&0) && y.iter().any(|y| *y > 0));
}

#[test]
fn contractions_should_stay_floats_where_integers_would_mean_something_else() {
	let end: fn(File) -> File = |f| f.node("QuantizeLinear", "c sy zy", "y", vec![]).output("y");
	let change = |name: &str, change: fn(&mut TensorProto)| {
		let mut file = conv(I8, 0, false, end);
		file.graph.initializer.iter_mut().filter(|t| t.name == name).for_each(change);
		import(file)
	};
	// The bias has another scale; the weights have a zero point; the scale of the result is no number of this kind.
	let other = change("sb", |t| t.raw_data = vec![0x3c; 24].into());
	assert_eq!(contractions(&other), (1, 0));
	assert_eq!(contractions(&change("zw", |t| t.raw_data = vec![1; 6].into())), (1, 0));
	assert_eq!(contractions(&change("sy", |t| t.raw_data = 1e-40f32.to_le_bytes().to_vec().into())), (1, 0));
	assert_eq!(contractions(&change("w", |_| {})), (0, 1));
}

#[test]
fn products_between_integers_should_be_products_of_integers_within_a_step_of_the_floats() {
	let mut rng = Rng(4);
	let weights = bytes(&mut rng, 5 * 8);
	for (op, transposed) in [("Gemm", true), ("Gemm", false), ("MatMul", false)] {
		let (dims, axis) = if transposed { ([8, 5], 0) } else { ([5, 8], 1) };
		let scales: Vec<u8> = (0..8).flat_map(|i| (0.01f32 + i as f32 * 0.001).to_le_bytes()).collect();
		let file = |two: bool| {
			let file = begin(&[3, 5])
				.constant("w", I8, &dims, weights.clone())
				.constant("sw", FLOAT, &[8], scales.clone())
				.node("DequantizeLinear", "w sw", "wf", vec![int("axis", axis)])
				.node(op, "x wf", "c", if op == "Gemm" { vec![int("transB", transposed.into())] } else { vec![] })
				.node("QuantizeLinear", "c sy zy", "y", vec![])
				.output("y");
			import(if two { file.output("c") } else { file })
		};
		let (integers, floats) = (file(false), file(true));
		assert_eq!((contractions(&integers), contractions(&floats)), ((0, 1), (1, 0)), "{op}");
		let (a, b) = (run(&integers), run(&floats));
		assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= 1), "{op}: {a:?} {b:?}");
	}
}

#[test]
fn what_moves_elements_should_move_integers_with_the_same_result() {
	let pool = || vec![ints("kernel_shape", &[2, 2]), ints("pads", &[1, 0, 0, 1])];
	let all: [(&str, fn() -> Vec<AttributeProto>); 3] =
		[("MaxPool", pool), ("Flatten", Vec::new), ("Transpose", || vec![ints("perm", &[0, 2, 3, 1])])];
	for (op, attributes) in all {
		let file = |two: bool| {
			let file = begin(&[2, 3, 4, 5])
				.node(op, "x", "m", attributes())
				.node("QuantizeLinear", "m sx zx", "y", vec![])
				.output("y");
			import(if two { file.output("m") } else { file })
		};
		let (integers, floats) = (file(false), file(true));
		let of_floats = |model: &Model| model.nodes().iter().any(|n| matches!(n.op, Op::Cast(_)));
		assert!(!of_floats(&integers) && of_floats(&floats), "{op}");
		assert_eq!(run(&integers), run(&floats), "{op}");
	}
}

#[test]
fn sums_and_products_of_the_quantisers_domain_should_be_those_of_what_is_dequantised() {
	for (op, short) in [("QLinearAdd", "Add"), ("QLinearMul", "Mul")] {
		let begin = || begin(&[1, 3, 4]).constant("z", U8, &[3, 1], vec![9, 200, 77]).scale("sz", 0.3);
		let long = begin()
			.node("DequantizeLinear", "z sz zy", "zf", vec![])
			.node(short, "x zf", "s", vec![])
			.node("QuantizeLinear", "s sy zy", "y", vec![])
			.output("y");
		let one = begin().call("com.microsoft", op, "q sx zx z sz zy sy zy", "y", vec![]).output("y");
		assert_eq!(run(&import(one)), run(&import(long)), "{op}");
	}
}

#[test]
fn what_is_joined_should_be_quantised_before_with_the_same_result() {
	let begin = || begin(&[1, 3, 4]).constant("z", U8, &[1, 2, 4], vec![9, 200, 77, 0, 255, 3, 4, 5]).scale("sz", 0.03);
	let qdq = |two: bool| {
		let file = begin()
			.node("DequantizeLinear", "z sz zy", "zf", vec![])
			.node("Concat", "x zf x", "c", vec![int("axis", 1)])
			.node("QuantizeLinear", "c sx zx", "y", vec![])
			.output("y");
		import(if two { file.output("c") } else { file })
	};
	let (integers, floats) = (qdq(false), qdq(true));
	let joins =
		|model: &Model| model.nodes().iter().filter(|n| matches!(n.op, Op::Concat(_))).all(|n| n.ty.dtype == DType::U8);
	assert!(joins(&integers) && !joins(&floats));
	assert_eq!(run(&integers), run(&floats));
	let operands = "sx zx q sx zx z sz zy q sx zx";
	let one = begin().call("com.microsoft", "QLinearConcat", operands, "y", vec![int("axis", 1)]).output("y");
	assert_eq!(run(&import(one)), run(&floats));
}

#[test]
fn means_of_the_quantisers_domain_should_be_those_of_what_is_dequantised() {
	let long = begin(&[2, 3, 4, 5])
		.node("GlobalAveragePool", "x", "s", vec![])
		.node("QuantizeLinear", "s sy zy", "y", vec![])
		.output("y");
	let one = begin(&[2, 3, 4, 5]).call("com.microsoft", "QLinearGlobalAveragePool", "q sx zx sy zy", "y", vec![]);
	assert_eq!(run(&import(one.output("y"))), run(&import(long)));
	let last = begin(&[2, 3, 4, 5]).call(
		"com.microsoft",
		"QLinearGlobalAveragePool",
		"q sx zx sy zy",
		"y",
		vec![int("channels_last", 1)],
	);
	assert_eq!(import(last.output("y")).header().outputs[0], TensorType::new(DType::U8, [2, 1, 1, 5]));
}

#[test]
fn weights_with_a_zero_point_should_give_what_weights_without_one_give() {
	let mut rng = Rng(6);
	let weights = bytes(&mut rng, 8 * 5);
	let file = |kind: i32, flip: u8| {
		import(
			begin(&[3, 5])
				.constant("w", kind, &[5, 8], weights.iter().map(|b| b ^ flip).collect())
				.constant("zw", kind, &[], vec![flip])
				.scale("sw", 0.02)
				.node("QLinearMatMul", "q sx zx w sw zw sy zy", "y", vec![])
				.output("y"),
		)
	};
	let (signed, unsigned) = (file(I8, 0), file(U8, 0x80));
	assert_eq!(run(&signed), run(&unsigned));
	assert_eq!(signed.id(), unsigned.id());
	// Differences that do not fit a byte stay differences.
	let far = import(
		begin(&[3, 5])
			.constant("w", U8, &[5, 8], weights.clone())
			.constant("zw", U8, &[], vec![7])
			.node("MatMulInteger", "q w zx zw", "y", vec![])
			.output("y"),
	);
	let x = tensor(&mut rng, &TensorType::new(DType::F32, [3, 5]));
	assert_eq!(evaluate(&far, &[x]).unwrap()[0].ty, TensorType::new(DType::I32, [3, 8]));
}

/// Zero points of both sides, known and not, with and without a border, in groups: against the sum of differences.
#[test]
fn conv_integer_should_be_the_sum_of_products_of_differences() {
	let mut rng = Rng(7);
	let (channels, height, width, outs) = (4usize, 6usize, 5usize, 8usize);
	for groups in [1usize, 2, 4] {
		let depth = channels / groups;
		let weights = bytes(&mut rng, outs * depth * 9);
		for (known, points, pads) in
			[(true, 0, 1), (true, 1, 0), (true, 8, 1), (false, 0, 1), (false, 1, 1), (false, 8, 0)]
		{
			let zw = bytes(&mut rng, points);
			let mut file = File::new()
				.input("f", &[1, 4, 6, 5])
				.scale("sx", 0.02)
				.constant("zx", U8, &[], vec![117])
				.constant("w", U8, &[outs as i64, depth as i64, 3, 3], weights.clone())
				.constant("zw", U8, &if points == 8 { vec![8] } else { vec![] }, zw.clone());
			if points == 0 {
				file.graph.initializer.pop();
			}
			let file = if known {
				file.node("QuantizeLinear", "f sx zx", "q", vec![]).node("Identity", "zx", "z", vec![])
			} else {
				let mut file = file.node("DynamicQuantizeLinear", "f", "q", vec![]);
				file.graph.node[0].output.extend(["s".into(), "z".into()]);
				file
			};
			let operands = format!("q w {} {}", if known { "zx" } else { "z" }, if points == 0 { "_" } else { "zw" });
			let attributes =
				vec![ints("pads", &[pads, 0, pads, 2 * pads]), ints("strides", &[2, 1]), int("group", groups as i64)];
			let file = file.node("ConvInteger", &operands, "y", attributes).output("q").output("z").output("y");
			let model = import(file);
			let x = Tensor::from_f32([1, 4, 6, 5], &noise(120, 5)).unwrap();
			let out = evaluate(&model, &[x]).unwrap();
			let (q, z) = (&out[0].bytes, i32::from(out[1].bytes[0]));
			let [high, wide] = [2, 3].map(|i| out[2].ty.dims[i] as usize);
			let mut expected = Vec::new();
			for (o, y, x) in (0..outs).flat_map(|o| (0..high).flat_map(move |y| (0..wide).map(move |x| (o, y, x)))) {
				let zw = zw.get(o).or(zw.first()).copied().map_or(0, i32::from);
				let mut sum = 0i32;
				for (c, ky, kx) in (0..depth).flat_map(|c| (0..3).flat_map(move |ky| (0..3).map(move |kx| (c, ky, kx))))
				{
					let at = ((2 * y + ky).checked_sub(pads as usize), x + kx);
					if let (Some(iy), ix) = at {
						if iy < height && ix < width {
							let q = i32::from(q[((o / (outs / groups) * depth + c) * height + iy) * width + ix]);
							sum += (q - z) * (i32::from(weights[((o * depth + c) * 3 + ky) * 3 + kx]) - zw);
						}
					}
				}
				expected.extend(sum.to_le_bytes());
			}
			assert!(out[2].bytes.iter().eq(&expected), "known {known}, points {points}, pads {pads}, groups {groups}");
		}
	}
}
