//! Findings of `circles doctor`.

use serde_json::{Value, json};

use frontend::{
    error::{CliError, ErrorParts},
    visible::visible,
};
use terminal::output::Paint;

/// Section of the report; sections are printed in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Keys,
    Config,
    Circles,
    Machine,
}

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Ok,
    /// It works, but not as well as it could.
    Warning,
    /// It does not work. Has the exit code of `circles doctor`.
    Error(u8),
}

/// What was checked and found, why, and the command that fixes it.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) section: Section,
    pub(super) level: Severity,
    parts: ErrorParts,
}

impl Section {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Config => "circles.json",
            Self::Circles => "circles",
            Self::Machine => "this machine",
        }
    }

    /// Name in the output of `--json`.
    fn json_name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Config => "config",
            Self::Circles => "circles",
            Self::Machine => "machine",
        }
    }

    pub(super) fn ok(self, what: impl Into<String>) -> Finding {
        self.finding(Severity::Ok, what, "", "")
    }

    pub(super) fn warning(self, what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Finding {
        self.finding(Severity::Warning, what, why, fix)
    }

    pub(super) fn finding(
        self,
        level: Severity,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding { section: self, level, parts: ErrorParts { what: what.into(), why: why.into(), fix: fix.into() } }
    }

    /// A finding from the error of another command; `fix` applies if the error has none.
    pub(super) fn error(self, error: &CliError, fix: &str) -> Finding {
        let mut parts = error.parts();
        if parts.fix.is_empty() {
            parts.fix = fix.into();
        }
        Finding { section: self, level: Severity::Error(error.exit_code()), parts }
    }
}

impl Severity {
    pub(super) fn exit_code(self) -> Option<u8> {
        match self {
            Self::Ok | Self::Warning => None,
            Self::Error(code) => Some(code),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error(_) => "error",
        }
    }
}

impl Finding {
    pub(super) fn as_json(&self) -> Value {
        let ErrorParts { what, why, fix } = &self.parts;
        let or_null = |text: &String| if text.is_empty() { Value::Null } else { text.as_str().into() };
        json!({
            "section": self.section.json_name(),
            "level": self.level.word(),
            "what": what,
            "why": or_null(why),
            "fix": or_null(fix),
        })
    }

    /// The finding as a line, without a line break. With `is_plain`, marks are ASCII.
    pub(super) fn line(&self, paint: Paint, is_plain: bool) -> String {
        let (mark, colour) = match self.level {
            Severity::Ok => (if is_plain { "+" } else { "✓" }, "32"),
            Severity::Warning => ("!", "33"),
            Severity::Error(_) => (if is_plain { "x" } else { "✗" }, "1;31"),
        };
        let ErrorParts { what, why, fix } = &self.parts;
        let mut text = what.clone();
        if !why.is_empty() {
            text += &format!(": {why}");
        }
        if !fix.is_empty() {
            text += &format!(" {} {fix}", if is_plain { "->" } else { "→" });
        }
        // One line for each finding, even if a circle or a file name contains line breaks.
        let text = visible(&text).replace('\n', " ");
        format!("{} {text}", paint.with_code(colour, &format!("{mark} {:7}", self.level.word())))
    }
}
