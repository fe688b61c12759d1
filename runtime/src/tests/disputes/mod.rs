//! Whole disputes, from the request to the empty storage, every message a transaction.

mod convictions;
mod defences;
mod figures;
mod models;

use super::{chain::Chain, *};
use assay_primitives::{ClaimHash, Policy, MILLI_OPG, OPG};
use assay_semantics::{
	judge::{self, Demand, Opening, Proof, ProofKind, Publication},
	ops::State,
	prover::{Investigation, Next, Trace},
	Model,
};
use codec::{DecodeAll, Encode};
use frame_support::traits::fungible::{Inspect, InspectHold};
use models::Case;
use pallet_disputes::{payload, Event, Grounds};
use pallet_inference::Input;
use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie, Dave, Eve, Ferdie};
use sp_runtime::{Perbill, Permill};

type Disputing = pallet_disputes::Call<Runtime>;

/// What Bob stands to lose by a wrong answer.
const COVERAGE: Balance = 5 * OPG;
/// The salt of every seal.
const SALT: [u8; 32] = [7; 32];

fn on_a_chain(scenario: impl FnOnce(&mut Chain)) {
	with_preset("development", || scenario(&mut Chain::start()));
}

/// Registers a model unless it is, and has these workers serve it. Charlie is one from genesis on.
fn offer(chain: &mut Chain, header: &assay_semantics::ModelHeader, workers: &[Sr25519Keyring]) -> ModelId {
	let header = ModelHeader::decode_all(&mut &header.encode()[..]).expect("the same encoding");
	let id = header.id();
	let text = |text: &str| BoundedVec::truncate_from(text.as_bytes().to_vec());
	let names = |count: usize| BoundedVec::truncate_from(vec![text("tensor"); count]);
	if Models::get(&id).is_none() {
		let registration = pallet_models::Registration {
			input_names: names(header.inputs.len()),
			output_names: names(header.outputs.len()),
			header,
			artifacts: Default::default(),
			price: 10 * MILLI_OPG,
			royalty: Permill::from_percent(10),
			policy: Policy::optimistic(20, 1, 1),
		};
		chain.sign(Alice, pallet_models::Call::register_model { name: text("model"), registration });
	}
	for worker in workers {
		let account = worker.to_account_id();
		if Workers::service_key(&account).is_none() {
			let key = service_key(&account).public().into();
			chain.sign(*worker, pallet_workers::Call::bond { amount: 1_000 * OPG });
			chain.sign(*worker, pallet_workers::Call::set_service_key { key });
		}
		if !pallet_workers::Services::<Runtime>::contains_key(id, &account) {
			let terms = pallet_workers::Terms {
				capacity: 8,
				min_price: 20 * MILLI_OPG,
				coverage_price: Perbill::from_parts(1_000),
				min_deadline: 3,
			};
			chain.sign(*worker, pallet_workers::Call::serve_model { model: id, terms });
		}
	}
	id
}

/// An answer that waits for its window to end.
#[derive(Clone, Copy)]
struct Claim {
	job: JobId,
	hash: ClaimHash,
	worker: Sr25519Keyring,
	bond: Balance,
	fee: Balance,
	settles_at: BlockNumber,
}

/// Bob requests an inference, of a worker if he names one.
fn request(chain: &mut Chain, model: ModelId, input: Vec<u8>, worker: Option<Sr25519Keyring>) -> JobId {
	let job = pallet_inference::NextJobId::<Runtime>::get();
	let output = assay_primitives::model::byte_len(&Models::get(&model).unwrap().header.outputs).unwrap();
	let call = pallet_inference::Call::request {
		model,
		input: Input::Inline(BoundedVec::truncate_from(input)),
		max_fee: OPG,
		coverage: COVERAGE,
		max_output: output,
		deadline: 1_000,
		window: None,
		worker: worker.map(|worker| worker.to_account_id()),
	};
	chain.sign(Bob, call);
	job
}

/// Whoever has the job answers it, as soon as it can.
fn commit(chain: &mut Chain, job: JobId, output: Vec<u8>) -> Claim {
	while !matches!(Inference::job(job).expect("an open job").stage, Stage::Assigned(_)) {
		chain.next();
	}
	// The hash of the block of assignment is known in the next block.
	chain.next();
	chain.free(answer_with(job, output));
	let claim = Inference::open_claim(job).expect("it is answered");
	let worker = Sr25519Keyring::from_account_id(&claim.assignment.worker).unwrap();
	let (bond, fee) = (claim.assignment.bond, claim.assignment.fee);
	Claim { job, hash: claim.claim, worker, bond, fee, settles_at: claim.settles_at }
}

/// Charlie answers a request wrongly.
fn lie(chain: &mut Chain, case: &Case) -> Claim {
	let model = offer(chain, &case.model.header(), &[Charlie]);
	let job = request(chain, model, case.input(), Some(Charlie));
	commit(chain, job, case.wrong())
}

/// Charlie answers a request rightly.
fn answer_rightly(chain: &mut Chain, case: &Case) -> Claim {
	let model = offer(chain, &case.model.header(), &[Charlie]);
	let job = request(chain, model, case.input(), Some(Charlie));
	commit(chain, job, case.right())
}

fn message(bytes: Vec<u8>) -> pallet_disputes::Message<Runtime> {
	BoundedVec::try_from(bytes).expect("a message is short enough")
}

fn short(demand: &Demand) -> pallet_disputes::Demand<Runtime> {
	BoundedVec::try_from(demand.encode()).expect("a demand is short")
}

fn seal(chain: &mut Chain, who: Sr25519Keyring, claim: &Claim) {
	chain.sign(who, Disputing::seal { hash: payload::seal_hash(&claim.hash, &who.to_account_id(), &SALT) });
}

fn challenge(chain: &mut Chain, who: Sr25519Keyring, claim: &Claim, sealed: bool) {
	chain.sign(
		who,
		Disputing::challenge { job: claim.job, claim: claim.hash, salt: sealed.then_some(SALT), max_fee: OPG },
	);
}

fn publication(claim: &Claim, publication: Vec<u8>) -> Disputing {
	let key = service_key(&claim.worker.to_account_id());
	let signature = key.sign(&payload::publish_payload(&claim.hash, &publication).0).into();
	Disputing::publish { job: claim.job, claim: claim.hash, publication: message(publication), signature }
}

fn publish(chain: &mut Chain, claim: &Claim, worker: &Trace<&Model>) {
	chain.free(publication(claim, worker.publication().encode()));
}

fn opening(claim: &Claim, demand: &Demand, opening: Vec<u8>) -> Disputing {
	let signature = demand.needs_signature().then(|| {
		let key = service_key(&claim.worker.to_account_id());
		key.sign(&payload::open_payload(&claim.hash, &demand.encode(), &opening).0).into()
	});
	Disputing::open { job: claim.job, claim: claim.hash, demand: short(demand), opening: message(opening), signature }
}

fn demand(claim: &Claim, demand: &Demand, evidence: &judge::Evidence) -> Disputing {
	let (demand, evidence) = (short(demand), message(evidence.encode()));
	Disputing::demand { job: claim.job, claim: claim.hash, demand, evidence, max_fee: OPG }
}

/// A challenge that was played up to the proof, or until nothing seemed wrong.
struct Game {
	proof: Option<ProofKind>,
	/// The call that convicts, if the challenger is right.
	prove: Option<Disputing>,
}

/// How two sides play.
struct Play<'a> {
	claim: &'a Claim,
	challenger: Sr25519Keyring,
	/// What the challenger holds to be right.
	own: Trace<&'a Model>,
	/// What the worker says.
	worker: Trace<&'a Model>,
	/// What the worker does to the states that it opens.
	states: fn(&mut Vec<State>),
	/// What passes before each message.
	pace: fn(&mut Chain, &Claim),
}

impl<'a> Play<'a> {
	/// Every message in the block after the one that it answers.
	fn new(claim: &'a Claim, challenger: Sr25519Keyring, own: Trace<&'a Model>, worker: Trace<&'a Model>) -> Self {
		Self { claim, challenger, own, worker, states: |_| (), pace: |chain, _| chain.next() }
	}

	/// From the seal to the challenge.
	fn challenge(&self, chain: &mut Chain) {
		seal(chain, self.challenger, self.claim);
		chain.next();
		challenge(chain, self.challenger, self.claim, true);
	}

	/// From the publication to what the challenger then does last.
	fn investigate(self, chain: &mut Chain) -> Game {
		let Self { claim, challenger, own, worker, states, pace } = self;
		pace(chain, claim);
		publish(chain, claim, &worker);
		let output_root = Inference::open_claim(claim.job).unwrap().output_root;
		let mut view = Investigation::new(own, &output_root.0, &worker.publication()).unwrap();
		let mut about = None;
		loop {
			pace(chain, claim);
			match view.next() {
				Next::Agree => return Game { proof: None, prove: None },
				Next::Prove(proof) => {
					let call = Disputing::prove {
						job: claim.job,
						claim: claim.hash,
						states: about.filter(|_| matches!(proof, Proof::Step { .. } | Proof::Finish { .. })),
						proof: message(proof.encode()),
					};
					return Game { proof: Some(proof.kind()), prove: Some(call) };
				}
				Next::Demand(wanted, evidence) => {
					chain.sign(challenger, demand(claim, &wanted, &evidence));
					let mut answer = worker.open(&wanted).expect("an honest demand can be met");
					if let Opening::States { states: list, .. } = &mut answer.opening {
						states(list);
						about = Some(short(&wanted));
					}
					pace(chain, claim);
					chain.free(opening(claim, &wanted, answer.encode()));
					view.learn(&wanted, &answer.opening).unwrap();
				}
			}
		}
	}

	/// The whole of it: the challenger proves something.
	fn convict(self, chain: &mut Chain) -> ProofKind {
		let challenger = self.challenger;
		self.challenge(chain);
		let game = self.investigate(chain);
		chain.sign(challenger, game.prove.expect("a proof"));
		chain.next();
		game.proof.unwrap()
	}
}

/// What a conviction moved.
struct Books {
	worker: AccountId,
	bonded: Balance,
	totals: Vec<(AccountId, Balance)>,
	issuance: Balance,
	/// The fees that wait for the validators.
	waiting: Balance,
	sent: usize,
}

impl Books {
	fn open(chain: &Chain, claim: &Claim) -> Self {
		let worker = claim.worker.to_account_id();
		let totals = Sr25519Keyring::iter().map(|who| who.to_account_id());
		Self {
			bonded: pallet_workers::Workers::<Runtime>::get(&worker).unwrap().bonded,
			worker,
			totals: totals.map(|who| (who.clone(), Balances::total_balance(&who))).collect(),
			issuance: Balances::total_issuance(),
			waiting: Balances::total_balance(&consensus::FeePot::get()),
			sent: chain.sent.len(),
		}
	}

	/// What somebody has paid for transactions since.
	fn fees(&self, chain: &Chain, who: &AccountId) -> Balance {
		chain.sent[self.sent..].iter().filter(|sent| sent.by.as_ref() == Some(who)).map(|sent| sent.fee).sum()
	}

	/// Asserts that every account has gained and lost just this, fees aside, that nothing else of the worker's stake is gone,
	/// and that the rest is burned.
	fn settle(&self, chain: &Chain, slashed: Balance, changes: &[(Sr25519Keyring, i128)]) {
		self.settle_with(chain, slashed, changes, 0);
	}

	/// [`Self::settle`] where the treasury has got something.
	fn settle_with(&self, chain: &Chain, slashed: Balance, changes: &[(Sr25519Keyring, i128)], treasury: Balance) {
		let now = pallet_workers::Workers::<Runtime>::get(&self.worker).unwrap();
		assert_eq!(self.bonded - now.bonded, slashed, "the worker's stake");
		let (mut sum, mut fees) = (0, 0);
		for (who, before) in &self.totals {
			let paid = self.fees(chain, who);
			let change =
				i128::try_from(Balances::total_balance(who) + paid).unwrap() - i128::try_from(*before).unwrap();
			let expected =
				changes.iter().find(|(name, _)| name.to_account_id() == *who).map_or(0, |(_, change)| *change);
			let name = Sr25519Keyring::from_account_id(who).unwrap();
			assert_eq!(change, expected, "{name}");
			sum += change;
			fees += paid;
		}
		// A transaction's fee waits for the validators; less than an account can hold is burned.
		let waiting = signed(Balances::total_balance(&consensus::FeePot::get())) - signed(self.waiting);
		let gone = signed(fees) - waiting - sum - signed(treasury);
		assert_eq!(signed(self.issuance - Balances::total_issuance()), gone, "all that is gone is burned");
	}
}

fn signed(amount: Balance) -> i128 {
	i128::try_from(amount).unwrap()
}

/// What somebody has on hold for disputes.
fn held(who: Sr25519Keyring, reason: pallet_disputes::HoldReason) -> Balance {
	Balances::balance_on_hold(&RuntimeHoldReason::Disputes(reason), &who.to_account_id())
}

/// Asserts that challengers have everything back, and Bob what he had escrowed.
fn assert_nothing_held() {
	use pallet_disputes::HoldReason::{Challenge, Demand, Seal};
	for who in Sr25519Keyring::iter() {
		assert!(
			[Seal, Challenge, Demand].into_iter().all(|reason| held(who, reason) == 0),
			"{who} has everything back"
		);
	}
	assert_eq!(Balances::total_balance_on_hold(&Bob.to_account_id()), 0);
}

/// How the dispute about a claim was decided against the worker.
fn verdict(chain: &Chain, claim: &Claim) -> (Grounds, Option<AccountId>, pallet_disputes::traits::Convicted<Balance>) {
	let found = chain.events.iter().find_map(|event| match event {
		RuntimeEvent::Disputes(Event::Convicted { claim: hash, grounds, winner, outcome, .. })
			if *hash == claim.hash =>
		{
			Some((grounds.clone(), winner.clone(), outcome.clone()))
		}
		_ => None,
	});
	found.expect("the worker is convicted")
}

/// Asserts that a claim was overturned in favour of `winner`, down to the last planck, and that the job is over.
fn assert_convicted(chain: &mut Chain, books: &Books, claim: &Claim, winner: Sr25519Keyring) -> Grounds {
	let bond = claim.bond;
	let [burned, to_winner, to_requester] =
		[configs::BurnedShare::get(), configs::ChallengerShare::get(), configs::RequesterShare::get()]
			.map(|share| share.mul_floor(bond));
	let compensation = to_requester.min(COVERAGE);
	let (grounds, first, outcome) = verdict(chain, claim);
	assert_eq!(first, Some(winner.to_account_id()));
	assert_eq!((outcome.slashed, outcome.reward, outcome.compensation), (bond, to_winner, compensation));
	assert_eq!(outcome.burned, bond - to_winner - compensation);
	assert!(outcome.burned >= burned && burned >= claim.fee + COVERAGE, "a lie burns more than it can gain");
	// The clean-up takes a block.
	chain.run(2);
	assert_nothing_held();
	let changes = [(claim.worker, -signed(bond)), (winner, signed(to_winner)), (Bob, signed(compensation))];
	books.settle(chain, bond, &changes);
	assert!(Inference::job(claim.job).is_none() && Inference::result(claim.job).is_none());
	assert!(pallet_workers::Workers::<Runtime>::get(claim.worker.to_account_id()).unwrap().paused);
	grounds
}

/// Asserts that nothing is left of disputes but four single values, some blocks later.
fn assert_forgotten(chain: &mut Chain) {
	use pallet_disputes::{AgendaCursor, FullBlocks, NextNumber, Outstanding};
	chain.run(40);
	let prefix = sp_io::hashing::twox_128(b"Disputes");
	let stay = [
		NextNumber::<Runtime>::hashed_key().to_vec(),
		FullBlocks::<Runtime>::hashed_key().to_vec(),
		AgendaCursor::<Runtime>::hashed_key().to_vec(),
		Outstanding::<Runtime>::hashed_key().to_vec(),
		frame_support::traits::StorageVersion::storage_key::<Disputes>().to_vec(),
	];
	let mut key = prefix.to_vec();
	while let Some(next) = sp_io::storage::next_key(&key).filter(|next| next.starts_with(&prefix)) {
		assert!(stay.contains(&next), "{next:x?} is left");
		key = next;
	}
	assert_eq!(Outstanding::<Runtime>::get(), 0);
}
