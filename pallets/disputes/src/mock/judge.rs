//! The judge of a small game: a trace is sixteen bytes in four groups, each byte three times the one before plus one. Bytes 5, 10
//! and 15 are long: they have a partial state.

use super::*;
use crate::traits::{Fault, Judge, Verdict, VerdictKind};
use codec::{Decode, DecodeAll};

pub(crate) type Trace = [u8; 16];
pub(crate) type Group = [u8; 4];

pub(crate) fn model() -> ModelId {
	H256::repeat_byte(7)
}

/// A model with an invalid node.
pub(crate) fn bad_model() -> ModelId {
	H256::repeat_byte(9)
}

fn third(value: u8) -> u8 {
	value.wrapping_mul(3)
}

pub(crate) fn next(value: u8) -> u8 {
	third(value).wrapping_add(1)
}

/// Whether a byte has a partial state.
pub(crate) fn is_long(index: u8) -> bool {
	index > 0 && index.is_multiple_of(5) && index < 16
}

pub(crate) fn right_trace(input: u8) -> Trace {
	let mut value = input;
	core::array::from_fn(|index| {
		if index > 0 {
			value = next(value);
		}
		value
	})
}

pub(crate) fn group(trace: &Trace, group: u8) -> Group {
	core::array::from_fn(|i| trace[usize::from(group) * 4 + i])
}

pub(crate) fn groups(trace: &Trace) -> [H256; 4] {
	core::array::from_fn(|g| H256(blake2_256(&group(trace, g as u8))))
}

pub(crate) fn root(trace: &Trace) -> H256 {
	H256(blake2_256(&groups(trace).encode()))
}

pub(crate) fn end_root(value: u8) -> H256 {
	H256::repeat_byte(value)
}

#[derive(Encode, Decode, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
	Group(u8),
	States(u8),
}

#[derive(Encode, Decode, Clone, Debug)]
pub(crate) enum Evil {
	Element { index: u8, groups: [H256; 4], here: Group, before: Group, mid: Option<u8> },
	Model,
}

pub struct TestJudge;
impl Judge for TestJudge {
	fn publish(_: &ModelId, input_root: &H256, output_root: &H256, publication: &[u8]) -> Result<H256, Fault> {
		let (groups, first, last) =
			<([H256; 4], Group, Group)>::decode_all(&mut &publication[..]).map_err(|_| "malformed")?;
		if H256(blake2_256(&first)) != groups[0] || H256(blake2_256(&last)) != groups[3] {
			return Err("the ends are not the trace's");
		}
		if end_root(first[0]) != *input_root || end_root(last[3]) != *output_root {
			return Err("the trace has other ends than the claim");
		}
		Ok(H256(blake2_256(&groups.encode())))
	}
	fn demand(_: &ModelId, demand: &[u8], evidence: &[u8]) -> Result<u32, Fault> {
		if evidence != b"node" {
			return Err("no evidence");
		}
		match Ask::decode_all(&mut &demand[..]).map_err(|_| "malformed")? {
			Ask::Group(group) if group < 4 => Ok(132),
			Ask::States(index) if is_long(index) => Ok(1),
			_ => Err("there is no such node"),
		}
	}
	fn open(_: &ModelId, trace_root: &H256, demand: &[u8], opening: &[u8]) -> Result<Option<H256>, Fault> {
		match Ask::decode_all(&mut &demand[..]).map_err(|_| "malformed")? {
			Ask::Group(group) => {
				let (bytes, groups) = <(Group, [H256; 4])>::decode_all(&mut &opening[..]).map_err(|_| "malformed")?;
				if H256(blake2_256(&groups.encode())) != *trace_root
					|| groups.get(usize::from(group)) != Some(&H256(blake2_256(&bytes)))
				{
					return Err("not of the trace");
				}
				Ok(None)
			}
			Ask::States(_) => {
				let mid = u8::decode_all(&mut &opening[..]).map_err(|_| "malformed")?;
				Ok(Some(H256(blake2_256(&[mid]))))
			}
		}
	}
	fn needs_signature(demand: &[u8]) -> bool {
		matches!(Ask::decode_all(&mut &demand[..]), Ok(Ask::States(_)))
	}
	fn judge(
		model: &ModelId,
		trace_root: &H256,
		states: Option<(&[u8], H256)>,
		proof: &[u8],
	) -> Result<Verdict, Fault> {
		let verdict = |kind, index: u8, expected: u8, claimed: u8| Verdict {
			kind,
			value: index.into(),
			element: Some(0),
			expected: BoundedVec::truncate_from(vec![expected]),
			claimed: BoundedVec::truncate_from(vec![claimed]),
			operator: BoundedVec::truncate_from(b"Next".to_vec()),
		};
		match Evil::decode_all(&mut &proof[..]).map_err(|_| "malformed")? {
			Evil::Model if *model == bad_model() => Ok(verdict(VerdictKind::InvalidModel, 0, 0, 0)),
			Evil::Model => Err("the model is valid"),
			Evil::Element { index, groups, here, before, mid } => {
				if index == 0 || index > 15 {
					return Err("there is no such element");
				}
				let at = |index: u8| (usize::from(index / 4), usize::from(index % 4));
				let ((g, i), (h, j)) = (at(index), at(index - 1));
				if H256(blake2_256(&groups.encode())) != *trace_root
					|| groups[g] != H256(blake2_256(&here))
					|| groups[h] != H256(blake2_256(&before))
				{
					return Err("not of the trace");
				}
				let (value, previous) = (here[i], before[j]);
				match (is_long(index), mid) {
					(false, None) if value != next(previous) => {
						Ok(verdict(VerdictKind::Wrong, index, next(previous), value))
					}
					(true, Some(mid)) => {
						let (demand, root) = states.ok_or("no states")?;
						if demand != Ask::States(index).encode() || root != H256(blake2_256(&[mid])) {
							return Err("not the worker's states");
						}
						if mid != third(previous) {
							return Ok(verdict(VerdictKind::Wrong, index, third(previous), mid));
						}
						if value != mid.wrapping_add(1) {
							return Ok(verdict(VerdictKind::Wrong, index, mid.wrapping_add(1), value));
						}
						Err("the element is right")
					}
					(false, None) => Err("the element is right"),
					_ => Err("the element has partial states, or has none"),
				}
			}
		}
	}
	fn step_weight(proof: &[u8]) -> Weight {
		Weight::from_parts(proof.len() as u64, 0)
	}
	fn most_step_weight() -> Weight {
		Weight::from_parts(512, 0)
	}
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_case(_: u32) -> traits::BenchmarkCase {
		let trace = wrong_trace(5, 10);
		let states = Ask::States(10);
		traits::BenchmarkCase {
			model: model(),
			input_root: end_root(5),
			output_root: end_root(trace[15]),
			publication: publication(&trace).into_inner(),
			demand: states.encode(),
			evidence: b"node".to_vec(),
			opening: opening(&trace, states).into_inner(),
			proof: proof(&trace, 10).encode(),
		}
	}
}
