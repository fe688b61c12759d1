//! An inference engine over HTTP, as a watchtower uses it.

use assay_semantics::hash;
pub use assay_semantics::prover::Advice;
use codec::{DecodeAll, Encode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1, header, Method, Request};
use hyper_util::rt::TokioIo;
use std::{fmt, str::FromStr, time::Duration};
use tokio::net::TcpStream;

/// How long the engine may keep us waiting for one reply, beside `wait_ms`.
const REPLY_TIME: Duration = Duration::from_secs(30);
/// What the engine is asked to wait for a result.
const WAIT_MS: u64 = 2_000;
/// How often it is asked in a row.
const ROUNDS: usize = 15;
/// The longest reply that is read.
const MAX_REPLY: usize = 64 << 20;

/// Where an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
	/// `host:port`.
	authority: String,
	/// What comes before the engine's own paths.
	prefix: String,
}

impl FromStr for Engine {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		const EXAMPLE: &str = "it should look like http://127.0.0.1:8080";
		let Some(rest) = text.strip_prefix("http://") else {
			return Err(match text.starts_with("https://") {
				true => "the engine speaks plain HTTP; reach a distant one through a tunnel".into(),
				false => format!("it does not start with http://; {EXAMPLE}"),
			});
		};
		let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
		let bad = |c: char| c.is_whitespace() || c.is_control() || "?#@".contains(c);
		if authority.is_empty() || authority.starts_with(':') || rest.contains(bad) {
			return Err(format!("it does not name a host; {EXAMPLE}"));
		}
		let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
		let authority = if has_port { authority.into() } else { format!("{authority}:80") };
		Ok(Self { authority, prefix: prefix.trim_end_matches('/').into() })
	}
}

impl fmt::Display for Engine {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "http://{}{}", self.authority, self.prefix)
	}
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
	/// Not yet; ask again.
	NotYet,
	/// The engine cannot now; an operator can mend that.
	Down(String),
	/// The engine never will.
	Refused(String),
}

/// The key under which a watchtower asks for an output. The same question has the same key, whoever asked it.
fn job_key(model: &[u8; 32], input: &[u8]) -> String {
	format!("watch-{}", hex::encode(hash(b"assay/watch/job", &[model, input])))
}

/// The body of a request for advice: input, publication, and answers with their demands, each a byte string.
fn investigation(input: &[u8], publication: &[u8], answers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
	(input, publication, answers).encode()
}

impl Engine {
	/// The output of a model.
	pub async fn output(&self, model: &[u8; 32], input: Vec<u8>) -> Result<Vec<u8>, Trouble> {
		let path = format!("/assay/v1/jobs/{}?model={}&wait_ms={WAIT_MS}", job_key(model, &input), hex::encode(model));
		self.ask(Method::PUT, &path, input.into()).await
	}

	/// What to do about a publication, given all that was opened of it.
	pub async fn advice(
		&self,
		model: &[u8; 32],
		input: &[u8],
		publication: &[u8],
		answers: &[(Vec<u8>, Vec<u8>)],
	) -> Result<Advice, Trouble> {
		let path = format!("/assay/v1/investigations?model={}&wait_ms={WAIT_MS}", hex::encode(model));
		let reply = self.ask(Method::POST, &path, investigation(input, publication, answers).into()).await?;
		Advice::decode_all(&mut &*reply)
			.map_err(|_| Trouble::Down("the engine's advice cannot be read; is it of the same version?".into()))
	}

	/// Asks until there is a result, but not for ever.
	async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Vec<u8>, Trouble> {
		for _ in 0..ROUNDS {
			let (status, reply) =
				match tokio::time::timeout(REPLY_TIME, self.request(&method, path, body.clone())).await {
					Ok(Ok(reply)) => reply,
					Ok(Err(why)) => return Err(Trouble::Down(format!("no engine answers at {self}: {why}"))),
					Err(_) => return Err(Trouble::Down(format!("the engine at {self} did not reply in time"))),
				};
			let words = || words(&reply);
			return Err(match status {
				200 => return Ok(reply.into()),
				202 => continue,
				404 => Trouble::Down(format!(
					"{}; put the model into the engine's store with `assay-engine import`",
					words()
				)),
				400 | 409 | 413 | 422 => Trouble::Refused(words()),
				_ => Trouble::Down(format!("the engine at {self} replied with HTTP status {status}: {}", words())),
			});
		}
		Err(Trouble::NotYet)
	}

	async fn request(&self, method: &Method, path: &str, body: Bytes) -> Result<(u16, Bytes), String> {
		let words = |error: &dyn fmt::Display| error.to_string();
		let stream = TcpStream::connect(&self.authority).await.map_err(|error| words(&error))?;
		let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
		// Ends with the sender.
		let connection = tokio::spawn(connection);
		let request = Request::builder()
			.method(method)
			.uri(format!("{}{path}", self.prefix))
			.header(header::HOST, &self.authority)
			.header(header::CONTENT_TYPE, "application/octet-stream")
			.body(Full::new(body))
			.map_err(|error| words(&error))?;
		let reply = async {
			let response = sender.send_request(request).await.map_err(|error| words(&error))?;
			let status = response.status().as_u16();
			let body =
				Limited::new(response.into_body(), MAX_REPLY).collect().await.map_err(|error| error.to_string())?;
			Ok((status, body.to_bytes()))
		};
		let reply = reply.await;
		connection.abort();
		reply
	}
}

/// What the engine says went wrong.
fn words(reply: &[u8]) -> String {
	let error = serde_json::from_slice::<serde_json::Value>(reply).ok();
	let error = error.as_ref().and_then(|error| error["error"].as_str());
	let bytes = error.map_or(reply, str::as_bytes);
	crate::types::text(bytes.get(..bytes.len().min(300)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
	use super::*;
	use tokio::{
		io::{AsyncReadExt, AsyncWriteExt},
		net::TcpListener,
	};

	/// Gives these replies, one per connection, and returns the requests.
	async fn fake(replies: Vec<(u16, Vec<u8>)>) -> (Engine, tokio::task::JoinHandle<Vec<Vec<u8>>>) {
		let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
		let engine = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
		let served = tokio::spawn(async move {
			let mut requests = Vec::new();
			for (status, body) in replies {
				let (mut stream, _) = listener.accept().await.unwrap();
				let (mut request, mut part) = (Vec::new(), [0; 4096]);
				loop {
					let n = stream.read(&mut part).await.unwrap();
					request.extend(&part[..n]);
					let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
					let Some(end) = text.find("\r\n\r\n") else { continue };
					let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
					let length: usize = length.map_or(0, |length| length.parse().unwrap());
					if request.len() >= end + 4 + length {
						break;
					}
				}
				requests.push(request);
				let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", body.len());
				stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
			}
			requests
		});
		(engine, served)
	}

	#[tokio::test]
	async fn output_should_be_asked_for_again_when_it_is_not_ready() {
		let (engine, served) = fake(vec![(202, b"{}".to_vec()), (200, vec![1, 2, 3])]).await;
		assert_eq!(engine.output(&[7; 32], vec![5; 10]).await, Ok(vec![1, 2, 3]));
		let requests = served.await.unwrap();
		assert_eq!(requests[0], requests[1]);
		let line =
			format!("PUT /assay/v1/jobs/{}?model={}&wait_ms=2000 ", job_key(&[7; 32], &[5; 10]), hex::encode([7; 32]));
		assert!(requests[0].starts_with(line.as_bytes()) && requests[0].ends_with(&[5; 10]));
	}

	#[tokio::test]
	async fn errors_should_tell_what_can_be_mended_from_what_cannot() {
		let error = |text: &str| serde_json::json!({ "error": text }).to_string().into_bytes();
		let replies = vec![(404, error("no model")), (422, error("too short")), (503, error("full"))];
		let (engine, served) = fake(replies).await;
		let Err(Trouble::Down(words)) = engine.output(&[0; 32], vec![]).await else { panic!() };
		assert!(words.starts_with("no model") && words.contains("assay-engine import"), "{words}");
		assert_eq!(engine.output(&[0; 32], vec![]).await, Err(Trouble::Refused("too short".into())));
		let Err(Trouble::Down(words)) = engine.output(&[0; 32], vec![]).await else { panic!() };
		assert!(words.contains("503") && words.contains("full"), "{words}");
		served.await.unwrap();
		let Err(Trouble::Down(words)) = engine.output(&[0; 32], vec![]).await else { panic!() };
		assert!(words.contains("no engine answers"), "{words}");
	}

	#[tokio::test]
	async fn advice_should_come_from_the_whole_transcript() {
		let advice = Advice::Prove { states: Some(vec![5, 5]), proof: vec![1; 100] };
		let (engine, served) = fake(vec![(200, advice.encode()), (200, vec![9])]).await;
		let answers = vec![(vec![1], vec![2, 2]), (vec![3], vec![4, 4])];
		assert_eq!(engine.advice(&[0; 32], &[8; 3], &[7; 5], &answers).await, Ok(advice));
		assert!(matches!(engine.advice(&[0; 32], &[], &[], &[]).await, Err(Trouble::Down(_))));
		let body = [12, 8, 8, 8, 20, 7, 7, 7, 7, 7, 8, 4, 1, 8, 2, 2, 4, 3, 8, 4, 4];
		assert!(served.await.unwrap()[0].ends_with(&[b"\r\n\r\n".as_slice(), &body].concat()));
	}

	#[test]
	fn address_should_be_plain_http() {
		let engine = |text: &str| text.parse::<Engine>();
		assert_eq!(engine("http://127.0.0.1:8080/").unwrap().to_string(), "http://127.0.0.1:8080");
		assert_eq!(engine("http://[::1]/a/b/").unwrap().to_string(), "http://[::1]:80/a/b");
		assert!(engine("https://localhost").unwrap_err().contains("tunnel"));
		for bad in ["localhost:8080", "http://", "http://:80", "http://a b", "http://a/?q", "ftp://a"] {
			assert!(engine(bad).is_err(), "{bad}");
		}
	}
}
