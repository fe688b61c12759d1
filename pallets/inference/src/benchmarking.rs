//! Benchmarks: one for each call and each kind of task, at its most expensive.

use super::*;
use crate::traits::{Models, Rewards, Workers};
use alloc::vec;
use assay_primitives::{claim, JobId, ModelId, ServiceKey, ServiceSignature};
use frame_benchmarking::v2::*;
use frame_support::traits::{
	fungible::{Balanced, Inspect, MutateHold},
	Get,
};
use frame_system::{pallet_prelude::BlockNumberFor, RawOrigin};
use sp_runtime::{
	traits::{Hash, One, Saturating, Zero},
	BoundedVec, RuntimeAppPublic,
};

/// Ends the block, so that the next one knows its hash.
fn seal_block<T: Config>() {
	let now = frame_system::Pallet::<T>::block_number();
	frame_system::BlockHash::<T>::insert(now, T::Hashing::hash_of(&now));
	frame_system::Pallet::<T>::set_block_number(now.saturating_add(One::one()));
}

fn endow<T: Config>(who: &T::AccountId) {
	let plenty = T::MinBond::get().saturating_mul(1_000u32.into());
	let plenty = plenty.max(T::Currency::minimum_balance().saturating_mul(1_000u32.into()));
	assert!(T::Currency::resolve(who, T::Currency::issue(plenty)).is_ok());
}

struct Scene<T: Config> {
	requester: T::AccountId,
	worker: T::AccountId,
	key: ServiceKey,
	model: ModelId,
	input: u32,
	output: u32,
}

impl<T: Config> Scene<T> {
	/// A model with inputs and outputs of the given lengths, served by `servers` workers.
	fn new(input: u32, output: u32, servers: u32) -> Self {
		frame_system::Pallet::<T>::set_block_number(Zero::zero());
		seal_block::<T>();
		let key = ServiceKey::generate_pair(Some(b"//Benchmark".to_vec()));
		let model = T::Models::benchmark_model(input, output);
		let worker = T::Workers::benchmark_workers(&model, servers, key.clone());
		let requester: T::AccountId = account("requester", 0, 0);
		endow::<T>(&requester);
		Self { requester, worker, key, model, input, output }
	}

	/// The same, the requester being the caller: its account is read and written for the transaction's fee in any case.
	fn by_caller(input: u32, output: u32) -> Self {
		let scene = Self { requester: whitelisted_caller(), ..Self::new(input, output, 1) };
		endow::<T>(&scene.requester);
		scene
	}

	fn fee(&self) -> BalanceOf<T> {
		let price = T::Models::terms(&self.model).expect("the model was just registered").price;
		price.max(T::MinFee::get()).saturating_mul(10u32.into())
	}

	/// Requests an inference; of the scene's last worker if `named`.
	fn request(&self, named: bool) -> JobId {
		let id = NextJobId::<T>::get();
		Pallet::<T>::request(
			RawOrigin::Signed(self.requester.clone()).into(),
			self.model,
			Input::Inline(BoundedVec::truncate_from(vec![1; self.input as usize])),
			self.fee(),
			Zero::zero(),
			self.output,
			T::MaxDeadline::get(),
			None,
			named.then(|| self.worker.clone()),
		)
		.expect("the request is valid");
		id
	}

	/// Requests an inference and has it assigned to the scene's last worker.
	fn assigned(&self) -> JobId {
		let id = self.request(true);
		assert!(Assigned::<T>::contains_key(&self.worker, id));
		seal_block::<T>();
		id
	}

	fn answer(&self, id: JobId) -> (Output<T::MaxOutput>, ServiceSignature) {
		let output = Output::Inline(BoundedVec::truncate_from(vec![2; self.output as usize]));
		let answer = Pallet::<T>::check_answer(id, &output).map_err(|_| ()).expect("the job is assigned");
		let payload = claim::commit_payload(&answer.claim);
		(output, self.key.sign(&payload.0).expect("the key was just made"))
	}

	fn whitelist_what_is_only_read(&self, id: JobId) {
		let Some(Job { stage: Stage::Assigned(assignment), .. }) = Jobs::<T>::get(id) else { panic!("not assigned") };
		let hash = frame_system::BlockHash::<T>::hashed_key_for;
		for key in [hash(Zero::zero()), hash(assignment.assigned_at), T::Models::benchmark_key(&self.model)] {
			frame_benchmarking::benchmarking::add_to_whitelist(key.into());
		}
	}

	/// Requests an inference and answers it.
	fn committed(&self) -> JobId {
		let id = self.assigned();
		let (output, _) = self.answer(id);
		let answer = Pallet::<T>::check_answer(id, &output).map_err(|_| ()).expect("the job is assigned");
		Pallet::<T>::accept_answer(id, answer, output);
		id
	}

	fn decline_signature(&self, id: JobId, reason: &DeclineReason) -> ServiceSignature {
		let Some(Job { stage: Stage::Assigned(assignment), .. }) = Jobs::<T>::get(id) else { panic!("not assigned") };
		let payload = Pallet::<T>::decline_payload(id, &assignment, reason).expect("the block is known");
		self.key.sign(&payload.0).expect("the key was just made")
	}
}

#[benchmarks]
mod benchmarks {
	use super::*;

	#[benchmark]
	fn request(n: Linear<4, { T::MaxInput::get() }>) {
		let scene = Scene::<T>::by_caller(n, 4);
		let (fee, model) = (scene.fee(), scene.model);
		let input = Input::Inline(BoundedVec::truncate_from(vec![1; n as usize]));
		#[extrinsic_call]
		_(
			RawOrigin::Signed(scene.requester.clone()),
			model,
			input,
			fee,
			1u32.into(),
			4,
			T::MaxDeadline::get(),
			None,
			Some(scene.worker.clone()),
		);
		assert!(Assigned::<T>::contains_key(&scene.worker, 0));
	}

	#[benchmark]
	fn cancel() {
		let scene = Scene::<T>::by_caller(T::MaxInput::get(), 4);
		let id = scene.request(false);
		#[extrinsic_call]
		_(RawOrigin::Signed(scene.requester.clone()), id);
		assert!(!Jobs::<T>::contains_key(id));
	}

	#[benchmark]
	fn decline() {
		let scene = Scene::<T>::new(T::MaxInput::get(), 4, 1);
		let id = scene.assigned();
		let reason = DeclineReason::DataUnavailable;
		let signature = scene.decline_signature(id, &reason);
		#[extrinsic_call]
		_(frame_system::RawOrigin::Authorized, id, reason, signature);
		assert!(!Assigned::<T>::contains_key(&scene.worker, id));
	}

	#[benchmark]
	fn authorize_decline() {
		let scene = Scene::<T>::new(4, 4, 1);
		let id = scene.assigned();
		let reason = DeclineReason::DataUnavailable;
		let signature = scene.decline_signature(id, &reason);
		#[block]
		{
			assert!(Pallet::<T>::authorize_decline(id, &reason, &signature).is_ok());
		}
	}

	#[benchmark]
	fn commit(n: Linear<4, { T::MaxOutput::get() }>) {
		let scene = Scene::<T>::new(4, n, 1);
		let id = scene.assigned();
		let (output, signature) = scene.answer(id);
		// What only is read was read for the authorisation just before.
		scene.whitelist_what_is_only_read(id);
		#[extrinsic_call]
		_(frame_system::RawOrigin::Authorized, id, output, signature);
		assert!(Results::<T>::contains_key(id));
	}

	#[benchmark]
	fn authorize_commit(n: Linear<4, { T::MaxOutput::get() }>) {
		let scene = Scene::<T>::new(4, n, 1);
		let id = scene.assigned();
		let (output, signature) = scene.answer(id);
		#[block]
		{
			assert!(Pallet::<T>::authorize_commit(id, &output, &signature).is_ok());
		}
	}

	#[benchmark]
	fn heartbeat() {
		let scene = Scene::<T>::new(4, 4, 1);
		let signature = scene.key.sign(&[0; 32]).expect("the key was just made");
		T::Rewards::benchmark_heartbeat(&scene.worker);
		#[extrinsic_call]
		_(frame_system::RawOrigin::Authorized, scene.worker.clone(), 0u32.into(), signature);
		assert!(!T::Rewards::heartbeat_due(&scene.worker));
	}

	#[benchmark]
	fn authorize_heartbeat() {
		let scene = Scene::<T>::new(4, 4, 1);
		T::Rewards::benchmark_heartbeat(&scene.worker);
		seal_block::<T>();
		let at = frame_system::Pallet::<T>::block_number() - One::one();
		let payload = Pallet::<T>::heartbeat_payload(&scene.worker, at).expect("the block is known");
		let signature = scene.key.sign(&payload.0).expect("the key was just made");
		#[block]
		{
			assert!(Pallet::<T>::authorize_heartbeat(&scene.worker, at, &signature).is_ok());
		}
	}

	#[benchmark]
	fn next_task() {
		let now = BlockNumberFor::<T>::from(5u32);
		let tasks = [Task::Expire(1), Task::Expire(2)];
		tasks.iter().for_each(|task| Agenda::<T>::insert(now, task, ()));
		let mut found = 0;
		#[block]
		{
			let mut tasks = Agenda::<T>::iter_key_prefix(now);
			found += u32::from(tasks.next().is_some());
		}
		assert_eq!(found, 1);
	}

	#[benchmark]
	fn skip_task() {
		let scene = Scene::<T>::new(4, 4, 1);
		let id = scene.committed();
		let now = frame_system::Pallet::<T>::block_number();
		let task = Task::Expire(id);
		Agenda::<T>::insert(now, task, ());
		#[block]
		{
			assert!(Pallet::<T>::task_weight(&task).is_none());
			Agenda::<T>::remove(now, task);
		}
		assert!(!Agenda::<T>::contains_key(now, task));
	}

	#[benchmark]
	fn draw_job(n: Linear<1, { T::MaxServers::get() }>) {
		let scene = Scene::<T>::new(4, 4, n);
		let id = scene.request(false);
		seal_block::<T>();
		let now = frame_system::Pallet::<T>::block_number();
		#[block]
		{
			Pallet::<T>::draw_worker(now, id);
		}
		assert!(matches!(Jobs::<T>::get(id), Some(Job { stage: Stage::Assigned(_), .. })));
	}

	#[benchmark]
	fn expire_job() {
		let scene = Scene::<T>::new(T::MaxInput::get(), 4, 1);
		let id = scene.assigned();
		let now = Jobs::<T>::get(id).map(|job| job.deadline + One::one()).expect("the job is open");
		frame_system::Pallet::<T>::set_block_number(now);
		#[block]
		{
			Pallet::<T>::deadline_passed(now, id);
		}
		assert!(!Jobs::<T>::contains_key(id));
	}

	#[benchmark]
	fn settle_job() {
		let scene = Scene::<T>::new(T::MaxInput::get(), T::MaxOutput::get(), 1);
		// Escrowed is more than the fee, as for a job that was drawn.
		let id = scene.committed();
		Jobs::<T>::mutate_extant(id, |job| {
			let more = T::Currency::minimum_balance();
			job.escrow += more;
			T::Currency::hold(&HoldReason::Fee.into(), &scene.requester, more).expect("the requester has plenty");
		});
		let Some(Job { stage: Stage::Committed { settles_at, .. }, .. }) = Jobs::<T>::get(id) else {
			panic!("no answer")
		};
		frame_system::Pallet::<T>::set_block_number(settles_at);
		#[block]
		{
			assert!(Pallet::<T>::settle(settles_at, id));
		}
		assert!(!Jobs::<T>::contains_key(id));
	}

	#[benchmark]
	fn convict_job() {
		let scene = Scene::<T>::new(T::MaxInput::get(), T::MaxOutput::get(), 1);
		let id = scene.committed();
		let winner: T::AccountId = account("winner", 0, 0);
		endow::<T>(&winner);
		#[block]
		{
			Pallet::<T>::convict(id, Some(&winner));
		}
		assert!(!Results::<T>::contains_key(id));
	}

	#[benchmark]
	fn purge_result() {
		let scene = Scene::<T>::new(4, T::MaxOutput::get(), 1);
		let id = scene.committed();
		let Some(Job { stage: Stage::Committed { settles_at, .. }, .. }) = Jobs::<T>::get(id) else {
			panic!("no answer")
		};
		#[block]
		{
			Agenda::<T>::remove(settles_at, Task::Settle(id));
			Results::<T>::remove(id);
		}
		assert!(!Results::<T>::contains_key(id));
	}
}
