//! The key bindings that edit an input.

use std::{io::Read, path::PathBuf};

use directories::BaseDirs;

use crate::files;

/// The maximum size of readline's settings that are read, in bytes.
const MAX_INPUTRC: u64 = 1 << 20;

/// Key bindings that edit an input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EditMode {
    /// Emacs key bindings.
    #[default]
    Emacs,
    /// Vi key bindings.
    Vi,
}

impl EditMode {
    /// The names of the modes.
    pub const NAMES: [&str; 2] = ["emacs", "vi"];

    /// Returns the mode with a name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "emacs" => Some(Self::Emacs),
            "vi" => Some(Self::Vi),
            _ => None,
        }
    }

    /// Returns the mode in the user's readline settings (readline(3), "INITIALIZATION FILE"), if it is set there.
    pub fn from_inputrc() -> Option<Self> {
        let named = std::env::var_os("INPUTRC").map(PathBuf::from);
        let file = named.or_else(|| Some(BaseDirs::new()?.home_dir().join(".inputrc")))?;
        let mut text = String::new();
        files::open_regular(&file).ok()?.take(MAX_INPUTRC).read_to_string(&mut text).ok()?;
        last_mode(&text)
    }
}

impl std::fmt::Display for EditMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Emacs => "emacs",
            Self::Vi => "vi",
        })
    }
}

/// Returns the mode of the last `set editing-mode`.
fn last_mode(inputrc: &str) -> Option<EditMode> {
    inputrc.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_mode = words.next() == Some("set") && words.next() == Some("editing-mode");
        is_mode.then(|| words.next().and_then(EditMode::named)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::{EditMode, last_mode};

    #[test]
    fn edit_mode_comes_from_inputrc() {
        let cases = [
            ("", None),
            ("set editing-mode vi\n", Some(EditMode::Vi)),
            ("  set   editing-mode vi # mine", Some(EditMode::Vi)),
            ("set editing-mode vi\nset editing-mode emacs", Some(EditMode::Emacs)),
            ("#set editing-mode vi", None),
            ("set editing-mode", None),
        ];
        for (text, expected) in cases {
            assert_eq!(last_mode(text), expected, "{text}");
        }
    }
}
