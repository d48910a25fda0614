//! The note beside the file of a store that says which process has the store open.
//!
//! The lock of the file excludes all other processes, and does not say whose it is. The holder of the lock therefore
//! writes a text into `STORE.holder`, for the error of the others. Nothing depends on the note: it may be absent, and after
//! a crash it stays until the next process opens the store.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Maximum length of the text in bytes.
const MAX_TEXT: usize = 400;

/// The note of a store that this process has open.
#[derive(Debug)]
pub(crate) struct HolderNote {
    path: PathBuf,
    /// What this process has written last; `None` once the note is removed.
    text: Mutex<Option<String>>,
}

impl HolderNote {
    /// Writes the note of the process that has locked the store.
    pub(crate) fn write(store: &Path) -> Self {
        let note = Self { path: note_path(store), text: Mutex::new(Some(String::new())) };
        note.set("");
        note
    }

    /// Adds a description of what the process does to the note, such as the address of a server.
    pub(crate) fn set(&self, description: &str) {
        let text = describe(description);
        let mut written = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        // The store works without the note.
        if written.is_some() && replace(&self.path, &text).is_ok() {
            *written = Some(text);
        }
    }

    /// Removes the note, before the lock is released.
    pub(crate) fn remove(&self) {
        let written = self.text.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Somebody else may have replaced the file of the store, and opened the new one.
        if read(&self.path).is_ok_and(|text| written == Some(text)) {
            // The next process that opens the store replaces the note.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Returns the text of the note of the process that has a store open, if there is one.
pub(crate) fn find_holder(store: &Path) -> Option<String> {
    let text = read(&note_path(store)).ok()?;
    let text: String = text.trim().chars().filter(|character| !character.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

fn note_path(store: &Path) -> PathBuf {
    // Two names of one file have one note.
    let store = store.canonicalize().unwrap_or_else(|_| store.to_owned());
    let mut name = store.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".holder");
    store.with_file_name(name)
}

/// Names this process, and the machine that it runs on: the file may be on a disk of several machines.
fn describe(description: &str) -> String {
    #[cfg(unix)]
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let machine = String::from("this machine");
    let mut text = format!("process {} on {machine}", std::process::id());
    if !description.is_empty() {
        text = format!("{description} ({text})");
    }
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TEXT as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Replaces the note as a whole, so that no process reads half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Addresses are no business of others.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_says_who_has_the_store_and_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("shop.redb");
        fs::write(&store, "").expect("written");
        assert_eq!(find_holder(&store), None);
        let note = HolderNote::write(&store);
        let process = format!("process {} on ", std::process::id());
        assert!(find_holder(&store).is_some_and(|text| text.starts_with(&process)));
        note.set("the circle 'shop' at ws://127.0.0.1:9001\n\u{1b}[31m");
        let text = find_holder(&store).expect("a note");
        assert!(text.starts_with("the circle 'shop' at ws://127.0.0.1:9001[31m (process "), "{text}");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&store, &link).expect("a link");
        assert_eq!(find_holder(&link), Some(text));
        note.remove();
        note.set("too late");
        assert_eq!(find_holder(&store), None);
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 2);
    }

    #[test]
    fn note_of_another_process_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = directory.path().join("shop.redb");
        let note = HolderNote::write(&store);
        note.set(&"é".repeat(1_000));
        fs::write(directory.path().join("shop.redb.holder"), "process 1 on other").expect("written");
        note.remove();
        assert_eq!(find_holder(&store).as_deref(), Some("process 1 on other"));
    }

    #[test]
    fn store_opens_without_a_note() {
        let note = HolderNote::write(Path::new("/proc/no-such-directory/shop.redb"));
        note.set("nobody");
        note.remove();
        assert_eq!(find_holder(Path::new("/proc/no-such-directory/shop.redb")), None);
    }
}
