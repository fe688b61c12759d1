//! The library under the command `assay`: talk to an Assay chain from Rust.
//!
//! Nothing here is generated from a runtime. Names are looked up in the metadata of the chain at run time, so a runtime
//! upgrade that keeps the names keeps the client working.
//!
//! | module | what it does |
//! |---|---|
//! | [`amount`] | OPG on the command line, planck on the chain |
//! | [`account`] | who signs, who is meant; encrypted accounts; balances |
//! | [`chain`] | connection, storage, view functions, submit and watch, errors in words |
//! | [`follow`] | the best chain, block by block, wherever it goes |
//! | [`types`] | what the pallets store and emit, as far as clients care |
//! | [`models`] | find, show and register models |
//! | [`input`] | PNG, JSON and raw files as input tensors |
//! | [`infer`] | request an inference and follow it to its settlement |
//! | [`job`] | look at one job |
//! | [`dispute`] | the story of the disputes about one job |
//! | [`disputes`] | disputes as the chain has them |
//! | [`watch`] | recompute answers, challenge wrong ones |
//! | [`worker`] | bond, serve, unbond |
//! | [`rewards`] | eras and payouts |
//! | [`delegation`] | stake behind workers |
//! | [`staking`] | stake behind validators |
//! | [`sending`] | what is about to be signed, in words; dry runs |
//! | [`table`] | tables that fit the terminal |
//! | [`report`] | what goes to the terminal, and what to a script |

pub mod account;
pub mod amount;
pub mod args;
pub mod chain;
pub mod delegation;
pub mod dispute;
pub mod disputes;
pub mod follow;
pub mod infer;
pub mod input;
pub mod job;
pub mod models;
pub mod report;
pub mod rewards;
pub mod sending;
pub mod staking;
pub mod table;
pub mod types;
pub mod watch;
pub mod worker;
