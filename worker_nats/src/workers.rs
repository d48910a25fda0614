//! The workers of the crate `worker`: handles that a [`Hub`] connects to workers, and fork servers that start the workers
//! of a machine.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use worker::{ForkServer, Manifest, Program, RemotePeer, UsageSample, Worker, WorkerChannel, WorkerSetup};

use crate::{
    content::{ContentHash, PartReference, Setup},
    machine::{RelayedWorker, WorkerStarter},
    server::{Hub, PlaceError, Placed, RemoteCommands, RemoteEnd, RemoteLoss},
    subjects::SubjectName,
    wire::{Channel, Loss, Usage},
};

mod fork_setup;

pub use fork_setup::ForkSetup;

/// Returns the name of a build: servers and machines work together if they have the same. `program` names the program and
/// its version, whose native functions scripts may call.
pub fn build_name(program: &str) -> SubjectName {
    let hash = ContentHash::of(format!("{}\n{program}", worker::BUILD).as_bytes()).to_string();
    SubjectName::new(&hash[..16]).expect("hexadecimal digits are a name")
}

/// A setup of workers that a hub can place.
#[derive(Debug)]
pub struct PlaceableSetup {
    setup: Arc<WorkerSetup>,
    parts: Arc<Setup>,
}

impl PlaceableSetup {
    /// Makes it from a setup. It hashes all texts.
    pub fn new(setup: WorkerSetup) -> Self {
        let texts: Vec<Bytes> = setup.texts().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
        let parts = Arc::new(Setup::new(Manifest::new(&setup).encode().into(), texts));
        Self { setup: Arc::new(setup), parts }
    }

    /// Places a worker, and returns its handle. Workers of one `group` wait for each other while a machine starts them.
    ///
    /// # Errors
    ///
    /// Returns a [`PlaceError`] if there is no worker.
    pub async fn place(&self, hub: &Hub, group: u64) -> Result<(Placed, Worker), PlaceError> {
        let setup = self.setup.clone();
        hub.place(&self.parts, group, move |placed| {
            let (worker, mut peer) = Worker::remote(&setup, placed.machine.as_str(), placed.pid);
            peer.report_usage(UsageSample { memory_bytes: placed.memory_base, cpu_time: Duration::ZERO });
            (worker, HandleEnd(peer))
        })
        .await
    }
}

fn channel(channel: Channel) -> WorkerChannel {
    match channel {
        Channel::Work => WorkerChannel::Work,
        Channel::Control => WorkerChannel::Control,
    }
}

/// The end of a handle.
struct HandleEnd(RemotePeer);

impl RemoteEnd for HandleEnd {
    fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_changed(context)
    }

    fn try_read(&mut self, of: Channel, buffer: &mut [u8]) -> usize {
        self.0.try_read(channel(of), buffer)
    }

    fn try_write(&mut self, of: Channel, bytes: &[u8]) -> usize {
        self.0.try_write(channel(of), bytes)
    }

    fn end(&mut self, of: Channel) {
        self.0.end(channel(of));
    }

    fn take_commands(&mut self) -> RemoteCommands {
        let worker::RemoteCommands { kill, lower_priority, sample } = self.0.take_commands();
        RemoteCommands { kill, lower_priority, sample }
    }

    fn report_usage(&mut self, usage: Usage) {
        self.0.report_usage(UsageSample { memory_bytes: usage.bytes, cpu_time: usage.cpu });
    }

    fn leave(&mut self) {
        self.0.leave();
    }

    fn note_silence(&mut self, lost_at: Instant) {
        self.0.note_silence(lost_at);
    }

    fn report_loss(&mut self, loss: RemoteLoss) {
        self.0.report_loss(match loss {
            RemoteLoss::Stated(Loss::Killed) => worker::Loss::Killed,
            RemoteLoss::Stated(Loss::Memory) => worker::Loss::Memory,
            RemoteLoss::Stated(Loss::Crashed) => worker::Loss::Crashed,
            RemoteLoss::Stated(Loss::Drained) => worker::Loss::Drained,
            // The script is not to blame for its machine.
            RemoteLoss::Violation | RemoteLoss::Unreachable => worker::Loss::Unreachable,
        });
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Starts the workers of a machine from fork servers, one for each setup. All workers are sealed, whatever the server
/// asks for: their scripts come from other machines.
#[derive(Debug)]
pub struct ForkStarter(Program);

impl ForkStarter {
    /// Makes a starter whose fork servers are processes of a program.
    pub fn new(program: Program) -> Self {
        Self(program)
    }
}

impl WorkerStarter for ForkStarter {
    type Setup = ForkSetup;
    type Worker = ForkedWorker;

    fn texts(&self, manifest: &[u8]) -> Result<Vec<PartReference>, String> {
        let manifest = Manifest::decode(manifest).map_err(|error| error.to_string())?;
        let reference = |text: worker::TextReference| PartReference {
            hash: ContentHash::from(*text.hash.as_bytes()),
            bytes: text.bytes,
        };
        Ok(manifest.texts().map(reference).collect())
    }

    async fn prepare(&self, manifest: Bytes, texts: HashMap<ContentHash, Bytes>) -> Result<Self::Setup, String> {
        let manifest = Manifest::decode(&manifest).map_err(|error| error.to_string())?;
        let find = |text: worker::TextReference| {
            let bytes = texts.get(&ContentHash::from(*text.hash.as_bytes()))?;
            String::from_utf8(bytes.to_vec()).ok()
        };
        let mut setup = manifest.to_setup(find).map_err(|error| error.to_string())?;
        setup.must_be_sealed = true;
        let fork_server = ForkServer::start(self.0.clone(), setup).await.map_err(|error| error.to_string())?;
        Ok(ForkSetup::new(fork_server))
    }

    fn allow_spares(&self, setup: &Self::Setup, is_allowed: bool) {
        setup.allow_spares(is_allowed);
    }

    fn memory(&self, setup: &Self::Setup) -> u64 {
        setup.memory()
    }

    async fn start(&self, setup: &Self::Setup, group: u64) -> Result<Self::Worker, String> {
        setup.start(group).await.map(ForkedWorker).map_err(|error| error.to_string())
    }
}

/// A worker that a [`ForkStarter`] has started.
#[derive(Debug)]
pub struct ForkedWorker(worker::RelayedWorker);

impl ForkedWorker {
    fn stream(&mut self, of: Channel) -> Pin<&mut worker::RelayedChannel> {
        Pin::new(match of {
            Channel::Work => &mut self.0.work,
            Channel::Control => &mut self.0.control,
        })
    }
}

impl RelayedWorker for ForkedWorker {
    fn poll_read(&mut self, of: Channel, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream(of).poll_read(context, buffer)
    }

    fn poll_write(&mut self, of: Channel, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(of).poll_write(context, bytes)
    }

    fn pid(&self) -> Option<u32> {
        self.0.process.pid()
    }

    fn usage(&self) -> Option<Usage> {
        let UsageSample { memory_bytes, cpu_time } = self.0.process.usage()?;
        Some(Usage { bytes: memory_bytes, cpu: cpu_time })
    }

    fn kill(&mut self) {
        self.0.process.kill();
    }

    fn lower_priority(&mut self) {
        self.0.process.lower_priority();
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Loss> {
        pin!(self.0.process.ended()).poll(context).map(|loss| match loss {
            worker::Loss::Killed => Loss::Killed,
            worker::Loss::Memory => Loss::Memory,
            _ => Loss::Crashed,
        })
    }
}
