//! What the pallets store and emit, as far as clients care. Fields are found by name, so that the chain may add others.

use assay_semantics::{DType, TensorType};
use subxt::{
	dynamic::Value,
	ext::{scale_decode::DecodeAsType, scale_value::ValueDef},
	utils::AccountId32,
};

/// A hash or an identity.
pub type Bytes32 = [u8; 32];

/// `System.Account`.
#[derive(DecodeAsType, Default, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct AccountInfo {
	/// Transactions sent.
	pub nonce: u32,
	/// Balances.
	pub data: AccountData,
}

/// Balances of an account.
#[derive(DecodeAsType, Default, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct AccountData {
	/// Its own, freely.
	pub free: u128,
	/// On hold.
	pub reserved: u128,
}

/// One hold of `Balances.Holds`.
#[derive(DecodeAsType, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct IdAmount {
	/// The reason: pallet, then the pallet's own reason.
	pub id: Value,
	/// How much.
	pub amount: u128,
}

impl IdAmount {
	/// The reason, as `Pallet.Reason`.
	pub fn reason(&self) -> String {
		let ValueDef::Variant(outer) = &self.id.value else { return self.id.to_string() };
		let inner = outer.values.values().next().map(|value| match &value.value {
			ValueDef::Variant(inner) => inner.name.clone(),
			_ => value.to_string(),
		});
		inner.map_or_else(|| outer.name.clone(), |inner| format!("{}.{inner}", outer.name))
	}
}

/// An element type.
#[derive(DecodeAsType, Clone, Copy, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum ElementType {
	F32,
	I8,
	U8,
	I32,
	I64,
	Bool,
	F16,
	BF16,
	F64,
	I16,
	U16,
	U32,
	U64,
}

impl From<ElementType> for DType {
	fn from(ty: ElementType) -> Self {
		match ty {
			ElementType::F32 => Self::F32,
			ElementType::I8 => Self::I8,
			ElementType::U8 => Self::U8,
			ElementType::I32 => Self::I32,
			ElementType::I64 => Self::I64,
			ElementType::Bool => Self::Bool,
			ElementType::F16 => Self::F16,
			ElementType::BF16 => Self::BF16,
			ElementType::F64 => Self::F64,
			ElementType::I16 => Self::I16,
			ElementType::U16 => Self::U16,
			ElementType::U32 => Self::U32,
			ElementType::U64 => Self::U64,
		}
	}
}

/// The type of a tensor.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct Tensor {
	/// Of one element.
	pub dtype: ElementType,
	/// Outermost first.
	pub dims: Vec<u32>,
}

impl From<&Tensor> for TensorType {
	fn from(tensor: &Tensor) -> Self {
		Self::new(tensor.dtype.into(), tensor.dims.clone())
	}
}

/// The preimage of a model's id.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Header {
	pub semantics_version: u32,
	pub ir_root: Bytes32,
	pub values: u32,
	pub weight_root: Bytes32,
	pub inputs: Vec<Tensor>,
	pub outputs: Vec<Tensor>,
}

/// Whether new jobs are taken.
#[derive(DecodeAsType, Clone, Copy, PartialEq, Eq, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum ModelStatus {
	Active,
	Deprecated { since: u32 },
	Invalid { since: u32 },
}

impl ModelStatus {
	/// In one word.
	pub fn word(self) -> &'static str {
		match self {
			Self::Active => "active",
			Self::Deprecated { .. } => "deprecated",
			Self::Invalid { .. } => "invalid",
		}
	}
}

/// How answers are verified.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub enum Policy {
	/// Version 1.
	V1(PolicyV1),
}

/// How answers are verified, version 1.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub struct PolicyV1 {
	/// The challenge window, in blocks.
	pub window: u32,
}

impl Policy {
	/// The challenge window, in blocks.
	pub fn window(&self) -> u32 {
		let Self::V1(policy) = self;
		policy.window
	}
}

/// `Models.Models`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct ModelRecord {
	pub owner: AccountId32,
	pub name: Vec<u8>,
	pub version: u32,
	pub header: Header,
	pub input_names: Vec<Vec<u8>>,
	pub output_names: Vec<Vec<u8>>,
	pub artifacts: Vec<Vec<u8>>,
	pub price: u128,
	/// In millionths.
	pub royalty: u32,
	pub policy: Policy,
	pub status: ModelStatus,
	pub deposit: u128,
}

impl ModelRecord {
	/// The name, as text.
	pub fn name(&self) -> String {
		text(&self.name)
	}

	/// The input tensors.
	pub fn inputs(&self) -> Vec<TensorType> {
		self.header.inputs.iter().map(Into::into).collect()
	}

	/// The output tensors.
	pub fn outputs(&self) -> Vec<TensorType> {
		self.header.outputs.iter().map(Into::into).collect()
	}
}

/// Bytes as text for people: control characters, which could move a terminal's cursor, are replaced.
pub fn text(bytes: &[u8]) -> String {
	String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// On which terms a worker serves a model.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Terms {
	pub capacity: u32,
	pub min_price: u128,
	/// In billionths of the coverage, per block.
	pub coverage_price: u32,
	pub min_deadline: u32,
}

/// Stake that is on its way out.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Unbonding {
	pub amount: u128,
	pub withdrawable_at: u32,
}

/// Why a worker lost stake.
#[derive(DecodeAsType, Clone, Copy, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum SlashReason {
	MissedDeadline,
	WrongAnswer,
}

impl SlashReason {
	/// For people.
	pub fn words(self) -> &'static str {
		match self {
			Self::MissedDeadline => "it did not answer in time",
			Self::WrongAnswer => "an answer was proven wrong, or not defended",
		}
	}
}

/// Stake that a worker lost.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Slash {
	pub block: u32,
	pub amount: u128,
	pub reason: SlashReason,
}

/// What `Workers.worker_status` says.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct WorkerStatus {
	pub bonded: u128,
	pub free: u128,
	pub covered: u128,
	pub open_claims: u32,
	pub max_claims: u32,
	pub unbonding: Vec<Unbonding>,
	pub paused: bool,
	pub service_key: Option<Bytes32>,
	pub services: Vec<(Bytes32, Terms, u32)>,
}

/// What `Workers.worker_status` says besides on a chain with delegations.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Backing {
	pub own: u128,
	pub delegated: u128,
	pub delegators: u32,
	pub commission: Option<u32>,
	pub next_commission: Option<(u32, u32)>,
	pub suspended_until: Option<u32>,
}

/// How a fee was split.
#[derive(DecodeAsType, Clone, Copy, Default, Debug, PartialEq, Eq)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Shares {
	pub burned: u128,
	pub treasury: u128,
	pub royalty: u128,
	pub worker: u128,
}

impl Shares {
	/// All of them together.
	pub fn sum(&self) -> u128 {
		self.burned + self.treasury + self.royalty + self.worker
	}
}

/// An event of the inference pallet, in words of its own.
#[derive(Clone, Debug)]
pub enum JobEvent {
	/// Someone asked.
	Requested {
		/// Who.
		requester: AccountId32,
	},
	/// A worker has the job.
	Assigned(Assigned),
	/// The worker gave it back.
	Declined {
		/// Who.
		worker: AccountId32,
		/// Why.
		reason: String,
	},
	/// The worker did not answer in time.
	Missed {
		/// Who.
		worker: AccountId32,
		/// What that cost it.
		penalty: u128,
	},
	/// The worker answered.
	Committed(Committed),
	/// The answer stood, and was paid for.
	Settled(Settled),
	/// The answer was proven wrong, or not defended.
	Overturned {
		/// Who had answered.
		worker: AccountId32,
	},
	/// Nobody answered.
	Expired {
		/// What the requester got back.
		refund: u128,
	},
	/// The requester thought better of it.
	Cancelled {
		/// What the requester got back.
		refund: u128,
	},
	/// Something else, by name.
	Other(String),
}

/// `Inference.Assigned`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Assigned {
	pub worker: AccountId32,
	pub fee: u128,
	pub bond: u128,
	pub answer_by: u32,
}

/// `Inference.Committed`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Committed {
	pub worker: AccountId32,
	pub claim: Bytes32,
	pub output_root: Bytes32,
	pub settles_at: u32,
}

/// `Inference.Settled`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Settled {
	pub worker: AccountId32,
	pub fee: u128,
	pub shares: Shares,
}

/// The fields that other events of the inference pallet have.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct OfJob {
	pub(crate) job: u64,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct RequestedFields {
	pub(crate) requester: AccountId32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct DeclinedFields {
	pub(crate) worker: AccountId32,
	pub(crate) reason: Value,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct MissedFields {
	pub(crate) worker: AccountId32,
	pub(crate) penalty: u128,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct OverturnedFields {
	pub(crate) worker: AccountId32,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub(crate) struct RefundFields {
	pub(crate) refund: u128,
}

/// The name of a variant, whatever its fields.
pub fn variant_name(value: &Value) -> String {
	match &value.value {
		ValueDef::Variant(variant) => variant.name.clone(),
		_ => value.to_string(),
	}
}
