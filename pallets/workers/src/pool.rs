//! The stake of a worker's delegators: who owns which part of it, what is on its way out, and what it earned.
//!
//! Nothing here is done for each delegator. Stake is owned in shares, so that a slash takes from all at once; what was earned
//! is kept per share, so that a reward reaches all at once. Every rounding is against whoever moves.

use alloc::vec::Vec;
use assay_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{traits::Get, BoundedVec, CloneNoBound, DebugNoBound, DefaultNoBound, EqNoBound, PartialEqNoBound};
use scale_info::TypeInfo;
use sp_core::U256;
use sp_runtime::{
	helpers_128bit::multiply_by_rational_with_rounding, traits::AtLeast32BitUnsigned, Perbill, Rounding, Saturating,
};

use crate::types::Unbonding;

/// A joint stake of which all but this part was taken takes nothing in any more, until its last share is gone. Keeps shares
/// far below what 128 bits can count.
const MAX_SHARES_PER_PLANCK: u128 = 1_000_000;

/// What is earned per share is counted in 10^-30 planck. Decimal, so that what divides evenly for people does here.
const PER_PLANCK: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// `amount * part / whole`, rounded down; zero if the whole is.
pub(crate) fn part_of(amount: Balance, part: Balance, whole: Balance) -> Balance {
	multiply_by_rational_with_rounding(amount, part, whole, Rounding::Down).unwrap_or(0)
}

/// Stake that several own together, each as many shares of it.
///
/// The first share costs one planck, and a share is never worth more than that: stake goes in for shares only, and slashes and
/// roundings can but make a share cheaper, or leave it as it is. So nobody can be the first and make shares dear for others.
#[derive(
	Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Joint {
	/// The stake, in planck.
	pub stake: Balance,
	/// All shares of it.
	pub shares: u128,
}

impl Joint {
	/// Whether stake can be added.
	pub fn is_open(&self) -> bool {
		self.shares <= self.stake.saturating_mul(MAX_SHARES_PER_PLANCK)
	}

	/// What some of the shares are worth, in planck.
	pub fn value(&self, shares: u128) -> Balance {
		part_of(shares, self.stake, self.shares)
	}

	/// Add stake to an open joint stake. The shares that it is worth.
	pub fn add(&mut self, amount: Balance) -> u128 {
		let shares = if self.shares == 0 { amount } else { part_of(amount, self.shares, self.stake) };
		self.stake = self.stake.saturating_add(amount);
		self.shares = self.shares.saturating_add(shares);
		shares
	}

	/// Give shares back. What they were worth.
	pub fn redeem(&mut self, shares: u128) -> Balance {
		let amount = self.value(shares);
		self.stake = self.stake.saturating_sub(amount);
		self.shares = self.shares.saturating_sub(shares);
		amount
	}

	/// Take out an amount that is at most what the mover's shares are worth. The shares that it costs.
	pub fn take_out(&mut self, amount: Balance) -> u128 {
		let cost = multiply_by_rational_with_rounding(amount, self.shares, self.stake, Rounding::Up);
		let cost = cost.unwrap_or(self.shares).min(self.shares);
		self.stake = self.stake.saturating_sub(amount);
		self.shares = self.shares.saturating_sub(cost);
		cost
	}
}

/// Stake of delegators that can be withdrawn from the same block on.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Bucket<BlockNumber> {
	/// The first block in which it can be withdrawn.
	pub withdrawable_at: BlockNumber,
	/// The stake.
	pub joint: Joint,
}

/// The share of its delegators' rewards that a worker keeps.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Commission<BlockNumber> {
	/// The share until `next` is due.
	pub rate: Perbill,
	/// A higher share, and the first block in which it is taken.
	pub next: Option<(Perbill, BlockNumber)>,
}

impl<BlockNumber: AtLeast32BitUnsigned + Copy> Commission<BlockNumber> {
	/// The share in block `now`.
	pub fn at(&self, now: BlockNumber) -> Perbill {
		self.next.filter(|(_, from)| *from <= now).map_or(self.rate, |(rate, _)| rate)
	}

	/// The share in block `now`, and the one that is due later.
	pub fn announced(&self, now: BlockNumber) -> (Perbill, Option<(Perbill, BlockNumber)>) {
		(self.at(now), self.next.filter(|(_, from)| *from > now))
	}
}

/// The stake of a worker's delegators.
#[derive(
	CloneNoBound,
	PartialEqNoBound,
	EqNoBound,
	DebugNoBound,
	DefaultNoBound,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
#[scale_info(skip_type_params(MaxUnbonding))]
pub struct Pool<BlockNumber, MaxUnbonding>
where
	BlockNumber: Clone + PartialEq + Eq + core::fmt::Debug,
	MaxUnbonding: Get<u32>,
{
	/// What can cover jobs.
	pub bonded: Joint,
	/// What is on its way out. It can be slashed until it is due.
	pub unbonding: BoundedVec<Bucket<BlockNumber>, MaxUnbonding>,
	/// What was earned and not yet claimed, in planck.
	pub rewards: Balance,
	/// What one bonded share has earned since the beginning, in 10^-30 planck.
	pub per_share: U256,
	/// The number of delegations that are not gone.
	pub delegators: u32,
	/// What the worker keeps of rewards. `None` if it takes no delegations.
	pub commission: Option<Commission<BlockNumber>>,
}

impl<BlockNumber, MaxUnbonding> Pool<BlockNumber, MaxUnbonding>
where
	BlockNumber: AtLeast32BitUnsigned + Copy + core::fmt::Debug,
	MaxUnbonding: Get<u32>,
{
	/// What a slash in block `now` can reach. In the block in which stake is due it still can, before that is withdrawn: claims
	/// are decided at the beginning of a block.
	pub fn slashable(&self, now: BlockNumber) -> Balance {
		let buckets = self.unbonding.iter().filter(|bucket| bucket.withdrawable_at >= now);
		buckets.fold(self.bonded.stake, |sum, bucket| sum.saturating_add(bucket.joint.stake))
	}

	/// Take `amount` in block `now`, at most [`Self::slashable`], from what is bonded and what is unbonding alike.
	pub fn take(&mut self, amount: Balance, now: BlockNumber) {
		let all = self.slashable(now);
		let mut missing = amount;
		let buckets = self.unbonding.iter_mut().filter(|bucket| bucket.withdrawable_at >= now);
		let mut joints: Vec<_> = core::iter::once(&mut self.bonded).chain(buckets.map(|it| &mut it.joint)).collect();
		let mut cut = |joint: &mut Joint, most: Balance| {
			let part = missing.min(most).min(joint.stake);
			joint.stake = joint.stake.saturating_sub(part);
			missing = missing.saturating_sub(part);
		};
		for joint in joints.iter_mut() {
			let fair = part_of(amount, joint.stake, all);
			cut(joint, fair);
		}
		// What rounding has left, a planck or two for each.
		for joint in joints.iter_mut() {
			cut(joint, Balance::MAX);
		}
	}

	/// The part of a reward in block `now` that goes to the delegators: less the commission, by stake beside `own` of the worker.
	pub fn part_of_reward(&self, reward: Balance, own: Balance, now: BlockNumber) -> Balance {
		let rate = self.commission.as_ref().map_or(Perbill::zero(), |commission| commission.at(now));
		let whole = self.bonded.stake.saturating_add(own);
		// The commission is on what delegated stake earns: a worker owes none on its own.
		let earned = part_of(reward, self.bonded.stake, whole);
		Perbill::one().saturating_sub(rate).mul_floor(earned)
	}

	/// Book a reward for all bonded shares. There must be some.
	pub fn add_reward(&mut self, reward: Balance) {
		// Less than 2^128 times less than 2^100.
		let all = U256::from(reward).saturating_mul(PER_PLANCK.into());
		let each = all.checked_div(self.bonded.shares.into()).unwrap_or_default();
		self.per_share = self.per_share.saturating_add(each);
		self.rewards = self.rewards.saturating_add(reward);
	}
}

/// Where a delegator's rewards go when they are claimed.
#[derive(
	Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub enum Payee {
	/// To the delegator's account.
	#[codec(index = 0)]
	#[default]
	Account,
	/// To its stake.
	#[codec(index = 1)]
	Stake,
}

/// Shares of a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Leaving<BlockNumber> {
	/// The first block in which they can be withdrawn; names the bucket.
	pub withdrawable_at: BlockNumber,
	/// How many.
	pub shares: u128,
}

/// What one delegator has in the pool of one worker.
#[derive(
	CloneNoBound,
	PartialEqNoBound,
	EqNoBound,
	DebugNoBound,
	DefaultNoBound,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
#[scale_info(skip_type_params(MaxUnbonding))]
pub struct Delegation<BlockNumber, MaxUnbonding>
where
	BlockNumber: Clone + PartialEq + Eq + core::fmt::Debug,
	MaxUnbonding: Get<u32>,
{
	/// Shares of what is bonded.
	pub shares: u128,
	/// The pool's `per_share` up to which rewards are counted in `rewards`.
	pub per_share: U256,
	/// Rewards up to there, not yet claimed, in planck.
	pub rewards: Balance,
	/// Where rewards go.
	pub payee: Payee,
	/// Shares of what is on its way out.
	pub unbonding: BoundedVec<Leaving<BlockNumber>, MaxUnbonding>,
}

impl<BlockNumber, MaxUnbonding> Delegation<BlockNumber, MaxUnbonding>
where
	BlockNumber: AtLeast32BitUnsigned + Copy + core::fmt::Debug,
	MaxUnbonding: Get<u32>,
{
	/// All rewards that are not yet claimed, in planck.
	pub fn claimable(&self, pool: &Pool<BlockNumber, MaxUnbonding>) -> Balance {
		let since = pool.per_share.saturating_sub(self.per_share);
		let earned = U256::from(self.shares).saturating_mul(since).checked_div(PER_PLANCK.into()).unwrap_or_default();
		self.rewards.saturating_add(earned.try_into().unwrap_or(0))
	}

	/// Count the rewards up to now. Must come before any change of `shares`.
	pub fn accrue(&mut self, pool: &Pool<BlockNumber, MaxUnbonding>) {
		self.rewards = self.claimable(pool);
		self.per_share = pool.per_share;
	}

	/// Whether nothing is left of it.
	pub fn is_empty(&self) -> bool {
		self.shares == 0 && self.rewards == 0 && self.unbonding.is_empty()
	}
}

/// What a wallet shows of a delegation.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct DelegationStatus<BlockNumber> {
	/// The bonded stake, in planck, after all slashes so far.
	pub stake: Balance,
	/// Rewards that can be claimed, in planck.
	pub claimable: Balance,
	/// Where they go.
	pub payee: Payee,
	/// Stake on its way out. It can be slashed until it is due.
	pub unbonding: Vec<Unbonding<BlockNumber>>,
}
