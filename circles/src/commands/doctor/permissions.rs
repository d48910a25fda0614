//! Checks that files and directories exist, are usable, and are closed to other users.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::finding::{Finding, Section, Severity};
use frontend::{files::quoted, supervisor::can_be_created};

/// Permission bits of group and others.
const OTHERS_MODE: u32 = 0o077;

/// Largest number of files of a directory that are listed.
const MAX_LISTED_FILES: usize = 5;

/// Checks a directory for `what`, a plural. `code` is the exit code of an error.
pub(super) fn check_directory(section: Section, what: &str, path: &Path, code: u8) -> Finding {
    let fault = |why: &str, fix: String| {
        section.finding(Severity::Error(code), format!("cannot keep {what} in {}", path.display()), why, fix)
    };
    let Ok(found) = path.metadata() else {
        if can_be_created(path) {
            return section.ok(format!("{what} will be kept in {}", path.display()));
        }
        let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        return fault(&format!("{} is not writable", there.display()), format!("chmod u+rwx {}", quoted(there)));
    };
    if !found.is_dir() {
        return fault("it is not a directory", format!("mv {} {}", quoted(path), quoted(&backup_path(path))));
    }
    if !can_be_created(path) {
        return fault("it is not writable", format!("chmod u+rwx {}", quoted(path)));
    }
    match open_to_others(&found) {
        Some(mode) => section.warning(
            format!("{what} are kept in {}, which is open to others", path.display()),
            format!("its mode is {mode:04o}"),
            format!("chmod 700 {}", quoted(path)),
        ),
        None => section.ok(format!("{what} are kept in {}", path.display())),
    }
}

/// Finds files that others can read or write, with the command that fixes each. `code` is the exit code of an error.
pub(super) fn check_private(section: Section, files: &[PathBuf], why: &str, code: u8) -> Vec<Finding> {
    let open = files.iter().filter_map(|file| Some((file, open_to_others(&file.metadata().ok()?)?)));
    let mut findings = Vec::new();
    for (file, mode) in open {
        if findings.len() == MAX_LISTED_FILES {
            findings.push(section.finding(Severity::Error(code), "more files there are open to others", "", ""));
            break;
        }
        findings.push(section.finding(
            Severity::Error(code),
            format!("{} is open to others (mode {mode:04o})", file.display()),
            why,
            format!("chmod 600 {}", quoted(file)),
        ));
    }
    findings
}

/// The files of a directory, sorted by name; empty if it cannot be read.
pub(super) fn list_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

/// Path to move a file out of the way to.
pub(super) fn backup_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".aside");
    name.into()
}

fn open_to_others(found: &Metadata) -> Option<u32> {
    let mode = found.mode() & 0o7777;
    (mode & OTHERS_MODE != 0).then_some(mode)
}
