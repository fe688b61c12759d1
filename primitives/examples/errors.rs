//! Prints `docs/errors.md`.

fn main() {
	print!("{}", assay_primitives::pool::page());
}
