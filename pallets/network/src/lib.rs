//! # Network pallet
//!
//! What differs from network to network, and what those who govern one may do.
//!
//! ## Terminology
//!
//! - *Pace*: how long sessions and staking eras are, and how long a validator's slash waits before it is applied. It is set
//!   in the first block and never changes: consensus engines read it there.
//! - *Armed*: whether wrongdoing costs stake. A young network may begin with slashing disarmed, while its operators learn.
//!   Convictions and offences are then found and told as ever, and take nothing.
//! - *Governance*: whoever `GovernanceOrigin` says. It can enact any call as the root origin.
//!
//! ## Scenario: a network's first weeks
//!
//! 1. The genesis says `slashing_disarmed`. Every `RemindEvery` blocks the event `SlashingStillDisarmed` says so, nodes log
//!    it, and clients show it.
//! 2. The operators have found their feet. Two thirds of the council enact `arm_slashing`. From that block on, stake is lost
//!    for what is proven from then on, however long ago it was done.
//!
//! ## Invariants
//!
//! - A session has at least one slot and an era at least one session.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod tests;
pub mod weights;

pub use pallet::*;
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::boxed::Box;
	use frame_support::{
		dispatch::{GetDispatchInfo, PostDispatchInfo},
		pallet_prelude::*,
	};
	use frame_system::{pallet_prelude::*, RawOrigin};
	use serde::{Deserialize, Serialize};
	use sp_runtime::traits::{Dispatchable, Zero};

	/// The in-code storage version.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);
	/// What the log lines of this pallet are about.
	const TARGET: &str = "runtime::network";

	/// How long things take.
	#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, MaxEncodedLen, TypeInfo, Serialize, Deserialize)]
	#[serde(rename_all = "camelCase", deny_unknown_fields)]
	pub struct Pace {
		/// The slots of a session, which is an epoch of BABE.
		pub session_slots: u32,
		/// The sessions of a staking era.
		pub sessions_per_era: u32,
		/// The staking eras after which the slash of a validator is applied; governance can cancel it until then.
		pub slash_defer_eras: u32,
	}

	impl Default for Pace {
		/// Sessions of ten minutes with slots of 3 s, eras of an hour, a day to cancel a slash.
		fn default() -> Self {
			Self { session_slots: 200, sessions_per_era: 6, slash_defer_eras: 24 }
		}
	}

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// What governance can enact.
		type RuntimeCall: Parameter
			+ Dispatchable<RuntimeOrigin = <Self as frame_system::Config>::RuntimeOrigin, PostInfo = PostDispatchInfo>
			+ GetDispatchInfo;

		/// Who governs.
		type GovernanceOrigin: EnsureOrigin<<Self as frame_system::Config>::RuntimeOrigin>;

		/// The blocks between two reminders that slashing is disarmed.
		#[pallet::constant]
		type RemindEvery: Get<BlockNumberFor<Self>>;

		/// What the calls of this pallet weigh.
		type WeightInfo: WeightInfo;
	}

	/// How long sessions and eras are.
	#[pallet::storage]
	pub type NetworkPace<T> = StorageValue<_, Pace, ValueQuery>;

	/// Whether slashing is disarmed.
	#[pallet::storage]
	pub type SlashingDisarmed<T> = StorageValue<_, bool, ValueQuery>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// Slashing was armed or disarmed.
		SlashingSet {
			/// Whether wrongdoing costs stake from now on.
			armed: bool,
		},
		/// Slashing is disarmed: convictions and offences take no stake.
		SlashingStillDisarmed,
		/// Governance enacted a call.
		Enacted {
			/// What came of it.
			result: DispatchResult,
		},
	}

	/// How the network begins.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// How long sessions and eras are.
		pub pace: Pace,
		/// Whether wrongdoing takes no stake at first.
		pub slashing_disarmed: bool,
		#[serde(skip)]
		/// Keeps the type parameter.
		pub _config: PhantomData<T>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			assert!(self.pace.session_slots > 0, "genesis: a session needs a slot: set network.pace.sessionSlots");
			assert!(self.pace.sessions_per_era > 0, "genesis: an era needs a session: set network.pace.sessionsPerEra");
			NetworkPace::<T>::put(self.pace);
			SlashingDisarmed::<T>::put(self.slashing_disarmed);
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn on_initialize(now: BlockNumberFor<T>) -> Weight {
			if (now % T::RemindEvery::get()).is_zero() && SlashingDisarmed::<T>::get() {
				log::warn!(target: TARGET, "Slashing is disarmed on this network: wrong answers and offences cost no stake.");
				Self::deposit_event(Event::SlashingStillDisarmed);
			}
			T::DbWeight::get().reads(1)
		}

		fn integrity_test() {
			assert!(!T::RemindEvery::get().is_zero(), "RemindEvery is zero: there would be no block to remind in");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_n: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Arm or disarm slashing for the whole network, from this block on.
		///
		/// Only governance may call this.
		///
		/// Fails with `BadOrigin` for anybody else.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::arm_slashing())]
		pub fn arm_slashing(origin: OriginFor<T>, armed: bool) -> DispatchResult {
			T::GovernanceOrigin::ensure_origin(origin)?;
			SlashingDisarmed::<T>::put(!armed);
			if !armed {
				log::warn!(target: TARGET, "Slashing was disarmed: wrong answers and offences cost no stake.");
			}
			Self::deposit_event(Event::SlashingSet { armed });
			Ok(())
		}

		/// Enact a call as root: what a network's superuser could do where there is one.
		///
		/// Only governance may call this. Fails with `BadOrigin` for anybody else; what comes of the call itself is told by
		/// the event `Enacted`.
		#[pallet::call_index(1)]
		#[pallet::weight({
			let info = call.get_dispatch_info();
			(T::WeightInfo::enact().saturating_add(info.call_weight), info.class)
		})]
		pub fn enact(origin: OriginFor<T>, call: Box<<T as Config>::RuntimeCall>) -> DispatchResult {
			T::GovernanceOrigin::ensure_origin(origin)?;
			let result = call.dispatch(RawOrigin::Root.into());
			Self::deposit_event(Event::Enacted { result: result.map(|_| ()).map_err(|failed| failed.error) });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// Whether wrongdoing costs stake.
		pub fn slashing_armed() -> bool {
			!SlashingDisarmed::<T>::get()
		}
	}

	impl<T: Config> Pallet<T> {
		/// Check every invariant of this pallet.
		#[cfg(any(feature = "std", feature = "try-runtime"))]
		pub fn do_try_state() -> Result<(), sp_runtime::TryRuntimeError> {
			let pace = NetworkPace::<T>::get();
			frame_support::ensure!(pace.session_slots > 0, "a session has no slot");
			frame_support::ensure!(pace.sessions_per_era > 0, "an era has no session");
			Ok(())
		}
	}

	/// Whether wrongdoing costs stake, for the pallets that take it.
	pub struct SlashingArmed<T>(PhantomData<T>);

	impl<T: Config> Get<bool> for SlashingArmed<T> {
		fn get() -> bool {
			!SlashingDisarmed::<T>::get()
		}
	}

	/// The slots of a session.
	pub struct SessionSlots<T>(PhantomData<T>);

	impl<T: Config> Get<u64> for SessionSlots<T> {
		fn get() -> u64 {
			NetworkPace::<T>::get().session_slots.max(1).into()
		}
	}

	/// The sessions of an era.
	pub struct SessionsPerEra<T>(PhantomData<T>);

	impl<T: Config> Get<u32> for SessionsPerEra<T> {
		fn get() -> u32 {
			NetworkPace::<T>::get().sessions_per_era.max(1)
		}
	}

	/// The eras after which a slash is applied.
	pub struct SlashDeferEras<T>(PhantomData<T>);

	impl<T: Config> Get<u32> for SlashDeferEras<T> {
		fn get() -> u32 {
			NetworkPace::<T>::get().slash_defer_eras
		}
	}
}
