//! Operators that choose, count or take apart: NonMaxSuppression, TfIdfVectorizer, Det.

use super::{norms::single, Lowering, Outputs};
use crate::{builder::Value, error::Reason};
use assay_semantics::{ops::ReduceKind, DType};

/// The most comparisons of boxes.
const MAX_COMPARISONS: u64 = 1 << 28;

/// The largest matrix whose determinant is written out.
const MAX_DET: u32 = 8;

/// Corners of a box: low and high along two axes.
type Corners = [[f32; 2]; 2];

fn corners(b: &[f32], centred: bool) -> Corners {
	let (b0, b1, b2, b3) = (b[0], b[1], b[2], b[3]);
	if centred {
		let (w, h) = (b2 / 2.0, b3 / 2.0);
		return [[b0 - w, b0 + w], [b1 - h, b1 + h]];
	}
	let sorted = |a: f32, b: f32| if a >= b { [b, a] } else { [a, b] };
	[sorted(b1, b3), sorted(b0, b2)]
}

/// Whether two boxes overlap by more than a share of their union.
fn overlap(a: &Corners, b: &Corners, threshold: f32) -> bool {
	let mut common = 1.0f32;
	let (mut area_a, mut area_b) = (1.0f32, 1.0f32);
	for (a, b) in a.iter().zip(b) {
		let low = if a[0] > b[0] { a[0] } else { b[0] };
		let high = if a[1] < b[1] { a[1] } else { b[1] };
		if high <= low {
			return false;
		}
		common *= high - low;
		area_a *= a[1] - a[0];
		area_b *= b[1] - b[0];
	}
	let union = area_a + area_b - common;
	area_a > 0.0 && area_b > 0.0 && union > 0.0 && common / union > threshold
}

impl Lowering<'_> {
	/// Chosen at import: how many boxes remain hangs on the values of the operands.
	pub(super) fn non_max_suppression(&mut self) -> Result<Outputs, Reason> {
		let shape = {
			let boxes = self.input(0)?;
			let scores = self.input(1)?;
			(self.dims(&boxes), self.dims(&scores))
		};
		let (&[batch, count, 4], &[_, classes, _]) = (shape.0.as_slice(), shape.1.as_slice()) else {
			return Err("boxes [N, B, 4] and scores [N, C, B] are needed".into());
		};
		let boxes = self.constant_floats(0)?.unwrap_or_default();
		let scores = self.constant_floats(1)?.unwrap_or_default();
		if scores.len() as u64 != u64::from(batch) * u64::from(classes) * u64::from(count) {
			return Err("boxes and scores do not fit together".into());
		}
		let most = self.constant_integers(2)?.and_then(|m| m.first().copied()).unwrap_or(0).max(0);
		let threshold = self.constant_floats(3)?.and_then(|t| t.first().copied()).unwrap_or(0.0);
		let score_threshold = self.constant_floats(4)?.and_then(|t| t.first().copied());
		let centred = self.attributes().flag("center_point_box")?;
		let count = count as usize;
		let all: Vec<Corners> = boxes.chunks_exact(4).map(|b| corners(b, centred)).collect();
		let mut work = 0u64;
		let mut chosen = Vec::new();
		for n in 0..batch as usize {
			for c in 0..classes as usize {
				let own = &scores[(n * classes as usize + c) * count..][..count];
				let mut order: Vec<usize> =
					(0..count).filter(|i| score_threshold.is_none_or(|t| own[*i] > t)).collect();
				order.sort_by(|a, b| own[*b].total_cmp(&own[*a]).then(a.cmp(b)));
				let mut kept: Vec<usize> = Vec::new();
				for i in order {
					if kept.len() as u64 >= most as u64 {
						break;
					}
					work += kept.len() as u64;
					if work > MAX_COMPARISONS {
						return Err("there are too many boxes".into());
					}
					let corner = &all[n * count + i];
					if !kept.iter().any(|k| overlap(corner, &all[n * count + k], threshold)) {
						kept.push(i);
						chosen.extend([n as i64, c as i64, i as i64]);
					}
				}
			}
		}
		single(self.integers(&[u32::try_from(chosen.len() / 3)?, 3], &chosen)?)
	}

	/// How often each n-gram of the pool appears, with gaps of the same length between its items.
	pub(super) fn tf_idf(&mut self) -> Result<Outputs, Reason> {
		let x = self.input(0)?;
		let x = self.cast_to(&x, DType::I64)?;
		let attributes = self.attributes();
		let pool = attributes.ints("pool_int64s")?.ok_or("only pools of int64 are supported")?;
		let starts = attributes.ints("ngram_counts")?.ok_or("`ngram_counts` is missing")?;
		let columns = attributes.ints("ngram_indexes")?.ok_or("`ngram_indexes` is missing")?;
		let (shortest, longest) = (attributes.int("min_gram_length", 1)?, attributes.int("max_gram_length", 1)?);
		let skips = attributes.int("max_skip_count", 0)?;
		let weights = attributes.floats("weights")?;
		let (counted, weighted) = match attributes.string("mode", "TF")?.as_str() {
			"TF" => (true, false),
			"IDF" => (false, true),
			"TFIDF" => (true, true),
			other => return Err(format!("mode `{other}` is not known").into()),
		};
		let dims = self.dims(&x);
		let (rows, length) = match *dims.as_slice() {
			[n] => (1, n),
			[b, n] => (b, n),
			_ => return Err("the operand needs one or two dimensions".into()),
		};
		let x = self.reshape_to(&x, [rows, length, 1])?;
		let width = columns.iter().copied().max().map_or(0, |m| m + 1);
		let width = u32::try_from(width)?;
		if skips > 4096 || width > 1 << 20 {
			return Err("the attributes are out of range".into());
		}
		let mut columns = columns.iter().enumerate();
		let mut total = self.filled(DType::F32, &[rows, width], 0.0)?;
		for (i, start) in starts.iter().enumerate() {
			let n = i as i64 + 1;
			let end = starts.get(i + 1).map_or(pool.len() as i64, |e| *e);
			let (from, to) = (usize::try_from(*start)?, usize::try_from(end)?);
			let grams = pool.get(from..to).ok_or("`ngram_counts` is out of range")?;
			let count = grams.len() / (i + 1);
			let own: Vec<(usize, i64)> = columns.by_ref().take(count).map(|(at, column)| (at, *column)).collect();
			if own.len() != count {
				return Err("`ngram_indexes` is too short".into());
			}
			if count == 0 || !(shortest..=longest).contains(&n) {
				continue;
			}
			// [rows, positions, grams], summed over positions.
			let mut found: Option<Value> = None;
			for skip in 0..if n == 1 { 1 } else { skips + 1 } {
				let span = (n - 1) * (skip + 1);
				let Some(positions) = i64::from(length).checked_sub(span).filter(|p| *p > 0) else { continue };
				let mut all: Option<Value> = None;
				for k in 0..n {
					let part = self.part(&x, 1, u32::try_from(k * (skip + 1))?, u32::try_from(positions)?)?;
					let items: Vec<i64> = grams.chunks_exact(i + 1).map(|g| g[k as usize]).collect();
					let items = self.integers(&[1, 1, u32::try_from(count)?], &items)?;
					let same = self.call("Equal", &[&part, &items], &[])?;
					all = Some(match all {
						None => same,
						Some(before) => self.call("And", &[&before, &same], &[])?,
					});
				}
				let all = all.ok_or("an n-gram is empty")?;
				let all = self.cast_to(&all, DType::F32)?;
				let sum = self.reduced(ReduceKind::Sum, &all, &[1])?;
				found = Some(match found {
					None => sum,
					Some(before) => self.add(&before, &sum)?,
				});
			}
			let Some(found) = found else { continue };
			let mut found = self.reshape_to(&found, [rows, u32::try_from(count)?])?;
			if !counted {
				let one = self.number(1.0)?;
				found = self.context.builder.binary(assay_semantics::ops::Binary::Min, &found, &one)?;
			}
			// Into their columns, times their weights, by a product with a constant.
			if count.saturating_mul(width as usize) > 1 << 24 {
				return Err("the pool is too large".into());
			}
			let mut place = vec![0.0f32; count * width as usize];
			for (j, (at, column)) in own.iter().enumerate() {
				let weight = weights.filter(|_| weighted).and_then(|w| w.get(*at).copied()).unwrap_or(1.0);
				let column = usize::try_from(*column)?;
				*place.get_mut(column * count + j).ok_or("a column is out of range")? = weight;
			}
			let place = self.numbers(&[width, u32::try_from(count)?], &place)?;
			let placed = self.product(&found, &place)?;
			total = self.add(&total, &placed)?;
		}
		single(if dims.len() == 1 { self.reshape_to(&total, [width])? } else { total })
	}

	/// By minors of the last rows, for every choice of columns: no division, and no pivot to choose.
	pub(super) fn det(&mut self) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let dims = self.dims(&x);
		let [outer @ .., n, m] = dims.as_slice() else { return Err("a matrix needs two dimensions".into()) };
		let (n, rank) = (*n, dims.len());
		if n != *m || !(1..=MAX_DET).contains(&n) {
			return Err(format!("only square matrices up to {MAX_DET} rows are supported").into());
		}
		let element = |l: &mut Self, row: u32, column: u32| -> Result<Value, Reason> {
			let part = l.part(&x, rank - 2, row, 1)?;
			let part = l.part(&part, rank - 1, column, 1)?;
			l.reshape_to(&part, outer.to_vec())
		};
		// Minors of the rows from `row` on, by the set of their columns.
		let mut minors: std::collections::BTreeMap<u32, Value> = Default::default();
		for row in (0..n).rev() {
			let size = n - row;
			let mut next = std::collections::BTreeMap::new();
			for set in (0u32..1 << n).filter(|s| s.count_ones() == size) {
				let mut sum: Option<Value> = None;
				for (k, column) in (0..n).filter(|c| set & (1 << c) != 0).enumerate() {
					let a = element(self, row, column)?;
					let term = match minors.get(&(set & !(1 << column))) {
						Some(minor) => self.mul(&a, minor)?,
						None => a,
					};
					sum = Some(match sum {
						None => term,
						Some(before) if k % 2 == 0 => self.add(&before, &term)?,
						Some(before) => self.sub(&before, &term)?,
					});
				}
				next.insert(set, sum.ok_or("no columns")?);
			}
			minors = next;
		}
		let (_, det) = minors.pop_first().ok_or("no minors")?;
		single(self.cast_to(&det, dtype)?)
	}
}
