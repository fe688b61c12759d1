//! A real server on a free loopback port, a client that is nothing but a socket, and the sample model.

// Each test binary uses a part of this.
#![allow(dead_code, unreachable_pub)]

use std::{
	io::{Read, Write},
	net::{SocketAddr, TcpStream},
	path::{Path, PathBuf},
	sync::{
		atomic::{AtomicU64, Ordering},
		Arc, Condvar, LazyLock, Mutex,
	},
	time::Duration,
};

use assay_semantics::{Model, Tensor};
use assay_server::{serve, Engine, EngineOptions, Evaluator, Kernels, ModelId, Store};
use serde_json::Value;

/// The folder of the sample model.
pub fn digits() -> PathBuf {
	Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")
}

/// The sample model as an artifact, and its id.
pub static DIGITS: LazyLock<(Vec<u8>, ModelId)> = LazyLock::new(|| {
	let model = imported();
	(assay_import::write_artifact(&model), ModelId(model.id()))
});

pub fn imported() -> Model {
	assay_import::import_onnx(&std::fs::read(digits().join("digits.onnx")).unwrap()).unwrap()
}

/// The right answer, straight from the semantics.
pub fn evaluated(input: &[u8]) -> Vec<u8> {
	let model = imported();
	let tensor = assay_semantics::Tensor::new(model.header().inputs[0].clone(), input.to_vec()).unwrap();
	assay_semantics::evaluate(&model, &[tensor]).unwrap().remove(0).bytes.into_vec()
}

/// An input for the sample model: 64 pixels of one shade.
pub fn shade(shade: u8) -> Vec<u8> {
	[f32::from(shade) / 255.0; 64].iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Evaluations that wait until they are let go, and are counted.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar, AtomicU64)>);

impl Gate {
	pub fn evaluator(&self) -> impl Evaluator {
		let gate = self.clone();
		move |model: &Model, inputs: &[Tensor]| {
			gate.0 .2.fetch_add(1, Ordering::SeqCst);
			drop(gate.0 .1.wait_while(gate.0 .0.lock().unwrap(), |open| !*open).unwrap());
			assay_semantics::evaluate(model, inputs)
		}
	}

	pub fn open(&self) {
		*self.0 .0.lock().unwrap() = true;
		self.0 .1.notify_all();
	}

	pub fn runs(&self) -> u64 {
		self.0 .2.load(Ordering::SeqCst)
	}
}

/// Waits for something that takes other threads some time.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
	for _ in 0..6000 {
		if condition() {
			return;
		}
		std::thread::sleep(std::time::Duration::from_millis(10));
	}
	panic!("never: {what}");
}

/// A new folder that goes when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
	pub fn new() -> Self {
		static COUNT: AtomicU64 = AtomicU64::new(0);
		let name = format!("assay-server-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
		let path = std::env::temp_dir().join(name);
		std::fs::create_dir_all(&path).unwrap();
		Self(path)
	}
}

impl Drop for Folder {
	fn drop(&mut self) {
		let _ = std::fs::remove_dir_all(&self.0);
	}
}

pub struct Server {
	pub address: SocketAddr,
	pub engine: Arc<Engine>,
	pub folder: Folder,
	stop: Option<tokio::sync::oneshot::Sender<()>>,
	thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
	/// With the sample model and the kernels.
	pub fn start(options: EngineOptions) -> Self {
		Self::with(options, Kernels::new(2, 4).unwrap())
	}

	pub fn with(options: EngineOptions, evaluate: impl Evaluator) -> Self {
		let folder = Folder::new();
		Store::open(&folder.0).unwrap().put(&DIGITS.0).unwrap();
		Self::over(folder, options, evaluate)
	}

	/// With the models in a folder.
	pub fn over(folder: Folder, options: EngineOptions, evaluate: impl Evaluator) -> Self {
		let store = Store::open(&folder.0).unwrap();
		let engine = Arc::new(Engine::new(store, options, evaluate));
		let (stop, stopped) = tokio::sync::oneshot::channel();
		let (tell, told) = std::sync::mpsc::channel();
		let of_thread = engine.clone();
		let thread = std::thread::spawn(move || {
			tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
				async {
					let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
					tell.send(listener.local_addr().unwrap()).unwrap();
					let stopped = async { drop(stopped.await) };
					serve(listener, of_thread, stopped).await.unwrap();
				},
			)
		});
		Self { address: told.recv().unwrap(), engine, folder, stop: Some(stop), thread: Some(thread) }
	}

	pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Answer {
		request(self.address, method, path, body)
	}

	pub fn get(&self, path: &str) -> Answer {
		self.request("GET", path, b"")
	}

	/// Submits a job for the sample model.
	pub fn put(&self, key: &str, input: &[u8], wait_ms: u64) -> Answer {
		self.request("PUT", &format!("/assay/v1/jobs/{key}?model={}&wait_ms={wait_ms}", DIGITS.1), input)
	}

	/// The value of a counter or a gauge; 0 if there is none yet with these labels.
	pub fn counter(&self, name: &str) -> u64 {
		let text = String::from_utf8(self.get("/metrics").body).unwrap();
		let line = text.lines().find_map(|line| line.strip_prefix(&format!("assay_engine_{name} ")));
		line.map_or(0, |value| value.parse().unwrap())
	}
}

impl Drop for Server {
	/// Stops as the binary does on a signal.
	fn drop(&mut self) {
		drop(self.stop.take());
		self.thread.take().unwrap().join().unwrap();
	}
}

#[derive(Debug)]
pub struct Answer {
	pub status: u16,
	pub head: String,
	pub body: Vec<u8>,
}

impl Answer {
	pub fn json(&self) -> Value {
		serde_json::from_slice(&self.body).unwrap()
	}

	/// The words of an error; there have to be some.
	pub fn error(&self) -> String {
		self.json()["error"].as_str().unwrap().to_owned()
	}
}

pub fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
	let head = format!(
		"{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
		body.len()
	);
	exchange(address, &[head.as_bytes(), body].concat())
}

/// Sends bytes as they are and reads to the end.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Answer {
	let mut stream = TcpStream::connect(address).unwrap();
	stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
	stream.write_all(bytes).unwrap();
	let mut answer = Vec::new();
	stream.read_to_end(&mut answer).unwrap();
	let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("an HTTP answer");
	let head = String::from_utf8(answer[..split].to_vec()).unwrap();
	let status = head.split(' ').nth(1).unwrap().parse().unwrap();
	Answer { status, head, body: answer[split + 4..].to_vec() }
}
