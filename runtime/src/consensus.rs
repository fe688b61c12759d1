//! How validators are elected by stake, paid, and punished.
//!
//! Elections run on chain: with at most `MAX_VOTERS` voters, the largest first, one costs about a tenth of a block, and there is
//! no off-chain solver whose absence could stop the network. Validators and their nominators share the fees of the transactions
//! of their era; emission is for workers.

use crate::{configs::EXISTENTIAL_DEPOSIT, governance::Governors, weights, *};
use assay_primitives::{BLOCK_MILLIS, OPG};
use frame_election_provider_support::{
	bounds::{ElectionBounds, ElectionBoundsBuilder},
	onchain, SequentialPhragmen, VoteWeight,
};
use frame_support::{
	parameter_types,
	traits::{
		fungible::{Inspect, Mutate},
		tokens::{Fortitude, Precision, Preservation},
		ConstBool, ConstU128, ConstU32, ConstU64, Get, Nothing, OnRuntimeUpgrade,
	},
	weights::Weight,
	PalletId,
};
use pallet_network::{SessionSlots, SessionsPerEra, SlashDeferEras};
use pallet_session::historical::IdentificationTuple;
use sp_runtime::{
	traits::{AccountIdConversion, ConvertInto, OpaqueKeys},
	Perbill,
};
use sp_staking::{
	currency_to_vote::U128CurrencyToVote,
	offence::{OffenceDetails, OnOffenceHandler},
	EraIndex, SessionIndex,
};

/// The most validators.
const MAX_VALIDATORS: u32 = 100;
/// The most voters of an election: nominators and validators, those with the most stake first.
const MAX_VOTERS: u32 = 2_000;
/// The most candidates of an election. No more may stand: with one more than can be elected from, there would be no election.
pub const MAX_CANDIDATES: u32 = 200;
/// For how many eras stake of validators and nominators stays at stake after it is unbonded: a week at the usual pace.
const BONDING_ERAS: EraIndex = 168;

/// The epoch configuration at genesis. Secondary slots carry a VRF, so that every block brings fresh randomness.
pub const BABE_GENESIS_EPOCH_CONFIG: sp_consensus_babe::BabeEpochConfiguration =
	sp_consensus_babe::BabeEpochConfiguration {
		c: (1, 4),
		allowed_slots: sp_consensus_babe::AllowedSlots::PrimaryAndSecondaryVRFSlots,
	};

/// Lets no more candidates stand than an election takes, on chains that began without that limit.
pub struct LimitCandidates;

impl OnRuntimeUpgrade for LimitCandidates {
	fn on_runtime_upgrade() -> Weight {
		pallet_staking::MaxValidatorsCount::<Runtime>::mutate(|most| {
			*most = Some(most.unwrap_or(MAX_CANDIDATES).min(MAX_CANDIDATES));
		});
		<Runtime as frame_system::Config>::DbWeight::get().reads_writes(1, 1)
	}
}

/// For how many slots an equivocation can be reported: for as long as stake can be taken for it.
pub struct ReportLongevity;

impl Get<u64> for ReportLongevity {
	fn get() -> u64 {
		let sessions = u64::from(BONDING_ERAS).saturating_mul(SessionsPerEra::<Runtime>::get().into());
		sessions.saturating_mul(SessionSlots::<Runtime>::get())
	}
}

/// The sets of GRANDPA voters that are remembered: those of the sessions for which an equivocation can be reported.
pub struct RememberedSets;

impl Get<u64> for RememberedSets {
	fn get() -> u64 {
		u64::from(BONDING_ERAS).saturating_mul(SessionsPerEra::<Runtime>::get().into())
	}
}

impl pallet_babe::Config for Runtime {
	type EpochDuration = SessionSlots<Runtime>;
	type ExpectedBlockTime = ConstU64<BLOCK_MILLIS>;
	type EpochChangeTrigger = pallet_babe::ExternalTrigger;
	type DisabledValidators = Session;
	type WeightInfo = ();
	type MaxAuthorities = ConstU32<MAX_VALIDATORS>;
	type MaxNominators = ConstU32<MAX_VOTERS>;
	type KeyOwnerProof = sp_session::MembershipProof;
	type EquivocationReportSystem = pallet_babe::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_grandpa::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type WeightInfo = ();
	type MaxAuthorities = ConstU32<MAX_VALIDATORS>;
	type MaxNominators = ConstU32<MAX_VOTERS>;
	type MaxSetIdSessionEntries = RememberedSets;
	type KeyOwnerProof = sp_session::MembershipProof;
	type EquivocationReportSystem =
		pallet_grandpa::EquivocationReportSystem<Self, Offences, Historical, ReportLongevity>;
}

impl pallet_authorship::Config for Runtime {
	type FindAuthor = pallet_session::FindAccountFromAuthorIndex<Self, Babe>;
	type EventHandler = Staking;
}

impl pallet_authority_discovery::Config for Runtime {
	type MaxAuthorities = ConstU32<MAX_VALIDATORS>;
}

impl pallet_session::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type ValidatorId = AccountId;
	type ValidatorIdOf = ConvertInto;
	type ShouldEndSession = Babe;
	type NextSessionRotation = Babe;
	type SessionManager = pallet_session::historical::NoteHistoricalRoot<Self, Staking>;
	type SessionHandler = <opaque::SessionKeys as OpaqueKeys>::KeyTypeIdProviders;
	type Keys = opaque::SessionKeys;
	type DisablingStrategy = pallet_session::disabling::UpToLimitWithReEnablingDisablingStrategy;
	type WeightInfo = weights::pallet_session::WeightInfo<Runtime>;
	type Currency = Balances;
	type KeyDeposit = ConstU128<{ OPG / 10 }>;
}

impl pallet_session::historical::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type FullIdentification = ();
	type FullIdentificationOf = pallet_staking::UnitIdentificationOf<Self>;
}

parameter_types! {
	/// Whether an offence is being punished for which staking would come too late.
	pub storage LateOffence: bool = false;
}

/// The eras after which a slash is applied: none, where the time to cancel it is over.
pub struct SlashDelay;

impl Get<EraIndex> for SlashDelay {
	fn get() -> EraIndex {
		match LateOffence::get() {
			true => 0,
			false => SlashDeferEras::<Runtime>::get(),
		}
	}
}

/// Hands offences to staking. While slashing is disarmed they are told and cost nothing.
///
/// Staking applies a slash a fixed number of eras after the *offence*, in that era and in no other: an offence reported later than
/// that would cost nothing, though the stake is still there. Such a one is punished at once.
pub struct Punish;

impl Punish {
	/// Whether staking would put the slash for an offence in `session` into an era that is over.
	fn is_late(session: SessionIndex) -> bool {
		let eras = pallet_staking::BondedEras::<Runtime>::get();
		let era = eras.iter().rev().find(|(_, start)| *start <= session).map(|(era, _)| *era);
		let now = pallet_staking::ActiveEra::<Runtime>::get().map(|active| active.index);
		let delay = SlashDeferEras::<Runtime>::get();
		era.zip(now).is_some_and(|(era, now)| delay > 0 && era.saturating_add(delay).saturating_add(1) <= now)
	}
}

impl OnOffenceHandler<AccountId, IdentificationTuple<Runtime>, Weight> for Punish {
	fn on_offence(
		offenders: &[OffenceDetails<AccountId, IdentificationTuple<Runtime>>],
		fractions: &[Perbill],
		session: SessionIndex,
	) -> Weight {
		if Network::slashing_armed() {
			let late = Self::is_late(session);
			if late {
				LateOffence::set(&true);
			}
			let weight = <Staking as OnOffenceHandler<_, _, _>>::on_offence(offenders, fractions, session);
			if late {
				frame_support::storage::unhashed::kill(&LateOffence::key());
			}
			return weight;
		}
		log::warn!(
			target: "runtime::network",
			"{} validators committed an offence in session {session} and lose nothing: slashing is disarmed.",
			offenders.len(),
		);
		let none = alloc::vec![Perbill::zero(); fractions.len()];
		<Staking as OnOffenceHandler<_, _, _>>::on_offence(offenders, &none, session)
	}
}

impl pallet_offences::Config for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type IdentificationTuple = IdentificationTuple<Self>;
	type OnOffenceHandler = Punish;
}

/// Elects on chain, by sequential Phragmén.
pub struct OnChainElection;

parameter_types! {
	pub ElectionLimits: ElectionBounds = ElectionBoundsBuilder::default()
		.voters_count(MAX_VOTERS.into())
		.targets_count(MAX_CANDIDATES.into())
		.build();
}

impl onchain::Config for OnChainElection {
	type Sort = ConstBool<true>;
	type System = Runtime;
	type Solver = SequentialPhragmen<AccountId, Perbill>;
	type MaxBackersPerWinner = ConstU32<MAX_VOTERS>;
	type MaxWinnersPerPage = ConstU32<MAX_VALIDATORS>;
	type DataProvider = Staking;
	type WeightInfo = frame_election_provider_support::weights::SubstrateWeight<Runtime>;
	type Bounds = ElectionLimits;
}

/// The lowest octave of votes with bags of its own: one vote is about 54 million planck, `2^34` of them about 0.9 OPG.
const LOWEST_OCTAVE: u32 = 34;
/// Bags in an octave.
const BAGS_PER_OCTAVE: usize = 4;
const BAGS: usize = (64 - LOWEST_OCTAVE as usize) * BAGS_PER_OCTAVE;

/// The upper ends of the bags in which voters are sorted, roughly, by stake: four to an octave.
const fn bag_thresholds() -> [VoteWeight; BAGS] {
	let mut thresholds = [0; BAGS];
	let mut bag = 0;
	while bag < BAGS {
		let octave = LOWEST_OCTAVE + (bag / BAGS_PER_OCTAVE) as u32;
		thresholds[bag] = (1 << (octave - 2)) * (4 + (bag % BAGS_PER_OCTAVE) as u64);
		bag += 1;
	}
	thresholds
}

/// [`bag_thresholds`], worked out once.
static BAG_THRESHOLDS: [VoteWeight; BAGS] = bag_thresholds();

parameter_types! {
	pub BagThresholds: &'static [VoteWeight] = &BAG_THRESHOLDS;
}

impl pallet_bags_list::Config<pallet_bags_list::Instance1> for Runtime {
	type RuntimeEvent = RuntimeEvent;
	type WeightInfo = pallet_bags_list::weights::SubstrateWeight<Runtime>;
	type ScoreProvider = Staking;
	type BagThresholds = BagThresholds;
	type MaxAutoRebagPerBlock = ConstU32<5>;
	type Score = VoteWeight;
}

parameter_types! {
	/// The account on which transaction fees wait for the end of an era.
	pub FeePot: AccountId = PalletId(*b"assay/fp").into_account_truncating();
}

/// Pays an era's validators what its transactions paid. The fees are burned here, and minted again when rewards are claimed.
pub struct PayFees;

impl sp_staking::EraPayout<Balance> for PayFees {
	fn era_payout(_staked: Balance, _issuance: Balance, _era_millis: u64) -> (Balance, Balance) {
		let collected = Balances::balance(&FeePot::get()).saturating_sub(EXISTENTIAL_DEPOSIT);
		let burned = Balances::burn_from(
			&FeePot::get(),
			collected,
			Preservation::Preserve,
			Precision::BestEffort,
			Fortitude::Polite,
		);
		(burned.unwrap_or(0), 0)
	}
}

/// The sizes for which staking is benchmarked.
pub struct StakingBenchmarks;

impl pallet_staking::BenchmarkingConfig for StakingBenchmarks {
	type MaxValidators = ConstU32<MAX_VALIDATORS>;
	type MaxNominators = ConstU32<MAX_VOTERS>;
}

impl pallet_staking::Config for Runtime {
	type OldCurrency = Balances;
	type Currency = Balances;
	type RuntimeHoldReason = RuntimeHoldReason;
	type CurrencyBalance = Balance;
	type UnixTime = Timestamp;
	type CurrencyToVote = U128CurrencyToVote;
	type ElectionProvider = onchain::OnChainExecution<OnChainElection>;
	type GenesisElectionProvider = onchain::OnChainExecution<OnChainElection>;
	type NominationsQuota = pallet_staking::FixedNominationsQuota<16>;
	// Who had what at stake is known for as long as it can be taken.
	type HistoryDepth = ConstU32<{ BONDING_ERAS + 1 }>;
	type RewardRemainder = ();
	type RuntimeEvent = RuntimeEvent;
	// Burned, so that nobody gains by another's fault.
	type Slash = ();
	type Reward = ();
	type SessionsPerEra = SessionsPerEra<Runtime>;
	type BondingDuration = ConstU32<BONDING_ERAS>;
	type SlashDeferDuration = SlashDelay;
	type AdminOrigin = Governors;
	type SessionInterface = Self;
	type EraPayout = PayFees;
	type NextNewSession = Session;
	type MaxExposurePageSize = ConstU32<64>;
	type MaxValidatorSet = ConstU32<MAX_VALIDATORS>;
	type VoterList = VoterList;
	type TargetList = pallet_staking::UseValidatorsMap<Self>;
	type MaxUnlockingChunks = ConstU32<32>;
	type MaxControllersInDeprecationBatch = ConstU32<1>;
	type EventListeners = ();
	type Filter = Nothing;
	type BenchmarkingConfig = StakingBenchmarks;
	type WeightInfo = pallet_staking::weights::SubstrateWeight<Runtime>;
}

impl<LocalCall> frame_system::offchain::CreateBare<LocalCall> for Runtime
where
	RuntimeCall: From<LocalCall>,
{
	fn create_bare(call: RuntimeCall) -> UncheckedExtrinsic {
		UncheckedExtrinsic::new_bare(call)
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use codec::Encode;

	#[test]
	fn bags_should_rise() {
		let bags = bag_thresholds();
		assert!(bags.windows(2).all(|pair| pair[0] < pair[1]), "{bags:?}");
		assert_eq!(bags[0], 1 << LOWEST_OCTAVE);
		assert_eq!(bags[BAGS - 1], 7 << 61);
	}

	#[test]
	fn keys_should_be_the_three_of_a_validator() {
		let ids: alloc::vec::Vec<_> = opaque::SessionKeys::key_ids().iter().map(|id| id.0).collect();
		assert_eq!(ids, [*b"babe", *b"gran", *b"audi"]);
		assert_eq!(opaque::SessionKeys::key_ids().encode().len(), 13);
	}
}
