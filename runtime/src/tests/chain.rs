//! A chain of real blocks: the executive begins and ends them, and every message is a transaction that it applies.

use super::*;
use codec::Encode;
use frame_support::traits::GetCallMetadata;
use pallet_transaction_payment::Event::TransactionFeePaid;
use sp_consensus_babe::digests::{CompatibleDigestItem, PreDigest, SecondaryPlainPreDigest};
use sp_runtime::{DigestItem, DispatchError};

/// A transaction that was applied.
#[derive(Clone, Debug)]
pub(super) struct Sent {
	/// Its call.
	pub call: &'static str,
	/// Who signed it; nobody for what authorises itself.
	pub by: Option<AccountId>,
	/// Its length in bytes.
	pub bytes: usize,
	/// What it cost.
	pub fee: Balance,
}

/// A chain whose last block is not finished.
pub(super) struct Chain {
	parent: Hash,
	/// The transactions so far.
	pub sent: Vec<Sent>,
	/// The events of all finished blocks.
	pub events: Vec<RuntimeEvent>,
}

impl Chain {
	/// Begins block 1.
	pub(super) fn start() -> Self {
		let chain = Self { parent: GENESIS, sent: Vec::new(), events: Vec::new() };
		chain.begin(1);
		chain
	}

	fn begin(&self, number: BlockNumber) {
		let slot = u64::from(number) + 1_000;
		let author = PreDigest::SecondaryPlain(SecondaryPlainPreDigest { authority_index: 0, slot: slot.into() });
		let digest = sp_runtime::Digest { logs: vec![DigestItem::babe_pre_digest(author)] };
		Executive::initialize_block(&<Header as sp_runtime::traits::Header>::new(
			number,
			Hash::zero(),
			Hash::zero(),
			self.parent,
			digest,
		));
		let set = pallet_timestamp::Call::set { now: slot * assay_primitives::BLOCK_MILLIS };
		let applied = Executive::apply_extrinsic(UncheckedExtrinsic::new_bare(set.into()));
		assert_eq!(applied, Ok(Ok(())));
	}

	/// Ends the block, checks the invariants, and begins the next one.
	pub(super) fn next(&mut self) {
		let header = Executive::finalize_block();
		self.parent = header.hash();
		self.events.extend(System::events().into_iter().map(|record| record.event));
		check_invariants().unwrap_or_else(|error| panic!("after block {}: {error:?}", header.number));
		self.begin(header.number + 1);
	}

	/// Goes on to block `to`.
	pub(super) fn run_to(&mut self, to: BlockNumber) {
		while System::block_number() < to {
			self.next();
		}
	}

	/// Goes on by `blocks`.
	pub(super) fn run(&mut self, blocks: BlockNumber) {
		self.run_to(System::block_number() + blocks);
	}

	/// Leaves no room in this block.
	pub(super) fn fill(&self) {
		let all = configs::RuntimeBlockWeights::get().max_block;
		System::register_extra_weight_unchecked(all, frame_support::dispatch::DispatchClass::Operational);
	}

	/// A signed transaction that must succeed.
	pub(super) fn sign(&mut self, who: Sr25519Keyring, call: impl Into<RuntimeCall>) {
		let call = call.into();
		let name = call.get_call_metadata().function_name;
		self.try_sign(who, call).unwrap_or_else(|error| panic!("{who}'s {name} failed: {error:?}"));
	}

	/// A signed transaction that may fail in dispatch.
	pub(super) fn try_sign(&mut self, who: Sr25519Keyring, call: impl Into<RuntimeCall>) -> Result<(), DispatchError> {
		let account = who.to_account_id();
		let extension: TxExtension = (
			frame_system::AuthorizeCall::new(),
			frame_system::CheckNonZeroSender::new(),
			frame_system::CheckSpecVersion::new(),
			frame_system::CheckTxVersion::new(),
			frame_system::CheckGenesis::new(),
			frame_system::CheckEra::from(generic::Era::Immortal),
			frame_system::CheckNonce::from(System::account_nonce(&account)),
			frame_system::CheckWeight::new(),
			pallet_transaction_payment::ChargeTransactionPayment::from(0),
			frame_metadata_hash_extension::CheckMetadataHash::new(false),
			frame_system::WeightReclaim::new(),
		);
		let payload = SignedPayload::new(call.into(), extension).expect("the extension knows the chain");
		let signature = payload.using_encoded(|bytes| who.sign(bytes)).into();
		let (call, extension, _) = payload.deconstruct();
		let transaction = UncheckedExtrinsic::new_signed(call, account.clone().into(), signature, extension);
		self.apply(Some(account), transaction)
	}

	/// A free transaction that must be taken and succeed.
	pub(super) fn free(&mut self, call: impl Into<RuntimeCall>) {
		let call = call.into();
		let name = call.get_call_metadata().function_name;
		self.apply(None, authorized(call)).unwrap_or_else(|error| panic!("{name} failed: {error:?}"));
	}

	/// Whether a free transaction would be taken.
	pub(super) fn takes(&self, call: impl Into<RuntimeCall>) -> bool {
		use frame_support::traits::Authorize;
		let source = sp_runtime::transaction_validity::TransactionSource::External;
		call.into().authorize(source).is_some_and(|authorized| authorized.is_ok())
	}

	fn apply(&mut self, by: Option<AccountId>, transaction: UncheckedExtrinsic) -> Result<(), DispatchError> {
		let (call, bytes) = (transaction.function.get_call_metadata().function_name, transaction.encoded_size());
		let before = System::event_count() as usize;
		let applied = Executive::apply_extrinsic(transaction).unwrap_or_else(|error| panic!("{call}: {error:?}"));
		let events: Vec<_> = System::events().into_iter().skip(before).collect();
		let fee = events.iter().find_map(|record| match record.event {
			RuntimeEvent::TransactionPayment(TransactionFeePaid { actual_fee, .. }) => Some(actual_fee),
			_ => None,
		});
		assert_eq!(fee.is_some(), by.is_some(), "signed transactions cost something, others nothing");
		check_invariants().unwrap_or_else(|error| panic!("after {call}: {error:?}"));

		self.sent.push(Sent { call, by, bytes, fee: fee.unwrap_or_default() });
		applied
	}
}
