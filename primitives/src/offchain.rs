//! How a node tells its off-chain workers what to do.

use alloc::vec::Vec;
use codec::{Decode, Encode};

/// The key in persistent off-chain local storage under which the node leaves [`Settings`] at start.
pub const SETTINGS_KEY: &[u8] = b"assay/offchain/settings";

/// What an operator switched on.
#[derive(Clone, Default, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Settings {
	/// Where the inference engine listens, for example `http://127.0.0.1:8080`, without a slash at the end.
	pub engine_url: Vec<u8>,
	/// The roles the node plays.
	pub roles: Roles,
}

/// The roles of the off-chain worker. Each is switched on by the operator.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Roles {
	/// Serve the jobs assigned to the workers whose service keys are in the keystore.
	pub worker: bool,
}
