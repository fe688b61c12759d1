//! The inference engine inside the node, for `--dev`. Operators run it as a process of its own (`assay-engine`), so that
//! neither can take the other down.

use assay_server::{Engine, EngineOptions};
use sc_service::TaskManager;
use std::{
	net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
	path::Path,
	sync::Arc,
};
use tokio::net::TcpListener;

/// The model with which the development chain starts.
const SAMPLE_MODEL: &[u8] = include_bytes!("../../models/digits/digits.assay");

/// Takes the address at which the engine will listen; port 0 is any free one. Call it within a Tokio runtime.
pub(crate) fn bind(listen: SocketAddr) -> Result<TcpListener, String> {
	let bind = || {
		let listener = std::net::TcpListener::bind(listen)?;
		listener.set_nonblocking(true)?;
		TcpListener::from_std(listener)
	};
	bind().map_err(|error| {
		format!(
			"The inference engine cannot listen on {listen}: {error}. Is another node running? Choose an address with \
			 --engine-listen, or leave that flag out for a free port."
		)
	})
}

/// Starts an engine over the models in `folder`, which gets the sample model too, and says at which URL it answers. If the
/// engine stops later, the node goes on without it.
pub(crate) fn start(listener: TcpListener, folder: &Path, task_manager: &TaskManager) -> Result<String, String> {
	let engine = open(folder).map_err(|error| format!("The inference engine cannot start: {error}"))?;
	let address = listener.local_addr().map_err(|error| format!("The inference engine has no address: {error}"))?;
	let url = url_of(address);
	if address.ip().is_loopback() {
		log::info!("🧮 Inference engine listens at {url} (models in {})", folder.display());
	} else {
		log::warn!(
			"🧮 Inference engine listens at {address} (models in {}), where others can reach and use it; it asks nobody for \
			 a password",
			folder.display()
		);
	}

	task_manager.spawn_handle().spawn("inference-engine", None, async move {
		// The task is dropped when the node stops, so the engine needs no sign of its own.
		let end = match assay_server::serve(listener, engine, std::future::pending()).await {
			Ok(()) => "it ended by itself".to_string(),
			Err(error) => error.to_string(),
		};
		log::error!(
			"🧮 The inference engine stopped: {end}. The node goes on, but answers no more jobs until it is started again."
		);
	});
	Ok(url)
}

/// Opens the store and sees to it that the sample model is in it, whole.
fn open(folder: &Path) -> Result<Arc<Engine>, assay_server::StoreError> {
	// The node shares the machine: half the processors are for block production and everything else.
	let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
	let options = EngineOptions { threads: (processors / 2).max(1), ..Default::default() };
	let engine = Engine::open(folder, options)?;
	let sample = engine.store().put(SAMPLE_MODEL)?;
	log::info!("🧮 Sample model digits: 0x{sample}");
	Ok(Arc::new(engine))
}

/// The URL under which this machine reaches `address`.
fn url_of(address: SocketAddr) -> String {
	let ip = match address.ip() {
		IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
		IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
		ip => ip,
	};
	format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn url_should_lead_to_the_engine_from_this_machine() {
		for (address, url) in [
			("127.0.0.1:8080", "http://127.0.0.1:8080"),
			("0.0.0.0:1", "http://127.0.0.1:1"),
			("[::]:1", "http://[::1]:1"),
			("192.168.0.7:99", "http://192.168.0.7:99"),
		] {
			assert_eq!(url_of(address.parse().unwrap()), url);
		}
	}
}
