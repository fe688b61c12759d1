//! What blocks say about disputes.

use super::{Grounds, Outcome, PALLET};
use crate::{chain::Config, types::Bytes32};
use subxt::{events::Events, ext::scale_decode::DecodeAsType, utils::AccountId32};

macro_rules! events {
	($($(#[$doc:meta])* $name:ident { $($field:ident: $ty:ty),* })*) => {
		$(
			$(#[$doc])*
			#[derive(DecodeAsType, Clone, PartialEq, Eq, Debug)]
			#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
			#[allow(missing_docs)]
			pub struct $name { $(pub $field: $ty),* }
		)*

		/// An event of the disputes pallet.
		#[derive(Clone, PartialEq, Eq, Debug)]
		pub enum DisputeEvent {
			$($(#[$doc])* $name($name),)*
		}

		fn decode(event: &subxt::events::Event<'_, Config>) -> anyhow::Result<Option<DisputeEvent>> {
			Ok(match event.event_name() {
				$(stringify!($name) => Some(DisputeEvent::$name(event.decode_fields_unchecked_as()?)),)*
				_ => None,
			})
		}
	};
}

events! {
	/// Somebody is going to challenge some claim.
	Sealed { challenger: AccountId32, hash: Bytes32, number: u64 }
	/// A seal was given back, its claim having been convicted before it was revealed.
	Unsealed { challenger: AccountId32, hash: Bytes32 }
	/// A seal was not revealed in time.
	SealLapsed { challenger: AccountId32, hash: Bytes32, burned: u128 }
	/// A claim was challenged.
	Challenged { job: u64, claim: Bytes32, challenger: AccountId32, number: u64, bond: u128 }
	/// The worker published its trace.
	Published { job: u64, claim: Bytes32, trace_root: Bytes32 }
	/// A challenger asks for a node of the trace.
	Demanded { job: u64, claim: Bytes32, challenger: AccountId32, demand: Vec<u8>, answer_by: u32 }
	/// A node of the trace was opened.
	Opened { job: u64, claim: Bytes32, demand: Vec<u8> }
	/// The worker was convicted.
	Convicted { job: u64, claim: Bytes32, worker: AccountId32, grounds: Grounds, winner: Option<AccountId32>, outcome: Outcome }
	/// A challenger did not prove anything in time.
	ChallengeLost { job: u64, claim: Bytes32, challenger: AccountId32, burned: u128, to_worker: u128 }
	/// No challenge is left.
	Defended { job: u64, claim: Bytes32 }
	/// A challenger has its bond back.
	BondReturned { job: u64, claim: Bytes32, challenger: AccountId32, bond: u128, fees: u128 }
}

impl DisputeEvent {
	/// The job and the claim, if it says.
	pub fn subject(&self) -> Option<(u64, Bytes32)> {
		match self {
			Self::Sealed(_) | Self::Unsealed(_) | Self::SealLapsed(_) => None,
			Self::Challenged(Challenged { job, claim, .. })
			| Self::Published(Published { job, claim, .. })
			| Self::Demanded(Demanded { job, claim, .. })
			| Self::Opened(Opened { job, claim, .. })
			| Self::Convicted(Convicted { job, claim, .. })
			| Self::ChallengeLost(ChallengeLost { job, claim, .. })
			| Self::Defended(Defended { job, claim })
			| Self::BondReturned(BondReturned { job, claim, .. }) => Some((*job, *claim)),
		}
	}
}

/// Everything that a block says about disputes, in order.
pub fn events_in(events: &Events<Config>) -> anyhow::Result<Vec<DisputeEvent>> {
	let mut found = Vec::new();
	for event in events.iter() {
		let event = event?;
		if event.pallet_name() == PALLET {
			found.extend(decode(&event)?);
		}
	}
	Ok(found)
}
