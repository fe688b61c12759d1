//! Jobs settled per second, beside balance transfers per second, on the same node in the same run.
//!
//! `cargo bench --workspace --bench jobs`. The node is a development chain without its engine; this program holds the worker's
//! service key and answers every job in the block after its assignment, so that only the chain is measured. A phase's rate is its
//! count between the first and the last of the blocks that were full of it, by the blocks' own timestamps.

use anyhow::Context;
use assay_cli::chain::Chain;
use assay_primitives::{claim, Claim, JobId, ModelHeader, ServiceSignature, OPG};
use assay_runtime::{
	genesis_config_presets::DIGITS_HEADER, AccountId, Address, Runtime, RuntimeCall, RuntimeEvent, Signature,
	SignedPayload, TxExtension, UncheckedExtrinsic, VERSION,
};
use assay_tests::{Node, NodeOptions};
use codec::{Decode, Encode};
use sp_core::{sr25519, Pair, H256};
use std::collections::BTreeMap;
use subxt::rpcs::rpc_params;

/// Accounts that send.
const SENDERS: u32 = 200;
/// Transactions that each sends in a phase.
const EACH: u32 = 100;
/// Transactions that wait in the pool: a few blocks' worth. A longer queue would measure the pool.
const WAITING: usize = 6_000;

type Events = Vec<frame_system::EventRecord<RuntimeEvent, H256>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
	let node = Node::start("bench-jobs", NodeOptions { no_engine: true, large_pool: true, ..Default::default() });
	let chain = node.chain().await?;
	let mut bench = Bench { chain: &chain, genesis: H256(chain.genesis().0), nonces: BTreeMap::new() };
	bench.set_up().await?;
	let transfers = bench.transfers().await?;
	let jobs = bench.jobs().await?;
	println!("{:>10.0} balance transfers per second", transfers);
	println!("{:>10.0} jobs requested, answered and settled per second", jobs);
	println!("{:>10.2} jobs per transfer", jobs / transfers);
	Ok(())
}

struct Bench<'a> {
	chain: &'a Chain,
	genesis: H256,
	nonces: BTreeMap<AccountId, u32>,
}

fn pair(name: &str) -> sr25519::Pair {
	sr25519::Pair::from_string(name, None).expect("a derivation path")
}

fn sender(number: u32) -> sr25519::Pair {
	pair(&format!("//bench//{number}"))
}

fn account(pair: &sr25519::Pair) -> AccountId {
	pair.public().into()
}

fn extension(nonce: u32) -> TxExtension {
	(
		frame_system::AuthorizeCall::new(),
		frame_system::CheckNonZeroSender::new(),
		frame_system::CheckSpecVersion::new(),
		frame_system::CheckTxVersion::new(),
		frame_system::CheckGenesis::new(),
		frame_system::CheckEra::from(sp_runtime::generic::Era::Immortal),
		frame_system::CheckNonce::from(nonce),
		frame_system::CheckWeight::new(),
		pallet_transaction_payment::ChargeTransactionPayment::from(0),
		frame_metadata_hash_extension::CheckMetadataHash::new(false),
		frame_system::WeightReclaim::new(),
	)
}

impl Bench<'_> {
	fn sign(&mut self, signer: &sr25519::Pair, call: impl Into<RuntimeCall>) -> Vec<u8> {
		let call = call.into();
		let nonce = self.nonces.entry(account(signer)).or_default();
		let extension = extension(*nonce);
		*nonce += 1;
		let implicit = (
			(),
			(),
			VERSION.spec_version,
			VERSION.transaction_version,
			self.genesis,
			self.genesis,
			(),
			(),
			(),
			None,
			(),
		);
		let payload = SignedPayload::from_raw(call.clone(), extension.clone(), implicit);
		let signature = payload.using_encoded(|bytes| signer.sign(bytes));
		UncheckedExtrinsic::new_signed(call, Address::Id(account(signer)), Signature::Sr25519(signature), extension)
			.encode()
	}

	async fn send(&self, transaction: &[u8]) -> anyhow::Result<()> {
		let hex = format!("0x{}", hex::encode(transaction));
		self.chain
			.raw()
			.request::<String>("author_submitExtrinsic", rpc_params![hex])
			.await
			.map(|_| ())
			.context("refused")
	}

	async fn send_all(&self, transactions: &[Vec<u8>]) -> anyhow::Result<()> {
		for batch in transactions.chunks(64) {
			let sent = batch.iter().map(|transaction| self.send(transaction));
			for result in futures::future::join_all(sent).await {
				result?;
			}
		}
		Ok(())
	}

	/// Sends the next `count` of the transactions.
	async fn feed(&self, transactions: &mut std::vec::IntoIter<Vec<u8>>, count: usize) -> anyhow::Result<()> {
		let next: Vec<_> = transactions.take(count).collect();
		self.send_all(&next).await
	}

	async fn events(&self, hash: subxt::utils::H256) -> anyhow::Result<Events> {
		let key = format!(
			"0x{}",
			hex::encode([sp_io::hashing::twox_128(b"System"), sp_io::hashing::twox_128(b"Events")].concat())
		);
		let value: Option<String> = self.chain.raw().request("state_getStorage", rpc_params![key, hash]).await?;
		let bytes = hex::decode(value.context("a block without events")?.trim_start_matches("0x"))?;
		Ok(Events::decode(&mut &bytes[..])?)
	}

	/// Seconds since 1970 in block `hash`.
	async fn time(&self, hash: subxt::utils::H256) -> anyhow::Result<f64> {
		let key = format!(
			"0x{}",
			hex::encode([sp_io::hashing::twox_128(b"Timestamp"), sp_io::hashing::twox_128(b"Now")].concat())
		);
		let value: String = self.chain.raw().request("state_getStorage", rpc_params![key, hash]).await?;
		let bytes = hex::decode(value.trim_start_matches("0x"))?;
		Ok(u64::decode(&mut &bytes[..])? as f64 / 1_000.0)
	}

	/// Endows the senders, and gives Charlie room for anything.
	async fn set_up(&mut self) -> anyhow::Result<()> {
		let calls = (0..SENDERS).map(|number| {
			let dest = Address::Id(account(&sender(number)));
			RuntimeCall::Balances(pallet_balances::Call::transfer_keep_alive { dest, value: 10_000 * OPG })
		});
		let endow = self.sign(&pair("//Bob"), pallet_utility::Call::<Runtime>::batch_all { calls: calls.collect() });
		let bond = pallet_workers::Call::<Runtime>::bond_extra { amount: 10_000_000 * OPG };
		let bond = self.sign(&pair("//Charlie"), bond);
		let terms = pallet_workers::Terms {
			capacity: u32::MAX,
			min_price: OPG / 50,
			coverage_price: Default::default(),
			min_deadline: 1,
		};
		let serve = pallet_workers::Call::<Runtime>::serve_model { model: model(), terms };
		let serve = self.sign(&pair("//Charlie"), serve);
		self.send_all(&[endow, bond, serve]).await?;
		assay_tests::pass_blocks(self.chain, 3).await
	}

	async fn transfers(&mut self) -> anyhow::Result<f64> {
		let mut transactions = Vec::new();
		for _ in 0..EACH {
			for number in 0..SENDERS {
				let dest = Address::Id(account(&sender((number + 1) % SENDERS)));
				let call = pallet_balances::Call::<Runtime>::transfer_keep_alive { dest, value: OPG };
				transactions.push(self.sign(&sender(number), call));
			}
		}
		let mut blocks = self.chain.follow(self.chain.best().await?.block_number()).await?;
		let (all, mut transactions) = (transactions.len(), transactions.into_iter());
		self.feed(&mut transactions, WAITING).await?;
		let mut rate = Rate::default();
		while rate.total < all {
			let at = assay_tests::next_block(&mut blocks).await?;
			let events = self.events(at.block_hash()).await?;
			let count = events.iter().filter(|record| {
				matches!(record.event, RuntimeEvent::Balances(pallet_balances::Event::Transfer { .. }))
			});
			let count = count.count();
			rate.add(count, self.time(at.block_hash()).await?);
			self.feed(&mut transactions, count).await?;
		}
		rate.sustained("transfers")
	}

	async fn jobs(&mut self) -> anyhow::Result<f64> {
		let charlie = account(&pair("//Charlie"));
		// What a job remembers is the nonce of its account after the request has begun: one more than the transaction's.
		let mut nonces: BTreeMap<AccountId, u32> =
			self.nonces.iter().map(|(who, nonce)| (who.clone(), nonce + 1)).collect();
		let mut transactions = Vec::new();
		for _ in 0..EACH {
			for number in 0..SENDERS {
				let call = pallet_inference::Call::<Runtime>::request {
					model: model(),
					input: pallet_inference::Input::Inline(vec![0; 256].try_into().expect("short enough")),
					max_fee: OPG,
					coverage: 0,
					max_output: 40,
					deadline: 1_000,
					window: None,
					worker: Some(charlie.clone()),
				};
				transactions.push(self.sign(&sender(number), call));
			}
		}
		let mut blocks = self.chain.follow(self.chain.best().await?.block_number()).await?;
		let (all, mut transactions) = (transactions.len(), transactions.into_iter());
		self.feed(&mut transactions, WAITING / 3).await?;
		let mut rate = Rate::default();
		let mut requested = BTreeMap::new();
		while rate.total < all {
			let at = assay_tests::next_block(&mut blocks).await?;
			let hash = at.block_hash();
			let mut assigned = Vec::new();
			let mut settled = 0;
			for record in self.events(hash).await? {
				let RuntimeEvent::Inference(event) = record.event else { continue };
				match event {
					pallet_inference::Event::Requested { job, requester, deadline, .. } => {
						// A sender's requests come in the order of their nonces.
						let nonce = nonces.get_mut(&requester).context("a stranger's request")?;
						requested.insert(job, (requester, *nonce, deadline));
						*nonce += 1;
					}
					pallet_inference::Event::Assigned { job, .. } => assigned.push(job),
					pallet_inference::Event::Settled { .. } => settled += 1,
					_ => (),
				}
			}
			let mut answers = Vec::new();
			for job in assigned {
				// The event of the assignment comes after that of the request.
				let (requester, nonce, deadline) =
					requested.remove(&job).context("assigned before it was requested")?;
				answers.push(self.answer(job, requester, nonce, deadline, H256(hash.0), &charlie));
			}
			self.send_all(&answers).await?;
			self.feed(&mut transactions, answers.len()).await?;
			rate.add(settled, self.time(hash).await?);
		}
		rate.sustained("jobs")
	}

	fn answer(
		&self,
		job: JobId,
		requester: AccountId,
		nonce: u32,
		deadline: u32,
		assigned_in: H256,
		worker: &AccountId,
	) -> Vec<u8> {
		let header = ModelHeader::decode(&mut &DIGITS_HEADER[..]).expect("a header");
		let input_root = assay_primitives::model::input_root(&header.inputs, &[0; 256]).expect("the right length");
		let output_root = assay_primitives::model::output_root(&header.outputs, &[0; 40]).expect("the right length");
		let claim = Claim {
			genesis: self.genesis,
			requester,
			nonce,
			job,
			worker: worker.clone(),
			assigned_in,
			statement: claim::statement(&header.id(), &input_root, &output_root),
			coverage: 0u128,
			deadline,
		};
		let signature: ServiceSignature =
			pair(assay_tests::SERVICE_KEY).sign(&claim::commit_payload(&claim.hash()).0).into();
		let output = pallet_inference::Output::Inline(vec![0; 40].try_into().expect("short enough"));
		let call = pallet_inference::Call::<Runtime>::commit { job, output, signature };
		UncheckedExtrinsic::new_transaction(call.into(), extension(0)).encode()
	}
}

fn model() -> H256 {
	ModelHeader::decode(&mut &DIGITS_HEADER[..]).expect("a header").id()
}

/// Counts by block.
#[derive(Default)]
struct Rate {
	total: usize,
	blocks: Vec<(usize, f64)>,
}

impl Rate {
	fn add(&mut self, count: usize, time: f64) {
		self.total += count;
		self.blocks.push((count, time));
	}

	/// The rate over the blocks that were at least half as full as the fullest.
	fn sustained(&self, what: &str) -> anyhow::Result<f64> {
		let most = self.blocks.iter().map(|(count, _)| *count).max().context("no blocks")?;
		let full = |(count, _): &(usize, f64)| *count * 2 >= most;
		let first = self.blocks.iter().position(full).context("no full block")?;
		let last = self.blocks.iter().rposition(full).context("no full block")?;
		println!("{what} by block: {:?}", self.blocks.iter().map(|(count, _)| count).collect::<Vec<_>>());
		anyhow::ensure!(last > first, "the run was too short to say anything");
		let count: usize = self.blocks.get(first + 1..=last).into_iter().flatten().map(|(count, _)| count).sum();
		let time = |index: usize| self.blocks.get(index).map_or(0.0, |(_, time)| *time);
		Ok(count as f64 / (time(last) - time(first)))
	}
}
