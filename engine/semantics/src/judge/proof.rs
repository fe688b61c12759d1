//! Proofs, and what the judge says of them.

use super::{
	opening::Demand,
	parts::{in_trace, known, tile_bytes, tiles_of, value_of, Nodes, Opened},
	reader::{Tile, Tiles},
	state_leaf, states_root_of, Fault, MAX_DIRECT_STEPS,
};
use crate::{
	commit::{value_root, weight_root_of, TILE_BYTES},
	merkle,
	model::{check_node, check_place},
	ops::{self, Bits, Site, State, BLOCK},
	trace::{self, Coordinate},
	Hash, ModelHeader, Op, TensorType, ValueId, MAX_RANK,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::cell::Cell;
use scale_info::TypeInfo;

/// A node of the model and the tiles of its operands that a computation reads, opened against the worker's trace.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Scene {
	/// The model's header.
	pub header: ModelHeader,
	/// The value.
	pub at: Coordinate,
	/// Its node, with its operands.
	pub nodes: Nodes,
	/// The operands that are read, in ascending order of value number; others are not opened.
	pub reads: Vec<OperandTiles>,
	/// The siblings that `reads`, and the value itself where the proof has a [`Claim`], need in the trace.
	pub trace_path: Vec<Hash>,
}

/// Tiles of one operand.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct OperandTiles {
	/// The operand's value number.
	pub value: ValueId,
	/// The root over its tiles.
	pub tiles_root: Hash,
	/// The tiles that are read, in ascending order; at least one.
	pub tiles: Vec<Tile>,
	/// Their siblings.
	pub path: Vec<Hash>,
}

/// What the worker says the element is: the tile of its value that holds it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Claim {
	/// The root over the value's tiles.
	pub tiles_root: Hash,
	/// The tile's bytes.
	pub tile: Vec<u8>,
	/// The tile's siblings.
	pub path: Vec<Hash>,
}

/// A weight of the trace is not the model's.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WrongWeight {
	/// The model's header.
	pub header: ModelHeader,
	/// The value.
	pub at: Coordinate,
	/// Its node, alone.
	pub nodes: Nodes,
	/// The value root in the trace.
	pub claimed: Hash,
	/// Its siblings in the trace.
	pub trace_path: Vec<Hash>,
	/// The number of weights of the model.
	pub weights: u32,
	/// The value root of the model's weight.
	pub weight: Hash,
	/// Its siblings among the weights.
	pub weight_path: Vec<Hash>,
}

/// A node of the model is not valid, whatever the trace.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct InvalidNode {
	/// The model's header.
	pub header: ModelHeader,
	/// The node's number.
	pub value: ValueId,
	/// The node with its operands; alone when it has too many, or one that does not come before it.
	pub nodes: Nodes,
	/// For a weight that does not exist or has another type.
	pub weights: Option<WeightList>,
}

/// The list of a model's weights.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WeightList {
	/// The number of weights.
	pub count: u32,
	/// The Merkle root over them.
	pub tree: Hash,
	/// The type of the weight that the node names, if there is such a weight.
	pub weight: Option<WeightType>,
}

/// The type of one weight.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct WeightType {
	/// The type.
	pub ty: TensorType,
	/// The root over the weight's tiles.
	pub tiles_root: Hash,
	/// The weight's siblings.
	pub path: Vec<Hash>,
}

/// Something that convicts. Self-contained but for the roots that the chain keeps.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Proof {
	/// An element of at most [`MAX_DIRECT_STEPS`] steps is wrong.
	#[codec(index = 0)]
	Element {
		/// What it is computed from.
		scene: Scene,
		/// The element.
		element: u64,
		/// What the worker says.
		claimed: Claim,
	},
	/// A step does not lead from the state before it to the state after it, as the worker opened them.
	#[codec(index = 1)]
	Step {
		/// What the step reads.
		scene: Scene,
		/// The element.
		element: u64,
		/// The step.
		step: u64,
		/// The state before; none for the first step, where it is computed.
		before: Option<State>,
		/// The state after.
		after: State,
		/// The siblings of both among the states.
		path: Vec<Hash>,
	},
	/// The element is not what its last state gives.
	#[codec(index = 2)]
	Finish {
		/// What the end of the computation reads.
		scene: Scene,
		/// The element.
		element: u64,
		/// The state after the last step, as the worker opened it.
		last: State,
		/// Its siblings among the states.
		path: Vec<Hash>,
		/// What the worker says the element is.
		claimed: Claim,
	},
	/// A weight is not the model's.
	#[codec(index = 3)]
	Weight(WrongWeight),
	/// The model is not valid.
	#[codec(index = 4)]
	InvalidNode(InvalidNode),
}

/// The kind of a proof: with its length, what judging it costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum ProofKind {
	/// [`Proof::Element`]
	#[codec(index = 0)]
	Element,
	/// [`Proof::Step`]
	#[codec(index = 1)]
	Step,
	/// [`Proof::Finish`]
	#[codec(index = 2)]
	Finish,
	/// [`Proof::Weight`]
	#[codec(index = 3)]
	Weight,
	/// [`Proof::InvalidNode`]
	#[codec(index = 4)]
	InvalidNode,
}

impl ProofKind {
	/// The most elements that the judge reads for a proof of this kind.
	pub const fn most_reads(self) -> u64 {
		match self {
			ProofKind::Element => MAX_DIRECT_STEPS * BLOCK * 2,
			ProofKind::Step => BLOCK * 2,
			// An element at a tuple of places, one for each dimension.
			ProofKind::Finish => MAX_RANK as u64 + 1,
			ProofKind::Weight | ProofKind::InvalidNode => 0,
		}
	}
}

impl Proof {
	/// The kind of the proof.
	pub const fn kind(&self) -> ProofKind {
		match self {
			Proof::Element { .. } => ProofKind::Element,
			Proof::Step { .. } => ProofKind::Step,
			Proof::Finish { .. } => ProofKind::Finish,
			Proof::Weight(_) => ProofKind::Weight,
			Proof::InvalidNode(_) => ProofKind::InvalidNode,
		}
	}

	/// The demand whose answer the proof is about; none when it is not about partial states.
	pub fn states(&self) -> Option<Demand> {
		match self {
			Proof::Step { scene, element, .. } | Proof::Finish { scene, element, .. } => {
				Some(Demand::States { at: scene.at, element: *element })
			}
			_ => None,
		}
	}
}

/// What a proof shows.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Verdict {
	/// The worker's trace is wrong.
	#[codec(index = 0)]
	Wrong {
		/// The value.
		at: Coordinate,
		/// The element; none for a weight.
		element: Option<u64>,
		/// The bytes that are right: of the element, or of the state after a step (16). Empty for a weight.
		expected: Vec<u8>,
		/// The worker's bytes.
		claimed: Vec<u8>,
		/// The operator's name.
		operator: Vec<u8>,
	},
	/// The model is not valid.
	#[codec(index = 1)]
	InvalidModel {
		/// The node.
		value: ValueId,
	},
}

/// Judges a proof against a model's id, a worker's trace root and, for steps, the root of the states that it opened for the
/// element. An error convicts nobody.
pub fn judge(model: &Hash, trace_root: &Hash, states_root: Option<&Hash>, proof: &Proof) -> Result<Verdict, Fault> {
	match proof {
		Proof::Element { scene, element, claimed } => {
			let stage = Stage::open(scene, model, trace_root, *element, Some(claimed))?;
			if stage.steps() > MAX_DIRECT_STEPS {
				return Err(Fault::TooManySteps);
			}
			let expected = ops::element(&stage.opened.node.op, &stage.site(), *element, &stage.read);
			stage.compare_element(expected, claimed)
		}
		Proof::Step { scene, element, step, before, after, path } => {
			let stage = Stage::open(scene, model, trace_root, *element, None)?;
			let (op, site) = (&stage.opened.node.op, stage.site());
			if *step >= stage.steps() {
				return Err(Fault::Step);
			}
			let earlier = match (before, step.checked_sub(1)) {
				(Some(state), Some(earlier)) => Some((earlier, state_leaf(state))),
				(None, None) => None,
				_ => return Err(Fault::Step),
			};
			let leaves: Vec<(u64, Hash)> = earlier.into_iter().chain([(*step, state_leaf(after))]).collect();
			stage.check_states(states_root, &leaves, path)?;
			let state = before.unwrap_or_else(|| ops::init(op, &site));
			let expected = ops::step(op, &site, *element, *step, state, &stage.read);
			stage.compare(expected.encode(), after.encode())
		}
		Proof::Finish { scene, element, last, path, claimed } => {
			let stage = Stage::open(scene, model, trace_root, *element, Some(claimed))?;
			let step = stage.steps().checked_sub(1).ok_or(Fault::Step)?;
			stage.check_states(states_root, &[(step, state_leaf(last))], path)?;
			let expected = ops::finish(&stage.opened.node.op, &stage.site(), *element, *last, &stage.read);
			stage.compare_element(expected, claimed)
		}
		Proof::Weight(proof) => judge_weight(model, trace_root, proof),
		Proof::InvalidNode(proof) => judge_node(model, proof),
	}
}

/// A scene whose paths have been checked.
struct Stage<'a> {
	at: Coordinate,
	element: u64,
	opened: Opened<'a>,
	types: Vec<&'a TensorType>,
	read: Tiles<'a>,
}

impl<'a> Stage<'a> {
	fn open(
		scene: &'a Scene,
		model: &Hash,
		trace_root: &Hash,
		element: u64,
		claimed: Option<&Claim>,
	) -> Result<Self, Fault> {
		let header = &scene.header;
		known(header, model)?;
		let at = value_of(scene.at, header)?;
		let opened = scene.nodes.open_computed(header, at)?;
		let ty = &opened.node.ty;
		if element >= ty.elements().unwrap_or(0) {
			return Err(Fault::Element);
		}
		let mut roots = Vec::with_capacity(scene.reads.len().saturating_add(1));
		for read in &scene.reads {
			let ty = opened.ty(read.value).ok_or(Fault::Evidence)?;
			read.check(ty)?;
			roots.push((u64::from(read.value), value_root(ty, &read.tiles_root)));
		}
		if let Some(claimed) = claimed {
			let (tile, _) = place(ty, element);
			check_tiles(ty, &claimed.tiles_root, &[(tile, &claimed.tile)], &claimed.path)?;
			roots.push((u64::from(at), value_root(ty, &claimed.tiles_root)));
		}
		match roots.as_slice() {
			[] if scene.trace_path.is_empty() => {}
			roots => in_trace(header, trace_root, roots, &scene.trace_path)?,
		}
		// In ascending order, as the trace's path has just shown.
		let tiles = |id: &ValueId| {
			let read = scene.reads.binary_search_by_key(id, |r| r.value).ok().and_then(|i| scene.reads.get(i));
			read.map(|r| r.tiles.as_slice()).unwrap_or_default()
		};
		let types = opened.types();
		let operands = types.iter().zip(&opened.node.inputs).map(|(ty, id)| (*ty, tiles(id))).collect();
		let read = Tiles { operands, missing: Cell::new(false) };
		Ok(Self { at: scene.at, element, opened, types, read })
	}

	fn site(&self) -> Site<'_> {
		Site { ins: &self.types, out: &self.opened.node.ty }
	}

	fn steps(&self) -> u64 {
		ops::steps(&self.opened.node.op, &self.site())
	}

	fn check_states(&self, root: Option<&Hash>, leaves: &[(u64, Hash)], path: &[Hash]) -> Result<(), Fault> {
		let (root, steps) = (root.ok_or(Fault::NotOpened)?, self.steps());
		let tree = merkle::root_over(steps, leaves, path).ok_or(Fault::StatePath)?;
		(states_root_of(self.at, self.element, steps, &tree) == *root).then_some(()).ok_or(Fault::StatePath)
	}

	fn compare_element(&self, expected: Bits, claimed: &Claim) -> Result<Verdict, Fault> {
		let ty = &self.opened.node.ty;
		let (_, start) = place(ty, self.element);
		let size = ty.dtype.size();
		let claimed = claimed.tile.get(start..start.saturating_add(size)).ok_or(Fault::Tile)?;
		let expected = expected.to_le_bytes();
		self.compare(expected.get(..size).unwrap_or_default().to_vec(), claimed.to_vec())
	}

	fn compare(&self, expected: Vec<u8>, claimed: Vec<u8>) -> Result<Verdict, Fault> {
		if self.read.missing.get() {
			return Err(Fault::MissingTile);
		}
		if expected == claimed {
			return Err(Fault::NotWrong);
		}
		let operator = ops::name(&self.opened.node.op).into();
		Ok(Verdict::Wrong { at: self.at, element: Some(self.element), expected, claimed, operator })
	}
}

/// The tile of an element, and where in the tile it starts.
pub(crate) fn place(ty: &TensorType, element: u64) -> (u64, usize) {
	let at = element.saturating_mul(ty.dtype.size() as u64);
	(at / TILE_BYTES as u64, (at % TILE_BYTES as u64) as usize)
}

impl OperandTiles {
	fn check(&self, ty: &TensorType) -> Result<(), Fault> {
		let tiles: Vec<(u64, &[u8])> = self.tiles.iter().map(|t| (u64::from(t.index), t.bytes.as_slice())).collect();
		check_tiles(ty, &self.tiles_root, &tiles, &self.path)
	}
}

/// Checks tiles of a value of this type, given in ascending order.
fn check_tiles<T: AsRef<[u8]>>(ty: &TensorType, root: &Hash, tiles: &[(u64, T)], path: &[Hash]) -> Result<(), Fault> {
	let mut leaves = Vec::with_capacity(tiles.len());
	for (index, bytes) in tiles {
		if bytes.as_ref().len() != tile_bytes(ty, *index)? {
			return Err(Fault::Tile);
		}
		leaves.push((*index, merkle::leaf(bytes.as_ref())));
	}
	let tree = merkle::root_over(tiles_of(ty)?, &leaves, path);
	(tree == Some(*root)).then_some(()).ok_or(Fault::TilePath)
}

fn judge_weight(model: &Hash, trace_root: &Hash, proof: &WrongWeight) -> Result<Verdict, Fault> {
	let header = &proof.header;
	known(header, model)?;
	let at = value_of(proof.at, header)?;
	let Op::Weight(number) = proof.nodes.open_alone(header, at)?.op else { return Err(Fault::NotWeight) };
	in_trace(header, trace_root, &[(at.into(), proof.claimed)], &proof.trace_path)?;
	let leaf = trace::leaf(&proof.weight);
	let tree = merkle::root_over(proof.weights.into(), &[(number.into(), leaf)], &proof.weight_path);
	let root = tree.map(|tree| weight_root_of(proof.weights, &tree));
	if root != Some(header.weight_root) {
		return Err(Fault::WeightPath);
	}
	if proof.weight == proof.claimed {
		return Err(Fault::NotWrong);
	}
	let operator = b"Weight".to_vec();
	Ok(Verdict::Wrong { at: proof.at, element: None, expected: Vec::new(), claimed: Vec::new(), operator })
}

fn judge_node(model: &Hash, proof: &InvalidNode) -> Result<Verdict, Fault> {
	let header = &proof.header;
	known(header, model)?;
	if proof.value >= header.values {
		return Err(Fault::Value);
	}
	let verdict = Ok(Verdict::InvalidModel { value: proof.value });
	if Nodes::distinct(&proof.nodes.node, proof.value).is_none() {
		proof.nodes.open_alone(header, proof.value)?;
		return verdict;
	}
	let opened = proof.nodes.open(header, proof.value)?;
	let local = check_node(proof.value, opened.node, &opened.types());
	if local.and_then(|()| check_place(proof.value, opened.node, header)).is_err() {
		return verdict;
	}
	let (Op::Weight(number), Some(list)) = (&opened.node.op, &proof.weights) else { return Err(Fault::NotWrong) };
	if weight_root_of(list.count, &list.tree) != header.weight_root {
		return Err(Fault::WeightPath);
	}
	let Some(weight) = &list.weight else {
		return if *number >= list.count { verdict } else { Err(Fault::NotWrong) };
	};
	let leaf = trace::leaf(&value_root(&weight.ty, &weight.tiles_root));
	let tree = merkle::root_over(list.count.into(), &[((*number).into(), leaf)], &weight.path);
	if tree != Some(list.tree) {
		return Err(Fault::WeightPath);
	}
	if weight.ty == opened.node.ty {
		return Err(Fault::NotWrong);
	}
	verdict
}
