//! Attention and its kin: products, pointwise operators and two-pass softmaxes.

use super::{emit::int, Lowering, Outputs};
use crate::{builder::Value, error::Reason};
use assay_semantics::{
	ops::{ReduceKind, Unary},
	DType,
};

/// What may be attended to: a condition, and a bias on the scores.
#[derive(Default)]
struct Mask {
	/// `true` where a key may be attended to.
	allowed: Option<Value>,
	/// Added to the scores.
	bias: Option<Value>,
	/// Whether every row is known to have a key that is allowed.
	never_empty: bool,
}

/// `[B, S, heads * D]` as `[B, heads, S, D]`; what has four dimensions stays.
fn heads_of(l: &mut Lowering, x: &Value, heads: i64) -> Result<Value, Reason> {
	match *l.dims(x).as_slice() {
		[_, _, _, _] => Ok(x.clone()),
		[b, s, hidden] => {
			let heads = u32::try_from(heads).ok().filter(|h| *h > 0 && hidden % h == 0);
			let heads = heads.ok_or("the number of heads does not divide the last dimension")?;
			let split = l.reshape_to(x, [b, s, heads, hidden / heads])?;
			l.permuted(&split, &[0, 2, 1, 3])
		}
		_ => Err("the operands need three or four dimensions".into()),
	}
}

/// `[B, heads, S, D]` as `[B, S, heads * D]`.
fn heads_joined(l: &mut Lowering, x: &Value) -> Result<Value, Reason> {
	let [b, h, s, d] = *l.dims(x).as_slice() else { return Err("four dimensions are needed".into()) };
	let x = l.permuted(x, &[0, 2, 1, 3])?;
	l.reshape_to(&x, [b, s, h.checked_mul(d).ok_or("too large")?])
}

/// Query heads that share a key head stand below each other: `[B, H, S, D]` as `[B, kv, H / kv * S, D]`.
fn grouped(l: &mut Lowering, x: &Value, kv: u32) -> Result<Value, Reason> {
	let [b, h, s, d] = *l.dims(x).as_slice() else { return Err("four dimensions are needed".into()) };
	if h == kv {
		return Ok(x.clone());
	}
	if kv == 0 || h % kv != 0 {
		return Err("the heads of the keys do not divide those of the queries".into());
	}
	l.reshape_to(x, [b, kv, (h / kv).checked_mul(s).ok_or("too large")?, d])
}

impl Lowering<'_> {
	/// Both, if there are both.
	fn both(&mut self, a: Option<Value>, b: Value) -> Result<Option<Value>, Reason> {
		Ok(Some(match a {
			None => b,
			Some(a) => self.call("And", &[&a, &b], &[])?,
		}))
	}

	/// `Q K^T * scale` as `[B, H, S, L]`. Where the element type is narrower than f32, both are scaled by the root and each
	/// result is rounded to it, as ONNX's own function does.
	fn scores(&mut self, q: &Value, k: &Value, scale: Option<f32>, dtype: DType) -> Result<Value, Reason> {
		let (dims_q, dims_k) = (self.dims(q), self.dims(k));
		let (&[b, h, s, d], &[_, kv, l, _]) = (dims_q.as_slice(), dims_k.as_slice()) else {
			return Err("four dimensions are needed".into());
		};
		let scale = scale.unwrap_or_else(|| 1.0 / (d as f32).sqrt());
		let (q, k) = if dtype == DType::F32 {
			(self.times(q, scale)?, k.clone())
		} else {
			let root = self.number_like(q, scale.sqrt())?;
			let root = self.rounded(&root, dtype)?;
			let (q, k) = (self.mul(q, &root)?, self.mul(k, &root)?);
			(self.rounded(&q, dtype)?, self.rounded(&k, dtype)?)
		};
		let q = grouped(self, &q, kv)?;
		let scores = self.product(&q, &k)?;
		let scores = self.reshape_to(&scores, [b, h, s, l])?;
		self.rounded(&scores, dtype)
	}

	/// Probabilities times values, as `[B, H, S, D]`.
	fn weighted(&mut self, p: &Value, v: &Value) -> Result<Value, Reason> {
		let (dims_p, dims_v) = (self.dims(p), self.dims(v));
		let (&[b, h, s, _], &[_, kv, _, d]) = (dims_p.as_slice(), dims_v.as_slice()) else {
			return Err("four dimensions are needed".into());
		};
		let p = grouped(self, p, kv)?;
		let v = self.flipped(v)?;
		let y = self.product(&p, &v)?;
		self.reshape_to(&y, [b, h, s, d])
	}

	/// Keys at hand beside the queries' positions: causality, the window, and the keys that are padding.
	fn positions(&mut self, mask: &mut Mask, s: u32, l: u32, past: Option<u32>) -> Result<(), Reason> {
		let attributes = self.attributes();
		let causal = attributes.flag("is_causal")?;
		let (left, right) = (attributes.int("left_window_size", -1)?, attributes.int("right_window_size", -1)?);
		let count = |n: u32| (0..i64::from(n)).collect::<Vec<_>>();
		let keys = self.integers(&[1, 1, 1, l], &count(l))?;
		let nonpad = self.optional(6)?;
		let mut queries = self.integers(&[1, 1, s, 1], &count(s))?;
		let mut fixed = past.unwrap_or(0);
		if let Some(n) = &nonpad {
			let b = self.dims(n).first().copied().unwrap_or(1);
			let n = self.cast_to(n, DType::I64)?;
			let n = self.reshape_to(&n, [b, 1, 1, 1])?;
			let inside = self.call("Less", &[&keys, &n], &[])?;
			mask.allowed = self.both(mask.allowed.take(), inside)?;
			mask.never_empty = false;
			if past.is_none() {
				let s = self.integers(&[], &[i64::from(s)])?;
				let offset = self.sub(&n, &s)?;
				queries = self.add(&queries, &offset)?;
				fixed = 0;
			}
		}
		if fixed > 0 {
			let offset = self.integers(&[], &[i64::from(fixed)])?;
			queries = self.add(&queries, &offset)?;
		}
		if causal {
			let inside = self.call("LessOrEqual", &[&keys, &queries], &[])?;
			mask.allowed = self.both(mask.allowed.take(), inside)?;
		}
		if left >= 0 {
			let left = self.integers(&[], &[left])?;
			let first = self.sub(&queries, &left)?;
			let inside = self.call("GreaterOrEqual", &[&keys, &first], &[])?;
			mask.allowed = self.both(mask.allowed.take(), inside)?;
			mask.never_empty = false;
		}
		if right >= 0 {
			let right = self.integers(&[], &[right])?;
			let last = self.add(&queries, &right)?;
			let inside = self.call("LessOrEqual", &[&keys, &last], &[])?;
			mask.allowed = self.both(mask.allowed.take(), inside)?;
		}
		Ok(())
	}

	/// The operand `attn_mask`: a condition or a bias; shorter than the keys, it allows none of the rest.
	fn given_mask(&mut self, mask: &mut Mask, l: u32) -> Result<(), Reason> {
		let Some(given) = self.optional(3)? else { return Ok(()) };
		mask.never_empty = false;
		let dims = self.dims(&given);
		let length = *dims.last().ok_or("the mask needs a dimension")?;
		let condition = self.dtype(&given) == DType::Bool;
		let given = if condition { given } else { self.wide(&given)? };
		let mut after = vec![0; dims.len()];
		if let Some(last) = after.last_mut() {
			*last = l.saturating_sub(length);
		}
		let border = if condition { 0 } else { u64::from(f32::NEG_INFINITY.to_bits()) };
		let given = self.padded(&given, &vec![0; dims.len()], &after, border)?;
		let given = self.raised(&given, 4)?;
		if condition {
			mask.allowed = self.both(mask.allowed.take(), given)?;
		} else {
			mask.bias = Some(given);
		}
		Ok(())
	}

	/// Where a row of the mask allows no key: `[.., S, 1]`.
	fn empty_rows(&mut self, mask: &Mask) -> Result<Option<Value>, Reason> {
		if mask.never_empty {
			return Ok(None);
		}
		let dtype = mask.bias.as_ref().map_or(DType::F32, |bias| self.dtype(bias));
		let infinite = self.number_of(dtype, f32::NEG_INFINITY)?;
		let zero = self.number_of(dtype, 0.0)?;
		let bias = match (&mask.allowed, &mask.bias) {
			(None, None) => return Ok(None),
			(None, Some(bias)) => bias.clone(),
			(Some(allowed), bias) => {
				let bias = bias.clone().unwrap_or(zero);
				self.select(allowed, &bias, &infinite)?
			}
		};
		let largest = self.reduced(ReduceKind::Max, &bias, &[3])?;
		Ok(Some(self.call("Equal", &[&largest, &infinite], &[])?))
	}

	/// Softmax over the last axis, each step of it rounded to the element type; rows that are given as empty are 0.
	fn guarded_softmax(&mut self, x: &Value, empty: Option<&Value>, dtype: DType) -> Result<Value, Reason> {
		let p = self.softmax_in(x, &[x.perm.len() - 1], dtype)?;
		match empty {
			None => Ok(p),
			Some(empty) => {
				let zero = self.number_like(&p, 0.0)?;
				self.select(empty, &zero, &p)
			}
		}
	}

	/// `softmax(softcap(Q K^T * scale) + bias) V`.
	///
	/// Keys that are not allowed have score -infinity whatever they hold. A row without any allowed key gives 0. Computed in
	/// f32; where the operands are narrower, each step is rounded to their element type.
	pub(super) fn attention(&mut self) -> Result<Outputs, Reason> {
		let attributes = self.attributes();
		let (heads, kv_heads) = (attributes.int("q_num_heads", 0)?, attributes.int("kv_num_heads", 0)?);
		let mode = attributes.int("qk_matmul_output_mode", 0)?;
		let softcap = attributes.float("softcap")?.unwrap_or(0.0);
		let (q, k, v) = (self.input(0)?, self.input(1)?, self.input(2)?);
		let flat = q.perm.len() == 3;
		let dtype = self.dtype(&q);
		let q = heads_of(self, &q, heads)?;
		let mut k = heads_of(self, &k, kv_heads)?;
		let mut v = heads_of(self, &v, kv_heads)?;
		let mut past = None;
		if let (Some(past_k), Some(past_v)) = (self.optional(4)?, self.optional(5)?) {
			past = self.dims(&past_k).get(2).copied();
			k = self.joined(&[past_k, k], 2)?;
			v = self.joined(&[past_v, v], 2)?;
		}
		let (present_k, present_v) = (k.clone(), v.clone());
		let (q, k, v) = (self.wide(&q)?, self.wide(&k)?, self.wide(&v)?);
		let (s, l) = (self.dims(&q)[2], self.dims(&k)[2]);

		let scale = attributes.float("scale")?;
		let mut scores = self.scores(&q, &k, scale, dtype)?;
		let mut seen = scores.clone();
		if softcap > 0.0 {
			scores = self.times(&scores, 1.0 / softcap)?;
			scores = self.rounded(&scores, dtype)?;
			scores = self.map(Unary::Tanh, &scores)?;
			scores = self.rounded(&scores, dtype)?;
			scores = self.times(&scores, softcap)?;
			scores = self.rounded(&scores, dtype)?;
		}
		if mode == 1 {
			seen = scores.clone();
		}
		let mut mask = Mask { never_empty: true, ..Mask::default() };
		self.given_mask(&mut mask, l)?;
		self.positions(&mut mask, s, l, past)?;
		if let Some(bias) = &mask.bias {
			scores = self.add(&scores, bias)?;
			scores = self.rounded(&scores, dtype)?;
		}
		if let Some(allowed) = &mask.allowed {
			let infinite = self.number_like(&scores, f32::NEG_INFINITY)?;
			scores = self.select(allowed, &scores, &infinite)?;
		}
		if mode == 2 {
			seen = scores.clone();
		}
		let empty = self.empty_rows(&mask)?;
		// Without a precision of its own the softmax has that of the operands.
		let precision = match attributes.int("softmax_precision", 0)? {
			0 => dtype,
			n => crate::weights::dtype(i32::try_from(n)?)?,
		};
		let p = self.guarded_softmax(&scores, empty.as_ref(), if precision == dtype { dtype } else { DType::F32 })?;
		if mode == 3 {
			seen = p.clone();
		}
		let p = self.rounded(&p, dtype)?;
		let y = self.weighted(&p, &v)?;
		let y = self.cast_to(&y, dtype)?;
		let y = if flat { heads_joined(self, &y)? } else { y };
		let seen = self.cast_to(&seen, dtype)?;
		Ok(vec![Some(y), Some(present_k), Some(present_v), Some(seen)])
	}

	/// The same without masks, with graphs that change scores and probabilities.
	pub(super) fn flex_attention(&mut self) -> Result<Outputs, Reason> {
		let (q, dtype) = self.widened(0)?;
		let ((k, _), (v, _)) = (self.widened(1)?, self.widened(2)?);
		let scale = self.attributes().float("scale")?;
		let mut scores = self.scores(&q, &k, scale, dtype)?;
		if let Some(graph) = self.attributes().graph("score_mod")? {
			scores = self.subgraph(graph, &[scores])?.into_iter().next().ok_or("`score_mod` has no output")?;
		}
		let mut p = self.softmax_over(&scores, &[3])?;
		if let Some(graph) = self.attributes().graph("prob_mod")? {
			p = self.subgraph(graph, &[p])?.into_iter().next().ok_or("`prob_mod` has no output")?;
		}
		let y = self.weighted(&p, &v)?;
		super::norms::single(self.cast_to(&y, dtype)?)
	}

	/// Pairs of elements turned by angles whose cosines and sines are given.
	pub(super) fn rotary_embedding(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let attributes = self.attributes();
		let interleaved = attributes.flag("interleaved")?;
		let flat = x.perm.len() == 3;
		let dims = self.dims(&x);
		// [B, S, H, D]
		let x = match *dims.as_slice() {
			[_, _, _, _] => self.permuted(&x, &[0, 2, 1, 3])?,
			[b, s, hidden] => {
				let heads = u32::try_from(attributes.int("num_heads", 0)?)?;
				if heads == 0 || hidden % heads != 0 {
					return Err("`num_heads` does not divide the last dimension".into());
				}
				self.reshape_to(&x, [b, s, heads, hidden / heads])?
			}
			_ => return Err("the operand needs three or four dimensions".into()),
		};
		let size = self.dims(&x)[3];
		let turned = match u32::try_from(attributes.int("rotary_embedding_dim", 0)?)? {
			0 => size,
			n => n,
		};
		if turned > size || turned % 2 != 0 {
			return Err("`rotary_embedding_dim` must be even and at most the head's size".into());
		}
		let half = turned / 2;
		let mut angles = Vec::new();
		for i in [1, 2] {
			let (mut table, _) = self.widened(i)?;
			if let Some(positions) = self.optional(3)? {
				table = self.call("Gather", &[&table, &positions], &[int("axis", 0)])?;
			}
			let &[b, s, n] = self.dims(&table).as_slice() else {
				return Err("the caches need one row for each position".into());
			};
			if n != half {
				return Err("the caches need half as many columns as elements are turned".into());
			}
			angles.push(self.reshape_to(&table, [b, s, 1, n])?);
		}
		let (a, b) = if interleaved {
			(self.strided(&x, 3, 0, half, 2)?, self.strided(&x, 3, 1.min(turned), half, 2)?)
		} else {
			(self.part(&x, 3, 0, half)?, self.part(&x, 3, half, half)?)
		};
		let (cos, sin) = (&angles[0], &angles[1]);
		let (ca, sb) = (self.mul(cos, &a)?, self.mul(sin, &b)?);
		let real = self.sub(&ca, &sb)?;
		let (sa, cb) = (self.mul(sin, &a)?, self.mul(cos, &b)?);
		let imaginary = self.add(&sa, &cb)?;
		let mut y = if interleaved {
			let mut pairs = Vec::new();
			for part in [&real, &imaginary] {
				let mut dims = self.dims(part);
				dims.push(1);
				pairs.push(self.reshape_to(part, dims)?);
			}
			let pairs = self.joined(&pairs, 4)?;
			let mut dims = self.dims(&x);
			dims[3] = turned;
			self.reshape_to(&pairs, dims)?
		} else {
			self.joined(&[real, imaginary], 3)?
		};
		if turned < size {
			let rest = self.part(&x, 3, turned, size - turned)?;
			y = self.joined(&[y, rest], 3)?;
		}
		let y = if flat { self.reshape_to(&y, dims)? } else { self.permuted(&y, &[0, 2, 1, 3])? };
		super::norms::single(self.cast_to(&y, dtype)?)
	}

	/// The recurrence, unrolled: the state decays, is corrected, takes in the key's and value's product, and is read.
	pub(super) fn linear_attention(&mut self) -> Result<Outputs, Reason> {
		let attributes = self.attributes();
		let rule = attributes.string("update_rule", "gated_delta")?;
		let (gated, delta) = match rule.as_str() {
			"linear" => (false, false),
			"gated" => (true, false),
			"delta" => (false, true),
			"gated_delta" => (true, true),
			other => return Err(format!("update rule `{other}` is not known").into()),
		};
		let (heads, kv_heads) = (attributes.int("q_num_heads", 0)?, attributes.int("kv_num_heads", 0)?);
		let ((q, dtype), (k, _), (v, _)) = (self.widened(0)?, self.widened(1)?, self.widened(2)?);
		let q = heads_of(self, &q, heads)?;
		let (k, v) = (heads_of(self, &k, kv_heads)?, heads_of(self, &v, kv_heads)?);
		let (&[b, h, t, dk], &[_, kv, _, dv]) = (self.dims(&q).as_slice(), self.dims(&v).as_slice()) else {
			return Err("four dimensions are needed".into());
		};
		let scale = attributes.float("scale")?.filter(|s| *s != 0.0).unwrap_or_else(|| 1.0 / (dk as f32).sqrt());
		let mut extra = Vec::new();
		for (i, wanted) in [(4, gated), (5, delta)] {
			let Some(x) = self.optional(i)?.filter(|_| wanted) else {
				if wanted {
					return Err(format!("input {i} is missing").into());
				}
				extra.push(None);
				continue;
			};
			let x = self.wide(&x)?;
			let last = *self.dims(&x).last().ok_or("three dimensions are needed")?;
			let per_head = if last == 1 { 1 } else { kv_heads };
			extra.push(Some(heads_of(self, &x, per_head)?));
		}
		let (mut state, stored) = match self.optional(3)? {
			// The state is kept transposed, [B, kv, dv, dk], so that both reads of it are products.
			Some(past) => (self.wide(&past)?, self.dtype(&past)),
			None => (self.filled(self.dtype(&k), &[b, kv, dk, dv], 0.0)?, dtype),
		};
		state = self.flipped(&state)?;
		super::control::check_unrolled(t)?;
		let mut outputs = Vec::new();
		for i in 0..t {
			let at = |l: &mut Self, x: &Value| l.part(x, 2, i, 1);
			let (q_t, k_t, mut v_t) = (at(self, &q)?, at(self, &k)?, at(self, &v)?);
			if let Some(decay) = &extra[0] {
				let g = at(self, decay)?;
				let g = self.map(Unary::Exp, &g)?;
				state = self.mul(&state, &g)?;
			}
			if let Some(beta) = &extra[1] {
				let retrieved = self.product(&k_t, &state)?;
				let error = self.sub(&v_t, &retrieved)?;
				let beta = at(self, beta)?;
				v_t = self.mul(&beta, &error)?;
			}
			let column = self.flipped(&v_t)?;
			let written = self.mul(&column, &k_t)?;
			state = self.add(&state, &written)?;
			let rows = grouped(self, &q_t, kv)?;
			let read = self.product(&rows, &state)?;
			let read = self.reshape_to(&read, [b, h, 1, dv])?;
			outputs.push(self.times(&read, scale)?);
		}
		let y = self.joined(&outputs, 2)?;
		let y = heads_joined(self, &y)?;
		let state = self.flipped(&state)?;
		Ok(vec![Some(self.cast_to(&y, dtype)?), Some(self.cast_to(&state, stored)?)])
	}

	/// A depthwise convolution over the state and the input; the state that remains.
	pub(super) fn causal_conv(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let (w, _) = self.widened(1)?;
		let (&[n, c, _], &[_, _, k]) = (self.dims(&x).as_slice(), self.dims(&w).as_slice()) else {
			return Err("input and weights need three dimensions".into());
		};
		let before = k.checked_sub(1).ok_or("the kernel is empty")?;
		let past = match self.optional(3)? {
			Some(past) => self.wide(&past)?,
			None => self.filled(self.dtype(&x), &[n, c, before], 0.0)?,
		};
		let padded = if before > 0 { self.joined(&[past, x], 2)? } else { x };
		let length = self.dims(&padded)[2];
		let mut y = self.call("Conv", &[&padded, &w], &[int("group", c.into())])?;
		if let Some(bias) = self.optional(2)? {
			let bias = self.wide(&bias)?;
			let bias = self.reshape_to(&bias, [1, c, 1])?;
			y = self.add(&y, &bias)?;
		}
		y = self.rounded(&y, dtype)?;
		match self.attributes().string("activation", "none")?.as_str() {
			"none" => {}
			"silu" | "swish" => {
				let gate = self.map(Unary::Sigmoid, &y)?;
				y = self.mul(&y, &gate)?;
			}
			other => return Err(format!("activation `{other}` is not known").into()),
		}
		let state = self.part(&padded, 2, length - before, before)?;
		Ok(vec![Some(self.cast_to(&y, dtype)?), Some(self.cast_to(&state, dtype)?)])
	}
}
