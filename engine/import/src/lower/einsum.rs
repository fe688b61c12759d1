//! Einsum: operands are taken in from left to right, each pair by a matrix product or an elementwise one.

use super::{norms::single, Lowering, Outputs};
use crate::{builder::Value, error::Reason};
use assay_semantics::{ops::ReduceKind, DType};

/// An operand with a label for each of its axes.
struct Term {
	value: Value,
	labels: Vec<char>,
}

/// A label of an axis that `...` stands for, counted from the last.
fn hidden(from_last: usize) -> char {
	char::from_u32(0xe000 + from_last as u32).unwrap_or('\u{e000}')
}

/// The labels of one operand with `...` written out.
fn labels(text: &str, rank: Option<usize>, hidden_rank: &mut usize) -> Result<Vec<char>, Reason> {
	let mut out = Vec::new();
	let named = text.chars().filter(|c| c.is_ascii_alphabetic()).count();
	let mut rest = text;
	while let Some(c) = rest.chars().next() {
		if let Some(after) = rest.strip_prefix("...") {
			if let Some(rank) = rank {
				let own = rank.checked_sub(named).ok_or("the equation does not fit an operand")?;
				*hidden_rank = (*hidden_rank).max(own);
				out.extend((0..own).rev().map(hidden));
			} else {
				out.extend((0..*hidden_rank).rev().map(hidden));
			}
			rest = after;
		} else if c.is_ascii_alphabetic() {
			out.push(c);
			rest = &rest[1..];
		} else {
			return Err(format!("the equation has a {c:?}").into());
		}
	}
	if rank.is_some_and(|rank| rank != out.len()) {
		return Err("the equation does not fit an operand".into());
	}
	Ok(out)
}

impl Lowering<'_> {
	/// The term with its axes in this order, and axes of 1 for labels that it does not have.
	fn arranged(&mut self, term: &Term, order: &[char]) -> Result<Value, Reason> {
		let own: Vec<u8> =
			order.iter().filter_map(|l| term.labels.iter().position(|o| o == l)).map(|i| i as u8).collect();
		let moved = self.permuted(&term.value, &own)?;
		let dims = self.dims(&moved);
		let mut given = dims.iter();
		let full: Vec<u32> = order
			.iter()
			.map(|l| if term.labels.contains(l) { given.next().copied().unwrap_or(1) } else { 1 })
			.collect();
		if full.len() > assay_semantics::MAX_RANK {
			return Err("more than 8 dimensions".into());
		}
		if full == dims {
			return Ok(moved);
		}
		self.reshape_to(&moved, full)
	}

	/// Axes that share a label become one, the diagonal.
	fn diagonals(&mut self, mut term: Term) -> Result<Term, Reason> {
		while let Some((i, j)) = (0..term.labels.len()).find_map(|i| {
			let j = (i + 1..term.labels.len()).find(|j| term.labels[*j] == term.labels[i])?;
			Some((i, j))
		}) {
			let rank = term.labels.len();
			let mut perm: Vec<u8> = (0..rank).filter(|a| *a != i && *a != j).map(|a| a as u8).collect();
			perm.extend([i as u8, j as u8]);
			let moved = self.permuted(&term.value, &perm)?;
			let dims = self.dims(&moved);
			let n = dims[rank - 1];
			if dims[rank - 2] != n {
				return Err("axes that share a label differ in length".into());
			}
			let mut flat = dims[..rank - 2].to_vec();
			flat.push(n.checked_mul(n).ok_or("too large")?);
			let flat = self.reshape_to(&moved, flat)?;
			let step = i32::try_from(n)?.checked_add(1).ok_or("too large")?;
			let value = self.strided(&flat, rank - 2, 0, n, step)?;
			let label = term.labels[i];
			term.labels = perm[..rank - 2].iter().map(|a| term.labels[usize::from(*a)]).collect();
			term.labels.push(label);
			term.value = value;
		}
		Ok(term)
	}

	/// Summed over the labels that nothing needs.
	fn summed(&mut self, term: Term, needed: impl Fn(char) -> bool) -> Result<Term, Reason> {
		let axes: Vec<usize> = (0..term.labels.len()).filter(|i| !needed(term.labels[*i])).collect();
		if axes.is_empty() {
			return Ok(term);
		}
		let sum = self.reduced(ReduceKind::Sum, &term.value, &axes)?;
		let kept: Vec<usize> = (0..term.labels.len()).filter(|i| !axes.contains(i)).collect();
		let dims = self.dims(&sum);
		let value = self.reshape_to(&sum, kept.iter().map(|i| dims[*i]).collect::<Vec<_>>())?;
		Ok(Term { value, labels: kept.iter().map(|i| term.labels[*i]).collect() })
	}

	/// Two terms to one, summed over the labels that only they have.
	fn contracted(&mut self, a: Term, b: Term, needed: impl Fn(char) -> bool) -> Result<Term, Reason> {
		let a = self.summed(a, |l| needed(l) || b.labels.contains(&l))?;
		let b = self.summed(b, |l| needed(l) || a.labels.contains(&l))?;
		let only = |own: &Term, other: &Term| -> Vec<char> {
			own.labels.iter().copied().filter(|l| !other.labels.contains(l)).collect()
		};
		let (rows, columns) = (only(&a, &b), only(&b, &a));
		let shared: Vec<char> = a.labels.iter().copied().filter(|l| b.labels.contains(l)).collect();
		let (batch, inner): (Vec<char>, Vec<char>) = shared.into_iter().partition(|l| needed(*l));
		if inner.is_empty() {
			let order: Vec<char> = [batch, rows, columns].concat();
			let (x, y) = (self.arranged(&a, &order)?, self.arranged(&b, &order)?);
			return Ok(Term { value: self.mul(&x, &y)?, labels: order });
		}
		// [batch.., rows, inner] and [batch.., columns, inner], each group as one axis.
		let mut sides = Vec::new();
		let mut outer: Vec<u32> = Vec::new();
		let mut kept: Vec<Vec<u32>> = Vec::new();
		for (term, own) in [(&a, &rows), (&b, &columns)] {
			let order: Vec<char> = [batch.clone(), own.clone(), inner.clone()].concat();
			let value = self.arranged(term, &order)?;
			let dims = self.dims(&value);
			let product = |d: &[u32]| d.iter().try_fold(1u32, |n, d| n.checked_mul(*d)).ok_or("too large");
			let (first, second) = (batch.len(), batch.len() + own.len());
			let mut merged = dims[..first].to_vec();
			merged.extend([product(&dims[first..second])?, product(&dims[second..])?]);
			outer = match outer.is_empty() {
				true => dims[..first].to_vec(),
				false => outer.iter().zip(&dims).map(|(a, b)| if *a == 1 { *b } else { *a }).collect(),
			};
			kept.push(dims[first..second].to_vec());
			sides.push(self.reshape_to(&value, merged)?);
		}
		let value = self.product(&sides[0], &sides[1])?;
		let dims: Vec<u32> = [outer, kept.concat()].concat();
		let value = self.reshape_to(&value, dims)?;
		Ok(Term { value, labels: [batch, rows, columns].concat() })
	}

	pub(super) fn einsum(&mut self) -> Result<Outputs, Reason> {
		let equation: String =
			self.attributes().string("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
		let (inputs, output) = match equation.split_once("->") {
			Some((inputs, output)) => (inputs, Some(output)),
			None => (equation.as_str(), None),
		};
		let mut hidden_rank = 0;
		let (mut terms, mut dtype) = (Vec::new(), DType::F32);
		for (i, text) in inputs.split(',').enumerate() {
			let x = self.input(i)?;
			dtype = self.dtype(&x);
			let value = match dtype {
				DType::I32 | DType::I64 => x,
				_ => self.wide(&x)?,
			};
			let labels = labels(text, Some(value.perm.len()), &mut hidden_rank)?;
			terms.push(Term { value, labels });
		}
		if terms.len() != self.node.input.len() {
			return Err("the equation has another number of operands".into());
		}
		let output = match output {
			Some(text) => labels(text, None, &mut hidden_rank)?,
			None => {
				// What appears once, in the order of the alphabet, after what `...` stands for.
				let all: Vec<char> = terms.iter().flat_map(|t| t.labels.iter().copied()).collect();
				let mut once: Vec<char> = all
					.iter()
					.copied()
					.filter(|l| l.is_ascii() && all.iter().filter(|o| *o == l).count() == 1)
					.collect();
				once.sort_unstable();
				(0..hidden_rank).rev().map(hidden).chain(once).collect()
			}
		};
		let mut rest = terms.into_iter();
		let first = rest.next().ok_or("there are no operands")?;
		let mut sum = self.diagonals(first)?;
		let rest: Vec<Term> = rest.map(|t| self.diagonals(t)).collect::<Result<_, _>>()?;
		let mut rest = std::collections::VecDeque::from(rest);
		while let Some(next) = rest.pop_front() {
			let needed = |l: char| output.contains(&l) || rest.iter().any(|t| t.labels.contains(&l));
			sum = self.contracted(sum, next, needed)?;
		}
		let sum = self.summed(sum, |l| output.contains(&l))?;
		if output.iter().any(|l| l.is_ascii() && !sum.labels.contains(l)) {
			return Err("the result has a label that no operand has".into());
		}
		let y = self.arranged(&sum, &output)?;
		single(self.cast_to(&y, dtype)?)
	}
}
