//! The model store: a folder of canonical artifacts, each named by the id of the model in it.

use std::{
	fs::{self, File},
	io::{self, Write},
	path::{Path, PathBuf},
	sync::atomic::{AtomicU64, Ordering},
};

use assay_import::{read_artifact, read_artifact_shared, write_artifact_to};
use assay_kernels::map_file;
use assay_semantics::Model;

use crate::ModelId;

const SUFFIX: &str = ".assay";

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
	/// No file of that name.
	#[error("model {0} is not in the store")]
	Unknown(ModelId),
	/// The file is there, and is not what its name says. It is left as it is.
	#[error("{} is refused: {reason}; put the right file in its place", .path.display())]
	Refused {
		/// The file.
		path: PathBuf,
		/// What is wrong with it.
		reason: String,
	},
	/// The kernels cannot be used on this machine.
	#[error("this machine must not serve: {0}")]
	Kernels(String),
	/// These bytes are no artifact.
	#[error("this is no artifact of a model: {0}")]
	NoArtifact(String),
	/// The file system said no.
	#[error("cannot {doing} {}: {}", .path.display(), in_words(.source))]
	Io {
		/// What was being done.
		doing: &'static str,
		/// To which file.
		path: PathBuf,
		/// What the system said.
		source: io::Error,
	},
}

/// What an operator can do about the errors that operators meet.
fn in_words(error: &io::Error) -> String {
	match error.kind() {
		io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
			format!("the disk is full ({error}); free some space and try again")
		}
		io::ErrorKind::PermissionDenied => {
			format!("no permission ({error}); the folder must belong to the user the engine runs as")
		}
		io::ErrorKind::ReadOnlyFilesystem => format!("the file system is read-only ({error})"),
		_ => error.to_string(),
	}
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
	move |source| StoreError::Io { doing, path: path.into(), source }
}

/// A folder of artifacts. Files are opened when they are asked for, and every hash is checked then. Nothing is ever
/// deleted, and files with other names are left alone.
#[derive(Debug)]
pub struct Store {
	folder: PathBuf,
}

impl Store {
	/// Opens the store in `folder`, which is made if it is not there.
	pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
		let folder = folder.into();
		fs::create_dir_all(&folder).map_err(io_error("make the folder", &folder))?;
		Ok(Self { folder })
	}

	/// The file that holds, or would hold, the model.
	pub fn path(&self, id: ModelId) -> PathBuf {
		self.folder.join(format!("{id}{SUFFIX}"))
	}

	/// Whether there is a file for the model. It may yet turn out to be damaged.
	pub fn contains(&self, id: ModelId) -> bool {
		self.path(id).is_file()
	}

	/// The models that there are files for, in order of their ids.
	pub fn list(&self) -> Result<Vec<ModelId>, StoreError> {
		let read = |e| io_error("read the folder", &self.folder)(e);
		let mut ids = Vec::new();
		for entry in fs::read_dir(&self.folder).map_err(read)? {
			let name = entry.map_err(read)?.file_name();
			ids.extend(name.to_str().and_then(|n| n.strip_suffix(SUFFIX)).and_then(|n| n.parse::<ModelId>().ok()));
		}
		ids.sort();
		Ok(ids)
	}

	/// Reads a model and checks everything that its id commits to.
	///
	/// The file is mapped: weights that nobody reads any more take no memory.
	pub fn get(&self, id: ModelId) -> Result<Model, StoreError> {
		let path = self.path(id);
		let bytes = match map_file(&path) {
			Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(StoreError::Unknown(id)),
			other => other.map_err(io_error("read", &path))?,
		};
		let refused = |reason| StoreError::Refused { path: path.clone(), reason };
		let model = read_artifact_shared(&bytes).map_err(|e| refused(e.to_string()))?;
		let found = ModelId(model.id());
		if found != id {
			return Err(refused(format!("it holds model {found}")));
		}
		Ok(model)
	}

	/// Checks an artifact and stores it under its id. After a crash there is the whole file or none.
	pub fn put(&self, artifact: &[u8]) -> Result<ModelId, StoreError> {
		let id = ModelId(checked(artifact).map_err(StoreError::NoArtifact)?.id());
		write_atomically(&self.path(id), artifact)?;
		Ok(id)
	}

	/// Stores a model under its id, weight by weight. After a crash there is the whole file or none.
	pub fn put_model(&self, model: &Model) -> Result<ModelId, StoreError> {
		let id = ModelId(model.id());
		write_model(&self.path(id), model)?;
		Ok(id)
	}
}

/// Writes the artifact of a model to a file, whole or not at all.
pub fn write_model(path: &Path, model: &Model) -> Result<(), StoreError> {
	atomically(path, |file| {
		let mut file = io::BufWriter::new(file);
		write_artifact_to(model, &mut file)?;
		file.flush()
	})
}

fn checked(artifact: &[u8]) -> Result<Model, String> {
	read_artifact(artifact).map_err(|e| e.to_string())
}

/// Writes beside `path`, then renames: a reader sees the old file or the new one, never a part.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
	atomically(path, |file| file.write_all(bytes))
}

fn atomically(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
	static COUNT: AtomicU64 = AtomicU64::new(0);
	let folder = match path.parent() {
		Some(parent) if !parent.as_os_str().is_empty() => parent,
		_ => Path::new("."),
	};
	let name = path.file_name().unwrap_or_default().to_string_lossy();
	let beside = folder.join(format!(".{name}.{}.{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
	let written = write_and_sync(&beside, write).map_err(io_error("write", &beside)).and_then(|()| {
		fs::rename(&beside, path).map_err(io_error("rename a finished file to", path))?;
		// The rename itself lasts only once the folder is on the disk.
		File::open(folder).and_then(|f| f.sync_all()).map_err(io_error("sync the folder", folder))
	});
	if written.is_err() {
		// Ours and unfinished; if it cannot be removed, its name still tells what it is.
		let _ = fs::remove_file(&beside);
	}
	written
}

fn write_and_sync(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
	let mut file = File::create_new(path)?;
	write(&mut file)?;
	file.sync_all()
}
