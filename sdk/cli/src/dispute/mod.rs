//! The story of the disputes about one job: out of the blocks, and where it goes on, out of storage.

mod story;

pub use story::{tell, Entry, Fact, Open, Story};

use crate::{
	args::Dispute,
	chain::{At, Chain},
	disputes::{events, read, Phase},
	job::{self, Stage},
	models,
	report::Report,
	types::JobEvent,
};
use anyhow::bail;
use futures::{stream, StreamExt};
use std::ops::RangeInclusive;

/// Blocks that are read at once.
const AT_ONCE: usize = 16;

/// What the blocks say about a job, and what could not be read.
struct Found {
	entries: Vec<Entry>,
	/// The first block that was looked at.
	from: u64,
	/// Why nothing before it was.
	gap: Option<String>,
}

/// What one block says. Seals do not tell their job, so they are all taken.
async fn block(chain: &Chain, number: u64, job: u64) -> anyhow::Result<Vec<Entry>> {
	let at = chain.at_number(number).await?;
	let events = at.events().fetch().await?;
	let jobs = job::events_in(&events)?.into_iter().filter(|(_, of, _)| *of == job).map(|(_, _, fact)| Fact::Job(fact));
	let disputes = events::events_in(&events)?.into_iter().filter(|event| {
		matches!(event, events::DisputeEvent::Sealed(_)) || event.subject().is_some_and(|(of, _)| of == job)
	});
	// A dispute changes a job within the same block: the verdict is told before its consequence.
	let facts = disputes.map(Fact::Dispute).chain(jobs);
	Ok(facts.map(|fact| Entry { block: number, fact }).collect())
}

/// Reads blocks in order until `done`, or one cannot be read: why.
async fn walk(
	chain: &Chain,
	job: u64,
	blocks: impl Iterator<Item = u64>,
	found: &mut Vec<(u64, Vec<Entry>)>,
	done: impl Fn(&Entry) -> bool,
) -> Result<bool, String> {
	let mut blocks =
		stream::iter(blocks).map(|number| async move { (number, block(chain, number, job).await) }).buffered(AT_ONCE);
	while let Some((number, entries)) = blocks.next().await {
		let entries = entries.map_err(|error| format!("{error:#}"))?;
		let end = entries.iter().any(&done);
		found.push((number, entries));
		if end {
			return Ok(true);
		}
	}
	Ok(false)
}

/// What the blocks around `anchor` say about a job: back to its request, and on to its end.
async fn search(chain: &Chain, job: u64, anchor: u64, best: u64, reach: u64) -> Found {
	let back: RangeInclusive<u64> = anchor.saturating_sub(reach).max(1)..=anchor;
	let from = *back.start();
	let (mut before, mut after) = (Vec::new(), Vec::new());
	let is_request = |entry: &Entry| matches!(entry.fact, Fact::Job(JobEvent::Requested { .. }));
	let is_end = |entry: &Entry| {
		matches!(entry.fact, Fact::Job(JobEvent::Settled(_) | JobEvent::Expired { .. } | JobEvent::Cancelled { .. }))
	};
	let gap = match walk(chain, job, back.rev(), &mut before, is_request).await {
		Ok(true) => None,
		Ok(false) if from == 1 => None,
		Ok(false) => Some(format!("the request is not in the {reach} blocks before; look further with --reach")),
		Err(why) => {
			Some(format!("this node does not have older blocks' events ({why}); ask one that keeps all states"))
		}
	};
	let ended = before.iter().any(|(_, entries)| entries.iter().any(is_end));
	let on = anchor.saturating_add(1)..=best.min(anchor.saturating_add(reach));
	if !ended {
		// What cannot be read now is told by what can.
		let _ = walk(chain, job, on, &mut after, is_end).await;
	}
	let from = before.last().map_or(anchor, |(number, _)| *number);
	before.reverse();
	let entries = before.into_iter().chain(after).flat_map(|(_, entries)| entries).collect();
	Found { entries, from, gap }
}

/// How the job's open claim stands.
async fn standing(chain: &Chain, at: &At, id: u64) -> anyhow::Result<Option<Open>> {
	let Some(open) = job::open(chain, at, id).await? else { return Ok(None) };
	let Stage::Committed { claim, settles_at, .. } = open.stage else { return Ok(None) };
	let (mut challenges, mut demands, mut published) = (Vec::new(), Vec::new(), false);
	if read::supported(at) {
		challenges = read::challenges(chain, at, id).await?;
		demands = read::demands(chain, at, id).await?;
		let dispute = read::dispute(chain, at, &claim).await?;
		published = dispute.is_some_and(|dispute| !matches!(dispute.phase, Phase::Unpublished(_)));
	}
	Ok(Some(Open { now: at.block_number(), claim, settles_at: settles_at.into(), published, challenges, demands }))
}

/// `assay dispute`.
pub async fn run(command: &Dispute, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let id = command.id;
	let at = chain.best().await?;
	let best = at.block_number();
	let next: u64 = chain.storage(&at, "Inference", "NextJobId", ()).await?.unwrap_or_default();
	if id >= next {
		bail!("there is no job {id} yet");
	}
	let open = standing(chain, &at, id).await?;
	let result = job::result(chain, &at, id).await?;
	// An open job is recent, and may have had other answers before; of one that is over, the last answer says when it was.
	let anchor = match (&open, &result) {
		(None, Some(result)) => u64::from(result.committed_at),
		_ => best,
	};
	let found = search(chain, id, anchor, best, command.reach).await;
	let mut story = tell(id, &found.entries, open.as_ref());
	if let Some(result) = &result {
		let name = format!("0x{}", hex::encode(result.model));
		let model = models::find(chain, &at, &name).await.ok();
		let types = model.as_ref().map(|model| model.record.outputs()).unwrap_or_default();
		let answer = job::answer(result.output.bytes(), &types);
		let title = model.as_ref().map_or(name.clone(), models::OnChain::title);
		story.lines.insert(1, format!("  model     {title}; the answer that stands, or is held open: {}", answer.text));
		story.object["model"] = name.into();
		story.object["output"] = answer.json;
	}
	if let Some(gap) = &found.gap {
		story.lines.push(format!("  Nothing before block {} is told: {gap}.", found.from));
	}
	story.object["from_block"] = found.from.into();
	story.object["block"] = best.into();
	story.object["complete"] = found.gap.is_none().into();
	for line in &story.lines {
		report.line(line);
	}
	report.finish(story.object);
	Ok(())
}
