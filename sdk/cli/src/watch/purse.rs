//! How much disputes may put on hold and spend, all together.

use crate::types::Bytes32;
use std::collections::HashMap;

/// The budget, and what is taken of it. A dispute takes at its beginning what it can come to at most, so that none is given up half way.
#[derive(Default, Debug)]
pub(super) struct Purse {
	budget: Option<u128>,
	taken: HashMap<Bytes32, u128>,
	spent: u128,
}

impl Purse {
	pub(super) fn new(budget: Option<u128>) -> Self {
		Self { budget, ..Self::default() }
	}

	/// What is left of the budget beside what a claim has taken.
	fn left(&self, claim: &Bytes32) -> u128 {
		let others: u128 = self.taken.iter().filter(|(other, _)| *other != claim).map(|(_, amount)| amount).sum();
		self.budget.unwrap_or(u128::MAX).saturating_sub(others).saturating_sub(self.spent)
	}

	/// Takes an amount for a claim; or says how much is left.
	pub(super) fn take(&mut self, claim: Bytes32, amount: u128) -> Result<(), u128> {
		let left = self.left(&claim);
		if amount > left {
			return Err(left);
		}
		self.taken.insert(claim, amount);
		Ok(())
	}

	/// Notes what is on hold for a claim anyway.
	pub(super) fn hold(&mut self, claim: Bytes32, amount: u128) {
		self.taken.insert(claim, amount);
	}

	/// The dispute is over.
	pub(super) fn put_back(&mut self, claim: &Bytes32) {
		self.taken.remove(claim);
	}

	/// What is gone for good.
	pub(super) fn spend(&mut self, amount: u128) {
		self.spent = self.spent.saturating_add(amount);
	}

	pub(super) fn spent(&self) -> u128 {
		self.spent
	}

	/// What disputes have taken, all together.
	pub(super) fn taken(&self) -> u128 {
		self.taken.values().fold(0, |sum, amount| sum.saturating_add(*amount))
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn dispute_should_not_begin_when_the_budget_does_not_cover_all_of_it() {
		let mut purse = Purse::new(Some(100));
		assert_eq!(purse.take([1; 32], 60), Ok(()));
		assert_eq!(purse.take([1; 32], 60), Ok(()), "it has that already");
		assert_eq!(purse.take([2; 32], 60), Err(40));
		assert_eq!(purse.taken(), 60);
		purse.put_back(&[1; 32]);
		purse.spend(50);
		assert_eq!(purse.take([2; 32], 60), Err(50));
		assert_eq!(Purse::new(None).take([1; 32], u128::MAX), Ok(()));
		// What is on hold from before a restart counts, whatever the budget.
		purse.hold([3; 32], 200);
		assert_eq!(purse.take([2; 32], 1), Err(0));
	}
}
