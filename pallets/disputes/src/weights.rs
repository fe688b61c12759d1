//! The weights this pallet needs. The runtime has measured ones; those of `()` are for tests and measure nothing.

use frame_support::weights::Weight;

/// Weights of the pallet's calls and tasks. The bytes `n` are those of the message.
pub trait WeightInfo {
	/// A seal.
	fn seal() -> Weight;
	/// A challenge.
	fn challenge() -> Weight;
	/// A publication.
	fn publish(n: u32) -> Weight;
	/// The checks before a publication.
	fn authorize_publish(n: u32) -> Weight;
	/// A demand with evidence.
	fn demand(n: u32) -> Weight;
	/// An opening.
	fn open(n: u32) -> Weight;
	/// The checks before an opening.
	fn authorize_open(n: u32) -> Weight;
	/// A proof, and the conviction by it.
	fn prove(n: u32) -> Weight;
	/// A worker's or a challenger's time over.
	fn timeout() -> Weight;
	/// A bond given back.
	fn withdraw() -> Weight;
	/// A seal given back.
	fn unseal() -> Weight;
	/// What every block costs: a look at how full it is.
	fn on_block() -> Weight;
	/// A step of the agenda's cursor.
	fn service_agenda_step() -> Weight;
	/// A seal lapsed.
	fn lapse() -> Weight;
	/// A trace that nobody can challenge any more.
	fn end_window() -> Weight;
	/// `n` bonds or markers cleaned up.
	fn clean_up(n: u32) -> Weight;
}

/// For tests.
fn flat() -> Weight {
	Weight::from_parts(1_000, 100)
}

/// For tests.
fn linear(n: u32) -> Weight {
	flat().saturating_add(Weight::from_parts(1, 0).saturating_mul(n.into()))
}

impl WeightInfo for () {
	fn seal() -> Weight {
		flat()
	}
	fn challenge() -> Weight {
		flat()
	}
	fn publish(n: u32) -> Weight {
		linear(n)
	}
	fn authorize_publish(n: u32) -> Weight {
		linear(n)
	}
	fn demand(n: u32) -> Weight {
		linear(n)
	}
	fn open(n: u32) -> Weight {
		linear(n)
	}
	fn authorize_open(n: u32) -> Weight {
		linear(n)
	}
	fn prove(n: u32) -> Weight {
		linear(n)
	}
	fn timeout() -> Weight {
		flat()
	}
	fn withdraw() -> Weight {
		flat()
	}
	fn unseal() -> Weight {
		flat()
	}
	fn on_block() -> Weight {
		Weight::from_parts(10, 1)
	}
	fn service_agenda_step() -> Weight {
		Weight::from_parts(10, 1)
	}
	fn lapse() -> Weight {
		flat()
	}
	fn end_window() -> Weight {
		flat()
	}
	fn clean_up(n: u32) -> Weight {
		linear(n)
	}
}
