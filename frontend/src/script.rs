//! Reads and writes scripts.

use std::{
    fs::{File, Permissions},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use server_ws::InitScriptError;

use crate::{
    error::{CliError, ErrorParts, os_error_text},
    visible::visible,
};

/// The maximum size of a script from a file or standard input, in bytes.
const MAX_SCRIPT_BYTES: u64 = 64 << 20;

/// Reads a script of bounded size, and removes its byte order mark and shebang line.
pub fn read(from: impl Read) -> std::io::Result<String> {
    let mut script = String::new();
    if from.take(MAX_SCRIPT_BYTES + 1).read_to_string(&mut script)? as u64 > MAX_SCRIPT_BYTES {
        return Err(std::io::Error::other(format!("the script is larger than {} MiB", MAX_SCRIPT_BYTES >> 20)));
    }
    let without_mark = script.strip_prefix('\u{feff}').map(str::to_owned);
    Ok(blank_shebang(without_mark.unwrap_or(script)))
}

/// Reads a script file for `:load`. Refuses pipes and the like: without a writer, reading one would block forever.
pub fn load(path: &Path) -> Result<String, CliError> {
    let is_file = std::fs::metadata(path).map_or(true, |metadata| metadata.is_file() || metadata.is_dir());
    if !is_file {
        let what = format!("cannot play {}", visible(&path.display().to_string()));
        return Err(CliError::usage(what, "it is not a regular file", "save the script to a file first"));
    }
    read_file(path)
}

/// Reads an init script. Refuses pipes and the like, because they cannot be watched for changes.
pub fn load_init(path: &Path) -> Result<String, CliError> {
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        let what = format!("cannot use the init script {}", visible(&path.display().to_string()));
        return Err(CliError::usage(what, "it is not a regular file", "save the script to a file first"));
    }
    read_file(path)
}

/// Reads a script file; errors name the file.
pub fn read_file(path: &Path) -> Result<String, CliError> {
    File::open(path).and_then(read).map_err(|error| read_error(&path.display().to_string(), &error))
}

/// Returns the error for a script file that cannot be read, with the fix for the most common causes.
pub fn read_error(file: &str, error: &std::io::Error) -> CliError {
    let fix = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => "check its name",
        std::io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "",
    };
    CliError::io(format!("cannot read the script {}", visible(file)), error, fix)
}

/// Writes a script to a file atomically.
pub fn write(file: &Path, script: &str, overwrite: bool) -> Result<(), CliError> {
    // Executable.
    write_private(file, script, overwrite, 0o700, ":save")
}

/// Writes a text to a file atomically. `command` is the console command that writes the file.
pub fn write_data(file: &Path, text: &str, overwrite: bool, command: &str) -> Result<(), CliError> {
    write_private(file, text, overwrite, 0o600, command)
}

/// Writes a file that only the user can read: it may contain what the history does not keep.
fn write_private(file: &Path, text: &str, overwrite: bool, mode: u32, command: &str) -> Result<(), CliError> {
    let name = visible(&file.display().to_string()).into_owned();
    let cannot = |error: &std::io::Error| {
        CliError::usage(
            format!("cannot write {name}"),
            os_error_text(error),
            format!("choose another file: {command} FILE"),
        )
    };
    let directory = match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".circles-").permissions(Permissions::from_mode(mode));
    let mut new = builder.tempfile_in(directory).map_err(|error| cannot(&error))?;
    new.write_all(text.as_bytes()).map_err(|error| cannot(&error))?;
    let persisted = if overwrite { new.persist(file) } else { new.persist_noclobber(file) };
    match persisted {
        Ok(_) => Ok(()),
        Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => Err(CliError::usage(
            format!("{name} already exists"),
            "it was not changed",
            format!("to overwrite it: {command}! {name}"),
        )),
        Err(refused) => Err(cannot(&refused.error)),
    }
}

/// Blanks the shebang line, so that the positions in errors stay correct.
fn blank_shebang(script: String) -> String {
    if !script.starts_with("#!") {
        return script;
    }
    let end = script.find('\n').unwrap_or(script.len());
    format!("{}{}", " ".repeat(script[..end].chars().count()), &script[end..])
}

/// Returns the error for an init script that failed; `what` names the circle. Reads the script again for the excerpt,
/// because the failure does not contain it.
pub fn init_script_error(what: String, file: &Path, failed: &std::io::Error) -> CliError {
    let why = visible(&failed.to_string()).into_owned();
    let parts = ErrorParts { what, why, fix: format!("fix {}", visible(&file.display().to_string())) };
    let inside = failed.get_ref().and_then(|inside| inside.downcast_ref::<InitScriptError>());
    match (inside, read_file(file)) {
        (Some(InitScriptError(error)), Ok(script)) if is_script(file) => {
            CliError::Init { parts, script, error: Box::new(error.clone()) }
        }
        _ => CliError::Usage(parts),
    }
}

/// Whether the file, after resolving links, is named like a script. The content of other files is never shown: the user
/// who runs the program may be able to read more than the user who named the file.
fn is_script(file: &Path) -> bool {
    let found = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    found.extension().is_some_and(|extension| extension == "rhai")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_script_is_a_file_and_only_a_script_is_shown() {
        let home = tempfile::tempdir().expect("a directory");
        let (secret, link) = (home.path().join("shadow"), home.path().join("init.rhai"));
        std::fs::write(&secret, "root:*:secret").expect("written");
        assert!(is_script(&link));
        std::os::unix::fs::symlink(&secret, &link).expect("linked");
        assert!(!is_script(&link));
        let fifo = home.path().join("fifo.rhai");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .expect("made");
        assert!(load_init(&fifo).expect_err("it is a pipe").message().contains("not a regular file"));
    }

    #[test]
    fn shebang_is_blanked_and_positions_are_kept() {
        assert_eq!(blank_shebang("#!/bin/x\n1".into()), "        \n1");
        assert_eq!(blank_shebang("#!ä".into()), "   ");
        assert_eq!(blank_shebang("1\n#!x".into()), "1\n#!x");
    }
}
