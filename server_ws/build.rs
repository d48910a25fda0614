//! Prepares the files of the web console, which the library embeds: compresses them, and puts a hash into their URLs.
//!
//! The hash covers all files and their headers. So a file with another content has another URL, and browsers can cache
//! each URL for good. All files are in one directory of that name, so relative URLs between them work.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

/// The built console, relative to this package: a link to `web/dist`, which a published package has as a directory.
const CONSOLE: &str = "console";

/// The source of the headers with which browsers cache the files.
const HEADERS: &str = "src/transport/console.rs";

/// The page of the console.
const INDEX: &str = "index.html";

type Files = BTreeMap<String, Vec<u8>>;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONSOLE}\ncargo::rerun-if-changed={HEADERS}");
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let directory = package.join(CONSOLE);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = read(&directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
    let hash = hash(&files, &fs::read(package.join(HEADERS))?);
    let index = files.remove(INDEX).ok_or_else(|| format!("{INDEX} is missing in {}", directory.display()))?;
    let index = with_urls(&String::from_utf8(index)?, &files, &hash)?;
    fs::write(out.join(INDEX), index)?;
    let included = |name: &str| format!("concat!(env!(\"OUT_DIR\"), {:?})", format!("/{name}"));
    let mut table = format!(
        "pub(super) const HASH: &str = {hash:?};\npub(super) const INDEX: &str = include_str!({});\n\
         pub(super) static FILES: &[ConsoleFile] = &[\n",
        included(INDEX)
    );
    for (name, content) in &files {
        let compressed = format!("{name}.gz");
        fs::write(out.join(&compressed), compress(content)?)?;
        table.push_str(&format!(
            "    ConsoleFile {{ name: {name:?}, content_type: {:?}, gzip: include_bytes!({}) }},\n",
            content_type(name)?,
            included(&compressed)
        ));
    }
    table.push_str("];\n");
    fs::write(out.join("console_files.rs"), table)?;
    Ok(())
}

/// Reads the files of a directory.
fn read(directory: &Path) -> Result<Files, Box<dyn Error>> {
    let mut files = Files::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| format!("{} is not UTF-8", name.display()))?;
        files.insert(name, fs::read(entry.path())?);
    }
    Ok(files)
}

/// Returns the hash of all names and contents and of the headers, in hexadecimal digits.
fn hash(files: &Files, headers: &[u8]) -> String {
    let mut hash = Sha256::new_with_prefix(headers);
    for text in files.iter().flat_map(|(name, content)| [name.as_bytes(), content]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    // A part of the digest is enough for a name in a URL.
    let digest = hash.finalize();
    digest.first_chunk().map(|digits| format!("{:016x}", u64::from_be_bytes(*digits))).unwrap_or_default()
}

/// Returns the page with the URLs at which the circle serves the files. The URLs are relative to the page, so a proxy can
/// serve the page below a path.
fn with_urls(index: &str, files: &Files, hash: &str) -> Result<String, String> {
    let (mut page, mut rest, mut urls) = (String::new(), index, 0);
    while let Some(start) = [" src=\"", " href=\""].iter().filter_map(|name| Some(rest.find(name)? + name.len())).min()
    {
        let (before, url) = rest.split_at(start);
        let length = url.find('"').ok_or_else(|| format!("{INDEX} has a URL without an end: {url}"))?;
        let (url, after) = url.split_at(length);
        page.push_str(before);
        if url.starts_with("data:") {
            page.push_str(url);
        } else {
            let name = url.strip_prefix("./").unwrap_or(url);
            if !files.contains_key(name) {
                return Err(format!("{INDEX} refers to {url:?}, which is not beside it: use the plain name of a file"));
            }
            page.push_str(&format!("console/{hash}/{name}"));
            urls += 1;
        }
        rest = after;
    }
    if urls == 0 {
        return Err(format!("{INDEX} refers to no file: write src=\"NAME\" and href=\"NAME\" with quotes"));
    }
    Ok(page + rest)
}

fn compress(content: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    // Without a time and a name, the same content has the same bytes.
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

fn content_type(name: &str) -> Result<&'static str, String> {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => Ok("text/css; charset=utf-8"),
        Some("js") => Ok("text/javascript; charset=utf-8"),
        Some("svg") => Ok("image/svg+xml"),
        Some("txt") => Ok("text/plain; charset=utf-8"),
        Some("wasm") => Ok("application/wasm"),
        _ => Err(format!("{CONSOLE}/{name} has no known content type: remove the file, or add its type to build.rs")),
    }
}
