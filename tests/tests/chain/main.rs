//! The development chain, end to end. Each test has a node of its own, so they can run side by side.

mod clients;
mod disputes;
mod engine;
mod hostile;
mod hundred;
mod judge;
mod restart;
mod tour;
mod transformer;
