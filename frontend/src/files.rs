//! Files that a user names: opened, made, and quoted as shell arguments.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use directories::BaseDirs;

/// Opens a file. Refuses pipes and the like: without a writer, reading one would block forever.
///
/// # Errors
///
/// The file cannot be opened, or is not a regular file.
pub fn open_regular(file: &Path) -> io::Result<File> {
    if fs::metadata(file)?.is_file() {
        return File::open(file);
    }
    Err(io::Error::other("it is not a regular file"))
}

/// Writes a file that does not exist yet. `mode` is its permissions, before the user's mask.
///
/// # Errors
///
/// The file exists or cannot be written. No incomplete file stays, unless it cannot be removed either.
pub(crate) fn write_new(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut created = File::options().write(true).create_new(true).mode(mode).open(file)?;
    let written = created.write_all(text.as_bytes()).and_then(|()| created.sync_all());
    written.inspect_err(|_| {
        let _stays = fs::remove_file(file);
    })
}

/// Returns a path of the user's settings; `~/` is the home directory.
pub(crate) fn expanded(path: &str) -> PathBuf {
    let home = path.strip_prefix("~/").and_then(|rest| Some(BaseDirs::new()?.home_dir().join(rest)));
    home.unwrap_or_else(|| PathBuf::from(path))
}

/// Returns ` --config FILE` for the end of a command, or nothing without a file.
pub fn config_flag(config: Option<&Path>) -> String {
    config.map_or(String::new(), |path| format!(" --config {}", quoted(path)))
}

/// Quotes a path as a shell argument.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.chars().any(char::is_control) {
        // In the syntax of bash and zsh: control characters would not be shown as they are.
        let escape = |character: char| match character {
            '\'' | '\\' => format!("\\{character}"),
            _ if character.is_control() => format!("\\u{:04x}", u32::from(character)),
            _ => character.to_string(),
        };
        return format!("$'{}'", text.chars().map(escape).collect::<String>());
    }
    shlex::try_quote(&text).map_or_else(|_| text.clone(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_path_is_one_argument() {
        for (path, expected) in [
            ("/a/b-c.json", "/a/b-c.json"),
            ("/a b", "'/a b'"),
            ("/it's", r#""/it's""#),
            ("/a\x1b\u{9b}'\\", r"$'/a\u001b\u009b\'\\'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }
}
