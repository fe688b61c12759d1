//! LSTM, GRU and RNN, unrolled over time.

use super::{control::check_unrolled, emit::float, Lowering, Outputs};
use crate::{builder::Value, error::Reason};
use assay_semantics::{
	ops::{Binary, Unary},
	DType,
};

/// Which recurrence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
	Rnn,
	Gru,
	Lstm,
}

/// An activation with its parameters.
#[derive(Clone)]
struct Activation {
	name: String,
	alpha: Option<f32>,
	beta: Option<f32>,
}

/// The weights of one direction.
struct Weights {
	/// `[gates * H, I]`
	w: Value,
	/// `[gates * H, H]`
	r: Value,
	/// `[gates * H]` each.
	bias: Option<(Value, Value)>,
	/// `[H]` each: input, output, forget.
	peepholes: Option<[Value; 3]>,
	/// One for each kind of gate.
	activations: Vec<Activation>,
	hidden: u32,
}

impl Cell {
	fn gates(self) -> u32 {
		match self {
			Cell::Rnn => 1,
			Cell::Gru => 3,
			Cell::Lstm => 4,
		}
	}

	fn default_activations(self) -> &'static [&'static str] {
		match self {
			Cell::Rnn => &["Tanh"],
			Cell::Gru => &["Sigmoid", "Tanh"],
			Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
		}
	}
}

impl Lowering<'_> {
	fn activated(&mut self, x: &Value, f: &Activation) -> Result<Value, Reason> {
		let mut x = x.clone();
		if let Some(clip) = self.attributes().float("clip")?.filter(|c| *c > 0.0) {
			let (low, high) = (self.number_like(&x, -clip)?, self.number_like(&x, clip)?);
			x = self.context.builder.binary(Binary::Max, &x, &low)?;
			x = self.context.builder.binary(Binary::Min, &x, &high)?;
		}
		let (alpha, beta) = (|default| f.alpha.unwrap_or(default), |default| f.beta.unwrap_or(default));
		match f.name.to_ascii_lowercase().as_str() {
			"sigmoid" => self.map(Unary::Sigmoid, &x),
			"tanh" => self.map(Unary::Tanh, &x),
			"relu" => self.map(Unary::Relu, &x),
			"affine" => {
				let scaled = self.times(&x, alpha(1.0))?;
				self.plus(&scaled, beta(0.0))
			}
			"scaledtanh" => {
				let scaled = self.times(&x, beta(1.0))?;
				let y = self.map(Unary::Tanh, &scaled)?;
				self.times(&y, alpha(1.0))
			}
			"leakyrelu" => self.call("LeakyRelu", &[&x], &[float("alpha", alpha(0.01))]),
			"thresholdedrelu" => self.call("ThresholdedRelu", &[&x], &[float("alpha", alpha(1.0))]),
			"hardsigmoid" => self.call("HardSigmoid", &[&x], &[float("alpha", alpha(0.2)), float("beta", beta(0.5))]),
			"elu" => self.call("Elu", &[&x], &[float("alpha", alpha(1.0))]),
			"softsign" => self.call("Softsign", &[&x], &[]),
			"softplus" => self.call("Softplus", &[&x], &[]),
			other => Err(format!("activation `{other}` is not known").into()),
		}
	}

	/// One direction of an operand that has them first.
	fn direction_of(&mut self, v: &Value, d: u32) -> Result<Value, Reason> {
		let part = self.part(v, 0, d, 1)?;
		let dims = self.dims(&part)[1..].to_vec();
		self.reshape_to(&part, dims)
	}

	fn recurrent_weights(&mut self, cell: Cell, d: u32, hidden: u32) -> Result<Weights, Reason> {
		let gates = cell.gates() * hidden;
		let w = self.input(1)?;
		let r = self.input(2)?;
		let (w, r) = (self.wide(&w)?, self.wide(&r)?);
		let (w, r) = (self.direction_of(&w, d)?, self.direction_of(&r, d)?);
		if self.dims(&w).first() != Some(&gates) || self.dims(&r) != [gates, hidden] {
			return Err("the weights do not fit `hidden_size`".into());
		}
		let bias = match self.optional(3)? {
			Some(b) => {
				let b = self.wide(&b)?;
				let b = self.direction_of(&b, d)?;
				Some((self.part(&b, 0, 0, gates)?, self.part(&b, 0, gates, gates)?))
			}
			None => None,
		};
		let peepholes = match (cell, self.optional(7)?) {
			(Cell::Lstm, Some(p)) => {
				let p = self.wide(&p)?;
				let p = self.direction_of(&p, d)?;
				let third = |l: &mut Self, i: u32| l.part(&p, 0, i * hidden, hidden);
				Some([third(self, 0)?, third(self, 1)?, third(self, 2)?])
			}
			_ => None,
		};
		let attributes = self.attributes();
		let defaults = cell.default_activations();
		let names = attributes.strings("activations")?;
		let (alphas, betas) = (attributes.floats("activation_alpha")?, attributes.floats("activation_beta")?);
		let mut activations = Vec::new();
		for (i, default) in defaults.iter().enumerate() {
			let at = d as usize * defaults.len() + i;
			let name = names.as_ref().and_then(|n| n.get(at).cloned()).unwrap_or_else(|| (*default).into());
			let number = |list: Option<&[f32]>| list.and_then(|l| l.get(at).copied());
			activations.push(Activation { name, alpha: number(alphas), beta: number(betas) });
		}
		Ok(Weights { w, r, bias, peepholes, activations, hidden })
	}

	/// Column block `i` of `[B, gates * H]`.
	fn gate(&mut self, x: &Value, i: u32, hidden: u32) -> Result<Value, Reason> {
		self.part(x, 1, i * hidden, hidden)
	}

	fn lstm_step(&mut self, own: &Weights, sums: &Value, c: &Value) -> Result<(Value, Value), Reason> {
		let n = own.hidden;
		let [f, g, h] = own.activations.as_slice() else { return Err("three activations are needed".into()) };
		let (mut i, mut o) = (self.gate(sums, 0, n)?, self.gate(sums, 1, n)?);
		let (mut forget, mut candidate) = (self.gate(sums, 2, n)?, self.gate(sums, 3, n)?);
		if let Some([pi, _, pf]) = &own.peepholes {
			let (ci, cf) = (self.mul(pi, c)?, self.mul(pf, c)?);
			(i, forget) = (self.add(&i, &ci)?, self.add(&forget, &cf)?);
		}
		i = self.activated(&i, f)?;
		forget = if self.attributes().flag("input_forget")? {
			let one = self.number_like(&i, 1.0)?;
			self.sub(&one, &i)?
		} else {
			self.activated(&forget, f)?
		};
		candidate = self.activated(&candidate, g)?;
		let (kept, new) = (self.mul(&forget, c)?, self.mul(&i, &candidate)?);
		let c = self.add(&kept, &new)?;
		if let Some([_, po, _]) = &own.peepholes {
			let co = self.mul(po, &c)?;
			o = self.add(&o, &co)?;
		}
		o = self.activated(&o, f)?;
		let out = self.activated(&c, h)?;
		Ok((self.mul(&o, &out)?, c))
	}

	/// `x` is the input's part of the gates, with its bias.
	fn gru_step(&mut self, own: &Weights, x: &Value, h: &Value) -> Result<Value, Reason> {
		let n = own.hidden;
		let [f, g] = own.activations.as_slice() else { return Err("two activations are needed".into()) };
		let r_zr = self.part(&own.r, 0, 0, 2 * n)?;
		let mut recurrent = self.product(h, &r_zr)?;
		let r_h = self.part(&own.r, 0, 2 * n, n)?;
		let mut bias_h = None;
		if let Some((_, rb)) = &own.bias {
			let zr = self.part(rb, 0, 0, 2 * n)?;
			recurrent = self.add(&recurrent, &zr)?;
			bias_h = Some(self.part(rb, 0, 2 * n, n)?);
		}
		let mut gates = Vec::new();
		for i in 0..2 {
			let (a, b) = (self.gate(x, i, n)?, self.gate(&recurrent, i, n)?);
			let sum = self.add(&a, &b)?;
			gates.push(self.activated(&sum, f)?);
		}
		let (z, r) = (&gates[0], &gates[1]);
		let with_bias = |l: &mut Self, v: Value| match &bias_h {
			Some(b) => l.add(&v, b),
			None => Ok(v),
		};
		let inner = if self.attributes().flag("linear_before_reset")? {
			let linear = self.product(h, &r_h)?;
			let linear = with_bias(self, linear)?;
			self.mul(r, &linear)?
		} else {
			let reset = self.mul(r, h)?;
			let linear = self.product(&reset, &r_h)?;
			with_bias(self, linear)?
		};
		let candidate = self.gate(x, 2, n)?;
		let candidate = self.add(&candidate, &inner)?;
		let candidate = self.activated(&candidate, g)?;
		let one = self.number_like(z, 1.0)?;
		let rest = self.sub(&one, z)?;
		let (new, kept) = (self.mul(&rest, &candidate)?, self.mul(z, h)?);
		self.add(&new, &kept)
	}

	/// One direction: the outputs in order of time, `[B, H]` each, and the last states.
	fn direction(
		&mut self,
		cell: Cell,
		x: &Value,
		d: u32,
		reverse: bool,
		hidden: u32,
	) -> Result<(Vec<Value>, Value, Value), Reason> {
		let &[steps, batch, features] = self.dims(x).as_slice() else {
			return Err("the input needs three dimensions".into());
		};
		let own = self.recurrent_weights(cell, d, hidden)?;
		let state = |l: &mut Self, i: usize| -> Result<Value, Reason> {
			match l.optional(i)? {
				Some(v) => {
					let mut v = l.wide(&v)?;
					if l.attributes().flag("layout")? {
						v = l.permuted(&v, &[1, 0, 2])?;
					}
					l.direction_of(&v, d)
				}
				None => l.filled(l.dtype(x), &[batch, hidden], 0.0),
			}
		};
		let mut h = state(self, 5)?;
		let mut c = if cell == Cell::Lstm { state(self, 6)? } else { h.clone() };
		let lengths = match self.optional(4)? {
			Some(lengths) => {
				let lengths = self.cast_to(&lengths, DType::I64)?;
				Some(self.reshape_to(&lengths, [batch, 1])?)
			}
			None => None,
		};
		// The input's part of all gates at once.
		let rows = steps.checked_mul(batch).ok_or("too large")?;
		let flat = self.reshape_to(x, [rows, features])?;
		let mut all = self.product(&flat, &own.w)?;
		if let Some((wb, rb)) = &own.bias {
			let bias = if cell == Cell::Gru { wb.clone() } else { self.add(wb, rb)? };
			all = self.add(&all, &bias)?;
		}
		let mut outputs = vec![None; steps as usize];
		for k in 0..steps {
			let t = if reverse { steps - 1 - k } else { k };
			let x_t = self.part(&all, 0, t * batch, batch)?;
			let (new_h, new_c) = if cell == Cell::Gru {
				let new = self.gru_step(&own, &x_t, &h)?;
				(new.clone(), new)
			} else {
				let recurrent = self.product(&h, &own.r)?;
				let sums = self.add(&x_t, &recurrent)?;
				if cell == Cell::Lstm {
					self.lstm_step(&own, &sums, &c)?
				} else {
					let f = own.activations.first().ok_or("an activation is needed")?.clone();
					let new = self.activated(&sums, &f)?;
					(new.clone(), new)
				}
			};
			let output;
			if let Some(lengths) = &lengths {
				// Beyond its length a sequence stands still and gives 0.
				let now = self.integers(&[], &[i64::from(t)])?;
				let inside = self.call("Greater", &[lengths, &now], &[])?;
				let zero = self.number_like(&new_h, 0.0)?;
				output = self.select(&inside, &new_h, &zero)?;
				h = self.select(&inside, &new_h, &h)?;
				c = self.select(&inside, &new_c, &c)?;
			} else {
				output = new_h.clone();
				(h, c) = (new_h, new_c);
			}
			outputs[t as usize] = Some(output);
		}
		Ok((outputs.into_iter().flatten().collect(), h, c))
	}

	/// `Y`, `Y_h` and `Y_c`.
	pub(super) fn recurrent(&mut self, cell: Cell) -> Result<Outputs, Reason> {
		let (x, dtype) = self.widened(0)?;
		let attributes = self.attributes();
		let batch_first = attributes.flag("layout")?;
		let x = if batch_first { self.permuted(&x, &[1, 0, 2])? } else { x };
		let &[steps, batch, _] = self.dims(&x).as_slice() else {
			return Err("the input needs three dimensions".into());
		};
		check_unrolled(steps)?;
		let r = self.input(2)?;
		let hidden = *self.dims(&r).last().ok_or("the recurrent weights need three dimensions")?;
		let directions: &[bool] = match attributes.string("direction", "forward")?.as_str() {
			"forward" => &[false],
			"reverse" => &[true],
			"bidirectional" => &[false, true],
			other => return Err(format!("direction `{other}` is not known").into()),
		};
		let (mut sequences, mut last_h, mut last_c) = (Vec::new(), Vec::new(), Vec::new());
		for (d, reverse) in (0u32..).zip(directions) {
			let (outputs, h, c) = self.direction(cell, &x, d, *reverse, hidden)?;
			let mut steps_of = Vec::new();
			for y in outputs {
				steps_of.push(self.reshape_to(&y, [1, 1, batch, hidden])?);
			}
			if steps > 0 {
				sequences.push(self.joined(&steps_of, 0)?);
			}
			last_h.push(self.reshape_to(&h, [1, batch, hidden])?);
			last_c.push(self.reshape_to(&c, [1, batch, hidden])?);
		}
		let y = match steps {
			0 => self.filled(self.dtype(&x), &[0, directions.len() as u32, batch, hidden], 0.0)?,
			_ => self.joined(&sequences, 1)?,
		};
		let (h, c) = (self.joined(&last_h, 0)?, self.joined(&last_c, 0)?);
		let (y, h, c) = match batch_first {
			true => (self.permuted(&y, &[2, 0, 1, 3])?, self.permuted(&h, &[1, 0, 2])?, self.permuted(&c, &[1, 0, 2])?),
			false => (y, h, c),
		};
		let mut outputs = vec![Some(self.cast_to(&y, dtype)?), Some(self.cast_to(&h, dtype)?)];
		if cell == Cell::Lstm {
			outputs.push(Some(self.cast_to(&c, dtype)?));
		}
		Ok(outputs)
	}
}
