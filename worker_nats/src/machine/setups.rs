//! The setups and their texts that a machine keeps.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{WorkerStarter, part_cache::PartCache};
use crate::content::{ContentHash, PartReference};

/// Maximum number of setups.
const MAX_SETUPS: usize = 64;

/// Number of setups whose memory the machine samples at once.
const SAMPLES: usize = 8;

/// Maximum size of a manifest, in bytes.
const MAX_MANIFEST: u64 = 8 << 20;

/// The unit of the texts in preparation, in bytes.
const UNIT: u64 = 1 << 10;

/// Maximum number of texts of a setup.
const MAX_TEXTS: usize = 16 << 10;

/// Where a machine fetches the parts of a setup.
pub(super) trait PartSource: Sync {
    /// Fetches a part and checks its hash and its size.
    fn fetch(&self, part: PartReference) -> impl Future<Output = Result<Bytes, String>> + Send;
}

/// A setup from which workers start.
#[derive(Debug)]
pub(super) struct PreparedSetup<T> {
    setup: T,
    /// Whether it starts no more workers.
    is_discarded: AtomicBool,
}

impl<T> PreparedSetup<T> {
    pub(super) fn get(&self) -> &T {
        &self.setup
    }

    fn is_discarded(&self) -> bool {
        self.is_discarded.load(Ordering::Acquire)
    }
}

/// A setup of a starter. Its workers hold it, because it has to outlive them.
pub(super) type SharedSetup<S> = Arc<PreparedSetup<<S as WorkerStarter>::Setup>>;

/// A setup, or the place for it while a task prepares it and others wait.
type Slot<T> = Arc<tokio::sync::Mutex<Option<Arc<PreparedSetup<T>>>>>;

struct Kept<T> {
    slot: Slot<T>,
    /// When a task or a worker used the setup last.
    used_at: Instant,
    placed_at: Instant,
    /// The memory of the fork server and the spare workers at the last sample, in bytes.
    memory: u64,
}

impl<T> Kept<T> {
    /// Drops a discarded setup, which ends with its last worker.
    fn drop_discarded(&self) {
        if let Ok(mut current) = self.slot.try_lock() {
            current.take_if(|setup| setup.is_discarded());
        }
    }

    fn allow_spares<S: WorkerStarter<Setup = T>>(&self, starter: &S, is_allowed: bool) {
        // A setup whose lock a task has gets a placement now.
        if let Ok(current) = self.slot.try_lock()
            && let Some(setup) = &*current
        {
            starter.allow_spares(&setup.setup, is_allowed);
        }
    }
}

/// The setups and texts of a machine.
pub(super) struct Setups<S: WorkerStarter> {
    starter: Arc<S>,
    kept: Mutex<HashMap<ContentHash, Kept<S::Setup>>>,
    parts: Mutex<PartCache>,
    /// Maximum size of one setup, in bytes.
    max_bytes: u64,
    /// The size that the texts in preparation may still have, in [`UNIT`]s. Together they have at most twice the maximum
    /// size of one setup.
    in_preparation: Semaphore,
    /// Whether the machine accepts workers, so that it may have spare workers, too.
    has_room: AtomicBool,
    /// The number of the setup whose memory is sampled next.
    next_sample: AtomicUsize,
}

impl<S: WorkerStarter> Setups<S> {
    pub(super) fn new(starter: Arc<S>, max_bytes: u64) -> Self {
        Self {
            starter,
            kept: Mutex::default(),
            parts: Mutex::new(PartCache::new(max_bytes)),
            max_bytes,
            in_preparation: Semaphore::new(to_units(max_bytes.saturating_mul(2)) as usize),
            has_room: AtomicBool::new(true),
            next_sample: AtomicUsize::new(0),
        }
    }

    /// Returns a setup: from memory, or from the server.
    pub(super) async fn get(
        &self,
        manifest: PartReference,
        source: &impl PartSource,
    ) -> Result<SharedSetup<S>, String> {
        let slot = self.slot(manifest.hash)?;
        // The others wait for the first one.
        let mut current = slot.lock().await;
        current.take_if(|setup| setup.is_discarded());
        if let Some(setup) = &*current {
            self.starter.allow_spares(&setup.setup, self.has_room.load(Ordering::Relaxed));
            return Ok(setup.clone());
        }
        if manifest.bytes > MAX_MANIFEST {
            return Err(format!(
                "the manifest of the setup has {} bytes, and the most is {MAX_MANIFEST}",
                manifest.bytes
            ));
        }
        let bytes = self.part(manifest, source).await?;
        let references = self.starter.texts(&bytes)?;
        let total = references.iter().fold(manifest.bytes, |sum, text| sum.saturating_add(text.bytes));
        if total > self.max_bytes || references.len() > MAX_TEXTS {
            return Err(format!("the setup has {total} bytes, and this machine accepts {}", self.max_bytes));
        }
        // Others wait in their order. A server that sends nothing delays them until its placement times out.
        let reserved = self.in_preparation.acquire_many(to_units(total)).await;
        let _reserved = reserved.map_err(|error| error.to_string())?;
        let mut texts = HashMap::new();
        for reference in references.into_iter().collect::<HashSet<_>>() {
            texts.insert(reference.hash, self.part(reference, source).await?);
        }
        let setup = self.starter.prepare(bytes, texts).await?;
        let prepared = Arc::new(PreparedSetup { setup, is_discarded: AtomicBool::new(false) });
        *current = Some(prepared.clone());
        Ok(prepared)
    }

    /// Discards a setup from which no worker could start: the next placement prepares it anew.
    pub(super) fn discard(&self, setup: &PreparedSetup<S::Setup>) {
        setup.is_discarded.store(true, Ordering::Release);
        // The workers of the setup keep it alive.
        self.starter.allow_spares(&setup.setup, false);
        // If another task has the lock, the next one that has it sees the flag.
        self.kept().values().for_each(Kept::drop_discarded);
    }

    /// Forgets the setups that have had no worker for an `idle` time, and the texts that no setup needed for that time. Ends
    /// the spare workers of setups without a placement for an `idle_spares` time.
    pub(super) fn forget_idle(&self, idle: Duration, idle_spares: Duration, now: Instant) {
        self.parts().forget_idle(idle, now);
        self.kept().retain(|_, kept| {
            kept.drop_discarded();
            if now.saturating_duration_since(kept.placed_at) >= idle_spares {
                kept.allow_spares(&*self.starter, false);
            }
            let is_used = !is_unused(&kept.slot);
            if is_used {
                kept.used_at = now;
            }
            is_used || now.saturating_duration_since(kept.used_at) < idle
        });
    }

    /// Allows spare workers while the machine accepts workers.
    pub(super) fn set_room(&self, has_room: bool) {
        self.has_room.store(has_room, Ordering::Relaxed);
        if !has_room {
            self.kept().values().for_each(|kept| kept.allow_spares(&*self.starter, false));
        }
    }

    /// Samples the memory of some setups, in turn. Returns that of all fork servers and spare workers at their last
    /// samples, in bytes.
    pub(super) fn sample(&self) -> u64 {
        let mut kept = self.kept();
        let next = self.next_sample.load(Ordering::Relaxed);
        let first = if next < kept.len() { next } else { 0 };
        self.next_sample.store(first + SAMPLES, Ordering::Relaxed);
        for kept in kept.values_mut().skip(first).take(SAMPLES) {
            // A setup that is in preparation has no process yet.
            if let Ok(current) = kept.slot.try_lock() {
                kept.memory = current.as_ref().map_or(0, |setup| self.starter.memory(&setup.setup));
            }
        }
        kept.values().fold(0, |sum, kept| sum.saturating_add(kept.memory))
    }

    fn slot(&self, hash: ContentHash) -> Result<Slot<S::Setup>, String> {
        let now = Instant::now();
        let mut kept = self.kept();
        if let Some(kept) = kept.get_mut(&hash) {
            (kept.used_at, kept.placed_at) = (now, now);
            return Ok(kept.slot.clone());
        }
        if kept.len() >= MAX_SETUPS {
            let unused = kept.iter().filter(|(_, kept)| is_unused(&kept.slot));
            let oldest = unused.min_by_key(|(_, kept)| kept.used_at).map(|(hash, _)| *hash);
            let oldest = oldest.ok_or_else(|| format!("this machine has workers of {MAX_SETUPS} setups already"))?;
            kept.remove(&oldest);
        }
        let slot = Slot::default();
        kept.insert(hash, Kept { slot: slot.clone(), used_at: now, placed_at: now, memory: 0 });
        Ok(slot)
    }

    async fn part(&self, part: PartReference, source: &impl PartSource) -> Result<Bytes, String> {
        if part.bytes > self.max_bytes {
            return Err(format!("the setup has over {} bytes, and this machine accepts no more", self.max_bytes));
        }
        if let Some(bytes) = self.parts().get(part.hash, Instant::now()) {
            return Ok(bytes);
        }
        let bytes = source.fetch(part).await?;
        self.parts().insert(part.hash, bytes.clone(), Instant::now());
        Ok(bytes)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<ContentHash, Kept<S::Setup>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts(&self) -> MutexGuard<'_, PartCache> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// Whether no task and no worker uses a setup.
fn is_unused<T>(slot: &Slot<T>) -> bool {
    Arc::strong_count(slot) == 1
        && slot.try_lock().is_ok_and(|setup| setup.as_ref().is_none_or(|setup| Arc::strong_count(setup) == 1))
}

#[cfg(test)]
mod tests;
