//! Connections: how many there are, how long they may idle, and how they end.

use std::{
	future::Future,
	io,
	sync::{
		atomic::{AtomicU64, AtomicUsize, Ordering},
		Arc, Mutex,
	},
	time::{Duration, Instant},
};

use axum::{body::Body, Router};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, Request};
use hyper_util::{
	rt::{TokioIo, TokioTimer},
	server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
	net::{TcpListener, TcpStream},
	sync::Notify,
};

use super::room::Held;
use crate::{engine::lock, Engine};

/// A client may take so long to send a request's head, and idle so long between requests.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// A client may take so long to read an answer.
const READ_TIME: Duration = Duration::from_secs(120);

/// An idle connection that has to make room gets so long to notice.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// How often a connection is looked at.
const TICK: Duration = Duration::from_secs(5);

/// Serves until `shutdown` resolves, then lets the requests in progress end.
pub(super) async fn serve(
	listener: TcpListener,
	engine: Arc<Engine>,
	router: Router,
	shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
	let graceful = GracefulShutdown::new();
	let connections = Arc::new(Connections::new(engine.clone()));
	tokio::pin!(shutdown);
	loop {
		let stream = tokio::select! {
			accepted = listener.accept() => match accepted {
				Ok((stream, _)) => stream,
				Err(e) => {
					// One that is gone already, or too many open files: later there may be fewer.
					log::debug!("a connection was not accepted: {e}");
					tokio::time::sleep(Duration::from_millis(50)).await;
					continue;
				}
			},
			() = &mut shutdown => break,
		};
		// Answers are written at once, and whole.
		let _ = stream.set_nodelay(true);
		let connection = connections.admit();
		let (connections, router, watcher) = (connections.clone(), router.clone(), graceful.watcher());
		tokio::spawn(async move {
			connections.run(&connection, stream, router, watcher).await;
			connections.remove(&connection);
		});
	}
	drop(listener);
	engine.drain();
	graceful.shutdown().await;
	Ok(())
}

struct Connection {
	/// Requests that are being answered.
	busy: AtomicUsize,
	/// When it last began or ended one, in milliseconds.
	since: AtomicU64,
	/// Asks it to make room.
	close: Notify,
}

struct Connections {
	engine: Arc<Engine>,
	start: Instant,
	open: Mutex<Vec<Arc<Connection>>>,
	/// The longest that an honest request takes.
	longest: Duration,
}

impl Connections {
	fn new(engine: Arc<Engine>) -> Self {
		let options = engine.options();
		let longest = options.max_body_time + options.max_infer_time + READ_TIME;
		Self { engine, start: Instant::now(), open: Mutex::default(), longest }
	}

	fn now(&self) -> u64 {
		u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
	}

	/// A place for a new connection. If all are taken, the connection that is idle longest has to go.
	fn admit(&self) -> Arc<Connection> {
		let since = AtomicU64::new(self.now());
		let new = Arc::new(Connection { busy: AtomicUsize::new(0), since, close: Notify::new() });
		let mut open = lock(&self.open);
		if open.len() >= self.engine.options().max_connections.max(2) {
			let idle = open.iter().enumerate().filter(|(_, c)| c.busy.load(Ordering::Relaxed) == 0);
			if let Some((at, _)) = idle.min_by_key(|(_, c)| c.since.load(Ordering::Relaxed)) {
				open.swap_remove(at).close.notify_one();
			}
		}
		open.push(new.clone());
		self.engine.meters().connections.set(i64::try_from(open.len()).unwrap_or(i64::MAX));
		new
	}

	fn remove(&self, connection: &Arc<Connection>) {
		let mut open = lock(&self.open);
		open.retain(|other| !Arc::ptr_eq(other, connection));
		self.engine.meters().connections.set(i64::try_from(open.len()).unwrap_or(i64::MAX));
	}

	async fn run(self: &Arc<Self>, connection: &Arc<Connection>, stream: TcpStream, router: Router, watcher: Watcher) {
		let service = service_fn(|request: Request<Incoming>| {
			let busy = Busy::new(self.clone(), connection.clone());
			let answer = tower_service::Service::call(&mut router.clone(), request);
			async move { answer.await.map(|response| response.map(|body| Body::new(Held::new(body, busy)))) }
		});
		let served = http1::Builder::new()
			.timer(TokioTimer::new())
			.header_read_timeout(IDLE_TIME)
			.serve_connection(TokioIo::new(stream), service);
		let served = watcher.watch(served);
		tokio::pin!(served);
		let mut tick = tokio::time::interval(TICK);
		loop {
			tokio::select! {
				// What goes wrong on a connection is its client's affair.
				_ = &mut served => return,
				() = connection.close.notified() => {
					let _ = tokio::time::timeout(CLOSE_TIME, &mut served).await;
					if connection.busy.load(Ordering::Relaxed) == 0 {
						return;
					}
				}
				_ = tick.tick() => {
					let age = Duration::from_millis(self.now().saturating_sub(connection.since.load(Ordering::Relaxed)));
					if connection.busy.load(Ordering::Relaxed) > 0 && age > self.longest {
						log::debug!("a connection is closed: its client does not read the answer");
						return;
					}
				}
			}
		}
	}
}

/// A request that is being answered.
struct Busy(Arc<Connections>, Arc<Connection>);

impl Busy {
	fn new(connections: Arc<Connections>, connection: Arc<Connection>) -> Self {
		connection.since.store(connections.now(), Ordering::Relaxed);
		connection.busy.fetch_add(1, Ordering::Relaxed);
		Self(connections, connection)
	}
}

impl Drop for Busy {
	fn drop(&mut self) {
		self.1.since.store(self.0.now(), Ordering::Relaxed);
		self.1.busy.fetch_sub(1, Ordering::Relaxed);
	}
}
