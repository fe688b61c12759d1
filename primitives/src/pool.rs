//! Why a node does not take a transaction, or gives one up: the one table from which pallets take their codes, clients
//! their words, and `docs/errors.md` its rows.
//!
//! What fails *in* a block is not here. Pallets document those errors, and clients read them from the chain's metadata.

use alloc::{format, string::String};
use core::fmt;

/// The code for an answer that is not as long as the model's outputs are together.
pub const REFUSED_OUTPUT_SIZE: u8 = 1;
/// The code for a publication that the judge refuses.
pub const REFUSED_PUBLICATION: u8 = 2;
/// The code for an opening that the judge refuses.
pub const REFUSED_OPENING: u8 = 3;

/// JSON-RPC's error for a transaction that the chain says is invalid.
pub const INVALID: i32 = 1010;

/// How one can tell, over JSON-RPC, what became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
	/// The error [`INVALID`], and a code of this chain's own in its data.
	Custom(u8),
	/// The error [`INVALID`], and these words in its data.
	Words(&'static str),
	/// An error of its own.
	Code(i32),
	/// The status of a transaction that the node had taken.
	Status(&'static str),
}

impl Sign {
	/// Whether it is in an error with this code and this data.
	fn is_in(&self, code: i32, data: &str) -> bool {
		match *self {
			Self::Custom(own) => {
				let number = data.strip_prefix("Custom error: ").and_then(|number| number.parse::<u8>().ok());
				code == INVALID && number == Some(own)
			}
			Self::Words(words) => code == INVALID && data.contains(words),
			Self::Code(own) => code == own,
			Self::Status(_) => false,
		}
	}
}

impl fmt::Display for Sign {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match self {
			Self::Custom(own) => write!(f, "{INVALID}, `Custom error: {own}`"),
			Self::Words(words) => write!(f, "{INVALID}, `… {words} …`"),
			Self::Code(code) => write!(f, "{code}"),
			Self::Status(status) => write!(f, "status `{status}`"),
		}
	}
}

/// A reason, in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rejection {
	/// How one can tell.
	pub sign: Sign,
	/// What clients call it, behind `Transaction.`.
	pub name: &'static str,
	/// What it means.
	pub meaning: &'static str,
	/// What to do about it.
	pub remedy: &'static str,
}

impl Rejection {
	/// What people read.
	pub fn text(&self) -> String {
		format!("{}; {}", self.meaning, self.remedy)
	}
}

const fn row(sign: Sign, name: &'static str, meaning: &'static str, remedy: &'static str) -> Rejection {
	Rejection { sign, name, meaning, remedy }
}

/// All reasons that are known.
pub static REJECTIONS: [Rejection; 18] = [
	row(
		Sign::Custom(REFUSED_OUTPUT_SIZE),
		"OutputSize",
		"the answer is not as long as the model's outputs are together",
		"have it computed by an engine with the very model of the job",
	),
	row(
		Sign::Custom(REFUSED_PUBLICATION),
		"Publication",
		"the published trace does not belong to the job, or does not end in the answer that was committed",
		"publish the trace of the engine that answered; if it has another answer now, the committed one was wrong",
	),
	row(
		Sign::Custom(REFUSED_OPENING),
		"Opening",
		"the opening does not fit the published trace, or does not answer the demand",
		"open the trace that was published, with the same model",
	),
	row(
		Sign::Words("Inability to pay"),
		"Payment",
		"the account has too little OPG for the transaction fee",
		"send it some first",
	),
	row(
		Sign::Words("outdated"),
		"Stale",
		"it comes too late: a transaction of this account with the same number is in a block, or the job or dispute is past it",
		"look at what the chain has now, and try again if it is still needed",
	),
	row(
		Sign::Words("in the future"),
		"Future",
		"it is too early for that",
		"wait until the job or dispute is there, or send the account's earlier transactions first",
	),
	row(
		Sign::Words("bad signature"),
		"BadProof",
		"the signature is not valid on this chain: the wrong key signed, or the chain was restarted or upgraded meanwhile",
		"sign again, with the right key",
	),
	row(
		Sign::Words("ancient birth block"),
		"AncientBirthBlock",
		"the transaction was signed too long ago, or for another chain",
		"sign it again",
	),
	row(
		Sign::Words("exhaust the block limits"),
		"ExhaustsResources",
		"the transaction is too large for a block",
		"split it, or send less",
	),
	row(
		Sign::Words("call is not expected"),
		"Call",
		"the chain does not take this call in this way",
		"sign it with an account, or with the service key if it is a worker's message",
	),
	row(
		Sign::Code(1011),
		"Unknown",
		"the node cannot tell whether the transaction is valid",
		"update the client if the chain was upgraded, else try another node",
	),
	row(
		Sign::Code(1012),
		"Banned",
		"the node refused this very transaction a moment ago and does not look at it again for now",
		"change what was wrong with it, or wait half an hour",
	),
	row(Sign::Code(1013), "AlreadyImported", "the node has this transaction already", "wait for its block"),
	row(
		Sign::Code(1014),
		"TooLowPriority",
		"another transaction of this account with the same number waits already",
		"try again when it is in a block, or offer a tip",
	),
	row(Sign::Code(1016), "ImmediatelyDropped", "the node's pool is full", "try again later, or offer a tip"),
	row(Sign::Status("invalid"), "Invalid", "the transaction became invalid while it waited", "try again"),
	row(
		Sign::Status("dropped"),
		"Dropped",
		"the node's pool is full and dropped the transaction",
		"try again later, or offer a tip",
	),
	row(
		Sign::Status("usurped"),
		"Usurped",
		"another transaction of this account took its place",
		"send it again if both are wanted",
	),
];

/// Why a node did not take a transaction, by the code and the data of its error.
pub fn rejection(code: i32, data: &str) -> Option<&'static Rejection> {
	REJECTIONS.iter().find(|rejection| rejection.sign.is_in(code, data))
}

/// Why a node gave up a transaction that it had taken, by the status it reported.
pub fn given_up(status: &str) -> Option<&'static Rejection> {
	REJECTIONS.iter().find(|rejection| matches!(rejection.sign, Sign::Status(own) if own == status))
}

/// The page `docs/errors.md`.
pub fn page() -> String {
	let mut page = String::from(HEAD);
	for Rejection { sign, name, meaning, remedy } in &REJECTIONS {
		page += &format!("| {sign} | `Transaction.{name}` | {meaning} | {remedy} |\n");
	}
	page
}

const HEAD: &str = "# Errors

Written from `primitives/src/pool.rs` by `cargo run -q -p assay-primitives --example errors > docs/errors.md`; a test compares.

## A transaction that does not get into a block

What the node says is the error of `author_submitExtrinsic`: its code, and the words in its data; or the status of a transaction
that it had taken. `assay` prints the words and, with `--json`, the name.

| the node says | name | it means | what to do |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn rejection_should_be_found_by_what_the_node_says() {
		let name = |code, data| rejection(code, data).map(|rejection| rejection.name);
		assert_eq!(name(INVALID, "Custom error: 1"), Some("OutputSize"));
		assert_eq!(name(INVALID, "Custom error: 3"), Some("Opening"));
		assert_eq!(name(INVALID, "Custom error: 13"), None);
		assert_eq!(name(1011, "Custom error: 1"), Some("Unknown"));
		assert_eq!(name(1014, ""), Some("TooLowPriority"));
		assert_eq!(name(INVALID, "dropped"), None);
		assert_eq!(given_up("dropped").map(|rejection| rejection.name), Some("Dropped"));
		assert_eq!(given_up("ready"), None);
	}

	// The words are Substrate's; an upgrade that changes them must not go unnoticed.
	#[test]
	fn rejection_should_know_the_words_of_the_runtime() {
		use sp_runtime::transaction_validity::InvalidTransaction as I;
		for (error, name) in [
			(I::Payment, "Payment"),
			(I::Stale, "Stale"),
			(I::Future, "Future"),
			(I::BadProof, "BadProof"),
			(I::AncientBirthBlock, "AncientBirthBlock"),
			(I::ExhaustsResources, "ExhaustsResources"),
			(I::Call, "Call"),
		] {
			let words: &'static str = error.into();
			assert_eq!(rejection(INVALID, words).map(|rejection| rejection.name), Some(name), "{words}");
		}
	}

	#[test]
	fn reasons_should_be_told_apart() {
		for (i, one) in REJECTIONS.iter().enumerate() {
			assert!(REJECTIONS.iter().skip(i + 1).all(|other| other.sign != one.sign && other.name != one.name));
		}
	}

	#[test]
	fn page_should_be_the_one_in_docs() {
		assert_eq!(page(), include_str!("../../docs/errors.md"), "write it again as its first paragraph says");
	}
}
