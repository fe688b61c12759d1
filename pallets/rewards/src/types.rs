//! Shares of a fee, eras, and the ledgers of stake.

use assay_primitives::Balance;
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use core::marker::PhantomData;
use frame_support::{
	traits::{fungible::Credit, Get},
	BoundedVec, CloneNoBound, DebugNoBound, DefaultNoBound, EqNoBound, PartialEqNoBound,
};
use frame_system::pallet_prelude::BlockNumberFor;
use scale_info::TypeInfo;
use sp_runtime::{traits::AtLeast32BitUnsigned, Permill, SaturatedConversion};

use crate::Config;

/// The number of an era, from 0.
pub type EraIndex = u32;
/// Stake in planck times blocks.
pub type Points = u128;

/// Where a fee went. The four parts add up to the fee.
#[derive(
	Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Shares {
	/// Burned, in planck.
	pub burned: Balance,
	/// To the treasury, in planck.
	pub treasury: Balance,
	/// To the owner of the model, in planck.
	pub royalty: Balance,
	/// To the worker, in planck.
	pub worker: Balance,
}

impl Shares {
	/// The fee that was shared.
	pub fn total(&self) -> Balance {
		self.burned.saturating_add(self.treasury).saturating_add(self.royalty).saturating_add(self.worker)
	}
}

/// What a worker did that lowers its availability in the era in which it did it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub enum Fault {
	/// It did not answer a job in time.
	#[codec(index = 0)]
	MissedDeadline,
	/// It declined a job.
	#[codec(index = 1)]
	Declined,
}

/// The era that is on.
#[derive(
	Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct CurrentEraInfo<BlockNumber> {
	/// Its number.
	pub index: EraIndex,
	/// Its first block.
	pub started_at: BlockNumber,
}

/// An era that is over.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct EraInfo<BlockNumber> {
	/// Its first block.
	pub started_at: BlockNumber,
	/// The first block after it.
	pub ended_at: BlockNumber,
	/// The most that is minted for it, in planck.
	pub emission: Balance,
	/// What was minted for it so far, in planck.
	pub paid: Balance,
	/// The points of all workers.
	pub total_points: Points,
}

/// Stake since a block, and the points it earned in the era before that block.
#[derive(
	Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
)]
pub struct Accrual<BlockNumber> {
	/// The stake, in planck.
	pub stake: Balance,
	/// Since when it is that, within the era.
	pub since: BlockNumber,
	/// The points earned in the era before.
	pub points: Points,
}

impl<BlockNumber: AtLeast32BitUnsigned + Copy> Accrual<BlockNumber> {
	/// The points earned in the era by the beginning of block `now`.
	pub fn points_at(&self, now: BlockNumber) -> Points {
		let blocks: u128 = now.saturating_sub(self.since).saturated_into();
		self.points.saturating_add(self.stake.saturating_mul(blocks))
	}

	/// Book what was earned by the beginning of block `now` and go on with `stake`.
	pub fn change(&mut self, stake: Balance, now: BlockNumber) {
		self.points = self.points_at(now);
		self.since = now;
		self.stake = stake;
	}
}

/// One era in the ledger of a worker: one in which its stake changed, it sent a heartbeat, was at fault, or was paid for.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo)]
pub struct Entry<BlockNumber> {
	/// The era.
	pub era: EraIndex,
	/// Its stake in that era.
	pub accrual: Accrual<BlockNumber>,
	/// Those points of the accrual that it earned while it was live.
	pub proven: Points,
	/// Until the beginning of which block it is live, as far as was known at the end of this entry.
	pub live_until: BlockNumber,
	/// The share of the era's emission that it lost through faults.
	pub faults: Permill,
	/// Whether its emission was paid.
	pub paid: bool,
}

impl<BlockNumber: AtLeast32BitUnsigned + Copy> Entry<BlockNumber> {
	/// The points earned while it was live by the beginning of block `now`.
	pub fn proven_at(&self, now: BlockNumber) -> Points {
		let blocks: u128 = self.live_until.min(now).saturating_sub(self.accrual.since).saturated_into();
		self.proven.saturating_add(self.accrual.stake.saturating_mul(blocks))
	}

	/// Book what was earned by the beginning of block `now` and go on with `stake`.
	pub fn change(&mut self, stake: Balance, now: BlockNumber) {
		self.proven = self.proven_at(now);
		self.accrual.change(stake, now);
	}
}

/// The active stake of a worker through the eras that are not forgotten yet.
#[derive(
	CloneNoBound, PartialEqNoBound, EqNoBound, DebugNoBound, DefaultNoBound, Encode, Decode, MaxEncodedLen, TypeInfo,
)]
#[scale_info(skip_type_params(Bound))]
pub struct Ledger<BlockNumber, Bound>
where
	BlockNumber: Clone + Default + PartialEq + Eq + core::fmt::Debug,
	Bound: Get<u32>,
{
	/// The stake at the beginning of the first entry, in planck.
	pub base: Balance,
	/// Until the beginning of which block the worker is live, as was known at the beginning of the first entry.
	pub base_live_until: BlockNumber,
	/// The entries, oldest first. In an era without one, the stake is that of the entry before, or `base`.
	pub entries: BoundedVec<Entry<BlockNumber>, Bound>,
}

impl<BlockNumber, Bound> Ledger<BlockNumber, Bound>
where
	BlockNumber: AtLeast32BitUnsigned + Copy + Default + core::fmt::Debug,
	Bound: Get<u32>,
{
	/// The stake now.
	pub fn stake(&self) -> Balance {
		self.entries.last().map_or(self.base, |entry| entry.accrual.stake)
	}

	/// Until the beginning of which block the worker is live, as far as is known now.
	pub fn live_until(&self) -> BlockNumber {
		self.entries.last().map_or(self.base_live_until, |entry| entry.live_until)
	}

	/// The stake at the beginning of an era that has no entry, and until when the worker was known to be live then.
	fn before(&self, era: EraIndex) -> (Balance, BlockNumber) {
		let before = self.entries.iter().rev().find(|entry| entry.era < era);
		before.map_or((self.base, self.base_live_until), |entry| (entry.accrual.stake, entry.live_until))
	}

	/// The entry of an era, or what it would be if the ledger had one.
	pub fn entry(&self, era: EraIndex, started_at: BlockNumber) -> Entry<BlockNumber> {
		let found = self.entries.iter().find(|entry| entry.era == era).cloned();
		found.unwrap_or_else(|| {
			let (stake, live_until) = self.before(era);
			let accrual = Accrual { stake, since: started_at, points: 0 };
			Entry { era, accrual, proven: 0, live_until, faults: Permill::zero(), paid: false }
		})
	}

	/// Put the entry of an era in its place. `false` if there is no room, which [`Self::forget`] makes.
	#[must_use]
	pub fn put(&mut self, entry: Entry<BlockNumber>) -> bool {
		match self.entries.binary_search_by_key(&entry.era, |other| other.era) {
			Ok(place) => {
				if let Some(slot) = self.entries.get_mut(place) {
					*slot = entry;
				}
				true
			}
			Err(place) => self.entries.try_insert(place, entry).is_ok(),
		}
	}

	/// Drop the entries of eras before `oldest`.
	pub fn forget(&mut self, oldest: EraIndex) {
		(self.base, self.base_live_until) = self.before(oldest);
		self.entries.retain(|entry| entry.era >= oldest);
	}

	/// Whether nothing is left to know of the worker.
	pub fn is_empty(&self) -> bool {
		self.base == 0 && self.entries.is_empty()
	}
}

/// The most entries of a ledger: the eras that are kept, and the one that is on.
pub struct MaxEntries<T>(PhantomData<T>);

impl<T: Config> Get<u32> for MaxEntries<T> {
	fn get() -> u32 {
		T::HistoryDepth::get().saturating_add(1)
	}
}

/// A [`Ledger`] of a runtime.
pub type LedgerOf<T> = Ledger<BlockNumberFor<T>, MaxEntries<T>>;
/// An [`EraInfo`] of a runtime.
pub type EraInfoOf<T> = EraInfo<BlockNumberFor<T>>;
/// Money on its way to whoever gets it. Dropping it burns it.
pub type CreditOf<T> = Credit<<T as frame_system::Config>::AccountId, <T as Config>::Currency>;
