//! The machine: files, disk, clock, ports.

use super::{rpc::Rpc, Findings};
use crate::place::Files;
use serde_json::json;
use std::{fs, net::Ipv4Addr, path::Path, process::Command};

const GIB: u64 = 1 << 30;
/// With less room, a node stops by itself (`--db-storage-threshold`).
const DISK_FAIL: u64 = GIB;
/// With less room, it is time to do something.
const DISK_WARN: u64 = 10 * GIB;

/// Files, disk and what keeps the clock.
pub(super) fn check(files: &Files, findings: &mut Findings) {
	let database = files.database();
	if database.join("metadata").is_file() {
		findings.ok("database", format!("{} is there", database.display()));
	} else {
		findings.warn(
			"database",
			format!("there is no database at {}", database.display()),
			"Say --chain and --base-path as when you start the node",
		);
	}
	check_disk(&files.chain, findings);
	check_ntp(findings);
}

fn check_disk(chain: &Path, findings: &mut Findings) {
	let Some(folder) = chain.ancestors().find(|folder| folder.is_dir()) else { return };
	let free = match fs4::available_space(folder) {
		Ok(free) => free,
		Err(error) => return findings.unknown("disk", error),
	};
	let words = format!("{:.1} GiB free at {}", free as f64 / GIB as f64, folder.display());
	let fix = "Make room, or move the chain to a larger disk (--base-path): a full disk stops the node";
	match free {
		..DISK_FAIL => findings.fail("disk", words, fix),
		DISK_FAIL..DISK_WARN => findings.warn("disk", words, fix),
		_ => findings.ok("disk", words),
	}
}

fn check_ntp(findings: &mut Findings) {
	let asked = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output();
	let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
	match said.as_deref() {
		Ok("yes") => findings.ok("ntp", "the clock is kept by network time"),
		Ok("no") => findings.warn(
			"ntp",
			"the clock is not synchronised with network time",
			"Run `timedatectl set-ntp true`, or chrony: blocks by a wrong clock are refused",
		),
		_ => findings.warn(
			"ntp",
			"whether the clock is kept by network time cannot be told (no timedatectl here)",
			"See that this machine, or the one around it, runs chrony or systemd-timesyncd",
		),
	}
}

/// Who can reach the node's ports. `open` is whether unsafe methods were answered.
pub(super) fn check_ports(rpc: &Rpc, open: bool, development: bool, findings: &mut Findings) {
	let port = port_of(rpc.url());
	// What was reached over the network can be reached over the network.
	let everywhere = port.is_none_or(listens_everywhere);
	let words = |reach: &str, methods: &str| format!("JSON-RPC listens {reach}; {methods} are answered");
	match (everywhere, open) {
		(true, true) => findings.fail(
			"rpc",
			words("where other machines reach it", "unsafe methods"),
			"Whoever reaches the port can change this node: start it with --rpc-methods safe, or without --rpc-external",
		),
		(true, false) => findings.ok("rpc", words("where other machines reach it", "only safe methods")),
		(false, true) => findings.ok("rpc", words("on this machine or one interface only", "unsafe methods")),
		(false, false) => findings.ok("rpc", words("on this machine or one interface only", "only safe methods")),
	}
	match rpc.call("system_localListenAddresses", json!([])) {
		Err(error) => findings.unknown("p2p", error),
		Ok(addresses) => {
			let addresses: Vec<&str> =
				addresses.as_array().into_iter().flatten().filter_map(|address| address.as_str()).collect();
			let is_local = |address: &&str| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
			if addresses.iter().all(is_local) && !development {
				findings.warn(
					"p2p",
					"other nodes cannot connect to this one: it listens on the loopback device only",
					"Start it with --listen-addr /ip4/0.0.0.0/tcp/30333, and let the port through the firewall",
				);
			} else {
				findings.ok("p2p", format!("listens at {} addresses for other nodes", addresses.len()));
			}
		}
	}
}

/// The port in a URL of this machine's loopback device; none for others.
pub(super) fn port_of(url: &str) -> Option<u16> {
	let uri: hyper::Uri = url.parse().ok()?;
	let host = uri.host()?.trim_matches(['[', ']']);
	let local = host == "localhost" || host == "::1" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
	local.then(|| uri.port_u16().unwrap_or(80))
}

/// Whether something on this machine listens at a port on all interfaces.
pub(super) fn listens_everywhere(port: u16) -> bool {
	let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
	tables.iter().any(|table| fs::read_to_string(table).is_ok_and(|table| is_open_in(&table, port)))
}

/// The same, in one of Linux' tables of sockets.
fn is_open_in(table: &str, port: u16) -> bool {
	const LISTEN: &str = "0A";
	table.lines().skip(1).any(|line| {
		let mut columns = line.split_whitespace();
		let (Some(local), Some(state)) = (columns.nth(1), columns.nth(1)) else { return false };
		let Some((address, at)) = local.split_once(':') else { return false };
		state == LISTEN && address.bytes().all(|digit| digit == b'0') && u16::from_str_radix(at, 16) == Ok(port)
	})
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn sockets_should_be_found_in_linux_tables() {
		let table = "  sl  local_address rem_address   st tx_queue\n   \
			0: 0100007F:26E8 00000000:0000 0A 00000000:00000000\n   \
			1: 00000000:1F90 00000000:0000 0A 00000000:00000000\n   \
			2: 00000000:1F91 00000000:0000 01 00000000:00000000\n";
		assert!(is_open_in(table, 8080));
		assert!(!is_open_in(table, 9960), "loopback only");
		assert!(!is_open_in(table, 8081), "a connection");
	}

	#[test]
	fn listener_should_be_seen_where_it_listens() {
		let everywhere = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
		let local = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
		assert!(listens_everywhere(everywhere.local_addr().unwrap().port()));
		assert!(!listens_everywhere(local.local_addr().unwrap().port()));
	}

	#[test]
	fn port_should_be_known_for_this_machine_only() {
		assert_eq!(port_of("http://127.0.0.1:9944"), Some(9944));
		assert_eq!(port_of("http://[::1]:1"), Some(1));
		assert_eq!(port_of("http://localhost"), Some(80));
		assert_eq!(port_of("http://10.0.0.1:9944"), None);
	}
}
