//! `circles worker`, and circles with a worker pool. Tests with a nats-server report that they are skipped without one.

mod calls;
mod client;
mod commands;
mod draining;
mod matrix;
mod plays;
mod points;
mod reload;
mod servers;
mod team;
