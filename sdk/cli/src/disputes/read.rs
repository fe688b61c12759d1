//! Disputes in storage, and the messages themselves out of the blocks that have them.

use super::{node_id, Challenge, ChallengeInfo, DemandInfo, Dispute, Node, Seal, PALLET};
use crate::{
	chain::{At, Chain},
	types::Bytes32,
};
use anyhow::Context;
use subxt::{ext::scale_decode::DecodeAsType, utils::AccountId32};

/// Whether the chain has disputes.
pub fn supported(at: &At) -> bool {
	at.metadata_ref().pallet_by_name(PALLET).is_some()
}

/// The dispute about a claim: live, or not cleaned up yet.
pub async fn dispute(chain: &Chain, at: &At, claim: &Bytes32) -> anyhow::Result<Option<Dispute>> {
	chain.storage(at, PALLET, "Disputes", (*claim,)).await
}

/// An account's live challenge of a claim.
pub async fn challenge(
	chain: &Chain,
	at: &At,
	claim: &Bytes32,
	who: &AccountId32,
) -> anyhow::Result<Option<Challenge>> {
	chain.storage(at, PALLET, "Challenges", (*claim, who.0)).await
}

/// One demanded node of a worker's trace.
pub async fn node(chain: &Chain, at: &At, claim: &Bytes32, node: &Bytes32) -> anyhow::Result<Option<Node>> {
	chain.storage(at, PALLET, "Nodes", (*claim, *node)).await
}

/// All demanded nodes of a worker's trace, by name.
pub async fn nodes(chain: &Chain, at: &At, claim: &Bytes32) -> anyhow::Result<Vec<(Bytes32, Node)>> {
	chain.storage_under(at, PALLET, "Nodes", *claim).await
}

/// An account's seal that is neither revealed nor lapsed.
pub async fn seal(chain: &Chain, at: &At, who: &AccountId32, hash: &Bytes32) -> anyhow::Result<Option<Seal>> {
	chain.storage(at, PALLET, "Seals", (who.0, *hash)).await
}

/// The number of blocks without room for a dispute message, by which clocks run longer.
pub async fn full_blocks(chain: &Chain, at: &At) -> anyhow::Result<u32> {
	Ok(chain.storage::<_, u32>(at, PALLET, "FullBlocks", ()).await?.unwrap_or_default())
}

/// The live challenges of a job's open claim, first in the queue first.
pub async fn challenges(chain: &Chain, at: &At, job: u64) -> anyhow::Result<Vec<ChallengeInfo>> {
	chain.view(at, PALLET, "challenges", (job,)).await
}

/// The demands that the worker of a job's open claim must answer.
pub async fn demands(chain: &Chain, at: &At, job: u64) -> anyhow::Result<Vec<DemandInfo>> {
	chain.view(at, PALLET, "demands", (job,)).await
}

/// What a challenge of a job's open claim puts on hold.
pub async fn bond_for(chain: &Chain, at: &At, job: u64) -> anyhow::Result<Option<u128>> {
	chain.view(at, PALLET, "bond_for", (job,)).await
}

/// What a challenger must be able to put on hold at once, and what it may come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prices {
	/// Of a seal.
	pub deposit: u128,
	/// Of the publication and as many demands as one challenge can make, for the longest answers, while workers owe so much that
	/// prices are as high as the challenger is ready to pay.
	pub demands: u128,
	/// The blocks within which a seal must be revealed.
	pub reveal: u32,
}

/// What disputes cost to who pays up to `dearer` times the lowest price.
pub fn prices(chain: &Chain, at: &At, dearer: u32) -> anyhow::Result<Prices> {
	let per_byte: u128 = chain.constant(at, PALLET, "DemandFeePerByte")?;
	let bytes: u32 = chain.constant(at, PALLET, "MaxMessage")?;
	let demands: u32 = chain.constant(at, PALLET, "MaxOpenings")?;
	Ok(Prices {
		deposit: chain.constant(at, PALLET, "SealDeposit")?,
		demands: per_byte
			.saturating_mul(bytes.into())
			.saturating_mul((demands + 1).into())
			.saturating_mul(dearer.into()),
		reveal: chain.constant(at, PALLET, "RevealBlocks")?,
	})
}

/// A worker's message in a block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
	/// A publication, encoded.
	Publication {
		/// The claim it is about.
		claim: Bytes32,
		/// What was published.
		bytes: Vec<u8>,
	},
	/// An answer to a demand.
	Opening {
		/// The claim it is about.
		claim: Bytes32,
		/// The encoded demand.
		demand: Vec<u8>,
		/// The encoded answer.
		bytes: Vec<u8>,
	},
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Publish {
	claim: Bytes32,
	publication: Vec<u8>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Open {
	claim: Bytes32,
	demand: Vec<u8>,
	opening: Vec<u8>,
}

/// The workers' messages in a block. They cannot hide inside other calls: only the transaction itself is authorised.
pub async fn messages(at: &At) -> anyhow::Result<Vec<Message>> {
	let block = at.block_number();
	let extrinsics = at.extrinsics().fetch().await.with_context(|| format!("cannot read block {block}"))?;
	let mut found = Vec::new();
	// What cannot be decoded is not ours.
	for extrinsic in extrinsics.iter().filter_map(Result::ok) {
		match (extrinsic.pallet_name(), extrinsic.call_name()) {
			(PALLET, "publish") => {
				let Publish { claim, publication: bytes } = extrinsic.decode_call_data_fields_unchecked_as()?;
				found.push(Message::Publication { claim, bytes });
			}
			(PALLET, "open") => {
				let Open { claim, demand, opening: bytes } = extrinsic.decode_call_data_fields_unchecked_as()?;
				found.push(Message::Opening { claim, demand, bytes });
			}
			_ => (),
		}
	}
	Ok(found)
}

/// What a claim's worker published, out of the messages of that block.
pub fn publication_in(messages: &[Message], wanted: &Bytes32) -> Option<Vec<u8>> {
	messages.iter().find_map(|message| match message {
		Message::Publication { claim, bytes } if claim == wanted => Some(bytes.clone()),
		_ => None,
	})
}

/// A demand on a claim's trace and its answer, out of the messages of the block in which that node was opened.
pub fn answer_in(messages: &[Message], wanted: &Bytes32, node: &Bytes32) -> Option<(Vec<u8>, Vec<u8>)> {
	messages.iter().find_map(|message| match message {
		Message::Opening { claim, demand, bytes } if claim == wanted && node_id(demand) == *node => {
			Some((demand.clone(), bytes.clone()))
		}
		_ => None,
	})
}

/// What is known of a worker's trace: the publication, and every answer with its demand.
pub async fn transcript(
	chain: &Chain,
	claim: &Bytes32,
	published_at: u32,
	nodes: &[(Bytes32, Node)],
) -> anyhow::Result<(Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>)> {
	let at = chain.at_number(published_at.into()).await?;
	let publication = publication_in(&messages(&at).await?, claim);
	let publication = publication.with_context(|| format!("block {published_at} does not have the publication"))?;
	let mut answers = Vec::new();
	for (id, node) in nodes {
		let Node::Opened { at: block } = node else { continue };
		let at = chain.at_number((*block).into()).await?;
		let answer = answer_in(&messages(&at).await?, claim, id);
		answers.push(answer.with_context(|| format!("block {block} does not have the opening"))?);
	}
	Ok((publication, answers))
}

#[cfg(test)]
mod tests {
	use super::*;

	fn opening(claim: u8, demand: &[u8], bytes: &[u8]) -> Message {
		Message::Opening { claim: [claim; 32], demand: demand.into(), bytes: bytes.into() }
	}

	#[test]
	fn messages_should_be_found_by_claim_and_demand() {
		let messages = [
			Message::Publication { claim: [9; 32], bytes: vec![9] },
			opening(1, b"b", b"other node"),
			opening(9, b"a", b"other claim"),
			Message::Publication { claim: [1; 32], bytes: vec![1] },
			opening(1, b"a", b"this"),
		];
		assert_eq!(publication_in(&messages, &[1; 32]), Some(vec![1]));
		assert_eq!(publication_in(&messages, &[2; 32]), None);
		assert_eq!(answer_in(&messages, &[1; 32], &node_id(b"a")), Some((b"a".to_vec(), b"this".to_vec())));
		assert_eq!(answer_in(&messages, &[1; 32], &node_id(b"c")), None);
	}
}
