//! What passes between a server and a worker, and how it is framed: a length of four bytes, little endian, then the
//! message in postcard's encoding. Both ends are one build, which [`Setup`] makes sure of.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    host::{HostCall, HostModule, HostReturn},
    inspection::{Answer, Inquiry},
    sandbox::Layer,
};

/// Tells builds apart: a worker of another build would read the messages wrongly.
pub(crate) const BUILD: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// Bytes of the length before each message.
pub(crate) const HEADER: usize = 4;

/// What a worker is made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What scripts see as `CIRCLE_NAME`.
    pub circle: String,
    /// What its plays may take.
    pub limits: Limits,
    /// The one directory that `import` reads; without one, nothing can be imported.
    pub modules: Option<PathBuf>,
    /// A script whose functions, constants and variables are there before the first play. What it prints is dropped; if it
    /// fails, every play fails as it did.
    pub init: Option<String>,
    /// Functions of the program's own that scripts may call; each call is an [`Event::HostCall`](crate::Event::HostCall).
    pub host: Vec<HostModule>,
    /// Whether the process ends instead, where it cannot be kept from the system ([`Layer::Syscalls`]).
    pub must_be_sealed: bool,
}

/// What one play may take, enforced inside the worker. Time is not among them: it belongs to the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Operations, as Rhai counts them, callbacks included.
    pub operations: Option<u64>,
    /// Bytes that may be printed (64 more counted for each print), and that the value may have as text or as JSON.
    pub output_bytes: u64,
    /// How deep functions may call each other.
    pub call_depth: u64,
    /// How deep an expression may nest.
    pub expression_depth: u64,
    /// Bytes of one string.
    pub string_bytes: u64,
    /// Items of one array or blob.
    pub array_items: u64,
    /// Properties of one map.
    pub map_items: u64,
    /// Bytes that the arguments of one call of a host function may have, as JSON, and its result.
    pub host_bytes: u64,
    /// Live bytes of the process, beside what it has before the first play. Held where the program's allocator is
    /// [`Allocator`](crate::Allocator): a play that goes past them is ended at its next operation, and a process that
    /// would have twice as many, within one operation, ends.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: None,
            output_bytes: 1 << 20,
            call_depth: 64,
            expression_depth: 64,
            string_bytes: 1 << 20,
            array_items: 100_000,
            map_items: 100_000,
            host_bytes: 256 << 10,
            memory_bytes: 64 << 20,
        }
    }
}

/// The first message on the work socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello<'a> {
    pub(crate) build: &'a str,
    pub(crate) setup: Setup,
}

/// Every later message on the work socket towards the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker<'a> {
    #[serde(borrow)]
    Play(Play<'a>),
    /// Asked between plays, so that it can be answered with values.
    Inspect(Inquiry),
    /// Answers the call of a host function, for which the play waits.
    Return { call: u64, returned: HostReturn },
}

/// One script to evaluate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Play<'a> {
    /// Tells the plays of one worker apart; greater with each, from 1.
    pub number: u64,
    /// The script.
    pub script: &'a str,
    /// A variable that the value is also bound to, if it is other than `()`.
    pub bind: Option<&'a str>,
    /// What the script sees as `CALLER_PUBLIC_KEY`; `()` without one.
    pub caller: Option<&'a str>,
}

/// On the work socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// First of all: it is sealed, and these hold.
    Sealed(Vec<Layer>),
    Print(Print),
    /// The play waits until it is answered.
    HostCall(HostCall),
    Done {
        play: u64,
        outcome: Outcome,
    },
    Answer {
        number: u64,
        answer: Answer,
    },
}

/// On the control socket, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromControl {
    Progress(ProgressReport),
    Answer { number: u64, answer: Answer },
}

/// On the control socket, towards the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Control {
    /// Ends that play, now or as soon as it begins.
    Stop { play: u64 },
    /// Asks for a [`ProgressReport`].
    Progress,
    /// Asked while a play runs.
    Inspect(Inquiry),
}

/// Something that a play printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// The play's number.
    pub play: u64,
    /// Where to.
    pub stream: Stream,
    /// The text, without a newline at its end.
    pub text: String,
    /// Where in the script, for [`Stream::Debug`].
    pub position: Option<Position>,
}

/// What a script prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// `print`.
    Print,
    /// `debug`.
    Debug,
}

/// Where in a script: both count from 1, columns in Unicode scalar values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// How far a play is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// The play's number; 0 between plays.
    pub play: u64,
    /// Operations so far.
    pub operations: u64,
    /// What the script said of itself.
    pub script: Option<ScriptProgress>,
}

/// What a script said with `progress(done, total)` or `progress(done, total, text)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptProgress {
    /// How much is done.
    pub done: i64,
    /// How much there is to do.
    pub total: i64,
    /// What it is doing.
    pub text: Option<String>,
}

/// How a play ended, as its worker tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It has a value.
    Value(Value),
    /// It does not parse or failed.
    Failed(ScriptError),
    /// A limit ended it.
    Limit {
        /// Which one.
        kind: LimitKind,
        /// Its value, in the unit of [`Limits`]; of a value's depth, 64.
        max: u64,
    },
    /// It was stopped.
    Stopped,
}

/// The value of a play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// As `print` would show it; empty for `()`.
    pub output: String,
    /// Rhai's name of its type.
    pub type_name: String,
    /// As JSON.
    pub json: String,
    /// Operations that the play took.
    pub operations: u64,
}

/// A script's error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// Whether it failed before or while it ran.
    pub kind: ErrorKind,
    /// The error's text, without its position.
    pub message: String,
    /// Where in the script of this play; of an error in a function of an earlier play, where that was called.
    pub position: Option<Position>,
    /// The innermost script function that it happened in.
    pub function: Option<String>,
    /// What may help.
    pub hint: Option<String>,
    /// The thrown value as JSON.
    pub thrown: Option<String>,
}

/// When a script's error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The script does not parse; nothing of it ran.
    Parse,
    /// It failed while it ran.
    Runtime,
}

/// Which limit ended a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKind {
    /// [`Limits::operations`].
    Operations,
    /// [`Limits::output_bytes`].
    Output,
    /// [`Limits::call_depth`].
    CallDepth,
    /// [`Limits::expression_depth`].
    ExpressionDepth,
    /// How deep a value may nest to be answered: 64.
    ValueDepth,
    /// [`Limits::string_bytes`].
    StringSize,
    /// [`Limits::array_items`].
    ArraySize,
    /// [`Limits::map_items`].
    MapSize,
    /// [`Limits::memory_bytes`].
    Memory,
    /// [`Limits::host_bytes`].
    HostBytes,
}

/// Appends one framed message.
pub(crate) fn encode(message: &impl Serialize, frame: Vec<u8>) -> Vec<u8> {
    let start = frame.len();
    let mut frame = frame;
    frame.extend_from_slice(&[0; HEADER]);
    let mut frame = postcard::to_extend(message, frame).expect("messages hold nothing that postcard cannot write");
    let length = u32::try_from(frame.len() - start - HEADER).expect("messages are bounded by the limits of a circle");
    frame[start..start + HEADER].copy_from_slice(&length.to_le_bytes());
    frame
}

/// The length that a frame's header states.
pub(crate) fn length(header: [u8; HEADER]) -> usize {
    u32::from_le_bytes(header) as usize
}

pub(crate) fn decode<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    postcard::from_bytes(payload).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads the payload of one frame into `buffer`; false at a clean end.
pub(crate) fn read_frame(mut from: impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut header = [0; HEADER];
    let first = loop {
        match from.read(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if first == 0 {
        return Ok(false);
    }
    from.read_exact(&mut header[first..])?;
    buffer.clear();
    let wanted = length(header);
    // Grows with what really arrives, whatever the header claims.
    if from.take(wanted as u64).read_to_end(buffer)? < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}

/// Writes one framed message with one call.
pub(crate) fn write_frame(mut to: impl Write, message: &impl Serialize, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut frame = std::mem::take(buffer);
    frame.clear();
    *buffer = encode(message, frame);
    to.write_all(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_and_end_cleanly() {
        let frames = encode(&Control::Progress, encode(&Control::Stop { play: 7 }, Vec::new()));
        let mut from = frames.as_slice();
        let mut buffer = Vec::new();
        assert!(read_frame(&mut from, &mut buffer).expect("a frame"));
        assert!(matches!(decode(&buffer), Ok(Control::Stop { play: 7 })));
        assert!(read_frame(&mut from, &mut buffer).expect("a frame"));
        assert!(matches!(decode(&buffer), Ok(Control::Progress)));
        assert!(!read_frame(&mut from, &mut buffer).expect("the end"));
    }

    proptest::proptest! {
        /// A worker may have been taken over by its script.
        #[test]
        fn no_bytes_of_a_worker_are_more_than_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            drop(decode::<FromWorker>(&bytes));
            drop(decode::<FromControl>(&bytes));
            drop(read_frame(bytes.as_slice(), &mut Vec::new()));
        }
    }

    #[test]
    fn a_frame_that_is_cut_is_an_error() {
        let frame = encode(&Control::Stop { play: 7 }, Vec::new());
        for end in 1..frame.len() {
            assert!(read_frame(&frame[..end], &mut Vec::new()).is_err(), "{end}");
        }
    }
}
