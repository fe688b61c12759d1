//! What a watchtower does about one claim, from what is known: a function without memory or chain, called for every block.

use crate::{
	amount::Share,
	disputes::{Challenge, Dispute, Node, Phase, Seal, Stage},
	types::Bytes32,
};

/// A challenge that was in a block and is not there now may come back when the chain has made up its mind, within so many blocks.
const SETTLE_BLOCKS: u64 = 10;
/// The chain gives bonds back by itself within so many blocks, if it is not busy.
const RETURN_BLOCKS: u64 = 5;

/// Whether the own computation agrees with a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
	/// To the last bit.
	Right,
	/// It does not; how, in words.
	Wrong(String),
	/// It cannot be computed; why, in words.
	Unknown(String),
}

/// What is known of a claim at a block.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
	/// The block. What is sent now is in a later one.
	pub now: u64,
	/// The end of the window, if the claim is its job's open one.
	pub settles_at: Option<u64>,
	/// What the own computation says, once it is done.
	pub finding: Option<Finding>,
	/// Whether the chain has disputes.
	pub disputes: bool,
	/// The dispute about it.
	pub dispute: Option<Dispute>,
	/// The own challenge.
	pub mine: Option<Challenge>,
	/// The node that the own challenge waits for.
	pub node: Option<Node>,
	/// The own seal.
	pub seal: Option<Seal>,
	/// The blocks within which a seal must be revealed.
	pub reveal: u64,
	/// The number of full blocks on the chain.
	pub full: u32,
	/// When the own challenge was made, if it ever was.
	pub challenged_in: Option<u64>,
}

/// What to wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wait {
	/// The worker's trace; the last block for it.
	Publication(u64),
	/// The worker's answer; the last block for it.
	Answer(u64),
	/// The chain, to convict a silent worker.
	Verdict,
	/// The chain, to give the bond back.
	Bond,
	/// The chain, to agree with itself.
	Chain,
}

/// How it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
	/// The claim is right.
	Right,
	/// Nobody knows; why.
	Unchecked(String),
	/// It is wrong, and can no longer be challenged, or never could be.
	Missed(String),
	/// The worker was convicted; whether there was a challenge of ours.
	Convicted(bool),
	/// Our challenge was lost.
	Lost,
	/// The claim is gone: its block was replaced by another.
	Gone,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
	/// Compute it.
	Check,
	/// Seal a challenge.
	Seal,
	/// Challenge.
	Challenge {
		/// With the salt of the seal.
		sealed: bool,
	},
	/// Take the seal back.
	Unseal,
	/// Our move: ask the engine, then demand or prove.
	Move {
		/// When the trace was published.
		published_at: u32,
	},
	/// Take the bond back.
	Withdraw,
	/// Nothing.
	Wait(Wait),
	/// Forget it.
	End(End),
}

/// What to do next about a claim.
pub fn next(known: &Known) -> Next {
	match (&known.dispute, &known.mine) {
		(Some(Dispute { phase: Phase::Convicted { at }, .. }), mine) => convicted(known, (*at).into(), mine.is_some()),
		(Some(dispute), Some(mine)) => play(known, dispute, mine),
		_ => match known.challenged_in {
			Some(block) if known.now < block + SETTLE_BLOCKS => Next::Wait(Wait::Chain),
			// Disputes are forgotten some time after a conviction, and so is the claim. One that still stands was defended.
			Some(_) if known.settles_at.is_none() && known.dispute.is_none() => Next::End(End::Gone),
			Some(_) => Next::End(End::Lost),
			None => open(known),
		},
	}
}

/// The worker is convicted: what is ours comes back.
fn convicted(known: &Known, at: u64, mine: bool) -> Next {
	if mine && known.now > at + RETURN_BLOCKS {
		return Next::Withdraw;
	}
	if mine {
		return Next::Wait(Wait::Bond);
	}
	match &known.seal {
		Some(seal) if revealable(known, seal) => Next::Unseal,
		_ => Next::End(End::Convicted(known.challenged_in.is_some())),
	}
}

/// The next block still takes the salt.
fn revealable(known: &Known, seal: &Seal) -> bool {
	known.now < u64::from(seal.at) + known.reveal
}

/// A challenge of ours is live.
fn play(known: &Known, dispute: &Dispute, mine: &Challenge) -> Next {
	let worker = |by: u64, wait: Wait| Next::Wait(if known.now > by { Wait::Verdict } else { wait });
	match (&dispute.phase, &mine.stage) {
		(Phase::Unpublished(clock), _) => {
			let by = clock.last(known.full);
			worker(by, Wait::Publication(by))
		}
		(Phase::Published { at, .. }, Stage::Publication | Stage::Move(_)) => Next::Move { published_at: *at },
		(Phase::Published { at, .. }, Stage::Answer(_)) => match &known.node {
			Some(Node::Outstanding { clock, .. }) => {
				let by = clock.last(known.full);
				worker(by, Wait::Answer(by))
			}
			Some(Node::Opened { .. }) => Next::Move { published_at: *at },
			None => Next::Wait(Wait::Chain),
		},
		(Phase::Convicted { .. } | Phase::Defended, _) => Next::Wait(Wait::Chain),
	}
}

/// We have not challenged it.
fn open(known: &Known) -> Next {
	let Some(settles_at) = known.settles_at else { return Next::End(End::Gone) };
	// A transaction is in the next block at the earliest.
	let in_time = |blocks: u64| known.now + blocks < settles_at;
	match &known.finding {
		None if in_time(1) => Next::Check,
		None => Next::End(End::Unchecked("the window ended before it could be checked".into())),
		Some(Finding::Right) => Next::End(End::Right),
		Some(Finding::Unknown(why)) => Next::End(End::Unchecked(why.clone())),
		Some(Finding::Wrong(_)) if !known.disputes => Next::End(End::Missed("this chain has no disputes".into())),
		Some(Finding::Wrong(_)) => {
			let clock_over = match &known.dispute {
				Some(Dispute { phase: Phase::Unpublished(clock), .. }) => known.now >= clock.last(known.full),
				_ => false,
			};
			match &known.seal {
				// Somebody else's challenge is about to end with a conviction; none can be added.
				_ if clock_over => Next::Wait(Wait::Verdict),
				Some(seal) if in_time(1) && revealable(known, seal) => Next::Challenge { sealed: true },
				// The seal takes a block, the challenge the next; one to spare.
				None if in_time(3) => Next::Seal,
				_ if in_time(1) => Next::Challenge { sealed: false },
				_ => Next::End(End::Missed("the window ended before it could be challenged".into())),
			}
		}
	}
}

/// Whether a claim is among those that are checked. Only who knows the key can tell before: a worker could otherwise look for a
/// wrong answer that nobody checks.
pub fn sampled(key: &str, claim: &Bytes32, share: Share) -> bool {
	let hash = assay_semantics::hash(b"assay/watch/sample", &[key.as_bytes(), claim]);
	let word = hash.iter().take(8).fold(0u64, |word, byte| word << 8 | u64::from(*byte));
	// The hash as a fraction of one is below the share.
	u128::from(word) * u128::from(Share::ONE) < u128::from(share.0) << 64
}

#[cfg(test)]
mod tests;
