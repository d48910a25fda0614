//! The files of the web console, which the build script embeds in the program.

/// A file of the console.
#[derive(Debug)]
pub(super) struct ConsoleFile {
    pub(super) name: &'static str,
    pub(super) content_type: &'static str,
    /// The content, compressed with gzip.
    pub(super) gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/console_files.rs"));

/// Returns a file by the hash in its URL and its name.
pub(super) fn find(hash: &str, name: &str) -> Option<&'static ConsoleFile> {
    FILES.iter().find(|file| hash == HASH && file.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_the_exact_hash_and_name() {
        assert!(!FILES.is_empty());
        for file in FILES {
            assert!(std::ptr::eq(find(HASH, file.name).expect("it is there"), file));
            assert!(find("0", file.name).is_none() && find("", file.name).is_none());
        }
        for name in ["", ".", "..", "../Cargo.toml", "index.html", "APP.JS", "app.js.gz", "app.js/"] {
            assert!(find(HASH, name).is_none(), "{name}");
        }
    }

    #[test]
    fn files_are_compressed_with_gzip_and_without_a_time() {
        for file in FILES {
            assert!(file.gzip.starts_with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), "{}", file.name);
        }
    }

    #[test]
    fn page_refers_to_files_under_their_hash_only() {
        let urls = INDEX.split('"').skip(1).step_by(2).filter(|url| url.starts_with("console/"));
        let names: Vec<_> = urls.map(|url| url.strip_prefix("console/").expect("checked").split_once('/')).collect();
        assert!(!names.is_empty());
        for name in names {
            let (hash, name) = name.expect("a hash and a name");
            assert!(find(hash, name).is_some(), "{name}");
        }
    }
}
