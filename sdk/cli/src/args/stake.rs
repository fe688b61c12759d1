//! The commands of people with stake: delegators, validators, nominators.

use super::AmountOrAll;
use crate::{
	account::Who,
	amount::{Amount, Share},
};
use clap::{Args as ClapArgs, Subcommand};

/// `assay delegate`.
#[derive(ClapArgs, Debug)]
pub struct Delegate {
	/// The worker.
	pub worker: Who,
	/// In OPG.
	pub amount: Amount,
}

/// `assay delegation`.
#[derive(Subcommand, Debug)]
pub enum DelegationCommand {
	/// What a delegator has behind a worker.
	Status {
		/// The worker.
		worker: Who,
		/// The delegator (default: --account).
		who: Option<Who>,
	},
	/// Start to take stake out. It can be slashed until the unbonding delay is over.
	Undelegate {
		/// The worker.
		worker: Who,
		/// In OPG, or `all`.
		amount: AmountOrAll,
	},
	/// Take out what is due. Anyone may, for anyone.
	Withdraw {
		/// The worker.
		worker: Who,
		/// The delegator (default: --account).
		who: Option<Who>,
	},
	/// Claim rewards. Anyone may, for anyone.
	Claim {
		/// The worker.
		worker: Who,
		/// The delegator (default: --account).
		who: Option<Who>,
	},
	/// Say where rewards go when they are claimed.
	Payee {
		/// The worker.
		worker: Who,
		/// To the account, or to the stake.
		to: DelegationPayee,
	},
}

/// Where the rewards of a delegation go.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum DelegationPayee {
	/// To the delegator's account.
	Account,
	/// To the stake.
	Stake,
}

/// `assay validator`.
#[derive(Subcommand, Debug)]
pub enum ValidatorCommand {
	/// The validators of this session, and who wants to be one.
	List,
	/// A validator's stake, keys and open payouts.
	Status {
		/// The validator (default: --account).
		who: Option<Who>,
	},
	/// Bond stake, or add to it.
	Bond(Bond),
	/// Set the session keys, with which your node makes and finalises blocks. The node at --url makes new ones: it must be your own.
	Keys {
		/// Keys that the node has made before, in hexadecimal: what its RPC `author_rotateKeysWithOwner` returned.
		#[arg(long, value_name = "HEX", requires = "proof")]
		keys: Option<Hex>,
		/// The proof that goes with them.
		#[arg(long, value_name = "HEX", requires = "keys")]
		proof: Option<Hex>,
	},
	/// Ask to be elected from the next era on. Set the session keys before.
	Validate {
		/// Your share of the rewards, before they are divided by stake.
		#[arg(long, default_value = "0%")]
		commission: Share,
		/// Take no new nominations.
		#[arg(long)]
		blocked: bool,
	},
	/// Be a candidate no longer, from the next era on.
	Chill,
	/// Pay out an era's rewards to a validator and its nominators. Anyone may.
	Payout {
		/// The validator (default: --account).
		who: Option<Who>,
		/// The era (default: all that are open, oldest first).
		#[arg(long)]
		era: Option<u32>,
	},
}

/// `assay nominate`.
#[derive(ClapArgs, Debug)]
pub struct Nominate {
	/// The validators; their number is limited. Earlier nominations are replaced.
	#[arg(required = true)]
	pub validators: Vec<Who>,
	/// Bond so much first, or add so much to what is bonded, in the same transaction.
	#[arg(long, value_name = "OPG")]
	pub bond: Option<Amount>,
}

/// Stake to bond.
#[derive(ClapArgs, Debug)]
pub struct Bond {
	/// In OPG.
	pub amount: Amount,
	/// Where rewards go: `staked` (added to the stake), `stash` (to the account) or another account. Only for a first bond;
	/// later, see `assay staking payee`.
	#[arg(long, default_value = "staked")]
	pub payee: Payee,
}

/// `assay staking`.
#[derive(Subcommand, Debug)]
pub enum StakingCommand {
	/// What an account has bonded, for what, and what is on its way out.
	Status {
		/// The account (default: --account).
		who: Option<Who>,
	},
	/// Bond stake, or add to it.
	Bond(Bond),
	/// Start to take stake out. It can be slashed until the bonding duration is over.
	Unbond {
		/// In OPG, or `all`.
		amount: AmountOrAll,
	},
	/// Bond again what is on its way out.
	Rebond {
		/// In OPG.
		amount: Amount,
	},
	/// Take out what is due.
	Withdraw,
	/// Nominate or validate no longer, from the next era on.
	Chill,
	/// Say where rewards go.
	Payee {
		/// `staked` (added to the stake), `stash` (to the account), `none`, or another account.
		to: Payee,
	},
}

/// Where the rewards of validators and nominators go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payee {
	/// To the stake.
	Staked,
	/// To the account.
	Stash,
	/// Nowhere.
	None,
	/// To another account.
	Account(Who),
}

impl std::str::FromStr for Payee {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		Ok(match text {
			"staked" => Self::Staked,
			"stash" => Self::Stash,
			"none" => Self::None,
			other => Self::Account(other.parse()?),
		})
	}
}

/// Bytes in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hex(pub Vec<u8>);

impl std::str::FromStr for Hex {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		let digits = text.strip_prefix("0x").unwrap_or(text);
		hex::decode(digits).map(Self).map_err(|_| "this is not hexadecimal".into())
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn payee_should_be_a_word_or_an_account() {
		assert_eq!("stash".parse(), Ok(Payee::Stash));
		assert_eq!("//Bob".parse(), Ok(Payee::Account("//Bob".parse().unwrap())));
		assert!("no such thing".parse::<Payee>().is_err());
		assert_eq!("0x0102".parse(), Ok(Hex(vec![1, 2])));
		assert!("0x012".parse::<Hex>().is_err());
	}
}
