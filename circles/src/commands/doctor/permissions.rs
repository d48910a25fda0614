//! Whether files and directories are there, can be used, and are their user's alone.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::finding::{Finding, Section, Severity, quoted};
use frontend::supervisor::can_be_created;

/// What anyone but its user may do.
const OTHERS_MODE: u32 = 0o077;

/// Files of a directory that are told one by one.
const MAX_LISTED_FILES: usize = 5;

/// A directory for `what`, which are several. `code` is that of a fault.
pub(super) fn check_directory(section: Section, what: &str, path: &Path, code: u8) -> Finding {
    let fault = |why: &str, fix: String| {
        section.finding(Severity::Error(code), format!("{what} cannot be kept in {}", path.display()), why, fix)
    };
    let Ok(found) = path.metadata() else {
        if can_be_created(path) {
            return section.ok(format!("{what} will be kept in {}", path.display()));
        }
        let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        return fault(&format!("{} cannot be written", there.display()), format!("chmod u+rwx {}", quoted(there)));
    };
    if !found.is_dir() {
        return fault("it is no directory", format!("mv {} {}", quoted(path), quoted(&backup_path(path))));
    }
    if !can_be_created(path) {
        return fault("it cannot be written", format!("chmod u+rwx {}", quoted(path)));
    }
    match open_to_others(&found) {
        Some(mode) => section.warning(
            format!("{what} are kept in {}, which others can look into", path.display()),
            format!("its mode is {mode:04o}"),
            format!("chmod 700 {}", quoted(path)),
        ),
        None => section.ok(format!("{what} are kept in {}", path.display())),
    }
}

/// Those of the files that others may read or write, each with the command that ends it. `code` is that of a fault.
pub(super) fn check_private(section: Section, files: &[PathBuf], why: &str, code: u8) -> Vec<Finding> {
    let open = files.iter().filter_map(|file| Some((file, open_to_others(&file.metadata().ok()?)?)));
    let mut findings = Vec::new();
    for (file, mode) in open {
        if findings.len() == MAX_LISTED_FILES {
            findings.push(section.finding(Severity::Error(code), "and others beside it", "", ""));
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

/// The files of a directory, by name; none, where it cannot be read.
pub(super) fn list_files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

/// Where something can be moved that is in the way.
pub(super) fn backup_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".aside");
    name.into()
}

fn open_to_others(found: &Metadata) -> Option<u32> {
    let mode = found.mode() & 0o7777;
    (mode & OTHERS_MODE != 0).then_some(mode)
}
