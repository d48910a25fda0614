//! Errors of a `circles.json`, with their position.

use std::path::{Path, PathBuf};

/// Error of a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file is not valid.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in Unicode scalar values, from 1.
        column: usize,
        /// The problem.
        message: String,
        /// The whole line; empty if the file is not named like a configuration, or if the line may contain a secret.
        line_text: String,
    },
}

impl ConfigError {
    /// Returns the error without the line of the file, which may contain a secret.
    pub(crate) fn without_line(mut self) -> Self {
        if let Self::Invalid { line_text, .. } = &mut self {
            line_text.clear();
        }
        self
    }
}

/// Returns whether the file, after following links, is named like a configuration. No line of any other file is shown:
/// the user who runs the program may read more than the one who named the file.
fn is_shown(path: &Path) -> bool {
    let found = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    found.extension().is_some_and(|extension| extension == "json")
}

/// A text in which errors are located.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfigSource<'a> {
    pub(crate) text: &'a str,
    pub(crate) path: &'a Path,
}

impl<'a> ConfigSource<'a> {
    /// Returns an error at a part of the text; `part` must be a slice of it.
    pub(crate) fn error_at(self, part: &str, what: impl Into<String>) -> ConfigError {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.error_at_offset(if offset <= self.text.len() { offset } else { 0 }, what)
    }

    /// Converts an error of serde, whose line and column count from the beginning of `part`.
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
