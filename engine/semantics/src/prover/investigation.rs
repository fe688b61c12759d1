//! The challenger's way to the first wrong element.

use super::{slice, tile_of, Trace, Values};
use crate::{
	commit::{self, TILE_BYTES},
	eval::Tensors,
	judge::{
		self, Claim, Demand, Evidence, Fault, Opening, OperandTiles, Proof, Publication, Scene, Tile, WrongWeight,
		MAX_DIRECT_STEPS, MAX_PROOF_BYTES,
	},
	merkle::{self, Tree},
	ops::{self, Bits, Read, Site, State},
	trace::{self, Coordinate},
	Hash, Model, Op, Tensor, TensorType, ValueId,
};
use alloc::{
	collections::{BTreeMap, BTreeSet},
	vec::Vec,
};
use codec::Encode;
use core::{cell::RefCell, ops::Deref};

/// What a challenger does next.
#[derive(Clone, PartialEq, Debug)]
pub enum Next {
	/// Demand this; once it is opened, [`Investigation::learn`] the opening.
	Demand(Demand, Evidence),
	/// Submit this.
	Prove(Proof),
	/// Nothing is wrong.
	Agree,
}

/// Part of a tree that the worker opened: the top nodes, and one group under them where the tree has groups.
struct Known {
	leaves: u64,
	level: u32,
	top: Tree,
	group: Option<(u64, Tree)>,
}

impl Known {
	fn new(leaves: u64, top: Tree) -> Self {
		Self { leaves, level: trace::top_level(leaves), top, group: None }
	}

	/// A node, if it is in the top or in the opened group.
	fn node(&self, level: u32, index: u64) -> Option<Hash> {
		if let Some(level) = level.checked_sub(self.level) {
			return self.top.node(level, index);
		}
		let (group, tree) = self.group.as_ref()?;
		let below = self.level.checked_sub(level)?;
		let inside = index.checked_sub(group.checked_shl(below)?)?;
		(index >> below == *group).then(|| tree.node(level, inside)).flatten()
	}

	/// The first leaf that differs from a tree of the same form.
	fn first_difference(&self, own: &Tree) -> Difference {
		let differs = |a: &[Hash], b: &[Hash]| a.iter().zip(b).position(|(a, b)| a != b).map(|i| i as u64);
		let Some(top) = differs(self.top.level(0), own.level(self.level)) else { return Difference::None };
		if self.level == 0 {
			return Difference::Leaf(top);
		}
		let Some((_, tree)) = self.group.as_ref().filter(|(group, _)| *group == top) else {
			return Difference::Group(top as u32);
		};
		let first = top << self.level;
		let own = slice(own.level(0), first, tree.leaves()).unwrap_or_default();
		differs(tree.level(0), own).map_or(Difference::None, |i| Difference::Leaf(first + i))
	}
}

enum Difference {
	None,
	/// Somewhere under this top node.
	Group(u32),
	Leaf(u64),
}

/// What is known of the worker's wrong value.
struct Suspect {
	value: ValueId,
	tiles_root: Hash,
	tiles: Known,
	tile: Option<(u64, Vec<u8>)>,
	states: Option<(u64, Vec<State>)>,
}

/// A challenger's view of a worker's trace: its own, and what the worker has published and opened so far.
///
/// The worker's trace is followed to its first value that differs. All values before that agree with the challenger's
/// own, so what a proof needs of them is known without asking.
pub struct Investigation<M, V = Vec<Tensor>> {
	own: Trace<M, V>,
	root: Hash,
	values: Known,
	/// The first of the worker's value roots that are known, and these.
	roots: (u64, Vec<Hash>),
	suspect: Option<Suspect>,
}

impl<M: Deref<Target = Model>> Investigation<M> {
	/// What to do next.
	pub fn next(&self) -> Next {
		self.try_next().unwrap_or(Next::Agree)
	}
}

impl<M: Deref<Target = Model>, V: Values> Investigation<M, V> {
	/// An investigation of a publication by somebody whose own trace begins with the job's inputs. `output_root` is the
	/// worker's commitment.
	pub fn new(own: Trace<M, V>, output_root: &Hash, publication: &Publication) -> Result<Self, Fault> {
		let root = publication.check(&own.model.id(), &own.input_root(), output_root)?;
		let values = Known::new(publication.header.values.into(), publication.top_tree());
		let roots = if values.level == 0 { publication.top.clone() } else { Vec::new() };
		Ok(Self { own, root, values, roots: (0, roots), suspect: None })
	}

	/// The worker's trace root.
	pub fn trace_root(&self) -> Hash {
		self.root
	}

	/// The challenger's own trace.
	pub fn own(&self) -> &Trace<M, V> {
		&self.own
	}

	/// What to do next. None when a value of the own trace cannot be had now.
	pub fn try_next(&self) -> Option<Next> {
		let value = match self.values.first_difference(&self.own.trees.trace) {
			Difference::None => return Some(Next::Agree),
			Difference::Group(group) => return self.demand(Demand::Values { group }),
			Difference::Leaf(value) => ValueId::try_from(value).ok()?,
		};
		let at = Coordinate::of(value);
		match self.own.node(value)?.op {
			Op::Weight(number) => return self.prove_weight(value, number),
			// The publication binds the inputs.
			Op::Input(_) => return None,
			_ => {}
		}
		let Some(suspect) = self.suspect.as_ref().filter(|s| s.value == value) else {
			return self.demand(Demand::Tiles { at });
		};
		let element = match self.first_element(suspect)? {
			Ok(element) => element,
			Err(demand) => return self.demand(demand),
		};
		if let Some(proof) = self.prove_element(value, element, self.claim(suspect)?) {
			return Some(Next::Prove(proof));
		}
		let Some((_, states)) = suspect.states.as_ref().filter(|(e, _)| *e == element) else {
			return self.demand(Demand::States { at, element });
		};
		self.prove_states(value, element, states, self.claim(suspect)?).map(Next::Prove)
	}

	fn demand(&self, demand: Demand) -> Option<Next> {
		Some(Next::Demand(demand, self.own.evidence(&demand)?))
	}

	/// The first element that differs, or what has to be opened to find it.
	fn first_element(&self, suspect: &Suspect) -> Option<Result<u64, Demand>> {
		let at = Coordinate::of(suspect.value);
		self.own.values.with(&[suspect.value], |own| {
			let own = own.first()?;
			let tile = match suspect.tiles.first_difference(&Tree::of_tiles(&own.bytes)) {
				Difference::None => return None,
				Difference::Group(group) => return Some(Err(Demand::TileGroup { at, group })),
				Difference::Leaf(tile) => tile,
			};
			let Some((_, bytes)) = suspect.tile.as_ref().filter(|(t, _)| *t == tile) else {
				return Some(Err(Demand::Tile { at, tile: u32::try_from(tile).ok()? }));
			};
			let differs = tile_of(&own.bytes, tile)?.iter().zip(bytes).position(|(a, b)| a != b)? as u64;
			let start = tile.checked_mul(TILE_BYTES as u64)?;
			Some(Ok(start.checked_add(differs)? / own.ty.dtype.size() as u64))
		})
	}

	/// Takes in what the worker opened. An opening that is not right changes nothing; one that is not needed neither.
	pub fn learn(&mut self, demand: &Demand, opening: &Opening) -> Result<(), Fault> {
		opening.check(&self.own.model.header(), &self.root, demand)?;
		let known = |at: Coordinate, suspect: &Option<Suspect>| suspect.as_ref().is_some_and(|s| s.value == at.value);
		match (opening, *demand) {
			(Opening::Values { roots, .. }, Demand::Values { group }) => {
				let tree = Tree::new(roots.iter().map(trace::leaf).collect());
				self.values.group = Some((group.into(), tree));
				self.roots = (u64::from(group) << self.values.level, roots.clone());
			}
			(Opening::Tiles { value, top }, Demand::Tiles { at }) if !known(at, &self.suspect) => {
				let tiles = value.node.ty.byte_len().unwrap_or(0).div_ceil(TILE_BYTES as u64);
				self.suspect = Some(Suspect {
					value: at.value,
					tiles_root: value.tiles_root,
					tiles: Known::new(tiles, Tree::new(top.clone())),
					tile: None,
					states: None,
				});
			}
			(opening, Demand::TileGroup { at, .. } | Demand::Tile { at, .. } | Demand::States { at, .. }) => {
				let Some(suspect) = self.suspect.as_mut().filter(|s| s.value == at.value) else { return Ok(()) };
				match (opening, *demand) {
					(Opening::TileGroup { hashes, .. }, Demand::TileGroup { group, .. }) => {
						suspect.tiles.group = Some((group.into(), Tree::new(hashes.clone())));
					}
					(Opening::Tile { bytes, .. }, Demand::Tile { tile, .. }) => {
						suspect.tile = Some((tile.into(), bytes.clone()));
					}
					(Opening::States { states, .. }, Demand::States { element, .. }) => {
						suspect.states = Some((element, states.clone()));
					}
					_ => {}
				}
			}
			_ => {}
		}
		Ok(())
	}

	/// What the worker says in the tile that was opened last.
	fn claim(&self, suspect: &Suspect) -> Option<Claim> {
		let (tile, bytes) = suspect.tile.as_ref()?;
		let path = merkle::siblings(suspect.tiles.leaves, &[*tile], u32::MAX);
		let path = path.into_iter().map(|(level, index)| suspect.tiles.node(level, index)).collect::<Option<_>>()?;
		Some(Claim { tiles_root: suspect.tiles_root, tile: bytes.clone(), path })
	}

	/// A path in the worker's trace: from what it opened, else from the own trace. Sound for values that are not after the
	/// first wrong one: whatever is not opened lies before it, and agrees.
	fn trace_path(&self, values: &[u64]) -> Option<Vec<Hash>> {
		let node = |(level, index)| self.values.node(level, index).or_else(|| self.own.trees.trace.node(level, index));
		merkle::siblings(self.values.leaves, values, u32::MAX).into_iter().map(node).collect()
	}

	/// The scene of a computation: what `compute` reads, opened.
	fn scene(
		&self,
		value: ValueId,
		claimed: bool,
		compute: impl FnOnce(&Op, &Site, &Recorder) -> Option<()>,
	) -> Option<Scene> {
		let node = self.own.node(value)?;
		let reads = self.own.values.with(&node.inputs, |operands| {
			let types: Vec<&TensorType> = operands.iter().map(|t| &t.ty).collect();
			let recorder = Recorder { read: Tensors(operands), types: &types, tiles: RefCell::default() };
			compute(&node.op, &Site { ins: &types, out: &node.ty }, &recorder)?;
			// Operands may be the same value twice.
			let mut reads: BTreeMap<ValueId, (&Tensor, BTreeSet<u64>)> = BTreeMap::new();
			for (operand, tile) in recorder.tiles.into_inner() {
				let (id, tensor) = (node.inputs.get(operand)?, operands.get(operand)?);
				reads.entry(*id).or_insert((tensor, BTreeSet::new())).1.insert(tile);
			}
			reads.into_iter().map(|(id, (tensor, tiles))| open_tiles(id, tensor, &tiles)).collect::<Option<Vec<_>>>()
		})?;
		let places: Vec<u64> = reads.iter().map(|r| r.value).chain(claimed.then_some(value)).map(u64::from).collect();
		let trace_path = if places.is_empty() { Vec::new() } else { self.trace_path(&places)? };
		Some(Scene {
			header: self.own.model.header(),
			at: Coordinate::of(value),
			nodes: self.own.nodes(value, true)?,
			reads,
			trace_path,
		})
	}

	/// A proof of an element as a whole; none when it takes too many steps or bytes.
	pub(crate) fn prove_element(&self, value: ValueId, element: u64, claimed: Claim) -> Option<Proof> {
		let scene = self.scene(value, true, |op, site, read| {
			if ops::steps(op, site) > MAX_DIRECT_STEPS {
				return None;
			}
			ops::element(op, site, element, read);
			Some(())
		})?;
		let proof = Proof::Element { scene, element, claimed };
		(proof.encoded_size() <= MAX_PROOF_BYTES).then_some(proof)
	}

	/// A proof of the first state that is wrong, or that the element does not follow from the last.
	fn prove_states(&self, value: ValueId, element: u64, states: &[State], claimed: Claim) -> Option<Proof> {
		let own = self.own.states(value, element)?;
		let wrong = own.iter().zip(states).position(|(a, b)| a != b);
		self.prove_state(value, element, states, claimed, wrong)
	}

	/// A proof of this step, or of the finish.
	pub(crate) fn prove_state(
		&self,
		value: ValueId,
		element: u64,
		states: &[State],
		claimed: Claim,
		step: Option<usize>,
	) -> Option<Proof> {
		let tree = Tree::new(states.iter().map(judge::state_leaf).collect());
		let Some(at) = step else {
			let last = *states.last()?;
			let scene = self.scene(value, true, |op, site, read| {
				ops::finish(op, site, element, last, read);
				Some(())
			})?;
			let path = tree.path(&[states.len().checked_sub(1)? as u64])?;
			return Some(Proof::Finish { scene, element, last, path, claimed });
		};
		let before = at.checked_sub(1).and_then(|i| states.get(i)).copied();
		let step = at as u64;
		let scene = self.scene(value, false, |op, site, read| {
			let state = before.unwrap_or_else(|| ops::init(op, site));
			ops::step(op, site, element, step, state, read);
			Some(())
		})?;
		let places: Vec<u64> = step.checked_sub(1).into_iter().chain([step]).collect();
		let (after, path) = (*states.get(at)?, tree.path(&places)?);
		Some(Proof::Step { scene, element, step, before, after, path })
	}

	/// A proof that a weight is not the model's.
	pub(crate) fn prove_weight(&self, value: ValueId, number: u32) -> Option<Next> {
		let (roots, tree) = (self.own.model.weight_roots(), &self.own.trees.weights);
		let (first, published) = &self.roots;
		let position = usize::try_from(u64::from(value).checked_sub(*first)?).ok()?;
		let claimed = *published.get(position)?;
		Some(Next::Prove(Proof::Weight(WrongWeight {
			header: self.own.model.header(),
			at: Coordinate::of(value),
			nodes: self.own.nodes(value, false)?,
			claimed,
			trace_path: self.trace_path(&[value.into()])?,
			weights: u32::try_from(roots.len()).ok()?,
			weight: *roots.get(usize::try_from(number).ok()?)?,
			weight_path: tree.path(&[number.into()])?,
		})))
	}
}

/// Tiles of a value of the own trace.
fn open_tiles(value: ValueId, tensor: &Tensor, tiles: &BTreeSet<u64>) -> Option<OperandTiles> {
	let tree = Tree::of_tiles(&tensor.bytes);
	let places: Vec<u64> = tiles.iter().copied().collect();
	let tile = |t: &u64| Some(Tile { index: u32::try_from(*t).ok()?, bytes: tile_of(&tensor.bytes, *t)?.to_vec() });
	Some(OperandTiles {
		value,
		tiles_root: tree.root(),
		tiles: tiles.iter().map(tile).collect::<Option<_>>()?,
		path: tree.path(&places)?,
	})
}

/// Whole operands; notes the tiles that are read.
struct Recorder<'a> {
	read: Tensors<'a>,
	types: &'a [&'a TensorType],
	tiles: RefCell<BTreeSet<(usize, u64)>>,
}

impl Read for Recorder<'_> {
	fn read(&self, operand: usize, index: u64) -> Bits {
		let last =
			self.types.get(operand).and_then(|ty| Some((ty.elements()?.checked_sub(1)?, ty.dtype.size() as u64)));
		if let Some((last, size)) = last {
			let tile = index.min(last).saturating_mul(size) / commit::TILE_BYTES as u64;
			self.tiles.borrow_mut().insert((operand, tile));
		}
		self.read.read(operand, index)
	}
}
