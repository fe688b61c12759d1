//! Tables that fit the terminal: what is too wide is shortened, addresses in the middle, words at the end. `--json` shortens nothing.

use std::{
	io::{stdout, IsTerminal},
	iter::repeat_n,
};

/// The width where nobody says.
const WIDTH: usize = 80;
/// No column gets narrower than this: six letters of an id on either side.
const LEAST: usize = 13;
/// Between columns.
const GAP: &str = "  ";

/// How a column looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
	Left,
	Right,
	Id,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
	title: &'static str,
	kind: Kind,
}

impl Column {
	/// Words.
	pub fn left(title: &'static str) -> Self {
		Self { title, kind: Kind::Left }
	}

	/// Numbers and amounts. They are never shortened.
	pub fn right(title: &'static str) -> Self {
		Self { title, kind: Kind::Right }
	}

	/// Addresses and hashes, of which both ends matter.
	pub fn id(title: &'static str) -> Self {
		Self { title, kind: Kind::Id }
	}
}

/// Rows under titles.
#[derive(Clone, Debug)]
pub struct Table {
	columns: Vec<Column>,
	rows: Vec<Vec<String>>,
}

impl Table {
	/// An empty table.
	pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
		Self { columns: columns.into_iter().collect(), rows: Vec::new() }
	}

	/// Adds a row.
	pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
		self.rows.push(cells.into_iter().collect());
	}

	/// The lines, none of them wider than `width` if that can be helped. No rows, no lines.
	pub fn lines(&self, width: usize) -> Vec<String> {
		if self.rows.is_empty() {
			return Vec::new();
		}
		let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_uppercase()).collect();
		let all = || std::iter::once(&titles).chain(&self.rows);
		let widest = |i: usize| all().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max();
		let mut widths: Vec<usize> = (0..self.columns.len()).map(|i| widest(i).unwrap_or_default()).collect();
		let gaps = GAP.len() * self.columns.len().saturating_sub(1);
		while widths.iter().sum::<usize>() + gaps > width {
			// Ids first: their middle says nothing.
			let candidate = |kind: Kind| {
				let wide = (0..widths.len()).filter(|&i| self.columns[i].kind == kind && widths[i] > LEAST);
				wide.max_by_key(|&i| widths[i])
			};
			let Some(i) = candidate(Kind::Id).or_else(|| candidate(Kind::Left)) else { break };
			widths[i] -= 1;
		}
		all().map(|row| self.line(row, &widths)).collect()
	}

	fn line(&self, row: &[String], widths: &[usize]) -> String {
		let cells = self.columns.iter().zip(widths).zip(row).map(|((column, &width), cell)| {
			let cell = match column.kind {
				Kind::Id => shorten(cell, width),
				Kind::Left => cut(cell, width),
				Kind::Right => cell.clone(),
			};
			let blank: String = repeat_n(' ', width.saturating_sub(cell.chars().count())).collect();
			match column.kind {
				Kind::Right => blank + &cell,
				_ => cell + &blank,
			}
		});
		cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
	}
}

/// Both ends of a text.
pub fn shorten(text: &str, width: usize) -> String {
	let length = text.chars().count();
	if length <= width || width < 3 {
		return text.to_owned();
	}
	let (head, tail) = (width / 2, width - width / 2 - 1);
	text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

/// The beginning of a text.
pub fn cut(text: &str, width: usize) -> String {
	if text.chars().count() <= width || width < 2 {
		return text.to_owned();
	}
	text.chars().take(width - 1).chain(['…']).collect()
}

/// How wide the terminal is. What goes to a file or another program is not shortened, unless COLUMNS says so.
pub fn width() -> usize {
	let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
	let seen = match stdout().is_terminal() {
		true => terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
		false => said.is_none().then_some(usize::MAX),
	};
	seen.or(said).filter(|&width| width > 0).unwrap_or(WIDTH)
}

#[cfg(test)]
mod tests {
	use super::*;

	fn table() -> Table {
		let mut table = Table::new([Column::left("name"), Column::id("address"), Column::right("stake")]);
		table.row(["alice".into(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into(), "12 OPG".into()]);
		table.row(["b".into(), "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty".into(), "100000 OPG".into()]);
		table
	}

	#[test]
	fn table_should_show_everything_when_there_is_room() {
		let lines = table().lines(80);
		assert_eq!(lines[0], "NAME   ADDRESS                                                STAKE");
		assert_eq!(lines[1], "alice  5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY      12 OPG");
		assert_eq!(lines.len(), 3);
	}

	#[test]
	fn table_should_fit_when_the_terminal_is_narrow() {
		let lines = table().lines(40);
		assert!(lines.iter().all(|line| line.chars().count() <= 40), "{lines:#?}");
		// 40 less the name, the amount and two gaps leaves 21 for the address.
		assert_eq!(lines[2], "b      5FHneW46xG…UhjJM694ty  100000 OPG");
		// Amounts are whole even where nothing fits.
		assert!(table().lines(10)[2].ends_with("100000 OPG"));
	}

	#[test]
	fn table_should_have_no_titles_when_it_has_no_rows() {
		assert!(Table::new([Column::left("name")]).lines(80).is_empty());
	}

	#[test]
	fn text_should_keep_what_tells_it_apart() {
		assert_eq!(shorten("0x0123456789abcdef", 13), "0x0123…abcdef");
		assert_eq!(shorten("short", 13), "short");
		assert_eq!(cut("a long description", 7), "a long…");
	}
}
