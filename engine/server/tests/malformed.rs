//! Bodies that nobody meant: the engine answers each of them and goes on. `scripts/fuzz bodies` goes on for as long as one likes.

mod support;

use std::{
	fs,
	path::Path,
	time::{Duration, Instant},
};

use assay_semantics::testing::{bytes, Rng};
use assay_server::EngineOptions;
use serde_json::json;
use support::{evaluated, exchange, imported, request, shade, Server, DIGITS};

/// What stands in requests, and what should not.
const WORDS: &[&[u8]] = &[
	b"NaN",
	b"Infinity",
	b"-Infinity",
	b"\"NaN\"",
	b"1e999",
	b"-0",
	b"1e-400",
	b"null",
	b"true",
	b"\"",
	b"{",
	b"}",
	b"[",
	b"]",
	b":",
	b",",
	b"18446744073709551616",
	b"-1",
	b"4294967296",
	b"9007199254740993",
	b"0.1",
	b"\"data\":",
	b"\"shape\":",
	b"\"datatype\":\"INT64\"",
	b"\"parameters\":{\"binary_data_size\":999999999999}",
	b"\"binary_data_output\":true",
	b"\"id\":7,",
	b"\xff\xfe",
	b"\xc0\x80",
	b"\xed\xa0\x80",
	b"\\u0000",
	b"\\ud800",
	b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	b"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":",
	b"\0",
	b"\r\n\r\n",
	b"//",
	b"\"outputs\":[{\"name\":\"probabilities\"}],",
];

/// A body, and how much of it is JSON if it says so.
type Case = (Option<usize>, Vec<u8>);

/// Requests that are right.
fn corpus() -> Vec<Case> {
	let nested = json!({
		"id": "a", "inputs": [{ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [[vec![vec![0.5; 8]; 8]]] }],
		"outputs": [{ "name": "probabilities", "parameters": { "binary_data": true } }],
	});
	let flat = json!({
		"parameters": { "binary_data_output": false, "timeout": 60_000_000 },
		"inputs": [{ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": vec![1; 64] }],
	});
	let binary = json!({
		"inputs": [{ "name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32", "parameters": { "binary_data_size": 256 } }],
		"parameters": { "binary_data_output": true },
	})
	.to_string();
	vec![
		(None, nested.to_string().into()),
		(None, flat.to_string().into()),
		(Some(binary.len()), [binary.as_bytes(), &shade(9)].concat()),
		(Some(0), shade(9)),
	]
}

fn wrong(rng: &mut Rng, corpus: &[Case]) -> Case {
	let (mut header, mut body) = corpus[rng.below(corpus.len() as u64) as usize].clone();
	match rng.below(12) {
		0 => body = vec![rng.pick(b"[{\" \x00\xff"); rng.below(20_000) as usize],
		1 => header = Some(rng.below(body.len() as u64 + 9) as usize),
		2 => header = rng.pick(&[Some(usize::MAX), Some(1 << 40), Some(0), None]),
		_ => bytes::mutate(rng, &mut body, WORDS),
	}
	(header, body)
}

fn seed() -> u64 {
	std::env::var("ASSAY_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn server_should_go_on_when_it_is_sent_a_thousand_wrong_bodies() {
	// Clients that have announced more than they send are not waited for.
	let server = Server::start(EngineOptions { max_body_time: Duration::from_millis(50), ..Default::default() });
	let (mut rng, corpus) = (Rng(seed()), corpus());
	let path = format!("/v2/models/{}/infer", DIGITS.1);
	let (mut refused, mut answered, mut lost) = (0, 0, 0);
	for _ in 0..1200 {
		let (header, body) = wrong(&mut rng, &corpus);
		let header = header.map_or(String::new(), |n| format!("inference-header-content-length: {n}\r\n"));
		let mut head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}");
		let mut body = body;
		match rng.below(20) {
			// A length that is not the body's: the client gives up before it is all there.
			0 => head += &format!("content-length: {}\r\n\r\n", body.len() + 1 + rng.below(1 << 20) as usize),
			1 => head += &format!("content-length: {}\r\n\r\n", rng.pick(&["-1", "x", "99999999999999999999999", ""])),
			2 => head += &format!("content-length: {}\r\n\r\n", u64::MAX),
			3 => {
				let chunk = rng.pick(&["ffffffffffffffff", "fffffffff", "-1", "zz", ""]);
				head += "transfer-encoding: chunked\r\n\r\n";
				body = [chunk.as_bytes(), b"\r\n", &body].concat();
			}
			_ => head += &format!("content-length: {}\r\n\r\n", body.len()),
		}
		match answer(&server, &[head.as_bytes(), &body].concat()) {
			Some((status, words)) if (400..500).contains(&status) => {
				refused += 1;
				// What is no HTTP is answered by the HTTP library, without words.
				if !words.is_empty() {
					let words: serde_json::Value = serde_json::from_slice(&words).unwrap();
					assert!(!words["error"].as_str().unwrap().is_empty());
				}
			}
			Some((status, _)) => {
				assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
				answered += 1;
			}
			None => lost += 1,
		}
	}
	println!("{refused} refused, {answered} answered, {lost} without an answer");
	assert!(
		refused > 1000 && answered > 0 && lost < 60,
		"{refused} refused, {answered} answered, {lost} without an answer"
	);
	assert_eq!(server.counter("jobs_panicked_total"), 0);
	let good = request(server.address, "POST", &path, &corpus[1].1);
	assert_eq!(good.status, 200);
	assert_eq!(server.put("a", &shade(3), 2000).body, evaluated(&shade(3)));
}

/// The status and the body of an answer, if one comes.
fn answer(server: &Server, bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
	use std::io::{Read, Write};
	let mut stream = std::net::TcpStream::connect(server.address).unwrap();
	stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
	// The server may have answered and gone before it has seen all.
	let _ = stream.write_all(bytes);
	let mut answer = Vec::new();
	let _ = stream.read_to_end(&mut answer);
	let split = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
	let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
	Some((status, answer[split + 4..].to_vec()))
}

#[test]
fn body_should_be_read_or_refused_in_words_when_it_is_anything() {
	let model = imported();
	let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/regressions/bodies");
	for file in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
		let file = fs::read(file.unwrap().path()).unwrap();
		// As in the target of the fuzzer.
		for header in [None, Some(0), file.first().map(|n| usize::from(*n) * 4)] {
			let _ = assay_server::try_body(&model, header, &file);
		}
	}
	let seconds = std::env::var("ASSAY_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
	let (since, mut rng, corpus) = (Instant::now(), Rng(seed()), corpus());
	let (mut done, mut taken) = (0u64, 0u64);
	while since.elapsed() < Duration::from_secs(seconds) {
		let (header, body) = wrong(&mut rng, &corpus);
		match assay_server::try_body(&model, header, &body) {
			Ok(answer) => {
				assert!(answer.starts_with(b"{\"model_name\""));
				taken += 1;
			}
			Err(words) => assert!(!words.is_empty()),
		}
		done += 1;
	}
	println!("{done} bodies, of which {taken} were taken; seed {}", seed());
	assert!(done > 1000 && taken > 0, "{done} bodies, {taken} taken");
}

#[test]
fn memory_should_not_be_had_for_what_is_only_announced() {
	let server = Server::start(EngineOptions::default());
	let path = format!("/v2/models/{}/infer", DIGITS.1);
	for length in [1usize << 62, 1 << 40, 17 << 20] {
		let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
		let answer = exchange(server.address, head.as_bytes());
		assert_eq!(answer.status, 413, "{answer:?}");
		assert!(answer.error().contains("longer than"));
	}
}
