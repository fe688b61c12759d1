//! The invariants of this pallet, one check for each.

use super::*;
use assay_primitives::Balance;
use frame_support::ensure;
use sp_runtime::TryRuntimeError;

impl<T: Config> Pallet<T> {
	/// Check every invariant of this pallet.
	pub fn do_try_state() -> Result<(), TryRuntimeError> {
		Self::check_ledgers()?;
		Self::check_eras()
	}

	/// Ledgers are in order and add up to the total.
	fn check_ledgers() -> Result<(), TryRuntimeError> {
		let now = frame_system::Pallet::<T>::block_number();
		let CurrentEraInfo { index, started_at } = CurrentEra::<T>::get();
		let (mut stake, mut points): (Balance, Points) = (0, 0);
		for (_, ledger) in Ledgers::<T>::iter() {
			stake = stake.saturating_add(ledger.stake());
			points = points.saturating_add(ledger.entry(index, started_at).accrual.points_at(now));
			let ordered = ledger.entries.windows(2).all(|pair| matches!(pair, [a, b] if a.era < b.era));
			ensure!(ordered, "the entries of a ledger are not listed oldest first");
			for entry in &ledger.entries {
				ensure!(entry.proven <= entry.accrual.points, "points are proven that were not earned");
				ensure!(
					entry.live_until <= Self::lifetime_from(now),
					"a worker is live for longer than a heartbeat lasts"
				);
			}
			ensure!(ledger.entries.iter().all(|entry| entry.era <= index), "a ledger has an entry of an era to come");
		}
		let total = TotalStake::<T>::get();
		ensure!(total.stake == stake, "the total stake is not the sum over all ledgers");
		ensure!(total.points_at(now) == points, "the points of the era are not the sum over all ledgers");
		Ok(())
	}

	/// The eras that are kept are the last ones, within their emission, and add up.
	fn check_eras() -> Result<(), TryRuntimeError> {
		let current = CurrentEra::<T>::get().index;
		let mut paid: Balance = 0;
		for (era, info) in Eras::<T>::iter() {
			ensure!((Self::oldest_kept(current)..current).contains(&era), "an era is kept that should be forgotten");
			ensure!(info.paid <= info.emission, "more than its emission was minted for an era");
			paid = paid.saturating_add(info.paid);
			let points = Ledgers::<T>::iter_values().fold(0, |sum: Points, ledger| {
				sum.saturating_add(ledger.entry(era, info.started_at).accrual.points_at(info.ended_at))
			});
			ensure!(info.total_points == points, "the points of an era are not the sum over all ledgers");
		}
		ensure!(paid <= TotalMinted::<T>::get(), "less was minted in all than for the eras that are kept");
		let scheduled = Self::scheduled(EmittedEras::<T>::get());
		ensure!(TotalMinted::<T>::get() <= scheduled, "more was minted than the schedule allows");
		Ok(())
	}
}
