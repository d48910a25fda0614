//! What is wrong with a `circles.json`, and where.

use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in it, in Unicode scalar values, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// The line itself; empty where the file is not called as a configuration is.
        line_text: String,
    },
}

/// Whether the file, wherever links lead, is called as a configuration is. Of any other nothing is shown: whoever runs the
/// program may read more than whoever has named the file.
fn is_shown(path: &Path) -> bool {
    let found = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    found.extension().is_some_and(|extension| extension == "json")
}

/// A text that positions are told in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfigSource<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: &'a Path,
}

impl<'a> ConfigSource<'a> {
    /// A mistake at a part of the text, which must be a piece of it.
    pub(crate) fn error_at(self, part: &str, what: impl Into<String>) -> ConfigError {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.error_at_offset(if offset <= self.text.len() { offset } else { 0 }, what)
    }

    /// What serde says of a part of the text, whose own lines and columns count from that part's beginning.
    pub(crate) fn serde_error(self, part: &'a str, error: &serde_json::Error) -> ConfigError {
        let start = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let line_start: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let offset = start.saturating_add(line_start).saturating_add(error.column().saturating_sub(1));
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        self.error_at_offset(offset.min(self.text.len()), what)
    }

    fn error_at_offset(self, offset: usize, what: impl Into<String>) -> ConfigError {
        let offset = self.text.floor_char_boundary(offset);
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError::Invalid {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: what.into(),
            line_text: if is_shown(self.path) {
                self.text[line_start..].lines().next().unwrap_or_default().to_owned()
            } else {
                String::new()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_hides_text_of_other_files() {
        let home = tempfile::tempdir().expect("a directory");
        let (secret, link) = (home.path().join("shadow"), home.path().join("circles.json"));
        let text = |path: &Path| match crate::load(path).expect_err("it is none") {
            ConfigError::Invalid { line_text: text, .. } => text,
            other => panic!("{other}"),
        };
        std::fs::write(&secret, "root:*:secret").expect("written");
        std::os::unix::fs::symlink(&secret, &link).expect("linked");
        assert_eq!((text(&link), text(&secret)), (String::new(), String::new()));
        std::fs::remove_file(&link).expect("removed");
        std::fs::write(&link, "mistake").expect("written");
        assert_eq!(text(&link), "mistake");
    }
}
