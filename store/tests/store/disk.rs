//! A disk in memory that loses power, fails, and remembers what was written when.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use store::faults::StorageBackend;

use crate::support::{Random, options};

/// What a disk writes completely or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
pub(crate) enum Write {
    Data { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Write {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Data { offset, bytes } => {
                let end = offset + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => image.resize(*length, 0),
        }
    }

    /// Applies some of the sectors.
    fn tear(&self, image: &mut Vec<u8>, random: &mut Random) {
        let Self::Data { offset, bytes } = self else { return };
        let mut start = 0;
        while start < bytes.len() {
            let end = (((offset + start) / SECTOR + 1) * SECTOR - offset).min(bytes.len());
            if random.one_in(2) {
                Self::Data { offset: offset + start, bytes: bytes[start..end].to_vec() }.apply(image);
            }
            start = end;
        }
    }
}

/// What a storage was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Write(Write),
    Sync,
}

#[derive(Debug, Default)]
struct State {
    /// What a power loss leaves.
    durable: Vec<u8>,
    /// What the program sees.
    current: Vec<u8>,
    /// Writes since the last sync.
    pending: Vec<Write>,
    requests: Vec<Request>,
    is_tracing: bool,
    ignores_syncs: bool,
    /// Requests until one fails, and the error.
    failure: Option<(usize, io::ErrorKind)>,
    has_lost_power: bool,
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn new(image: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.lock().durable.clone_from(&image);
        disk.lock().current = image;
        disk
    }

    /// A disk with a new store, all of which is durable.
    pub(crate) fn with_store() -> Self {
        let disk = Self::default();
        options().open_backend(Box::new(disk.clone())).expect("a store").close().expect("a closed store");
        Self::new(disk.image())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the program sees.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.lock().current.clone()
    }

    pub(crate) fn ignore_syncs(&self) {
        self.lock().ignores_syncs = true;
    }

    /// Fails one request after some others.
    pub(crate) fn fail_after(&self, requests: usize, kind: io::ErrorKind) {
        self.lock().failure = Some((requests, kind));
    }

    /// Remembers requests from now on.
    pub(crate) fn trace(&self) {
        self.lock().is_tracing = true;
    }

    /// The number of requests so far.
    pub(crate) fn traced(&self) -> usize {
        self.lock().requests.len()
    }

    pub(crate) fn take_trace(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().requests)
    }

    /// Fails from now on, and returns what a power loss at this moment leaves.
    pub(crate) fn lose_power(&self, random: &mut Random) -> Vec<u8> {
        let mut state = self.lock();
        state.has_lost_power = true;
        after_power_loss(&state.durable, &state.pending, random)
    }

    fn request(&self, request: Request) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.has_lost_power {
            return Err(io::Error::other("the disk has no power"));
        }
        if let Some((left, kind)) = state.failure {
            state.failure = left.checked_sub(1).map(|left| (left, kind));
            if left == 0 {
                return Err(kind.into());
            }
        }
        if state.is_tracing {
            state.requests.push(request);
        }
        Ok(state)
    }

    fn write_request(&self, write: Write) -> io::Result<()> {
        let mut state = self.request(Request::Write(write.clone()))?;
        write.apply(&mut state.current);
        state.pending.push(write);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.current.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.write_request(Write::Length(usize::try_from(length).map_err(io::Error::other)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.request(Request::Sync)?;
        if !state.ignores_syncs {
            let State { durable, pending, .. } = &mut *state;
            for write in pending.drain(..) {
                write.apply(durable);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.write_request(Write::Data { offset, bytes: data.to_vec() })
    }
}

/// What is on a disk after a power loss: all that was synced, and of the rest nothing, everything, the first writes
/// with the last of them torn, or any writes, some of them torn.
pub(crate) fn after_power_loss(durable: &[u8], pending: &[Write], random: &mut Random) -> Vec<u8> {
    let mut image = durable.to_vec();
    match random.below(8) {
        0 => {}
        1 => {
            for write in pending {
                write.apply(&mut image);
            }
        }
        2..4 if !pending.is_empty() => {
            let torn = random.below(pending.len());
            for write in &pending[..torn] {
                write.apply(&mut image);
            }
            pending[torn].tear(&mut image, random);
        }
        _ => {
            for write in pending {
                match random.below(4) {
                    0 => write.tear(&mut image, random),
                    1 => {}
                    _ => write.apply(&mut image),
                }
            }
        }
    }
    image
}

/// Passes what a power loss after each request leaves, with the number of requests that the disk got.
pub(crate) fn for_each_power_loss(
    start: &[u8],
    requests: &[Request],
    random: &mut Random,
    mut visit: impl FnMut(usize, Vec<u8>),
) {
    let (mut durable, mut pending) = (start.to_vec(), Vec::new());
    for (index, request) in requests.iter().enumerate() {
        match request {
            Request::Write(write) => pending.push(write.clone()),
            Request::Sync => {
                // The power is lost before the sync is complete, too.
                visit(index, after_power_loss(&durable, &pending, random));
                for write in pending.drain(..) {
                    write.apply(&mut durable);
                }
            }
        }
        visit(index + 1, after_power_loss(&durable, &pending, random));
    }
}
