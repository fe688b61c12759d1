//! What a watchtower has to remember beside the chain: the salts of its seals, and the secret by which it samples.
//!
//! One small file, written anew before anything is sent that depends on it. Losing it costs the deposits of seals that are not
//! revealed, and no more.

use crate::types::Bytes32;
use anyhow::{anyhow, bail, Context};
use serde::{Deserialize, Serialize};
use std::{
	collections::BTreeMap,
	fs::{self, File, OpenOptions, TryLockError},
	io::Write,
	path::{Path, PathBuf},
};

/// A block of one fork.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Place {
	/// Its number.
	pub(super) block: u64,
	/// Its hash, in hex.
	pub(super) hash: String,
}

/// One claim that was found wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
	/// The job.
	pub(super) job: u64,
	/// The salt of the seal, in hex.
	salt: String,
	/// The end of the window.
	pub(super) settles_at: u64,
	/// The block in which the challenge was made, once it is.
	pub(super) challenged_in: Option<Place>,
	/// Whether the challenge is over. Kept until the window ends, so that the claim is not challenged twice.
	pub(super) over: bool,
}

impl Kept {
	/// The salt of the seal.
	pub(super) fn salt(&self) -> anyhow::Result<Bytes32> {
		let mut salt = Bytes32::default();
		hex::decode_to_slice(&self.salt, &mut salt).map_err(|_| anyhow!("the salt of job {} is no salt", self.job))?;
		Ok(salt)
	}
}

#[derive(Default, Serialize, Deserialize)]
struct Content {
	/// Nobody who does not know it can tell which claims are sampled.
	sampling_key: String,
	/// By claim, in hex.
	claims: BTreeMap<String, Kept>,
}

/// The file.
pub(super) struct Keep {
	path: PathBuf,
	content: Content,
	// Held as long as this is.
	_lock: File,
}

/// 32 bytes that nobody can guess.
fn random() -> anyhow::Result<Bytes32> {
	let mut bytes = Bytes32::default();
	getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
	Ok(bytes)
}

/// Where such files are, unless told.
pub(super) fn default_folder() -> anyhow::Result<PathBuf> {
	let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
	let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")));
	Ok(state.context("neither HOME nor XDG_STATE_HOME is set; say where to keep salts with --state")?.join("assay"))
}

impl Keep {
	/// Opens or makes the file of an account on a chain, and keeps others out.
	pub(super) fn open(folder: &Path, genesis: &Bytes32, account: &str) -> anyhow::Result<Self> {
		let name = format!("watch-{}-{account}", hex::encode(&genesis[..4]));
		let path = folder.join(format!("{name}.json"));
		let context = || format!("cannot keep salts in {}; choose another folder with --state", folder.display());
		fs::create_dir_all(folder).with_context(context)?;
		let lock = File::create(folder.join(format!("{name}.lock"))).with_context(context)?;
		match lock.try_lock() {
			Ok(()) => (),
			Err(TryLockError::WouldBlock) => bail!("another `assay watch` of {account} runs on this machine"),
			Err(TryLockError::Error(error)) => return Err(error).with_context(context),
		}
		let content = match fs::read(&path) {
			Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
				format!("{} cannot be read; remove it, at the loss of the seals in it", path.display())
			})?,
			Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
			Err(error) => return Err(error).with_context(context),
		};
		let mut keep = Self { path, content, _lock: lock };
		if keep.content.sampling_key.is_empty() {
			keep.content.sampling_key = hex::encode(random()?);
			keep.save()?;
		}
		Ok(keep)
	}

	/// Replaces the file; what was there stays until the new one is complete.
	fn save(&self) -> anyhow::Result<()> {
		let context = || format!("cannot write {}", self.path.display());
		let new = self.path.with_extension("new");
		let mut options = OpenOptions::new();
		options.write(true).create(true).truncate(true);
		#[cfg(unix)]
		std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
		let mut file = options.open(&new).with_context(context)?;
		file.write_all(&serde_json::to_vec_pretty(&self.content)?).with_context(context)?;
		file.sync_all().with_context(context)?;
		fs::rename(&new, &self.path).with_context(context)
	}

	/// What to sample by.
	pub(super) fn sampling_key(&self) -> &str {
		&self.content.sampling_key
	}

	/// What is remembered of a claim.
	pub(super) fn get(&self, claim: &Bytes32) -> Option<&Kept> {
		self.content.claims.get(&hex::encode(claim))
	}

	/// All that is remembered.
	pub(super) fn all(&self) -> Vec<(Bytes32, Kept)> {
		let claims = self.content.claims.iter().filter_map(|(claim, kept)| {
			let mut id = Bytes32::default();
			hex::decode_to_slice(claim, &mut id).ok()?;
			Some((id, kept.clone()))
		});
		claims.collect()
	}

	/// The salt for a claim: the one it has, or else a new one. It is in the file then.
	pub(super) fn salt(&mut self, claim: &Bytes32, job: u64, settles_at: u64) -> anyhow::Result<Bytes32> {
		if let Some(kept) = self.get(claim) {
			return kept.salt();
		}
		let salt = random()?;
		let kept = Kept { job, salt: hex::encode(salt), settles_at, challenged_in: None, over: false };
		self.content.claims.insert(hex::encode(claim), kept);
		self.save()?;
		Ok(salt)
	}

	/// Notes when a claim was challenged; or that it was not, if a reorganisation has undone the challenge.
	pub(super) fn challenged(
		&mut self,
		claim: &Bytes32,
		job: u64,
		settles_at: u64,
		place: Option<Place>,
	) -> anyhow::Result<()> {
		self.salt(claim, job, settles_at)?;
		if let Some(kept) = self.content.claims.get_mut(&hex::encode(claim)) {
			kept.challenged_in = place;
			self.save()?;
		}
		Ok(())
	}

	/// The chain has forgotten a claim. Should a reorganisation bring it back, it is a new one.
	pub(super) fn forget(&mut self, claim: &Bytes32) -> anyhow::Result<()> {
		match self.content.claims.remove(&hex::encode(claim)) {
			Some(_) => self.save(),
			None => Ok(()),
		}
	}

	/// Nothing is left to do about a claim that stands.
	pub(super) fn finish(&mut self, claim: &Bytes32, now: u64) -> anyhow::Result<()> {
		let key = hex::encode(claim);
		let Some(kept) = self.content.claims.get_mut(&key) else { return Ok(()) };
		kept.over = true;
		self.content.claims.retain(|_, kept| !kept.over || (kept.settles_at > now && kept.challenged_in.is_some()));
		self.save()
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn folder(name: &str) -> PathBuf {
		let folder = std::env::temp_dir().join(format!("assay-keep-{}-{name}", std::process::id()));
		let _ = fs::remove_dir_all(&folder);
		folder
	}

	fn place(block: u64) -> Option<Place> {
		Some(Place { block, hash: "ab".into() })
	}

	#[test]
	fn salt_should_be_the_same_after_a_restart() {
		let folder = folder("restart");
		let mut keep = Keep::open(&folder, &[7; 32], "A").unwrap();
		let (key, salt) = (keep.sampling_key().to_owned(), keep.salt(&[1; 32], 5, 100).unwrap());
		assert_ne!(keep.salt(&[2; 32], 6, 100).unwrap(), salt);
		keep.challenged(&[1; 32], 5, 100, place(90)).unwrap();
		assert!(Keep::open(&folder, &[7; 32], "A").err().unwrap().to_string().contains("another"));
		assert_ne!(Keep::open(&folder, &[8; 32], "A").unwrap().sampling_key(), key, "another chain");
		drop(keep);
		let mut keep = Keep::open(&folder, &[7; 32], "A").unwrap();
		assert_eq!(keep.sampling_key(), key);
		assert_eq!(keep.salt(&[1; 32], 5, 100).unwrap(), salt);
		assert_eq!(keep.get(&[1; 32]).unwrap().challenged_in, place(90));
		keep.challenged(&[1; 32], 5, 100, None).unwrap();
		assert_eq!(
			(keep.get(&[1; 32]).unwrap().challenged_in.clone(), keep.salt(&[1; 32], 5, 100).unwrap()),
			(None, salt)
		);
		fs::remove_dir_all(folder).unwrap();
	}

	#[test]
	fn claim_should_be_remembered_until_the_window_ends_when_it_was_challenged() {
		let folder = folder("finish");
		let mut keep = Keep::open(&folder, &[7; 32], "A").unwrap();
		for claim in [[1; 32], [2; 32]] {
			keep.salt(&claim, 5, 100).unwrap();
		}
		keep.challenged(&[1; 32], 5, 100, place(90)).unwrap();
		keep.finish(&[1; 32], 95).unwrap();
		keep.finish(&[2; 32], 95).unwrap();
		assert!(keep.get(&[1; 32]).unwrap().over && keep.all().len() == 1);
		keep.finish(&[1; 32], 100).unwrap();
		assert!(keep.all().is_empty());
		keep.challenged(&[3; 32], 5, 100, place(90)).unwrap();
		keep.forget(&[3; 32]).unwrap();
		assert!(keep.all().is_empty());
		fs::remove_dir_all(folder).unwrap();
	}

	#[test]
	fn file_should_be_for_its_owner_only() {
		let folder = folder("mode");
		let keep = Keep::open(&folder, &[7; 32], "A").unwrap();
		#[cfg(unix)]
		assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&keep.path).unwrap().permissions()) & 0o77, 0);
		fs::write(&keep.path, "{").unwrap();
		drop(keep);
		let error = Keep::open(&folder, &[7; 32], "A").err().unwrap();
		assert!(error.to_string().contains("remove it"), "{error}");
		fs::remove_dir_all(folder).unwrap();
	}
}
