//! What the watchtower found, for Prometheus: plain text at `/metrics`, over plain HTTP. Counts are since the start.

use anyhow::Context;
use std::{
	net::SocketAddr,
	sync::{Arc, Mutex},
	time::Duration,
};
use tokio::{
	io::{AsyncReadExt, AsyncWriteExt},
	net::{TcpListener, TcpStream},
	sync::Semaphore,
	time::timeout,
};

use super::step::lock;

/// How long a reader may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest request.
const MAX_REQUEST: usize = 8 << 10;
/// Readers at once.
const READERS: usize = 8;

/// The figures.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct Figures {
	pub(super) last_block: u64,
	/// Whether the node answers.
	pub(super) node: bool,
	/// Whether the engine answers.
	pub(super) engine: bool,
	pub(super) right: u64,
	pub(super) wrong: u64,
	pub(super) unchecked: u64,
	pub(super) missed: u64,
	pub(super) watched: usize,
	pub(super) open: usize,
	pub(super) won: usize,
	pub(super) lost: usize,
	/// In planck, like those below.
	pub(super) at_stake: u128,
	pub(super) spent: u128,
	pub(super) earned: u128,
}

/// The figures, which the watchtower writes and readers read.
pub(super) type Board = Arc<Mutex<Figures>>;

/// Planck as OPG, as exactly as Prometheus counts.
#[allow(clippy::cast_precision_loss)]
fn opg(planck: u128) -> f64 {
	planck as f64 / 1e18
}

impl Figures {
	/// The page.
	fn page(&self) -> String {
		let mut page = String::new();
		let mut metric = |name: &str, kind: &str, help: &str, values: &[(&str, String)]| {
			page += &format!("# HELP assay_watch_{name} {help}\n# TYPE assay_watch_{name} {kind}\n");
			for (labels, value) in values {
				page += &format!("assay_watch_{name}{labels} {value}\n");
			}
		};
		let one = |value: u64| [("", value.to_string())];
		let amount = |planck: u128| [("", opg(planck).to_string())];
		metric("last_block", "gauge", "The last block seen.", &one(self.last_block));
		metric("node_up", "gauge", "Whether the node answers.", &one(self.node.into()));
		metric("engine_up", "gauge", "Whether the inference engine answers.", &one(self.engine.into()));
		metric(
			"answers_checked_total",
			"counter",
			"Answers that were recomputed.",
			&[("{found=\"right\"}", self.right.to_string()), ("{found=\"wrong\"}", self.wrong.to_string())],
		);
		metric("answers_unchecked_total", "counter", "Answers that could not be recomputed.", &one(self.unchecked));
		metric("answers_missed_total", "counter", "Wrong answers that were found too late.", &one(self.missed));
		metric("claims_watched", "gauge", "Answers that are being watched.", &[("", self.watched.to_string())]);
		metric("challenges_open", "gauge", "Own challenges that are open.", &[("", self.open.to_string())]);
		metric(
			"challenges_total",
			"counter",
			"Own challenges that are over.",
			&[("{end=\"won\"}", self.won.to_string()), ("{end=\"lost\"}", self.lost.to_string())],
		);
		metric("at_stake_opg", "gauge", "What open disputes have on hold or may come to.", &amount(self.at_stake));
		metric("spent_opg_total", "counter", "Fees and lost bonds.", &amount(self.spent));
		metric("earned_opg_total", "counter", "Rewards of won challenges.", &amount(self.earned));
		page
	}
}

/// Serves the figures as long as it is polled. Where, if the port was 0.
pub(super) async fn serve(
	address: SocketAddr,
	board: Board,
) -> anyhow::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
	let listener =
		TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} for --metrics"))?;
	let address = listener.local_addr()?;
	let readers = Arc::new(Semaphore::new(READERS));
	let served = tokio::spawn(async move {
		loop {
			let Ok(reader) = readers.clone().acquire_owned().await else { return };
			match listener.accept().await {
				Ok((stream, _)) => {
					let board = board.clone();
					tokio::spawn(async move {
						// A reader that goes away is no trouble.
						let _ = timeout(PATIENCE, answer(stream, &board)).await;
						drop(reader);
					});
				}
				// Too many open files, say: they close again.
				Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
			}
		}
	});
	Ok((address, served))
}

async fn answer(mut stream: TcpStream, board: &Board) -> std::io::Result<()> {
	let (mut request, mut part) = (Vec::new(), [0; 1024]);
	while !request.windows(4).any(|end| end == b"\r\n\r\n") {
		let read = stream.read(&mut part).await?;
		request.extend(part.iter().take(read));
		if read == 0 || request.len() > MAX_REQUEST {
			return Ok(());
		}
	}
	let wanted = request.starts_with(b"GET /metrics ") || request.starts_with(b"GET /metrics?");
	let (status, body) = match wanted {
		true => ("200 OK", lock(board).page()),
		false => ("404 Not Found", "the figures are at /metrics\n".to_owned()),
	};
	let head = format!(
		"HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
		body.len()
	);
	stream.write_all(head.as_bytes()).await?;
	stream.write_all(body.as_bytes()).await?;
	stream.shutdown().await
}

#[cfg(test)]
mod tests {
	use super::*;

	async fn get(address: SocketAddr, path: &str) -> String {
		let mut stream = TcpStream::connect(address).await.unwrap();
		stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
		let mut reply = String::new();
		stream.read_to_string(&mut reply).await.unwrap();
		reply
	}

	#[tokio::test]
	async fn figures_should_be_served_as_they_are_now() {
		let board = Board::default();
		let (address, served) = serve("127.0.0.1:0".parse().unwrap(), board.clone()).await.unwrap();
		assert!(get(address, "/metrics").await.contains("\nassay_watch_last_block 0\n"));
		*lock(&board) = Figures {
			last_block: 42,
			wrong: 3,
			won: 2,
			at_stake: 2_500_000_000_000_000_000,
			node: true,
			..Figures::default()
		};
		let reply = get(address, "/metrics").await;
		let (head, page) = reply.split_once("\r\n\r\n").unwrap();
		assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains(&format!("content-length: {}", page.len())));
		for line in [
			"assay_watch_last_block 42",
			"assay_watch_answers_checked_total{found=\"wrong\"} 3",
			"assay_watch_challenges_total{end=\"won\"} 2",
			"assay_watch_at_stake_opg 2.5",
			"assay_watch_node_up 1",
			"assay_watch_engine_up 0",
		] {
			assert!(page.lines().any(|other| other == line), "{line}\n{page}");
		}
		assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
		let mut rude = TcpStream::connect(address).await.unwrap();
		rude.write_all(&[b'x'; MAX_REQUEST + 1]).await.unwrap();
		assert!(get(address, "/metrics").await.starts_with("HTTP/1.1 200"), "others are served meanwhile");
		served.abort();
	}

	#[tokio::test]
	async fn address_in_use_should_be_said() {
		let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
		let error = serve(taken.local_addr().unwrap(), Board::default()).await.unwrap_err();
		assert!(error.to_string().contains("--metrics"), "{error}");
	}

	#[test]
	fn page_should_describe_each_figure_once() {
		let page = Figures::default().page();
		let described: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
		let mut unique = described.clone();
		unique.sort_unstable();
		unique.dedup();
		assert_eq!(described.len(), unique.len());
		assert_eq!(described.len(), page.lines().filter(|line| line.starts_with("# HELP")).count());
	}
}
