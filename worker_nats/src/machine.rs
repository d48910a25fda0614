//! The machine's side: it answers placements, starts workers and relays their bytes.
//!
//! One task owns the connection to NATS, the [peers](crate::peer) and the workers of all links. Other tasks fetch setups
//! and start workers, at most one for each place. The machine never decodes what a worker writes: the server validates it.
//!
//! A machine that is full, has no memory left or drains leaves the queue group, so NATS sends the requests to other
//! machines. For a short time before it refuses requests, because some may be on their way.

use std::{
    collections::HashMap,
    future::Future,
    io,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::ReadBuf;

use crate::{
    config::NatsConfig,
    connection::{ConnectError, PermissionError},
    content::{ContentHash, PartReference},
    subjects::SubjectName,
    timings::Timings,
    wire::{Channel, Loss, Usage},
};

mod actor;
mod fetching;
mod listening;
mod opening;
mod part_cache;
mod relay;
mod setups;
mod starting;

/// A worker of a machine, whose handle is at a server. Dropping the worker ends its process.
pub trait RelayedWorker: Send + 'static {
    /// Reads what the worker has written on a channel; no bytes at the end of the worker.
    fn poll_read(
        &mut self,
        channel: Channel,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;

    /// Writes bytes for the worker.
    fn poll_write(&mut self, channel: Channel, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// The process id.
    fn pid(&self) -> Option<u32>;

    /// What the process uses now; `None` if it has ended.
    fn usage(&self) -> Option<Usage>;

    /// Kills the process.
    fn kill(&mut self);

    /// Lowers the priority of the process permanently.
    fn lower_priority(&mut self);

    /// Returns `Ready` once the process has ended. Bytes that it wrote before may still be unread. The machine does not
    /// poll again after that.
    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Loss>;
}

/// Starts the workers of a machine.
pub trait WorkerStarter: Send + Sync + 'static {
    /// A setup from which workers start: a fork server. It must outlive its workers, and ends when it is dropped.
    type Setup: Send + Sync + 'static;

    /// The workers.
    type Worker: RelayedWorker;

    /// The texts that a manifest needs. The machine fetches them before [`prepare`](Self::prepare).
    ///
    /// # Errors
    ///
    /// Returns a text that says what is not valid.
    fn texts(&self, manifest: &[u8]) -> Result<Vec<PartReference>, String>;

    /// Prepares a setup from its manifest and the texts, whose hashes the machine has checked.
    fn prepare(
        &self,
        manifest: Bytes,
        texts: HashMap<ContentHash, Bytes>,
    ) -> impl Future<Output = Result<Self::Setup, String>> + Send;

    /// Allows a setup to keep spare workers, or ends those that it has.
    fn allow_spares(&self, _setup: &Self::Setup, _is_allowed: bool) {}

    /// The memory that a setup uses besides its workers, in bytes: that of the fork server and of the spare workers.
    fn memory(&self, _setup: &Self::Setup) -> u64 {
        0
    }

    /// Starts a worker. Workers of one group wait for each other. After an error, the machine prepares the setup anew for
    /// the next worker.
    fn start(&self, setup: &Self::Setup, group: u64) -> impl Future<Output = Result<Self::Worker, String>> + Send;
}

/// The circles whose workers a machine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Circles {
    /// All circles on this NATS.
    All,
    /// These circles, at least one.
    Named(Vec<SubjectName>),
}

/// What a machine needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineOptions {
    /// The connection to NATS.
    pub config: NatsConfig,
    /// The circles.
    pub circles: Circles,
    /// The name of the machine. No other machine on this NATS may have it.
    pub name: SubjectName,
    /// The version of the program, for operators.
    pub version: String,
    /// What server and machines must have in common to understand each other.
    pub build: SubjectName,
    /// Maximum number of workers.
    pub places: usize,
    /// Memory of all workers, spare workers and fork servers together in bytes, above which the machine accepts no more.
    pub memory: u64,
    /// Maximum number of bytes of texts that the machine keeps, and maximum size of one setup.
    pub cache: u64,
    /// The times.
    pub timings: Timings,
}

/// The reason why a machine cannot run. Its text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// There is no connection to NATS.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// NATS refuses a permission.
    #[error(transparent)]
    Permission(#[from] PermissionError),
    /// The NATS client has ended, and the workers with it.
    #[error("the NATS client has ended, so all workers of the machine are lost: start the machine again")]
    ClientEnded,
    /// There is no circle.
    #[error("no circle is named: name at least one, or serve all circles")]
    NoCircle,
}

impl MachineError {
    /// Whether another attempt makes sense.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_transient(),
            Self::ClientEnded => true,
            Self::Permission(_) | Self::NoCircle => false,
        }
    }
}

/// Runs a machine until it has drained. It drains when `shutdown` ends: it accepts no more workers, the servers move their
/// sessions, and it ends with its last worker or after [`Timings::grace`]. Dropping the future ends all workers at once.
///
/// # Errors
///
/// Returns a [`MachineError`] if it cannot connect at the start. Later it reconnects without end, so
/// [`ClientEnded`](MachineError::ClientEnded) is unexpected.
pub async fn run<S: WorkerStarter>(
    options: MachineOptions,
    starter: S,
    shutdown: impl Future<Output = ()>,
) -> Result<(), MachineError> {
    let opened = opening::open(&options).await?;
    actor::run(opened, options, starter, shutdown).await
}
