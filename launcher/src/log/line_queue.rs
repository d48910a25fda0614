//! Lines on their way to a file or a terminal: written by a thread of their own, so that nobody who has one waits for a disk
//! or a reader.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long lines are gathered before they are written together: each then costs its sender no more than a place in the
/// queue.
const BATCH_DELAY: Duration = Duration::from_millis(2);

/// How soon it is tried again to write what could not be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long anyone waits for lines to be written. A terminal may stand still.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that are written together.
const CHUNK: usize = 64 << 10;

/// How lines are written.
pub trait LineEncoder<T>: Send + 'static {
    /// Adds a line to the text, with its newline.
    fn encode_line(&mut self, item: &T, text: &mut Vec<u8>);

    /// Adds a line that says how many are missing here.
    fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>);
}

/// Where lines are handed over. It never waits: what there is no room for is lost, and counted.
#[derive(Debug)]
pub struct LineQueue<T>(Arc<QueueShared<T>>);

/// The thread that writes. Dropped, it waits until all is written that can be, two seconds at the most.
#[derive(Debug)]
pub struct WriterGuard<T>(LineQueue<T>);

struct QueueShared<T> {
    max_bytes: usize,
    state: Mutex<QueueState<T>>,
    /// There is something to do for the writer.
    wake: Condvar,
    /// It has done what it was asked for.
    done: Condvar,
}

struct QueueState<T> {
    waiting: VecDeque<T>,
    /// As they were said to have.
    bytes: usize,
    lost: u64,
    is_asleep: bool,
    /// How often someone has asked for all to be written, and how many of these have been tried.
    flushes_requested: u64,
    flushes_done: u64,
    is_closed: bool,
    is_finished: bool,
}

impl<T: Send + 'static> LineQueue<T> {
    /// Starts the thread. `max_bytes` may wait, and as many be in its hands.
    pub fn start(
        name: &str,
        max_bytes: usize,
        form: impl LineEncoder<T>,
        to: impl Write + Send + 'static,
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
        let mut writer = QueueWriter {
            shared,
            encoder: form,
            output: to,
            items: VecDeque::new(),
            lost: 0,
            text: Vec::new(),
            written: 0,
        };
        std::thread::Builder::new().name(name.into()).spawn(move || writer.run())?;
        Ok((queue.clone(), WriterGuard(queue)))
    }

    /// Hands a line over that has so many bytes.
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

    /// Waits until what was handed over is written or cannot be, two seconds at the most. Blocks.
    pub fn flush(&self) {
        let mut state = self.0.lock();
        state.flushes_requested += 1;
        let flush_number = state.flushes_requested;
        self.0.wake.notify_one();
        let keeps_waiting = |state: &mut QueueState<T>| !state.is_finished && state.flushes_done < flush_number;
        // What takes longer is given up.
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
        // Nothing that can panic is done with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for QueueShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

/// What the writer does next, as it was wished then.
struct NextWrite {
    flushes_requested: u64,
    is_closed: bool,
    /// It tries once more what it could not write.
    is_retry: bool,
}

struct QueueWriter<T, F, W> {
    shared: Arc<QueueShared<T>>,
    encoder: F,
    output: W,
    /// What it has taken from the queue.
    items: VecDeque<T>,
    lost: u64,
    text: Vec<u8>,
    /// Bytes of the text that are written.
    written: usize,
}

impl<T, F: LineEncoder<T>, W: Write> QueueWriter<T, F, W> {
    fn run(&mut self) {
        let mut has_failed = false;
        loop {
            let next = self.take(has_failed);
            has_failed = self.write().is_err();
            if next.is_retry && !has_failed {
                // What has come since is still to be taken.
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

    /// Waits for something to write. What could not be written is kept, and until it is nothing else is taken.
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

    /// A disk: how many bytes it takes is told before each write; none, and it is full.
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
        // The queue fills up, whatever the writer has in its hands.
        for number in 10..20 {
            push(&format!("line {number}\n"));
        }
        drop(disk_room);
        drop(writing);
        assert_eq!(*text.lock().expect("no panic"), "one\ntwo\nline 10\nline 11\nline 12\n(7)\n");
    }

    /// A disk that takes nothing, ever; it reports that it is being written to.
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

    /// Whoever waited for the disk would wait for ever: the test's end is what it shows.
    #[test]
    fn queue_does_not_block_on_stalled_disk() {
        let ((stalled, stalls), (open, never)) = (mpsc::channel(), mpsc::channel());
        let disk = StalledDisk { stalled, _open: open, never };
        let (queue, writing) = LineQueue::start("test", 100, PlainEncoder, disk).expect("a thread");
        queue.push("x\n".into(), 2);
        stalls.recv().expect("the writer has taken the line");
        // From here on the writer takes nothing more: what has no room is lost, and not a line of it waits.
        for _ in 0..1000 {
            queue.push("x\n".into(), 2);
        }
        assert_eq!(queue.0.lock().lost, 950);
        drop(writing);
    }
}
