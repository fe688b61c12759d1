//! `assay validator`.

use super::{batch, bond, chill, status, supported, PALLET};
use crate::{
	account::{author, subject},
	args::{
		stake::{Hex, ValidatorCommand},
		Global,
	},
	chain::{call, At, Call, Chain},
	report::Report,
	sending::send,
};
use anyhow::{bail, Context};
use serde::Deserialize;
use subxt::{
	dynamic::Value,
	ext::scale_value::scale::decode_as_type,
	rpcs::{rpc_params, Error as RpcError},
	utils::AccountId32,
};

/// The most pages that are paid out in one transaction.
const PAGES: usize = 10;

/// `assay validator`.
pub async fn run(command: &ValidatorCommand, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let (call, words, done) = match command {
		ValidatorCommand::List => return status::list(chain, report).await,
		ValidatorCommand::Status { who } => return status::validator(&subject(who, global)?, chain, report).await,
		ValidatorCommand::Bond(command) => return bond(command, global, chain, report).await,
		ValidatorCommand::Keys { keys, proof } => set_keys(keys.as_ref(), proof.as_ref(), global, chain).await?,
		ValidatorCommand::Validate { commission, blocked } => {
			let prefs = Value::named_composite([
				("commission", Value::u128(commission.0.into())),
				("blocked", Value::bool(*blocked)),
			]);
			let nobody = if *blocked { ", without new nominations" } else { "" };
			(
				call(PALLET, "validate", [("prefs", prefs)]),
				format!("stand for validator with a commission of {commission}{nobody}"),
				"You are a candidate in elections from the next era on. Keep your node running with its keys.".into(),
			)
		}
		ValidatorCommand::Chill => chill(),
		ValidatorCommand::Payout { who, era } => payout(&subject(who, global)?, *era, chain).await?,
	};
	supported(&chain.best().await?)?;
	send(&call, &words, &done, global, chain, report).await
}

/// What a node returns for `author_rotateKeysWithOwner`.
#[derive(Deserialize)]
struct Generated {
	keys: String,
	proof: Option<String>,
}

/// New session keys from the node, for an owner.
async fn generate(owner: &AccountId32, chain: &Chain) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
	let owner = format!("0x{}", hex::encode(owner.0));
	let made: Result<Generated, RpcError> =
		chain.raw().request("author_rotateKeysWithOwner", rpc_params![&owner]).await;
	let made = made.map_err(|error| {
		anyhow::anyhow!(
			"the node at {} does not make keys for you ({error}). On its own machine, call author_rotateKeysWithOwner with {owner}, \
			and give what it returns with --keys and --proof",
			chain.url
		)
	})?;
	let bytes = |text: &str| text.parse::<Hex>().map(|hex| hex.0).map_err(anyhow::Error::msg);
	Ok((bytes(&made.keys)?, made.proof.as_deref().map(bytes).transpose()?.unwrap_or_default()))
}

async fn set_keys(
	keys: Option<&Hex>,
	proof: Option<&Hex>,
	global: &Global,
	chain: &Chain,
) -> anyhow::Result<(Call, String, String)> {
	let at = chain.best().await?;
	let (keys, proof) = match (keys, proof) {
		(Some(keys), Some(proof)) => (keys.0.clone(), proof.0.clone()),
		_ if global.dry_run => {
			bail!("a dry run makes no keys; give those that the node has made before, with --keys and --proof")
		}
		_ => generate(&author(global)?.id()?, chain).await?,
	};
	let shown = format!("0x{}", hex::encode(&keys));
	let call = call("Session", "set_keys", [("keys", keys_value(&at, &keys)?), ("proof", Value::from_bytes(proof))]);
	let done = format!(
		"Your node makes and finalises blocks with the session keys {shown}, two sessions from now at the earliest."
	);
	Ok((call, format!("set the session keys {shown}"), done))
}

/// Session keys, which a node gives encoded, as an argument.
fn keys_value(at: &At, keys: &[u8]) -> anyhow::Result<Value> {
	let metadata = at.metadata_ref();
	let variant = metadata.pallet_by_name("Session").and_then(|session| session.call_variant_by_name("set_keys"));
	let field = variant.and_then(|set_keys| set_keys.fields.iter().find(|field| field.name.as_deref() == Some("keys")));
	let ty = field.context("the chain has no call Session.set_keys")?.ty.id;
	let mut left = keys;
	let value = decode_as_type(&mut left, ty, metadata.types()).ok().filter(|_| left.is_empty());
	let value = value.context("these are not the session keys of this chain; is the node of the same version?")?;
	Ok(value.map_context(|_| ()))
}

/// The eras that can be paid out to a validator and its nominators, with the pages that are left of each.
pub(super) async fn open_payouts(who: &AccountId32, chain: &Chain, at: &At) -> anyhow::Result<Vec<(u32, usize)>> {
	let now = status::era(chain, at).await?;
	let depth: u32 = chain.constant(at, PALLET, "HistoryDepth")?;
	let mut open = Vec::new();
	for era in now.saturating_sub(depth)..now {
		let reward: Option<u128> = chain.storage(at, PALLET, "ErasValidatorReward", (era,)).await?;
		let Some(exposure) = status::exposure(chain, at, era, who).await? else { continue };
		if reward.is_none_or(|reward| reward == 0) {
			continue;
		}
		let claimed: Option<Vec<u32>> = chain.storage(at, PALLET, "ClaimedRewards", (era, who.0)).await?;
		// Without nominators there is one page all the same.
		let pages = usize::try_from(exposure.page_count.max(1))?;
		let left = pages.saturating_sub(claimed.unwrap_or_default().len());
		if left > 0 {
			open.push((era, left));
		}
	}
	Ok(open)
}

async fn payout(who: &AccountId32, era: Option<u32>, chain: &Chain) -> anyhow::Result<(Call, String, String)> {
	let at = chain.best().await?;
	supported(&at)?;
	let payout = |era: u32| {
		let arguments = [("validator_stash", Value::from_bytes(who.0)), ("era", Value::u128(era.into()))];
		call(PALLET, "payout_stakers", arguments)
	};
	let mut open = open_payouts(who, chain, &at).await?;
	open.retain(|(of, _)| era.is_none_or(|era| era == *of));
	let pages: Vec<u32> = open.iter().flat_map(|(era, left)| std::iter::repeat_n(*era, *left)).collect();
	let now = pages.get(..pages.len().min(PAGES)).unwrap_or_default();
	let (Some(first), Some(last)) = (now.first(), now.last()) else {
		match era {
			Some(era) => bail!("nothing of era {era} is open to be paid out to {who}"),
			None => bail!("nothing is open to be paid out to {who}"),
		}
	};
	let eras = if first == last { format!("era {first}") } else { format!("eras {first} to {last}") };
	let rest = match pages.len() - now.len() {
		0 => String::new(),
		rest => format!(" {rest} payouts are left: run it again."),
	};
	let words = format!("pay out {eras} to {who} and those behind it");
	Ok((batch(now.iter().copied().map(payout)), words, format!("Paid out {eras} to {who} and those behind it.{rest}")))
}
