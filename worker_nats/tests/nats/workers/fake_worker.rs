//! Workers without a process, and a starter of them.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex, split},
    sync::{oneshot, watch},
};
use worker_nats::{
    ContentHash, PartReference, Setup,
    machine::{RelayedWorker, WorkerStarter},
    wire::{Channel, Loss, Usage},
};

/// Capacity of a channel in each direction, in bytes.
pub(super) const PIPE: usize = 64 << 10;

/// The memory of each worker, in bytes.
pub(super) const MEMORY: u64 = 5_000_000;

/// What the workers of a machine have done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) prepared: usize,
    pub(super) started: usize,
    pub(super) running: usize,
    pub(super) lowered: usize,
    /// How often the machine has allowed a setup to keep spare workers, and forbidden it.
    pub(super) spares: [usize; 2],
}

#[derive(Debug, Default)]
pub(super) struct Fakes {
    counts: watch::Sender<Counts>,
    /// The bytes that flooding workers have written.
    pub(super) flooded: AtomicU64,
}

impl Fakes {
    pub(super) fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    pub(super) async fn wait(&self, is_reached: impl FnMut(&Counts) -> bool) {
        self.counts.subscribe().wait_for(is_reached).await.expect("the sender is here");
    }
}

/// A setup of these texts. The first one says what its workers do.
pub(super) fn setup(texts: &[Bytes]) -> Arc<Setup> {
    let lines = texts.iter().map(|text| format!("{} {}\n", ContentHash::of(text), text.len()));
    Arc::new(Setup::new(lines.collect::<String>().into(), texts.to_vec()))
}

/// The byte at a position of a flood.
pub(super) fn flood_byte(position: usize) -> u8 {
    u8::try_from(position * 31 % 251).expect("less than 251")
}

pub(super) struct FakeStarter(pub(super) Arc<Fakes>);

impl WorkerStarter for FakeStarter {
    type Setup = Vec<u8>;
    type Worker = FakeWorker;

    fn texts(&self, manifest: &[u8]) -> Result<Vec<PartReference>, String> {
        let lines = std::str::from_utf8(manifest).map_err(|_| "no manifest")?.lines();
        lines
            .map(|line| -> Result<PartReference, String> {
                let (hash, bytes) = line.split_once(' ').ok_or("no manifest")?;
                let mut hash_bytes = [0; 32];
                for (at, byte) in hash_bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).map_err(|_| "no manifest")?;
                }
                Ok(PartReference { hash: hash_bytes.into(), bytes: bytes.parse().map_err(|_| "no manifest")? })
            })
            .collect()
    }

    fn prepare(
        &self,
        manifest: Bytes,
        texts: HashMap<ContentHash, Bytes>,
    ) -> impl Future<Output = Result<Vec<u8>, String>> + Send {
        self.0.counts.send_modify(|counts| counts.prepared += 1);
        let first = self.texts(&manifest).map(|references| references[0].hash);
        let kind = first.map(|hash| texts[&hash].to_vec());
        async { kind }
    }

    fn allow_spares(&self, _kind: &Vec<u8>, is_allowed: bool) {
        self.0.counts.send_modify(|counts| counts.spares[usize::from(!is_allowed)] += 1);
    }

    fn memory(&self, kind: &Vec<u8>) -> u64 {
        if kind == b"large" { MEMORY } else { 0 }
    }

    fn start(&self, kind: &Vec<u8>, _group: u64) -> impl Future<Output = Result<FakeWorker, String>> + Send {
        let (kind, fakes) = (kind.clone(), self.0.clone());
        async move {
            match kind.as_slice() {
                b"fail" => return Err("there is no more memory\u{1b}".to_owned()),
                b"stuck" => std::future::pending().await,
                b"slow" => tokio::time::sleep(Duration::from_secs(1)).await,
                _ => {}
            }
            Ok(FakeWorker::start(&kind, fakes))
        }
    }
}

/// A worker that is a task.
pub(super) struct FakeWorker {
    work: DuplexStream,
    control: DuplexStream,
    kill: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<Loss>,
    fakes: Arc<Fakes>,
}

impl FakeWorker {
    fn start(kind: &[u8], fakes: Arc<Fakes>) -> Self {
        let [(work, work_end), (control, control_end)] = [(); 2].map(|()| duplex(PIPE));
        let (kill, killed) = oneshot::channel();
        let (on_ended, ended) = oneshot::channel();
        fakes.counts.send_modify(|counts| {
            counts.started += 1;
            counts.running += 1;
        });
        let behaviour: Pin<Box<dyn Future<Output = ()> + Send>> = match kind {
            b"flood" => Box::pin(flood(work_end, fakes.clone())),
            _ => Box::pin(echo(work_end)),
        };
        let task_fakes = fakes.clone();
        tokio::spawn(async move {
            let loss = tokio::select! {
                // An error means that the worker is dropped.
                _ = killed => Loss::Killed,
                () = behaviour => Loss::Crashed,
                () = echo(control_end) => Loss::Crashed,
            };
            task_fakes.counts.send_modify(|counts| counts.running -= 1);
            let _worker_dropped = on_ended.send(loss);
        });
        Self { work, control, kill: Some(kill), ended, fakes }
    }

    fn channel(&mut self, channel: Channel) -> Pin<&mut DuplexStream> {
        Pin::new(match channel {
            Channel::Work => &mut self.work,
            Channel::Control => &mut self.control,
        })
    }
}

/// Writes what it reads, until it reads `crash`.
async fn echo(stream: DuplexStream) {
    let (mut from, mut to) = split(stream);
    let mut buffer = vec![0; 10_000];
    loop {
        let read = from.read(&mut buffer).await.expect("readable");
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() || buffer[..read].ends_with(b"crash") {
            return;
        }
    }
}

/// Writes without end and without reading.
async fn flood(mut stream: DuplexStream, fakes: Arc<Fakes>) {
    let mut position = 0;
    loop {
        let bytes: Vec<_> = (position..position + 1_000).map(flood_byte).collect();
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        position += bytes.len();
        fakes.flooded.fetch_add(1_000, Ordering::Relaxed);
    }
}

impl RelayedWorker for FakeWorker {
    fn poll_read(
        &mut self,
        channel: Channel,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.channel(channel).poll_read(context, buffer)
    }

    fn poll_write(&mut self, channel: Channel, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.channel(channel).poll_write(context, bytes)
    }

    fn pid(&self) -> Option<u32> {
        Some(42)
    }

    fn usage(&self) -> Option<Usage> {
        Some(Usage { bytes: MEMORY, cpu: Duration::from_millis(7) })
    }

    fn kill(&mut self) {
        if let Some(kill) = self.kill.take() {
            let _has_ended = kill.send(());
        }
    }

    fn lower_priority(&mut self) {
        self.fakes.counts.send_modify(|counts| counts.lowered += 1);
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Loss> {
        Pin::new(&mut self.ended).poll(context).map(|loss| loss.unwrap_or(Loss::Crashed))
    }
}
