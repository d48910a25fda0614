//! Logs of a circle: its log, on stderr and in a file, and the audit of its plays. Separate threads write them, so that a slow
//! disk or terminal delays no connection.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use launcher::{
    Audit, LogFormat,
    log::{LineEncoder, LineQueue, LogFile, LogLevel, RotationPolicy, WriterGuard},
};
use server_ws::PlayRecord;
use tracing_subscriber::{
    Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::audit::{AuditLog, AuditWriter};
use crate::cli::ServeArgs;
use frontend::error::CliError;
use terminal::{logging, output};

/// Largest size of log lines that wait to be written, in bytes.
const MAX_LOG: usize = 1 << 20;

/// Interval of checks for due counts of the audit.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);

type SharedLine = Arc<[u8]>;

/// Log and audit of a circle. Dropping it waits until everything is written.
pub(crate) struct CircleLogs {
    format: LogFormat,
    outputs: LogOutputs,
    audit: Option<AuditLog>,
    _log: Vec<WriterGuard<SharedLine>>,
}

/// Outputs of the log.
#[derive(Clone)]
struct LogOutputs {
    stderr: LineQueue<SharedLine>,
    file: Option<LineQueue<SharedLine>>,
}

impl CircleLogs {
    /// Starts the log of this process, and the audit if one is configured.
    pub(super) fn start(args: &ServeArgs) -> Result<Self, CliError> {
        let format = args.log_format;
        let mut writing = Vec::new();
        let mut queue = |name, output: Box<dyn Write + Send>| {
            let (queue, writes) =
                LineQueue::start(name, MAX_LOG, LogLineFormat(format), output).map_err(thread_error)?;
            writing.push(writes);
            Ok::<_, CliError>(queue)
        };
        let stderr = queue("log to stderr", Box::new(io::stderr()))?;
        let file = match &args.log_file {
            Some(path) => Some(queue("log to file", Box::new(open(path, RotationPolicy::LOG)?))?),
            None => None,
        };
        let audit = match &args.audit_file {
            Some(path) if args.audit != Audit::Off => {
                let bounds = args.audit_rotation.bounds();
                let has_scripts = args.audit == Audit::Scripts;
                let file = open(path, bounds)?;
                Some(AuditLog::start(&args.name, has_scripts, bounds, file).map_err(thread_error)?)
            }
            _ => None,
        };
        let records = Self { format, outputs: LogOutputs { stderr, file }, audit, _log: writing };
        records.init_tracing()?;
        Ok(records)
    }

    /// Starts the log of a process that has no other outputs than stderr.
    pub(crate) fn start_on_stderr() -> Result<Self, CliError> {
        let format = LogFormat::Text;
        let output: Box<dyn Write + Send> = Box::new(io::stderr());
        let (stderr, writing) =
            LineQueue::start("log to stderr", MAX_LOG, LogLineFormat(format), output).map_err(thread_error)?;
        let logs = Self { format, outputs: LogOutputs { stderr, file: None }, audit: None, _log: vec![writing] };
        logs.init_tracing()?;
        logs.log_panics();
        Ok(logs)
    }

    fn init_tracing(&self) -> Result<(), CliError> {
        let level = logging::level(tracing::Level::INFO)?;
        let layer = fmt::layer().with_target(false).with_writer(self.outputs.clone());
        let layer: Box<dyn Layer<Registry> + Send + Sync> = match self.format {
            LogFormat::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
            LogFormat::Text => {
                layer.with_ansi(self.outputs.file.is_none() && output::Paint::for_stderr().is_on()).boxed()
            }
        };
        tracing_subscriber::registry().with(layer).with(logging::targets(level)).init();
        Ok(())
    }

    /// The function that takes records of plays, if auditing is on.
    pub(super) fn audit(&self) -> Option<impl Fn(PlayRecord) + Send + Sync + use<>> {
        let audit = self.audit.as_ref()?.writer();
        Some(move |record: PlayRecord| audit.record(record))
    }

    /// Writes the audit's counts of plays whenever they are due. Never returns.
    pub(super) async fn write_counts_periodically(audit: Option<AuditWriter>) {
        let Some(audit) = audit else { return };
        let mut tick = tokio::time::interval(COUNT_INTERVAL);
        loop {
            tick.tick().await;
            audit.write_due_counts();
        }
    }

    /// The writer of the audit, if auditing is on.
    pub(super) fn audit_writer(&self) -> Option<AuditWriter> {
        self.audit.as_ref().map(AuditLog::writer)
    }

    /// Writes a line to the file only: stderr has the message in another form.
    pub(super) fn write_to_file(&self, level: LogLevel, line: &str) {
        self.outputs.keep(self.format, level, line);
    }

    /// Logs panics, too.
    pub(super) fn log_panics(&self) {
        let (format, outputs) = (self.format, self.outputs.clone());
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let bug = format!("a bug: {panic}");
            outputs.keep(format, LogLevel::Error, &bug);
            match format {
                LogFormat::Text => report(panic),
                LogFormat::Json => outputs.stderr.push_line(format, LogLevel::Error, &bug),
            }
            // The process may not survive the panic.
            outputs.flush();
        }));
    }

    /// A function that writes everything that waits, to be called before the process ends.
    pub(super) fn flusher(&self) -> impl FnOnce() + Send + use<> {
        let (outputs, audit) = (self.outputs.clone(), self.audit_writer());
        move || {
            if let Some(audit) = audit {
                audit.flush();
            }
            outputs.flush();
        }
    }
}

impl LogOutputs {
    fn keep(&self, format: LogFormat, level: LogLevel, line: &str) {
        if let Some(file) = &self.file {
            file.push_line(format, level, line);
        }
    }

    fn flush(&self) {
        // The file first: the terminal may block.
        self.file.iter().chain([&self.stderr]).for_each(LineQueue::flush);
    }
}

trait PushLine {
    fn push_line(&self, format: LogFormat, level: LogLevel, line: &str);
}

impl PushLine for LineQueue<SharedLine> {
    fn push_line(&self, format: LogFormat, level: LogLevel, line: &str) {
        let line: SharedLine = format.format_line(SystemTime::now(), level, line).into_bytes().into();
        let bytes = line.len();
        self.push(line, bytes);
    }
}

impl<'a> MakeWriter<'a> for LogOutputs {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Takes whole lines, as the formatter of `tracing` writes them.
impl Write for &LogOutputs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shared: SharedLine = line.into();
        if let Some(file) = &self.file {
            file.push(shared.clone(), line.len());
        }
        self.stderr.push(shared, line.len());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogLineFormat(LogFormat);

impl LineEncoder<SharedLine> for LogLineFormat {
    fn encode_line(&mut self, line: &SharedLine, text: &mut Vec<u8>) {
        text.extend_from_slice(line);
    }

    fn encode_lost(&mut self, lines: u64, text: &mut Vec<u8>) {
        let line = format!("({lines} lines lost: they could not be written in time)");
        text.extend_from_slice(self.0.format_line(SystemTime::now(), LogLevel::Warn, &line).as_bytes());
    }
}

fn open(path: &Path, bounds: RotationPolicy) -> Result<LogFile, CliError> {
    LogFile::open(path, bounds).map_err(|error| {
        let fix = "make it writable, or set XDG_STATE_HOME";
        CliError::io(format!("cannot write {}", path.display()), &error, fix)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn thread_error(error: io::Error) -> CliError {
    CliError::io("cannot write the log", &error, "are there too many processes?")
}
