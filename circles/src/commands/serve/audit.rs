//! The audit of a circle: a line for each play, or a count where a caller has used its share. A thread of its own writes it.

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

/// Bytes of records that wait to be written, their scripts included.
const MAX_WAITING: usize = 8 << 20;

/// Bytes of a line besides its script.
const LINE_BYTES: usize = 320;

/// The audit, for as long as the circle is served. Dropped, it writes the counts that are left, and waits until all is written.
pub(super) struct AuditLog {
    writer: AuditWriter,
    _writer_thread: WriterGuard<AuditItem>,
}

/// Where records are handed over.
#[derive(Clone)]
pub(super) struct AuditWriter {
    shares: Arc<Mutex<AuditQuota<PlayCaller>>>,
    queue: LineQueue<AuditItem>,
    has_scripts: bool,
}

enum AuditItem {
    Play(Box<PlayRecord>),
    Count(PlayCount<PlayCaller>),
}

impl AuditLog {
    pub(super) fn start(circle: &str, has_scripts: bool, bounds: RotationPolicy, file: LogFile) -> io::Result<Self> {
        let form = Lines { circle: circle.to_owned(), has_scripts };
        let (queue, writing) = LineQueue::start("audit", MAX_WAITING, form, file)?;
        let shares = Arc::new(Mutex::new(AuditQuota::of(bounds.total(), Instant::now())));
        Ok(Self { writer: AuditWriter { shares, queue, has_scripts }, _writer_thread: writing })
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

impl AuditWriter {
    /// Writes a line for the play, or counts it. Never waits for the disk.
    pub(super) fn record(&self, record: PlayRecord) {
        let script = if self.has_scripts { json_length(record.script()) } else { 0 };
        let play = AuditedPlay { outcome: record.outcome, code: record.code, bytes: (LINE_BYTES + script) as u64 };
        let caller = record.caller.quota_caller();
        let has_line = self.shares().record(caller, &play, record.is_refused, Instant::now(), record.ended);
        if has_line {
            // The script is in memory whether it will be written or not.
            let bytes = LINE_BYTES + record.script().len();
            self.queue.push(AuditItem::Play(Box::new(record)), bytes);
        }
    }

    pub(super) fn write_due_counts(&self) {
        let counts = self.shares().take_due(Instant::now());
        self.push(counts);
    }

    fn write_all_counts(&self) {
        let counts = self.shares().take_all();
        self.push(counts);
    }

    /// Waits until everything is written that can be, for who ends the process. Blocks, for two seconds at the most.
    pub(super) fn flush(&self) {
        self.write_all_counts();
        self.queue.flush();
    }

    fn push(&self, counts: Vec<PlayCount<PlayCaller>>) {
        for count in counts {
            self.queue.push(AuditItem::Count(count), LINE_BYTES);
        }
    }

    fn shares(&self) -> MutexGuard<'_, AuditQuota<PlayCaller>> {
        // Nothing that can panic is done with them.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a text as JSON writes it.
fn json_length(text: &str) -> usize {
    let length = |byte| match byte {
        b'"' | b'\\' => 2,
        byte if byte < b' ' => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

const MEMORY: &str = "memory takes what is written";

/// A JSON object for each.
struct Lines {
    circle: String,
    has_scripts: bool,
}

impl LineEncoder<AuditItem> for Lines {
    fn encode_line(&mut self, item: &AuditItem, text: &mut Vec<u8>) {
        match item {
            AuditItem::Play(play) => self.play(play, text),
            AuditItem::Count(count) => self.count(count, text),
        }
    }

    fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>) {
        let now = humantime::format_rfc3339_micros(SystemTime::now());
        writeln!(text, r#"{{"timestamp":"{now}","lost":{lines}}}"#).expect(MEMORY);
    }
}

impl Lines {
    fn play(&self, play: &PlayRecord, text: &mut Vec<u8>) {
        let (ended, hash) = (humantime::format_rfc3339_micros(play.ended), Sha256::digest(play.script()));
        write!(
            text,
            // A circle's name needs no escapes.
            r#"{{"timestamp":"{ended}","circle":"{}","session":{},"caller":"{}","outcome":"{}","#,
            self.circle, play.session, play.caller, play.outcome
        )
        .expect(MEMORY);
        if let Some(code) = play.code {
            write!(text, r#""code":{code},"#).expect(MEMORY);
        }
        write!(text, r#""elapsed_us":{},"script_sha256":""#, play.elapsed.as_micros()).expect(MEMORY);
        let at = text.len();
        text.resize(at + 2 * hash.len(), b'0');
        hex::encode_to_slice(hash, &mut text[at..]).expect("two digits a byte");
        text.push(b'"');
        if self.has_scripts {
            text.extend_from_slice(br#","script":"#);
            serde_json::to_writer(&mut *text, play.script()).expect(MEMORY);
        }
        text.extend_from_slice(b"}\n");
    }

    fn count(&self, count: &PlayCount<PlayCaller>, text: &mut Vec<u8>) {
        let [first, last] = [count.first, count.last].map(humantime::format_rfc3339_micros);
        write!(text, r#"{{"timestamp":"{last}","circle":"{}","#, self.circle).expect(MEMORY);
        match count.caller {
            Some(caller) => write!(text, r#""caller":"{caller}","#).expect(MEMORY),
            None => text.extend_from_slice(br#""caller":"others","#),
        }
        write!(text, r#""outcome":"{}","#, count.outcome).expect(MEMORY);
        if let Some(code) = count.code {
            write!(text, r#""code":{code},"#).expect(MEMORY);
        }
        writeln!(text, r#""plays":{},"since":"{first}"}}"#, count.plays).expect(MEMORY);
    }
}
