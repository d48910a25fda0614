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
    pub(crate) fn apply(&self, image: &mut Vec<u8>) {
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

/// What a storage was asked for, and what changes the disk.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Write(Write),
    Sync,
}

/// The kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Length,
    Read,
    Write,
    SetLength,
    Sync,
}

impl Kind {
    /// The kinds of requests that change the disk.
    pub(crate) const CHANGES: [Self; 3] = [Self::Write, Self::SetLength, Self::Sync];
}

#[derive(Debug)]
struct Failure {
    /// Kinds that count and fail.
    kinds: Vec<Kind>,
    /// Requests until one fails.
    left: usize,
    error: io::ErrorKind,
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
    failure: Option<Failure>,
    /// The kind of the request that failed.
    failed: Option<Kind>,
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

    /// Fails one request that changes the disk after some others.
    pub(crate) fn fail_after(&self, requests: usize, error: io::ErrorKind) {
        self.fail(&Kind::CHANGES, requests, error);
    }

    /// Fails one request of some kinds after some others of these kinds.
    ///
    /// A sync that fails is that of an operating system which then forgets what it had to write: some of it is on the
    /// disk, the rest never gets there, and the program sees all of it until a power loss.
    pub(crate) fn fail(&self, kinds: &[Kind], requests: usize, error: io::ErrorKind) {
        self.lock().failure = Some(Failure { kinds: kinds.to_vec(), left: requests, error });
    }

    /// The kind of the request that failed, if one has.
    pub(crate) fn failed(&self) -> Option<Kind> {
        self.lock().failed
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

    fn request(&self, kind: Kind) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.has_lost_power {
            return Err(io::Error::other("the disk has no power"));
        }
        if let Some(failure) = state.failure.as_mut().filter(|failure| failure.kinds.contains(&kind)) {
            if let Some(left) = failure.left.checked_sub(1) {
                failure.left = left;
            } else {
                let error = failure.error;
                state.failure = None;
                state.failed = Some(kind);
                if kind == Kind::Sync {
                    let State { durable, pending, .. } = &mut *state;
                    let mut random = Random::new(pending.len() as u64);
                    *durable = after_power_loss(durable, pending, &mut random);
                    pending.clear();
                }
                return Err(error.into());
            }
        }
        Ok(state)
    }

    fn change(&self, kind: Kind, write: Write) -> io::Result<()> {
        let mut state = self.request(kind)?;
        if state.is_tracing {
            state.requests.push(Request::Write(write.clone()));
        }
        write.apply(&mut state.current);
        state.pending.push(write);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.request(Kind::Length)?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.request(Kind::Read)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.current.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Kind::SetLength, Write::Length(usize::try_from(length).map_err(io::Error::other)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.request(Kind::Sync)?;
        if state.is_tracing {
            state.requests.push(Request::Sync);
        }
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
        self.change(Kind::Write, Write::Data { offset, bytes: data.to_vec() })
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
