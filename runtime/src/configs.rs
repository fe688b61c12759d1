//! How each pallet is set up. Relations between these numbers are asserted by the pallets' `integrity_test`s.

use crate::{consensus::FeePot, weights, wiring, *};
use assay_primitives::{BLOCK_MILLIS, DAYS, HOURS, MICRO_OPG, MILLI_OPG, MINUTES, OPG};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{
	derive_impl, parameter_types,
	traits::{
		tokens::imbalance::ResolveTo, ConstU128, ConstU16, ConstU32, ConstU64, ConstU8, InstanceFilter, VariantCountOf,
	},
	weights::{
		constants::{ParityDbWeight, WEIGHT_REF_TIME_PER_MILLIS},
		ConstantMultiplier, Weight,
	},
	PalletId,
};
use frame_system::limits::{BlockLength, BlockWeights};
use pallet_transaction_payment::{FungibleAdapter, Multiplier, TargetedFeeAdjustment};
use scale_info::TypeInfo;
use sp_runtime::{
	traits::{AccountIdLookup, Bounded},
	FixedPointNumber, Perbill, Permill, Perquintill,
};

/// The share of a block that ordinary transactions may take; the rest is for operational ones, dispute messages above all.
const NORMAL_RATIO: Perbill = Perbill::from_percent(75);
/// Half of the block time is for execution.
const MAX_BLOCK_WEIGHT: Weight = Weight::from_parts(1_500 * WEIGHT_REF_TIME_PER_MILLIS, u64::MAX);
/// The longest input, in bytes: a picture of 224 by 224 in three colours as float32 fits, and three such requests a block.
pub const MAX_INPUT: u32 = 1024 * 1024 - 1024;
/// The longest output, in bytes: with everything around it, an answer stays below 128 KiB.
pub const MAX_OUTPUT: u32 = 127 * 1024;
/// The most bytes in a block: room for 24 transactions of 128 KiB beside the operational quarter, and a block still crosses a
/// 20 Mbit/s line within its time.
const MAX_BLOCK_LENGTH: u32 = 4 * 1024 * 1024;
/// The longest challenge window, in blocks.
const MAX_WINDOW: BlockNumber = 6 * HOURS;
/// The longest time for an answer, in blocks.
const MAX_DEADLINE: BlockNumber = HOURS;
/// The most that a dispute can last, in blocks: `2 * (R_p + D * (R_w + R_c) + R_prove)` with ample clocks.
pub const LONGEST_DISPUTE: BlockNumber = 7 * HOURS;
/// The allowance for finality, in blocks.
pub const FINALITY: BlockNumber = 5 * MINUTES;

parameter_types! {
	/// Longer than the longest deadline: a claim names the hash of the block of its assignment.
	pub const BlockHashCount: BlockNumber = 4096;
	pub const Version: RuntimeVersion = VERSION;
	pub RuntimeBlockWeights: BlockWeights = BlockWeights::with_sensible_defaults(MAX_BLOCK_WEIGHT, NORMAL_RATIO);
	pub RuntimeBlockLength: BlockLength = BlockLength::builder()
		.max_length(MAX_BLOCK_LENGTH)
		.modify_max_length_for_class(
			frame_support::dispatch::DispatchClass::Normal,
			|length| *length = NORMAL_RATIO * MAX_BLOCK_LENGTH,
		)
		.build();
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
	type Block = Block;
	type BlockWeights = RuntimeBlockWeights;
	type BlockLength = RuntimeBlockLength;
	type AccountId = AccountId;
	type Lookup = AccountIdLookup<AccountId, ()>;
	type Nonce = Nonce;
	type Hash = Hash;
	type BlockHashCount = BlockHashCount;
	type DbWeight = ParityDbWeight;
	type Version = Version;
	type AccountData = pallet_balances::AccountData<Balance>;
	type SS58Prefix = ConstU16<{ assay_primitives::SS58_PREFIX }>;
	type SystemWeightInfo = weights::frame_system::WeightInfo<Runtime>;
	type ExtensionsWeightInfo = weights::frame_system_extensions::WeightInfo<Runtime>;
	type MaxConsumers = ConstU32<64>;
	type SingleBlockMigrations = Migrations;
}

/// What this version changes of the state that an earlier one left.
type Migrations = (
	// Before workers, which tell it of a change.
	pallet_rewards::migrations::MigrateV1ToV2<Runtime>,
	pallet_workers::migrations::MigrateV1ToV2<Runtime>,
	consensus::LimitCandidates,
);

impl pallet_timestamp::Config for Runtime {
	type Moment = u64;
	type OnTimestampSet = Babe;
	type MinimumPeriod = ConstU64<{ BLOCK_MILLIS / 2 }>;
	type WeightInfo = weights::pallet_timestamp::WeightInfo<Runtime>;
}

/// The least balance of an account.
pub const EXISTENTIAL_DEPOSIT: Balance = MILLI_OPG;

impl pallet_balances::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeHoldReason = RuntimeHoldReason;
	type RuntimeFreezeReason = RuntimeFreezeReason;
	type Balance = Balance;
	type DustRemoval = ();
	type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
	type AccountStore = System;
	type ReserveIdentifier = [u8; 8];
	type FreezeIdentifier = RuntimeFreezeReason;
	type MaxLocks = ConstU32<16>;
	type MaxReserves = ConstU32<16>;
	type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
	type DoneSlashHandler = ();
	type WeightInfo = weights::pallet_balances::WeightInfo<Runtime>;
}

parameter_types! {
	pub const TargetBlockFullness: Perquintill = Perquintill::from_percent(25);
	pub AdjustmentVariable: Multiplier = Multiplier::saturating_from_rational(75, 1_000_000);
	pub MinimumMultiplier: Multiplier = Multiplier::saturating_from_rational(1, 10u128);
	pub MaximumMultiplier: Multiplier = Bounded::max_value();
}

/// A millisecond of execution costs a thousandth of an OPG.
type WeightToFee = ConstantMultiplier<Balance, ConstU128<{ MILLI_OPG / WEIGHT_REF_TIME_PER_MILLIS as u128 }>>;
/// A KiB costs a thousandth of an OPG.
type LengthToFee = ConstantMultiplier<Balance, ConstU128<MICRO_OPG>>;

impl pallet_transaction_payment::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	// The fees of an era's transactions are what its validators are paid.
	type OnChargeTransaction = FungibleAdapter<Balances, ResolveTo<FeePot, Balances>>;
	type WeightToFee = WeightToFee;
	type LengthToFee = LengthToFee;
	type FeeMultiplierUpdate =
		TargetedFeeAdjustment<Self, TargetBlockFullness, AdjustmentVariable, MinimumMultiplier, MaximumMultiplier>;
	type OperationalFeeMultiplier = ConstU8<5>;
	type WeightInfo = weights::pallet_transaction_payment::WeightInfo<Runtime>;
}

impl pallet_utility::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type PalletsOrigin = OriginCaller;
	type WeightInfo = weights::pallet_utility::WeightInfo<Runtime>;
}

/// The deposit for `items` entries with `bytes` bytes in all.
const fn deposit(items: u32, bytes: u32) -> Balance {
	items as Balance * OPG / 10 + (bytes as Balance) * 100 * MICRO_OPG
}

/// What a proxy may do.
#[derive(
	Default,
	Copy,
	Clone,
	Eq,
	PartialEq,
	Ord,
	PartialOrd,
	Debug,
	Encode,
	Decode,
	DecodeWithMemTracking,
	MaxEncodedLen,
	TypeInfo,
)]
pub enum ProxyType {
	/// Anything.
	#[codec(index = 0)]
	#[default]
	Any,
	/// Request and cancel inferences.
	#[codec(index = 1)]
	Requester,
	/// Run a worker, but not take its stake out.
	#[codec(index = 2)]
	Operator,
	/// Bond more, nominate, validate, set session keys; what is unbonded stays on the account, and rewards go where they went.
	#[codec(index = 3)]
	Staking,
	/// Vote in the council.
	#[codec(index = 4)]
	Governance,
}

impl InstanceFilter<RuntimeCall> for ProxyType {
	fn filter(&self, call: &RuntimeCall) -> bool {
		match self {
			Self::Any => true,
			Self::Requester => matches!(call, RuntimeCall::Inference(_) | RuntimeCall::Utility(_)),
			Self::Operator => {
				match call {
					RuntimeCall::Workers(call) => {
						use pallet_workers::Call;
						!matches!(
							call,
							Call::unbond { .. }
								| Call::withdraw { .. } | Call::withdraw_for { .. }
								| Call::delegate { .. } | Call::undelegate { .. }
								| Call::withdraw_delegation { .. }
								| Call::set_payee { .. }
						)
					}
					RuntimeCall::Rewards(_) | RuntimeCall::Utility(_) => true,
					_ => false,
				}
			}
			Self::Staking => match call {
				RuntimeCall::Staking(call) => {
					use pallet_staking::Call;
					!matches!(call, Call::bond { .. } | Call::set_payee { .. } | Call::update_payee { .. })
				}
				RuntimeCall::Session(_) | RuntimeCall::VoterList(_) | RuntimeCall::Utility(_) => true,
				_ => false,
			},
			Self::Governance => matches!(call, RuntimeCall::Council(_) | RuntimeCall::Utility(_)),
		}
	}

	fn is_superset(&self, other: &Self) -> bool {
		*self == Self::Any || self == other
	}
}

impl pallet_proxy::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type Currency = Balances;
	type ProxyType = ProxyType;
	type ProxyDepositBase = ConstU128<{ deposit(1, 8) }>;
	type ProxyDepositFactor = ConstU128<{ deposit(0, 33) }>;
	type MaxProxies = ConstU32<32>;
	type WeightInfo = weights::pallet_proxy::WeightInfo<Runtime>;
	type MaxPending = ConstU32<32>;
	type CallHasher = BlakeTwo256;
	type AnnouncementDepositBase = ConstU128<{ deposit(1, 8) }>;
	type AnnouncementDepositFactor = ConstU128<{ deposit(0, 66) }>;
	type BlockNumberProvider = System;
}

impl pallet_multisig::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type Currency = Balances;
	type DepositBase = ConstU128<{ deposit(1, 88) }>;
	type DepositFactor = ConstU128<{ deposit(0, 32) }>;
	type MaxSignatories = ConstU32<100>;
	type WeightInfo = weights::pallet_multisig::WeightInfo<Runtime>;
	type BlockNumberProvider = System;
}

parameter_types! {
	pub const MaxRoyalty: Permill = Permill::from_percent(30);
	pub const BurnedShare: Permill = Permill::from_percent(50);
	pub const ChallengerShare: Permill = Permill::from_percent(30);
	pub const RequesterShare: Permill = Permill::from_percent(20);
	/// More than a year's interest on a bond for the seven hours of the longest dispute.
	pub const DelayShare: Permill = Permill::from_parts(1_000);
	pub const FeeBurn: Permill = Permill::from_percent(5);
	pub const FeeTreasury: Permill = Permill::from_percent(5);
	pub const MissedDeadlineFault: Permill = Permill::from_percent(25);
	pub const DeclinedFault: Permill = Permill::from_percent(5);
	pub const BurnedOfBond: Permill = Permill::from_percent(20);
	/// A tenth of a block.
	pub const DisputesAgendaWeight: Weight = Weight::from_parts(MAX_BLOCK_WEIGHT.ref_time() / 10, u64::MAX);
	/// Two fifths of a block: a job's settlement weighs about a third of the job.
	pub const AgendaWeight: Weight = Weight::from_parts(MAX_BLOCK_WEIGHT.ref_time() / 5 * 2, u64::MAX);
}

/// An answer, its window, the window once more if data was withheld, a dispute, finality.
type LongestClaim = ConstU32<{ MAX_DEADLINE + 2 * MAX_WINDOW + LONGEST_DISPUTE + FINALITY }>;
/// The most blocks that a worker may take to build a trace: two minutes. Clocks scale with it, and a dispute with the clocks.
type MaxTraceBlocks = ConstU32<40>;
/// The most workers that serve one model.
type MaxServers = ConstU32<128>;

impl pallet_models::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type BaseDeposit = ConstU128<{ deposit(2, 0) }>;
	type ByteDeposit = ConstU128<{ deposit(0, 1) }>;
	type SemanticsVersion = ConstU32<{ assay_semantics::SEMANTICS_VERSION }>;
	type MaxInput = ConstU32<MAX_INPUT>;
	type MaxOutput = ConstU32<MAX_OUTPUT>;
	type MaxRoyalty = MaxRoyalty;
	type MinWindow = ConstU32<10>;
	type MaxWindow = ConstU32<MAX_WINDOW>;
	// To reveal a sealed challenge, and for finality in good weather.
	type WindowSlack = ConstU32<6>;
	type MaxTraceBlocks = MaxTraceBlocks;
	type LongestJob = LongestClaim;
	type WeightInfo = weights::pallet_models::WeightInfo<Runtime>;
}

parameter_types! {
	pub const DelegationPallet: PalletId = PalletId(*b"assay/dg");
}

impl pallet_workers::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Models = wiring::Registry;
	type StakeObserver = wiring::ActiveStake;
	type MinBond = ConstU128<{ 100 * OPG }>;
	type UnbondingDelay = ConstU32<DAYS>;
	type LongestClaim = LongestClaim;
	type MaxServers = MaxServers;
	type MaxServed = ConstU32<32>;
	// Delegators wait for a day, and for four hours more at most.
	type MaxUnbonding = ConstU32<8>;
	type SlashingArmed = pallet_network::SlashingArmed<Runtime>;
	type SuspensionBlocks = ConstU32<DAYS>;
	type DelegationId = DelegationPallet;
	type MinDelegation = ConstU128<{ 10 * OPG }>;
	type MaxLeverage = ConstU32<1>;
	type MaxSlashRecords = ConstU32<16>;
	type WeightInfo = weights::pallet_workers::WeightInfo<Runtime>;
}

impl pallet_rewards::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Distribute = wiring::Backing;
	type BurnShare = FeeBurn;
	type TreasuryShare = FeeTreasury;
	type MaxRoyalty = MaxRoyalty;
	type TreasuryId = governance::TreasuryPallet;
	type EraLength = ConstU32<HOURS>;
	type EmissionTotal = ConstU128<{ 100_000_000 * OPG }>;
	// 96 months of 30.4375 days, in hours.
	type EmissionEras = ConstU32<70_128>;
	type HistoryDepth = ConstU32<168>;
	type HeartbeatLifetime = ConstU32<{ 10 * MINUTES }>;
	type MissedDeadlineFault = MissedDeadlineFault;
	type DeclinedFault = DeclinedFault;
	type WeightInfo = weights::pallet_rewards::WeightInfo<Runtime>;
}

impl pallet_inference::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Models = wiring::Registry;
	type Workers = wiring::Staked;
	type Rewards = wiring::Fees;
	type Randomness = pallet_babe::ParentBlockRandomness<Runtime>;
	type WeightToFee = WeightToFee;
	type LengthToFee = LengthToFee;
	// Burned, like transaction fees.
	type OnCharge = ();
	type WeightInfo = weights::pallet_inference::WeightInfo<Runtime>;
	type MaxInput = ConstU32<MAX_INPUT>;
	type MaxOutput = ConstU32<MAX_OUTPUT>;
	type MaxServers = MaxServers;
	type DrawDelay = ConstU32<2>;
	type MaxDrawPause = ConstU32<8>;
	type MinDeadline = ConstU32<5>;
	type MaxDeadline = ConstU32<MAX_DEADLINE>;
	type MaxWindow = ConstU32<MAX_WINDOW>;
	type ResultLifetime = ConstU32<DAYS>;
	type MinBond = ConstU128<OPG>;
	type BurnedShare = BurnedShare;
	type ChallengerShare = ChallengerShare;
	type RequesterShare = RequesterShare;
	type MinFee = ConstU128<{ 5 * MILLI_OPG }>;
	type LivenessPenalty = ConstU128<{ OPG / 10 }>;
	type BaseCharge = ConstU128<{ 100 * MICRO_OPG }>;
	type AgendaWeight = AgendaWeight;
}

/// The blocks in which a claim can be challenged are those of its window; these are the clocks of a challenge. Each is longer than
/// finality takes in good weather, and doubles at most. `LONGEST_DISPUTE` follows from them.
impl pallet_disputes::Config for Runtime {
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type Claims = wiring::Answers;
	type Judge = wiring::Court;
	type WeightInfo = weights::pallet_disputes::WeightInfo<Runtime>;
	type PublishBlocks = ConstU32<MINUTES>;
	type AnswerBlocks = ConstU32<MINUTES>;
	type MoveBlocks = ConstU32<MINUTES>;
	type ProveBlocks = ConstU32<MINUTES>;
	// Values, tiles and one tile; two more above 1,024 values or tiles; the states of a fold; one to spare.
	type MaxOpenings = ConstU32<7>;
	type RevealBlocks = ConstU32<10>;
	type Finality = ConstU32<5>;
	type MaxTraceBlocks = MaxTraceBlocks;
	// Several claims of a worker can be challenged at once, and a challenger has but one.
	type WorkerTraces = ConstU32<8>;
	type ChallengerTraces = ConstU32<4>;
	type ChallengeBond = ConstU128<{ OPG / 2 }>;
	// A block of computing, eight times over.
	type TraceBlockBond = ConstU128<{ OPG / 100 }>;
	type BurnedOfBond = BurnedOfBond;
	type SealDeposit = ConstU128<{ OPG / 20 }>;
	type DelayShare = DelayShare;
	type DemandFeePerByte = ConstU128<{ MICRO_OPG / 2 }>;
	// Sixteen times the price at 1 MiB, 65,536 times at 4 MiB, a fifth of the room that there is in a minute.
	type PriceStep = ConstU32<{ 256 * 1024 }>;
	type MaxMessage = ConstU32<{ assay_semantics::judge::MAX_MESSAGE_BYTES as u32 }>;
	type MaxDemand = ConstU32<32>;
	type AgendaWeight = DisputesAgendaWeight;
	// All there is.
	type Scarce = ConstU128<{ 1_000_000_000 * OPG }>;
	type MinJobBond = ConstU128<OPG>;
	type BurnedShare = BurnedShare;
	type RequesterShare = RequesterShare;
	type ChallengerShare = ChallengerShare;
}

impl<LocalCall> frame_system::offchain::CreateTransactionBase<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	type RuntimeCall = RuntimeCall;
	type Extrinsic = UncheckedExtrinsic;
}

impl<LocalCall> frame_system::offchain::CreateTransaction<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	type Extension = TxExtension;

	fn create_transaction(call: RuntimeCall, extension: TxExtension) -> UncheckedExtrinsic {
		UncheckedExtrinsic::new_transaction(call, extension)
	}
}

impl<LocalCall> frame_system::offchain::CreateAuthorizedTransaction<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	fn create_extension() -> TxExtension {
		(
			frame_system::AuthorizeCall::new(),
			frame_system::CheckNonZeroSender::new(),
			frame_system::CheckSpecVersion::new(),
			frame_system::CheckTxVersion::new(),
			frame_system::CheckGenesis::new(),
			frame_system::CheckEra::from(sp_runtime::generic::Era::Immortal),
			frame_system::CheckNonce::from(0),
			frame_system::CheckWeight::new(),
			pallet_transaction_payment::ChargeTransactionPayment::from(0),
			frame_metadata_hash_extension::CheckMetadataHash::new(false),
			frame_system::WeightReclaim::new(),
		)
	}
}
