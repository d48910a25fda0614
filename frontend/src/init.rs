//! A first circles.json that works: a circle to try things, and one for members.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use keys::PublicKey;
use launcher::port;

use crate::{error::CliError, files, visible::visible};

const SCHEMA_FILE: &str = "circles.schema.json";

const SCHEMA: &str = include_str!("../circles.schema.json");

/// The permissions of the files, before the user's mask.
const MODE: u32 = 0o666;

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
    let mut ports = free_ports();
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
    files::write_new(path, &text, MODE).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return exists(path);
        }
        let what = format!("cannot write {}", visible(&path.display().to_string()));
        CliError::io(what, &error, "choose another file: --config FILE")
    })?;
    Ok(NewConfig { path: path.to_owned(), sandbox, team })
}

/// Returns the error for a circles.json that exists already.
pub fn exists(path: &Path) -> CliError {
    CliError::usage(
        format!("{} exists already", visible(&path.display().to_string())),
        "nothing was changed",
        "start its circles: circles up; or write another file: circles init --config FILE",
    )
}

/// The free ports of this machine for new circles. Looking for each blocks.
pub(crate) fn free_ports() -> impl Iterator<Item = u16> {
    (FIRST_PORT..=u16::MAX)
        .filter(|port| port::check_address(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), *port)).is_ok())
}

/// Writes the schema, unless it is there already.
fn write_schema(path: &Path) -> Result<(), CliError> {
    match files::write_new(path, SCHEMA, MODE) {
        Err(_) if std::fs::read_to_string(path).is_ok_and(|text| text == SCHEMA) => Ok(()),
        written => written.map_err(|error| {
            let fix = "move it away, or leave out --schema";
            CliError::io(format!("cannot write {}", visible(&path.display().to_string())), &error, fix)
        }),
    }
}
