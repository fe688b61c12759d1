//! The file format of snapshots.

use super::Progress;
use assay_runtime::{BlockNumber, Hash};
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use std::{
	collections::BTreeMap,
	fmt,
	fs::{self, File},
	io::{self, BufReader, BufWriter, Read, Write},
	path::{Component, Path, PathBuf},
};
use tar::{Archive, Builder, EntryType, Header};

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

const DESCRIPTION: &str = "snapshot.json";
const CHECKSUMS: &str = "checksums.json";
const FILES: &str = "database";
/// Both JSON files are far shorter.
const MOST_JSON: u64 = 16 << 20;
/// No database has more files.
const MOST_FILES: usize = 4_096;
/// Fast, and not much larger than the best.
const COMPRESSION: i32 = 3;
/// What is read at once.
const CHUNK: usize = 1 << 20;

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
	/// [`FORMAT`].
	pub(super) format: u32,
	/// The chain's name for machines.
	pub(super) chain: String,
	/// The first block.
	pub(super) genesis: Hash,
	/// The best block.
	pub(super) best: (BlockNumber, Hash),
	/// The last final block.
	pub(super) finalized: (BlockNumber, Hash),
	/// The length of all files of the database together.
	pub(super) bytes: u64,
}

impl fmt::Display for Description {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let Self { chain, best: (best, _), finalized: (finalized, _), bytes, .. } = self;
		write!(f, "{chain} up to block {best} ({finalized} is final; {} MiB)", bytes >> 20)
	}
}

/// Of each file of the database: its length and its hash.
type Checksums = BTreeMap<String, (u64, Hash)>;

/// The files of a database that belong into a snapshot, with their lengths.
pub(super) fn list(database: &Path) -> Result<Vec<(String, u64)>, String> {
	let unreadable = |error: io::Error| format!("{}: {error}", database.display());
	let mut files = Vec::new();
	for file in fs::read_dir(database).map_err(unreadable)? {
		let file = file.map_err(unreadable)?;
		let name =
			file.file_name().into_string().map_err(|name| format!("{name:?} is no name of a database's file"))?;
		// The lock belongs to the machine.
		if name == "lock" {
			continue;
		}
		let metadata = file.metadata().map_err(unreadable)?;
		if !metadata.is_file() {
			return Err(format!("{} is no file of a database. Move it elsewhere.", file.path().display()));
		}
		files.push((name, metadata.len()));
	}
	files.sort();
	Ok(files)
}

/// Writes a database to a new file.
pub(super) fn write(
	file: &Path,
	database: &Path,
	description: &Description,
	progress: &mut Progress,
) -> Result<(), String> {
	let fail = |error: io::Error| format!("{} cannot be written: {error}", file.display());
	let out = File::create_new(file).map_err(fail)?;
	let encoder = zstd::Encoder::new(BufWriter::new(out), COMPRESSION).map_err(fail)?;
	let mut tar = Builder::new(encoder);
	append_json(&mut tar, DESCRIPTION, description).map_err(fail)?;
	let mut checksums = Checksums::new();
	for (name, length) in list(database)? {
		let path = database.join(&name);
		let input = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
		let mut input = Hashing::new(input.take(length), progress);
		append(&mut tar, &format!("{FILES}/{name}"), length, &mut input).map_err(fail)?;
		checksums.insert(name, input.finish());
	}
	append_json(&mut tar, CHECKSUMS, &checksums).map_err(fail)?;
	let mut out = tar.into_inner().and_then(zstd::Encoder::finish).map_err(fail)?;
	out.flush().and_then(|()| out.get_ref().sync_all()).map_err(fail)
}

/// Makes a database at `database` out of a file, if `accept` agrees to what the file says of itself, and checks every byte.
pub(super) fn read(
	file: &Path,
	database: &Path,
	accept: impl FnOnce(&Description) -> Result<(), String>,
	progress: &mut Progress,
) -> Result<Description, String> {
	let damaged =
		|error: &dyn fmt::Display| format!("{} is no whole snapshot: {error}. Take another one.", file.display());
	let input = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
	let input = Counting { input, progress };
	let decoder = zstd::Decoder::new(BufReader::new(input)).map_err(|error| damaged(&error))?;
	let mut archive = Archive::new(decoder);
	// Raw: what extends a name is read into memory whole otherwise, however long. Ours are short.
	let mut entries = archive.entries().map_err(|error| damaged(&error))?.raw(true);
	let mut next = || -> Result<Option<(String, tar::Entry<'_, _>)>, String> {
		let Some(entry) = entries.next() else { return Ok(None) };
		let entry = entry.map_err(|error| damaged(&error))?;
		if entry.header().entry_type() != EntryType::Regular {
			return Err(damaged(&"there is something in it that is no file"));
		}
		let path = entry.path().map_err(|error| damaged(&error))?.into_owned();
		let name = path.to_str().ok_or_else(|| damaged(&"a name in it makes no sense"))?.to_owned();
		Ok(Some((name, entry)))
	};

	let description: Description = match next()? {
		Some((name, entry)) if name == DESCRIPTION => json(entry).map_err(|error| damaged(&error))?,
		_ => return Err(damaged(&"it does not say what it is")),
	};
	if description.format != FORMAT {
		let format = description.format;
		return Err(format!("{} has format {format}; this binary knows {FORMAT}. Use a newer binary.", file.display()));
	}
	accept(&description)?;
	fs::create_dir(database).map_err(|error| format!("{}: {error}", database.display()))?;

	let mut found = Checksums::new();
	let mut room = description.bytes;
	let expected: Checksums = loop {
		let Some((name, entry)) = next()? else { return Err(damaged(&"its end is missing")) };
		if name == CHECKSUMS {
			break json(entry).map_err(|error| damaged(&error))?;
		}
		if found.len() >= MOST_FILES {
			return Err(damaged(&"it has too many files"));
		}
		let name = plain_name(&name).ok_or_else(|| damaged(&format!("{name:?} does not belong there")))?;
		let length = entry.size();
		room = room.checked_sub(length).ok_or_else(|| damaged(&"it is longer than it says"))?;
		let path = database.join(&name);
		let fail = |error: io::Error| format!("{}: {error}", path.display());
		let mut out = File::create_new(&path).map_err(fail)?;
		let mut idle = Progress::new("", 0);
		let mut entry = Hashing::new(entry, &mut idle);
		let (mut copied, mut buffer) = (0, vec![0; 1 << 16]);
		loop {
			let read = entry.read(&mut buffer).map_err(|error| damaged(&error))?;
			let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
			out.write_all(bytes).map_err(fail)?;
			copied += read as u64;
		}
		if copied != length {
			return Err(damaged(&format!("{name} is cut off")));
		}
		out.sync_all().map_err(fail)?;
		found.insert(name, entry.finish());
	};
	if next()?.is_some() {
		return Err(damaged(&"there is something after its end"));
	}
	if found != expected || room != 0 {
		let wrong =
			expected.iter().find(|(name, sum)| found.get(*name) != Some(*sum)).map_or("a file", |(name, _)| name);
		return Err(damaged(&format!("{wrong} does not have its checksum")));
	}
	Ok(description)
}

/// The name of a file of the database, if an entry's name is one and leads nowhere else.
fn plain_name(name: &str) -> Option<String> {
	let name = name.strip_prefix(FILES)?.strip_prefix('/')?;
	let path = PathBuf::from(name);
	let mut parts = path.components();
	let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
	(plain && name != "lock").then(|| name.to_owned())
}

fn append_json(tar: &mut Builder<impl Write>, name: &str, value: &impl Serialize) -> io::Result<()> {
	let bytes = serde_json::to_vec_pretty(value)?;
	append(tar, name, bytes.len() as u64, &mut &bytes[..])
}

fn append(tar: &mut Builder<impl Write>, name: &str, length: u64, input: &mut impl Read) -> io::Result<()> {
	let mut header = Header::new_gnu();
	header.set_size(length);
	header.set_mode(0o644);
	header.set_entry_type(EntryType::Regular);
	tar.append_data(&mut header, name, input)
}

fn json<T: DeserializeOwned>(entry: impl Read) -> Result<T, serde_json::Error> {
	serde_json::from_reader(entry.take(MOST_JSON))
}

/// Hashes what is read.
struct Hashing<'a, R> {
	input: R,
	state: blake2b_simd::State,
	length: u64,
	progress: &'a mut Progress,
}

impl<'a, R> Hashing<'a, R> {
	fn new(input: R, progress: &'a mut Progress) -> Self {
		Self { input, state: blake2b_simd::Params::new().hash_length(32).to_state(), length: 0, progress }
	}

	fn finish(self) -> (u64, Hash) {
		(self.length, Hash::from_slice(self.state.finalize().as_bytes()))
	}
}

impl<R: Read> Read for Hashing<'_, R> {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		let most = buffer.len().min(CHUNK);
		let read = self.input.read(&mut buffer[..most])?;
		self.state.update(&buffer[..read]);
		self.length += read as u64;
		self.progress.add(read as u64);
		Ok(read)
	}
}

/// Counts what is read.
struct Counting<'a, R> {
	input: R,
	progress: &'a mut Progress,
}

impl<R: Read> Read for Counting<'_, R> {
	fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
		let read = self.input.read(buffer)?;
		self.progress.add(read as u64);
		Ok(read)
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	/// A folder that goes when the test is over.
	struct Folder(PathBuf);

	impl Folder {
		fn new(theme: &str) -> Self {
			let path = std::env::temp_dir().join(format!("assay-snapshot-{}-{theme}", std::process::id()));
			fs::create_dir_all(&path).unwrap();
			Self(path)
		}

		fn join(&self, name: &str) -> PathBuf {
			self.0.join(name)
		}
	}

	impl Drop for Folder {
		fn drop(&mut self) {
			let _ = fs::remove_dir_all(&self.0);
		}
	}

	/// A folder with a database of two files, and a snapshot of it.
	fn exported(theme: &str) -> (Folder, Description) {
		let folder = Folder::new(theme);
		let database = folder.join("database");
		fs::create_dir_all(&database).unwrap();
		fs::write(database.join("metadata"), "version=8").unwrap();
		fs::write(database.join("table_00_15"), (0..300_000_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>()).unwrap();
		fs::write(database.join("lock"), "").unwrap();
		let bytes = list(&database).unwrap().iter().map(|(_, length)| length).sum();
		let hash = Hash::repeat_byte;
		let description = Description {
			format: FORMAT,
			chain: "x".into(),
			genesis: hash(1),
			best: (9, hash(2)),
			finalized: (8, hash(3)),
			bytes,
		};
		write(&folder.join("out"), &database, &description, &mut Progress::new("", 0)).unwrap();
		(folder, description)
	}

	fn import(folder: &Folder) -> Result<Description, String> {
		read(&folder.join("out"), &folder.join("copy"), |_| Ok(()), &mut Progress::new("", 0))
	}

	#[test]
	fn database_should_be_the_same_after_export_and_import() {
		let (folder, description) = exported("same");
		assert_eq!(import(&folder), Ok(description));
		for (name, _) in list(&folder.join("database")).unwrap() {
			assert_eq!(
				fs::read(folder.join("database").join(&name)).unwrap(),
				fs::read(folder.join("copy").join(&name)).unwrap()
			);
		}
		assert!(!folder.join("copy/lock").exists());
	}

	#[test]
	fn damaged_snapshots_should_be_refused_wherever_they_are_damaged() {
		let (folder, _) = exported("damaged");
		let whole = fs::read(folder.join("out")).unwrap();
		for at in (0..whole.len()).step_by(whole.len() / 40 + 1) {
			let mut bytes = whole.clone();
			bytes[at] ^= 0x10;
			fs::write(folder.join("out"), &bytes).unwrap();
			// Whatever a flipped bit becomes, it is not taken for another database.
			if import(&folder).is_ok() {
				let table = "table_00_15";
				assert_eq!(
					fs::read(folder.join("database").join(table)).unwrap(),
					fs::read(folder.join("copy").join(table)).unwrap(),
					"byte {at}"
				);
			}
			let _ = fs::remove_dir_all(folder.join("copy"));
			fs::write(folder.join("out"), &whole[..at]).unwrap();
			assert!(import(&folder).is_err(), "cut off at byte {at}");
			let _ = fs::remove_dir_all(folder.join("copy"));
		}
	}

	#[test]
	fn other_checksums_should_be_refused() {
		let (folder, description) = exported("checksums");
		let out = File::create(folder.join("out")).unwrap();
		let mut tar = Builder::new(zstd::Encoder::new(out, 1).unwrap());
		append_json(&mut tar, DESCRIPTION, &Description { bytes: 5, ..description }).unwrap();
		append(&mut tar, "database/metadata", 5, &mut &b"hello"[..]).unwrap();
		let sums: Checksums = [("metadata".to_owned(), (5, Hash::zero()))].into();
		append_json(&mut tar, CHECKSUMS, &sums).unwrap();
		tar.into_inner().unwrap().finish().unwrap();
		assert!(import(&folder).unwrap_err().contains("checksum"));
	}

	#[test]
	fn names_that_lead_elsewhere_should_be_refused() {
		assert_eq!(plain_name("database/table_00_15").as_deref(), Some("table_00_15"));
		for name in [
			"table",
			"database/",
			"database/..",
			"database/../x",
			"database//etc/passwd",
			"database/a/b",
			"database/lock",
		] {
			assert_eq!(plain_name(name), None, "{name}");
		}
	}

	#[test]
	fn unwelcome_snapshots_should_leave_nothing() {
		let (folder, _) = exported("unwelcome");
		let refuse = |_: &Description| Err("another chain".to_owned());
		let read = read(&folder.join("out"), &folder.join("copy"), refuse, &mut Progress::new("", 0));
		assert_eq!(read, Err("another chain".into()));
		assert!(!folder.join("copy").exists());
	}
}
