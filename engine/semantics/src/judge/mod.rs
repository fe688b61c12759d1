//! The judge of disputes: what a worker publishes and opens of its trace, what a challenger may demand, and what proves a
//! worker wrong.
//!
//! 1. The worker publishes the top of its trace, [`Publication`]. From then on its trace root is fixed, begins with the
//!    job's inputs and ends in the job's outputs.
//! 2. A challenger demands, the worker answers: [`Demand`], [`Answer`]. The type of a value always comes from the model's
//!    graph, and all lengths are computed, so a trace that lies about a type or the form of a tree cannot be opened.
//! 3. A [`Proof`] shows that one element of the trace does not follow from what it was computed from, that a weight is
//!    not the model's, or that a node of the model is not valid. [`judge`] decides, from the proof and two roots alone.
//!
//! This is sound because every trace that begins with the true inputs and weights and ends in a wrong output has a *first*
//! wrong value, whose operands are right: one of its elements is wrong against them.
//!
//! Everything here takes bytes from strangers: it never panics, and work and memory are in proportion to a message's
//! length, plus [`MAX_DIRECT_STEPS`] steps of one element.
//!
//! Messages carry the [`ModelHeader`](crate::ModelHeader), which is the preimage of the `ModelId`; no model storage is
//! read. [`check_publication`], [`check_demand`], [`check_answer`] and [`check_proof`] are the same from encoded messages.

mod fault;
mod opening;
mod parts;
mod proof;
mod reader;

pub use fault::Fault;
pub use opening::{Answer, Demand, DemandInfo, Evidence, Opening, Publication};
pub use parts::{Nodes, ValueProof};
pub use proof::{
	judge, Claim, InvalidNode, OperandTiles, Proof, ProofKind, Scene, Verdict, WeightList, WeightType, WrongWeight,
};
pub use reader::Tile;

use crate::{
	commit::hash,
	merkle,
	ops::{self, State},
	trace::{self, Coordinate},
	Hash,
};
use alloc::vec::Vec;
use codec::{DecodeAll, Encode};

/// The longest proof. The proof of any step of any valid model fits.
pub const MAX_PROOF_BYTES: usize = 64 * 1024;

/// The longest message of a dispute: a group of 2,048 hashes with its paths and the header.
pub const MAX_MESSAGE_BYTES: usize = 72 * 1024;

/// The most steps of an element that is judged as a whole; a longer one is judged step by step.
pub const MAX_DIRECT_STEPS: u64 = 4;

/// The root over the states after each step of an element's fold. It names the element, so that states of one cannot be
/// held against another.
pub fn states_root(at: Coordinate, element: u64, states: &[State]) -> Hash {
	let leaves: Vec<Hash> = states.iter().map(state_leaf).collect();
	states_root_of(at, element, states.len() as u64, &merkle::root(&leaves))
}

fn states_root_of(at: Coordinate, element: u64, states: u64, tree: &Hash) -> Hash {
	hash(b"assay/states", &[&at.encode(), &element.to_le_bytes(), &states.to_le_bytes(), tree])
}

pub(crate) fn state_leaf(state: &State) -> Hash {
	merkle::leaf(&state.encode())
}

/// A message from its bytes: not too long, nothing left over.
pub(crate) fn decode<T: DecodeAll>(bytes: &[u8], most: usize) -> Result<T, Fault> {
	if bytes.len() > most {
		return Err(Fault::TooLong);
	}
	T::decode_all(&mut &bytes[..]).map_err(|_| Fault::Malformed)
}

/// The most bytes of a publication for a model whose encoded header has `header` bytes, with `values` values of which `ends` are
/// inputs and outputs.
pub fn publication_bytes(header: usize, values: u32, ends: usize) -> u32 {
	let (values, header, ends) = (u64::from(values), header as u64, ends as u64);
	let level = u64::from(trace::top_level(values));
	// Over 1,024 values: the ends, and a sibling of each on each level below the top.
	let ends = if level == 0 { 0 } else { ends.saturating_mul(level.saturating_add(1)) };
	let hashes = trace::top_width(values).saturating_add(ends);
	// A list's length takes up to 4 bytes.
	let bytes = header.saturating_add(hashes.saturating_mul(32)).saturating_add(12);
	u32::try_from(bytes.min(MAX_MESSAGE_BYTES as u64)).unwrap_or(u32::MAX)
}

/// The name of the operator that a proof recomputes, and how many operands it has; none if it recomputes nothing. For weights: nothing
/// but the proof's form is checked.
pub fn operator_of(proof: &[u8]) -> Option<(&'static str, usize)> {
	match decode::<Proof>(proof, MAX_PROOF_BYTES).ok()? {
		Proof::Element { scene, .. } | Proof::Step { scene, .. } | Proof::Finish { scene, .. } => {
			let node = &scene.nodes.node;
			Some((ops::name(&node.op), node.inputs.len()))
		}
		Proof::Weight(_) | Proof::InvalidNode(_) => None,
	}
}

/// [`Publication::check`] of an encoded publication: the trace root.
pub fn check_publication(
	model: &Hash,
	input_root: &Hash,
	output_root: &Hash,
	publication: &[u8],
) -> Result<Hash, Fault> {
	decode::<Publication>(publication, MAX_MESSAGE_BYTES)?.check(model, input_root, output_root)
}

/// [`Demand::check`] of an encoded demand with its encoded evidence.
pub fn check_demand(model: &Hash, demand: &[u8], evidence: &[u8]) -> Result<DemandInfo, Fault> {
	let demand: Demand = decode(demand, MAX_MESSAGE_BYTES)?;
	demand.check(model, &decode(evidence, MAX_MESSAGE_BYTES)?)
}

/// [`Answer::check`] of an encoded answer. The states root if the demand is for states.
pub fn check_answer(model: &Hash, trace_root: &Hash, demand: &[u8], answer: &[u8]) -> Result<Option<Hash>, Fault> {
	let demand: Demand = decode(demand, MAX_MESSAGE_BYTES)?;
	let answer: Answer = decode(answer, MAX_MESSAGE_BYTES)?;
	answer.check(model, trace_root, &demand)?;
	Ok(answer.opening.states_root(&demand))
}

/// [`judge`] on an encoded proof.
pub fn check_proof(
	model: &Hash,
	trace_root: &Hash,
	states_root: Option<&Hash>,
	proof: &[u8],
) -> Result<Verdict, Fault> {
	judge(model, trace_root, states_root, &decode(proof, MAX_PROOF_BYTES)?)
}

#[cfg(test)]
mod tests;
