use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::{BackendError, StorageBackend};

/// Unit in which the overlay keeps what was written.
const BLOCK: usize = 4096;

/// Reads from a backend, and keeps writes in memory: the engine can recover a file after a crash and verify it, and
/// the file stays as it is. Locks are shared, so that several readers, and no writer, may have the file open.
pub(super) struct Overlay {
    backend: Box<dyn StorageBackend>,
    state: Mutex<State>,
}

struct State {
    length: u64,
    /// Everything from here on is written or zero.
    original: u64,
    /// Written blocks by number.
    blocks: BTreeMap<u64, Box<[u8; BLOCK]>>,
}

impl Overlay {
    pub(super) fn new(backend: Box<dyn StorageBackend>) -> io::Result<Self> {
        let length = backend.len()?;
        let state = Mutex::new(State { length, original: length, blocks: BTreeMap::new() });
        Ok(Self { backend, state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a block of the file, with zeros after its end.
    fn original(&self, number: u64, end: u64) -> io::Result<Box<[u8; BLOCK]>> {
        let mut block = Box::new([0; BLOCK]);
        let offset = number * BLOCK as u64;
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(BLOCK).min(BLOCK);
        if length > 0 {
            self.backend.read(offset, &mut block[..length])?;
        }
        Ok(block)
    }
}

/// The parts of a range that lie in single blocks: number of the block, offset in the block, offset in the range, and
/// length.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let position = offset + done as u64;
        let within = usize::try_from(position % BLOCK as u64).expect("below the size of a block");
        let size = (BLOCK - within).min(length - done);
        let part = (position / BLOCK as u64, within, done, size);
        done += size;
        (size > 0).then_some(part)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, done, size) in parts(offset, out.len()) {
            let out = &mut out[done..done + size];
            match state.blocks.get(&number) {
                Some(block) => out.copy_from_slice(&block[within..within + size]),
                None => out.copy_from_slice(&self.original(number, state.original)?[within..within + size]),
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.original = state.original.min(length);
        state.blocks.split_off(&length.div_ceil(BLOCK as u64));
        let within = usize::try_from(length % BLOCK as u64).expect("below the size of a block");
        if let Some(block) = state.blocks.get_mut(&(length / BLOCK as u64)) {
            block[within..].fill(0);
        }
        state.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        for (number, within, done, size) in parts(offset, data.len()) {
            if !state.blocks.contains_key(&number) {
                let block = self.original(number, state.original)?;
                state.blocks.insert(number, block);
            }
            let block = state.blocks.get_mut(&number).expect("a block that is written");
            block[within..within + size].copy_from_slice(&data[done..done + size]);
        }
        state.length = state.length.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.backend.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.backend.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.backend.query_lock_range(start, end)
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Overlay").field("backend", &self.backend).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use redb::backends::InMemoryBackend;

    use super::*;

    proptest! {
        #[test]
        fn overlay_reads_like_a_file(
            start in 0..20_000_usize,
            steps in vec((any::<bool>(), 0..20_000_u64, 0..10_000_usize, 1..255_u8), 0..12),
        ) {
            let backend = InMemoryBackend::new();
            backend.set_len(start as u64).expect("a length");
            backend.write(0, &vec![255; start]).expect("a write");
            let overlay = Overlay::new(Box::new(backend)).expect("an overlay");
            let mut expected = vec![255; start];
            for (is_write, offset, length, byte) in steps {
                let at = usize::try_from(offset).expect("a small offset");
                if is_write {
                    overlay.write(offset, &vec![byte; length]).expect("a write");
                    expected.resize(expected.len().max(at + length), 0);
                    expected[at..at + length].fill(byte);
                } else {
                    overlay.set_len(offset).expect("a length");
                    expected.resize(at, 0);
                }
            }
            let mut found = vec![0; expected.len()];
            prop_assert_eq!(overlay.len().expect("a length"), expected.len() as u64);
            overlay.read(0, &mut found).expect("a read");
            prop_assert!(found == expected);
        }
    }
}
