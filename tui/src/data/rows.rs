//! The rows of a tree: its folders and keys in the order of the keys, as far as they are unfolded or a filter finds them.

use std::time::Instant;

use super::{
    entries::StoredEntry,
    tree::{StoreTree, WatchState, parent},
};
use crate::search::Query;

/// What a row shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowKind {
    Folder {
        is_unfolded: bool,
        /// Number of known keys below; `None` if none is known because the folder is not followed.
        keys: Option<usize>,
    },
    Key,
    /// A remark about a folder.
    Note(FolderNote),
}

/// A remark about a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FolderNote {
    Waiting,
    Loading,
    Empty,
    More,
    Crowded,
    Failed(String),
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeRow {
    pub(super) kind: RowKind,
    /// The key, or the prefix of the folder.
    pub(super) path: String,
    /// Where the shown part of the path begins.
    pub(super) label_at: usize,
    pub(super) depth: usize,
    /// When the entry, or one in the folder, changed last.
    pub(super) changed_at: Option<Instant>,
}

impl TreeRow {
    /// Returns the shown part of the path.
    pub(super) fn label(&self) -> &str {
        &self.path[self.label_at..]
    }

    /// Whether another row is about the same folder or key.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind) && self.path == other.path
    }
}

/// An unfolded folder whose rows are being listed.
struct OpenFolder<'a> {
    path: &'a str,
    /// Its row.
    row: usize,
    keys: usize,
    changed_at: Option<Instant>,
}

/// Lists the rows of a tree. With a filter, all folders are unfolded that have matching keys.
pub(super) fn rows(tree: &StoreTree, filter: Option<&Query>) -> Vec<TreeRow> {
    let mut listing = Listing { tree, filter, rows: Vec::new(), open: Vec::new() };
    for root in tree.roots() {
        listing.list_root(root);
    }
    listing.rows
}

struct Listing<'a> {
    tree: &'a StoreTree,
    filter: Option<&'a Query>,
    rows: Vec<TreeRow>,
    open: Vec<OpenFolder<'a>>,
}

impl<'a> Listing<'a> {
    fn is_unfolded(&self, folder: &str) -> bool {
        self.filter.is_some() || self.tree.is_unfolded(folder)
    }

    fn list_root(&mut self, root: &'a str) {
        self.open_folder(root, 0, 0);
        if !self.tree.is_unfolded(root) {
            let folder = self.open.pop();
            // Entries of a folder above are known.
            let keys = self.tree.entries().below(root).count();
            let is_followed = self.is_followed_above(root);
            if let Some(folder) = folder {
                self.rows[folder.row].kind =
                    RowKind::Folder { is_unfolded: false, keys: (is_followed && keys > 0).then_some(keys) };
            }
            return;
        }
        let filter = self.filter;
        let matching =
            self.tree.entries().below(root).filter(|(key, _)| filter.is_none_or(|filter| filter.matches(key)));
        for (key, entry) in matching {
            self.list_entry(key, entry);
        }
        while !self.open.is_empty() {
            self.close_folder();
        }
    }

    fn is_followed_above(&self, folder: &str) -> bool {
        let mut above = std::iter::successors(parent(folder), |folder| parent(folder));
        above.any(|folder| self.tree.watch_state(folder).is_some())
    }

    fn list_entry(&mut self, key: &'a str, entry: &'a StoredEntry) {
        while self.open.last().is_some_and(|folder| !key.starts_with(folder.path)) {
            self.close_folder();
        }
        // A folder is opened for each part of the key. A key that ends in `/` has a last part without a name.
        while let Some(folder) = self.open.last() {
            let (begin, depth) = (folder.path.len(), self.rows[folder.row].depth);
            let is_listed = matches!(self.rows[folder.row].kind, RowKind::Folder { is_unfolded: true, .. });
            if !is_listed {
                break;
            }
            let Some(at) = key[begin..].find('/') else {
                let (path, changed_at) = (key.to_owned(), entry.changed_at);
                self.rows.push(TreeRow { kind: RowKind::Key, path, label_at: begin, depth: depth + 1, changed_at });
                break;
            };
            self.open_folder(&key[..=begin + at], begin, depth + 1);
        }
        if let Some(folder) = self.open.last_mut() {
            folder.keys += 1;
            folder.changed_at = folder.changed_at.max(entry.changed_at);
        }
    }

    fn open_folder(&mut self, path: &'a str, label_at: usize, depth: usize) {
        let kind = RowKind::Folder { is_unfolded: self.is_unfolded(path), keys: None };
        self.open.push(OpenFolder { path, row: self.rows.len(), keys: 0, changed_at: None });
        self.rows.push(TreeRow { kind, path: path.to_owned(), label_at, depth, changed_at: None });
    }

    /// Ends the rows of the innermost folder, and adds its keys to those of the folder around it.
    fn close_folder(&mut self) {
        let Some(OpenFolder { path, row, keys, changed_at }) = self.open.pop() else { return };
        let (depth, is_unfolded) = (self.rows[row].depth, self.is_unfolded(path));
        self.rows[row].kind = RowKind::Folder { is_unfolded, keys: Some(keys) };
        self.rows[row].changed_at = changed_at;
        if let Some(note) = self.note(path, keys).filter(|_| is_unfolded) {
            let kind = RowKind::Note(note);
            self.rows.push(TreeRow { kind, path: path.to_owned(), label_at: 0, depth: depth + 1, changed_at: None });
        }
        if let Some(around) = self.open.last_mut() {
            around.keys += keys;
            around.changed_at = around.changed_at.max(changed_at);
        }
    }

    fn note(&self, folder: &str, keys: usize) -> Option<FolderNote> {
        match self.tree.watch_state(folder)? {
            WatchState::Waiting => Some(FolderNote::Waiting).filter(|_| keys == 0),
            WatchState::Loading => Some(FolderNote::Loading),
            WatchState::Live => Some(FolderNote::Empty).filter(|_| keys == 0 && self.filter.is_none()),
            WatchState::Cut => Some(FolderNote::More),
            WatchState::Crowded => Some(FolderNote::Crowded),
            WatchState::Failed(reason) => Some(FolderNote::Failed(reason.clone())),
        }
    }
}
