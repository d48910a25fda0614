//! The input history: a private file for each circle and key.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

use directories::ProjectDirs;
use rustyline::{
    Config,
    error::ReadlineError,
    history::{FileHistory, History as _},
};

use frontend::text::{Style, StyledLine};

/// The number of hex digits of a secret key.
const SECRET_DIGITS: usize = 64;

/// The maximum number of inputs in a history.
pub const MAX_INPUTS: usize = 10_000;

/// The number of listed inputs without a search text.
const MAX_RECENT: usize = 50;

/// The maximum number of inputs that wait for the writer thread.
const QUEUE_CAPACITY: usize = 256;

/// The history file of a circle and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFile(
    /// `None` if the user has no state directory; then the history is not kept.
    Option<PathBuf>,
);

/// Returns the directory of all history files: `history` in the user's state directory.
pub fn default_directory() -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "circles")?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("history"))
}

impl HistoryFile {
    /// Returns the history file of a circle and a key, or of the anonymous caller. `circle` identifies the circle.
    pub fn of(directory: Option<&Path>, circle: &str, key: Option<&str>) -> Self {
        let safe = |text: &str| text.replace(|character: char| !character.is_ascii_alphanumeric(), "_");
        let name = format!("{}-{}.txt", safe(circle), safe(key.unwrap_or("anonymous")));
        Self(directory.map(|directory| directory.join(name)))
    }

    /// The path of the file, if the file exists.
    pub fn existing_path(&self) -> Option<&Path> {
        self.0.as_deref().filter(|file| file.exists())
    }

    /// Reads the inputs, oldest first. Blocks.
    pub fn read(&self) -> Result<Vec<String>, String> {
        let Some(file) = self.existing_path() else { return Ok(Vec::new()) };
        Ok(open(file)?.iter().cloned().collect())
    }

    /// Creates the file with private permissions if needed, and calls `append` to write to it.
    pub fn append_with(&self, append: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
        let Some(file) = &self.0 else { return Ok(()) };
        let written = prepare(file).map_err(|error| error.to_string()).and_then(|()| append(file));
        written.map_err(|error| format!("cannot write the history file {}: {error}", file.display()))
    }
}

/// Writes inputs to history files, on a separate thread. Dropping the value waits until all inputs are written.
pub struct HistoryWriter {
    /// `None` once the writer is being dropped.
    inputs: Option<SyncSender<(HistoryFile, String)>>,
    thread: Option<JoinHandle<()>>,
}

impl HistoryWriter {
    /// Starts the thread. `on_error` gets the reason if an input cannot be written.
    pub fn start(on_error: impl Fn(String) + Send + 'static) -> Self {
        let (inputs, waiting) = sync_channel::<(HistoryFile, String)>(QUEUE_CAPACITY);
        let thread = std::thread::spawn(move || {
            // `FileHistory` appends to a file only after it has read it.
            let mut histories: HashMap<PathBuf, FileHistory> = HashMap::new();
            for (history, input) in waiting {
                let kept = history.append_with(|file| {
                    let mut entries = match histories.remove(file) {
                        Some(entries) => entries,
                        None => open(file)?,
                    };
                    let kept =
                        entries.add(&input).and_then(|_| entries.append(file)).map_err(|error| error.to_string());
                    histories.insert(file.to_owned(), entries);
                    kept
                });
                if let Err(error) = kept {
                    on_error(error);
                }
            }
        });
        Self { inputs: Some(inputs), thread: Some(thread) }
    }

    /// Queues an input. Drops it if the queue is full because the disk is slow.
    pub fn append(&self, history: HistoryFile, input: String) {
        if let Some(inputs) = &self.inputs {
            // A missing history entry does little harm.
            let _full = inputs.try_send((history, input));
        }
    }
}

impl Drop for HistoryWriter {
    fn drop(&mut self) {
        self.inputs = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread.
            let _ended = thread.join();
        }
    }
}

fn open(file: &Path) -> Result<FileHistory, String> {
    let mut entries = new_history()?;
    if fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0) {
        entries.load(file).map_err(|error| error.to_string())?;
    }
    Ok(entries)
}

/// Returns the error text for a history that cannot be read.
pub fn read_error_text(file: &Path, error: &ReadlineError) -> String {
    format!("cannot read the history file {}: {error}", file.display())
}

fn new_history() -> Result<FileHistory, String> {
    let config = Config::builder().max_history_size(MAX_INPUTS).map_err(|error| error.to_string())?;
    Ok(FileHistory::with_config(&config.build()))
}

/// Whether the history keeps an input: not if it starts with a space or may contain a secret key.
pub fn is_kept(input: &str) -> bool {
    !input.starts_with(' ') && !holds_secret(input)
}

/// Formats the inputs that contain a text, with their numbers, newest last. Without a text, only the last 50 inputs.
pub fn lines<T: AsRef<str>>(newest_first: impl Iterator<Item = (usize, T)>, part: &str) -> Vec<StyledLine> {
    let most = if part.is_empty() { MAX_RECENT } else { MAX_INPUTS };
    let mut inputs: Vec<_> = newest_first.filter(|(_, input)| input.as_ref().contains(part)).take(most).collect();
    inputs.reverse();
    let mut lines = Vec::new();
    for (number, input) in inputs {
        for (index, text) in input.as_ref().split('\n').enumerate() {
            let number = if index == 0 { format!("{number:5}  ") } else { " ".repeat(7) };
            lines.push(StyledLine::of(Style::Dim, &number).with(Style::Plain, text));
        }
    }
    if lines.is_empty() {
        lines.push(StyledLine::of(Style::Dim, "no matching input"));
    }
    lines
}

/// Creates the file before the library writes to it, so that other users can never read it.
fn prepare(file: &Path) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    if let Some(directory) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(|_| ())
}

/// Whether a text contains exactly 64 hex digits in a row, like a secret key. A public key has 66.
pub fn holds_secret(input: &str) -> bool {
    input.split(|character: char| !character.is_ascii_hexdigit()).any(|digits| digits.len() == SECRET_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::{holds_secret, lines};

    #[test]
    fn history_lists_newest_last_and_filters() {
        let inputs = ["let a = 1", "fn f() {\n}", "a + 1"];
        let shown = |part: &str| {
            let newest_first = (1..).zip(inputs).collect::<Vec<_>>().into_iter().rev();
            lines(newest_first, part).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown("a"), ["    1  let a = 1", "    3  a + 1"]);
        assert_eq!(shown("fn"), ["    2  fn f() {", "       }"]);
        assert_eq!(shown("nothing"), ["no matching input"]);
        assert_eq!(lines((1..=99).rev().map(|number| (number, "x")), "").len(), super::MAX_RECENT);
    }

    #[test]
    fn possible_secret_key_is_recognised() {
        let secret = "0f".repeat(32);
        assert!(
            holds_secret(&format!("let k = 0x{secret}"))
                && holds_secret(&secret)
                && holds_secret(&format!("let k = \"{secret}\";"))
        );
        assert!(!holds_secret(&format!("02{secret}")));
        assert!(!holds_secret("let x = 0x1234;"));
    }
}
