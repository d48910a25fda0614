//! Notes that appear above the line that is being typed, never in the middle of it.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
};

use rustyline::ExternalPrinter;
use tracing_subscriber::{fmt, layer::SubscriberExt, util::SubscriberInitExt};

use console::session::{DisplayKind, DisplayLines};
use frontend::{
    error::CliError,
    text::{Style, StyledLine},
    visible::visible,
};
use terminal::{
    logging,
    output::{self, Paint},
};

/// Capacity of the queue.
const QUEUE_CAPACITY: usize = 256;

/// Handle that shows notes from any thread, without blocking.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    queue: SyncSender<String>,
    shared: Arc<NotesState>,
}

#[derive(Debug, Default)]
struct NotesState {
    is_prompting: AtomicBool,
    dropped: AtomicUsize,
    /// Held while another program has the terminal.
    terminal: Mutex<()>,
}

/// Guard while the prompt is on the screen.
pub(crate) struct PromptGuard(Arc<NotesState>);

impl Notes {
    /// Starts the thread that shows notes. `external_printer` prints above the line that is being typed; without it,
    /// notes go to stderr at once. It blocks until the reader of the line takes the note, so it needs a thread of its
    /// own.
    pub(crate) fn start(mut external_printer: Option<impl ExternalPrinter + Send + 'static>) -> Self {
        let (queue, notes) = sync_channel::<String>(QUEUE_CAPACITY);
        let shared = Arc::new(NotesState::default());
        let state = shared.clone();
        std::thread::spawn(move || {
            for mut note in notes {
                let dropped = state.dropped.swap(0, Ordering::SeqCst);
                if dropped > 0 {
                    note.push_str(&format!("… {dropped} more notes not shown\n"));
                }
                match &mut external_printer {
                    Some(external_printer) if state.is_prompting.load(Ordering::SeqCst) => {
                        // The reader of the line reports a terminal that is gone.
                        let _gone = external_printer.print(note);
                    }
                    _ => {
                        let _terminal = state.terminal();
                        // Clears the status line, which will be drawn again.
                        let clear = if external_printer.is_some() { "\r\x1b[K" } else { "" };
                        output::to_stderr(&format!("{clear}{note}"));
                    }
                }
            }
        });
        Self { queue, shared }
    }

    /// Shows log lines as notes: warnings only, because the session reports everything else that its user needs.
    pub(crate) fn capture_logs(&self) -> Result<(), CliError> {
        let level = logging::level(tracing::Level::WARN)?;
        let notes = self.clone();
        let layer = fmt::layer().with_target(false).with_ansi(false).with_writer(move || notes.clone());
        // An earlier subscriber stays in place.
        let _is_ours = tracing_subscriber::registry().with(layer).with(logging::targets(level)).try_init();
        Ok(())
    }

    pub(crate) fn show_line(&self, line: &StyledLine) {
        let lines = line.wrapped(output::stderr_columns());
        self.text(lines.iter().map(|line| Paint::for_stderr().line(line) + "\n").collect());
    }

    /// Shows lines of a session that belong to no input.
    pub(crate) fn show(&self, shown: &DisplayLines) {
        for line in &shown.lines {
            match shown.kind {
                DisplayKind::Warning => self.show_line(&StyledLine::of(Style::Error, "✗ ").with_line(line)),
                _ => self.show_line(line),
            }
        }
    }

    /// Shows an error.
    pub(crate) fn warn(&self, text: &str) {
        self.show_line(&StyledLine::of(Style::Error, "✗ ").with(Style::Plain, text));
    }

    fn text(&self, text: String) {
        if self.queue.try_send(text).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Holds notes back while another program has the terminal.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.shared.terminal()
    }

    pub(crate) fn begin_prompt(&self) -> PromptGuard {
        self.shared.is_prompting.store(true, Ordering::SeqCst);
        PromptGuard(self.shared.clone())
    }
}

impl NotesState {
    fn terminal(&self) -> MutexGuard<'_, ()> {
        self.terminal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PromptGuard {
    fn drop(&mut self) {
        self.0.is_prompting.store(false, Ordering::SeqCst);
    }
}

/// Writes log lines as notes.
impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text(visible(&String::from_utf8_lossy(bytes)).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
