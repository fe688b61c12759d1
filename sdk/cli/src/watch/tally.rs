//! What happened to our disputes, for people and for scripts.

use super::{
	metrics::Figures,
	plan::{End, Finding},
};
use crate::{
	amount::Amount,
	chain::Config,
	disputes::{
		events::{self, DisputeEvent},
		words,
	},
	types::Bytes32,
};
use serde_json::{json, Value as Json};
use std::collections::BTreeMap;
use subxt::{events::Events, ext::scale_decode::DecodeAsType, utils::AccountId32};

/// Counts and amounts since the start.
pub(super) struct Tally {
	me: AccountId32,
	pub(super) blocks: u64,
	agreed: u64,
	wrong: u64,
	unchecked: u64,
	missed: u64,
	earned: u128,
	/// By claim: the job, and how it stands.
	disputes: BTreeMap<Bytes32, (u64, &'static str)>,
}

/// What an event means to us.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct News {
	/// What we lost by it.
	pub(super) lost: u128,
	/// A label, the job, and words.
	pub(super) line: Option<(&'static str, u64, String)>,
}

impl Tally {
	pub(super) fn new(me: AccountId32) -> Self {
		Self { me, blocks: 0, agreed: 0, wrong: 0, unchecked: 0, missed: 0, earned: 0, disputes: BTreeMap::new() }
	}

	pub(super) fn found(&mut self, finding: &Finding) {
		match finding {
			Finding::Right => self.agreed += 1,
			Finding::Wrong(_) => self.wrong += 1,
			// Counted at its end.
			Finding::Unknown(_) => (),
		}
	}

	pub(super) fn challenged(&mut self, claim: &Bytes32, job: u64) {
		self.disputes.insert(*claim, (job, "open"));
	}

	pub(super) fn ended(&mut self, claim: &Bytes32, job: u64, end: &End) {
		match end {
			End::Unchecked(_) => self.unchecked += 1,
			End::Missed(_) => self.missed += 1,
			End::Convicted(true) => {
				self.disputes.insert(*claim, (job, "convicted"));
			}
			End::Lost => {
				self.disputes.insert(*claim, (job, "lost"));
			}
			End::Right | End::Convicted(false) | End::Gone => (),
		}
	}

	/// Whether a challenge is known to be lost.
	pub(super) fn knows_lost(&self, claim: &Bytes32) -> bool {
		self.disputes.get(claim).is_some_and(|(_, state)| *state == "lost")
	}

	/// Takes in an event; `watched` says whether its claim is one of ours to watch.
	pub(super) fn event(&mut self, event: &DisputeEvent, watched: bool) -> News {
		let mut news = News::default();
		match event {
			DisputeEvent::SealLapsed(lapsed) if lapsed.challenger == self.me => news.lost = lapsed.burned,
			DisputeEvent::Challenged(challenged) if watched && challenged.challenger != self.me => {
				let text = format!("{} challenges it too", challenged.challenger);
				news.line = Some(("Challenged", challenged.job, text));
			}
			DisputeEvent::Published(published) if watched => {
				news.line = Some(("Published", published.job, "the worker has published its trace".into()));
			}
			DisputeEvent::Opened(opened) if watched => {
				news.line =
					Some(("Opened", opened.job, format!("the worker opened {}", words::demand(&opened.demand))));
			}
			DisputeEvent::Convicted(convicted) => {
				let won = convicted.winner.as_ref() == Some(&self.me);
				if won {
					self.earned = self.earned.saturating_add(convicted.outcome.reward);
				}
				if let Some((_, state)) = self.disputes.get_mut(&convicted.claim) {
					*state = "convicted";
				}
				if watched || won {
					news.line = Some(("Convicted", convicted.job, verdict(convicted, &self.me)));
				}
			}
			DisputeEvent::ChallengeLost(lost) if lost.challenger == self.me => {
				self.disputes.insert(lost.claim, (lost.job, "lost"));
				news.lost = lost.burned.saturating_add(lost.to_worker);
				let text = format!("the challenge was lost, and with it {}", Amount(news.lost));
				news.line = Some(("Lost", lost.job, text));
			}
			DisputeEvent::BondReturned(back) if back.challenger == self.me => {
				let text = format!("{} of bond and {} of demand fees are back", Amount(back.bond), Amount(back.fees));
				news.line = Some(("Returned", back.job, text));
			}
			_ => (),
		}
		news
	}

	/// How many disputes stand like this.
	fn count(&self, wanted: &str) -> usize {
		self.disputes.values().filter(|(_, state)| *state == wanted).count()
	}

	/// What is counted here, for Prometheus.
	pub(super) fn figures(&self) -> Figures {
		Figures {
			right: self.agreed,
			wrong: self.wrong,
			unchecked: self.unchecked,
			missed: self.missed,
			open: self.count("open"),
			won: self.count("convicted"),
			lost: self.count("lost"),
			earned: self.earned,
			..Figures::default()
		}
	}

	/// Everything, for scripts.
	pub(super) fn object(&self, spent: u128) -> Json {
		json!({
			"account": self.me.to_string(),
			"blocks": self.blocks,
			"checked": self.agreed + self.wrong,
			"agreed": self.agreed,
			"wrong": self.wrong,
			"unchecked": self.unchecked,
			"missed": self.missed,
			"challenged": self.disputes.len(),
			"convicted": self.count("convicted"),
			"lost": self.count("lost"),
			"earned": self.earned.to_string(),
			"spent": spent.to_string(),
			"disputes": self.disputes.iter().map(|(claim, (job, state))| json!({
				"job": job, "claim": format!("0x{}", hex::encode(claim)), "state": state,
			})).collect::<Vec<_>>(),
		})
	}
}

fn verdict(convicted: &events::Convicted, me: &AccountId32) -> String {
	let outcome = &convicted.outcome;
	let winner = match &convicted.winner {
		Some(winner) if winner == me => format!("{} to us", Amount(outcome.reward)),
		Some(winner) => format!("{} to {winner}", Amount(outcome.reward)),
		None => "nothing to a challenger".into(),
	};
	format!(
		"{}; the worker loses {}: {winner}, {} to the requester, {} burned",
		words::grounds(&convicted.grounds, None),
		Amount(outcome.slashed),
		Amount(outcome.compensation),
		Amount(outcome.burned)
	)
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct FeePaid {
	who: AccountId32,
	actual_fee: u128,
}

/// What an account paid for transactions in a block.
pub(super) fn fees(events: &Events<Config>, me: &AccountId32) -> anyhow::Result<u128> {
	let mut sum = 0u128;
	for event in events.iter() {
		let event = event?;
		if (event.pallet_name(), event.event_name()) == ("TransactionPayment", "TransactionFeePaid") {
			let paid: FeePaid = event.decode_fields_unchecked_as()?;
			if paid.who == *me {
				sum = sum.saturating_add(paid.actual_fee);
			}
		}
	}
	Ok(sum)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::disputes::{Grounds, Outcome};

	const ME: AccountId32 = AccountId32([1; 32]);
	const OTHER: AccountId32 = AccountId32([2; 32]);

	#[test]
	fn tally_should_count_what_became_of_our_challenges() {
		let mut tally = Tally::new(ME);
		for job in [1u8, 2, 3] {
			tally.found(&Finding::Wrong("x".into()));
			tally.challenged(&[job; 32], job.into());
		}
		tally.found(&Finding::Right);
		let convicted = |winner: AccountId32, job: u8| {
			DisputeEvent::Convicted(events::Convicted {
				job: job.into(),
				claim: [job; 32],
				worker: AccountId32([9; 32]),
				grounds: Grounds::NoPublication,
				winner: Some(winner),
				outcome: Outcome { slashed: 100, reward: 30, burned: 60, compensation: 10 },
			})
		};
		let news = tally.event(&convicted(ME, 1), true);
		assert!(news.line.unwrap().2.contains("to us"));
		assert_eq!(tally.event(&convicted(OTHER, 7), false), News::default(), "nothing of ours");
		let lost = DisputeEvent::ChallengeLost(events::ChallengeLost {
			job: 2,
			claim: [2; 32],
			challenger: ME,
			burned: 3,
			to_worker: 4,
		});
		assert_eq!(tally.event(&lost, true).lost, 7);
		assert!(tally.knows_lost(&[2; 32]) && !tally.knows_lost(&[1; 32]));
		let figures = tally.figures();
		assert_eq!((figures.open, figures.won, figures.lost, figures.right, figures.wrong), (1, 1, 1, 1, 3));
		let object = tally.object(7);
		for (key, count) in
			[("checked", 4), ("agreed", 1), ("wrong", 3), ("challenged", 3), ("convicted", 1), ("lost", 1)]
		{
			assert_eq!(object[key], count, "{key}");
		}
		assert_eq!((object["earned"].as_str(), object["spent"].as_str()), (Some("30"), Some("7")));
		assert_eq!(object["disputes"][2]["state"], "open");
	}
}
