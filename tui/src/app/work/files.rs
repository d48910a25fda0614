//! The files of `:` commands: disks can be slow.

use std::path::PathBuf;

use super::Work;
use crate::app::{id::{CircleId, Connection, PlayNumber}, message::{News, SessionNews}};
use console::{completion::{self, Completion}, notebook::Saved};
use frontend::script;

impl Work {
    /// Reads a file that is to be played.
    pub(crate) fn load(&self, to: (CircleId, Connection), number: PlayNumber, file: PathBuf) {
        let loaded = move |read| News::Session(to.0, to.1, SessionNews::Loaded(number, read));
        self.block(move || script::load(&file), loaded);
    }

    /// Writes what was played on a circle.
    pub(crate) fn save(&self, id: CircleId, file: PathBuf, saved: Saved, is_over: bool) {
        let written = move || script::write(&file, &saved.script, is_over).map(|()| saved.said(&file));
        self.block(written, move |saved| News::Saved(id, saved));
    }

    /// Offers the files that a name which was begun may become.
    pub(crate) fn list_files(&self, to: (CircleId, Connection), asked: Completion, begun: String) {
        let listed = move || Completion { candidates: completion::files(&begun), ..asked };
        self.block(listed, move |completion| News::Session(to.0, to.1, SessionNews::Completed(completion)));
    }
}
