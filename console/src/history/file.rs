//! Access to the history's file without waiting for the disk.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{HistoryEntry, HistoryStore, SharedHistory};

/// The maximum number of jobs that wait for the thread.
const QUEUE_CAPACITY: usize = 256;

/// The longest wait for the disk when the console ends. The wait for another console's lock is shorter.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait of a user who asks for inputs that are still being read.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// A thread that reads and writes the history's file. Dropping the value waits until all inputs are written, unless the
/// disk hangs.
#[derive(Debug)]
pub struct HistoryFile {
    history: SharedHistory,
    /// `None` once the value is being dropped, or if nothing is stored.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum JobKind {
    Read,
    Write,
}

#[derive(Debug)]
enum Job {
    Read,
    Append(HistoryEntry),
}

/// The jobs that have not finished.
#[derive(Debug, Default)]
pub(super) struct JobCounter {
    counts: Mutex<JobCounts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct JobCounts {
    reads: usize,
    writes: usize,
    /// Whether a wait for the present reads has ended at its timeout, so that no other one follows.
    has_timed_out: bool,
}

impl HistoryFile {
    /// Starts the thread, which reads the file into `history`. `on_done` gets `Ok` after the file was read, and the
    /// reason if a job failed.
    pub fn open(
        store: HistoryStore,
        history: SharedHistory,
        on_done: impl Fn(Result<(), String>) + Send + 'static,
    ) -> Self {
        if !store.is_enabled() {
            return Self { history, jobs: None, thread: None };
        }
        let (jobs, waiting) = sync_channel::<Job>(QUEUE_CAPACITY);
        let shared = history.clone();
        let thread = std::thread::spawn(move || {
            let mut reader = store.reader();
            let mut reported = None;
            for job in waiting {
                let kind = job.kind();
                let outcome = match job {
                    Job::Read => reader.read().map(|update| shared.lock().update(update)),
                    Job::Append(entry) => store.append(&entry),
                };
                shared.jobs().finish(kind);
                let is_reported = match kind {
                    // The consoles read often: the same error is reported once.
                    JobKind::Read => {
                        let error = outcome.as_ref().err().cloned();
                        let is_known = error.is_some() && error == reported;
                        reported = error;
                        !is_known
                    }
                    JobKind::Write => outcome.is_err(),
                };
                if is_reported {
                    on_done(outcome);
                }
            }
        });
        Self { history, jobs: Some(jobs), thread: Some(thread) }
    }

    /// Reads what the file has got since the last time: the inputs of other consoles.
    pub fn read(&self) {
        // One that waits reads everything.
        if self.history.jobs().reads() < 2 {
            self.queue(Job::Read);
        }
    }

    /// Appends an input to the file. Drops it if the queue is full because the disk is slow.
    pub fn append(&self, entry: HistoryEntry) {
        self.queue(Job::Append(entry));
    }

    fn queue(&self, job: Job) {
        let Some(jobs) = &self.jobs else { return };
        let kind = job.kind();
        self.history.jobs().start(kind);
        // A missing history entry does little harm.
        if jobs.try_send(job).is_err() {
            self.history.jobs().finish(kind);
        }
    }
}

impl Drop for HistoryFile {
    fn drop(&mut self) {
        self.jobs = None;
        // A thread that hangs ends with the process.
        if self.history.flush()
            && let Some(thread) = self.thread.take()
        {
            // The panic hook has reported a panic of the thread.
            let _ended = thread.join();
        }
    }
}

impl Job {
    fn kind(&self) -> JobKind {
        match self {
            Self::Read => JobKind::Read,
            Self::Append(_) => JobKind::Write,
        }
    }
}

impl JobCounter {
    fn start(&self, kind: JobKind) {
        *self.lock().count(kind) += 1;
    }

    /// The number of unfinished reads.
    fn reads(&self) -> usize {
        self.lock().reads
    }

    fn finish(&self, kind: JobKind) {
        let mut counts = self.lock();
        let count = counts.count(kind);
        *count = count.saturating_sub(1);
        counts.has_timed_out &= counts.reads > 0;
        self.changed.notify_all();
    }

    /// Waits until there is no job. Returns false at the timeout.
    pub(super) fn wait_until_done(&self) -> bool {
        let waited =
            self.changed.wait_timeout_while(self.lock(), FLUSH_TIMEOUT, |counts| counts.reads + counts.writes > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits until there is no read. Returns false at the timeout.
    pub(super) fn wait_until_read(&self) -> bool {
        let is_awaited = |counts: &mut JobCounts| counts.reads > 0 && !counts.has_timed_out;
        let (mut counts, _) = self
            .changed
            .wait_timeout_while(self.lock(), READ_TIMEOUT, is_awaited)
            .unwrap_or_else(PoisonError::into_inner);
        counts.has_timed_out = counts.reads > 0;
        counts.reads == 0
    }

    fn lock(&self) -> MutexGuard<'_, JobCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobCounts {
    fn count(&mut self, kind: JobKind) -> &mut usize {
        match kind {
            JobKind::Read => &mut self.reads,
            JobKind::Write => &mut self.writes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::inputs::tests::entry;

    #[test]
    fn dropped_file_has_all_inputs() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = HistoryStore::new(Some(directory.path().join("history")), 100);
        let file = HistoryFile::open(store.clone(), SharedHistory::default(), |outcome| outcome.expect("no error"));
        for number in 0..100 {
            file.append(entry(number, "a", &number.to_string()));
        }
        drop(file);
        let history = SharedHistory::default();
        let file = HistoryFile::open(store, history.clone(), |outcome| outcome.expect("no error"));
        file.read();
        assert!(history.wait_until_read());
        assert_eq!(history.lock().inputs_of("a").len(), 100);
    }

    /// Two consoles with one file.
    #[test]
    fn console_finds_the_inputs_of_another_one_and_its_own_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || {
            let store = HistoryStore::new(Some(directory.path().join("history")), 100);
            let history = SharedHistory::default();
            let file = HistoryFile::open(store, history.clone(), |outcome| outcome.expect("no error"));
            file.read();
            assert!(history.wait_until_read());
            (history, file)
        };
        let play = |(history, file): &(SharedHistory, HistoryFile), time, input: &str| {
            let entry = entry(time, "a", input);
            assert!(history.lock().push(entry.clone()));
            file.append(entry);
            assert!(history.flush());
        };
        let inputs = |(history, file): &(SharedHistory, HistoryFile)| {
            file.read();
            assert!(history.wait_until_read());
            history.lock().inputs_of("a").iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (one, other) = (open(), open());
        play(&one, 1, "first");
        play(&other, 2, "second");
        play(&one, 3, "third");
        assert_eq!(inputs(&one), ["first", "second", "third"]);
        assert_eq!(inputs(&other), ["first", "second", "third"]);
        play(&other, 4, "third");
        assert_eq!(inputs(&one), ["first", "second", "third", "third"]);
        // Another console makes the file anew.
        let file = directory.path().join("history/history.jsonl");
        let text = std::fs::read_to_string(&file).expect("it is there");
        let rest: Vec<&str> = text.lines().skip(1).collect();
        std::fs::remove_file(&file).expect("removed");
        std::fs::write(&file, rest.join("\n") + "\n").expect("written");
        play(&other, 5, "fourth");
        assert_eq!(inputs(&one), ["first", "second", "third", "third", "fourth"]);
        assert_eq!(inputs(&other), ["second", "third", "third", "fourth"]);
    }

    #[test]
    fn error_of_reading_is_reported_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("history/history.jsonl");
        std::fs::create_dir_all(&place).expect("made");
        let (report, reported) = std::sync::mpsc::channel();
        let history = SharedHistory::default();
        let store = HistoryStore::new(Some(directory.path().join("history")), 100);
        let file =
            HistoryFile::open(store, history.clone(), move |outcome| report.send(outcome).expect("the test listens"));
        let read = || {
            file.read();
            assert!(history.wait_until_read());
        };
        read();
        assert!(reported.recv().expect("reported").expect_err("a directory").starts_with("cannot read the history"));
        read();
        std::fs::remove_dir(&place).expect("removed");
        read();
        assert_eq!(reported.recv(), Ok(Ok(())));
    }

    #[test]
    fn disabled_file_has_no_jobs() {
        let history = SharedHistory::default();
        let file = HistoryFile::open(HistoryStore::new(None, 100), history.clone(), |_| panic!("no job"));
        file.read();
        file.append(entry(0, "a", "1"));
        assert!(history.wait_until_read() && history.flush());
    }
}
