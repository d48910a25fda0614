//! Arguments of calls as users give them: as text, or as the content of a file.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use client_ws::FunctionInfo;
use serde_json::Value;

use crate::{
    error::{AdviceCommands, CliError},
    visible::visible,
};

/// The maximum size of a value from a file or standard input, in bytes. A circle accepts far less.
const MAX_VALUE_BYTES: u64 = 64 << 20;

/// An argument before the type of its parameter is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// The text that the user typed.
    Text(String),
    /// The content of a file or of standard input.
    File(FileContent),
}

/// The content of a file or of standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    source: String,
    bytes: Vec<u8>,
}

impl Argument {
    /// Reads the argument by the declared type of its parameter. A parameter that takes bytes in base64 and no other
    /// string (`blob`) gets the bytes of a file; every other parameter gets its text.
    ///
    /// # Errors
    ///
    /// The function has no such parameter, the argument is no value of its type, or a file that has to be a text is not
    /// UTF-8.
    pub fn value(&self, function: &FunctionInfo, param: &str, commands: AdviceCommands) -> Result<Value, CliError> {
        let text = match self {
            Self::Text(text) => text.as_str(),
            Self::File(file) if is_blob(function, param) => return Ok(STANDARD.encode(&file.bytes).into()),
            Self::File(file) => match std::str::from_utf8(&file.bytes) {
                Ok(text) => text,
                Err(_) => return Err(read_error(param, &file.source, "it is not UTF-8", "save it as UTF-8")),
            },
        };
        function
            .argument(param, text)
            .map_err(|error| CliError::bad_argument(&function.name, &error.to_string(), commands))
    }
}

fn is_blob(function: &FunctionInfo, param: &str) -> bool {
    function.params.iter().any(|declared| declared.name == param && declared.is_blob())
}

impl FileContent {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the value of a parameter from an opened file or standard input. `source` names it in errors.
    ///
    /// # Errors
    ///
    /// It cannot be opened or read, or is larger than 64 MiB.
    pub fn read(
        param: &str,
        source: &str,
        opened: io::Result<impl Read>,
        commands: AdviceCommands,
    ) -> Result<Self, CliError> {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            opened?.take(MAX_VALUE_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) if bytes.len() as u64 > MAX_VALUE_BYTES => {
                let why = format!("it is larger than {} MiB", MAX_VALUE_BYTES >> 20);
                Err(read_error(param, source, &why, "choose a smaller file: a circle accepts far less"))
            }
            Ok(bytes) => Ok(Self { source: source.to_owned(), bytes }),
            Err(error) => Err(io_error(param, source, &error, commands)),
        }
    }

    /// Reads the value of a parameter from a regular file. Refuses pipes and the like: without a writer, reading one would
    /// block forever.
    ///
    /// # Errors
    ///
    /// It is not a regular file, cannot be read, or is larger than 64 MiB.
    pub fn read_regular(param: &str, file: &Path, commands: AdviceCommands) -> Result<Self, CliError> {
        let source = file.display().to_string();
        match file.metadata() {
            Ok(metadata) if metadata.is_file() || metadata.is_dir() => {
                Self::read(param, &source, File::open(file), commands)
            }
            Ok(_) => Err(read_error(param, &source, "it is not a regular file", "name a regular file")),
            Err(error) => Err(io_error(param, &source, &error, commands)),
        }
    }
}

fn io_error(param: &str, source: &str, error: &io::Error, commands: AdviceCommands) -> CliError {
    let fix = match error.kind() {
        io::ErrorKind::IsADirectory => "name a file in it".to_owned(),
        io::ErrorKind::PermissionDenied => "allow yourself to read it, or name another file".to_owned(),
        _ => format!("check its name; for a text that begins with @, write a JSON string: {}", commands.text_with_at),
    };
    CliError::io(read_failure(param, source), error, fix)
}

fn read_error(param: &str, source: &str, why: &str, fix: &str) -> CliError {
    CliError::usage(read_failure(param, source), why, fix)
}

fn read_failure(param: &str, source: &str) -> String {
    format!("cannot read the value of {} from {}", visible(param), visible(source))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONSOLE: AdviceCommands = AdviceCommands::CONSOLE;

    fn function() -> FunctionInfo {
        let blob = json!({ "type": "string", "contentEncoding": "base64" });
        let document = json!({ "methods": [{ "name": "fn.f", "params": [
            { "name": "data", "schema": blob, "x-type": "blob" },
            { "name": "text", "schema": { "type": "string" }, "x-type": "string" },
            { "name": "count", "schema": { "type": "integer" }, "x-type": "int" },
        ] }] });
        FunctionInfo::all(&document).remove(0)
    }

    #[test]
    fn file_is_bytes_for_a_blob_and_text_for_other_types() {
        let value = |param: &str, bytes: &[u8]| {
            let file = FileContent::read(param, "f", Ok(bytes), CONSOLE).expect("it is read");
            Argument::File(file).value(&function(), param, CONSOLE).map_err(|error| error.advice())
        };
        assert_eq!(value("data", &[0xff, 0, b'\n']), Ok(json!("/wAK")));
        assert_eq!(value("data", b""), Ok(json!("")));
        assert_eq!(value("text", b"two\nlines"), Ok(json!("two\nlines")));
        assert_eq!(value("count", b"5\n"), Ok(json!(5)));
        let error = "cannot read the value of text from f: it is not UTF-8; save it as UTF-8";
        assert_eq!(value("text", &[0xff]), Err(error.to_owned()));
        let error = "cannot call f: count: expected int, not \"many\"; describe its parameters: :functions f";
        assert_eq!(value("count", b"many"), Err(error.to_owned()));
        // A text that the user types is base64 already.
        assert_eq!(Argument::Text("QUI=".into()).value(&function(), "data", CONSOLE).ok(), Some(json!("QUI=")));
    }

    #[test]
    fn file_that_cannot_be_read_is_reported_with_the_reason() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = |name: &str| {
            let file = directory.path().join(name);
            let error = FileContent::read_regular("text", &file, CONSOLE).expect_err(name).parts();
            (error.why, error.fix)
        };
        let fix = "check its name; for a text that begins with @, write a JSON string: PARAM=\"@text\"";
        assert_eq!(error("none"), ("no such file or directory".into(), fix.into()));
        assert_eq!(error(""), ("is a directory".into(), "name a file in it".into()));
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        assert_eq!(error("socket"), ("it is not a regular file".into(), "name a regular file".into()));
        // A file of zeros that takes no room on the disk.
        let large = File::create(directory.path().join("large")).expect("a file");
        large.set_len(MAX_VALUE_BYTES + 1).expect("it grows");
        let fix = "choose a smaller file: a circle accepts far less";
        assert_eq!(error("large"), ("it is larger than 64 MiB".into(), fix.into()));
    }
}
