//! Names: of models and of jobs.

use std::{fmt, str::FromStr};

/// The identity of a model, as it is written in file names and addresses: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(pub [u8; 32]);

impl fmt::Display for ModelId {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		f.write_str(&hex::encode(self.0))
	}
}

impl fmt::Debug for ModelId {
	fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
		fmt::Display::fmt(self, f)
	}
}

/// The text is no model id, or no job key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(&'static str);

impl FromStr for ModelId {
	type Err = BadName;

	/// Reads 64 hexadecimal digits, with or without `0x`.
	fn from_str(text: &str) -> Result<Self, BadName> {
		let mut id = [0; 32];
		hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut id)
			.map_err(|_| BadName("a model id is 64 hexadecimal digits"))?;
		Ok(Self(id))
	}
}

/// The name under which a caller can ask for a job again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobKey(String);

impl JobKey {
	/// The longest key, in characters.
	pub const MAX_LEN: usize = 128;

	/// The key as text.
	pub fn as_str(&self) -> &str {
		&self.0
	}
}

impl FromStr for JobKey {
	type Err = BadName;

	fn from_str(text: &str) -> Result<Self, BadName> {
		let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
		if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(allowed) {
			return Err(BadName("a job key is 1 to 128 characters out of 0-9, a-z, A-Z, - and _"));
		}
		Ok(Self(text.into()))
	}
}
