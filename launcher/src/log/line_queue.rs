//! Queue of lines for a file or a terminal. A thread of its own writes them, so that no sender waits for a disk or a
//! reader.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Time in which lines are collected and then written together: a sender only pays for a place in the queue.
const BATCH_DELAY: Duration = Duration::from_millis(2);

/// Interval of retries after a failed write.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time that anyone waits for lines to be written. A terminal may be stalled.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that are written together.
const CHUNK: usize = 64 << 10;

/// Format of the lines in a queue.
pub trait LineEncoder<T>: Send + 'static {
    /// Appends a line with its newline to `text`.
    fn encode_line(&mut self, item: &T, text: &mut Vec<u8>);

    /// Appends a line that says how many lines were dropped here.
    fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>);
}

/// Sender of lines. It never blocks: lines without room are dropped and counted.
#[derive(Debug)]
pub struct LineQueue<T>(Arc<QueueShared<T>>);

/// Guard of the writer thread. On drop it waits, for two seconds at most, until everything is written.
#[derive(Debug)]
pub struct WriterGuard<T>(LineQueue<T>);

struct QueueShared<T> {
    max_bytes: usize,
    state: Mutex<QueueState<T>>,
    /// Notified when the writer has something to do.
    wake: Condvar,
    /// Notified when the writer has flushed or finished.
    done: Condvar,
}

struct QueueState<T> {
    waiting: VecDeque<T>,
    /// Size of the waiting lines, as their senders declared it.
    bytes: usize,
    lost: u64,
    is_asleep: bool,
    /// Flushes that were requested.
    flushes_requested: u64,
    /// Flushes that the writer has attempted.
    flushes_done: u64,
    is_closed: bool,
    is_finished: bool,
}

impl<T: Send + 'static> LineQueue<T> {
    /// Starts the writer thread. At most `max_bytes` wait in the queue, and as much again in the writer.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn start(
        name: &str,
        max_bytes: usize,
        encoder: impl LineEncoder<T>,
        output: impl Write + Send + 'static,
    ) -> io::Result<(Self, WriterGuard<T>)> {
        let state = QueueState {
            waiting: VecDeque::new(),
            bytes: 0,
            lost: 0,
            is_asleep: false,
            flushes_requested: 0,
            flushes_done: 0,
            is_closed: false,
            is_finished: false,
        };
        let shared = QueueShared { max_bytes, state: Mutex::new(state), wake: Condvar::new(), done: Condvar::new() };
        let queue = Self(Arc::new(shared));
        let shared = queue.0.clone();
        let mut writer =
            QueueWriter { shared, encoder, output, items: VecDeque::new(), lost: 0, text: Vec::new(), written: 0 };
        std::thread::Builder::new().name(name.into()).spawn(move || writer.run())?;
        Ok((queue.clone(), WriterGuard(queue)))
    }

    /// Sends a line of `bytes` bytes.
    pub fn push(&self, item: T, bytes: usize) {
        let mut state = self.0.lock();
        if state.is_closed || state.bytes + bytes > self.0.max_bytes {
            state.lost += 1;
            return;
        }
        state.waiting.push_back(item);
        let is_half = |held: usize| held > self.0.max_bytes / 2;
        let gets_full = is_half(state.bytes + bytes) && !is_half(state.bytes);
        state.bytes += bytes;
        let is_asleep = std::mem::replace(&mut state.is_asleep, false);
        drop(state);
        if is_asleep || gets_full {
            self.0.wake.notify_one();
        }
    }

    /// Waits, for two seconds at most, until all lines are written or cannot be written. Blocks.
    pub fn flush(&self) {
        let mut state = self.0.lock();
        state.flushes_requested += 1;
        let flush_number = state.flushes_requested;
        self.0.wake.notify_one();
        let keeps_waiting = |state: &mut QueueState<T>| !state.is_finished && state.flushes_done < flush_number;
        // A longer wait is given up.
        drop(self.0.done.wait_timeout_while(state, FLUSH_TIMEOUT, keeps_waiting));
    }
}

impl<T> Clone for LineQueue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Drop for WriterGuard<T> {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        state.is_closed = true;
        shared.wake.notify_one();
        drop(shared.done.wait_timeout_while(state, FLUSH_TIMEOUT, |state| !state.is_finished));
    }
}

impl<T> QueueShared<T> {
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for QueueShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

/// What the writer does next, with the state of the queue at that time.
struct NextWrite {
    flushes_requested: u64,
    is_closed: bool,
    /// Whether it retries a write that failed.
    is_retry: bool,
}

struct QueueWriter<T, F, W> {
    shared: Arc<QueueShared<T>>,
    encoder: F,
    output: W,
    /// Lines taken from the queue.
    items: VecDeque<T>,
    lost: u64,
    text: Vec<u8>,
    /// Bytes of `text` that are written.
    written: usize,
}

impl<T, F: LineEncoder<T>, W: Write> QueueWriter<T, F, W> {
    fn run(&mut self) {
        let mut has_failed = false;
        loop {
            let next = self.take(has_failed);
            has_failed = self.write().is_err();
            if next.is_retry && !has_failed {
                // Lines that arrived meanwhile are still in the queue.
                continue;
            }
            let mut state = self.shared.lock();
            state.flushes_done = next.flushes_requested;
            state.is_finished = next.is_closed;
            self.shared.done.notify_all();
            if next.is_closed {
                return;
            }
        }
    }

    /// Waits for lines. After a failed write it only waits for a retry and takes nothing else.
    fn take(&mut self, is_retry: bool) -> NextWrite {
        let shared = self.shared.clone();
        let must_flush = |state: &QueueState<T>| state.flushes_requested > state.flushes_done || state.is_closed;
        let mut state = shared.lock();
        if is_retry {
            let waited = shared.wake.wait_timeout_while(state, RETRY_INTERVAL, |state| !must_flush(state));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            return NextWrite { flushes_requested: state.flushes_requested, is_closed: state.is_closed, is_retry };
        }
        while state.waiting.is_empty() && state.lost == 0 && !must_flush(&state) {
            state.is_asleep = true;
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_asleep = false;
        let keeps_waiting = |state: &mut QueueState<T>| !must_flush(state) && state.bytes <= shared.max_bytes / 2;
        state =
            shared.wake.wait_timeout_while(state, BATCH_DELAY, keeps_waiting).unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut self.items, &mut state.waiting);
        (state.bytes, self.lost) = (0, std::mem::take(&mut state.lost));
        NextWrite { flushes_requested: state.flushes_requested, is_closed: state.is_closed, is_retry }
    }

    fn write(&mut self) -> io::Result<()> {
        loop {
            while self.written < self.text.len() {
                match self.output.write(&self.text[self.written..]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => self.written += written,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.text.clear();
            self.text.shrink_to(2 * CHUNK);
            self.written = 0;
            while self.text.len() < CHUNK
                && let Some(item) = self.items.pop_front()
            {
                self.encoder.encode_line(&item, &mut self.text);
            }
            if self.text.is_empty() {
                let lost = std::mem::take(&mut self.lost);
                if lost == 0 {
                    return Ok(());
                }
                self.encoder.encode_lost(lost, &mut self.text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct PlainEncoder;

    impl LineEncoder<String> for PlainEncoder {
        fn encode_line(&mut self, item: &String, text: &mut Vec<u8>) {
            text.extend_from_slice(item.as_bytes());
        }

        fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>) {
            text.extend_from_slice(format!("({lines})\n").as_bytes());
        }
    }

    /// A disk with little room: before each write the test sends how many bytes fit; zero means full.
    struct SlowDisk {
        room: mpsc::Receiver<usize>,
        text: Arc<Mutex<String>>,
    }

    impl Write for SlowDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room.recv().unwrap_or(usize::MAX).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.lock().expect("no panic").push_str(std::str::from_utf8(&bytes[..room]).expect("ASCII"));
            Ok(room)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn queue_writes_after_full_disk_and_counts_lost_lines() {
        let (disk_room, room) = mpsc::channel();
        let text = Arc::new(Mutex::new(String::new()));
        let (queue, writing) =
            LineQueue::start("test", 24, PlainEncoder, SlowDisk { room, text: text.clone() }).expect("a thread");
        let push = |line: &str| queue.push(line.to_owned(), line.len());
        disk_room.send(4).expect("it lives");
        disk_room.send(0).expect("it lives");
        push("one\ntwo\n");
        queue.flush();
        assert_eq!(*text.lock().expect("no panic"), "one\n");
        // The queue fills up, whatever the writer has taken.
        for number in 10..20 {
            push(&format!("line {number}\n"));
        }
        drop(disk_room);
        drop(writing);
        assert_eq!(*text.lock().expect("no panic"), "one\ntwo\nline 10\nline 11\nline 12\n(7)\n");
    }

    /// A disk that never finishes a write, and reports that one has begun.
    struct StalledDisk {
        stalled: mpsc::Sender<()>,
        _open: mpsc::Sender<()>,
        never: mpsc::Receiver<()>,
    }

    impl Write for StalledDisk {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.stalled.send(()).expect("the test waits for it");
            self.never.recv().map(|()| 0).map_err(io::Error::other)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue that waited for the disk would block forever: the end of the test is the proof.
    #[test]
    fn queue_does_not_block_on_stalled_disk() {
        let ((stalled, stalls), (open, never)) = (mpsc::channel(), mpsc::channel());
        let disk = StalledDisk { stalled, _open: open, never };
        let (queue, writing) = LineQueue::start("test", 100, PlainEncoder, disk).expect("a thread");
        queue.push("x\n".into(), 2);
        stalls.recv().expect("the writer has taken the line");
        // From here on the writer takes nothing more: lines without room are dropped, and no sender blocks.
        for _ in 0..1000 {
            queue.push("x\n".into(), 2);
        }
        assert_eq!(queue.0.lock().lost, 950);
        drop(writing);
    }
}
