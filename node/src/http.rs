//! Plain HTTP requests: to the inference engine, and to a running node.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
	body::Bytes,
	header::{CONTENT_TYPE, HOST},
	Method, Request, Uri,
};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;

/// The most bytes of a reply that are read.
const MOST: usize = 16 << 20;

/// What a server said.
#[derive(Debug)]
pub(crate) struct Reply {
	/// The HTTP status.
	pub(crate) status: u16,
	/// The body.
	pub(crate) body: Bytes,
}

/// Sends one request and waits for the reply, no longer than `limit`. The error says what is wrong, in words.
pub(crate) async fn send(
	method: Method,
	url: &str,
	content_type: &str,
	body: Vec<u8>,
	limit: Duration,
) -> Result<Reply, String> {
	match tokio::time::timeout(limit, exchange(method, url, content_type, body)).await {
		Ok(reply) => reply,
		Err(_) => Err(format!("no reply within {limit:?}")),
	}
}

/// Asks for what lies at `url`.
pub(crate) async fn get(url: &str, limit: Duration) -> Result<Reply, String> {
	send(Method::GET, url, "application/json", Vec::new(), limit).await
}

async fn exchange(method: Method, url: &str, content_type: &str, body: Vec<u8>) -> Result<Reply, String> {
	let uri: Uri = url.parse().map_err(|error| format!("{url} is no address: {error}"))?;
	if uri.scheme_str() != Some("http") {
		return Err(format!("only addresses that begin with http:// can be asked, not {url}"));
	}
	let (Some(authority), Some(host)) = (uri.authority(), uri.host()) else {
		return Err(format!("there is no host in {url}"));
	};
	let address = (host.trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
	let stream = TcpStream::connect(address).await.map_err(|error| format!("no connection: {error}"))?;
	let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
		.await
		.map_err(|error| format!("no HTTP there: {error}"))?;
	let path = uri.path_and_query().map_or("/", |path| path.as_str());
	let request = Request::builder()
		.method(method)
		.uri(path)
		.header(HOST, authority.as_str())
		.header(CONTENT_TYPE, content_type)
		.body(Full::new(Bytes::from(body)))
		.map_err(|error| error.to_string())?;
	let exchange = async {
		let response = sender.send_request(request).await.map_err(|error| format!("no reply: {error}"))?;
		let status = response.status().as_u16();
		let body = Limited::new(response.into_body(), MOST).collect().await;
		let body = body.map_err(|error| format!("the reply broke off: {error}"))?.to_bytes();
		Ok(Reply { status, body })
	};
	// The connection does the work; it ends when the reply is here.
	futures::pin_mut!(exchange, connection);
	match futures::future::select(exchange, connection).await {
		futures::future::Either::Left((reply, _)) => reply,
		futures::future::Either::Right((end, exchange)) => match end {
			Ok(()) => exchange.await,
			Err(error) => Err(format!("the connection broke: {error}")),
		},
	}
}

#[cfg(test)]
mod tests {
	use super::*;
	use tokio::{
		io::{AsyncReadExt, AsyncWriteExt},
		net::TcpListener,
	};

	const LIMIT: Duration = Duration::from_secs(20);

	/// A server that gives one reply, whatever it is asked, and returns what it was asked.
	async fn replying(reply: &'static str) -> (String, tokio::task::JoinHandle<String>) {
		let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
		let url = format!("http://{}/path?query", listener.local_addr().unwrap());
		let asked = tokio::spawn(async move {
			let (mut stream, _) = listener.accept().await.unwrap();
			let mut buffer = [0; 4096];
			let read = stream.read(&mut buffer).await.unwrap();
			stream.write_all(reply.as_bytes()).await.unwrap();
			String::from_utf8_lossy(&buffer[..read]).into_owned()
		});
		(url, asked)
	}

	#[tokio::test]
	async fn reply_should_come_with_status_and_body() {
		let (url, asked) = replying("HTTP/1.1 418 Teapot\r\nContent-Length: 5\r\n\r\nhello").await;
		let reply = get(&url, LIMIT).await.unwrap();
		assert_eq!((reply.status, &reply.body[..]), (418, &b"hello"[..]));
		assert!(asked.await.unwrap().starts_with("GET /path?query HTTP/1.1\r\nhost: 127.0.0.1:"));
	}

	#[tokio::test]
	async fn troubles_should_be_said_in_words() {
		assert!(get("https://127.0.0.1", LIMIT).await.unwrap_err().contains("http://"));
		assert!(get("http://127.0.0.1:1/", LIMIT).await.unwrap_err().contains("no connection"));
		let (url, _asked) = replying("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello").await;
		assert!(get(&url, LIMIT).await.is_err());
		let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
		let url = format!("http://{}", silent.local_addr().unwrap());
		assert!(get(&url, Duration::from_millis(50)).await.unwrap_err().contains("within"));
	}
}
