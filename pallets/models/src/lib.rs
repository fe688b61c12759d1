//! # Models pallet
//!
//! The registry of models: who owns a model, what it commits to, what an inference costs at least, and how its answers are
//! verified.
//!
//! ## Terminology
//!
//! - *Model*: an operator graph and its weights. Its [`ModelId`] is the hash of its [`ModelHeader`](assay_primitives::ModelHeader)
//!   and commits to both.
//! - *Owner*: the account that registered a model; it earns the royalty.
//! - *Name*: what an owner calls a line of models. Names of different owners do not meet.
//! - *Version*: the number of a model within its name, from 1.
//! - *Deposit*: what is held on the owner for the bytes that a record takes.
//!
//! ## Scenario: a model and its next version
//!
//! 1. Dave calls `register_model` with the name `digits`. A deposit is held on him; workers can serve the model at once.
//! 2. He trains a better one and calls `register_version` with the same name. `latest` now answers with version 2; version 1
//!    goes on for those who ask for it by its identity.
//! 3. He calls `deprecate_model` on version 1: it takes no new jobs, the open ones go on.
//! 4. `LongestJob` blocks later no job on it can be open any more. He calls `remove_model`: the record is gone and the deposit is
//!    free again. No job is counted for that, so jobs cost nothing here.
//!
//! ## Scenario: a verification policy
//!
//! A watchtower needs 50 blocks to recompute one inference of a model. With a slack of 40 blocks, its owner cannot register
//! it with a challenge window under 140 blocks: the watchtower must be able to start late and still challenge in time.
//!
//! ## Invariants
//!
//! - The key of a record is the hash of its header.
//! - The balance held on an owner is the sum of the deposits of its records.
//! - Every record is listed once under its owner and name, and every listed model has a record.
//! - The versions under a name are listed in ascending order and none is above the number of versions ever registered.
//!
//! ## Limitations
//!
//! Whoever registers a header first owns the model on this chain. The registry cannot tell who made it.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "runtime-benchmarks")]
mod benchmarking;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod tests;
#[cfg(any(feature = "std", feature = "try-runtime"))]
mod try_state;
pub mod types;
pub mod weights;

pub use pallet::*;
pub use types::{ModelRecord, ModelRecordOf, ModelStatus, Name, NameRecord, Registration, Url};
pub use weights::WeightInfo;

#[frame_support::pallet]
pub mod pallet {
	use super::*;
	use alloc::{string::String, vec::Vec};
	use assay_primitives::{model::byte_len, Balance, BlockNumber, Evidence, ModelHeader, ModelId, Policy};
	use codec::DecodeAll;
	use frame_support::{
		pallet_prelude::*,
		traits::{
			fungible::{Inspect, MutateHold},
			tokens::Precision,
		},
	};
	use frame_system::pallet_prelude::*;
	use sp_runtime::{Permill, Saturating};

	/// The in-code storage version.
	const STORAGE_VERSION: StorageVersion = StorageVersion::new(1);

	#[pallet::pallet]
	#[pallet::storage_version(STORAGE_VERSION)]
	pub struct Pallet<T>(_);

	#[pallet::config]
	pub trait Config: frame_system::Config<RuntimeEvent: From<Event<Self>>> {
		/// Where deposits are held.
		type Currency: Inspect<Self::AccountId, Balance = Balance>
			+ MutateHold<Self::AccountId, Reason = Self::RuntimeHoldReason>;

		/// The runtime's reasons for holds.
		type RuntimeHoldReason: From<HoldReason>;

		/// The deposit for a record, whatever its size, in planck.
		#[pallet::constant]
		type BaseDeposit: Get<Balance>;

		/// The deposit for each byte of an encoded record, in planck.
		#[pallet::constant]
		type ByteDeposit: Get<Balance>;

		/// The version of the canonical semantics that this chain judges by.
		#[pallet::constant]
		type SemanticsVersion: Get<u32>;

		/// The most bytes of the input tensors of one inference, together.
		#[pallet::constant]
		type MaxInput: Get<u32>;

		/// The most bytes of the output tensors of one inference, together.
		#[pallet::constant]
		type MaxOutput: Get<u32>;

		/// The largest royalty.
		#[pallet::constant]
		type MaxRoyalty: Get<Permill>;

		/// The shortest challenge window, in blocks.
		#[pallet::constant]
		type MinWindow: Get<BlockNumber>;

		/// The longest challenge window, in blocks.
		#[pallet::constant]
		type MaxWindow: Get<BlockNumber>;

		/// The blocks that a window must have beyond twice the time to recompute: for revealing a challenge and for finality.
		#[pallet::constant]
		type WindowSlack: Get<BlockNumber>;

		/// The most blocks that a worker may take to build a trace.
		#[pallet::constant]
		type MaxTraceBlocks: Get<BlockNumber>;

		/// The most blocks for which a job can be open, disputes and all. A deprecated model stays for that long.
		#[pallet::constant]
		type LongestJob: Get<BlockNumberFor<Self>>;

		/// What the calls of this pallet weigh.
		type WeightInfo: WeightInfo;
	}

	/// Why a balance is held.
	#[pallet::composite_enum]
	pub enum HoldReason {
		/// For the bytes of a model's record.
		#[codec(index = 0)]
		Deposit,
	}

	/// The models that stand in the registry.
	#[pallet::storage]
	pub type Models<T: Config> = StorageMap<_, Identity, ModelId, ModelRecordOf<T>>;

	/// The versions under each name of each owner.
	#[pallet::storage]
	pub type Names<T: Config> = StorageDoubleMap<_, Blake2_128Concat, T::AccountId, Blake2_128Concat, Name, NameRecord>;

	#[pallet::event]
	#[pallet::generate_deposit(pub(super) fn deposit_event)]
	pub enum Event<T: Config> {
		/// A model was registered.
		ModelRegistered {
			/// The model.
			model: ModelId,
			/// Who owns it.
			owner: T::AccountId,
			/// What the owner calls it.
			name: Name,
			/// Its number within the name.
			version: u32,
		},
		/// The price of a model was set.
		PriceSet {
			/// The model.
			model: ModelId,
			/// The least fee for one inference from now on, in planck.
			price: Balance,
		},
		/// A model takes no new jobs any more.
		ModelDeprecated {
			/// The model.
			model: ModelId,
		},
		/// A node of a model was proven invalid. The model takes no new jobs, and answers to its open ones are void.
		ModelInvalidated {
			/// The model.
			model: ModelId,
		},
		/// A model was removed and its deposit released.
		ModelRemoved {
			/// The model.
			model: ModelId,
		},
	}

	#[pallet::error]
	pub enum Error<T> {
		/// No model with this identity is registered. Check the identity, or register the model.
		UnknownModel,
		/// A model with this header is registered already. Use it, or wait until its owner removes it.
		ModelAlreadyRegistered,
		/// You use this name already. Register the next version of it with `register_version`.
		NameTaken,
		/// You have no model of this name. Register the first one with `register_model`.
		UnknownName,
		/// Too many versions of this name stand. Remove an old one first.
		TooManyVersions,
		/// The model belongs to another account. Only its owner can change it.
		NotOwner,
		/// The model is deprecated and takes no new jobs. Use another version.
		ModelDeprecated,
		/// The model still takes jobs. Deprecate it first.
		ModelActive,
		/// Jobs on the model can still be open. Wait until `LongestJob` blocks after its deprecation.
		ModelInUse,
		/// A name or an address is empty or not UTF-8. Write it as UTF-8 text.
		NotText,
		/// The model was made for another version of the semantics. Import it again for the version of this chain.
		UnsupportedSemantics,
		/// The header says that the graph has no values. Import the model again.
		NoValues,
		/// The header asks for more or less than one iteration. Set `max_iterations` to 1.
		UnsupportedIterations,
		/// The model has no inputs or no outputs. It needs at least one of each.
		NoTensors,
		/// The numbers of tensors and of their names differ. Give one name for each tensor.
		NamesDoNotMatchTensors,
		/// The input tensors are longer than an inline input may be. Make the model's inputs smaller.
		InputTooLong,
		/// The output tensors are longer than an inline output may be. Make the model's outputs smaller.
		OutputTooLong,
		/// The royalty is above the largest one allowed. Lower it.
		RoyaltyTooHigh,
		/// The policy asks for evidence that this chain does not know. Ask for recomputation, once.
		UnsupportedEvidence,
		/// The challenge window is shorter or longer than this chain allows. See the constants of this pallet.
		WindowOutOfBounds,
		/// The challenge window leaves too little time to recompute. It needs twice `recompute_blocks` and the slack.
		WindowTooShort,
		/// The worker would have too long to build a trace. Lower `trace_blocks`.
		TraceTooSlow,
	}

	/// Models that stand from the first block on.
	#[pallet::genesis_config]
	#[derive(frame_support::DefaultNoBound)]
	pub struct GenesisConfig<T: Config> {
		/// The owner, the name and the SCALE encoding of the [`Registration`] of each model, in hex. Entries with the same
		/// owner and name are successive versions. The deposits are held on the owners, who must be endowed.
		pub models: Vec<(T::AccountId, String, sp_core::Bytes)>,
	}

	#[pallet::genesis_build]
	impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
		fn build(&self) {
			for (owner, name, registration) in &self.models {
				let bounded = Name::try_from(name.as_bytes().to_vec())
					.unwrap_or_else(|_| panic!("genesis: the name of model `{name}` is too long"));
				let registration = Registration::decode_all(&mut &registration.0[..])
					.unwrap_or_else(|e| panic!("genesis: the registration of model `{name}` does not decode: {e:?}"));
				Pallet::<T>::do_register(owner.clone(), bounded, registration)
					.unwrap_or_else(|e| panic!("genesis: model `{name}` cannot be registered: {e:?}"));
			}
		}
	}

	#[pallet::hooks]
	impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
		fn integrity_test() {
			assert!(
				T::MinWindow::get() <= T::MaxWindow::get(),
				"MinWindow is above MaxWindow: no model could register"
			);
			assert!(
				T::WindowSlack::get() <= T::MaxWindow::get(),
				"WindowSlack is above MaxWindow: no model could register"
			);
			assert!(T::MaxTraceBlocks::get() > 0, "MaxTraceBlocks is zero: no trace could be built");
			assert!(T::MaxRoyalty::get() < Permill::one(), "MaxRoyalty leaves nothing for workers");
			assert!(T::MaxInput::get() > 0 && T::MaxOutput::get() > 0, "inputs or outputs have no room");
			assert!(T::BaseDeposit::get() > 0, "BaseDeposit is zero: records would be free");
		}

		#[cfg(feature = "try-runtime")]
		fn try_state(_n: BlockNumberFor<T>) -> Result<(), sp_runtime::TryRuntimeError> {
			Self::do_try_state()
		}
	}

	#[pallet::call]
	impl<T: Config> Pallet<T> {
		/// Register a model under a name that you do not use yet. You become its owner.
		///
		/// Anyone may call this. A deposit is held on you until you remove the model: `BaseDeposit`, and `ByteDeposit` for
		/// each byte of the record. Workers can serve the model and requesters can use it at once.
		///
		/// Fails with `NameTaken` if you use the name already, `ModelAlreadyRegistered` if the model stands already, the
		/// error that names the part of the registration that is not acceptable, or an error of the balance if you cannot
		/// pay the deposit.
		#[pallet::call_index(0)]
		#[pallet::weight(T::WeightInfo::register_model())]
		pub fn register_model(origin: OriginFor<T>, name: Name, registration: Registration) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			ensure!(!Names::<T>::contains_key(&owner, &name), Error::<T>::NameTaken);
			Self::do_register(owner, name, registration)
		}

		/// Register the next version of a name that you use already. Earlier versions stay as they are.
		///
		/// Anyone may call this for names of their own. A deposit is held as by `register_model`.
		///
		/// Fails with `UnknownName` if you have no model of this name, `TooManyVersions` if too many versions of it stand,
		/// `ModelAlreadyRegistered` if the model stands already, the error that names the part of the registration that is
		/// not acceptable, or an error of the balance if you cannot pay the deposit.
		#[pallet::call_index(1)]
		#[pallet::weight(T::WeightInfo::register_version())]
		pub fn register_version(origin: OriginFor<T>, name: Name, registration: Registration) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			ensure!(Names::<T>::contains_key(&owner, &name), Error::<T>::UnknownName);
			Self::do_register(owner, name, registration)
		}

		/// Set the least fee for one inference of a model. Jobs that are open keep the fee they were made with.
		///
		/// Only the owner may call this. It costs the transaction fee.
		///
		/// Fails with `UnknownModel` if the model is not registered and `NotOwner` if it is not yours.
		#[pallet::call_index(2)]
		#[pallet::weight(T::WeightInfo::set_price())]
		pub fn set_price(origin: OriginFor<T>, model: ModelId, price: Balance) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::mutate_owned(&owner, &model, |record| {
				record.price = price;
				Ok(())
			})?;
			Self::deposit_event(Event::PriceSet { model, price });
			Ok(())
		}

		/// Stop a model from taking new jobs, for good. Open jobs go on.
		///
		/// Only the owner may call this. It costs the transaction fee; the deposit stays held until `remove_model`.
		///
		/// Fails with `UnknownModel` if the model is not registered, `NotOwner` if it is not yours, and `ModelDeprecated` if
		/// it is deprecated already.
		#[pallet::call_index(3)]
		#[pallet::weight(T::WeightInfo::deprecate_model())]
		pub fn deprecate_model(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			Self::mutate_owned(&owner, &model, |record| {
				ensure!(record.status == ModelStatus::Active, Error::<T>::ModelDeprecated);
				record.status = ModelStatus::Deprecated { since: frame_system::Pallet::<T>::block_number() };
				Ok(())
			})?;
			Self::deposit_event(Event::ModelDeprecated { model });
			Ok(())
		}

		/// Remove a model `LongestJob` blocks after its deprecation and get its deposit back. The name is free again when its last
		/// version is removed.
		///
		/// Only the owner may call this. It costs the transaction fee and releases the whole deposit.
		///
		/// Fails with `UnknownModel` if the model is not registered, `NotOwner` if it is not yours, `ModelActive` if it is
		/// not deprecated, and `ModelInUse` if jobs on it can still be open.
		#[pallet::call_index(4)]
		#[pallet::weight(T::WeightInfo::remove_model())]
		pub fn remove_model(origin: OriginFor<T>, model: ModelId) -> DispatchResult {
			let owner = ensure_signed(origin)?;
			let record = Models::<T>::get(model).ok_or(Error::<T>::UnknownModel)?;
			ensure!(record.owner == owner, Error::<T>::NotOwner);
			let since = match record.status {
				ModelStatus::Active => return Err(Error::<T>::ModelActive.into()),
				ModelStatus::Deprecated { since } | ModelStatus::Invalid { since } => since,
			};
			let now = frame_system::Pallet::<T>::block_number();
			ensure!(now.saturating_sub(since) > T::LongestJob::get(), Error::<T>::ModelInUse);

			T::Currency::release(&HoldReason::Deposit.into(), &owner, record.deposit, Precision::Exact)?;
			Models::<T>::remove(model);
			Self::forget_version(&owner, &record.name, &model);
			Self::deposit_event(Event::ModelRemoved { model });
			Ok(())
		}
	}

	#[pallet::view_functions]
	impl<T: Config> Pallet<T> {
		/// The record of a model: its owner, name, version, header, price, royalty, policy, status and deposit.
		pub fn model(id: ModelId) -> Option<ModelRecordOf<T>> {
			Models::<T>::get(id)
		}

		/// The newest version that stands under a name of an owner, whether it takes jobs or not.
		pub fn latest(owner: T::AccountId, name: Name) -> Option<ModelId> {
			Names::<T>::get(owner, name).map(|record| record.latest)
		}
	}

	impl<T: Config> Pallet<T> {
		/// The record of a model.
		pub fn get(id: &ModelId) -> Option<ModelRecordOf<T>> {
			Models::<T>::get(id)
		}

		/// Whether a model is registered and takes new jobs.
		pub fn is_active(id: &ModelId) -> bool {
			Models::<T>::get(id).is_some_and(|record| record.status == ModelStatus::Active)
		}

		/// Whether a model was proven invalid.
		pub fn is_invalid(id: &ModelId) -> bool {
			Models::<T>::get(id).is_some_and(|record| matches!(record.status, ModelStatus::Invalid { .. }))
		}

		/// Mark a model as invalid, for good.
		pub fn invalidate(id: &ModelId) {
			let marked = Models::<T>::mutate_extant(id, |record| {
				if matches!(record.status, ModelStatus::Invalid { .. }) {
					return false;
				}
				record.status = ModelStatus::Invalid { since: frame_system::Pallet::<T>::block_number() };
				true
			});
			if marked {
				Self::deposit_event(Event::ModelInvalidated { model: *id });
			}
		}

		/// Check a registration, hold the deposit, and store the model as the next version of its name.
		fn do_register(owner: T::AccountId, name: Name, registration: Registration) -> DispatchResult {
			Self::check_text(&name)?;
			Self::check_registration(&registration)?;
			let Registration { header, input_names, output_names, artifacts, price, royalty, policy } = registration;
			let model = header.id();
			ensure!(!Models::<T>::contains_key(model), Error::<T>::ModelAlreadyRegistered);

			let mut names = Names::<T>::get(&owner, &name);
			let version = match &mut names {
				Some(names) => {
					names.older.try_push(names.latest).map_err(|_| Error::<T>::TooManyVersions)?;
					names.latest = model;
					names.versions = names.versions.checked_add(1).ok_or(Error::<T>::TooManyVersions)?;
					names.versions
				}
				None => 1,
			};
			let names = names.unwrap_or(NameRecord { latest: model, versions: version, older: Default::default() });

			let mut record = ModelRecord {
				owner: owner.clone(),
				name: name.clone(),
				version,
				header,
				input_names,
				output_names,
				artifacts,
				price,
				royalty,
				policy,
				status: ModelStatus::Active,
				deposit: 0,
				registered_at: frame_system::Pallet::<T>::block_number(),
			};
			// The deposit is encoded in a fixed number of bytes, so filling it in does not change what it is for.
			record.deposit = Self::deposit_for(&record);
			T::Currency::hold(&HoldReason::Deposit.into(), &owner, record.deposit)?;

			Models::<T>::insert(model, record);
			Names::<T>::insert(&owner, &name, names);
			Self::deposit_event(Event::ModelRegistered { model, owner, name, version });
			Ok(())
		}

		/// What is held for a record.
		fn deposit_for(record: &ModelRecordOf<T>) -> Balance {
			let bytes = Balance::try_from(record.encoded_size()).unwrap_or(Balance::MAX);
			T::BaseDeposit::get().saturating_add(T::ByteDeposit::get().saturating_mul(bytes))
		}

		/// Change a record on behalf of its owner.
		fn mutate_owned(
			who: &T::AccountId,
			model: &ModelId,
			change: impl FnOnce(&mut ModelRecordOf<T>) -> DispatchResult,
		) -> DispatchResult {
			Models::<T>::try_mutate(model, |record| {
				let record = record.as_mut().ok_or(Error::<T>::UnknownModel)?;
				ensure!(record.owner == *who, Error::<T>::NotOwner);
				change(record)
			})
		}

		/// Take a removed model off the list of its name, and the list away if it was the last.
		fn forget_version(owner: &T::AccountId, name: &Name, model: &ModelId) {
			Names::<T>::mutate_exists(owner, name, |entry| {
				let Some(names) = entry else {
					frame_support::defensive!("a model had no entry under its name");
					return;
				};
				if names.latest != *model {
					names.older.retain(|older| older != model);
				} else if let Some(next) = names.older.pop() {
					names.latest = next;
				} else {
					*entry = None;
				}
			});
		}

		fn check_text(bytes: &[u8]) -> DispatchResult {
			ensure!(!bytes.is_empty() && core::str::from_utf8(bytes).is_ok(), Error::<T>::NotText);
			Ok(())
		}

		fn check_registration(registration: &Registration) -> DispatchResult {
			let Registration { header, input_names, output_names, artifacts, royalty, policy, .. } = registration;
			ensure!(header.inputs.len() == input_names.len(), Error::<T>::NamesDoNotMatchTensors);
			ensure!(header.outputs.len() == output_names.len(), Error::<T>::NamesDoNotMatchTensors);
			input_names.iter().chain(output_names.iter()).try_for_each(|name| Self::check_text(name))?;
			artifacts.iter().try_for_each(|url| Self::check_text(url))?;
			ensure!(*royalty <= T::MaxRoyalty::get(), Error::<T>::RoyaltyTooHigh);
			Self::check_header(header)?;
			Self::check_policy(policy)
		}

		fn check_header(header: &ModelHeader) -> DispatchResult {
			ensure!(header.semantics_version == T::SemanticsVersion::get(), Error::<T>::UnsupportedSemantics);
			ensure!(header.values > 0, Error::<T>::NoValues);
			ensure!(header.max_iterations == 1, Error::<T>::UnsupportedIterations);
			ensure!(!header.inputs.is_empty() && !header.outputs.is_empty(), Error::<T>::NoTensors);
			let fits = |length: Option<u32>, most: u32| length.is_some_and(|length| length <= most);
			ensure!(fits(byte_len(&header.inputs), T::MaxInput::get()), Error::<T>::InputTooLong);
			ensure!(fits(byte_len(&header.outputs), T::MaxOutput::get()), Error::<T>::OutputTooLong);
			Ok(())
		}

		fn check_policy(policy: &Policy) -> DispatchResult {
			let Policy::V1(policy) = policy;
			ensure!(policy.required[..] == [Evidence::Recomputation], Error::<T>::UnsupportedEvidence);
			let bounds = T::MinWindow::get()..=T::MaxWindow::get();
			ensure!(bounds.contains(&policy.window), Error::<T>::WindowOutOfBounds);
			// Saturation is above every window that passed the bounds, so it is refused as it should be.
			let least = policy.recompute_blocks.saturating_mul(2).saturating_add(T::WindowSlack::get());
			ensure!(policy.window >= least, Error::<T>::WindowTooShort);
			ensure!(policy.trace_blocks <= T::MaxTraceBlocks::get(), Error::<T>::TraceTooSlow);
			Ok(())
		}
	}
}
