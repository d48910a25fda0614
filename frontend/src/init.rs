//! A first circles.json that works: a circle to try things, and one for members.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use keys::PublicKey;
use launcher::port;

use crate::error::CliError;

/// The name of the file, where the user names none.
pub const FILE: &str = "circles.json";

const SCHEMA_FILE: &str = "circles.schema.json";

const SCHEMA: &str = include_str!("../../docs/circles.schema.json");

/// The first port to try.
const FIRST_PORT: u16 = 9001;

/// A circles.json that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConfig {
    /// The path of the file.
    pub path: PathBuf,
    /// The port of `sandbox`, which is open to anyone on this machine.
    pub sandbox: u16,
    /// The port of `team`, which is for members.
    pub team: u16,
}

/// Writes a circles.json on free ports, and its schema beside it if `has_schema` is set. `member` is the first member
/// of `team`. Blocks.
///
/// # Errors
///
/// The file exists, or cannot be written.
pub fn write(path: &Path, has_schema: bool, member: Option<&PublicKey>) -> Result<NewConfig, CliError> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let mut ports = (FIRST_PORT..).filter(|port| is_free(*port));
    let (sandbox, team) = (ports.next().unwrap_or(0), ports.next().unwrap_or(0));
    if has_schema {
        write_schema(&path.with_file_name(SCHEMA_FILE))?;
    }
    let member = member.map_or(String::new(), |key| format!("\"{key}\""));
    let schema = if has_schema { format!("  \"$schema\": \"{SCHEMA_FILE}\",\n") } else { String::new() };
    let text = format!(
        "{{\n{schema}  \"circles\": [\n    \
         {{ \"name\": \"sandbox\", \"port\": {sandbox}, \"description\": \"a place to try things\" }},\n    \
         {{ \"name\": \"team\", \"port\": {team}, \"access\": \"members\",\n      \"members\": [{member}] }}\n  ]\n}}\n"
    );
    write_new(path, &text)?;
    Ok(NewConfig { path: path.to_owned(), sandbox, team })
}

/// Returns the error for a circles.json that exists already.
pub fn exists(path: &Path) -> CliError {
    CliError::usage(
        format!("{} exists already", path.display()),
        "nothing was changed",
        "start its circles: circles up; or write another file: circles init --config FILE",
    )
}

fn is_free(port: u16) -> bool {
    port::check_address(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).is_ok()
}

/// Writes the schema, unless it is there already.
fn write_schema(path: &Path) -> Result<(), CliError> {
    match write_new(path, SCHEMA) {
        Err(_) if std::fs::read_to_string(path).is_ok_and(|text| text == SCHEMA) => Ok(()),
        written => written,
    }
}

/// Writes a file that does not exist yet.
fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let written = File::options().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => CliError::io(format!("cannot write {}", path.display()), &error, "choose another file: --config FILE"),
    })
}
