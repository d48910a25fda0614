//! Definitions of circles: the configuration in circles.json, and digests of the files that it names.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    CircleConfig, ConfigError,
    config::{Config, load_config},
};

/// Bytes of a file that are hashed; of a longer one also its length.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Bytes that are hashed of all Rhai files in a directory.
const MAX_MODULE_BYTES: u64 = 32 << 20;

/// Files and folders of a directory that are read.
const MAX_ENTRIES: usize = 4096;

/// Depth of folders of modules that are read, the same as `import` reaches.
const MAX_DEPTH: usize = 8;

/// SHA-256 of a content.
pub(crate) type Digest = [u8; 32];

/// Definition of a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CircleDefinition {
    pub(crate) circle: CircleConfig,
    pub(crate) contents: ContentDigests,
}

/// Digests of the files that a circle names. They are taken before the circle reads the files: a change in between is
/// detected once too often rather than never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ContentDigests {
    pub(crate) init: Option<Digest>,
    pub(crate) modules: Option<Digest>,
    pub(crate) functions: Option<Digest>,
    /// That of the certificate and of the key.
    pub(crate) tls: Option<[Digest; 2]>,
}

/// Definitions of all circles, and the paths where a change could show.
#[derive(Debug)]
pub(crate) struct CircleDefinitions {
    pub(crate) circles: Vec<CircleDefinition>,
    /// Files whose change may change a circle.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Directories in which any change may change a circle.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Whether the supervisor applies changes as soon as they are saved.
    pub(crate) is_watched: bool,
}

/// Reads circles.json and the files that it names. Blocks.
pub(crate) fn read_definitions(path: &Path) -> Result<CircleDefinitions, ConfigError> {
    let Config { circles, is_watched } = load_config(path)?;
    Ok(CircleDefinitions { is_watched, ..read_contents(circles) })
}

/// Reads the files that circles name. Blocks.
pub(crate) fn read_contents(circles: Vec<CircleConfig>) -> CircleDefinitions {
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    // Several circles may name the same files.
    let (mut inits, mut directories) = (BTreeMap::new(), BTreeMap::new());
    let all = circles
        .into_iter()
        .map(|circle| {
            files.extend(circle.init.iter().chain(&circle.modules).chain(&circle.functions).cloned());
            files.extend(circle.tls.iter().flat_map(|tls| [tls.cert.clone(), tls.key.clone()]));
            let mut init = |path: &PathBuf| *inits.entry(path.clone()).or_insert_with(|| digest_file(path));
            let mut directory = |path: &PathBuf, depth| {
                let read = || digest_directory(path, depth, &mut folders);
                *directories.entry((path.clone(), depth)).or_insert_with(read)
            };
            let contents = ContentDigests {
                init: circle.init.as_ref().map(&mut init),
                modules: circle.modules.as_ref().map(|path| directory(path, MAX_DEPTH)),
                // The files of functions are directly in their directory.
                functions: circle.functions.as_ref().map(|path| directory(path, 0)),
                tls: circle.tls.as_ref().map(|tls| [&tls.cert, &tls.key].map(|path| digest_file(path))),
            };
            CircleDefinition { circle, contents }
        })
        .collect();
    CircleDefinitions { circles: all, files, folders, is_watched: true }
}

/// Hashes a file; an unreadable file has a digest, too.
fn digest_file(path: &Path) -> Digest {
    let mut digest = Sha256::new();
    hash_file(&mut digest, path, MAX_FILE_BYTES);
    digest.finalize().into()
}

/// Adds a file to a hash, and returns the number of bytes.
fn hash_file(digest: &mut Sha256, path: &Path, remaining: u64) -> u64 {
    let read = || -> io::Result<Vec<u8>> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            // Not opened: opening a pipe would block.
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = metadata.len().to_le_bytes().to_vec();
        File::open(path)?.take(remaining).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(&bytes);
            bytes.len() as u64
        }
        Err(error) => {
            digest.update(u64::MAX.to_le_bytes());
            digest.update(error.kind().to_string());
            0
        }
    }
}

/// Hashes the Rhai files in a directory, and in folders of it down to a depth. Adds the folders that were read to
/// `folders`.
fn digest_directory(directory: &Path, max_depth: usize, folders: &mut BTreeSet<PathBuf>) -> Digest {
    let (mut modules, mut left, mut entries) = (Vec::new(), VecDeque::from([(directory.to_owned(), 0)]), 0);
    let mut seen = BTreeSet::new();
    while let Some((folder, depth)) = left.pop_front() {
        // The identity of the folder, whatever links lead to it.
        let identity = std::fs::metadata(&folder).map(|found| (found.dev(), found.ino()));
        if entries > MAX_ENTRIES || identity.is_ok_and(|identity| !seen.insert(identity)) {
            continue;
        }
        folders.insert(folder.clone());
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                break;
            }
            let path = entry.path();
            // Metadata of a link's target.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if metadata.is_dir() && depth < max_depth {
                left.push_back((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "rhai") {
                modules.push(path);
            }
        }
    }
    modules.sort();
    let (mut digest, mut remaining) = (Sha256::new(), MAX_MODULE_BYTES);
    for path in modules {
        let name = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        remaining = remaining.saturating_sub(hash_file(&mut digest, &path, remaining));
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn digest_changes_with_content_only() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("modules/deep")).expect("made");
        for name in ["init.rhai", "modules/a.rhai", "modules/deep/b.rhai", "modules/notes.txt"] {
            fs::write(at(name), "1").expect("written");
        }
        let text = r#"{ "circles": [{ "name": "a", "port": 1, "init": "init.rhai", "modules": "modules" },
            { "name": "b", "port": 2, "modules": "modules" }, { "name": "c", "port": 3 }] }"#;
        fs::write(at("circles.json"), text).expect("written");
        let look = || {
            let read = read_definitions(&at("circles.json")).expect("valid");
            assert_eq!(read.files, [at("init.rhai"), at("modules")].into());
            let [a, b, c] = &read.circles[..] else { panic!("three") };
            assert_eq!((a.contents.modules, &c.contents), (b.contents.modules, &ContentDigests::default()));
            (a.contents.clone(), read.folders)
        };
        let (first, folders) = look();
        assert_eq!(folders, [at("modules"), at("modules/deep")].into());
        assert_eq!(look().0, first);
        fs::write(at("modules/notes.txt"), "2").expect("written");
        assert_eq!(look().0, first, "not a module");

        let change = |change: &dyn Fn(), is_init: bool, is_modules: bool| {
            let before = look().0;
            change();
            let after = look().0;
            assert_eq!((before.init != after.init, before.modules != after.modules), (is_init, is_modules));
        };
        change(&|| fs::write(at("init.rhai"), "2").expect("written"), true, false);
        change(&|| fs::write(at("modules/deep/b.rhai"), "2").expect("written"), false, true);
        change(&|| fs::rename(at("modules/a.rhai"), at("modules/c.rhai")).expect("moved"), false, true);
        change(&|| fs::write(at("modules/deep/d.rhai"), "").expect("written"), false, true);
        change(&|| fs::remove_file(at("modules/deep/d.rhai")).expect("removed"), false, true);
        // The boundary between two files counts.
        fs::write(at("modules/c.rhai"), "xy").expect("written");
        change(&|| fs::write(at("modules/c.rhai"), "x").expect("written"), false, true);
        let broken = || std::os::unix::fs::symlink(at("none"), at("modules/e.rhai")).expect("linked");
        change(&broken, false, false);
        // A folder that several links lead to is read once.
        (0..9).for_each(|number| std::os::unix::fs::symlink(".", at(&format!("modules/l{number}"))).expect("linked"));
        assert_eq!(look().1, folders);
        let long = || fs::write(at("init.rhai"), vec![b'x'; 17 << 20]).expect("written");
        change(&long, true, false);
        change(&|| fs::write(at("init.rhai"), vec![b'x'; 18 << 20]).expect("written"), true, false);
    }

    #[test]
    fn digest_of_functions_is_that_of_the_files_directly_in_the_directory() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("shop/deep")).expect("made");
        for name in ["shop/price.rhai", "shop/deep/b.rhai", "shop/notes.txt"] {
            fs::write(at(name), "1").expect("written");
        }
        let text = r#"{ "circles": [
            { "name": "a", "port": 1, "roles": {}, "functions": "shop", "modules": "shop" }] }"#;
        fs::write(at("circles.json"), text).expect("written");
        let look = || {
            let read = read_definitions(&at("circles.json")).expect("valid");
            assert!(read.files.contains(&at("shop")) && read.folders.contains(&at("shop")));
            read.circles[0].contents.clone()
        };
        let change = |name: &str, is_functions: bool, is_modules: bool| {
            let before = look();
            fs::write(at(name), "2").expect("written");
            let after = look();
            let is_changed = (before.functions != after.functions, before.modules != after.modules);
            assert_eq!(is_changed, (is_functions, is_modules), "{name}");
        };
        change("shop/price.rhai", true, true);
        change("shop/order.rhai", true, true);
        change("shop/deep/b.rhai", false, true);
        change("shop/notes.txt", false, false);
    }
}
