//! Scenarios, by theme. Every one ends with a check of all invariants.

mod answering;
mod convicting;
mod expiry;
mod heartbeats;
mod offchain;
mod random;
mod requesting;
mod settling;
