//! Passwords and secrets: asked for on the terminal without showing them, or read from a file that others cannot read. Never from the command
//! line, where other users of the machine and the shell's history see them.

use super::keystore;
use anyhow::{bail, Context};
use std::{fs, path::Path};
use zeroize::Zeroizing;

/// Text that leaves nothing behind in memory.
pub type Secret = Zeroizing<String>;

/// Reads a file that holds a secret as it is. Others must be able neither to read nor to change it.
pub fn file(path: &Path) -> anyhow::Result<Secret> {
	let text = || format!("cannot read {}", path.display());
	#[cfg(unix)]
	{
		use std::os::unix::fs::PermissionsExt;
		let mode = fs::metadata(path).with_context(text)?.permissions().mode();
		// The group may read: that is how service managers hand out secrets.
		if mode & 0o027 != 0 {
			bail!(
				"others on this machine can read or change {} (mode {:03o}), and it holds a secret; run: chmod 600 {0}",
				path.display(),
				mode & 0o777
			);
		}
	}
	let text = Zeroizing::new(fs::read_to_string(path).with_context(text)?);
	// Editors add the end of the line.
	Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn ask(question: &str) -> anyhow::Result<Secret> {
	let answer = rpassword::prompt_password(format!("{question}: ")).context(
		"there is no terminal to ask for a password on; give --password-file FILE, or set ASSAY_PASSWORD_FILE",
	)?;
	Ok(Zeroizing::new(answer))
}

/// The password that unlocks something.
pub fn password(what: &str) -> anyhow::Result<Secret> {
	match keystore::password_file() {
		Some(path) => file(path),
		None => ask(&format!("Password of {what}")),
	}
}

/// A password to lock something with: asked for twice.
pub fn new_password(what: &str) -> anyhow::Result<Secret> {
	let password = match keystore::password_file() {
		Some(path) => file(path)?,
		None => {
			let password = ask(&format!("New password for {what}"))?;
			if *ask("The same again")? != *password {
				bail!("the two passwords differ; nothing was written");
			}
			password
		}
	};
	if password.is_empty() {
		bail!("an empty password protects nothing; nothing was written");
	}
	Ok(password)
}

/// A seed or a phrase.
pub fn phrase() -> anyhow::Result<Secret> {
	let answer = rpassword::prompt_password("Phrase, or seed (0x and 64 hex digits); it is not shown: ")
		.context("there is no terminal to ask for the phrase on; put it into a file, and give --from file:PATH")?;
	let answer = Zeroizing::new(answer);
	Ok(Zeroizing::new(answer.trim().to_owned()))
}

#[cfg(all(test, unix))]
mod tests {
	use super::*;
	use std::os::unix::fs::PermissionsExt;

	#[test]
	fn file_should_be_refused_when_others_can_read_it() {
		let path = std::env::temp_dir().join(format!("assay-secret-{}", std::process::id()));
		fs::write(&path, "a b \r\n").unwrap();
		let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
		for open in [0o644, 0o604, 0o620, 0o602] {
			mode(open);
			assert!(file(&path).unwrap_err().to_string().contains("chmod 600"), "{open:o}");
		}
		for closed in [0o600, 0o400, 0o640] {
			mode(closed);
			assert_eq!(*file(&path).unwrap(), "a b ");
		}
		fs::remove_file(&path).unwrap();
		assert!(format!("{:#}", file(&path).unwrap_err()).contains("cannot read"));
	}
}
