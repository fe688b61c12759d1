//! The development chain, end to end. Each test has a node of its own, so they can run side by side.

mod disputes;
mod engine;
mod hostile;
mod hundred;
mod judge;
mod operator;
mod restart;
mod sealing;
mod tour;
mod transformer;
mod wallet;
