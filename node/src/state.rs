//! The chain's state at one block, and what in it concerns an operator. The node reads it from its database, `doctor` through a
//! node's JSON-RPC.

use assay_primitives::{AccountId, BlockNumber, ClaimHash, JobId, ModelId, ServiceKey};
use assay_runtime::Runtime;
use codec::{Decode, Encode};
use frame_support::{storage::StoragePrefixedMap, Blake2_128Concat, StorageHasher};
use pallet_disputes::{Disputes, FullBlocks, Node, Nodes, Phase};
use pallet_inference::{Assigned, Jobs, Stage};
use pallet_rewards::Ledgers;
use pallet_workers::{Served, ServiceKeys, Workers};

/// What is known of a worker.
type Record = pallet_workers::WorkerOf<Runtime>;

/// The most disputes, and demands of one dispute, that are looked at.
const MOST: usize = 4_096;

/// The state at one block.
pub(crate) trait State {
	/// What lies under a key.
	fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String>;

	/// The first keys that begin with `prefix`, `most` at most.
	fn keys(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, String>;
}

/// What lies under a key, decoded.
pub(crate) fn read<V: Decode>(state: &dyn State, key: &[u8]) -> Result<Option<V>, String> {
	let decode = |bytes: Vec<u8>| V::decode(&mut &bytes[..]);
	state.value(key)?.map(decode).transpose().map_err(|_| {
		"the chain's runtime stores things in another way than this binary knows: use the binary of that version"
			.to_string()
	})
}

/// A worker whose service key is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
	/// Its account.
	pub(crate) account: AccountId,
	/// The key with which its node signs.
	pub(crate) key: ServiceKey,
	/// What is known of it.
	pub(crate) record: Record,
	/// What it serves.
	pub(crate) served: Vec<ModelId>,
	/// Until which block it earns emission without another heartbeat. `None` if it has no active stake.
	pub(crate) live_until: Option<BlockNumber>,
}

/// The workers to whom some of these service keys belong.
pub(crate) fn workers(state: &dyn State, keys: &[ServiceKey]) -> Result<Vec<Worker>, String> {
	let mut workers = Vec::new();
	for key in keys {
		let Some(account) = read::<AccountId>(state, &ServiceKeys::<Runtime>::hashed_key_for(key))? else { continue };
		let record = read(state, &Workers::<Runtime>::hashed_key_for(&account))?;
		let record = record.ok_or_else(|| format!("the chain knows no worker {account}, but its service key"))?;
		let served = read::<Vec<ModelId>>(state, &Served::<Runtime>::hashed_key_for(&account))?.unwrap_or_default();
		let ledger = read::<pallet_rewards::LedgerOf<Runtime>>(state, &Ledgers::<Runtime>::hashed_key_for(&account))?;
		let live_until = ledger.filter(|ledger| ledger.stake() > 0).map(|ledger| ledger.live_until());
		workers.push(Worker { account, key: key.clone(), record, served, live_until });
	}
	Ok(workers)
}

/// What workers owe the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
	/// Jobs assigned and not yet answered.
	pub(crate) jobs: u64,
	/// Publications and openings that challengers wait for.
	pub(crate) demands: u64,
	/// The block of the oldest of those.
	pub(crate) oldest_demand: Option<BlockNumber>,
	/// The last block for the most urgent of all.
	pub(crate) due_by: Option<BlockNumber>,
}

impl Owed {
	fn due(&mut self, by: BlockNumber) {
		self.due_by = Some(self.due_by.map_or(by, |other| other.min(by)));
	}

	fn demand(&mut self, since: BlockNumber, by: BlockNumber) {
		self.demands += 1;
		self.oldest_demand = Some(self.oldest_demand.map_or(since, |other| other.min(since)));
		self.due(by);
	}
}

/// What these workers owe.
pub(crate) fn owed(state: &dyn State, workers: &[Worker]) -> Result<Owed, String> {
	let mut owed = Owed::default();
	for worker in workers {
		let of_worker =
			[&Assigned::<Runtime>::final_prefix()[..], &Blake2_128Concat::hash(&worker.account.encode())].concat();
		for key in state.keys(&of_worker, MOST)? {
			let Some(job) = last::<JobId, 8>(&key) else { continue };
			let job: Option<pallet_inference::JobOf<Runtime>> = read(state, &Jobs::<Runtime>::hashed_key_for(job))?;
			if let Some(Stage::Assigned(assignment)) = job.map(|job| job.stage) {
				owed.jobs += 1;
				owed.due(assignment.answer_by);
			}
		}
	}
	if workers.is_empty() {
		return Ok(owed);
	}
	let full: u32 = read(state, &FullBlocks::<Runtime>::hashed_key())?.unwrap_or_default();
	for key in state.keys(&Disputes::<Runtime>::final_prefix(), MOST)? {
		let Some(dispute) = read::<pallet_disputes::DisputeOf<Runtime>>(state, &key)? else { continue };
		if dispute.live == 0 || !workers.iter().any(|worker| worker.account == dispute.worker) {
			continue;
		}
		match dispute.phase {
			Phase::Unpublished(clock) => owed.demand(clock.start, clock.last(full)),
			Phase::Published { .. } => {
				let Some(claim) = last::<ClaimHash, 32>(&key) else { continue };
				let of_claim = [&Nodes::<Runtime>::final_prefix()[..], claim.as_bytes()].concat();
				for key in state.keys(&of_claim, MOST)? {
					let node: Option<pallet_disputes::NodeOf<Runtime>> = read(state, &key)?;
					if let Some(Node::Outstanding { clock, .. }) = node {
						owed.demand(clock.start, clock.last(full));
					}
				}
			}
			Phase::Convicted { .. } | Phase::Defended => (),
		}
	}
	Ok(owed)
}

/// Whether any job is open or any claim disputed.
pub(crate) fn has_open_jobs(state: &dyn State) -> Result<bool, String> {
	Ok(!state.keys(&Jobs::<Runtime>::final_prefix(), 1)?.is_empty()
		|| !state.keys(&Disputes::<Runtime>::final_prefix(), 1)?.is_empty())
}

/// The end of a key whose hasher keeps what it hashed.
fn last<T: Decode, const N: usize>(key: &[u8]) -> Option<T> {
	T::decode(&mut key.last_chunk::<N>()?.as_slice()).ok()
}

#[cfg(test)]
mod tests {
	use super::*;
	use assay_primitives::Balance;
	use pallet_disputes::{Clock, Dispute};
	use pallet_inference::{Assignment, Job};
	use sp_core::H256;
	use std::collections::BTreeMap;

	#[derive(Default)]
	struct Fake(BTreeMap<Vec<u8>, Vec<u8>>);

	impl State for Fake {
		fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
			Ok(self.0.get(key).cloned())
		}

		fn keys(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, String> {
			Ok(self.0.keys().filter(|key| key.starts_with(prefix)).take(most).cloned().collect())
		}
	}

	const DAVE: AccountId = AccountId::new([4; 32]);

	fn key() -> ServiceKey {
		sp_core::sr25519::Public::from_raw([5; 32]).into()
	}

	/// Dave works; his only other trouble is what a test adds.
	fn with_worker() -> Fake {
		let mut fake = Fake::default();
		let mut record: Record = pallet_workers::Worker::new(1_000, 0, 1);
		record.service_key = Some(key());
		fake.0.insert(Workers::<Runtime>::hashed_key_for(DAVE), record.encode());
		fake.0.insert(ServiceKeys::<Runtime>::hashed_key_for(key()), DAVE.encode());
		fake.0.insert(Served::<Runtime>::hashed_key_for(DAVE), vec![H256([9; 32])].encode());
		fake
	}

	fn dispute(worker: AccountId, phase: Phase<Balance, BlockNumber>) -> pallet_disputes::DisputeOf<Runtime> {
		let hash = H256([1; 32]);
		Dispute {
			job: 3,
			model: hash,
			input_root: hash,
			output_root: hash,
			worker,
			settles_at: 90,
			trace_blocks: 1,
			phase,
			live: 1,
			fees: 0,
			outstanding: 0,
		}
	}

	#[test]
	fn workers_should_be_found_by_their_service_keys() {
		let fake = with_worker();
		let other: ServiceKey = sp_core::sr25519::Public::from_raw([6; 32]).into();
		let found = workers(&fake, &[other, key()]).unwrap();
		assert_eq!(found.len(), 1);
		assert_eq!((found[0].account.clone(), found[0].served.clone()), (DAVE, vec![H256([9; 32])]));
		assert_eq!((found[0].record.bonded, found[0].live_until), (1_000, None));
		assert_eq!(owed(&fake, &found).unwrap(), Owed::default());
		assert!(!has_open_jobs(&fake).unwrap());
	}

	#[test]
	fn worker_with_active_stake_should_be_live_until_its_heartbeat_is_over() {
		let mut fake = with_worker();
		for (stake, live_until) in [(5, Some(70)), (0, None)] {
			let ledger = pallet_rewards::LedgerOf::<Runtime> { base: stake, base_live_until: 70, ..Default::default() };
			fake.0.insert(Ledgers::<Runtime>::hashed_key_for(DAVE), ledger.encode());
			assert_eq!(workers(&fake, &[key()]).unwrap()[0].live_until, live_until);
		}
	}

	#[test]
	fn owed_should_be_the_jobs_and_demands_of_ones_own_workers() {
		let mut fake = with_worker();
		let assignment =
			Assignment { worker: DAVE, fee: 1, bond: 2, assigned_at: 10, answer_by: 60, independent: false };
		let job: pallet_inference::JobOf<Runtime> = Job {
			requester: DAVE,
			nonce: 0,
			model: H256([9; 32]),
			input_root: H256([1; 32]),
			max_fee: 1,
			escrow: 1,
			coverage: 0,
			max_output: 4,
			deadline: 70,
			window: 20,
			named: None,
			tried: Default::default(),
			stage: Stage::Assigned(assignment),
		};
		fake.0.insert(Jobs::<Runtime>::hashed_key_for(7), job.encode());
		fake.0.insert(Assigned::<Runtime>::hashed_key_for(DAVE, 7), ().encode());
		let clock = Clock { start: 20, length: 30, full: 0 };
		let claim = |byte| H256([byte; 32]);
		fake.0.insert(Disputes::<Runtime>::hashed_key_for(claim(1)), dispute(DAVE, Phase::Unpublished(clock)).encode());
		let published = Phase::Published { trace_root: claim(0), at: 12, full: 0 };
		fake.0.insert(Disputes::<Runtime>::hashed_key_for(claim(2)), dispute(DAVE, published.clone()).encode());
		let node: pallet_disputes::NodeOf<Runtime> =
			Node::Outstanding { demand: Default::default(), bytes: 1, clock: Clock { start: 15, length: 30, full: 0 } };
		fake.0.insert(Nodes::<Runtime>::hashed_key_for(claim(2), claim(8)), node.encode());
		// Another's dispute is no concern of Dave.
		let other = AccountId::new([5; 32]);
		fake.0
			.insert(Disputes::<Runtime>::hashed_key_for(claim(3)), dispute(other, Phase::Unpublished(clock)).encode());

		let workers = workers(&fake, &[key()]).unwrap();
		let expected = Owed { jobs: 1, demands: 2, oldest_demand: Some(15), due_by: Some(45) };
		assert_eq!(owed(&fake, &workers).unwrap(), expected);
		assert!(has_open_jobs(&fake).unwrap());
	}

	#[test]
	fn what_cannot_be_decoded_should_be_an_error() {
		let mut fake = with_worker();
		fake.0.insert(Workers::<Runtime>::hashed_key_for(DAVE), vec![1]);
		assert!(workers(&fake, &[key()]).unwrap_err().contains("version"));
	}
}
