//! The keystore: a folder with one encrypted file per account, `NAME.json`, which only its owner can open.

use super::wallet::Wallet;
use crate::args::Global;
use anyhow::{bail, Context};
use std::{
	fs::{self, OpenOptions},
	io::{ErrorKind, Write},
	path::{Path, PathBuf},
	sync::OnceLock,
};

/// Names that mean something else behind `assay account`.
const TAKEN: [&str; 10] = ["export", "help", "import", "list", "new", "none", "send", "show", "staked", "stash"];
/// The longest name. Addresses are longer, so that a mistyped one is no name.
const MAX_NAME: usize = 40;

/// What the command line says about keys.
struct Settings {
	folder: Option<PathBuf>,
	password_file: Option<PathBuf>,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

/// Takes in what the command line says. Once, before anything is read.
pub fn settle(global: &Global) {
	let _ = SETTINGS.set(Settings { folder: global.keystore.clone(), password_file: global.password_file.clone() });
}

/// Where to read passwords, instead of asking.
pub(super) fn password_file() -> Option<&'static Path> {
	SETTINGS.get().and_then(|settings| settings.password_file.as_deref())
}

/// The folder.
pub fn folder() -> anyhow::Result<PathBuf> {
	if let Some(folder) = SETTINGS.get().and_then(|settings| settings.folder.clone()) {
		return Ok(folder);
	}
	let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
	let config = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
	let config =
		config.context("neither HOME nor XDG_CONFIG_HOME is set; say where accounts are kept with --keystore")?;
	Ok(config.join("assay/keystore"))
}

/// Whether an account can have this name: a file name on every system, and nothing else that `--account` takes.
pub fn is_name(text: &str) -> bool {
	let letter = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
	text.len() <= MAX_NAME
		&& text.chars().all(letter)
		&& text.starts_with(|c: char| c.is_ascii_alphanumeric())
		&& !text.starts_with("0x")
		&& !text.ends_with(".json")
		&& !TAKEN.contains(&text)
}

/// The file of an account.
pub fn path(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
	if !is_name(name) {
		bail!(
			"{name:?} cannot be the name of an account: up to {MAX_NAME} letters, digits, and . _ - behind the first; not {}",
			TAKEN.join(", ")
		);
	}
	Ok(folder.join(format!("{name}.json")))
}

/// Reads the file of an account.
pub fn read(path: &Path) -> anyhow::Result<Wallet> {
	let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
	text.parse().with_context(|| format!("{} cannot be used", path.display()))
}

/// The account of this name.
pub fn open(folder: &Path, name: &str) -> anyhow::Result<Wallet> {
	let path = path(folder, name)?;
	if fs::metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
		let known = super::is_well_known(&format!("//{name}"));
		let hint = if known { format!("; or do you mean //{name}?") } else { String::new() };
		bail!(
			"there is no account {name:?} in {}: `assay account list` shows those there are, `assay account new {name}` makes it{hint}",
			folder.display()
		);
	}
	read(&path)
}

/// All accounts by name, and what is wrong with those that cannot be read.
pub fn all(folder: &Path) -> anyhow::Result<Vec<(String, anyhow::Result<Wallet>)>> {
	let context = || format!("cannot look into {}", folder.display());
	let entries = match fs::read_dir(folder) {
		Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
		entries => entries.with_context(context)?,
	};
	let mut found = Vec::new();
	for entry in entries {
		let path = entry.with_context(context)?.path();
		let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
		if let Some(name) = name.filter(|name| is_name(name)) {
			found.push((name.to_owned(), read(&path)));
		}
	}
	found.sort_by(|a, b| a.0.cmp(&b.0));
	Ok(found)
}

/// Adds an account.
pub fn add(folder: &Path, name: &str, wallet: &Wallet) -> anyhow::Result<PathBuf> {
	let path = path(folder, name)?;
	let mut builder = fs::DirBuilder::new();
	builder.recursive(true);
	#[cfg(unix)]
	std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
	builder.create(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
	write_new(&path, &wallet.text)?;
	Ok(path)
}

/// Writes a file that was not there and that only its owner can open.
pub fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
	let mut options = OpenOptions::new();
	options.write(true).create_new(true);
	#[cfg(unix)]
	std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
	let mut file = match options.open(path) {
		Err(error) if error.kind() == ErrorKind::AlreadyExists => {
			bail!("{} is there already, and is never overwritten; choose another name", path.display())
		}
		file => file.with_context(|| format!("cannot write {}", path.display()))?,
	};
	file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
		// Half an account is none.
		let _ = fs::remove_file(path);
		anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
	})
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::account::wallet::tests::ALICE;

	#[test]
	fn account_should_be_kept_from_others_and_never_overwritten() {
		let folder = std::env::temp_dir().join(format!("assay-keystore-{}", std::process::id())).join("deep");
		let wallet: Wallet = ALICE.parse().unwrap();
		assert!(all(&folder).unwrap().is_empty());
		let path = add(&folder, "savings", &wallet).unwrap();
		#[cfg(unix)]
		{
			use std::os::unix::fs::PermissionsExt;
			assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
			assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
		}
		assert!(add(&folder, "savings", &wallet).unwrap_err().to_string().contains("never overwritten"));
		assert_eq!(open(&folder, "savings").unwrap().address, wallet.address);

		fs::write(folder.join("broken.json"), "{}").unwrap();
		fs::write(folder.join("notes.txt"), "x").unwrap();
		let found = all(&folder).unwrap();
		let found: Vec<_> = found.iter().map(|(name, wallet)| (name.as_str(), wallet.is_ok())).collect();
		assert_eq!(found, [("broken", false), ("savings", true)]);
		assert!(format!("{:#}", open(&folder, "broken").unwrap_err()).contains("broken.json"));
		let error = open(&folder, "Bob").unwrap_err().to_string();
		assert!(error.contains("account list") && error.contains("do you mean //Bob?"), "{error}");
		fs::remove_dir_all(folder.parent().unwrap()).unwrap();
	}

	#[test]
	fn name_should_be_a_file_name_and_nothing_else() {
		for good in ["a", "savings-2", "Bob", "cold.storage_1"] {
			assert!(is_name(good), "{good}");
		}
		let long = "a".repeat(41);
		let address = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
		for bad in ["", ".", "..", "-a", "a/b", "a b", "list", "ü", "a.json", &long, address] {
			assert!(!is_name(bad), "{bad}");
			assert!(path(Path::new("x"), bad).is_err());
		}
	}
}
