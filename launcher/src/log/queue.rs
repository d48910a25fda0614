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
const GATHER: Duration = Duration::from_millis(2);

/// How soon it is tried again to write what could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// How long anyone waits for lines to be written. A terminal may stand still.
const PATIENCE: Duration = Duration::from_secs(2);

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
pub struct LineQueue<T>(Arc<Shared<T>>);

/// The thread that writes. Dropped, it waits until all is written that can be, two seconds at the most.
#[derive(Debug)]
pub struct WriterGuard<T>(LineQueue<T>);

struct Shared<T> {
    max_bytes: usize,
    state: Mutex<State<T>>,
    /// There is something to do for the writer.
    wake: Condvar,
    /// It has done what it was asked for.
    done: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// As they were said to have.
    bytes: usize,
    lost: u64,
    is_asleep: bool,
    /// How often someone has asked for all to be written, and how many of these have been tried.
    asked: u64,
    answered: u64,
    is_closed: bool,
    is_over: bool,
}

impl<T: Send + 'static> LineQueue<T> {
    /// Starts the thread. `max_bytes` may wait, and as many be in its hands.
    pub fn start(
        name: &str,
        max_bytes: usize,
        form: impl LineEncoder<T>,
        to: impl Write + Send + 'static,
    ) -> io::Result<(Self, WriterGuard<T>)> {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            lost: 0,
            is_asleep: false,
            asked: 0,
            answered: 0,
            is_closed: false,
            is_over: false,
        };
        let shared = Shared { max_bytes, state: Mutex::new(state), wake: Condvar::new(), done: Condvar::new() };
        let queue = Self(Arc::new(shared));
        let shared = queue.0.clone();
        let mut writer = Writer { shared, form, to, items: VecDeque::new(), lost: 0, text: Vec::new(), written: 0 };
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
        state.asked += 1;
        let asked = state.asked;
        self.0.wake.notify_one();
        let goes_on = |state: &mut State<T>| !state.is_over && state.answered < asked;
        // What takes longer is given up.
        drop(self.0.done.wait_timeout_while(state, PATIENCE, goes_on));
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
        drop(shared.done.wait_timeout_while(state, PATIENCE, |state| !state.is_over));
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that can panic is done with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

/// What the writer does next, as it was wished then.
struct Turn {
    asked: u64,
    is_closed: bool,
    /// It tries once more what it could not write.
    is_retry: bool,
}

struct Writer<T, F, W> {
    shared: Arc<Shared<T>>,
    form: F,
    to: W,
    /// What it has taken from the queue.
    items: VecDeque<T>,
    lost: u64,
    text: Vec<u8>,
    /// Bytes of the text that are written.
    written: usize,
}

impl<T, F: LineEncoder<T>, W: Write> Writer<T, F, W> {
    fn run(&mut self) {
        let mut has_failed = false;
        loop {
            let turn = self.take(has_failed);
            has_failed = self.write().is_err();
            if turn.is_retry && !has_failed {
                // What has come since is still to be taken.
                continue;
            }
            let mut state = self.shared.lock();
            state.answered = turn.asked;
            state.is_over = turn.is_closed;
            self.shared.done.notify_all();
            if turn.is_closed {
                return;
            }
        }
    }

    /// Waits for something to write. What could not be written is kept, and until it is nothing else is taken.
    fn take(&mut self, is_retry: bool) -> Turn {
        let shared = self.shared.clone();
        let is_hurried = |state: &State<T>| state.asked > state.answered || state.is_closed;
        let mut state = shared.lock();
        if is_retry {
            let waited = shared.wake.wait_timeout_while(state, RETRY, |state| !is_hurried(state));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            return Turn { asked: state.asked, is_closed: state.is_closed, is_retry };
        }
        while state.waiting.is_empty() && state.lost == 0 && !is_hurried(&state) {
            state.is_asleep = true;
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_asleep = false;
        let goes_on = |state: &mut State<T>| !is_hurried(state) && state.bytes <= shared.max_bytes / 2;
        state = shared.wake.wait_timeout_while(state, GATHER, goes_on).unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut self.items, &mut state.waiting);
        (state.bytes, self.lost) = (0, std::mem::take(&mut state.lost));
        Turn { asked: state.asked, is_closed: state.is_closed, is_retry }
    }

    fn write(&mut self) -> io::Result<()> {
        loop {
            while self.written < self.text.len() {
                match self.to.write(&self.text[self.written..]) {
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
                self.form.encode_line(&item, &mut self.text);
            }
            if self.text.is_empty() {
                let lost = std::mem::take(&mut self.lost);
                if lost == 0 {
                    return Ok(());
                }
                self.form.encode_lost(lost, &mut self.text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Plain;

    impl LineEncoder<String> for Plain {
        fn encode_line(&mut self, item: &String, text: &mut Vec<u8>) {
            text.extend_from_slice(item.as_bytes());
        }

        fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>) {
            text.extend_from_slice(format!("({lines})\n").as_bytes());
        }
    }

    /// A disk: how many bytes it takes is told before each write; none, and it is full.
    struct Disk {
        room: mpsc::Receiver<usize>,
        text: Arc<Mutex<String>>,
    }

    impl Write for Disk {
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
    fn what_a_full_disk_does_not_take_is_written_when_there_is_room_and_what_did_not_fit_is_counted() {
        let (tell, room) = mpsc::channel();
        let text = Arc::new(Mutex::new(String::new()));
        let (queue, writing) =
            LineQueue::start("test", 24, Plain, Disk { room, text: text.clone() }).expect("a thread");
        let say = |line: &str| queue.push(line.to_owned(), line.len());
        tell.send(4).expect("it lives");
        tell.send(0).expect("it lives");
        say("one\ntwo\n");
        queue.flush();
        assert_eq!(*text.lock().expect("no panic"), "one\n");
        // The queue fills up, whatever the writer has in its hands.
        for number in 10..20 {
            say(&format!("line {number}\n"));
        }
        drop(tell);
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
    fn queue_holds_up_nobody_while_its_disk_stalls() {
        let ((stalled, stalls), (open, never)) = (mpsc::channel(), mpsc::channel());
        let disk = StalledDisk { stalled, _open: open, never };
        let (queue, writing) = LineQueue::start("test", 100, Plain, disk).expect("a thread");
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
