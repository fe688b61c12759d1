//! The weights this pallet needs. The runtime has measured ones; those of `()` are for tests and measure nothing.

use frame_support::weights::Weight;

/// Weights of the pallet's calls and tasks.
pub trait WeightInfo {
	/// A request with an input of `n` bytes.
	fn request(n: u32) -> Weight;
	/// A cancellation.
	fn cancel() -> Weight;
	/// A job given back.
	fn decline() -> Weight;
	/// The checks before a job is given back.
	fn authorize_decline() -> Weight;
	/// An answer of `n` bytes.
	fn commit(n: u32) -> Weight;
	/// The checks before an answer of `n` bytes.
	fn authorize_commit(n: u32) -> Weight;
	/// A heartbeat.
	fn heartbeat() -> Weight;
	/// The checks before a heartbeat.
	fn authorize_heartbeat() -> Weight;
	/// The way to the next task.
	fn next_task() -> Weight;
	/// A look at a task that has nothing left to do, and its removal.
	fn skip_task() -> Weight;
	/// A draw among `n` workers.
	fn draw_job(n: u32) -> Weight;
	/// The end of a worker's time, or of a job's.
	fn expire_job() -> Weight;
	/// The settlement of an answer.
	fn settle_job() -> Weight;
	/// The end of an answer that was proven wrong.
	fn convict_job() -> Weight;
	/// A result forgotten.
	fn purge_result() -> Weight;
}

impl WeightInfo for () {
	fn request(n: u32) -> Weight {
		Weight::from_parts(1_000, 100).saturating_add(Weight::from_parts(1, 0).saturating_mul(n.into()))
	}
	fn cancel() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn decline() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn authorize_decline() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn commit(n: u32) -> Weight {
		Self::request(n)
	}
	fn authorize_commit(n: u32) -> Weight {
		Self::request(n)
	}
	fn heartbeat() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn authorize_heartbeat() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn next_task() -> Weight {
		Weight::from_parts(10, 1)
	}
	fn skip_task() -> Weight {
		Weight::from_parts(10, 1)
	}
	fn draw_job(n: u32) -> Weight {
		Self::request(n)
	}
	fn expire_job() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn settle_job() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn convict_job() -> Weight {
		Weight::from_parts(1_000, 100)
	}
	fn purge_result() -> Weight {
		Weight::from_parts(1_000, 100)
	}
}
