//! Reading and writing the files of a keystore: bounded, private, whole or not at all.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tempfile::NamedTempFile;

use super::KeystoreError;

/// Far more than a key takes; a larger file is none of ours.
const MAX_BYTES: u64 = 64 * 1024;

/// What came of writing a file that must not be there yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    Taken,
}

/// Makes the directory, and every missing one above it, for its owner alone; closes an existing one to others.
pub(super) fn ensure_dir(dir: &Path) -> Result<(), KeystoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(KeystoreError::io(dir, "create the directory"))?;
    let mode = fs::metadata(dir).map_err(KeystoreError::io(dir, "look at"))?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))
            .map_err(KeystoreError::io(dir, "take others' permissions away from"))?;
    }
    Ok(())
}

/// The names in the directory that are text, in no order; none if there is no directory.
pub(super) fn file_names(dir: &Path) -> Result<Vec<String>, KeystoreError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(KeystoreError::io(dir, "list"))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(KeystoreError::io(dir, "list"))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The text of a regular file; `None` if there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, KeystoreError> {
    // Without NONBLOCK, opening a named pipe waits for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        file => File::from(file.map_err(io::Error::from).map_err(KeystoreError::io(path, "open"))?),
    };
    if !file.metadata().map_err(KeystoreError::io(path, "look at"))?.is_file() {
        return Err(KeystoreError::damaged(path, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(KeystoreError::io(path, "read"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(KeystoreError::damaged(path, format!("it is larger than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| KeystoreError::damaged(path, "it is not UTF-8 text"))
}

/// Writes a file that must not be there yet, mode 0600.
pub(super) fn write_new(dir: &Path, path: &Path, text: &str) -> Result<Outcome, KeystoreError> {
    match stage(dir, text)?.persist_noclobber(path) {
        Ok(_) => {}
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => return Ok(Outcome::Taken),
        Err(refused) => return Err(KeystoreError::io(path, "create")(refused.error)),
    }
    sync_dir(dir)?;
    Ok(Outcome::Written)
}

/// Writes a file, in place of the one that may be there, mode 0600.
pub(super) fn replace(dir: &Path, path: &Path, text: &str) -> Result<(), KeystoreError> {
    stage(dir, text)?.persist(path).map_err(|refused| KeystoreError::io(path, "replace")(refused.error))?;
    sync_dir(dir)
}

/// The text on disk under a passing name in the same directory, from where it takes one step to its place. Removed when
/// dropped.
fn stage(dir: &Path, text: &str) -> Result<NamedTempFile, KeystoreError> {
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(KeystoreError::io(dir, "create a file in"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(KeystoreError::io(file.path(), "write"))?;
    Ok(file)
}

/// Makes a new name last through a power cut.
fn sync_dir(dir: &Path) -> Result<(), KeystoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(KeystoreError::io(dir, "flush"))
}

#[cfg(test)]
mod tests {
    use super::{Outcome, file_names, write_new};

    /// The race that `create` cannot see when it looks for the name.
    #[test]
    fn a_file_that_appeared_meanwhile_is_kept_and_no_other_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.json");
        std::fs::write(&path, "theirs").expect("written");
        assert_eq!(write_new(dir.path(), &path, "ours").expect("no fault"), Outcome::Taken);
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "theirs");
        assert_eq!(file_names(dir.path()).expect("listed"), ["a.json"]);
    }
}
