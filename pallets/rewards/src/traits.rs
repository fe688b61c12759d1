//! What this pallet needs of others, wired in the runtime.

/// Whoever knows with whom a worker shares what it earns.
pub trait Distribute<AccountId, Credit> {
	/// Give `worker`, and whoever stands behind it, what it earned. All of it comes back if the worker's account cannot take
	/// its part.
	fn distribute(worker: &AccountId, credit: Credit) -> Result<(), Credit>;

	/// Let `worker` share with as many as costs most, for a benchmark.
	#[cfg(feature = "runtime-benchmarks")]
	fn benchmark_sharing(worker: &AccountId);
}
