//! The best chain, block by block, wherever it goes.

use crate::chain::{lost, At, Chain, Config};
use anyhow::Context;
use std::collections::VecDeque;
use subxt::{config::substrate::H256, rpcs::client::RpcSubscription};

/// So many blocks are remembered. Reorganisations end at the last final block, which is nearer where validators are well.
const REMEMBERED: usize = 256;

impl Chain {
	/// Follows the best chain from the block after `after`. If that is undone, with what was before it as far as it was not final, it goes
	/// back there.
	pub async fn follow(&self, after: u64) -> anyhow::Result<Follower<'_>> {
		self.follow_behind(after, 0).await
	}

	/// Like [`Chain::follow`], each block only when `depth` blocks lie on it: most reorganisations are over then.
	pub async fn follow_behind(&self, after: u64, depth: u64) -> anyhow::Result<Follower<'_>> {
		let heads = self.rpc().chain_subscribe_new_heads().await.map_err(lost)?;
		let remembered = after.saturating_sub(REMEMBERED as u64);
		let mut base = self.finalised().await?.block_number().clamp(remembered, after);
		let mut seen = VecDeque::new();
		for number in base + 1..=after {
			let hash = self.rpc().chain_get_block_hash(Some(number.into())).await.map_err(lost)?;
			let Some(hash) = hash else {
				// The chain is not so long yet: there is nothing to go back to.
				base = after;
				seen.clear();
				break;
			};
			seen.push_back(hash);
		}
		Ok(Follower { chain: self, heads, after: base, seen, known: 0, depth })
	}
}

/// The best chain, block by block, without a gap: each block is a child of the one before it. Only where the chain changed its mind
/// it goes back: a block whose number is not greater than the last one's undoes the blocks from that number on.
pub struct Follower<'a> {
	chain: &'a Chain,
	heads: RpcSubscription<<Config as subxt::Config>::Header>,
	/// The number before the first of `seen`.
	after: u64,
	/// The hashes of the blocks that were given out, or lie before those, and still count.
	seen: VecDeque<H256>,
	/// The number of the best block.
	known: u64,
	depth: u64,
}

impl Follower<'_> {
	/// The next block.
	pub async fn next(&mut self) -> anyhow::Result<At> {
		loop {
			while self.known < self.last() + 1 + self.depth {
				let head = self.heads.next().await.context("the node closed the connection")?.map_err(lost)?;
				self.known = head.number;
				self.forget_undone().await?;
			}
			let rpc = self.chain.rpc();
			// Both may be missing: the best chain may have become another, and a shorter one.
			let hash = rpc.chain_get_block_hash(Some((self.last() + 1).into())).await.map_err(lost)?;
			let header = rpc.chain_get_header(hash).await.map_err(lost)?;
			let (Some(hash), Some(header)) = (hash, header) else {
				self.known = 0;
				continue;
			};
			if self.seen.back().is_some_and(|last| *last != header.parent_hash) {
				self.forget_undone().await?;
				continue;
			}
			let at = self.chain.at(hash).await?;
			self.seen.push_back(hash);
			if self.seen.len() > REMEMBERED {
				self.seen.pop_front();
				self.after += 1;
			}
			return Ok(at);
		}
	}

	/// The number of the last block that was given out and counts.
	fn last(&self) -> u64 {
		self.after + self.seen.len() as u64
	}

	/// Forgets blocks that are not in the best chain any more.
	async fn forget_undone(&mut self) -> anyhow::Result<()> {
		while let Some(last) = self.seen.back() {
			let hash = self.chain.rpc().chain_get_block_hash(Some(self.last().into())).await.map_err(lost)?;
			if hash == Some(*last) {
				break;
			}
			self.seen.pop_back();
		}
		Ok(())
	}
}
