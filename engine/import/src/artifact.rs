//! The canonical artifact, `.assay`.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `ASSAYMDL` |
//! | 4 | format version, little-endian |
//! | 32 | `ModelId` |
//! | 8 | length of the metadata, little-endian |
//! | … | metadata, SCALE: model header, nodes, names, types of the weights |
//! | … | zeros up to a multiple of 64 |
//! | … | the weights, each followed by zeros up to a multiple of 64 |
//!
//! A model has exactly one artifact: padding, order and lengths leave no choice. The `ModelId` binds roots, never the
//! bytes of a file, so a later format can hold the same model.

use assay_semantics::{Bytes, Model, ModelError, ModelHeader, Names, Node, Tensor, TensorType};
use codec::{Decode, DecodeWithMemLimit, DecodeWithMemTracking, Encode};
use std::io::{self, Write};

const MAGIC: &[u8; 8] = b"ASSAYMDL";
const VERSION: u32 = 1;
const ALIGN: usize = 64;
const PREFIX: usize = 8 + 4 + 32 + 8;
/// Memory that decoded metadata may take: 1,048,576 nodes with room to spare.
const METADATA_MEMORY: usize = 1 << 29;

#[derive(Encode, Decode, DecodeWithMemTracking)]
struct Metadata {
	header: ModelHeader,
	nodes: Vec<Node>,
	names: Names,
	weights: Vec<TensorType>,
}

/// The artifact of a model.
pub fn write_artifact(model: &Model) -> Vec<u8> {
	let mut file = Vec::new();
	match write_artifact_to(model, &mut file) {
		Ok(()) => file,
		// Writing to memory does not fail.
		Err(_) => Vec::new(),
	}
}

/// Writes the artifact of a model, weight by weight.
pub fn write_artifact_to(model: &Model, file: &mut dyn Write) -> io::Result<()> {
	let pad =
		|file: &mut dyn Write, written: usize| file.write_all(&[0; ALIGN][..written.next_multiple_of(ALIGN) - written]);
	let metadata = Metadata {
		header: model.header(),
		nodes: model.nodes().to_vec(),
		names: model.names().clone(),
		weights: model.weights().iter().map(|w| w.ty.clone()).collect(),
	}
	.encode();
	file.write_all(MAGIC)?;
	file.write_all(&VERSION.to_le_bytes())?;
	file.write_all(&model.id())?;
	file.write_all(&(metadata.len() as u64).to_le_bytes())?;
	file.write_all(&metadata)?;
	pad(file, PREFIX + metadata.len())?;
	for weight in model.weights() {
		file.write_all(&weight.bytes)?;
		pad(file, weight.bytes.len())?;
		weight.bytes.release();
	}
	Ok(())
}

/// Takes `n` bytes from the front.
fn take<'a>(rest: &mut &'a [u8], n: u64) -> Result<&'a [u8], ArtifactError> {
	let n = usize::try_from(n).ok().filter(|n| *n <= rest.len()).ok_or(ArtifactError::Truncated)?;
	let (head, tail) = rest.split_at(n);
	*rest = tail;
	Ok(head)
}

/// Takes padding from the front.
fn take_padding(rest: &mut &[u8], whole: usize) -> Result<(), ArtifactError> {
	let at = whole - rest.len();
	let padding = take(rest, (at.next_multiple_of(ALIGN) - at) as u64)?;
	padding.iter().all(|b| *b == 0).then_some(()).ok_or(ArtifactError::Layout)
}

/// The model in an artifact. Every root is computed anew and compared; the model is checked.
pub fn read_artifact(file: &[u8]) -> Result<Model, ArtifactError> {
	read(file, &|start, len| Some(file.get(start..start.checked_add(len)?)?.to_vec().into()))
}

/// [`read_artifact`] for a file in memory that is shared, as a mapped file: the weights stay there.
pub fn read_artifact_shared(file: &Bytes) -> Result<Model, ArtifactError> {
	read(file, &|start, len| file.part(start, len))
}

fn read(file: &[u8], part: &dyn Fn(usize, usize) -> Option<Bytes>) -> Result<Model, ArtifactError> {
	let mut rest = file;
	if take(&mut rest, 8).ok() != Some(MAGIC) {
		return Err(ArtifactError::Magic);
	}
	let fixed = take(&mut rest, (PREFIX - 8) as u64)?;
	let version = u32::from_le_bytes(fixed[..4].try_into().map_err(|_| ArtifactError::Truncated)?);
	if version != VERSION {
		return Err(ArtifactError::Version(version));
	}
	let id = &fixed[4..36];
	let length = u64::from_le_bytes(fixed[36..].try_into().map_err(|_| ArtifactError::Truncated)?);
	let mut encoded = take(&mut rest, length)?;
	let metadata = Metadata::decode_with_mem_limit(&mut encoded, METADATA_MEMORY)?;
	if !encoded.is_empty() {
		return Err(ArtifactError::Layout);
	}
	take_padding(&mut rest, file.len())?;
	let mut weights = Vec::new();
	for ty in metadata.weights {
		let length = ty.check().ok().and_then(|()| ty.byte_len()).ok_or(ArtifactError::WeightType)?;
		let start = file.len() - rest.len();
		let taken = take(&mut rest, length)?;
		weights.push(Tensor { bytes: part(start, taken.len()).ok_or(ArtifactError::Truncated)?, ty });
		take_padding(&mut rest, file.len())?;
	}
	if !rest.is_empty() {
		return Err(ArtifactError::Layout);
	}
	let stored = metadata.header;
	let outputs = u32::try_from(stored.outputs.len()).map_err(|_| ArtifactError::Header("signature"))?;
	let model = Model::new(metadata.nodes, weights, outputs, metadata.names)?;
	let computed = model.header();
	for (what, equal) in [
		("semantics version", stored.semantics_version == computed.semantics_version),
		("IR root", stored.ir_root == computed.ir_root && stored.values == computed.values),
		("weight root", stored.weight_root == computed.weight_root),
		("signature", stored.inputs == computed.inputs && stored.outputs == computed.outputs),
		("iteration bound", stored.max_iterations == computed.max_iterations),
		("ModelId", id == computed.id()),
	] {
		if !equal {
			return Err(ArtifactError::Header(what));
		}
	}
	Ok(model)
}

/// Why a file is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
	/// The file does not start as an artifact does.
	#[error("this is no Assay artifact; make one from an ONNX file with the importer")]
	Magic,
	/// The file has another format version.
	#[error("artifact format {0} is not known here; update Assay or import the model again")]
	Version(u32),
	/// The file ends too early.
	#[error("the artifact is truncated; copy or download it again")]
	Truncated,
	/// The metadata cannot be decoded.
	#[error("the artifact's metadata is damaged ({0}); copy or download it again")]
	Metadata(#[from] codec::Error),
	/// Padding is not zero, or there are bytes to spare.
	#[error("the artifact has bytes where none belong; copy or download it again")]
	Layout,
	/// A weight's type is not valid.
	#[error("a weight of the artifact has more than 8 dimensions or more than 2 GiB")]
	WeightType,
	/// What the file states about the model is not what its content gives.
	#[error("hash mismatch: the artifact's {0} is not that of its content; do not use this file")]
	Header(&'static str),
	/// The model is not valid.
	#[error("the artifact's model is not valid: {0}")]
	Model(#[from] ModelError),
}
