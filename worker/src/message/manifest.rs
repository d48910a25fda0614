//! The manifest of a setup: what another machine needs to know before it requests the texts that it lacks.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    BUILD,
    call::{FunctionFile, FunctionFiles},
    frame,
    module_sources::ModuleSources,
    setup::WorkerSetup,
};

/// The SHA-256 hash of a text or of a [`Manifest`]. It displays as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(content: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ContentHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// The hash and the size of a text of a setup: the init script, or the source of a module or of a function file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextReference {
    /// The hash of the text.
    pub hash: ContentHash,
    /// The size of the text in bytes.
    pub bytes: u64,
}

impl TextReference {
    fn of(text: &str) -> Self {
        Self { hash: ContentHash::of(text), bytes: text.len() as u64 }
    }

    /// Whether this is the hash and the size of the text.
    pub fn matches(&self, text: &str) -> bool {
        *self == Self::of(text)
    }
}

/// A [`WorkerSetup`] that has references in place of its texts. Two setups with the same [`hash`](Self::hash) are the same,
/// so another machine can keep a fork server for the hash, and each text for its own hash.
///
/// # Examples
///
/// ```
/// use worker::{Manifest, WorkerSetup};
///
/// let setup = WorkerSetup { init: Some("fn double(x) { x * 2 }".into()), ..WorkerSetup::default() };
/// let manifest = Manifest::new(&setup);
/// // On the other machine, which has requested the bytes and then the text:
/// let received = Manifest::decode(&manifest.encode()).expect("the same build");
/// let text = setup.texts().next().expect("the init script");
/// let complete = received.to_setup(|reference| reference.matches(text).then(|| text.to_owned()));
/// assert_eq!(complete.expect("all texts"), setup);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The setup without modules, init script and sources of function files.
    setup: WorkerSetup,
    init: Option<TextReference>,
    modules: Vec<(String, Result<TextReference, String>)>,
    /// As many as the function files of the setup.
    functions: Vec<TextReference>,
}

/// The encoding of a manifest.
#[derive(Serialize, Deserialize)]
struct EncodedManifest<S, M> {
    setup: S,
    init: Option<TextReference>,
    modules: M,
    functions: Vec<TextReference>,
}

impl WorkerSetup {
    /// The texts of the setup, in the order of [`Manifest::texts`]: the init script, and the sources of the modules and of
    /// the function files. A text can occur several times.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let modules = self.modules.iter().filter_map(|(_, source)| source.ok());
        let functions = self.functions.iter().flat_map(|functions| &functions.files);
        self.init.as_deref().into_iter().chain(modules).chain(functions.map(|file| file.source.as_str()))
    }
}

impl Manifest {
    /// Makes the manifest of a setup, which hashes all texts.
    pub fn new(setup: &WorkerSetup) -> Self {
        let reference = |(name, source): (&str, Result<&str, &str>)| {
            (name.to_owned(), source.map(TextReference::of).map_err(str::to_owned))
        };
        let files = setup.functions.iter().flat_map(|functions| &functions.files);
        Self {
            init: setup.init.as_deref().map(TextReference::of),
            modules: setup.modules.iter().map(reference).collect(),
            functions: files.map(|file| TextReference::of(&file.source)).collect(),
            setup: WorkerSetup {
                constants: setup.constants.clone(),
                limits: setup.limits.clone(),
                modules: ModuleSources::default(),
                init: None,
                host: setup.host.clone(),
                functions: setup.functions.as_ref().map(without_sources),
                must_be_sealed: setup.must_be_sealed,
            },
        }
    }

    /// The references to the texts of the setup, in the order of [`WorkerSetup::texts`].
    pub fn texts(&self) -> impl Iterator<Item = TextReference> {
        let modules = self.modules.iter().filter_map(|(_, source)| source.as_ref().ok());
        self.init.iter().chain(modules).chain(&self.functions).copied()
    }

    /// The size of all texts together in bytes, as the manifest states it.
    pub fn text_bytes(&self) -> u64 {
        self.texts().fold(0, |sum, text| sum.saturating_add(text.bytes))
    }

    /// The hash that identifies the setup: that of the encoding.
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(self.encode())
    }

    /// The encoding, which only the same build can decode.
    pub fn encode(&self) -> Vec<u8> {
        let Self { setup, init, modules, functions } = self;
        let encoded = EncodedManifest { setup, init: *init, modules, functions: functions.clone() };
        frame::encode(&encoded, frame::encode(&BUILD, Vec::new()))
    }

    /// Decodes a manifest.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are no manifest, or that of another build.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let (build, rest) = frame::split(bytes).ok_or(InvalidManifest::Malformed)?;
        let build: &str = frame::decode_borrowed(build).map_err(|_| InvalidManifest::Malformed)?;
        if build != BUILD {
            return Err(InvalidManifest::OtherBuild { build: build.to_owned() });
        }
        let (encoded, rest) = frame::split(rest).ok_or(InvalidManifest::Malformed)?;
        let EncodedManifest { setup, init, modules, functions } =
            frame::decode::<EncodedManifest<WorkerSetup, _>>(encoded).map_err(|_| InvalidManifest::Malformed)?;
        let manifest = Self { setup, init, modules, functions };
        let files = manifest.setup.functions.as_ref().map_or(0, |functions| functions.files.len());
        if !rest.is_empty() || files != manifest.functions.len() || manifest.setup.texts().any(|text| !text.is_empty())
        {
            return Err(InvalidManifest::Malformed);
        }
        Ok(manifest)
    }

    /// Completes the setup with its texts. `find` returns the text of a reference. It must have
    /// [checked](TextReference::matches) texts from elsewhere.
    ///
    /// # Errors
    ///
    /// Returns the first reference for which `find` returns nothing.
    pub fn to_setup(&self, mut find: impl FnMut(TextReference) -> Option<String>) -> Result<WorkerSetup, MissingText> {
        let mut text = |reference: TextReference| find(reference).ok_or(MissingText(reference));
        let mut setup = self.setup.clone();
        setup.init = self.init.map(&mut text).transpose()?;
        let modules = self.modules.iter().map(|(name, source)| {
            let source = source.clone().map(&mut text).map_or_else(|error| Ok(Err(error)), |found| found.map(Ok))?;
            Ok((name.clone(), source))
        });
        setup.modules = modules.collect::<Result<_, MissingText>>()?;
        let files = setup.functions.iter_mut().flat_map(|functions| &mut functions.files);
        for (file, reference) in files.zip(&self.functions) {
            file.source = text(*reference)?;
        }
        Ok(setup)
    }
}

fn without_sources(functions: &FunctionFiles) -> FunctionFiles {
    let file =
        |file: &FunctionFile| FunctionFile { name: file.name.clone(), path: file.path.clone(), source: String::new() };
    FunctionFiles { namespace: functions.namespace.clone(), files: functions.files.iter().map(file).collect() }
}

/// The reason why bytes cannot be decoded as a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidManifest {
    /// The bytes are no manifest.
    Malformed,
    /// The manifest comes from another build of this crate.
    OtherBuild {
        /// The name of the other build.
        build: String,
    },
}

impl fmt::Display for InvalidManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the bytes are no manifest of a setup"),
            Self::OtherBuild { build } => write!(
                f,
                "the manifest comes from another build ({build:?}, this is {BUILD:?}): run the same version on both \
                 machines"
            ),
        }
    }
}

impl std::error::Error for InvalidManifest {}

/// The reference to a text that [`Manifest::to_setup`] does not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingText(pub TextReference);

impl fmt::Display for MissingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the text with the hash {} is missing: request it again", self.0.hash)
    }
}

impl std::error::Error for MissingText {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::message::NamedValue;

    fn setup(module: &str) -> WorkerSetup {
        let file = |name: &str, source: &str| FunctionFile {
            name: name.into(),
            path: format!("{name}.rhai"),
            source: source.into(),
        };
        WorkerSetup {
            constants: vec![NamedValue::new("REGION", "test").expect("valid")],
            init: Some("let a = 1;".into()),
            modules: [("geo", Ok(module)), ("large", Err("too large")), ("same", Ok("let a = 1;"))]
                .map(|(name, source)| (name.to_owned(), source.map(str::to_owned).map_err(str::to_owned)))
                .into_iter()
                .collect(),
            functions: Some(FunctionFiles {
                namespace: "circle".into(),
                files: vec![file("order", "fn order() { 1 }"), file("empty", "")],
            }),
            must_be_sealed: true,
            ..WorkerSetup::default()
        }
    }

    #[test]
    fn setup_is_complete_with_its_texts() {
        for setup in [setup("fn area() { 1 }"), WorkerSetup::default()] {
            let manifest = Manifest::new(&setup);
            let received = Manifest::decode(&manifest.encode()).expect("a manifest");
            assert_eq!((&received, received.hash()), (&manifest, manifest.hash()));
            let texts: HashMap<_, _> = manifest.texts().zip(setup.texts()).collect();
            assert!(texts.iter().all(|(reference, text)| reference.matches(text)));
            let find = |reference| texts.get(&reference).map(|text| (*text).to_owned());
            assert_eq!(received.to_setup(find), Ok(setup.clone()));
            let all: u64 = setup.texts().map(|text| text.len() as u64).sum();
            assert_eq!((manifest.texts().count(), manifest.text_bytes()), (setup.texts().count(), all));
        }
    }

    #[test]
    fn changed_module_is_one_other_text() {
        let [before, after] = ["fn area() { 1 }", "fn area() { 2 }"].map(|module| Manifest::new(&setup(module)));
        assert_ne!(before.hash(), after.hash());
        assert_eq!(before.texts().zip(after.texts()).filter(|(before, after)| before != after).count(), 1);
        let other_limits = WorkerSetup { must_be_sealed: false, ..setup("fn area() { 1 }") };
        assert_ne!(Manifest::new(&other_limits).hash(), before.hash());
    }

    #[test]
    fn missing_text_is_an_error() {
        let manifest = Manifest::new(&setup("fn area() { 1 }"));
        for missing in manifest.texts() {
            let find = |reference| (reference != missing).then(String::new);
            assert_eq!(manifest.to_setup(find), Err(MissingText(missing)));
        }
    }

    #[test]
    fn manifest_of_another_build_is_rejected() {
        let other = frame::encode(&"0.0.1 other", Vec::new());
        let error = Manifest::decode(&other).expect_err("another build");
        assert_eq!(error, InvalidManifest::OtherBuild { build: "0.0.1 other".into() });
    }

    #[test]
    fn truncated_or_extended_manifest_is_malformed() {
        let bytes = Manifest::new(&setup("fn area() { 1 }")).encode();
        for end in 0..bytes.len() {
            assert_eq!(Manifest::decode(&bytes[..end]), Err(InvalidManifest::Malformed), "{end}");
        }
        assert_eq!(Manifest::decode(&[&bytes[..], &[0]].concat()), Err(InvalidManifest::Malformed));
    }

    #[test]
    fn manifest_with_texts_is_malformed() {
        let mut manifest = Manifest::new(&setup(""));
        manifest.setup.init = Some("let b = 1;".into());
        assert_eq!(Manifest::decode(&manifest.encode()), Err(InvalidManifest::Malformed));
        let mut manifest = Manifest::new(&setup(""));
        manifest.functions.pop();
        assert_eq!(Manifest::decode(&manifest.encode()), Err(InvalidManifest::Malformed));
    }

    proptest! {
        /// The bytes come over a network.
        #[test]
        fn decode_of_any_bytes_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in any::<proptest::sample::Index>(),
        ) {
            let mut changed = Manifest::new(&setup("fn area() { 1 }")).encode();
            drop(Manifest::decode(&bytes));
            for byte in bytes {
                let at = at.index(changed.len());
                changed[at] ^= byte;
                drop(Manifest::decode(&changed));
            }
        }
    }
}
