//! A running node, asked over JSON-RPC.

use crate::{
	http::{self, Reply},
	keys::hex,
	state::State,
};
use assay_primitives::offchain::{Settings, SETTINGS_KEY};
use codec::Decode;
use hyper::Method;
use serde_json::{json, Value};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A node or an engine that says nothing for so long is taken for dead.
const LIMIT: Duration = Duration::from_secs(15);
/// The most keys that a node lists at once.
const PAGE: usize = 512;

/// A running node, at its best block of the moment when it was first asked.
pub(super) struct Rpc {
	runtime: Runtime,
	url: String,
	/// The number of the best block.
	pub(super) best: u32,
	best_hash: String,
}

impl Rpc {
	/// Asks the node at `url` for its best block.
	pub(super) fn connect(url: &str) -> Result<Self, String> {
		// The same port serves both.
		let url = url.replacen("ws://", "http://", 1);
		let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
		let mut rpc = Self { runtime, url, best: 0, best_hash: String::new() };
		rpc.best = rpc.number(&rpc.call("chain_getHeader", json!([]))?)?;
		rpc.best_hash = rpc.text("chain_getBlockHash", json!([rpc.best]))?;
		Ok(rpc)
	}

	/// Where it listens.
	pub(super) fn url(&self) -> &str {
		&self.url
	}

	/// Calls a method.
	pub(super) fn call(&self, method: &str, parameters: Value) -> Result<Value, String> {
		let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string();
		let reply = self.send(Method::POST, &self.url, "application/json", body.into_bytes())?;
		let wrong = || format!("what answers at {} is no node (HTTP status {})", self.url, reply.status);
		let mut reply: Value = serde_json::from_slice(&reply.body).map_err(|_| wrong())?;
		match reply.get("error") {
			Some(error) => Err(format!("{method}: {}", error["message"].as_str().unwrap_or("an error without words"))),
			None => Ok(reply["result"].take()),
		}
	}

	/// Calls a method that returns a string.
	pub(super) fn text(&self, method: &str, parameters: Value) -> Result<String, String> {
		let value = self.call(method, parameters)?;
		value.as_str().map(str::to_owned).ok_or_else(|| format!("{method} returned no string"))
	}

	/// The number in a header.
	pub(super) fn number(&self, header: &Value) -> Result<u32, String> {
		let digits = header["number"].as_str().and_then(|number| number.strip_prefix("0x"));
		let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
		number.ok_or_else(|| "the node sent a header without a number".into())
	}

	/// What the node told its off-chain workers. An error if it does not say so to everybody.
	pub(super) fn settings(&self) -> Result<Settings, String> {
		let value = self.call("offchain_localStorageGet", json!(["PERSISTENT", hex(SETTINGS_KEY)]))?;
		let Some(bytes) = value.as_str() else { return Ok(Settings::default()) };
		Settings::decode(&mut &unhex(bytes)?[..]).map_err(|error| format!("the settings make no sense: {error}"))
	}

	/// Sends a request to anybody.
	pub(super) fn send(&self, method: Method, url: &str, content: &str, body: Vec<u8>) -> Result<Reply, String> {
		self.runtime.block_on(http::send(method, url, content, body, LIMIT))
	}
}

impl State for Rpc {
	fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
		let value = self.call("state_getStorage", json!([hex(key), self.best_hash]))?;
		value.as_str().map(unhex).transpose()
	}

	fn keys(&self, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, String> {
		let mut keys: Vec<Vec<u8>> = Vec::new();
		while keys.len() < most {
			let page = PAGE.min(most - keys.len());
			let after = keys.last().map(|key| hex(key));
			let found = self.call("state_getKeysPaged", json!([hex(prefix), page, after, self.best_hash]))?;
			let found = found.as_array().ok_or("state_getKeysPaged returned no list")?;
			for key in found {
				keys.push(unhex(key.as_str().unwrap_or_default())?);
			}
			if found.len() < page {
				break;
			}
		}
		Ok(keys)
	}
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
	hex::decode(text.trim_start_matches("0x")).map_err(|_| "the node sent something that is not hex".into())
}
