//! The files of a directory of functions.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use worker::FunctionFile;

/// Maximum number of files in a directory.
const MAX_FILES: usize = 256;

/// Maximum size of all files, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Reads the `*.rhai` files of a directory, in the order of their names. Does not read directories in it. Blocks.
///
/// # Errors
///
/// The directory or a file cannot be read, a name or a text is not UTF-8, or there is too much.
pub(crate) fn read_directory(directory: &Path) -> io::Result<Vec<FunctionFile>> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rhai") && fs::metadata(&path)?.is_file() {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(invalid(format!("more than {MAX_FILES} files: merge some")));
        }
    }
    paths.sort();
    // Not the whole path: callers that may play see it in tracebacks.
    let shown = Path::new(directory.file_name().unwrap_or_default());
    let (mut files, mut left) = (Vec::new(), MAX_BYTES);
    for path in paths {
        let in_file = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut source = String::new();
        File::open(&path).and_then(|file| file.take(left + 1).read_to_string(&mut source)).map_err(in_file)?;
        left = left
            .checked_sub(source.len() as u64)
            .ok_or_else(|| invalid(format!("more than {} MiB of files: remove some", MAX_BYTES >> 20)))?;
        let name = path.file_stem().and_then(|name| name.to_str());
        let name =
            name.ok_or_else(|| invalid(format!("{}: the name is not UTF-8: rename the file", path.display())))?;
        files.push(FunctionFile {
            name: name.to_owned(),
            path: shown.join(path.file_name().unwrap_or_default()).display().to_string(),
            source,
        });
    }
    Ok(files)
}
