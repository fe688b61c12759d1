//! Benchmarks: one for each call and each kind of task, at its most expensive.

use super::*;
use crate::{
	traits::{BenchmarkCase, Claims, Judge},
	Disputes as DisputeMap,
};
use alloc::{vec, vec::Vec};
use assay_primitives::{ClaimHash, JobId, ServiceKey, ServiceSignature};
use frame_benchmarking::v2::*;
use frame_support::{
	traits::{
		fungible::{Balanced, Inspect, MutateHold},
		Get,
	},
	weights::Weight,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use sp_core::H256;
use sp_runtime::{
	traits::{Bounded, One, Saturating},
	BoundedVec, RuntimeAppPublic,
};

const SALT: [u8; 32] = [7; 32];

struct Scene<T: Config> {
	job: JobId,
	claim: ClaimHash,
	case: BenchmarkCase,
	key: ServiceKey,
	dave: T::AccountId,
}

fn challenger<T: Config>(index: u32) -> T::AccountId {
	let who: T::AccountId = account("challenger", index, 0);
	let bond = Pallet::<T>::challenge_bond(u32::MAX, T::MinJobBond::get().saturating_mul(100u32.into()))
		.saturating_add(T::SealDeposit::get())
		.saturating_add(Pallet::<T>::demand_fee(T::MaxMessage::get().saturating_mul(T::MaxOpenings::get())));
	let plenty = bond.saturating_mul(10u32.into()).max(T::Currency::minimum_balance().saturating_mul(1_000u32.into()));
	assert!(T::Currency::resolve(&who, T::Currency::issue(plenty)).is_ok());
	who
}

fn message<T: Config>(bytes: &[u8]) -> Message<T> {
	BoundedVec::truncate_from(bytes.to_vec())
}

/// Goes far enough for every clock to be over.
fn wait<T: Config>(blocks: BlockNumberFor<T>) {
	let now = frame_system::Pallet::<T>::block_number();
	frame_system::Pallet::<T>::set_block_number(now.saturating_add(blocks));
}

impl<T: Config> Scene<T> {
	/// A wrong claim, with messages of about `n` bytes.
	fn new(n: u32) -> Self {
		let key = ServiceKey::generate_pair(Some(b"//Benchmark".to_vec()));
		let case = T::Judge::benchmark_case(n);
		let job = T::Claims::benchmark_claim(key.clone(), case.model, case.input_root, case.output_root);
		let claim = T::Claims::open_claim(job).expect("the claim was just made").claim;
		Self { job, claim, case, key, dave: challenger::<T>(0) }
	}

	fn challenged(n: u32) -> Self {
		let scene = Self::new(n);
		scene.challenge(&scene.dave);
		scene
	}

	fn challenge(&self, who: &T::AccountId) {
		Pallet::<T>::do_challenge(who.clone(), self.job, self.claim, None, Bounded::max_value())
			.expect("the claim is open");
	}

	fn published(n: u32) -> Self {
		let scene = Self::challenged(n);
		let (dispute, _, root) =
			Pallet::<T>::check_publication(scene.job, &scene.claim, &scene.case.publication, |_| true)
				.map_err(|_| ())
				.expect("the publication is valid");
		Pallet::<T>::accept_publication(scene.job, scene.claim, dispute, root);
		scene
	}

	fn demanded(n: u32) -> Self {
		let scene = Self::published(n);
		Pallet::<T>::do_demand(
			scene.dave.clone(),
			scene.job,
			scene.claim,
			scene.demand(),
			&scene.case.evidence,
			Bounded::max_value(),
		)
		.expect("the demand is valid");
		scene
	}

	fn opened(n: u32) -> Self {
		let scene = Self::demanded(n);
		let needed = T::Judge::needs_signature(&scene.case.demand);
		let (dispute, bytes, _, states) = Pallet::<T>::check_opening(
			scene.job,
			&scene.claim,
			&scene.case.demand,
			&scene.case.opening,
			needed,
			|_| true,
		)
		.map_err(|_| ())
		.expect("the opening is valid");
		Pallet::<T>::accept_opening(scene.claim, dispute, scene.demand(), bytes, states);
		scene
	}

	fn convicted(n: u32) -> Self {
		let scene = Self::opened(n);
		let dispute = DisputeMap::<T>::get(scene.claim).expect("there is a dispute");
		Pallet::<T>::convict(scene.claim, dispute, Grounds::NoPublication);
		scene
	}

	fn demand(&self) -> Demand<T> {
		BoundedVec::truncate_from(self.case.demand.clone())
	}

	fn sign(&self, payload: H256) -> ServiceSignature {
		self.key.sign(&payload.0).expect("the key was just made")
	}

	fn publication(&self) -> (Message<T>, ServiceSignature) {
		let payload = payload::publish_payload(&self.claim, &self.case.publication);
		(message::<T>(&self.case.publication), self.sign(payload))
	}

	fn opening(&self) -> (Message<T>, Option<ServiceSignature>) {
		let payload = payload::open_payload(&self.claim, &self.case.demand, &self.case.opening);
		let signature = T::Judge::needs_signature(&self.case.demand).then(|| self.sign(payload));
		(message::<T>(&self.case.opening), signature)
	}

	fn seal(&self) -> H256 {
		let hash = payload::seal_hash(&self.claim, &self.dave, &SALT);
		Pallet::<T>::seal(RawOrigin::Signed(self.dave.clone()).into(), hash).expect("the seal is new");
		hash
	}
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn seal() {
		let dave = challenger::<T>(0);
		#[extrinsic_call]
		_(RawOrigin::Signed(dave.clone()), H256::repeat_byte(1));
		assert!(Seals::<T>::contains_key(&dave, H256::repeat_byte(1)));
	}

	#[benchmark]
	fn challenge() {
		let scene = Scene::<T>::new(0);
		scene.seal();
		wait::<T>(One::one());
		#[extrinsic_call]
		_(RawOrigin::Signed(scene.dave.clone()), scene.job, scene.claim, Some(SALT), Bounded::max_value());
		assert!(Challenges::<T>::contains_key(scene.claim, &scene.dave));
	}

	#[benchmark]
	fn publish(n: Linear<1, { T::MaxMessage::get() }>) {
		let scene = Scene::<T>::challenged(n);
		let (publication, signature) = scene.publication();
		#[extrinsic_call]
		_(RawOrigin::Authorized, scene.job, scene.claim, publication, signature);
		let dispute = DisputeMap::<T>::get(scene.claim).expect("there is a dispute");
		assert!(matches!(dispute.phase, Phase::Published { .. }));
	}

	#[benchmark]
	fn authorize_publish(n: Linear<1, { T::MaxMessage::get() }>) {
		let scene = Scene::<T>::challenged(n);
		let (publication, signature) = scene.publication();
		#[block]
		{
			assert!(Pallet::<T>::authorize_publish(scene.job, &scene.claim, &publication, &signature).is_ok());
		}
	}

	#[benchmark]
	fn demand(n: Linear<1, { T::MaxMessage::get() }>) {
		let scene = Scene::<T>::published(n);
		let evidence = message::<T>(&scene.case.evidence);
		#[extrinsic_call]
		_(
			RawOrigin::Signed(scene.dave.clone()),
			scene.job,
			scene.claim,
			scene.demand(),
			evidence,
			Bounded::max_value(),
		);
		assert!(Outstanding::<T>::get() > 0);
	}

	#[benchmark]
	fn open(n: Linear<1, { T::MaxMessage::get() }>) {
		let scene = Scene::<T>::demanded(n);
		let (opening, signature) = scene.opening();
		#[extrinsic_call]
		_(RawOrigin::Authorized, scene.job, scene.claim, scene.demand(), opening, signature);
		assert_eq!(Outstanding::<T>::get(), 0);
	}

	#[benchmark]
	fn authorize_open(n: Linear<1, { T::MaxMessage::get() }>) {
		let scene = Scene::<T>::demanded(n);
		let (opening, signature) = scene.opening();
		let asked = scene.demand();
		#[block]
		{
			assert!(Pallet::<T>::authorize_open(scene.job, &scene.claim, &asked, &opening, &signature).is_ok());
		}
	}

	#[benchmark]
	fn prove(n: Linear<1, { T::MaxMessage::get() }>) {
		let scene = Scene::<T>::opened(n);
		let (states, proof) = (Some(scene.demand()), message::<T>(&scene.case.proof));
		#[extrinsic_call]
		_(RawOrigin::Signed(scene.dave.clone()), scene.job, scene.claim, states, proof);
		assert!(T::Claims::open_claim(scene.job).is_none_or(|info| info.claim != scene.claim));
	}

	#[benchmark]
	fn timeout() {
		let scene = Scene::<T>::demanded(0);
		wait::<T>(Pallet::<T>::answer_blocks(u32::MAX).saturating_add(One::one()));
		let anyone = challenger::<T>(1);
		#[extrinsic_call]
		_(RawOrigin::Signed(anyone), scene.job, scene.claim, Some(scene.dave.clone()));
		let dispute = DisputeMap::<T>::get(scene.claim).expect("there is a dispute");
		assert!(matches!(dispute.phase, Phase::Convicted { .. }));
	}

	#[benchmark]
	fn withdraw() {
		let scene = Scene::<T>::convicted(0);
		#[extrinsic_call]
		_(RawOrigin::Signed(scene.dave.clone()), scene.job, scene.claim);
		assert!(!Challenges::<T>::contains_key(scene.claim, &scene.dave));
	}

	#[benchmark]
	fn unseal() {
		let scene = Scene::<T>::convicted(0);
		let hash = scene.seal();
		#[extrinsic_call]
		_(RawOrigin::Signed(scene.dave.clone()), scene.job, scene.claim, SALT);
		assert!(!Seals::<T>::contains_key(&scene.dave, hash));
	}

	#[benchmark]
	fn on_block() {
		let now = frame_system::Pallet::<T>::block_number();
		let full = FullBlocks::<T>::get();
		frame_system::Pallet::<T>::register_extra_weight_unchecked(
			T::BlockWeights::get().max_block,
			frame_support::dispatch::DispatchClass::Operational,
		);
		#[block]
		{
			<Pallet<T> as frame_support::traits::Hooks<_>>::on_finalize(now);
		}
		assert_eq!(FullBlocks::<T>::get(), full + 1);
	}

	#[benchmark]
	fn service_agenda_step() {
		let now = BlockNumberFor::<T>::from(5u32);
		frame_system::Pallet::<T>::set_block_number(now);
		AgendaCursor::<T>::put((now, 0));
		AgendaLength::<T>::insert(now, 0);
		#[block]
		{
			Pallet::<T>::service_agenda(now, Weight::MAX);
		}
		assert_eq!(AgendaCursor::<T>::get().0, now + One::one());
	}

	#[benchmark]
	fn lapse() {
		let scene = Scene::<T>::new(0);
		let hash = scene.seal();
		#[block]
		{
			Pallet::<T>::lapse(BlockNumberFor::<T>::max_value(), scene.dave.clone(), hash);
		}
		assert!(!Seals::<T>::contains_key(&scene.dave, hash));
	}

	#[benchmark]
	fn end_window() {
		let scene = Scene::<T>::published(0);
		let dispute = DisputeMap::<T>::get(scene.claim).expect("there is a dispute");
		let made = Challenges::<T>::get(scene.claim, &scene.dave).expect("there is a challenge");
		Pallet::<T>::lose(scene.claim, dispute, scene.dave.clone(), made);
		#[block]
		{
			Pallet::<T>::end_window(BlockNumberFor::<T>::max_value(), scene.claim);
		}
		let dispute = DisputeMap::<T>::get(scene.claim).expect("there is a dispute");
		assert_eq!(dispute.phase, Phase::Defended);
	}

	#[benchmark]
	fn clean_up(n: Linear<1, { CLEAN_UP }>) {
		let scene = Scene::<T>::published(0);
		let mut all: Vec<T::AccountId> = vec![scene.dave.clone()];
		for index in 1..n {
			let who = challenger::<T>(index);
			scene.challenge(&who);
			all.push(who);
		}
		// Fees make a release and a burn of each.
		for who in &all {
			let fee = T::DemandFeePerByte::get().saturating_mul(2u32.into());
			T::Currency::hold(&HoldReason::Demand.into(), who, fee).expect("it has plenty");
			Challenges::<T>::mutate(scene.claim, who, |c| {
				if let Some(c) = c {
					c.fees = fee;
				}
			});
		}
		let dispute = DisputeMap::<T>::get(scene.claim).expect("there is a dispute");
		Pallet::<T>::convict(scene.claim, dispute, Grounds::NoPublication);
		let now = frame_system::Pallet::<T>::block_number();
		#[block]
		{
			Pallet::<T>::clean_up(now, scene.claim);
		}
		assert!(Challenges::<T>::iter_prefix(scene.claim).next().is_none());
	}

	impl_benchmark_test_suite!(Pallet, crate::mock::benchmark_externalities(), crate::mock::Test);
}
