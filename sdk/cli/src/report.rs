//! What goes to the terminal, and what to a script.
//!
//! With `--json`, stdout gets exactly one JSON object and progress goes to stderr. Without, stdout is for people. A reader
//! that goes away (`assay models list | head -1`) is no reason to fail, so write errors are ignored.

use crate::table::{self, Table};
use serde_json::Value;
use std::{
	cell::Cell,
	io::{stderr, stdout, IsTerminal, Write},
};

/// Where the words go.
pub struct Report {
	json: bool,
	terminal: bool,
	// Whether the last line on the terminal is one that the next may write over.
	unfinished: Cell<bool>,
	finished: Cell<bool>,
}

impl Report {
	/// For people, or for a script.
	pub fn new(json: bool) -> Self {
		let terminal = if json { stderr().is_terminal() } else { stdout().is_terminal() };
		Self { json, terminal, unfinished: Cell::new(false), finished: Cell::new(false) }
	}

	/// Whether a script is reading.
	pub fn is_json(&self) -> bool {
		self.json
	}

	fn write(&self, text: &str) {
		if self.json {
			let _ = write!(stderr(), "{text}");
			let _ = stderr().flush();
		} else {
			let _ = write!(stdout(), "{text}");
			let _ = stdout().flush();
		}
	}

	/// One line for people.
	pub fn line(&self, text: impl AsRef<str>) {
		self.end_update();
		self.write(&format!("{}\n", text.as_ref()));
	}

	/// A table for people.
	pub fn table(&self, table: &Table) {
		for line in table.lines(table::width()) {
			self.line(line);
		}
	}

	/// A line that the next one may replace. Where there is no terminal, it is a line like any other.
	pub fn update(&self, text: impl AsRef<str>) {
		if self.terminal {
			self.write(&format!("\r\x1b[K{}", text.as_ref()));
			self.unfinished.set(true);
		} else {
			self.write(&format!("{}\n", text.as_ref()));
		}
	}

	/// Whether [`Report::update`] replaces lines.
	pub fn updates(&self) -> bool {
		self.terminal
	}

	fn end_update(&self) {
		if self.unfinished.replace(false) {
			self.write("\r\x1b[K");
		}
	}

	/// The one JSON object, if a script is reading. Only the first call counts.
	pub fn finish(&self, object: Value) {
		self.end_update();
		if self.json && !self.finished.replace(true) {
			let _ = writeln!(stdout(), "{object:#}");
		}
	}

	/// What went wrong.
	pub fn error(&self, error: &anyhow::Error) {
		self.end_update();
		let _ = writeln!(stderr(), "error: {error:#}");
	}
}
