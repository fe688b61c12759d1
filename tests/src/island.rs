//! A network for one process alone, which can be cut off while the process goes on running.

use std::{
	process::Command,
	sync::atomic::{AtomicU32, Ordering},
};

/// A Linux network namespace with two links to the outside: one by which its node and others talk, which can be cut, and one for its
/// JSON-RPC. It goes when it is dropped.
#[derive(Debug)]
pub struct Island {
	name: String,
	// Part of its addresses and of the names of its links.
	number: u32,
}

impl Island {
	/// A new one; none where nobody may make one: it takes root, and the program `ip`.
	pub fn new() -> Option<Self> {
		static COUNT: AtomicU32 = AtomicU32::new(0);
		let number = (std::process::id() + COUNT.fetch_add(1, Ordering::Relaxed)) % 250;
		let name = format!("assay-{number}");
		// Before there is anything that goes with it: it may be somebody else's.
		ip(&format!("netns add {name}")).ok()?;
		let island = Self { name, number };
		let made = [("p2p", 77), ("rpc", 78)].iter().try_for_each(|(link, net)| {
			let (outside, inside) = (island.link(link), format!("{link}0"));
			ip(&format!("link add {outside} type veth peer name {inside} netns {}", island.name))?;
			ip(&format!("address add 10.{net}.{number}.1/30 dev {outside}"))?;
			ip(&format!("-n {} address add 10.{net}.{number}.2/30 dev {inside}", island.name))?;
			ip(&format!("link set {outside} up"))?;
			ip(&format!("-n {} link set {inside} up", island.name))
		});
		made.and_then(|()| ip(&format!("-n {} link set lo up", island.name))).ok()?;
		Some(island)
	}

	/// The address at which what runs on it finds others.
	pub fn others(&self) -> String {
		format!("10.77.{}.1", self.number)
	}

	/// The address at which others find what runs on it.
	pub fn own(&self) -> String {
		format!("10.77.{}.2", self.number)
	}

	/// The address of its JSON-RPC.
	pub fn rpc(&self) -> String {
		format!("10.78.{}.2", self.number)
	}

	/// A command that runs on it.
	pub fn command(&self, program: &std::path::Path) -> Command {
		let mut command = Command::new("ip");
		command.args(["netns", "exec", &self.name]).arg(program);
		command
	}

	/// Cuts it off: what is sent is lost, and nobody is told.
	pub fn part(&self) {
		ip(&format!("link set {} down", self.link("p2p"))).expect("its link can be taken down");
	}

	/// Joins it with the others again.
	pub fn heal(&self) {
		ip(&format!("link set {} up", self.link("p2p"))).expect("its link can be taken up");
	}

	fn link(&self, what: &str) -> String {
		format!("assay-{what}{}", self.number)
	}
}

fn ip(arguments: &str) -> Result<(), String> {
	let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|error| error.to_string())?;
	let said = || String::from_utf8_lossy(&output.stderr).into_owned();
	output.status.success().then_some(()).ok_or_else(said)
}

impl Drop for Island {
	fn drop(&mut self) {
		// Its links go with it.
		let _ = ip(&format!("netns delete {}", self.name));
	}
}
