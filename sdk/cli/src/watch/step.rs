//! One step about one claim: look at the chain, see what the plan says, do it.

use super::{
	engine::{Advice, Engine, Trouble},
	keep::{Keep, Place},
	plan::{self, End, Finding, Known, Next, Wait},
	purse::Purse,
};
use crate::{
	amount::Amount,
	chain::{call, At, Call, Chain, Refused},
	disputes::{
		self,
		read::{self, Prices},
		words, Stage, PALLET,
	},
	job::{self, OpenJob},
	types::{AccountInfo, Bytes32},
};
use anyhow::{bail, Context as _};
use std::{
	fmt,
	sync::{
		atomic::{AtomicBool, AtomicU64, Ordering},
		Arc, Mutex, MutexGuard, PoisonError,
	},
	time::Duration,
};
use subxt::{dynamic::Value, ext::scale_decode::DecodeAsType, utils::AccountId32};
use subxt_signer::sr25519::Keypair;
use tokio::sync::Semaphore;

/// How long a transaction may wait for a block before the chain is looked at again.
const INCLUSION_TIME: Duration = Duration::from_secs(120);
/// What the chain says when another message of the dispute was faster: the next block shows how things stand.
const OVERTAKEN: [&str; 5] = ["AlreadyChallenged", "AlreadyOpen", "AlreadySealed", "DisputeOver", "NotYourMove"];
/// For so many blocks after a start, transactions of an earlier run may still be in the node's pool; as may, after a reorganisation,
/// those that it took out of their blocks.
const LEFT_OVER_BLOCKS: u64 = 5;
/// Answers that are checked at once; each takes an input and an output of memory.
pub(super) const CHECKS: usize = 4;

/// What all steps share.
pub(super) struct Context {
	pub(super) chain: Chain,
	pub(super) signer: Keypair,
	pub(super) me: AccountId32,
	pub(super) engine: Engine,
	pub(super) keep: Arc<Mutex<Keep>>,
	pub(super) purse: Arc<Mutex<Purse>>,
	/// None on a chain without disputes.
	pub(super) prices: Option<Prices>,
	/// Two transactions must not take the same number.
	pub(super) sending: tokio::sync::Mutex<()>,
	pub(super) checks: Semaphore,
	/// The best block when this began, or when a reorganisation was noticed.
	pub(super) started: AtomicU64,
	/// Whether nothing of an earlier run, or of another fork, is in the node's pool.
	pub(super) pool_is_ours: AtomicBool,
}

/// A claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Subject {
	pub(super) job: u64,
	pub(super) claim: Bytes32,
	pub(super) finding: Option<Finding>,
}

/// What came of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Done {
	/// The answer was checked.
	Found(Finding),
	/// A transaction is in a block: in one word, which; in which block; and the rest in words.
	Sent(&'static str, u64, String),
	/// It is not our move.
	Waiting(Wait),
	/// Nothing is left to do.
	Over(End),
	/// The engine is still at it.
	Later,
	/// The engine cannot now.
	EngineDown(String),
	/// Something stands in the way.
	Blocked(String),
}

/// `Inference.Inputs`.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
enum Input {
	Inline(Vec<u8>),
}

/// A lock that a panic elsewhere cannot take away.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
	mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
	/// Does the next thing about a claim.
	pub(super) async fn step(&self, at: &At, subject: &Subject) -> Done {
		match self.try_step(at, subject).await {
			Ok(done) => done,
			Err(error) if overtaken(&error) => Done::Later,
			Err(error) => Done::Blocked(format!("{error:#}")),
		}
	}

	async fn try_step(&self, at: &At, subject: &Subject) -> anyhow::Result<Done> {
		let claim = &subject.claim;
		let (known, open) = self.look(at, subject).await?;
		let settles_at = known.settles_at.unwrap_or_default();
		let named = |rest: Vec<(&'static str, Value)>| {
			let common = [("job", Value::u128(subject.job.into())), ("claim", Value::from_bytes(claim))];
			common.into_iter().chain(rest).collect::<Vec<_>>()
		};
		Ok(match plan::next(&known) {
			Next::Check => match &open {
				Some(open) => self.check(at, subject, open).await?,
				None => Done::Later,
			},
			Next::Seal => {
				if let Some(why) = self.reserve(at, subject).await? {
					return Ok(Done::Blocked(why));
				}
				let salt = lock(&self.keep).salt(claim, subject.job, settles_at)?;
				let hash = disputes::seal_hash(claim, &self.me, &salt);
				let block = self.submit(&call(PALLET, "seal", [("hash", Value::from_bytes(hash))])).await?;
				Done::Sent("Sealed", block, "nobody can tell which claim yet".into())
			}
			Next::Challenge { sealed } => {
				if let Some(why) = self.reserve(at, subject).await? {
					return Ok(Done::Blocked(why));
				}
				let salt = lock(&self.keep).salt(claim, subject.job, settles_at)?;
				let salt = match sealed {
					true => Value::unnamed_variant("Some", [Value::from_bytes(salt)]),
					false => Value::unnamed_variant("None", []),
				};
				let place = self
					.submit_at(&call(PALLET, "challenge", named(vec![("salt", salt), ("max_fee", self.max_fee(0))])))
					.await?;
				let block = place.block;
				lock(&self.keep).challenged(claim, subject.job, settles_at, Some(place))?;
				let how = if sealed { "with the seal" } else { "without a seal, as time is short" };
				Done::Sent("Challenged", block, how.into())
			}
			Next::Unseal => {
				let salt = lock(&self.keep).salt(claim, subject.job, settles_at)?;
				let block =
					self.submit(&call(PALLET, "unseal", named(vec![("salt", Value::from_bytes(salt))]))).await?;
				Done::Sent("Unsealed", block, "the worker was convicted by others; the deposit is back".into())
			}
			Next::Move { published_at } => match &open {
				Some(open) => {
					let paid = known.mine.as_ref().map_or(0, |mine| mine.fees);
					self.play(at, subject, open, published_at, paid, &named).await?
				}
				None => Done::Later,
			},
			Next::Withdraw => {
				let block = self.submit(&call(PALLET, "withdraw", named(vec![]))).await?;
				Done::Sent("Withdrawn", block, "the bond is back".into())
			}
			Next::Wait(wait) => Done::Waiting(wait),
			Next::End(end) => Done::Over(end),
		})
	}

	/// What is known of a claim at a block, and its job while the claim is open.
	async fn look(&self, at: &At, subject: &Subject) -> anyhow::Result<(Known, Option<OpenJob>)> {
		let (chain, claim) = (&self.chain, &subject.claim);
		let open = job::open(chain, at, subject.job).await?;
		let settles_at = match open.as_ref().map(|open| &open.stage) {
			Some(job::Stage::Committed { claim, settles_at, .. }) if *claim == subject.claim => {
				Some(u64::from(*settles_at))
			}
			_ => None,
		};
		let mut known = Known {
			now: at.block_number(),
			settles_at,
			finding: subject.finding.clone(),
			disputes: self.prices.is_some(),
			..Known::default()
		};
		let Some(prices) = &self.prices else { return Ok((known, open)) };
		known.reveal = prices.reveal.into();
		known.dispute = read::dispute(chain, at, claim).await?;
		let kept = lock(&self.keep).get(claim).cloned();
		if known.dispute.is_some() {
			known.mine = read::challenge(chain, at, claim, &self.me).await?;
			known.full = read::full_blocks(chain, at).await?;
			if let Some(Stage::Answer(node)) = known.mine.as_ref().map(|mine| &mine.stage) {
				known.node = read::node(chain, at, claim, node).await?;
			}
		}
		let noted = kept.as_ref().and_then(|kept| kept.challenged_in.clone());
		let note = |place| lock(&self.keep).challenged(claim, subject.job, settles_at.unwrap_or_default(), place);
		known.challenged_in = match (&known.mine, noted) {
			(Some(mine), noted) => {
				let block = u64::from(mine.started);
				let place = self.hash(block).await?.map(|hash| Place { block, hash });
				// Stopped between the challenge and its note; or a reorganisation has moved it, be it to a block of that number.
				if place.is_some() && place != noted {
					note(place)?;
				}
				Some(block)
			}
			(None, Some(noted)) => match self.hash(noted.block).await? {
				Some(hash) if hash != noted.hash => {
					// A reorganisation has undone it. It may be in the node's pool again.
					self.started.store(at.block_number(), Ordering::Relaxed);
					self.pool_is_ours.store(false, Ordering::Relaxed);
					note(None)?;
					None
				}
				_ => Some(noted.block),
			},
			(None, None) => None,
		};
		if let Some(mine) = &known.mine {
			lock(&self.purse).hold(*claim, mine.bond.saturating_add(prices.demands.max(mine.fees)));
		} else if let Some(kept) = kept {
			known.seal = read::seal(chain, at, &self.me, &disputes::seal_hash(claim, &self.me, &kept.salt()?)).await?;
		}
		Ok((known, open))
	}

	/// The hash of a block of the best chain, in hex, if the chain is as long.
	async fn hash(&self, block: u64) -> anyhow::Result<Option<String>> {
		let hash = self.chain.rpc().chain_get_block_hash(Some(block.into())).await?;
		Ok(hash.map(|hash| hex::encode(hash.0)))
	}

	/// Compares the committed output with the engine's.
	async fn check(&self, at: &At, subject: &Subject, open: &OpenJob) -> anyhow::Result<Done> {
		let _permit = self.checks.acquire().await?;
		let result = job::result(&self.chain, at, subject.job).await?;
		let result = result.filter(|result| result.claim == subject.claim);
		let committed = result.context("the chain does not have the committed output")?.output;
		let input = self.input(at, subject.job).await?;
		Ok(match self.engine.output(&open.model, input).await {
			Ok(own) => Done::Found(match difference(&own, committed.bytes()) {
				None => Finding::Right,
				Some(how) => Finding::Wrong(how),
			}),
			Err(trouble) => {
				not_now(trouble, |why| Done::Found(Finding::Unknown(format!("the engine refuses it: {why}"))))
			}
		})
	}

	async fn input(&self, at: &At, job: u64) -> anyhow::Result<Vec<u8>> {
		let input: Option<Input> = self.chain.storage(at, "Inference", "Inputs", (job,)).await?;
		let Input::Inline(bytes) = input.context("the chain does not have the input any more")?;
		Ok(bytes)
	}

	/// Our move: a demand, or the proof.
	async fn play(
		&self,
		at: &At,
		subject: &Subject,
		open: &OpenJob,
		published_at: u32,
		paid: u128,
		named: &impl Fn(Vec<(&'static str, Value)>) -> Vec<(&'static str, Value)>,
	) -> anyhow::Result<Done> {
		let nodes = read::nodes(&self.chain, at, &subject.claim).await?;
		let (publication, answers) = read::transcript(&self.chain, &subject.claim, published_at, &nodes).await?;
		let input = self.input(at, subject.job).await?;
		let advice = match self.engine.advice(&open.model, &input, &publication, &answers).await {
			Ok(advice) => advice,
			Err(trouble) => {
				return Ok(not_now(trouble, |why| Done::Blocked(format!("the engine cannot say what to do: {why}"))))
			}
		};
		let bytes = |bytes: &[u8]| Value::from_bytes(bytes);
		Ok(match advice {
			Advice::Demand { demand, evidence } => {
				let arguments = named(vec![
					("demand", bytes(&demand)),
					("evidence", bytes(&evidence)),
					("max_fee", self.max_fee(paid)),
				]);
				let block = self.submit(&call(PALLET, "demand", arguments)).await?;
				Done::Sent("Demanded", block, words::demand(&demand))
			}
			Advice::Prove { states, proof } => {
				let states = match states {
					Some(states) => Value::unnamed_variant("Some", [bytes(&states)]),
					None => Value::unnamed_variant("None", []),
				};
				let text = format!("a proof of {} bytes", proof.len());
				let arguments = named(vec![("states", states), ("proof", bytes(&proof))]);
				let block = self.submit(&call(PALLET, "prove", arguments)).await?;
				Done::Sent("Proved", block, text)
			}
			Advice::Agree => Done::Blocked(
				"the engine finds nothing wrong in the worker's trace, though it found the output wrong: see that it is \
				 sound, or the bond is lost"
					.into(),
			),
		})
	}

	/// The most that a message may put on hold for its answer, with `paid` on hold already.
	fn max_fee(&self, paid: u128) -> Value {
		Value::u128(self.prices.map_or(0, |prices| prices.demands.saturating_sub(paid)))
	}

	/// Makes sure that a dispute can be carried through before anything is sent. Why not, in words.
	async fn reserve(&self, at: &At, subject: &Subject) -> anyhow::Result<Option<String>> {
		let Some(prices) = &self.prices else { return Ok(None) };
		let bond = read::bond_for(&self.chain, at, subject.job).await?.context("the claim is not open any more")?;
		let whole = prices.deposit.max(bond.saturating_add(prices.demands));
		let free = crate::account::balances(&self.chain, &self.me).await?.free;
		if free < whole {
			return Ok(Some(format!(
				"{} has {} free, and a dispute can put {} on hold; send it some OPG",
				self.me,
				Amount(free),
				Amount(whole)
			)));
		}
		let fits = lock(&self.purse).take(subject.claim, whole);
		Ok(fits.err().map(|left| {
			format!("a dispute can put {} on hold, and {} of the budget is left", Amount(whole), Amount(left))
		}))
	}

	/// Whether what an earlier run sent is in a block by now; else it would be sent twice.
	async fn left_over_is_gone(&self, next: u64) -> anyhow::Result<bool> {
		if self.pool_is_ours.load(Ordering::Relaxed) {
			return Ok(true);
		}
		let at = self.chain.best().await?;
		let account: Option<AccountInfo> = self.chain.storage(&at, "System", "Account", (self.me.0,)).await?;
		let gone = u64::from(account.unwrap_or_default().nonce) >= next
			|| at.block_number() > self.started.load(Ordering::Relaxed).saturating_add(LEFT_OVER_BLOCKS);
		self.pool_is_ours.store(gone, Ordering::Relaxed);
		Ok(gone)
	}

	/// Sends a transaction. The number of its block.
	async fn submit(&self, call: &Call) -> anyhow::Result<u64> {
		Ok(self.submit_at(call).await?.block)
	}

	/// Sends a transaction. In which block it is.
	async fn submit_at(&self, call: &Call) -> anyhow::Result<Place> {
		let sent = {
			let _alone = self.sending.lock().await;
			let nonce = self.chain.next_nonce(&self.me).await?;
			if !self.left_over_is_gone(nonce).await? {
				bail!(Pending);
			}
			let bytes = self.chain.sign(&self.signer, call, nonce).await?;
			self.chain.send(bytes).await?
		};
		match tokio::time::timeout(INCLUSION_TIME, self.chain.included(sent)).await {
			Ok(included) => {
				let included = included.with_context(|| format!("the chain refused to {}", call.call_name()))?;
				Ok(Place { block: included.block, hash: hex::encode(included.hash.0) })
			}
			Err(_) => bail!("a transaction ({}) has not been in a block for {INCLUSION_TIME:?}", call.call_name()),
		}
	}
}

/// Whether a message came too late, and there is nothing to be said about that.
fn overtaken(error: &anyhow::Error) -> bool {
	let name = error.downcast_ref::<Refused>().and_then(|refused| refused.name.as_deref());
	let name = name.and_then(|name| name.strip_prefix(PALLET)?.strip_prefix('.'));
	error.is::<Pending>() || name.is_some_and(|name| OVERTAKEN.contains(&name))
}

/// A transaction of an earlier run waits in the node's pool.
#[derive(Debug)]
struct Pending;

impl fmt::Display for Pending {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str("a transaction from before waits in the node's pool")
	}
}

impl std::error::Error for Pending {}

fn not_now(trouble: Trouble, refused: impl FnOnce(String) -> Done) -> Done {
	match trouble {
		Trouble::NotYet => Done::Later,
		Trouble::Down(why) => Done::EngineDown(why),
		Trouble::Refused(why) => refused(why),
	}
}

/// How a committed output differs from the right one.
fn difference(own: &[u8], committed: &[u8]) -> Option<String> {
	if own.len() != committed.len() {
		return Some(format!("the output has {} bytes, not {}", committed.len(), own.len()));
	}
	let first = own.iter().zip(committed).position(|(own, committed)| own != committed)?;
	let count = own.iter().zip(committed).filter(|(own, committed)| own != committed).count();
	Some(format!("{count} of {} bytes of the output differ, the first at {first}", own.len()))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn message_that_came_too_late_should_be_no_trouble() {
		let refused = |name: &str| {
			let refused = Refused { name: Some(name.into()), text: "x".into() };
			overtaken(&anyhow::Error::new(refused).context("the chain refused to demand"))
		};
		assert!(refused("Disputes.NotYourMove") && refused("Disputes.DisputeOver"));
		assert!(!refused("Disputes.DemandRefused") && !refused("Other.NotYourMove"));
		assert!(overtaken(&anyhow::Error::new(Pending)) && !overtaken(&anyhow::anyhow!("x")));
	}

	#[test]
	fn difference_should_name_the_first_byte() {
		assert_eq!(difference(&[1, 2, 3], &[1, 2, 3]), None);
		assert_eq!(difference(&[1, 2, 3], &[1, 0, 0]).unwrap(), "2 of 3 bytes of the output differ, the first at 1");
		assert_eq!(difference(&[1], &[]).unwrap(), "the output has 0 bytes, not 1");
	}
}
