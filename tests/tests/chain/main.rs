//! The development chain, end to end. Each test has a node of its own, so they can run side by side.

mod accounts;
mod clients;
mod disputes;
mod engine;
mod hostile;
mod hundred;
mod judge;
mod load;
mod network;
mod operator;
mod owner;
mod restart;
mod sealing;
mod tour;
mod transformer;
mod upgrade;
