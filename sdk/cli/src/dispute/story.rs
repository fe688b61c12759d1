//! Events put together to a story.

use crate::{
	amount::Amount,
	disputes::{
		events::{self, DisputeEvent},
		node_id, words, ChallengeInfo, DemandInfo, Grounds,
	},
	types::{Bytes32, Committed, JobEvent},
};
use serde_json::{json, Value as Json};
use std::collections::HashMap;
use subxt::utils::AccountId32;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Fact {
	/// To the job.
	Job(JobEvent),
	/// In a dispute.
	Dispute(DisputeEvent),
}

/// Something that happened in a block.
#[derive(Clone, Debug)]
pub struct Entry {
	/// The block.
	pub block: u64,
	/// What.
	pub fact: Fact,
}

/// How the job's open claim stands.
#[derive(Clone, Debug)]
pub struct Open {
	/// The best block.
	pub now: u64,
	/// The claim.
	pub claim: Bytes32,
	/// The end of its window.
	pub settles_at: u64,
	/// Whether the worker has published its trace.
	pub published: bool,
	/// The live challenges.
	pub challenges: Vec<ChallengeInfo>,
	/// What the worker must answer.
	pub demands: Vec<DemandInfo>,
}

/// The story.
#[derive(Clone, Debug)]
pub struct Story {
	/// For people.
	pub lines: Vec<String>,
	/// For scripts.
	pub object: Json,
}

fn hex32(bytes: &Bytes32) -> String {
	format!("0x{}", hex::encode(bytes))
}

struct Teller {
	lines: Vec<String>,
	claims: Vec<Json>,
	/// When which place in the queue was sealed.
	seals: HashMap<(Bytes32, u64), u64>,
	/// What was demanded, by node.
	asked: HashMap<Bytes32, Vec<u8>>,
	state: &'static str,
	challenged: bool,
}

/// Tells what happened to a job's answers, and where the open one stands.
pub fn tell(job: u64, entries: &[Entry], open: Option<&Open>) -> Story {
	let mut teller = Teller {
		lines: vec![format!("Job {job}")],
		claims: Vec::new(),
		seals: HashMap::new(),
		asked: HashMap::new(),
		state: "unknown",
		challenged: false,
	};
	for Entry { block, fact } in entries {
		match fact {
			Fact::Job(event) => teller.job(*block, event),
			Fact::Dispute(event) => teller.dispute(*block, event),
		}
	}
	let next = open.map(|open| teller.next(open));
	if entries.is_empty() && open.is_none() {
		teller.line("", "Nothing is known of it.");
	} else if !teller.challenged && open.is_none_or(|open| open.challenges.is_empty()) {
		teller.line("", "Nobody challenged an answer to this job, as far as is told here.");
	}
	let object = json!({ "job": job, "state": teller.state, "claims": teller.claims, "next": next });
	Story { lines: teller.lines, object }
}

impl Teller {
	fn line(&mut self, label: &str, text: impl AsRef<str>) {
		let text = text.as_ref();
		self.lines.push(match label {
			"" => format!("  {text}"),
			label => format!("  {label:<9} {text}"),
		});
	}

	/// The claim that an event is about. One whose commitment is not told gets a place of its own.
	fn claim(&mut self, claim: &Bytes32) -> &mut Json {
		let id = hex32(claim);
		let place = self.claims.iter().position(|known| known["claim"] == id.as_str()).unwrap_or_else(|| {
			self.claims.push(json!({
				"claim": id, "state": "unknown", "challenges": [], "demands": [], "published_in": null, "verdict": null,
			}));
			self.claims.len() - 1
		});
		&mut self.claims[place]
	}

	fn last(&mut self) -> Option<&mut Json> {
		self.claims.last_mut()
	}

	fn job(&mut self, block: u64, event: &JobEvent) {
		match event {
			JobEvent::Requested { requester } => {
				self.state = "waiting";
				self.line("asked", format!("by {requester} in block {block}"));
			}
			JobEvent::Assigned(assigned) => {
				self.state = "assigned";
				let (worker, bond) = (&assigned.worker, Amount(assigned.bond));
				self.line("assigned", format!("to {worker} in block {block}, which stakes {bond} on its answer"));
			}
			JobEvent::Committed(Committed { worker, claim, output_root, settles_at }) => {
				self.state = "answered";
				let (root, id) = (hex32(output_root), hex32(claim));
				self.line("answered", format!("by {worker} in block {block}; its window ends at block {settles_at}"));
				self.line("", format!("          claim {id}, output root {root}"));
				let record = self.claim(claim);
				record["state"] = "open".into();
				record["worker"] = worker.to_string().into();
				record["output_root"] = root.into();
				record["committed_in"] = block.into();
				record["settles_at"] = (*settles_at).into();
			}
			JobEvent::Settled(settled) => {
				self.state = "settled";
				let text = format!(
					"in block {block}: the answer stands; {} of the fee of {} go to the worker {}",
					Amount(settled.shares.worker),
					Amount(settled.fee),
					settled.worker
				);
				self.line("settled", text);
				if let Some(record) = self.last() {
					record["state"] = "settled".into();
					record["settled_in"] = block.into();
				}
			}
			JobEvent::Overturned { worker } => {
				self.state = "overturned";
				self.line("void", format!("in block {block}: the answer of {worker} counts for nothing"));
				if let Some(record) = self.last() {
					record["state"] = "overturned".into();
				}
			}
			JobEvent::Expired { refund } => {
				self.state = "expired";
				self.line("expired", format!("in block {block}; the requester has {} back", Amount(*refund)));
			}
			JobEvent::Cancelled { refund } => {
				self.state = "cancelled";
				self.line("cancelled", format!("in block {block}; the requester has {} back", Amount(*refund)));
			}
			JobEvent::Declined { worker, .. } => self.line("declined", format!("by {worker} in block {block}")),
			JobEvent::Missed { worker, .. } => self.line("missed", format!("by {worker}, in block {block}")),
			JobEvent::Other(_) => (),
		}
	}

	fn dispute(&mut self, block: u64, event: &DisputeEvent) {
		match event {
			DisputeEvent::Sealed(sealed) => {
				self.seals.insert((sealed.challenger.0, sealed.number), block);
			}
			DisputeEvent::Unsealed(_) | DisputeEvent::SealLapsed(_) => (),
			DisputeEvent::Challenged(challenged) => self.challenged(block, challenged),
			DisputeEvent::Published(published) => {
				let root = hex32(&published.trace_root);
				self.line("published", format!("by the worker in block {block}: trace root {root}"));
				let record = self.claim(&published.claim);
				record["published_in"] = block.into();
				record["trace_root"] = root.into();
			}
			DisputeEvent::Demanded(demanded) => {
				self.asked.insert(node_id(&demanded.demand), demanded.demand.clone());
				let what = words::demand(&demanded.demand);
				let (who, by) = (&demanded.challenger, demanded.answer_by);
				self.line("demanded", format!("by {who} in block {block}: {what}; to be opened by block {by}"));
				let record = json!({
					"challenger": who.to_string(), "what": what, "demanded_in": block, "answer_by": by, "opened_in": null,
					"node": hex32(&node_id(&demanded.demand)),
				});
				push(&mut self.claim(&demanded.claim)["demands"], record);
			}
			DisputeEvent::Opened(opened) => {
				self.line("opened", format!("by the worker in block {block}: {}", words::demand(&opened.demand)));
				let node = hex32(&node_id(&opened.demand));
				let demands = &mut self.claim(&opened.claim)["demands"];
				for demand in
					demands.as_array_mut().into_iter().flatten().filter(|demand| demand["node"] == node.as_str())
				{
					demand["opened_in"] = block.into();
				}
			}
			DisputeEvent::Convicted(convicted) => self.convicted(block, convicted),
			DisputeEvent::ChallengeLost(lost) => {
				let (who, burned, paid) = (&lost.challenger, Amount(lost.burned), Amount(lost.to_worker));
				let text = format!("by {who} in block {block}, without a proof: {burned} burned, {paid} to the worker");
				self.line("lost", text);
				let record = self.challenge(&lost.claim, who);
				record["state"] = "lost".into();
				record["ended_in"] = block.into();
				record["burned"] = lost.burned.to_string().into();
				record["to_worker"] = lost.to_worker.to_string().into();
			}
			DisputeEvent::Defended(defended) => {
				self.line("defended", format!("in block {block}: no challenge is left"));
				self.claim(&defended.claim)["defended_in"] = block.into();
			}
			DisputeEvent::BondReturned(back) => {
				let (who, bond, fees) = (&back.challenger, Amount(back.bond), Amount(back.fees));
				self.line("returned", format!("to {who} in block {block}: {bond} of bond, {fees} of demand fees"));
				let record = self.challenge(&back.claim, who);
				record["state"] = "won".into();
				record["ended_in"] = block.into();
				record["returned"] = back.bond.saturating_add(back.fees).to_string().into();
			}
		}
	}

	/// The last challenge of a claim by an account.
	fn challenge(&mut self, claim: &Bytes32, who: &AccountId32) -> &mut Json {
		let (who, record) = (who.to_string(), self.claim(claim));
		let known =
			record["challenges"].as_array().and_then(|all| all.iter().rposition(|c| c["challenger"] == who.as_str()));
		let place = known.unwrap_or_else(|| {
			push(&mut record["challenges"], json!({ "challenger": who, "state": "open" }));
			record["challenges"].as_array().map_or(0, |all| all.len() - 1)
		});
		&mut record["challenges"][place]
	}

	fn challenged(&mut self, block: u64, challenged: &events::Challenged) {
		self.challenged = true;
		self.state = "disputed";
		let (who, bond) = (&challenged.challenger, Amount(challenged.bond));
		let sealed = self.seals.get(&(who.0, challenged.number)).copied();
		let how = match sealed {
			Some(sealed) => format!("sealed in block {sealed}"),
			None => "without a seal, or with one from before what is told here".into(),
		};
		self.line("challenge", format!("by {who} in block {block} ({how}), with a bond of {bond}"));
		let record = json!({
			"challenger": who.to_string(), "state": "open", "number": challenged.number, "sealed_in": sealed,
			"challenged_in": block, "bond": challenged.bond.to_string(),
		});
		push(&mut self.claim(&challenged.claim)["challenges"], record);
	}

	fn convicted(&mut self, block: u64, convicted: &events::Convicted) {
		let outcome = &convicted.outcome;
		let asked = match &convicted.grounds {
			Grounds::NoAnswer(node) => self.asked.get(node).cloned(),
			_ => None,
		};
		let why = words::grounds(&convicted.grounds, asked.as_deref());
		self.line("convicted", format!("{} in block {block}; {why}", convicted.worker));
		let winner = match &convicted.winner {
			Some(winner) => format!("{} to {winner}", Amount(outcome.reward)),
			None => "nothing to a challenger".into(),
		};
		let split = format!(
			"          it loses {}: {winner}, {} to the requester, {} burned",
			Amount(outcome.slashed),
			Amount(outcome.compensation),
			Amount(outcome.burned)
		);
		self.line("", split);
		let mut verdict = words::grounds_json(&convicted.grounds);
		verdict["convicted_in"] = block.into();
		verdict["winner"] = convicted.winner.as_ref().map(ToString::to_string).into();
		verdict["slashed"] = outcome.slashed.to_string().into();
		verdict["reward"] = outcome.reward.to_string().into();
		verdict["compensation"] = outcome.compensation.to_string().into();
		verdict["burned"] = outcome.burned.to_string().into();
		self.state = "overturned";
		let record = self.claim(&convicted.claim);
		record["worker"] = convicted.worker.to_string().into();
		record["state"] = "overturned".into();
		record["verdict"] = verdict;
	}

	/// Whose move it is.
	fn next(&mut self, open: &Open) -> Json {
		if open.challenges.is_empty() {
			let left = open.settles_at.saturating_sub(open.now);
			let settles_at = open.settles_at;
			self.line(
				"next",
				format!("it can be challenged for {left} more blocks, and settles at block {settles_at}"),
			);
			return json!({ "settles_at": settles_at, "moves": [] });
		}
		self.state = "disputed";
		let mut moves = Vec::new();
		for info in &open.challenges {
			let (who, by) = (&info.challenger, info.move_by);
			let (whose, text) = match (info.to_move, open.published) {
				(true, _) => {
					("challenger", format!("{who} must demand or prove by block {by}; if not, its challenge is lost"))
				}
				(false, false) => {
					("worker", format!("the worker must publish its trace by block {by}; if not, it is convicted"))
				}
				(false, true) => {
					("worker", format!("the worker must answer {who} by block {by}; if not, it is convicted"))
				}
			};
			self.line("next", text);
			moves.push(json!({ "challenger": who.to_string(), "to_move": whose, "move_by": by }));
		}
		for demand in &open.demands {
			let (what, by) = (words::demand(&demand.demand), demand.answer_by);
			self.line("open", format!("{what}, {} bytes, by block {by}", demand.bytes));
		}
		json!({ "settles_at": null, "moves": moves })
	}
}

fn push(list: &mut Json, item: Json) {
	if let Some(list) = list.as_array_mut() {
		list.push(item);
	}
}

#[cfg(test)]
mod tests;
