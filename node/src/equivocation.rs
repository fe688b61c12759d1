//! Reports validators that make two blocks for one slot.
//!
//! BABE's block import looks for them, too, but compares headers without their seals (sc-consensus-babe 0.60): such a report proves
//! nothing, and the runtime does not take it. Here the headers are those that were imported, seals and all.

use crate::service::FullClient;
use assay_runtime::{opaque::Block, Header};
use futures::StreamExt;
use sc_client_api::BlockchainEvents;
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_api::{ApiExt, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_consensus::BlockOrigin;
use sp_consensus_babe::{digests::CompatibleDigestItem, AuthorityId, BabeApi, EquivocationProof, Slot};
use std::{collections::BTreeMap, sync::Arc};

/// The slots for which blocks are remembered.
const REMEMBERED: u64 = 1_000;

/// Two blocks by one author for one slot.
#[derive(Debug)]
struct Twins {
	slot: Slot,
	author: u32,
	first: Header,
	second: Header,
}

/// The first block of each author for each slot; nothing once its twin was seen.
#[derive(Default)]
struct Seen(BTreeMap<(u64, u32), Option<Header>>);

impl Seen {
	/// Takes note of a block. The pair, if its author has made another for the slot and this is the first time that it shows.
	fn note(&mut self, header: &Header) -> Option<Twins> {
		let made = header.digest.logs().iter().find_map(|log| log.as_babe_pre_digest())?;
		let (slot, author) = (made.slot(), made.authority_index());
		self.0 = self.0.split_off(&(u64::from(slot).saturating_sub(REMEMBERED), 0));
		let known = self.0.entry((slot.into(), author)).or_insert_with(|| Some(header.clone()));
		let first = known.take_if(|first| first.hash() != header.hash())?;
		Some(Twins { slot, author, first, second: header.clone() })
	}
}

/// Looks at every block that is imported, for as long as the node runs.
pub(crate) async fn report(client: Arc<FullClient>, pool: OffchainTransactionPoolFactory<Block>) {
	let mut blocks = client.every_import_notification_stream();
	let mut seen = Seen::default();
	while let Some(block) = blocks.next().await {
		// What is old was reported when it happened.
		if block.origin == BlockOrigin::NetworkInitialSync {
			continue;
		}
		let Some(twins) = seen.note(&block.header) else { continue };
		let slot = twins.slot;
		match submit(&client, &pool, twins) {
			Ok(offender) => log::warn!("⚖️ Validator {offender} made two blocks for slot {slot}; this is reported"),
			Err(error) => {
				log::warn!("⚖️ Somebody made two blocks for slot {slot}, which could not be reported: {error}")
			}
		}
	}
}

/// Submits a report. Whom it is about.
fn submit(
	client: &FullClient,
	pool: &OffchainTransactionPoolFactory<Block>,
	Twins { slot, author, first, second }: Twins,
) -> Result<AuthorityId, String> {
	let (best, parent) = (client.info().best_hash, second.parent_hash);
	let failed = |error: sp_api::ApiError| error.to_string();
	let mut epoch = client.runtime_api().current_epoch(parent).map_err(failed)?;
	if slot >= epoch.start_slot + epoch.duration {
		epoch = client.runtime_api().next_epoch(parent).map_err(failed)?;
	}
	let author = usize::try_from(author).ok().and_then(|author| epoch.authorities.get(author));
	let offender = author.ok_or("the epoch has no such author")?.0.clone();
	// The first block of a session knows nothing of it yet; the best one does.
	let owner = [parent, best]
		.into_iter()
		.find_map(|at| client.runtime_api().generate_key_ownership_proof(at, slot, offender.clone()).ok().flatten());
	let owner = owner.ok_or("nobody owns the key")?;
	let proof = EquivocationProof { slot, offender: offender.clone(), first_header: first, second_header: second };
	let mut api = client.runtime_api();
	api.register_extension(pool.offchain_transaction_pool(best));
	let taken = api.submit_report_equivocation_unsigned_extrinsic(best, proof, owner).map_err(failed)?;
	taken.ok_or("the runtime does not take the report; it may know it already")?;
	Ok(offender)
}

#[cfg(test)]
mod tests {
	use super::*;
	use sp_consensus_babe::{
		check_equivocation_proof,
		digests::{PreDigest, SecondaryPlainPreDigest},
	};
	use sp_core::{sr25519, Pair, H256};
	use sp_runtime::{traits::Header as _, Digest, DigestItem};

	/// A block of the one author, whose state root says `which`, with its seal or without.
	fn block(slot: u64, which: u8, sealed: bool) -> Header {
		let made = PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index: 0, slot: slot.into() });
		let digest = Digest { logs: vec![DigestItem::babe_pre_digest(made)] };
		let mut header = Header::new(1, H256::zero(), H256::repeat_byte(which), H256::zero(), digest);
		if sealed {
			let seal = sr25519::Pair::from_seed(&[1; 32]).sign(header.hash().as_bytes());
			header.digest.push(DigestItem::babe_seal(seal.into()));
		}
		header
	}

	fn is_proof(twins: Twins) -> bool {
		let offender = sr25519::Pair::from_seed(&[1; 32]).public().into();
		let Twins { slot, first, second, .. } = twins;
		check_equivocation_proof(EquivocationProof { slot, offender, first_header: first, second_header: second })
	}

	#[test]
	fn twins_should_be_told_once_and_prove_something() {
		let mut seen = Seen::default();
		let first = block(5, 1, true);
		assert!(seen.note(&first).is_none() && seen.note(&first).is_none());
		assert!(seen.note(&block(6, 2, true)).is_none());
		assert!(is_proof(seen.note(&block(5, 2, true)).expect("another block for the same slot")));
		assert!(seen.note(&block(5, 3, true)).is_none());
		// Without seals, as BABE's import compares them, nothing is proven.
		assert!(seen.note(&block(7, 1, false)).is_none());
		assert!(!is_proof(seen.note(&block(7, 2, false)).expect("another block for the same slot")));
	}

	#[test]
	fn old_slots_should_be_forgotten() {
		let mut seen = Seen::default();
		for slot in 1..3 * REMEMBERED {
			assert!(seen.note(&block(slot, 1, true)).is_none());
		}
		assert!(seen.0.len() as u64 <= REMEMBERED + 1);
	}
}
