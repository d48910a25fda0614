//! New nkeys of users.

use std::{io, path::Path};

use keys::private_files::{self, WriteOutcome};
use nkeys::{KeyPair, KeyPairType};
use zeroize::Zeroizing;

use super::{FileKind, NatsConfigError};

/// Makes an nkey of a user: writes its seed into a new file that only its owner can access, and returns the public key
/// for nats-server. Blocks.
///
/// # Errors
///
/// Returns a [`NatsConfigError`] if the file exists or cannot be written, or if the system has no random bytes.
pub fn create_nkey(path: &Path) -> Result<String, NatsConfigError> {
    let failed = |error: io::Error| NatsConfigError::Unreadable {
        kind: FileKind::Nkey,
        path: path.to_owned(),
        action: "make",
        reason: error.to_string(),
    };
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| failed(error.into()))?;
    let pair = KeyPair::new_from_raw(KeyPairType::User, *bytes).map_err(|error| failed(io::Error::other(error)))?;
    let seed = Zeroizing::new(pair.seed().map_err(|error| failed(io::Error::other(error)))?);
    let text = Zeroizing::new(format!("{}\n", *seed));
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = private_files::write_new(directory, path, &text);
    match written.map_err(|error| NatsConfigError::file(FileKind::Nkey, path, &error))? {
        WriteOutcome::Written => Ok(pair.public_key()),
        WriteOutcome::AlreadyExists => Err(NatsConfigError::BadFile {
            kind: FileKind::Nkey,
            path: path.to_owned(),
            reason: "exists already".into(),
            fix: "name a new file".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::config::{NatsConfig, NatsSettings, Secret};

    #[test]
    fn new_nkey_is_private_and_can_be_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("m1.nkey");
        let public = create_nkey(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        let settings = NatsSettings { servers: "n1".into(), nkey: Some(path.clone()), ..NatsSettings::default() };
        let read = NatsConfig::new(&settings).and_then(|config| config.read_files()).expect("valid");
        assert!(matches!(read, Secret::Nkey { public_key, .. } if public_key == public && public.starts_with('U')));
        // It never replaces a file.
        let before = fs::read_to_string(&path).expect("a seed");
        let error = create_nkey(&path).expect_err("it exists").to_string();
        assert_eq!(error, format!("the NATS nkey file {} exists already; name a new file", path.display()));
        assert_eq!(fs::read_to_string(&path).expect("a seed"), before);
        let error = create_nkey(&directory.path().join("none/m1.nkey")).expect_err("no directory").to_string();
        assert!(error.contains("No such file or directory"), "{error}");
    }
}
