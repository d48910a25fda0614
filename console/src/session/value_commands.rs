//! The commands about values that the session has: `:out`, `:copy`, `:json`; and the directory of files.

use std::path::PathBuf;

use frontend::{
    error::CliError,
    quantity, script,
    text::{self, Style, StyledLine},
    visible::visible,
};
use rhai::Engine;

use super::{
    core::Core,
    event::{DisplayKind, DisplayLines, SessionRequest, ShellCommand},
    messages,
    pending::PendingCommand,
};
use crate::{MAX_COPY_BYTES, highlight, truncate, value};

/// The maximum size of JSON that is highlighted, in bytes.
const MAX_HIGHLIGHTED: usize = 16 << 10;

impl Core {
    /// Shows the value of an input again, or lists the last values.
    pub(super) fn show_earlier_value(&mut self, number: Option<usize>) {
        let width = self.room.width;
        let Some(number) = number else {
            let lines = self.notebook.value_lines();
            if lines.is_empty() {
                return self.finish_with_remark(messages::NO_VALUES);
            }
            let lines = lines.into_iter().map(|line| truncate::fit_line(line, width)).collect();
            self.show(DisplayLines::new(DisplayKind::Listing, lines));
            return self.finish_input();
        };
        let Some(result) = self.notebook.value_of(number).cloned() else {
            return self.finish_with_remark(&messages::no_value_of(number));
        };
        let lines = value::format_value(&result, width);
        self.show(DisplayLines { lines, kind: DisplayKind::Listing, result: Some(result) });
        self.finish_input();
    }

    /// Requests to copy the last value.
    pub(super) fn copy_value(&mut self, is_json: bool) {
        let Some(result) = self.notebook.value() else { return self.finish_with_remark(messages::NO_VALUES) };
        let mut text = if is_json { value::pretty_json(result.value.as_json()) } else { result.output.clone() };
        let (size, limit) = (text.len(), MAX_COPY_BYTES >> 10);
        let message = if size <= MAX_COPY_BYTES {
            if is_json { "copied the last value as JSON" } else { "copied the last value" }.to_owned()
        } else if is_json {
            // A part of it would be no JSON.
            return self.finish_with_remark(&messages::too_large_to_copy(&quantity::size(size as u64), limit));
        } else {
            text.truncate(text.floor_char_boundary(MAX_COPY_BYTES));
            messages::copied_part(&quantity::size(size as u64), limit)
        };
        self.forward(SessionRequest::Copy { text, message });
    }

    /// Shows the last value as JSON, or writes it to a file.
    pub(super) fn show_json(&mut self, file: Option<PathBuf>, overwrite: bool) {
        let Some(result) = self.notebook.value() else { return self.finish_with_remark(messages::NO_VALUES) };
        let json = value::pretty_json(result.value.as_json());
        let Some(file) = file.map(|file| self.directory.resolve(&file)) else {
            let lines = if json.len() > MAX_HIGHLIGHTED {
                text::lines(Style::Plain, &json)
            } else {
                highlight::lines(&Engine::new_raw(), &json)
            };
            self.show(DisplayLines::new(DisplayKind::Listing, lines));
            return self.finish_input();
        };
        self.work.saves.spawn_blocking(move || {
            let text = format!("{json}\n");
            script::write_data(&file, &text, overwrite, ":json")?;
            let (size, file) = (quantity::size(text.len() as u64), file.display().to_string());
            Ok(format!("wrote the last value to {} ({size})", visible(&file)))
        });
    }

    /// Changes the directory of files and shell commands, or shows it.
    pub(super) fn change_directory(&mut self, to: Option<PathBuf>) {
        let directory = self.directory.clone();
        let changed = tokio::task::spawn_blocking(move || match to {
            Some(to) => directory.change(&to),
            None => directory.current(),
        });
        self.work.pending = Some(PendingCommand::Directory(Box::pin(changed)));
    }

    pub(super) fn on_directory_changed(&mut self, changed: Result<PathBuf, CliError>) {
        self.work.pending = None;
        match changed {
            Ok(directory) => {
                let line = StyledLine::of(Style::Plain, &directory.display().to_string());
                self.show(DisplayLines::new(DisplayKind::Listing, vec![line]));
            }
            Err(error) => self.show(DisplayLines::error(&error, self.room.width)),
        }
        self.finish_input();
        self.start_waiting_inputs();
    }

    /// Requests to run a command in the user's shell.
    pub(super) fn run_shell(&mut self, command: String) {
        let directory = self.directory.resolve(std::path::Path::new("."));
        self.forward(SessionRequest::Shell(ShellCommand { command, directory }));
    }
}
