//! Before anything is signed: what it is in words, what it costs, whether the chain would take it.
//!
//! `--dry-run` ends there. On a terminal, people are asked first; where stdin or stderr is none, a script is running and nobody is asked.

use crate::{
	account::author,
	amount::Amount,
	args::Global,
	chain::{At, Call, Chain},
	report::Report,
	table::cut,
};
use anyhow::{bail, Context};
use serde_json::{json, Value as Json};
use std::io::{stderr, stdin, IsTerminal, Write};
use subxt::{
	dynamic::Value,
	ext::scale_value::{Composite, Primitive, ValueDef},
	utils::AccountId32,
};
use subxt_signer::sr25519::Keypair;

/// The longest argument that is shown.
const MAX_ARGUMENT: usize = 72;

/// The keys to sign a call with, if it is to be sent. `words` say what it does, behind "to".
pub async fn agreed(
	call: &Call,
	words: &str,
	global: &Global,
	chain: &Chain,
	report: &Report,
) -> anyhow::Result<Option<Keypair>> {
	let who = author(global)?;
	if global.dry_run {
		dry_run(call, words, global, chain, report).await?;
		return Ok(None);
	}
	if who.can_sign() && !global.yes && stdin().is_terminal() && stderr().is_terminal() {
		let at = chain.best().await?;
		let draft = Draft::new(call, words, &who.id()?, chain, &at).await?;
		let mut error = stderr();
		let _ = writeln!(error, "About to sign and send:\n{}", draft.lines().join("\n"));
		let _ = write!(error, "Go on? [y/N] ");
		let _ = error.flush();
		let mut answer = String::new();
		stdin().read_line(&mut answer).context("cannot read the answer")?;
		if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
			bail!("nothing was signed or sent");
		}
	}
	who.signer().map(Some)
}

/// Signs and sends a call, if that is agreed; then says what was done.
pub async fn send(
	call: &Call,
	words: &str,
	done: &str,
	global: &Global,
	chain: &Chain,
	report: &Report,
) -> anyhow::Result<()> {
	let Some(signer) = agreed(call, words, global, chain, report).await? else { return Ok(()) };
	let included = chain.submit(&signer, call).await?;
	report.line(done);
	report.finish(json!({
		"account": AccountId32(signer.public_key().0).to_string(),
		"call": format!("{}.{}", call.pallet_name(), call.call_name()),
		"block": included.block,
	}));
	Ok(())
}

/// A transaction that nobody has signed.
struct Draft {
	who: AccountId32,
	words: String,
	call: String,
	data: Vec<u8>,
	length: usize,
	fee: u128,
}

impl Draft {
	async fn new(call: &Call, words: &str, who: &AccountId32, chain: &Chain, at: &At) -> anyhow::Result<Self> {
		let nonce = chain.next_nonce(who).await?;
		let bytes = chain.draft(at, who, call, nonce)?;
		Ok(Self {
			who: *who,
			words: words.to_owned(),
			call: describe(call),
			data: at.tx().call_data(call)?,
			length: bytes.len(),
			fee: at.tx().from_bytes(bytes).partial_fee_estimate().await.context("the chain does not say the fee")?,
		})
	}

	fn lines(&self) -> Vec<String> {
		vec![
			format!("  account  {}", self.who),
			format!("  to       {}", self.words),
			format!("  call     {}", self.call),
			format!("  size     {} bytes", self.length),
			format!("  fee      {}", Amount(self.fee)),
		]
	}

	fn object(&self) -> Json {
		json!({
			"dry_run": true,
			"account": self.who.to_string(),
			"words": self.words,
			"call": self.call,
			"call_data": format!("0x{}", hex::encode(&self.data)),
			"length": self.length,
			"fee": self.fee.to_string(),
		})
	}
}

async fn dry_run(call: &Call, words: &str, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let who = author(global)?;
	let at = chain.best().await?;
	let draft = Draft::new(call, words, &who.id()?, chain, &at).await?;
	report.line("Dry run: nothing is sent. This would be signed:");
	draft.lines().iter().for_each(|line| report.line(line));
	let mut object = draft.object();
	let tried = match who.can_sign() {
		true => Some(chain.try_call(&at, &who.signer()?, call).await?),
		false => None,
	};
	match &tried {
		None => report.line("  chain    cannot be asked whether it works: an address alone cannot sign"),
		Some(Ok(())) => report.line("  chain    would take it now, and the call would succeed"),
		Some(Err(refused)) => {
			report.line("  chain    would refuse it now");
			object["error"] = refused.text.as_str().into();
			object["name"] = refused.name.as_deref().into();
		}
	}
	object["accepted"] = tried.as_ref().map(Result::is_ok).into();
	report.finish(object);
	match tried {
		Some(Err(refused)) => Err(anyhow::Error::new(refused).context("this would not work now")),
		_ => Ok(()),
	}
}

/// A call as the chain sees it, in one line.
fn describe(call: &Call) -> String {
	let arguments = match call.call_data() {
		Composite::Named(fields) => fields.iter().map(|(name, value)| format!("{name}: {}", argument(value))).collect(),
		Composite::Unnamed(values) => values.iter().map(argument).collect::<Vec<_>>(),
	};
	format!("{}.{}({})", call.pallet_name(), call.call_name(), arguments.join(", "))
}

fn argument(value: &Value) -> String {
	cut(&plain(value), MAX_ARGUMENT)
}

/// A value, bytes in hexadecimal.
fn plain(value: &Value) -> String {
	let list = |composite: &Composite<()>| match composite {
		Composite::Named(fields) => {
			let fields = fields.iter().map(|(name, value)| format!("{name}: {}", plain(value)));
			format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
		}
		Composite::Unnamed(values) => match bytes(values) {
			Some(bytes) => format!("0x{}", hex::encode(bytes)),
			None => format!("({})", values.iter().map(plain).collect::<Vec<_>>().join(", ")),
		},
	};
	match &value.value {
		ValueDef::Composite(composite) => list(composite),
		ValueDef::Variant(variant) if variant.values.is_empty() => variant.name.clone(),
		ValueDef::Variant(variant) => format!("{} {}", variant.name, list(&variant.values)),
		_ => value.to_string(),
	}
}

/// Whether these are bytes: there is no other way to tell.
fn bytes(values: &[Value]) -> Option<Vec<u8>> {
	let byte = |value: &Value| match value.value {
		ValueDef::Primitive(Primitive::U128(number)) => u8::try_from(number).ok(),
		_ => None,
	};
	values.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() > 1)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::chain::call;

	#[test]
	fn call_should_be_shown_as_the_chain_sees_it() {
		let target = Value::unnamed_variant("Id", [Value::from_bytes([7; 4])]);
		let none = Value::unnamed_variant("None", []);
		let terms = Value::named_composite([("capacity", Value::u128(3))]);
		let arguments = [("dest", target), ("amount", Value::u128(1_000)), ("window", none), ("terms", terms)];
		assert_eq!(
			describe(&call("Pallet", "verb", arguments)),
			"Pallet.verb(dest: Id (0x07070707), amount: 1000, window: None, terms: {capacity: 3})"
		);
		let long = describe(&call("Pallet", "verb", [("input", Value::from_bytes([1; 500]))]));
		assert!(long.len() < 120 && long.contains("input: 0x0101") && long.ends_with("…)"), "{long}");
	}
}
