//! What the host functions of a play print and report to its caller, within limits like those of a script.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use worker::{PRINT_COST, ScriptProgress};

/// A print of a host function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostPrint {
    Text(String),
    /// The prints exceed the limit. This and later texts are dropped.
    TooMuch,
}

/// The output of the host functions of a play.
#[derive(Debug, Clone)]
pub(crate) struct PlayOutput(Arc<SharedOutput>);

#[derive(Debug)]
struct SharedOutput {
    prints: mpsc::UnboundedSender<HostPrint>,
    /// The bytes that can still be printed; `None` once the limit was exceeded.
    left: Mutex<Option<u64>>,
    /// The newest report of the running call.
    progress: Mutex<Option<ScriptProgress>>,
}

impl PlayOutput {
    /// Makes the output of a play, and the receiver of its prints, whose number and size `max_bytes` bounds.
    pub(crate) fn new(max_bytes: u64) -> (Self, mpsc::UnboundedReceiver<HostPrint>) {
        let (prints, receiver) = mpsc::unbounded_channel();
        let shared = SharedOutput { prints, left: Mutex::new(Some(max_bytes)), progress: Mutex::default() };
        (Self(Arc::new(shared)), receiver)
    }

    pub(super) fn print(&self, text: String) {
        let mut left = lock(&self.0.left);
        let Some(bytes) = *left else { return };
        *left = bytes.checked_sub(PRINT_COST.saturating_add(text.len() as u64));
        let print = if left.is_some() { HostPrint::Text(text) } else { HostPrint::TooMuch };
        // Nobody receives prints once the play has ended.
        let _receiver_gone = self.0.prints.send(print);
    }

    pub(super) fn set_progress(&self, done: i64, total: i64, text: Option<&str>) {
        *lock(&self.0.progress) = Some(ScriptProgress::new(done, total, text));
    }

    pub(crate) fn progress(&self) -> Option<ScriptProgress> {
        lock(&self.0.progress).clone()
    }

    pub(crate) fn clear_progress(&self) {
        *lock(&self.0.progress) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_end_at_limit() {
        let (output, mut prints) = PlayOutput::new(600);
        output.print("first".into());
        output.print("x".repeat(600 - 2 * 256 - 5));
        output.print(String::new());
        output.print(String::new());
        assert_eq!(prints.try_recv(), Ok(HostPrint::Text("first".into())));
        assert!(matches!(prints.try_recv(), Ok(HostPrint::Text(text)) if text.len() == 83));
        assert_eq!(prints.try_recv(), Ok(HostPrint::TooMuch));
        assert!(prints.try_recv().is_err());
    }

    #[test]
    fn progress_text_is_cut_at_character() {
        let (output, _prints) = PlayOutput::new(0);
        output.set_progress(1, 2, Some(&format!("{}ß", "x".repeat(ScriptProgress::MAX_TEXT - 1))));
        let text = output.progress().and_then(|progress| progress.text).expect("a text");
        assert_eq!(text.len(), ScriptProgress::MAX_TEXT - 1);
    }
}
