//! Demands, grounds and verdicts in words.

use super::{Grounds, Verdict, VerdictKind};
use crate::types::text;
use assay_semantics::judge::Demand;
use codec::DecodeAll;
use serde_json::{json, Value as Json};

/// What an encoded demand asks for.
pub fn demand(encoded: &[u8]) -> String {
	match Demand::decode_all(&mut &*encoded) {
		Ok(Demand::Node { value }) => format!("operator {value} of the model"),
		Ok(Demand::Values { group }) => format!("the roots of the values under top node {group}"),
		Ok(Demand::Tiles { at }) => format!("the tiles of value {}", at.value),
		Ok(Demand::TileGroup { at, group }) => format!("the tiles of value {} under top node {group}", at.value),
		Ok(Demand::Tile { at, tile }) => format!("the bytes of tile {tile} of value {}", at.value),
		Ok(Demand::States { at, element }) => format!("the partial states of element {element} of value {}", at.value),
		Err(_) => format!("something unknown (0x{})", hex::encode(encoded)),
	}
}

/// Little-endian bits as a number, and as a float where they may be one.
pub fn bits(bytes: &[u8]) -> String {
	let digits: Vec<u8> = bytes.iter().rev().copied().collect();
	let number = format!("0x{}", hex::encode(digits));
	match <[u8; 4]>::try_from(bytes) {
		Ok(word) => format!("{number} (as a float {:?})", f32::from_le_bytes(word)),
		Err(_) => number,
	}
}

/// What a proof showed.
pub fn verdict(verdict: &Verdict) -> String {
	let operator = text(&verdict.operator);
	match (verdict.kind, verdict.element) {
		(VerdictKind::InvalidModel, _) => format!("operator {} ({operator}) of the model is not valid", verdict.value),
		(VerdictKind::Wrong, Some(element)) => format!(
			"element {element} of value {} ({operator}) is wrong: it is {}, the worker claimed {}",
			verdict.value,
			bits(&verdict.expected),
			bits(&verdict.claimed)
		),
		(VerdictKind::Wrong, None) => format!("value {} ({operator}) is not the model's", verdict.value),
	}
}

/// Why a worker was convicted. `asked` is the demand that was not answered, if it is known.
pub fn grounds(grounds: &Grounds, asked: Option<&[u8]>) -> String {
	match grounds {
		Grounds::Proof(proof) => format!("proven wrong: {}", verdict(proof)),
		Grounds::NoPublication => "it did not publish its trace in time".into(),
		Grounds::NoAnswer(node) => match asked {
			Some(asked) => format!("it did not open {} in time", demand(asked)),
			None => format!("it did not open a node of its trace in time (0x{})", hex::encode(node)),
		},
	}
}

/// The same for scripts.
pub fn grounds_json(grounds: &Grounds) -> Json {
	match grounds {
		Grounds::Proof(verdict) => json!({
			"kind": match verdict.kind { VerdictKind::Wrong => "wrong", VerdictKind::InvalidModel => "invalid_model" },
			"value": verdict.value,
			"element": verdict.element,
			"operator": text(&verdict.operator),
			"expected": format!("0x{}", hex::encode(&verdict.expected)),
			"claimed": format!("0x{}", hex::encode(&verdict.claimed)),
		}),
		Grounds::NoPublication => json!({ "kind": "no_publication" }),
		Grounds::NoAnswer(node) => json!({ "kind": "no_answer", "node": format!("0x{}", hex::encode(node)) }),
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use assay_semantics::trace::Coordinate;
	use codec::Encode;

	#[test]
	fn demand_should_say_what_is_asked_for() {
		let at = Coordinate::of(7);
		assert_eq!(demand(&Demand::Tile { at, tile: 3 }.encode()), "the bytes of tile 3 of value 7");
		assert_eq!(demand(&Demand::Values { group: 2 }.encode()), "the roots of the values under top node 2");
		assert_eq!(demand(&[99]), "something unknown (0x63)");
	}

	#[test]
	fn verdict_should_show_both_bits() {
		let proof = Verdict {
			kind: VerdictKind::Wrong,
			value: 5,
			element: Some(12),
			expected: 1.5f32.to_le_bytes().to_vec(),
			claimed: 1.25f32.to_le_bytes().to_vec(),
			operator: b"Gemm".to_vec(),
		};
		let words = grounds(&Grounds::Proof(proof), None);
		assert_eq!(
			words,
			"proven wrong: element 12 of value 5 (Gemm) is wrong: it is 0x3fc00000 (as a float 1.5), \
			 the worker claimed 0x3fa00000 (as a float 1.25)"
		);
		assert_eq!(bits(&[1]), "0x01");
	}
}
