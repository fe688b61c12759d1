//! Benchmarks: one for each call and each kind of task, at its most expensive.
