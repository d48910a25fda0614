//! The input history: one private file for all circles and keys, which both consoles share.

mod browser;
mod file;
mod inputs;
mod known_entry;
mod search;
mod store;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use frontend::text::{Style, StyledLine};

pub use browser::HistoryBrowser;
pub use file::HistoryFile;
pub use inputs::{InputHistory, SharedHistory};
pub use search::{HistorySearch, SearchRow};
pub use store::{HistoryReader, HistoryStore, HistoryUpdate, default_directory};

/// The number of hex digits of a secret key.
const SECRET_DIGITS: usize = 64;

/// The number of listed inputs without a search text.
const MAX_RECENT: usize = 50;

/// The circle and the key that an input was for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputOrigin {
    /// Identifies the circle: its address, or the name of a scratch circle.
    pub circle: String,
    /// The circle's own name, for display.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The name of the key, or `None` for the anonymous caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// An input in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When the input was entered, in seconds since 1970.
    pub time: u64,
    /// What the input was for.
    #[serde(flatten)]
    pub origin: InputOrigin,
    /// The input as it was typed.
    pub input: Arc<str>,
}

impl HistoryEntry {
    /// Returns an entry of now.
    pub fn now(origin: InputOrigin, input: &str) -> Self {
        Self { time: unix_time(), origin, input: input.into() }
    }
}

impl InputOrigin {
    /// Whether both are for the same circle. Histories of earlier versions knew an address only as a file name.
    fn is_same_circle(&self, circle: &str) -> bool {
        // Without an allocation: each key press asks this about each input.
        let is_file_name_of = || {
            let is_alike =
                |(stored, other): (u8, u8)| stored == other || stored == b'_' && !other.is_ascii_alphanumeric();
            self.circle.bytes().zip(circle.bytes()).all(is_alike)
        };
        self.circle == circle || self.circle.len() == circle.len() && is_file_name_of()
    }

    /// The circle and the key, for display.
    fn label(&self) -> String {
        let circle = if self.name.is_empty() { &self.circle } else { &self.name };
        self.key.as_ref().map_or_else(|| circle.clone(), |key| format!("{circle} ⚿ {key}"))
    }
}

/// The part of a file name that earlier versions made of a circle or a key.
fn file_name_of(text: &str) -> String {
    text.replace(|character: char| !character.is_ascii_alphanumeric(), "_")
}

/// Seconds since 1970.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Whether the history keeps an input: not if it is blank, starts with a space, or may contain a secret key.
pub fn is_kept(input: &str) -> bool {
    !input.starts_with(' ') && !input.trim().is_empty() && !holds_secret(input)
}

/// Formats the inputs that contain a text, with their numbers, newest last. Without a text, only the last 50 inputs.
/// The inputs are in the order of their numbers, which begin with 1.
pub fn lines(inputs: &[impl AsRef<str>], part: &str) -> Vec<StyledLine> {
    let most = if part.is_empty() { MAX_RECENT } else { usize::MAX };
    let numbered = inputs.iter().enumerate().map(|(index, input)| (index + 1, input)).rev();
    let mut inputs: Vec<_> = numbered.filter(|(_, input)| input.as_ref().contains(part)).take(most).collect();
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

/// Whether a text contains exactly 64 hex digits in a row, like a secret key. A public key has 66.
pub fn holds_secret(input: &str) -> bool {
    input.split(|character: char| !character.is_ascii_hexdigit()).any(|digits| digits.len() == SECRET_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::{holds_secret, is_kept, lines};

    #[test]
    fn history_lists_newest_last_and_filters() {
        let inputs = ["let a = 1", "fn f() {\n}", "a + 1"];
        let shown = |part: &str| lines(&inputs, part).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("a"), ["    1  let a = 1", "    3  a + 1"]);
        assert_eq!(shown("fn"), ["    2  fn f() {", "       }"]);
        assert_eq!(shown("nothing"), ["no matching input"]);
        assert_eq!(lines(&["x"; 99], "").len(), super::MAX_RECENT);
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
        assert!(!is_kept(&secret) && !is_kept(" 1") && !is_kept("\n") && is_kept("1"));
    }
}
