//! An investigation on encoded messages, for a challenger that keeps nothing.

use super::{Investigation, Next, Trace, Values};
use crate::{
	judge::{decode, Answer, Fault, Publication, MAX_MESSAGE_BYTES},
	Model,
};
use alloc::vec::Vec;
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::ops::Deref;
use scale_info::TypeInfo;

/// What a challenger does next. The messages are encoded, as the chain takes them.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Advice {
	/// Demand this.
	#[codec(index = 0)]
	Demand {
		/// The [`Demand`](crate::judge::Demand).
		demand: Vec<u8>,
		/// Its [`Evidence`](crate::judge::Evidence).
		evidence: Vec<u8>,
	},
	/// Submit this.
	#[codec(index = 1)]
	Prove {
		/// The demand for states whose answer the proof is about, if it is about states.
		states: Option<Vec<u8>>,
		/// The [`Proof`](crate::judge::Proof).
		proof: Vec<u8>,
	},
	/// Nothing is wrong.
	#[codec(index = 2)]
	Agree,
}

/// What to do about a publication, given all that was opened of it: encoded demands, each with the encoded [`Answer`].
/// Their order does not matter, and those that are not needed are passed over. The caller has seen on chain that the
/// publication ends in the committed outputs. `Ok(None)` when a value of the own trace cannot be had now.
pub fn advise<M: Deref<Target = Model>, V: Values>(
	own: Trace<M, V>,
	publication: &[u8],
	answers: &[(Vec<u8>, Vec<u8>)],
) -> Result<Option<Advice>, Fault> {
	let publication: Publication = decode(publication, MAX_MESSAGE_BYTES)?;
	let mut investigation = Investigation::new(own, &publication.output_root(), &publication)?;
	// Each round takes in one answer, or ends.
	for _ in 0..=answers.len() {
		let (demand, evidence) = match investigation.try_next() {
			None => return Ok(None),
			Some(Next::Agree) => return Ok(Some(Advice::Agree)),
			Some(Next::Prove(proof)) => {
				let states = proof.states().map(|demand| demand.encode());
				return Ok(Some(Advice::Prove { states, proof: proof.encode() }));
			}
			Some(Next::Demand(demand, evidence)) => (demand, evidence),
		};
		let encoded = demand.encode();
		let Some((_, answer)) = answers.iter().find(|(demand, _)| *demand == encoded) else {
			return Ok(Some(Advice::Demand { demand: encoded, evidence: evidence.encode() }));
		};
		let answer: Answer = decode(answer, MAX_MESSAGE_BYTES)?;
		investigation.learn(&demand, &answer.opening)?;
	}
	Ok(None)
}
