//! A walk over the file before it is decoded.
//!
//! Decoded messages are larger than encoded ones: an empty node takes two bytes in a file and some hundred in memory. So
//! fields are counted first, by the schema of [`crate::proto`], and a file with too many is refused before anything is
//! allocated.

use crate::ImportError;

/// The largest file: 2 GiB, which is protobuf's own limit.
pub(crate) const MAX_FILE: u64 = 1 << 31;
/// The most fields of messages that are decoded, in the whole file.
const MAX_FIELDS: u64 = 1 << 21;
/// How deep messages may lie in each other; graphs lie in attributes of nodes.
const MAX_DEPTH: u32 = 64;
/// The most bytes of packed integers, each of which may become eight bytes.
const MAX_PACKED: u64 = 1 << 26;

/// The messages that are decoded.
#[derive(Clone, Copy)]
enum Message {
	Model,
	Graph,
	Function,
	Node,
	Attribute,
	Tensor,
	ValueInfo,
	Type,
	TensorType,
	Shape,
	/// A message without further messages.
	Flat,
}

impl Message {
	/// The message in a field, if it is one.
	fn field(self, tag: u64) -> Option<Message> {
		Some(match (self, tag) {
			(Message::Model, 7) => Message::Graph,
			(Message::Model, 8) => Message::Flat,
			(Message::Model, 25) => Message::Function,
			(Message::Function, 7) => Message::Node,
			(Message::Function, 9) => Message::Flat,
			(Message::Function, 11) => Message::Attribute,
			(Message::Graph, 1) => Message::Node,
			(Message::Graph, 5) => Message::Tensor,
			(Message::Graph, 11 | 12) => Message::ValueInfo,
			(Message::Node, 5) => Message::Attribute,
			(Message::Attribute, 5) => Message::Tensor,
			(Message::Attribute, 6) => Message::Graph,
			(Message::ValueInfo, 2) => Message::Type,
			(Message::Type, 1) => Message::TensorType,
			(Message::TensorType, 2) => Message::Shape,
			(Message::Shape, 1) => Message::Flat,
			_ => return None,
		})
	}

	/// Whether a field is a list of varints.
	fn is_packed(self, tag: u64) -> bool {
		matches!((self, tag), (Message::Attribute, 8) | (Message::Tensor, 1 | 5 | 7 | 11))
	}
}

#[derive(Default)]
struct Counts {
	depth: u32,
	fields: u64,
	packed: u64,
}

fn truncated() -> ImportError {
	ImportError::Protobuf("a field ends beyond the end of its message".into())
}

fn varint(rest: &mut &[u8]) -> Result<u64, ImportError> {
	let mut value = 0u64;
	for shift in (0..64).step_by(7) {
		let (byte, tail) = rest.split_first().ok_or_else(truncated)?;
		*rest = tail;
		value |= u64::from(byte & 0x7f) << shift;
		if byte & 0x80 == 0 {
			return Ok(value);
		}
	}
	Err(ImportError::Protobuf("a number has more than ten bytes".into()))
}

fn take<'a>(rest: &mut &'a [u8], n: u64) -> Result<&'a [u8], ImportError> {
	let n = usize::try_from(n).ok().filter(|n| *n <= rest.len()).ok_or_else(truncated)?;
	let (head, tail) = rest.split_at(n);
	*rest = tail;
	Ok(head)
}

fn walk(message: Message, mut rest: &[u8], counts: &mut Counts) -> Result<(), ImportError> {
	if counts.depth >= MAX_DEPTH {
		return Err(ImportError::Limit {
			what: "levels of messages",
			got: u64::from(counts.depth),
			limit: u64::from(MAX_DEPTH),
		});
	}
	counts.depth += 1;
	while !rest.is_empty() {
		let key = varint(&mut rest)?;
		counts.fields += 1;
		if counts.fields > MAX_FIELDS {
			return Err(ImportError::Limit { what: "protobuf fields or more", got: counts.fields, limit: MAX_FIELDS });
		}
		match key & 7 {
			0 => {
				varint(&mut rest)?;
			}
			1 => {
				take(&mut rest, 8)?;
			}
			2 => {
				let length = varint(&mut rest)?;
				let body = take(&mut rest, length)?;
				if message.is_packed(key >> 3) {
					counts.packed += length;
					if counts.packed > MAX_PACKED {
						return Err(ImportError::Limit {
							what: "bytes of packed integers; store integer tensors as raw_data",
							got: counts.packed,
							limit: MAX_PACKED,
						});
					}
				}
				if let Some(inner) = message.field(key >> 3) {
					walk(inner, body, counts)?;
				}
			}
			5 => {
				take(&mut rest, 4)?;
			}
			other => return Err(ImportError::Protobuf(format!("wire type {other}"))),
		}
	}
	counts.depth -= 1;
	Ok(())
}

/// Refuses a file that is too large, or would be when decoded.
pub(crate) fn check_limits(file: &[u8]) -> Result<(), ImportError> {
	if file.len() as u64 > MAX_FILE {
		return Err(ImportError::Limit { what: "bytes", got: file.len() as u64, limit: MAX_FILE });
	}
	walk(Message::Model, file, &mut Counts::default())
}

/// The same for a file of one tensor.
pub(crate) fn check_tensor(file: &[u8]) -> Result<(), ImportError> {
	if file.len() as u64 > MAX_FILE {
		return Err(ImportError::Limit { what: "bytes", got: file.len() as u64, limit: MAX_FILE });
	}
	walk(Message::Tensor, file, &mut Counts::default())
}
