//! `assay-node snapshot`: a stopped node's database in one file, so that another node need not synchronise.
//!
//! The file is a tar, compressed with zstd: first `snapshot.json`, which says what chain it is and how far it goes; then the files of
//! the database; last `checksums.json`, with the length and the blake2-256 hash of each. There is never a key in it: keystore and
//! network identity lie outside of the database. What is imported is checked against the checksums, and its first block
//! against the chain's. That shows that nothing was damaged on the way, not that the maker was honest: a made-up state has
//! checksums, too. Take snapshots from people whom you trust.

mod archive;
mod chain;

use crate::{
	keys::entries,
	place::{Files, Place},
};
use archive::{Description, FORMAT};
use clap::{Args, Subcommand};
use fs4::FileExt;
use sc_cli::SubstrateCli;
use std::{
	fs::{self, File},
	path::{Path, PathBuf},
};

/// Writes and reads databases.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
	/// Write the database of a stopped node to a file.
	Export(Export),

	/// Make a database out of a file, for a node that has none.
	Import(Import),
}

/// Writes a database.
#[derive(Debug, Args)]
pub(crate) struct Export {
	/// The file to write. There must be none of that name.
	file: PathBuf,

	#[clap(flatten)]
	place: Place,
}

/// Reads a database.
#[derive(Debug, Args)]
pub(crate) struct Import {
	/// The file to read.
	file: PathBuf,

	#[clap(flatten)]
	place: Place,
}

impl SnapshotCommand {
	/// Does what was asked.
	pub(crate) fn run<C: SubstrateCli>(&self, cli: &C) -> sc_cli::Result<()> {
		match self {
			Self::Export(command) => command.run(&command.place.find(cli)?),
			Self::Import(command) => command.run(&command.place.find(cli)?),
		}
	}
}

impl Export {
	fn run(&self, files: &Files) -> sc_cli::Result<()> {
		let database = files.database();
		if !database.join("metadata").is_file() {
			return Err(format!(
				"There is no database at {}. Say --chain and --base-path as when you start the node.",
				database.display()
			)
			.into());
		}
		// Writes what was still in the log, and fails while a node runs.
		let info = chain::info(&database)?;
		// From now on no node can start on it.
		let lock = File::options().write(true).open(database.join("lock"))?;
		lock.try_lock_exclusive().map_err(|_| "A node has just started on this database. Stop it first.")?;
		let description = Description {
			format: FORMAT,
			chain: files.spec.id().into(),
			genesis: info.genesis_hash,
			best: (info.best_number, info.best_hash),
			finalized: (info.finalized_number, info.finalized_hash),
			bytes: archive::list(&database)?.iter().map(|(_, length)| length).sum(),
		};
		eprintln!("Writing {description} to {}", self.file.display());
		let unfinished = with_ending(&self.file, "unfinished");
		if self.file.exists() {
			return Err(format!("{} exists. Name another file.", self.file.display()).into());
		}
		let written =
			archive::write(&unfinished, &database, &description, &mut Progress::new("written", description.bytes));
		if let Err(error) = written {
			let _ = fs::remove_file(&unfinished);
			return Err(error.into());
		}
		fs::rename(&unfinished, &self.file)?;
		println!("{} holds {description}. No key is in it.", self.file.display());
		Ok(())
	}
}

impl Import {
	fn run(&self, files: &Files) -> sc_cli::Result<()> {
		let database = files.database();
		if database.exists() && fs::read_dir(&database)?.next().is_some() {
			return Err(format!(
				"There is a database at {} already, and it stays. Remove it with `assay-node purge-chain` and the same \
				 --chain and --base-path (not on a validator with keys in force: see docs/operators.md), or say another --base-path.",
				database.display()
			)
			.into());
		}
		let unfinished = with_ending(&database, "unfinished");
		if unfinished.exists() {
			fs::remove_dir_all(&unfinished)?;
		}
		let imported = self.import(files, &unfinished);
		if imported.is_err() {
			let _ = fs::remove_dir_all(&unfinished);
		}
		let description = imported?;
		if database.exists() {
			fs::remove_dir(&database)?;
		}
		fs::rename(&unfinished, &database)?;
		println!("{} holds {description}, whole and of this chain. Start the node.", database.display());
		if entries(&files.keystore)?.iter().any(|entry| entry.kind == "gran") {
			eprintln!(
				"The keystore here has session keys, and this database does not know how they have voted since it was written: to vote \
				 twice is slashed. Take them out, start without --validator, and go on with new ones (`assay-node keys generate`)."
			);
		}
		Ok(())
	}

	/// Makes the database at `unfinished`, and checks everything about it.
	fn import(&self, files: &Files, unfinished: &Path) -> Result<Description, String> {
		let genesis = chain::genesis(&*files.spec)?;
		let parent = unfinished.parent().ok_or("The database has no place.")?;
		fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
		let accept = |description: &Description| {
			if description.genesis != genesis {
				return Err(format!(
					"The snapshot is of the chain {} with the first block {:?}; this chain is {} with {genesis:?}. Say the \
					 --chain of the snapshot, or take another one.",
					description.chain,
					description.genesis,
					files.spec.id()
				));
			}
			let free = fs4::available_space(parent).map_err(|error| error.to_string())?;
			if free < description.bytes.saturating_add(ROOM) {
				return Err(format!(
					"The database takes {} MiB, and a node wants {} MiB more; {} has {} MiB free.",
					description.bytes >> 20,
					ROOM >> 20,
					parent.display(),
					free >> 20
				));
			}
			eprintln!("Reading {description} from {}", self.file.display());
			Ok(())
		};
		let total = fs::metadata(&self.file).map_err(|error| format!("{}: {error}", self.file.display()))?.len();
		let description = archive::read(&self.file, unfinished, accept, &mut Progress::new("read", total))?;
		let info = chain::info(unfinished)?;
		let (best, finalized) = ((info.best_number, info.best_hash), (info.finalized_number, info.finalized_hash));
		if (info.genesis_hash, best, finalized) != (description.genesis, description.best, description.finalized) {
			return Err("The database in the snapshot is not the one that it describes. Take another one.".into());
		}
		Ok(description)
	}
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
	let mut name = path.as_os_str().to_owned();
	name.push(".");
	name.push(ending);
	name.into()
}

/// Says how far it is, every few hundred megabytes.
struct Progress {
	what: &'static str,
	total: u64,
	done: u64,
	said: u64,
}

/// A node does not start with less than half of this free.
const ROOM: u64 = 2 << 30;

/// Bytes between two words.
const STEP: u64 = 256 << 20;

impl Progress {
	fn new(what: &'static str, total: u64) -> Self {
		Self { what, total, done: 0, said: 0 }
	}

	fn add(&mut self, bytes: u64) {
		self.done += bytes;
		if self.done - self.said >= STEP {
			self.said = self.done;
			eprintln!("  {} of {} MiB {}", self.done >> 20, self.total >> 20, self.what);
		}
	}
}
