//! What a worker publishes, what may be demanded of it, and what it opens.

use super::{
	parts::{is_source, known, tile_bytes, tiles_of, value_of, Nodes, ValueProof},
	states_root, Fault,
};
use crate::{
	commit::{side_root_of, TILE_BYTES},
	merkle,
	model::MAX_NODE_BYTES,
	ops::{self, Site, State},
	trace::{self, Coordinate},
	Hash, ModelHeader, Side, TensorType,
};
use alloc::vec::Vec;
use codec::{Compact, CompactLen, Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// The first opening: the top of the trace, with its inputs and outputs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Publication {
	/// The model's header.
	pub header: ModelHeader,
	/// The top nodes of the trace. Up to 1,024 values: the value roots themselves.
	pub top: Vec<Hash>,
	/// Over 1,024 values, the value roots of the inputs, then of the outputs; else none.
	pub ends: Vec<Hash>,
	/// The siblings that `ends` need to reach their top nodes.
	pub path: Vec<Hash>,
}

impl Publication {
	/// The trace root, if the trace is of this model, begins with the job's inputs and ends in its outputs.
	pub fn check(&self, model: &Hash, input_root: &Hash, output_root: &Hash) -> Result<Hash, Fault> {
		known(&self.header, model)?;
		let values = u64::from(self.header.values);
		let (inputs, outputs) = (self.header.inputs.len(), self.header.outputs.len());
		if self.top.len() as u64 != trace::top_width(values) {
			return Err(Fault::Count);
		}
		let level = trace::top_level(values);
		// `check_header` saw that inputs and outputs are not more than the values.
		let first_output = values.saturating_sub(outputs as u64);
		let (first, last) = if level == 0 {
			if !self.ends.is_empty() || !self.path.is_empty() {
				return Err(Fault::Count);
			}
			let split = self.top.len().saturating_sub(outputs);
			(self.top.get(..inputs), self.top.get(split..))
		} else {
			if self.ends.len() != inputs.saturating_add(outputs) {
				return Err(Fault::Count);
			}
			let places = (0..inputs as u64).chain(first_output..values);
			let leaves: Vec<(u64, Hash)> = places.zip(self.ends.iter().map(trace::leaf)).collect();
			let above = merkle::climb(values, &leaves, &self.path, level).ok_or(Fault::TracePath)?;
			let top = |i: u64| usize::try_from(i).ok().and_then(|i| self.top.get(i));
			if above.iter().any(|(i, hash)| top(*i) != Some(hash)) {
				return Err(Fault::TracePath);
			}
			(self.ends.get(..inputs), self.ends.get(inputs..))
		};
		if side_root_of(Side::Input, first.unwrap_or_default()) != *input_root {
			return Err(Fault::InputRoot);
		}
		if side_root_of(Side::Output, last.unwrap_or_default()) != *output_root {
			return Err(Fault::OutputRoot);
		}
		Ok(trace::trace_root_of(values, &self.top_tree().root()))
	}

	/// The root over the outputs that it claims. Nothing is checked.
	pub fn output_root(&self) -> Hash {
		let outputs = self.header.outputs.len();
		let list = if self.ends.is_empty() { &self.top } else { &self.ends };
		side_root_of(Side::Output, list.get(list.len().saturating_sub(outputs)..).unwrap_or_default())
	}

	/// The tree over the top nodes.
	pub(crate) fn top_tree(&self) -> merkle::Tree {
		let row = match trace::top_level(self.header.values.into()) {
			0 => self.top.iter().map(trace::leaf).collect(),
			_ => self.top.clone(),
		};
		merkle::Tree::new(row)
	}
}

/// A node of the worker's trace that a challenger wants to see.
#[derive(
	Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Demand {
	/// A node of the model's graph. Who serves a model has it; one that cannot be shown is not valid.
	#[codec(index = 0)]
	Node {
		/// Its number.
		value: u32,
	},
	/// The value roots under a top node of the trace.
	#[codec(index = 1)]
	Values {
		/// The number of the top node.
		group: u32,
	},
	/// The top nodes over the tiles of a value.
	#[codec(index = 2)]
	Tiles {
		/// The value.
		at: Coordinate,
	},
	/// The tile hashes under one of these.
	#[codec(index = 3)]
	TileGroup {
		/// The value.
		at: Coordinate,
		/// The number of the top node.
		group: u32,
	},
	/// The bytes of a tile.
	#[codec(index = 4)]
	Tile {
		/// The value.
		at: Coordinate,
		/// The number of the tile.
		tile: u32,
	},
	/// The states after each step of an element that takes more than one.
	#[codec(index = 5)]
	States {
		/// The value.
		at: Coordinate,
		/// The element.
		element: u64,
	},
}

/// What shows that a demand can be met.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Evidence {
	/// The model's header.
	pub header: ModelHeader,
	/// The node of the value, for demands that name one; for states with its operands, else alone.
	pub nodes: Option<Nodes>,
}

/// What the chain needs to know of a demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct DemandInfo {
	/// The number of bytes of the encoded [`Answer`]; for a node of the graph, the most there can be.
	pub answer_bytes: u32,
}

/// Encoded length of a list.
fn list(items: u64, each: usize) -> usize {
	let items = usize::try_from(items).unwrap_or(usize::MAX);
	let prefix = Compact::<u64>::compact_len(&(items as u64));
	items.saturating_mul(each).saturating_add(prefix)
}

/// Encoded length of the path from these leaves to a level.
fn path(leaves: u64, at: &[u64], level: u32) -> usize {
	list(merkle::siblings(leaves, at, level).len() as u64, 32)
}

impl Demand {
	/// The value whose type decides whether the demand can be met.
	fn at(&self) -> Option<Coordinate> {
		match self {
			Demand::Node { .. } | Demand::Values { .. } => None,
			Demand::Tiles { at }
			| Demand::TileGroup { at, .. }
			| Demand::Tile { at, .. }
			| Demand::States { at, .. } => Some(*at),
		}
	}

	/// Whether the answer is the worker's word, and not bound by the trace root: it needs the worker's signature.
	pub fn needs_signature(&self) -> bool {
		matches!(self, Demand::States { .. })
	}

	/// Refuses a demand that no worker could meet.
	pub fn check(&self, model: &Hash, evidence: &Evidence) -> Result<DemandInfo, Fault> {
		let header = &evidence.header;
		known(header, model)?;
		let values = u64::from(header.values);
		let root = u32::MAX;
		let at = self.at().map(|at| value_of(at, header)).transpose()?;
		let opening = match (*self, at, &evidence.nodes) {
			(Demand::Node { value }, _, None) => {
				if value >= header.values {
					return Err(Fault::Value);
				}
				// One byte for the operands, of which there are none.
				MAX_NODE_BYTES.saturating_add(1).saturating_add(path(values, &[value.into()], root))
			}
			(Demand::Values { group }, _, None) => {
				let (_, len) = trace::group(values, group).ok_or(Fault::Group)?;
				let above = trace::top_width(values);
				list(len, 32).saturating_add(path(above, &[group.into()], root))
			}
			(Demand::States { element, .. }, Some(at), Some(nodes)) => {
				let steps = steps_of(nodes, header, at, element)?;
				nodes.encoded_size().saturating_add(list(steps, 16))
			}
			(_, Some(at), Some(nodes)) => {
				let node = nodes.open_alone(header, at)?;
				if is_source(node) {
					return Err(Fault::Source);
				}
				let tiles = tiles_of(&node.ty)?;
				let there = path(values, &[at.into()], root);
				let value = node.encoded_size().saturating_add(32).saturating_add(there.saturating_mul(2));
				let rest = match *self {
					Demand::TileGroup { group, .. } => {
						let (_, len) = trace::group(tiles, group).ok_or(Fault::Group)?;
						list(len, 32).saturating_add(path(trace::top_width(tiles), &[group.into()], root))
					}
					Demand::Tile { tile, .. } => {
						let bytes = tile_bytes(&node.ty, tile.into())?;
						list(bytes as u64, 1).saturating_add(path(tiles, &[tile.into()], root))
					}
					_ => list(trace::top_width(tiles), 32),
				};
				value.saturating_add(rest)
			}
			_ => return Err(Fault::Evidence),
		};
		// One byte for the kind of opening.
		let bytes = header.encoded_size().saturating_add(1).saturating_add(opening);
		Ok(DemandInfo { answer_bytes: u32::try_from(bytes).unwrap_or(u32::MAX) })
	}
}

/// The number of steps of an element that has states to open.
fn steps_of(nodes: &Nodes, header: &ModelHeader, at: u32, element: u64) -> Result<u64, Fault> {
	let opened = nodes.open_computed(header, at)?;
	let types = opened.types();
	if element >= opened.node.ty.elements().unwrap_or(0) {
		return Err(Fault::Element);
	}
	match ops::steps(&opened.node.op, &Site { ins: &types, out: &opened.node.ty }) {
		0 | 1 => Err(Fault::NoStates),
		steps => Ok(steps),
	}
}

/// An opening with the header that it is opened under.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct Answer {
	/// The model's header.
	pub header: ModelHeader,
	/// The opening.
	pub opening: Opening,
}

impl Answer {
	/// Whether this is the answer to a demand on this trace of this model.
	pub fn check(&self, model: &Hash, trace_root: &Hash, demand: &Demand) -> Result<(), Fault> {
		known(&self.header, model)?;
		self.opening.check(&self.header, trace_root, demand)
	}
}

/// What a worker opens, one kind for each kind of [`Demand`].
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Opening {
	/// A node of the graph, alone.
	#[codec(index = 0)]
	Node(Nodes),
	/// Value roots.
	#[codec(index = 1)]
	Values {
		/// The value roots of the group.
		roots: Vec<Hash>,
		/// The siblings of the group's top node.
		path: Vec<Hash>,
	},
	/// The top of a value's tiles.
	#[codec(index = 2)]
	Tiles {
		/// The value.
		value: ValueProof,
		/// The top nodes over its tiles. Up to 1,024 tiles: the tile hashes.
		top: Vec<Hash>,
	},
	/// Tile hashes.
	#[codec(index = 3)]
	TileGroup {
		/// The value.
		value: ValueProof,
		/// The tile hashes of the group.
		hashes: Vec<Hash>,
		/// The siblings of the group's top node.
		path: Vec<Hash>,
	},
	/// A tile.
	#[codec(index = 4)]
	Tile {
		/// The value.
		value: ValueProof,
		/// The tile's bytes.
		bytes: Vec<u8>,
		/// The tile's siblings.
		path: Vec<Hash>,
	},
	/// Partial states. Nothing binds them but the worker's signature.
	#[codec(index = 5)]
	States {
		/// The node of the value, with its operands.
		nodes: Nodes,
		/// The state after each step.
		states: Vec<State>,
	},
}

impl Opening {
	/// Whether this opens what was demanded of this trace. The header must be the model's.
	pub fn check(&self, header: &ModelHeader, trace_root: &Hash, demand: &Demand) -> Result<(), Fault> {
		let at = demand.at().map(|at| value_of(at, header)).transpose()?;
		let values = u64::from(header.values);
		// A value that is computed, of a valid type; how many tiles it has.
		let open = |value: &ValueProof| -> Result<u64, Fault> {
			let ty: &TensorType = value.check(header, trace_root, at.ok_or(Fault::Answer)?)?;
			if is_source(&value.node) {
				return Err(Fault::Source);
			}
			tiles_of(ty)
		};
		match (self, *demand) {
			(Opening::Node(nodes), Demand::Node { value }) => {
				let node = nodes.open_alone(header, value)?;
				(node.encoded_size() <= MAX_NODE_BYTES).then_some(()).ok_or(Fault::TooLong)
			}
			(Opening::Values { roots, path }, Demand::Values { group }) => {
				let leaves: Vec<Hash> = roots.iter().map(trace::leaf).collect();
				let tree = group_root(values, group, &leaves, path)?.ok_or(Fault::TracePath)?;
				(trace::trace_root_of(values, &tree) == *trace_root).then_some(()).ok_or(Fault::TracePath)
			}
			(Opening::Tiles { value, top }, Demand::Tiles { .. }) => {
				if top.len() as u64 != trace::top_width(open(value)?) {
					return Err(Fault::Count);
				}
				(merkle::root(top) == value.tiles_root).then_some(()).ok_or(Fault::TilePath)
			}
			(Opening::TileGroup { value, hashes, path }, Demand::TileGroup { group, .. }) => {
				let tree = group_root(open(value)?, group, hashes, path)?;
				(tree == Some(value.tiles_root)).then_some(()).ok_or(Fault::TilePath)
			}
			(Opening::Tile { value, bytes, path }, Demand::Tile { tile, .. }) => {
				let tiles = open(value)?;
				if bytes.len() != tile_bytes(&value.node.ty, tile.into())? || bytes.len() > TILE_BYTES {
					return Err(Fault::Tile);
				}
				let tree = merkle::root_over(tiles, &[(tile.into(), merkle::leaf(bytes))], path);
				(tree == Some(value.tiles_root)).then_some(()).ok_or(Fault::TilePath)
			}
			(Opening::States { nodes, states }, Demand::States { element, .. }) => {
				let steps = steps_of(nodes, header, at.ok_or(Fault::Answer)?, element)?;
				(states.len() as u64 == steps).then_some(()).ok_or(Fault::Count)
			}
			_ => Err(Fault::Answer),
		}
	}

	/// The root of the opened states; none for other openings.
	pub fn states_root(&self, demand: &Demand) -> Option<Hash> {
		match (self, *demand) {
			(Opening::States { states, .. }, Demand::States { at, element }) => Some(states_root(at, element, states)),
			_ => None,
		}
	}
}

/// The root of a tree of which a group is opened; `Ok(None)` when the path does not fit.
fn group_root(leaves: u64, group: u32, hashes: &[Hash], path: &[Hash]) -> Result<Option<Hash>, Fault> {
	let (_, len) = trace::group(leaves, group).ok_or(Fault::Group)?;
	if hashes.len() as u64 != len {
		return Err(Fault::Count);
	}
	// The nodes of a level are the leaves of a tree with the same root.
	Ok(merkle::root_over(trace::top_width(leaves), &[(group.into(), merkle::root(hashes))], path))
}
