//! Imported operators against plain f64 formulas, and files that must be refused.

mod common;

use assay_import::{import_onnx, ImportError};
use assay_semantics::{evaluate, ops::Unary, Model, Op, Tensor};
use common::*;

fn import(file: File) -> Model {
	import_onnx(&file.bytes()).unwrap()
}

/// The one output on this input.
fn run(file: File, dims: &[u32], x: &[f32]) -> Vec<f32> {
	let model = import(file);
	let out = evaluate(&model, &[Tensor::from_f32(dims, x).unwrap()]).unwrap();
	out[0].to_f32().unwrap()
}

fn assert_close(got: &[f32], expected: &[f64]) {
	assert_eq!(got.len(), expected.len());
	for (i, (g, e)) in got.iter().zip(expected).enumerate() {
		assert!((f64::from(*g) - e).abs() <= 1e-5 * e.abs().max(1.0), "element {i}: {g}, expected {e}");
	}
}

fn refusal(file: File) -> String {
	import_onnx(&file.bytes()).unwrap_err().to_string()
}

/// Geometry of a 2-D window in ONNX's terms: all square.
#[derive(Clone, Copy)]
struct Geometry {
	channels: usize,
	size: usize,
	kernel: usize,
	stride: usize,
	dilation: usize,
	pad: usize,
}

impl Geometry {
	fn out(&self) -> usize {
		(self.size + 2 * self.pad - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
	}

	/// The elements of channel `c` under the window at (`y`, `x`); `None` in the border.
	fn window(&self, c: usize, y: usize, x: usize) -> Vec<Option<usize>> {
		let at =
			|o: usize, k: usize| (o * self.stride + k * self.dilation).checked_sub(self.pad).filter(|i| *i < self.size);
		let mut list = Vec::new();
		for ky in 0..self.kernel {
			for kx in 0..self.kernel {
				let index = at(y, ky).zip(at(x, kx)).map(|(i, j)| (c * self.size + i) * self.size + j);
				list.push(index);
			}
		}
		list
	}

	fn attributes(&self) -> Vec<assay_import::proto::AttributeProto> {
		let [k, s, d, p] = [self.kernel, self.stride, self.dilation, self.pad].map(|v| v as i64);
		vec![ints("kernel_shape", &[k, k]), ints("strides", &[s, s]), ints("dilations", &[d, d]), ints("pads", &[p; 4])]
	}
}

const GEOMETRIES: [Geometry; 4] = [
	Geometry { channels: 4, size: 7, kernel: 3, stride: 1, dilation: 1, pad: 1 },
	Geometry { channels: 4, size: 8, kernel: 3, stride: 2, dilation: 1, pad: 0 },
	Geometry { channels: 2, size: 9, kernel: 3, stride: 1, dilation: 2, pad: 2 },
	Geometry { channels: 4, size: 5, kernel: 1, stride: 2, dilation: 1, pad: 0 },
];

#[test]
fn conv_should_equal_the_formula() {
	for g in GEOMETRIES {
		for groups in [1, 2] {
			let (outs, depth) = (6, g.channels / groups);
			let x = noise(g.channels * g.size * g.size, 1);
			let w = noise(outs * depth * g.kernel * g.kernel, 2);
			let b = noise(outs, 3);
			let [c, s, k, o] = [g.channels, g.size, g.kernel, outs].map(|v| v as i64);
			let mut attributes = g.attributes();
			attributes.push(int("group", groups as i64));
			let file = File::new()
				.input("x", &[1, c, s, s])
				.weight("w", &[o, depth as i64, k, k], &w)
				.weight("b", &[o], &b)
				.node("Conv", "x w b", "y", attributes)
				.output("y");
			let mut expected = Vec::new();
			for o in 0..outs {
				for y in 0..g.out() {
					for xx in 0..g.out() {
						let mut sum = f64::from(b[o]);
						for d in 0..depth {
							let channel = o / (outs / groups) * depth + d;
							for (r, at) in g.window(channel, y, xx).into_iter().enumerate() {
								let weight = w[(o * depth + d) * g.kernel * g.kernel + r];
								sum += at.map_or(0.0, |i| f64::from(x[i])) * f64::from(weight);
							}
						}
						expected.push(sum);
					}
				}
			}
			assert_close(&run(file, &[1, c as u32, s as u32, s as u32], &x), &expected);
		}
	}
}

#[test]
fn pools_should_equal_the_formula() {
	for g in GEOMETRIES {
		let x = noise(g.channels * g.size * g.size, 4);
		let [c, s] = [g.channels, g.size].map(|v| v as i64);
		for (op, include) in [("MaxPool", 0), ("AveragePool", 0), ("AveragePool", 1)] {
			let mut attributes = g.attributes();
			if op == "AveragePool" {
				attributes.push(int("count_include_pad", include));
			}
			let file = File::new().opset(19).input("x", &[1, c, s, s]).node(op, "x", "y", attributes).output("y");
			let mut expected = Vec::new();
			for channel in 0..g.channels {
				for y in 0..g.out() {
					for xx in 0..g.out() {
						let window = g.window(channel, y, xx);
						let inside: Vec<f64> = window.iter().flatten().map(|i| f64::from(x[*i])).collect();
						let count = if include == 1 { window.len() } else { inside.len() };
						expected.push(match op {
							"MaxPool" => inside.iter().copied().fold(f64::NEG_INFINITY, f64::max),
							_ => inside.iter().sum::<f64>() / count as f64,
						});
					}
				}
			}
			assert_close(&run(file, &[1, c as u32, s as u32, s as u32], &x), &expected);
		}
	}
}

#[test]
fn pool_geometry_should_follow_auto_pad_and_ceil_mode() {
	let pool = |attributes: Vec<_>, size: i64| {
		let mut all = vec![ints("kernel_shape", &[3]), ints("strides", &[2])];
		all.extend(attributes);
		let file = File::new().input("x", &[1, 1, size]).node("MaxPool", "x", "y", all).output("y");
		run(file, &[1, 1, size as u32], &(0..size).map(|i| i as f32).collect::<Vec<_>>())
	};
	assert_eq!(pool(vec![], 6), [2., 4.]);
	assert_eq!(pool(vec![int("ceil_mode", 1)], 6), [2., 4., 5.]);
	assert_eq!(pool(vec![string("auto_pad", "SAME_UPPER")], 6), [2., 4., 5.]);
	assert_eq!(pool(vec![string("auto_pad", "SAME_LOWER")], 6), [1., 3., 5.]);
	assert_eq!(pool(vec![string("auto_pad", "VALID")], 6), [2., 4.]);
}

#[test]
fn pool_should_not_panic_when_the_operand_is_empty() {
	for (kernel, ceil) in [(1, 0), (1, 1), (3, 1)] {
		let attributes = vec![ints("kernel_shape", &[kernel]), int("ceil_mode", ceil), ints("pads", &[0, kernel])];
		let file = File::new().weight("x", &[1, 1, 0], &[]).node("MaxPool", "x", "y", attributes).output("y");
		let _ = import_onnx(&file.bytes());
		let plain = vec![ints("kernel_shape", &[kernel]), int("ceil_mode", ceil), ints("pads", &[kernel, 0])];
		let file = File::new().weight("x", &[1, 1, 0], &[]).node("MaxPool", "x", "y", plain).output("y");
		let _ = import_onnx(&file.bytes());
	}
}

#[test]
fn gemm_should_equal_the_formula() {
	let (m, k, n) = (3, 300, 4);
	let (a, b, c) = (noise(m * k, 1), noise(k * n, 2), noise(n, 3));
	for trans_a in [0, 1] {
		for trans_b in [0, 1] {
			let pick = |t: i64, x: [i64; 2]| if t == 1 { [x[1], x[0]] } else { x };
			let dims_a = pick(trans_a, [m as i64, k as i64]);
			let file = File::new()
				.input("a", &dims_a)
				.weight("b", &pick(trans_b, [k as i64, n as i64]), &b)
				.weight("c", &[n as i64], &c)
				.node(
					"Gemm",
					"a b c",
					"y",
					vec![int("transA", trans_a), int("transB", trans_b), float("alpha", 0.5), float("beta", 2.0)],
				)
				.output("y");
			let mut expected = Vec::new();
			for i in 0..m {
				for (j, bias) in c.iter().enumerate() {
					let at_a = |r: usize| if trans_a == 1 { r * m + i } else { i * k + r };
					let at_b = |r: usize| if trans_b == 1 { j * k + r } else { r * n + j };
					let sum: f64 = (0..k).map(|r| f64::from(a[at_a(r)]) * f64::from(b[at_b(r)])).sum();
					expected.push(0.5 * sum + 2.0 * f64::from(*bias));
				}
			}
			assert_close(&run(file, &dims_a.map(|d| d as u32), &a), &expected);
		}
	}
}

#[test]
fn mat_mul_should_follow_numpy_when_an_operand_is_a_vector() {
	let file = |w: &[i64]| File::new().input("x", &[2, 3]).weight("w", w, &[1., 2., 3.]).output("y");
	assert_eq!(run(file(&[3]).node("MatMul", "x w", "y", vec![]), &[2, 3], &[1., 0., 0., 0., 1., 1.]), [1., 5.]);
	let model = import(file(&[3]).node("MatMul", "x w", "y", vec![]));
	assert_eq!(model.header().outputs[0].dims, [2]);
	let left = File::new().input("x", &[3]).weight("w", &[2, 3, 1], &noise(6, 1)).output("y");
	let model = import(left.node("MatMul", "x w", "y", vec![]));
	assert_eq!(model.header().outputs[0].dims, [2, 1]);
}

#[test]
fn softmax_should_equal_the_formula_when_the_operator_set_is_old_or_new() {
	let x: Vec<f32> = noise(24, 5).iter().map(|v| v * 30.0).collect();
	for (opset, axis, width) in [(13, -1, 4), (17, 2, 4), (11, 1, 12)] {
		let file = File::new()
			.opset(opset)
			.input("x", &[2, 3, 4])
			.node("Softmax", "x", "y", vec![int("axis", axis)])
			.output("y");
		let mut expected = Vec::new();
		for row in x.chunks(width) {
			let max = row.iter().copied().fold(f32::MIN, f32::max);
			let exp: Vec<f64> = row.iter().map(|v| f64::from(v - max).exp()).collect();
			expected.extend(exp.iter().map(|e| e / exp.iter().sum::<f64>()));
		}
		assert_close(&run(file, &[2, 3, 4], &x), &expected);
	}
}

#[test]
fn shapes_should_follow_onnx() {
	let dims = |op: &str, attributes: Vec<_>, shape: Option<&[i64]>| {
		let mut file = File::new().input("x", &[2, 3, 1, 4]);
		if let Some(s) = shape {
			file = file.ints("s", s);
		}
		let inputs = if shape.is_some() { "x s" } else { "x" };
		import(file.node(op, inputs, "y", attributes).output("y")).header().outputs[0].dims.clone()
	};
	assert_eq!(dims("Reshape", vec![], Some(&[0, -1])), [2, 12]);
	assert_eq!(dims("Flatten", vec![int("axis", 2)], None), [6, 4]);
	assert_eq!(dims("Flatten", vec![int("axis", 4)], None), [24, 1]);
	assert_eq!(dims("Transpose", vec![ints("perm", &[3, 0, 2, 1])], None), [4, 2, 1, 3]);
	assert_eq!(dims("Transpose", vec![], None), [4, 1, 3, 2]);
	assert_eq!(dims("Squeeze", vec![], None), [2, 3, 4]);
	assert_eq!(dims("Squeeze", vec![], Some(&[-2])), [2, 3, 4]);
	assert_eq!(dims("Unsqueeze", vec![], Some(&[0, -1])), [1, 2, 3, 1, 4, 1]);
	assert_eq!(dims("GlobalAveragePool", vec![], None), [2, 3, 1, 1]);
	assert_eq!(dims("Identity", vec![], None), [2, 3, 1, 4]);
}

#[test]
fn transpose_should_move_the_elements() {
	let x: Vec<f32> = (0..24).map(|i| i as f32).collect();
	let file = File::new()
		.input("x", &[2, 3, 4])
		.node("Transpose", "x", "t", vec![ints("perm", &[2, 0, 1])])
		.node("Relu", "t", "y", vec![])
		.output("y");
	let y = run(file, &[2, 3, 4], &x);
	let expected: Vec<f32> = (0..24).map(|i| ((i % 6) / 3 * 12 + i % 3 * 4 + i / 6) as f32).collect();
	assert_eq!(y, expected);
}

#[test]
fn clip_should_bound_when_bounds_are_inputs_or_attributes() {
	let x = [-2.0, 0.5, 9.0];
	let old = File::new().opset(9).input("x", &[3]).node("Clip", "x", "y", vec![float("max", 6.0)]).output("y");
	assert_eq!(run(old, &[3], &x), [-2.0, 0.5, 6.0]);
	let new = File::new()
		.input("x", &[3])
		.weight("lo", &[], &[0.0])
		.weight("hi", &[], &[6.0])
		.node("Clip", "x lo hi", "y", vec![])
		.output("y");
	assert_eq!(run(new, &[3], &x), [0.0, 0.5, 6.0]);
}

#[test]
fn batch_normalization_should_equal_the_formula_when_folded_or_not() {
	let x = noise(2 * 3 * 2 * 2, 1);
	let [s, b, m] = [noise(3, 2), noise(3, 3), noise(3, 4)];
	let v: Vec<f32> = noise(3, 5).iter().map(|v| v.abs() + 0.1).collect();
	let norm = |file: File, from: &str| {
		file.weight("s", &[3], &s)
			.weight("b", &[3], &b)
			.weight("m", &[3], &m)
			.weight("v", &[3], &v)
			.node("BatchNormalization", &format!("{from} s b m v"), "y", vec![])
			.output("y")
	};
	let apply =
		|x: f64, c: usize| (x - f64::from(m[c])) / (f64::from(v[c]) + 1e-5).sqrt() * f64::from(s[c]) + f64::from(b[c]);
	let expected: Vec<f64> = x.iter().enumerate().map(|(i, x)| apply(f64::from(*x), i / 4 % 3)).collect();
	assert_close(&run(norm(File::new().input("x", &[2, 3, 2, 2]), "x"), &[2, 3, 2, 2], &x), &expected);

	let identity: Vec<f32> = (0..9).map(|i| if i % 4 == 0 { 1.0 } else { 0.0 }).collect();
	for bias in ["", " cb"] {
		let file = File::new()
			.input("x", &[2, 3, 2, 2])
			.weight("w", &[3, 3, 1, 1], &identity)
			.weight("cb", &[3], &[0.0; 3])
			.node("Conv", &format!("x w{bias}"), "c", vec![]);
		let file = norm(file, "c");
		let count = |model: &Model| model.nodes().iter().filter(|n| matches!(n.op, Op::Binary(_))).count();
		assert_eq!(count(&import(file.clone())), 1, "folded: one bias, no product");
		assert_close(&run(file, &[2, 3, 2, 2], &x), &expected);
	}
}

#[test]
fn transposes_should_cancel_between_convolutions() {
	let model = import(network());
	let count = |f: fn(&Op) -> bool| model.nodes().iter().filter(|n| f(&n.op)).count();
	// One in, one out; nothing between.
	assert_eq!(count(|op| matches!(op, Op::Transpose(_))), 2);
	assert_eq!(count(|op| matches!(op, Op::Conv(_))), 2);
	assert_eq!(model.header().inputs[0].dims, [1, 3, 9, 9]);
	assert_eq!(model.names().inputs, ["x"]);
	assert_eq!(model.names().outputs, ["y"]);
	let out = evaluate(&model, &[Tensor::from_f32([1, 3, 9, 9], &noise(243, 11)).unwrap()]).unwrap();
	let sum: f32 = out[0].to_f32().unwrap().iter().sum();
	assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn outputs_should_keep_their_order_when_they_are_shared_or_inputs() {
	let file = File::new()
		.input("x", &[2])
		.node("Relu", "x", "r", vec![])
		.node("Neg", "r", "n", vec![])
		.output("n")
		.output("r")
		.output("x")
		.output("n");
	let model = import(file);
	let out = evaluate(&model, &[Tensor::from_f32([2], &[1.0, -2.0]).unwrap()]).unwrap();
	let values: Vec<Vec<f32>> = out.iter().map(|t| t.to_f32().unwrap()).collect();
	assert_eq!(values, [[-1.0, -0.0], [1.0, 0.0], [1.0, -2.0], [-1.0, -0.0]]);
	assert_eq!(model.nodes().iter().filter(|n| matches!(n.op, Op::Unary(Unary::Neg))).count(), 1);
}

#[test]
fn constants_should_be_found_when_they_are_nodes() {
	let mut value = assay_import::proto::AttributeProto { name: "value_ints".into(), r#type: 7, ..Default::default() };
	value.ints = vec![3, 1];
	let file = File::new()
		.input("x", &[1, 3])
		.node("Constant", "", "s", vec![value])
		.node("Reshape", "x s", "d", vec![])
		.node("Dropout", "d", "y", vec![])
		.output("y");
	assert_eq!(import(file).header().outputs[0].dims, [3, 1]);
}

#[test]
fn errors_should_say_what_to_do() {
	let relu = |file: File| file.node("Relu", "x", "y", vec![]).output("y");
	let x = || File::new().input("x", &[2, 2]);
	for (file, words) in [
		(relu(File::new().input("x", &[2, -1])), "export the model with static shapes"),
		(relu(File::new()), "reads `x`, which no earlier node"),
		(x().node("Relu", "y", "z", vec![]).node("Relu", "z", "y", vec![]).output("y"), "sort the nodes topologically"),
		(x().node("SequenceLength", "x", "y", vec![]).output("y"), "operator SequenceLength is not supported"),
		(x().node("NonZero", "x", "y", vec![]).output("y"), "hangs on the value of `x`"),
		(x().output("y"), "no node produces it"),
		(x().node("Relu", "x", "x", vec![]).output("x"), "produced twice"),
		(relu(x()).opset(99), "operator set 99"),
		(relu(x().weight("w", &[1], &[f32::NAN])), "not a number"),
		(relu(x().weight("w", &[2], &[1.0])), "needs 8 bytes, got 4"),
		(relu(x().weight("w", &[-1], &[1.0])), "out of range"),
		(relu(x().weight("w", &[1 << 31, 1 << 31], &[])), "at most 2147483648 bytes"),
		(relu(File::new().input("x", &[1 << 31, 1 << 31])), "at most 2147483648 bytes"),
		(x().ints("s", &[-1, 3]).node("Reshape", "x s", "y", vec![]).output("y"), "does not divide"),
		(x().node("Softmax", "x", "y", vec![int("axis", 7)]).output("y"), "axis 7 is outside"),
		(x().weight("w", &[3, 3], &[0.0; 9]).node("MatMul", "x w", "y", vec![]).output("y"), "dimensions differ"),
		(x().node("Flatten", "x", "y", vec![float("axis", 1.0)]).output("y"), "has type 1, expected 2"),
	] {
		let message = refusal(file);
		assert!(message.contains(words), "{message}");
	}
	let mut external = x().weight("w", &[1], &[]);
	external.graph.initializer[0].data_location = 1;
	assert!(refusal(relu(external)).contains("save_as_external_data=False"));
	let mut custom = relu(x());
	custom.graph.node[0].domain = "com.acme".into();
	assert!(refusal(custom).contains("com.acme.Relu"));
	assert!(matches!(import_onnx(b""), Err(ImportError::NoGraph)));
	assert!(matches!(import_onnx(&relu(x()).bytes()[..30]), Err(ImportError::Protobuf(_))));
}

#[test]
fn a_small_file_should_not_make_a_large_model() {
	// Each Concat doubles a constant: 40 of them would be 4 TiB.
	let mut file = File::new().weight("c0", &[1], &[1.0]);
	for i in 0..40 {
		file = file.node("Concat", &format!("c{i} c{i}"), &format!("c{}", i + 1), vec![int("axis", 0)]);
	}
	assert!(refusal(file.output("c40")).contains("more than 2 GiB"));
	// Two bytes for an empty node.
	let mut bytes = Vec::new();
	let body = [0x0a, 0x00].repeat(3_000_000);
	bytes.push(0x3a);
	let mut length = body.len();
	while length >= 0x80 {
		bytes.push(length as u8 | 0x80);
		length >>= 7;
	}
	bytes.push(length as u8);
	bytes.extend(body);
	assert!(matches!(import_onnx(&bytes), Err(ImportError::Limit { .. })));
}

#[test]
fn concat_should_become_a_tree_when_there_are_more_operands_than_a_node_has() {
	let operands = vec!["x"; 150].join(" ");
	let file = File::new().input("x", &[1, 2]).node("Concat", &operands, "y", vec![int("axis", 1)]).output("y");
	assert_eq!(run(file, &[1, 2], &[1.0, 2.0]), [1.0, 2.0].repeat(150));
}

#[test]
fn global_pool_should_go_axis_by_axis_when_it_takes_too_many_steps() {
	let file = File::new().input("x", &[1, 2, 200, 200]).node("GlobalAveragePool", "x", "y", vec![]).output("y");
	let x: Vec<f32> = (0..80_000).map(|i| if i < 40_000 { 1.0 } else { 3.0 }).collect();
	assert_eq!(run(file, &[1, 2, 200, 200], &x), [1.0, 3.0]);
}
