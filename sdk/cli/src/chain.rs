//! The chain: connection, storage, view functions, transactions; and errors in words.
//!
//! Everything follows the *best* block, which is what people wait for. A dev chain finalises it one or two blocks later.

use crate::types::AccountInfo;
use anyhow::{anyhow, bail, Context};
use assay_primitives::pool::{self, Rejection};
use codec::{Compact, Decode, Encode};
use std::{fmt, sync::Arc};
use subxt::{
	backend::LegacyBackend,
	client::{OnlineClient, OnlineClientAtBlock},
	config::{substrate::H256, RpcConfigFor, SubstrateConfig, SubstrateExtrinsicParamsBuilder},
	dynamic::{self, Value},
	error::DispatchError,
	events::{Events, Phase},
	ext::{
		frame_decode::{
			storage::{IntoDecodableValues, IntoEncodableValues},
			view_functions::IntoEncodableValues as IntoArguments,
		},
		scale_decode::DecodeAsType,
		scale_encode::EncodeAsType,
		scale_value::Composite,
	},
	rpcs::{
		client::{RpcClient, RpcSubscription},
		methods::legacy::TransactionStatus,
		Error as RpcError, LegacyRpcMethods, UserError,
	},
	transactions::{DynamicPayload, TransactionInvalid},
	utils::{AccountId32, MultiSignature},
	Metadata,
};
use subxt_signer::sr25519::Keypair;

/// How the chain encodes things.
pub type Config = SubstrateConfig;
/// The chain at one block.
pub type At = OnlineClientAtBlock<Config>;
/// The plain JSON-RPC methods.
pub type Rpc = LegacyRpcMethods<RpcConfigFor<Config>>;
/// A call to a pallet, its arguments by name.
pub type Call = DynamicPayload<Composite<()>>;

/// The pallets without which it is not an Assay chain.
const PALLETS: [&str; 3] = ["Models", "Workers", "Inference"];
/// The length of a view function's id: two hashes of 16 bytes.
const VIEW_FUNCTION_ID: usize = 32;
/// How long a transaction stays valid, in blocks.
pub const MORTAL_BLOCKS: u64 = 64;

/// The chain said no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
	/// The name of the error, `Pallet.Error`, if it has one.
	pub name: Option<String>,
	/// What it means.
	pub text: String,
}

impl fmt::Display for Refused {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		match &self.name {
			Some(name) if self.text.is_empty() => f.write_str(name),
			Some(name) => write!(f, "{} ({name})", self.text),
			None => f.write_str(&self.text),
		}
	}
}

impl std::error::Error for Refused {}

impl Refused {
	fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
		Self { name: Some(name.into()), text: text.into() }
	}
}

impl From<&Rejection> for Refused {
	fn from(rejection: &Rejection) -> Self {
		Self::new(format!("Transaction.{}", rejection.name), rejection.text())
	}
}

/// A call, its arguments by name.
pub fn call<'a>(pallet: &str, name: &str, arguments: impl IntoIterator<Item = (&'a str, Value)>) -> Call {
	dynamic::tx(pallet, name, Composite::named(arguments))
}

/// A connection to a chain.
pub struct Chain {
	/// The node.
	pub url: String,
	client: OnlineClient<Config>,
	rpc: Rpc,
	raw: RpcClient,
}

/// A transaction in the node's pool.
pub struct Sent {
	bytes: Vec<u8>,
	progress: RpcSubscription<TransactionStatus<H256>>,
}

/// A transaction in a block.
pub struct Included {
	/// The block's number.
	pub block: u64,
	/// The block's hash.
	pub hash: H256,
	/// The transaction's position in the block.
	pub index: u32,
	/// The block's events.
	pub events: Events<Config>,
}

impl Included {
	/// Whether an event came from this transaction.
	pub fn caused(&self, phase: Phase) -> bool {
		phase == Phase::ApplyExtrinsic(self.index)
	}
}

impl Chain {
	/// Connects, and makes sure that it is an Assay chain.
	pub async fn connect(url: &str) -> anyhow::Result<Self> {
		let raw = RpcClient::from_insecure_url(url).await.map_err(|error| {
			anyhow!(
				"no node answers at {url}: {}. Start a dev chain with ./scripts/dev, or say where the node is with --url",
				innermost(&error)
			)
		})?;
		let rpc = Rpc::new(raw.clone());
		let backend = LegacyBackend::<Config>::builder().build(raw.clone());
		let client = OnlineClient::from_backend(Arc::new(backend))
			.await
			.map_err(|error| anyhow!("the node at {url} does not speak Substrate's JSON-RPC: {}", innermost(&error)))?;
		let chain = Self { url: url.into(), client, rpc, raw };
		let at = chain.best().await?;
		if let Some(missing) = PALLETS.iter().find(|pallet| at.metadata_ref().pallet_by_name(pallet).is_none()) {
			let name = chain.rpc.system_chain().await.unwrap_or_default();
			bail!("the node at {url} runs {name:?}, which is not an Assay chain (no pallet {missing}); give the right --url");
		}
		Ok(chain)
	}

	/// The plain JSON-RPC methods.
	pub fn rpc(&self) -> &Rpc {
		&self.rpc
	}

	/// The JSON-RPC client, for methods that have no name here.
	pub fn raw(&self) -> &RpcClient {
		&self.raw
	}

	/// The hash of the first block.
	pub fn genesis(&self) -> H256 {
		self.client.genesis_hash()
	}

	/// The chain at the best block.
	pub async fn best(&self) -> anyhow::Result<At> {
		let header = self.rpc.chain_get_header(None).await.map_err(lost)?;
		let number = header.map(|header| header.number).context("the node has no best block")?;
		self.at_number(number).await
	}

	/// The chain at a block of the best chain.
	pub async fn at_number(&self, number: u64) -> anyhow::Result<At> {
		let hash = self.rpc.chain_get_block_hash(Some(number.into())).await.map_err(lost)?;
		let hash = hash.with_context(|| format!("the node does not have block {number}"))?;
		Ok(self.client.at_block_hash_and_number(hash, number).await?)
	}

	/// The chain at a block.
	pub async fn at(&self, hash: H256) -> anyhow::Result<At> {
		Ok(self.client.at_block(hash).await?)
	}

	/// A storage entry, or its default; `None` if it is not there.
	pub async fn storage<K, V>(&self, at: &At, pallet: &str, entry: &str, keys: K) -> anyhow::Result<Option<V>>
	where
		K: IntoEncodableValues + IntoDecodableValues,
		V: DecodeAsType,
	{
		let address = dynamic::storage::<K, V>(pallet, entry);
		let context = || format!("cannot read {pallet}.{entry}");
		let value = at.storage().try_fetch(address, keys).await.with_context(context)?;
		value.map(|value| value.decode()).transpose().with_context(context)
	}

	/// All entries of a storage map of one key, with their keys.
	pub async fn storage_map<K, V>(&self, at: &At, pallet: &str, entry: &str) -> anyhow::Result<Vec<(K, V)>>
	where
		K: DecodeAsType,
		V: DecodeAsType,
		(K,): IntoEncodableValues + IntoDecodableValues,
	{
		let context = || format!("cannot read {pallet}.{entry}");
		let address = dynamic::storage::<(K,), V>(pallet, entry);
		let mut entries = at.storage().iter(address, ()).await.with_context(context)?;
		let mut found = Vec::new();
		while let Some(entry) = entries.next().await {
			let entry = entry.with_context(context)?;
			let (key,) = entry.key().with_context(context)?.decode().with_context(context)?;
			found.push((key, entry.value().decode().with_context(context)?));
		}
		Ok(found)
	}

	/// The entries of a storage map of two keys under the first, by the second.
	pub async fn storage_under<A, B, V>(
		&self,
		at: &At,
		pallet: &str,
		entry: &str,
		first: A,
	) -> anyhow::Result<Vec<(B, V)>>
	where
		A: DecodeAsType + EncodeAsType,
		B: DecodeAsType + EncodeAsType,
		V: DecodeAsType,
	{
		let context = || format!("cannot read {pallet}.{entry}");
		let address = dynamic::storage::<(A, B), V>(pallet, entry);
		let mut entries = at.storage().iter(address, (first,)).await.with_context(context)?;
		let mut found = Vec::new();
		while let Some(entry) = entries.next().await {
			let entry = entry.with_context(context)?;
			let (_, second) = entry.key().with_context(context)?.decode().with_context(context)?;
			found.push((second, entry.value().decode().with_context(context)?));
		}
		Ok(found)
	}

	/// What a view function says.
	pub async fn view<A, R>(&self, at: &At, pallet: &str, function: &str, arguments: A) -> anyhow::Result<R>
	where
		A: IntoArguments,
		R: DecodeAsType,
	{
		let context = || format!("cannot ask {pallet}.{function}");
		let metadata = at.metadata_ref();
		let view = metadata.pallet_by_name(pallet).and_then(|pallet| pallet.view_function_by_name(function));
		let output = view.context("the chain has no such view function").with_context(context)?.output_ty();
		let payload = dynamic::view_function_call::<A, R>(pallet, function, arguments);
		let encoded = at.view_functions().encode_args(payload).with_context(context)?;
		let (_, arguments) = encoded.split_at_checked(VIEW_FUNCTION_ID).with_context(context)?;
		let reply = self.view_encoded(at, pallet, function, arguments).await?;
		R::decode_as_type(&mut &reply[..], output, metadata.types()).with_context(context)
	}

	/// What a view function says, encoded, to encoded arguments.
	pub async fn view_encoded(
		&self,
		at: &At,
		pallet: &str,
		function: &str,
		arguments: &[u8],
	) -> anyhow::Result<Vec<u8>> {
		let context = || format!("cannot ask {pallet}.{function}");
		let metadata = at.metadata_ref();
		let view = metadata.pallet_by_name(pallet).and_then(|pallet| pallet.view_function_by_name(function));
		let id = view.context("the chain has no such view function").with_context(context)?.query_id();
		// The runtime API takes the function's id and its arguments *as bytes*, and gives a result of bytes; subxt 0.50 leaves
		// both lengths out.
		let parameters = [&id[..], &arguments.encode()].concat();
		let reply = at.view_functions().call_raw(Some(&parameters)).await.with_context(context)?;
		match reply.split_first() {
			Some((0, bytes)) => Vec::<u8>::decode(&mut &*bytes).with_context(context),
			_ => bail!("{}: the chain could not carry it out", context()),
		}
	}

	/// A constant.
	pub fn constant<V: DecodeAsType>(&self, at: &At, pallet: &str, name: &str) -> anyhow::Result<V> {
		let address = dynamic::constant::<V>(pallet, name);
		at.constants().entry(address).with_context(|| format!("cannot read the constant {pallet}.{name}"))
	}

	/// The number of the account's next transaction, counting those that wait in the pool.
	pub async fn next_nonce(&self, who: &AccountId32) -> anyhow::Result<u64> {
		self.rpc.system_account_next_index(who).await.map_err(lost)
	}

	/// A signed transaction, encoded.
	pub async fn sign(&self, signer: &Keypair, call: &Call, nonce: u64) -> anyhow::Result<Vec<u8>> {
		let at = self.anchor().await?;
		self.sign_at(&at, signer, call, nonce)
	}

	/// The last final block.
	pub async fn finalised(&self) -> anyhow::Result<At> {
		self.at(self.rpc.chain_get_finalized_head().await.map_err(lost)?).await
	}

	/// Where a transaction's life can begin without being lost in a reorganisation: the last finalised block, or the best one
	/// where finality is far behind.
	async fn anchor(&self) -> anyhow::Result<At> {
		let best = self.best().await?;
		let finalised = self.finalised().await?;
		let behind = best.block_number().saturating_sub(finalised.block_number());
		Ok(if behind < MORTAL_BLOCKS / 2 { finalised } else { best })
	}

	/// Like [`Chain::sign`], mortal from the given block on.
	pub fn sign_at(&self, at: &At, signer: &Keypair, call: &Call, nonce: u64) -> anyhow::Result<Vec<u8>> {
		let params = SubstrateExtrinsicParamsBuilder::new()
			.nonce(nonce)
			.mortal_from_unchecked(MORTAL_BLOCKS, at.block_number(), at.block_hash())
			.build();
		let context = || format!("cannot encode {}.{}", call.pallet_name(), call.call_name());
		let mut signable = at.tx().create_signable_offline(call, params).with_context(context)?;
		Ok(signable.sign(signer).with_context(context)?.into_encoded())
	}

	/// A transaction that nobody has signed, as long as the signed one: for asking what it costs.
	pub fn draft(&self, at: &At, who: &AccountId32, call: &Call, nonce: u64) -> anyhow::Result<Vec<u8>> {
		let params = SubstrateExtrinsicParamsBuilder::new()
			.nonce(nonce)
			.mortal_from_unchecked(MORTAL_BLOCKS, at.block_number(), at.block_hash())
			.build();
		let context = || format!("cannot encode {}.{}", call.pallet_name(), call.call_name());
		let mut signable = at.tx().create_signable_offline(call, params).with_context(context)?;
		let nobodys = MultiSignature::Sr25519([0; 64]);
		Ok(signable.sign_with_account_and_signature(who, &nobodys).with_context(context)?.into_encoded())
	}

	/// What would come of a call on top of a block. It is signed, and given to the node to try; but its life is over with that block,
	/// so no later block can have it.
	pub async fn try_call(&self, at: &At, signer: &Keypair, call: &Call) -> anyhow::Result<Result<(), Refused>> {
		/// The shortest life there is.
		const LIFE: u64 = 4;
		if at.block_number() == 0 {
			// Its state does not know its own hash, which signatures are over.
			return Ok(Err(Refused { name: None, text: "the chain has no blocks yet; try again in a moment".into() }));
		}
		let born = at.block_number().saturating_sub(LIFE - 1);
		let hash = self.rpc.chain_get_block_hash(Some(born.into())).await.map_err(lost)?;
		let hash = hash.with_context(|| format!("the node does not have block {born}"))?;
		let who = signer.public_key().0;
		let info: Option<AccountInfo> = self.storage(at, "System", "Account", (who,)).await?;
		let params = SubstrateExtrinsicParamsBuilder::new()
			.nonce(info.unwrap_or_default().nonce.into())
			.mortal_from_unchecked(LIFE, born, hash)
			.build();
		let context = || format!("cannot encode {}.{}", call.pallet_name(), call.call_name());
		let mut signable = at.tx().create_signable_offline(call, params).with_context(context)?;
		let bytes = signable.sign(signer).with_context(context)?.into_encoded();
		let applied = self.rpc.state_call("BlockBuilder_apply_extrinsic", Some(&bytes), Some(at.block_hash())).await;
		let applied = applied.map_err(lost).context("the node cannot try the call")?;
		Ok(match applied.as_slice() {
			[0, 0, ..] => Ok(()),
			[0, 1, error @ ..] => Err(refusal(&DispatchError::decode_from(error, at.metadata())?)),
			[1, 0, error @ ..] => Err(invalid(&TransactionInvalid::decode(&mut &*error)?)),
			_ => Err(Refused { name: None, text: "the chain cannot tell whether the transaction is valid".into() }),
		})
	}

	/// A transaction that carries its authorisation in the call, encoded: what service keys send. No account signs it.
	pub fn general(&self, at: &At, call: &Call) -> anyhow::Result<Vec<u8>> {
		/// Transaction format 5 in the lower six bits, "general" in the upper two.
		const GENERAL_V5: u8 = 0b0100_0101;
		let extensions = at.metadata_ref().extrinsic();
		let mut body = vec![GENERAL_V5, 0];
		for extension in extensions.transaction_extensions_to_use_for_encoding() {
			match extension.identifier() {
				// Immortal; number 0, which nobody checks without a signer; no tip; no metadata hash.
				"CheckMortality" | "CheckNonce" | "ChargeTransactionPayment" | "CheckMetadataHash" => body.push(0),
				_ => (),
			}
		}
		body.extend(at.tx().call_data(call)?);
		let mut bytes = Compact(u32::try_from(body.len())?).encode();
		bytes.extend(body);
		Ok(bytes)
	}

	/// Signs, submits, and waits until the transaction is in a block. An error if it failed there.
	pub async fn submit(&self, signer: &Keypair, call: &Call) -> anyhow::Result<Included> {
		let nonce = self.next_nonce(&AccountId32(signer.public_key().0)).await?;
		let bytes = self.sign(signer, call, nonce).await?;
		self.submit_encoded(&bytes).await
	}

	/// Submits an encoded transaction, and waits until it is in a block. An error if it failed there.
	pub async fn submit_encoded(&self, bytes: &[u8]) -> anyhow::Result<Included> {
		let sent = self.send(bytes.to_vec()).await?;
		self.included(sent).await
	}

	/// Submits an encoded transaction. It is in the node's pool then.
	pub async fn send(&self, bytes: Vec<u8>) -> anyhow::Result<Sent> {
		let progress = self.rpc.author_submit_and_watch_extrinsic(&bytes).await.map_err(rejected)?;
		Ok(Sent { bytes, progress })
	}

	/// Waits until a transaction is in a block. An error if it failed there.
	pub async fn included(&self, sent: Sent) -> anyhow::Result<Included> {
		let Sent { bytes, mut progress } = sent;
		let hash = loop {
			let status = progress
				.next()
				.await
				.context("the node closed the connection before the transaction was in a block")?;
			match status.map_err(lost)? {
				TransactionStatus::InBlock(hash) | TransactionStatus::Finalized(hash) => break hash,
				TransactionStatus::Invalid => bail!(given_up("invalid")),
				TransactionStatus::Dropped => bail!(given_up("dropped")),
				TransactionStatus::Usurped(_) => bail!(given_up("usurped")),
				_ => (),
			}
		};
		let at = self.at(hash).await?;
		let included = self.find(&at, &bytes).await?;
		let included = included.context("the transaction is not in the block that the node named")?;
		for event in included.events.iter() {
			let event = event?;
			if included.caused(event.phase())
				&& (event.pallet_name(), event.event_name()) == ("System", "ExtrinsicFailed")
			{
				let error = DispatchError::decode_from(event.field_bytes(), at.metadata())?;
				bail!(refusal(&error));
			}
		}
		Ok(included)
	}

	/// An encoded transaction in a block, if it is there.
	pub async fn find(&self, at: &At, bytes: &[u8]) -> anyhow::Result<Option<Included>> {
		let hash = at.block_hash();
		let body = self.rpc.chain_get_block(Some(hash)).await.map_err(lost)?.context("the node has lost the block")?;
		let index = body.block.extrinsics.iter().position(|extrinsic| extrinsic.0 == bytes);
		let Some(index) = index else { return Ok(None) };
		let events = at.events().fetch().await?;
		Ok(Some(Included { block: at.block_number(), hash, index: u32::try_from(index)?, events }))
	}
}

/// The part of an error that says what happened, without the layers it came through.
fn innermost(error: &dyn std::error::Error) -> String {
	let mut error = error;
	while let Some(source) = error.source() {
		error = source;
	}
	let text = error.to_string();
	let text = text.rsplit("client error: ").next().unwrap_or_default();
	text.strip_prefix("Error when opening the TCP socket: ").unwrap_or(text).to_owned()
}

/// A request to the node failed.
pub(crate) fn lost(error: RpcError) -> anyhow::Error {
	match error {
		RpcError::User(UserError { message, data, .. }) => {
			let data = data.map(|data| format!(": {}", data.get().trim_matches('"'))).unwrap_or_default();
			anyhow!("the node refused: {message}{data}")
		}
		error => anyhow!("the connection to the node is gone: {}", innermost(&error)),
	}
}

/// The pool did not take a transaction.
pub fn rejected(error: RpcError) -> anyhow::Error {
	match error {
		RpcError::User(user) => rejection(&user).into(),
		error => lost(error),
	}
}

/// Why the pool did not take a transaction, in words.
pub fn rejection(error: &UserError) -> Refused {
	let data = error.data.as_ref().map(|data| data.get().trim_matches('"').to_owned()).unwrap_or_default();
	match pool::rejection(error.code, &data) {
		Some(known) => known.into(),
		None if error.code == pool::INVALID => Refused {
			name: None,
			text: format!("the chain does not accept the transaction: {}", or(&data, &error.message)),
		},
		None => Refused {
			name: None,
			text: format!("the node did not take the transaction: {}", or(&data, &error.message)),
		},
	}
}

/// Why the chain does not take a transaction, in words.
fn invalid(error: &TransactionInvalid) -> Refused {
	let variant = format!("{error:?}");
	let known = pool::REJECTIONS.iter().find(|rejection| match error {
		TransactionInvalid::Custom(code) => rejection.sign == pool::Sign::Custom(*code),
		_ => rejection.name == variant,
	});
	let unknown = || Refused { name: None, text: format!("the chain does not accept the transaction: {variant}") };
	known.map_or_else(unknown, Refused::from)
}

/// Why the pool gave up a transaction that it had taken, in words.
fn given_up(status: &str) -> Refused {
	let unknown = || Refused { name: None, text: format!("the node gave up the transaction: {status}") };
	pool::given_up(status).map_or_else(unknown, Refused::from)
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
	if text.is_empty() {
		other
	} else {
		text
	}
}

/// Why a transaction failed in its block, in words: the error's own documentation, from the chain's metadata.
pub fn refusal(error: &DispatchError) -> Refused {
	use subxt::error::{DispatchError as E, TokenError};
	let text = match error {
		E::Module(module) => {
			return match module.details() {
				Ok(details) => {
					let name = format!("{}.{}", details.pallet.name(), details.variant.name);
					Refused::new(name, documentation(&details.variant.docs))
				}
				Err(_) => Refused {
					name: None,
					text: "the chain refused, with an error that its own metadata does not describe".into(),
				},
			}
		}
		E::Token(TokenError::FundsUnavailable | TokenError::CannotCreateHold | TokenError::NotExpendable) => {
			return Refused::new(
				"Token.FundsUnavailable",
				"the account has too little OPG for this; see `assay account`",
			);
		}
		E::Token(TokenError::Frozen) => {
			return Refused::new("Token.Frozen", "the account's OPG is on hold; see `assay account`")
		}
		E::Token(error) => return Refused::new(format!("Token.{error:?}"), error.to_string()),
		E::BadOrigin => return Refused::new("BadOrigin", "this account may not do that"),
		E::Arithmetic(error) => {
			return Refused::new(format!("Arithmetic.{error:?}"), "the numbers are too large or too small")
		}
		other => other.to_string(),
	};
	Refused { name: None, text }
}

/// A doc comment as one line, without the capital and the full stop that would look odd inside a sentence.
fn documentation(lines: &[String]) -> String {
	let text = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
	let text = text.trim_end_matches('.');
	let mut characters = text.chars();
	match (characters.next(), characters.clone().next()) {
		// "OPG …" keeps its capitals.
		(Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(characters).collect(),
		_ => text.to_owned(),
	}
}

/// A named error of a pallet with its documentation, from the metadata.
pub fn error_documentation(metadata: &Metadata, pallet: &str, name: &str) -> Option<String> {
	let pallet = metadata.pallet_by_name(pallet)?;
	let variant = pallet.error_variants()?.iter().find(|variant| variant.name == name)?;
	Some(documentation(&variant.docs))
}

#[cfg(test)]
mod tests {
	use super::*;

	fn user_error(code: i32, data: &str) -> UserError {
		let data = (!data.is_empty()).then(|| serde_json::value::RawValue::from_string(format!("{data:?}")).unwrap());
		UserError { code, message: "Invalid Transaction".into(), data }
	}

	#[test]
	fn rejection_should_say_what_to_do() {
		let poor = rejection(&user_error(1010, "Inability to pay some fees (e.g. account balance too low)"));
		assert_eq!(poor.name.as_deref(), Some("Transaction.Payment"));
		assert!(poor.to_string().contains("too little OPG"));
		let stale = rejection(&user_error(1010, "Transaction is outdated"));
		assert!(stale.to_string().contains("try again"));
		assert!(rejection(&user_error(1014, "")).to_string().contains("waits already"));
		assert!(rejection(&user_error(1010, "")).to_string().contains("Invalid Transaction"));
		assert!(rejection(&user_error(1010, "Something new")).to_string().contains("Something new"));
	}

	#[test]
	fn invalidity_should_have_the_words_of_the_pool() {
		let name = |error: TransactionInvalid| invalid(&error).name;
		assert_eq!(name(TransactionInvalid::Payment).as_deref(), Some("Transaction.Payment"));
		assert_eq!(name(TransactionInvalid::Custom(pool::REFUSED_OPENING)).as_deref(), Some("Transaction.Opening"));
		assert_eq!(name(TransactionInvalid::Custom(255)), None);
		assert!(invalid(&TransactionInvalid::BadSigner).text.contains("BadSigner"));
	}

	#[test]
	fn documentation_should_read_as_part_of_a_sentence() {
		let doc = |lines: &[&str]| documentation(&lines.iter().map(|line| line.to_string()).collect::<Vec<_>>());
		assert_eq!(doc(&["The fee is too low.", " Offer more."]), "the fee is too low. Offer more");
		assert_eq!(doc(&["OPG is short."]), "OPG is short");
		assert_eq!(doc(&[]), "");
	}

	#[test]
	fn refused_should_carry_its_name() {
		let refused = Refused::new("Inference.FeeTooLow", "the fee is too low");
		assert_eq!(refused.to_string(), "the fee is too low (Inference.FeeTooLow)");
	}

	#[tokio::test]
	async fn connect_should_say_what_to_do_when_no_node_answers() {
		let error = Chain::connect("ws://127.0.0.1:1").await.err().unwrap().to_string();
		assert!(error.contains("no node answers at ws://127.0.0.1:1"), "{error}");
		assert!(error.contains("--url") && !error.contains("RPC error"), "{error}");
	}
}
