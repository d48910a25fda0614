//! The audit of a circle: a line for each play, or a count once a caller has used its quota. A separate thread writes it.

mod quota;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use launcher::log::{LineEncoder, LineQueue, LogFile, RotationPolicy, WriterGuard};
use server_ws::{PlayCaller, PlayRecord};
use sha2::{Digest, Sha256};

use quota::{AuditQuota, AuditedPlay, PlayCount};

/// Largest size of records that wait to be written, in bytes, including their scripts.
const MAX_WAITING: usize = 8 << 20;

/// Size of a line without its script, in bytes.
const LINE_BYTES: usize = 320;

/// The audit of a served circle. Dropping it writes the remaining counts and waits until all is written.
pub(super) struct AuditLog {
    writer: AuditWriter,
    _writer_thread: WriterGuard<AuditItem>,
}

/// Handle that queues records for the writer thread.
#[derive(Clone)]
pub(super) struct AuditWriter {
    quota: Arc<Mutex<AuditQuota<PlayCaller>>>,
    queue: LineQueue<AuditItem>,
    has_scripts: bool,
}

enum AuditItem {
    Play(Box<PlayRecord>),
    Count(PlayCount<PlayCaller>),
}

impl AuditLog {
    pub(super) fn start(circle: &str, has_scripts: bool, bounds: RotationPolicy, file: LogFile) -> io::Result<Self> {
        let format = AuditLineFormat { circle: circle.to_owned(), has_scripts };
        let (queue, writing) = LineQueue::start("audit", MAX_WAITING, format, file)?;
        let quota = Arc::new(Mutex::new(AuditQuota::of(bounds.total(), Instant::now())));
        Ok(Self { writer: AuditWriter { quota, queue, has_scripts }, _writer_thread: writing })
    }

    pub(super) fn writer(&self) -> AuditWriter {
        self.writer.clone()
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.writer.write_all_counts();
    }
}

/// Returns the script of a play, or the arguments of a call.
fn audited_input(record: &PlayRecord) -> &str {
    record.call().map_or_else(|| record.script(), |(_, arguments)| arguments)
}

impl AuditWriter {
    /// Queues a line for the play, or counts the play. Never waits for the disk.
    pub(super) fn record(&self, record: PlayRecord) {
        let input = audited_input(&record);
        let script = if self.has_scripts { json_length(input) } else { 0 };
        let play = AuditedPlay { outcome: record.outcome, code: record.code, bytes: (LINE_BYTES + script) as u64 };
        let caller = record.caller.quota_caller();
        let has_line = self.quota().record(caller, &play, record.is_refused, Instant::now(), record.ended);
        if has_line {
            // The record holds its script in memory even if only the hash is written.
            let bytes = LINE_BYTES + input.len();
            self.queue.push(AuditItem::Play(Box::new(record)), bytes);
        }
    }

    pub(super) fn write_due_counts(&self) {
        let counts = self.quota().take_due(Instant::now());
        self.push(counts);
    }

    fn write_all_counts(&self) {
        let counts = self.quota().take_all();
        self.push(counts);
    }

    /// Writes everything that waits, before the process ends. Blocks for two seconds at most.
    pub(super) fn flush(&self) {
        self.write_all_counts();
        self.queue.flush();
    }

    fn push(&self, counts: Vec<PlayCount<PlayCaller>>) {
        for count in counts {
            self.queue.push(AuditItem::Count(count), LINE_BYTES);
        }
    }

    fn quota(&self) -> MutexGuard<'_, AuditQuota<PlayCaller>> {
        // No code can panic while it holds the lock.
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Length of a text as a JSON string, in bytes.
fn json_length(text: &str) -> usize {
    let length = |byte| match byte {
        b'"' | b'\\' => 2,
        byte if byte < b' ' => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

const INFALLIBLE_WRITE: &str = "writing into memory cannot fail";

/// Encodes items as JSON, one object per line.
struct AuditLineFormat {
    circle: String,
    has_scripts: bool,
}

impl LineEncoder<AuditItem> for AuditLineFormat {
    fn encode_line(&mut self, item: &AuditItem, text: &mut Vec<u8>) {
        match item {
            AuditItem::Play(play) => self.play(play, text),
            AuditItem::Count(count) => self.count(count, text),
        }
    }

    fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>) {
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        writeln!(text, r#"{{"timestamp":"{now}","lost":{lines}}}"#).expect(INFALLIBLE_WRITE);
    }
}

impl AuditLineFormat {
    fn play(&self, play: &PlayRecord, text: &mut Vec<u8>) {
        let (ended, hash) = (humantime::format_rfc3339_micros(play.ended), Sha256::digest(audited_input(play)));
        write!(
            text,
            // A circle's name needs no escapes.
            r#"{{"timestamp":"{ended}","circle":"{}","session":{},"caller":"{}","outcome":"{}","#,
            self.circle, play.session, play.caller, play.outcome
        )
        .expect(INFALLIBLE_WRITE);
        if let Some(code) = play.code {
            write!(text, r#""code":{code},"#).expect(INFALLIBLE_WRITE);
        }
        if let Some(role) = &play.role {
            // The name of a role needs no escapes.
            write!(text, r#""role":"{role}","#).expect(INFALLIBLE_WRITE);
        }
        let input = if let Some((function, _)) = play.call() {
            text.extend_from_slice(br#""function":"#);
            serde_json::to_writer(&mut *text, function).expect(INFALLIBLE_WRITE);
            text.push(b',');
            if play.is_from_play() {
                text.extend_from_slice(br#""from_play":true,"#);
            }
            "arguments"
        } else {
            "script"
        };
        write!(text, r#""elapsed_us":{},"{input}_sha256":""#, play.elapsed.as_micros()).expect(INFALLIBLE_WRITE);
        let at = text.len();
        text.resize(at + 2 * hash.len(), b'0');
        hex::encode_to_slice(hash, &mut text[at..]).expect("two digits a byte");
        text.push(b'"');
        if self.has_scripts {
            write!(text, r#","{input}":"#).expect(INFALLIBLE_WRITE);
            serde_json::to_writer(&mut *text, audited_input(play)).expect(INFALLIBLE_WRITE);
        }
        text.extend_from_slice(b"}\n");
    }

    fn count(&self, count: &PlayCount<PlayCaller>, text: &mut Vec<u8>) {
        let [first, last] = [count.first, count.last].map(humantime::format_rfc3339_micros);
        write!(text, r#"{{"timestamp":"{last}","circle":"{}","#, self.circle).expect(INFALLIBLE_WRITE);
        match count.caller {
            Some(caller) => write!(text, r#""caller":"{caller}","#).expect(INFALLIBLE_WRITE),
            None => text.extend_from_slice(br#""caller":"others","#),
        }
        write!(text, r#""outcome":"{}","#, count.outcome).expect(INFALLIBLE_WRITE);
        if let Some(code) = count.code {
            write!(text, r#""code":{code},"#).expect(INFALLIBLE_WRITE);
        }
        writeln!(text, r#""plays":{},"since":"{first}"}}"#, count.plays).expect(INFALLIBLE_WRITE);
    }
}
