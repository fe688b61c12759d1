//! The files of a keystore: one per key, named by its kind and its public half, with the secret inside.

use super::hex;
use crate::place::Files;
use serde_json::{json, Value};
use sp_core::crypto::KeyTypeId;
use std::{
	fs,
	os::unix::fs::{MetadataExt, PermissionsExt},
	path::{Path, PathBuf},
};

/// One key in a keystore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
	/// The four letters of its kind.
	pub(crate) kind: String,
	/// The public half, `0x` and hex digits.
	pub(crate) public: String,
	/// Where it lies.
	pub(crate) path: PathBuf,
	/// Who may do what with the file.
	mode: u32,
	/// The number of the user whose it is.
	owner: u32,
}

impl Entry {
	/// What keys of its kind are for.
	pub(crate) fn purpose(&self) -> &'static str {
		match self.kind.as_str() {
			"babe" => "signs blocks",
			"gran" => "signs finality votes",
			"audi" => "signs the addresses at which validators find this one",
			"asvc" => "signs a worker's answers",
			_ => "unknown to this node",
		}
	}

	/// What is wrong with the file, and what to do.
	pub(crate) fn trouble(&self) -> Option<String> {
		let trouble =
			|| format!("others can read it (mode {:03o}): chmod 600 '{}'", self.rights(), self.path.display());
		(self.mode & 0o077 != 0).then(trouble)
	}

	/// Why the node cannot sign with it, and what to do: it runs as the user whose the chain's folder is.
	pub(crate) fn unusable(&self, folder: &Path) -> Option<String> {
		let path = self.path.display();
		if let Err(error) = fs::File::open(&self.path) {
			return Some(format!("{path} cannot be read: {error}; run this as the user as whom the node runs"));
		}
		let owner = fs::metadata(folder).ok()?.uid();
		let other = || {
			format!(
				"{path} belongs to another user than {}, so the node cannot sign with it: chown --reference='{}' '{path}'",
				folder.display(),
				folder.display()
			)
		};
		(owner != self.owner).then(other)
	}

	/// What everybody may know of it.
	pub(crate) fn json(&self) -> Value {
		let mode = format!("{:03o}", self.rights());
		json!({ "kind": self.kind, "public": self.public, "purpose": self.purpose(), "file": self.path, "mode": mode })
	}

	/// The secret half. Never to be printed unless it was asked for.
	pub(super) fn secret(&self) -> Result<String, String> {
		let unreadable = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", self.path.display());
		let text = fs::read_to_string(&self.path).map_err(|error| unreadable(&error))?;
		serde_json::from_str(&text).map_err(|error| unreadable(&error))
	}

	fn rights(&self) -> u32 {
		self.mode & 0o777
	}
}

/// The keys in a keystore, by kind. None if its folder is not there.
pub(crate) fn entries(keystore: &Path) -> Result<Vec<Entry>, String> {
	let unreadable = |error: std::io::Error| format!("The keystore {} cannot be read: {error}", keystore.display());
	let mut entries = Vec::new();
	let files = match fs::read_dir(keystore) {
		// Not so where one may not even look: that is an error.
		Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(entries),
		files => files.map_err(unreadable)?,
	};
	for file in files {
		let file = file.map_err(unreadable)?;
		let Ok(bytes) = hex::decode(file.file_name().to_string_lossy().as_ref()) else { continue };
		let Some((kind, public)) = bytes.split_first_chunk::<4>() else { continue };
		let metadata = file.metadata().map_err(unreadable)?;
		let (mode, owner) = (metadata.permissions().mode(), metadata.uid());
		let kind = String::from_utf8_lossy(kind).into_owned();
		entries.push(Entry { kind, public: hex(public), path: file.path(), mode, owner });
	}
	entries.sort_by(|a, b| (&a.kind, &a.public).cmp(&(&b.kind, &b.public)));
	Ok(entries)
}

/// The keys of some kinds that are there already; an error if there are any and none may be added.
pub(super) fn refuse_to_add(files: &Files, kinds: &[KeyTypeId], rotate: bool) -> Result<Vec<Entry>, String> {
	let mut old = entries(&files.keystore)?;
	old.retain(|entry| kinds.iter().any(|kind| entry.kind.as_bytes() == kind.0));
	match old.first() {
		Some(first) if !rotate => Err(format!(
			"The keystore {} holds such a key already: {} {}. Nothing was made. `assay-node keys show` lists what is \
			 there; say --rotate to make another beside it.",
			files.keystore.display(),
			first.kind,
			first.public
		)),
		_ => Ok(old),
	}
}

/// The entries of keys that were just made; an error if one is missing or others can read it.
pub(super) fn check_new(files: &Files, keys: &[(KeyTypeId, Vec<u8>)]) -> Result<Vec<Entry>, String> {
	let all = entries(&files.keystore)?;
	let find = |(kind, public): &(KeyTypeId, Vec<u8>)| {
		let public = hex(public);
		let entry = all.iter().find(|entry| entry.kind.as_bytes() == kind.0 && entry.public == public);
		let entry = entry.ok_or("A new key is not in the keystore. Is the disk full?")?;
		match entry.trouble().or_else(|| entry.unusable(&files.chain)) {
			None => Ok(entry.clone()),
			Some(trouble) => Err(format!("The key was made, but {trouble}")),
		}
	};
	keys.iter().map(find).collect()
}

/// What is wrong with the keystore's folder, and what to do.
pub(crate) fn folder_trouble(keystore: &Path) -> Option<String> {
	let mode = fs::metadata(keystore).ok()?.permissions().mode() & 0o777;
	let trouble = || format!("others can change the keystore (mode {mode:03o}): chmod 700 '{}'", keystore.display());
	(mode & 0o022 != 0).then(trouble)
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn entries_should_be_keys_only_and_show_who_can_read_them() {
		let folder = std::env::temp_dir().join(format!("assay-keys-{}", std::process::id()));
		fs::create_dir_all(&folder).unwrap();
		let file = folder.join(format!("{}{}", hex::encode(b"asvc"), "ab".repeat(32)));
		fs::write(&file, "\"secret\"").unwrap();
		fs::write(folder.join("README"), "no key").unwrap();
		fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

		let found = entries(&folder).unwrap();
		assert_eq!(found.len(), 1);
		assert_eq!((&found[0].kind[..], &found[0].public[..]), ("asvc", &format!("0x{}", "ab".repeat(32))[..]));
		assert!(found[0].trouble().unwrap().contains("chmod 600"));
		assert_eq!(found[0].secret().unwrap(), "secret");
		assert!(!found[0].json().to_string().contains("secret"));
		fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
		assert_eq!(entries(&folder).unwrap()[0].trouble(), None);
		fs::remove_dir_all(&folder).unwrap();
		assert_eq!(entries(&folder).unwrap(), []);
	}
}
