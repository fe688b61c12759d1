//! The command line.

pub mod stake;

use crate::{
	account::Who,
	amount::{Amount, Share},
	watch::engine::Engine,
};
use clap::{Args as ClapArgs, Parser, Subcommand};
use stake::{Delegate, DelegationCommand, Nominate, StakingCommand, ValidatorCommand};
use std::{net::SocketAddr, path::PathBuf};

/// Ask an AI model a question on the Assay chain, and get an answer that someone has staked money on.
#[derive(Parser, Debug)]
#[command(name = "assay", version, max_term_width = 100)]
pub struct Args {
	/// What holds for every command.
	#[command(flatten)]
	pub global: Global,
	/// What to do.
	#[command(subcommand)]
	pub command: Command,
}

/// What holds for every command.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "For every command")]
pub struct Global {
	/// Where the node listens for JSON-RPC.
	#[arg(long, global = true, env = "ASSAY_URL", default_value = "ws://127.0.0.1:9944")]
	pub url: String,
	/// Who signs and pays: the name of an account in the keystore, keystore:PATH.json (what a wallet exported), a development
	/// name (//Bob), env:VARIABLE or file:PATH with a seed or a phrase in it.
	#[arg(long, global = true, env = "ASSAY_ACCOUNT", value_name = "WHO", hide_env_values = true)]
	pub account: Option<Who>,
	/// Where encrypted accounts are kept (default: ~/.config/assay/keystore).
	#[arg(long, global = true, env = "ASSAY_KEYSTORE", value_name = "DIR")]
	pub keystore: Option<PathBuf>,
	/// Read passwords from this file, which others must not be able to read, instead of asking on the terminal.
	#[arg(long, global = true, env = "ASSAY_PASSWORD_FILE", value_name = "FILE")]
	pub password_file: Option<PathBuf>,
	/// Say what would be signed, what it costs and whether the chain would take it now. Send nothing. Where the account is only
	/// an address, the chain cannot try it.
	#[arg(long, global = true)]
	pub dry_run: bool,
	/// Do not ask before signing. Where stdin or stderr is no terminal, nobody is asked anyway.
	#[arg(long, short, global = true)]
	pub yes: bool,
	/// Print one JSON object on stdout and nothing else there. Amounts are in planck, as strings.
	#[arg(long, global = true)]
	pub json: bool,
}

/// An error of the command line that does not repeat a secret: it may end in a log.
pub fn without_secret(mut error: clap::Error) -> clap::Error {
	use clap::error::{ContextKind, ContextValue, ErrorKind};
	if error.kind() == ErrorKind::ValueValidation && error.to_string().contains("is a secret") {
		error.insert(ContextKind::InvalidValue, ContextValue::String("…".into()));
	}
	error
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
	/// List, show and register models.
	#[command(subcommand)]
	Models(ModelsCommand),
	/// Ask a model, and follow the request until the answer is settled and paid for.
	Infer(Infer),
	/// Look at a job and its result.
	Job(Job),
	/// Tell the story of the disputes about a job.
	Dispute(Dispute),
	/// Be a watchtower: recompute answers, and challenge the wrong ones.
	Watch(Watch),
	/// Be a worker: bond, serve, unbond; or look at one.
	#[command(subcommand)]
	Worker(WorkerCommand),
	/// Put stake behind a worker, and share its rewards and its slashes.
	Delegate(Delegate),
	/// Look after stake that you have put behind workers.
	#[command(subcommand)]
	Delegation(DelegationCommand),
	/// Be a validator: bond, set session keys, validate; or look at one.
	#[command(subcommand)]
	Validator(ValidatorCommand),
	/// Put your bonded stake behind validators, and share their rewards and their slashes.
	Nominate(Nominate),
	/// Look after stake that is bonded for validating or nominating.
	#[command(subcommand)]
	Staking(StakingCommand),
	/// Show what an account has; make, import, list and export accounts.
	Account(Account),
	/// Send OPG to someone.
	Send(SendCommand),
	/// Eras and payouts for workers.
	#[command(subcommand)]
	Rewards(RewardsCommand),
	/// Write the completions of a shell to stdout, for its own place for them.
	Completions {
		/// The shell.
		shell: clap_complete::Shell,
	},
}

/// `assay models`.
#[derive(Subcommand, Debug)]
pub enum ModelsCommand {
	/// Every model on the chain.
	List,
	/// All about one model.
	Show {
		/// Its id (0x…), owner/name, or its name if no other model has it.
		model: String,
	},
	/// Register a model, or a new version of one.
	Register(Register),
	/// Set the least fee for an inference by a model of yours. Requests that stand keep theirs.
	Price {
		/// The model.
		model: String,
		/// In OPG.
		price: Amount,
	},
	/// Let a model of yours take no new requests. It can be removed when those that stand are over.
	Deprecate {
		/// The model.
		model: String,
	},
	/// Remove a deprecated model of yours, and take its deposit back.
	Remove {
		/// The model.
		model: String,
	},
}

/// `assay models register`.
#[derive(ClapArgs, Debug)]
pub struct Register {
	/// The model: an ONNX file, or its canonical form (.assay).
	pub file: PathBuf,
	/// The name, new among your models (with --update: the name of a model of yours).
	#[arg(long)]
	pub name: String,
	/// The least fee for one inference, in OPG.
	#[arg(long)]
	pub price: Amount,
	/// Your share of each fee, at most 30%.
	#[arg(long, default_value = "0%")]
	pub royalty: Share,
	/// The blocks in which an answer can be challenged (default: the shortest the chain allows).
	#[arg(long)]
	pub window: Option<u32>,
	/// The blocks a watchtower needs to recompute one inference.
	#[arg(long, default_value_t = 1)]
	pub recompute_blocks: u32,
	/// The blocks a worker needs to build the trace of one inference.
	#[arg(long, default_value_t = 1)]
	pub trace_blocks: u32,
	/// Where workers and challengers can get the canonical form; may be given several times.
	#[arg(long, value_name = "URL")]
	pub artifact: Vec<String>,
	/// Register a new version of a name you have.
	#[arg(long)]
	pub update: bool,
	/// Also write the canonical form to this file, for workers to serve.
	#[arg(long, value_name = "FILE")]
	pub save: Option<PathBuf>,
}

/// `assay infer`.
#[derive(ClapArgs, Debug)]
pub struct Infer {
	/// The model: its id (0x…), owner/name, or its name if no other model has it.
	pub model: String,
	/// The input: .png (scaled to the model's size), .json (Open Inference Protocol v2 request) or .bin (raw tensor bytes).
	pub file: PathBuf,
	/// The worker to ask (default: the chain draws one, by stake).
	#[arg(long, value_name = "WHO")]
	pub worker: Option<Who>,
	/// The most to pay, in OPG (default: what the dearest worker of the model asks, or twice what the cheapest asks if that is less).
	#[arg(long, value_name = "OPG")]
	pub max_fee: Option<Amount>,
	/// What you stand to lose by a wrong answer, in OPG. It is covered by the worker's bond, and costs extra.
	#[arg(long, value_name = "OPG", default_value = "0")]
	pub coverage: Amount,
	/// Blocks from now until the answer must be there.
	#[arg(long, value_name = "BLOCKS")]
	pub deadline: Option<u32>,
	/// The blocks in which the answer can be challenged; longer than the model's own window only.
	#[arg(long, value_name = "BLOCKS")]
	pub window: Option<u32>,
}

/// `assay job`.
#[derive(ClapArgs, Debug)]
pub struct Job {
	/// The number of the job.
	pub id: u64,
	/// Take a request of yours back that no worker has yet. The escrow comes back, the charge does not.
	#[arg(long)]
	pub cancel: bool,
}

/// `assay dispute`.
#[derive(ClapArgs, Debug)]
pub struct Dispute {
	/// The number of the job.
	pub id: u64,
	/// How many blocks to look through on either side of what is known of the job.
	#[arg(long, value_name = "BLOCKS", default_value_t = 2_000)]
	pub reach: u64,
}

/// `assay watch`.
#[derive(ClapArgs, Debug)]
pub struct Watch {
	/// Your own inference engine. It must have the models in its store.
	#[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
	pub engine: Engine,
	/// The share of the answers to check. Which ones, nobody else can tell.
	#[arg(long, value_name = "PERCENT", default_value = "100%")]
	pub sample: Share,
	/// Watch this model only: its id (0x…), owner/name, or its name; may be given several times.
	#[arg(long)]
	pub model: Vec<String>,
	/// The most that disputes may have on hold and spend, all together (default: what the account has).
	#[arg(long, value_name = "OPG")]
	pub budget: Option<Amount>,
	/// How many times the lowest price to pay for a worker's answers while all workers together owe many.
	#[arg(long, value_name = "TIMES", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
	pub dearer: u32,
	/// Where to keep the salts of seals (default: ~/.local/state/assay).
	#[arg(long, value_name = "DIR")]
	pub state: Option<PathBuf>,
	/// Stop after so many blocks.
	#[arg(long, value_name = "BLOCKS")]
	pub blocks: Option<u64>,
	/// Tell Prometheus, at http://ADDRESS:PORT/metrics, what was found and what is at stake.
	#[arg(long, value_name = "ADDRESS:PORT")]
	pub metrics: Option<SocketAddr>,
}

/// `assay account`.
#[derive(ClapArgs, Debug)]
#[command(subcommand_precedence_over_arg = true)]
pub struct Account {
	/// An address, 0x and 64 hex digits, or what --account takes. Default: --account.
	pub who: Option<Who>,
	/// What else to do with accounts.
	#[command(subcommand)]
	pub command: Option<AccountCommand>,
}

/// What else to do with accounts.
#[derive(Subcommand, Debug)]
pub enum AccountCommand {
	/// Make an account, and keep it encrypted in the keystore.
	New {
		/// What to call it.
		name: String,
		/// Also show its phrase, on a terminal only, to be written down.
		#[arg(long)]
		phrase: bool,
	},
	/// Take an account that you have into the keystore. Asks for its phrase or seed, without showing it.
	Import {
		/// What to call it.
		name: String,
		/// Where it is instead: keystore:PATH.json (what a wallet exported; it keeps its password), file:PATH or env:VARIABLE.
		#[arg(long, value_name = "WHO")]
		from: Option<Who>,
	},
	/// The accounts in the keystore.
	List,
	/// What an account has on the chain.
	Show {
		/// An address, 0x and 64 hex digits, or what --account takes. Default: --account.
		who: Option<Who>,
	},
	/// Write an account to a file that wallets can import. It stays encrypted.
	Export {
		/// Its name.
		name: String,
		/// A new file (default: stdout).
		file: Option<PathBuf>,
	},
}

/// `assay send`.
#[derive(ClapArgs, Debug)]
pub struct SendCommand {
	/// To whom.
	pub to: Who,
	/// In OPG.
	pub amount: Amount,
}

/// `assay worker`.
#[derive(Subcommand, Debug)]
pub enum WorkerCommand {
	/// Show a worker's stake and what it serves.
	Status {
		/// The worker (default: --account).
		who: Option<Who>,
	},
	/// Become a worker with this much stake.
	Bond {
		/// In OPG.
		amount: Amount,
	},
	/// Add to the stake.
	BondExtra {
		/// In OPG.
		amount: Amount,
	},
	/// Set the service key: the key with which your node signs answers.
	Key {
		/// The public key (0x and 64 hex digits), or //name, env:VARIABLE or file:PATH with the secret one.
		key: Who,
		/// Also put the secret key into the node's keystore. The node at --url must be your own.
		#[arg(long)]
		insert: bool,
	},
	/// Serve a model, or change the terms on which you do.
	Serve {
		/// The model.
		model: String,
		/// How many jobs you compute at once (default: as before, or 1).
		#[arg(long)]
		capacity: Option<u32>,
		/// The least fee for one inference, in OPG (default: as before, or 0).
		#[arg(long)]
		min_price: Option<Amount>,
		/// What you ask for coverage: a share of it, per block (default: as before, or 0 %).
		#[arg(long)]
		coverage_price: Option<Share>,
		/// The shortest deadline you take, in blocks (default: as before, or 5).
		#[arg(long)]
		min_deadline: Option<u32>,
	},
	/// Serve a model no longer. Jobs you have go on.
	Stop {
		/// The model.
		model: String,
	},
	/// Take no new jobs for now.
	Pause,
	/// Take jobs again.
	Resume,
	/// Set how many jobs you have open at once, from assignment to settlement. All of them can be challenged at the same time.
	Limit {
		/// The most jobs.
		#[arg(value_parser = clap::value_parser!(u32).range(1..))]
		jobs: u32,
	},
	/// Take delegations, and keep this share of what they earn. A higher one than before comes later, so that delegators can leave.
	Commission {
		/// Such as 10%.
		share: Share,
	},
	/// Start to take stake out. It stays liable until the unbonding delay is over.
	Unbond {
		/// In OPG, or `all`.
		amount: AmountOrAll,
	},
	/// Take out what is due. Anyone may, for anyone.
	Withdraw {
		/// The worker (default: --account).
		who: Option<Who>,
	},
}

/// An amount, or everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountOrAll {
	/// Everything.
	All,
	/// So much.
	Some(Amount),
}

impl std::str::FromStr for AmountOrAll {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		if text == "all" {
			return Ok(Self::All);
		}
		text.parse().map(Self::Some)
	}
}

/// `assay rewards`.
#[derive(Subcommand, Debug)]
pub enum RewardsCommand {
	/// The running era, and what a worker can claim.
	Era {
		/// The worker (default: --account).
		who: Option<Who>,
	},
	/// Claim a worker's payout of one era. Anyone may.
	Payout {
		/// The era.
		era: u32,
		/// The worker (default: --account).
		who: Option<Who>,
	},
}

#[cfg(test)]
mod tests {
	use super::*;
	use clap::CommandFactory;

	#[test]
	fn command_line_should_be_consistent() {
		Args::command().debug_assert();
	}

	#[test]
	fn command_line_should_take_global_options_anywhere() {
		let args =
			Args::parse_from(["assay", "infer", "digits", "7.png", "--account", "//Bob", "--json", "--max-fee", "0.5"]);
		assert!(args.global.json);
		let Command::Infer(infer) = args.command else { panic!("not infer") };
		assert_eq!(infer.max_fee, Some(Amount(crate::amount::OPG / 2)));
	}

	#[test]
	fn account_should_take_a_person_or_a_command() {
		let account = |arguments: &[&str]| match Args::try_parse_from(["assay", "account"].iter().chain(arguments))
			.unwrap()
			.command
		{
			Command::Account(account) => account,
			_ => panic!("not account"),
		};
		assert_eq!(account(&["//Bob"]).who, Some("//Bob".parse().unwrap()));
		assert!(matches!(account(&["list"]).command, Some(AccountCommand::List)));
		assert!(matches!(account(&["--json", "list"]).command, Some(AccountCommand::List)));
		assert!(matches!(account(&["new", "savings"]).command, Some(AccountCommand::New { phrase: false, .. })));
		assert!(account(&[]).who.is_none());
	}

	#[test]
	fn secret_should_be_refused_on_the_command_line() {
		for secret in ["//not-a-known-name", "one two three", "//Bob///password"] {
			let error = Args::try_parse_from(["assay", "job", "1", "--account", secret]).unwrap_err().to_string();
			assert!(error.contains("shell's history"), "{error}");
			let told = crate::args::without_secret(
				Args::try_parse_from(["assay", "job", "1", "--account", secret]).unwrap_err(),
			);
			assert!(told.to_string().contains("shell's history") && !told.to_string().contains(secret), "{told}");
		}
	}
}
