//! Who decides: a superuser on development chains, two thirds of a council elsewhere.

use crate::*;
use assay_primitives::{DAYS, HOURS};
use frame_support::{
	parameter_types,
	traits::{
		tokens::{PayFromAccount, UnityAssetBalanceConversion},
		ConstU32, EitherOfDiverse,
	},
	weights::Weight,
	PalletId,
};
use frame_system::{EnsureRoot, EnsureWithSuccess};
use pallet_collective::{DefaultVote, EnsureProportionAtLeast, Instance1, MemberCount};
use sp_runtime::{traits::IdentityLookup, Permill};

/// The superuser, where there is one, or two thirds of the council.
pub type Governors = EitherOfDiverse<EnsureRoot<AccountId>, EnsureProportionAtLeast<AccountId, Instance1, 2, 3>>;

parameter_types! {
	/// Half of what ordinary transactions may take of a block.
	pub MaxProposalWeight: Weight = configs::RuntimeBlockWeights::get().max_block / 4;
	pub const TreasuryPallet: PalletId = PalletId(*b"assay/ty");
	pub TreasuryAccount: AccountId = Treasury::account_id();
	pub const MaxSpend: Balance = Balance::MAX;
	pub const NoBurn: Permill = Permill::zero();
}

/// Who does not vote has not agreed, whatever a prime member thinks: two thirds are two thirds.
pub struct SilenceIsNo;

impl DefaultVote for SilenceIsNo {
	fn default_vote(_prime: Option<bool>, _yes: MemberCount, _no: MemberCount, _all: MemberCount) -> bool {
		false
	}
}

impl pallet_collective::Config<Instance1> for Runtime {
	type RuntimeOrigin = RuntimeOrigin;
	type Proposal = RuntimeCall;
	type RuntimeEvent = RuntimeEvent;
	type MotionDuration = ConstU32<{ 7 * DAYS }>;
	type MaxProposals = ConstU32<32>;
	type MaxMembers = ConstU32<32>;
	type DefaultVote = SilenceIsNo;
	type WeightInfo = pallet_collective::weights::SubstrateWeight<Runtime>;
	type SetMembersOrigin = Governors;
	type MaxProposalWeight = MaxProposalWeight;
	type DisapproveOrigin = Governors;
	type KillOrigin = Governors;
	type Consideration = ();
}

impl pallet_treasury::Config for Runtime {
	type Currency = Balances;
	type RejectOrigin = Governors;
	type RuntimeEvent = RuntimeEvent;
	type SpendPeriod = ConstU32<DAYS>;
	type Burn = NoBurn;
	type PalletId = TreasuryPallet;
	type BurnDestination = ();
	type WeightInfo = pallet_treasury::weights::SubstrateWeight<Runtime>;
	type SpendFunds = ();
	type MaxApprovals = ConstU32<32>;
	type SpendOrigin = EnsureWithSuccess<Governors, AccountId, MaxSpend>;
	type AssetKind = ();
	type Beneficiary = AccountId;
	type BeneficiaryLookup = IdentityLookup<AccountId>;
	type Paymaster = PayFromAccount<Balances, TreasuryAccount>;
	type BalanceConverter = UnityAssetBalanceConversion;
	type PayoutPeriod = ConstU32<{ 30 * DAYS }>;
	#[cfg(feature = "runtime-benchmarks")]
	type BenchmarkHelper = ();
	type BlockNumberProvider = System;
}

impl pallet_network::Config for Runtime {
	type RuntimeCall = RuntimeCall;
	type GovernanceOrigin = Governors;
	type RemindEvery = ConstU32<HOURS>;
	type WeightInfo = weights::pallet_network::WeightInfo<Runtime>;
}

impl pallet_sudo::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type RuntimeCall = RuntimeCall;
	type WeightInfo = weights::pallet_sudo::WeightInfo<Runtime>;
}
