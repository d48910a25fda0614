//! The files of modules: the Rhai files below one directory. The program reads them, so that workers on other machines
//! have the same modules, and workers of one setup never differ.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use crate::message::ModuleSources;

/// Maximum size of a module, in bytes.
const MAX_MODULE_BYTES: u64 = 1 << 20;

/// Maximum size of all modules together, in bytes.
const MAX_TOTAL_BYTES: usize = 16 << 20;

impl ModuleSources {
    /// Reads the Rhai files below a directory, as [`module_names`] lists them. Files outside of the directory to which
    /// symbolic links lead are no modules.
    ///
    /// A file that cannot be read, that is larger than 1 MiB, or with which all modules together are larger than 16 MiB
    /// is a module with an error, which the script that imports the module gets.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`module_names`].
    pub fn read(directory: &Path) -> io::Result<Self> {
        let directory = directory.canonicalize()?;
        let mut room = MAX_TOTAL_BYTES;
        let read = |name: String| {
            // The canonical path ensures that no symbolic link leads out of the directory.
            let file = directory.join(format!("{name}.rhai")).canonicalize().ok()?;
            let source = file.starts_with(&directory).then(|| read(&file).map_err(|error| error.to_string()))?;
            let source = source.and_then(|source| {
                room = room.checked_sub(source.len()).ok_or("all modules together are larger than 16 MiB")?;
                Ok(source)
            });
            Some((name, source))
        };
        Ok(module_names(&directory)?.into_iter().filter_map(read).collect())
    }
}

/// Maximum depth of folders below the directory.
const MAX_DEPTH: usize = 8;

/// Maximum number of modules of a directory.
const MAX_NAMES: usize = 1000;

/// Maximum number of files and folders. A larger directory is probably the wrong one.
const MAX_ENTRIES: usize = 10_000;

/// Lists the names of the modules below a directory for `import`, sorted; at most 1,000, in at most eight levels of
/// folders.
///
/// Each folder is visited once, even if several links lead to it. Links out of the directory are not followed, and
/// unreadable entries are skipped.
///
/// # Errors
///
/// Returns an error if the directory cannot be read, or has more than 10,000 files and folders below it.
pub fn module_names(directory: &Path) -> io::Result<Vec<String>> {
    let root = directory.canonicalize()?;
    let (mut names, mut entries, mut seen) = (Vec::new(), 0_usize, BTreeSet::new());
    // Visit links last, so that a folder gets its name without links.
    let (mut folders, mut links) = (vec![(root.clone(), String::new(), 0)], VecDeque::new());
    while let Some((path, prefix, depth)) = folders.pop().or_else(|| links.pop_front()) {
        let folder = match std::fs::metadata(&path).and_then(|found| Ok((found, std::fs::read_dir(&path)?))) {
            Ok((found, folder)) if seen.insert((found.dev(), found.ino())) => folder,
            Err(error) if depth == 0 => return Err(error),
            _ => continue,
        };
        for entry in folder.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                let why = format!("there are more than {MAX_ENTRIES} files and folders below it");
                return Err(io::Error::other(why));
            }
            let Ok(name) = entry.file_name().into_string() else { continue };
            // The metadata of the link's target. Whether that is below the directory is checked on reading.
            let (path, is_link) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_symlink()));
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if metadata.is_dir() && depth < MAX_DEPTH {
                let folder = (path, format!("{prefix}{name}/"), depth + 1);
                if !is_link {
                    folders.push(folder);
                } else if folder.0.canonicalize().is_ok_and(|target| target.starts_with(&root)) {
                    links.push_back(folder);
                }
            } else if metadata.is_file()
                && let Some(stem) = name.strip_suffix(".rhai")
                && names.len() < MAX_NAMES
            {
                names.push(format!("{prefix}{stem}"));
            }
        }
    }
    names.sort();
    Ok(names)
}

fn read(file: &Path) -> io::Result<String> {
    let mut script = String::new();
    let length = std::fs::File::open(file)?.take(MAX_MODULE_BYTES + 1).read_to_string(&mut script)?;
    if length as u64 > MAX_MODULE_BYTES {
        return Err(io::Error::other("the module is larger than 1 MiB"));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn module_names_lists_linked_folder_once() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("modules/deep/er")).expect("made");
        std::fs::create_dir(at("outside")).expect("made");
        for file in ["modules/a.rhai", "modules/deep/er/b.rhai", "outside/c.rhai"] {
            std::fs::write(at(file), "").expect("written");
        }
        // Without the check, these links would lead to a billion names: nine folders in each of nine folders, and so
        // on.
        for number in 0..9 {
            symlink(".", at(&format!("modules/l{number}"))).expect("linked");
            symlink("../..", at(&format!("modules/deep/er/l{number}"))).expect("linked");
        }
        symlink(at("outside"), at("modules/out")).expect("linked");
        symlink("/", at("modules/all")).expect("linked");
        assert_eq!(module_names(&at("modules")).expect("it can be read"), ["a", "deep/er/b"]);
    }

    #[test]
    fn modules_are_read_with_their_errors() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("modules/deep")).expect("made");
        std::fs::write(at("outside.rhai"), "").expect("written");
        symlink(at("outside.rhai"), at("modules/link.rhai")).expect("linked");
        for (file, bytes) in [("a", 3), ("deep/b", MAX_MODULE_BYTES + 1)] {
            let text = " ".repeat(usize::try_from(bytes).expect("few"));
            std::fs::write(at(&format!("modules/{file}.rhai")), text).expect("written");
        }
        let sources = ModuleSources::read(&at("modules")).expect("readable");
        assert_eq!(sources.names().collect::<Vec<_>>(), ["a", "deep/b"]);
        assert_eq!(sources.get("a"), Some(Ok("   ")));
        assert_eq!(sources.get("deep/b"), Some(Err("the module is larger than 1 MiB")));
        assert_eq!(sources.get("link"), None);
        assert!(ModuleSources::read(&at("missing")).is_err());
    }

    #[test]
    fn module_names_rejects_too_large_directory() {
        let home = tempfile::tempdir().expect("a directory");
        for number in 0..=MAX_ENTRIES {
            std::fs::write(home.path().join(number.to_string()), "").expect("written");
        }
        let error = module_names(home.path()).expect_err("there are too many");
        assert_eq!(error.to_string(), "there are more than 10000 files and folders below it");
    }
}
