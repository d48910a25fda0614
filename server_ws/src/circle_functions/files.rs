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

/// Reads the `*.rhai` files of a directory, in the order of their names. Does not read directories in it, and follows no
/// links out of it. Blocks.
///
/// # Errors
///
/// The directory or a file cannot be read, a file is a link out of the directory, a name or a text is not UTF-8, or there
/// is too much.
pub(crate) fn read_directory(directory: &Path) -> io::Result<Vec<FunctionFile>> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let (root, mut paths) = (directory.canonicalize()?, Vec::new());
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
        let target = path.canonicalize().map_err(in_file)?;
        if !target.starts_with(&root) {
            let path = path.display();
            return Err(invalid(format!(
                "{path} is a link out of the directory: put the file itself into the directory"
            )));
        }
        let mut source = String::new();
        File::open(target).and_then(|file| file.take(left + 1).read_to_string(&mut source)).map_err(in_file)?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_within_the_directory_only() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("shop/..data")).expect("made");
        fs::write(at("shop/..data/price.rhai"), "fn price() { 1 }").expect("written");
        symlink("..data/price.rhai", at("shop/price.rhai")).expect("linked");
        symlink("shop", at("link")).expect("linked");
        for directory in ["shop", "link"] {
            let files = read_directory(&at(directory)).expect("readable");
            let files: Vec<_> = files.iter().map(|file| (&*file.name, &*file.source)).collect();
            assert_eq!(files, [("price", "fn price() { 1 }")]);
        }
        fs::write(at("secret.rhai"), "fn secret() { 1 }").expect("written");
        symlink(at("secret.rhai"), at("shop/secret.rhai")).expect("linked");
        let error = read_directory(&at("shop")).expect_err("a link out of the directory").to_string();
        assert!(error.contains("shop/secret.rhai is a link out of the directory"), "{error}");
    }
}
