//! Identity files: the files with the keys of circles.
#![cfg(feature = "keystore")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use keys::KeyPair;
use keys::identity_file::{IdentityFileError, load, load_or_create, rotate};
use keys::private_files::PrivateFileError;
use tempfile::TempDir;

fn fresh() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a directory");
    let path = root.path().join("team.identity");
    (root, path)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set mode");
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).expect("write");
    set_mode(path, 0o600);
}

#[test]
fn identity_is_created_once_and_private() {
    let (root, path) = fresh();
    assert!(matches!(load(&path), Err(IdentityFileError::Missing { .. })));
    assert!(matches!(rotate(&path), Err(IdentityFileError::Missing { .. })), "a missing identity is not rotated");
    let created = load_or_create(&path).expect("create");
    assert!(created.is_new);
    assert_eq!(fs::metadata(&path).expect("file exists").permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_to_string(&path).expect("read"), format!("{}\n", *created.keypair.secret_hex()));
    let again = load_or_create(&path).expect("read");
    assert!(!again.is_new);
    let public_key = created.keypair.public_key();
    assert_eq!((again.keypair.public_key(), load(&path).expect("read").public_key()), (public_key, public_key));
    assert_eq!(fs::read_dir(root.path()).expect("list").count(), 1, "no other file is left");
}

#[test]
fn identity_is_the_same_for_concurrent_creators() {
    for _ in 0..20 {
        let (root, path) = fresh();
        let (barrier, creators) = (Barrier::new(8), 8);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..creators)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        load_or_create(&path).expect("create or read")
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let first = load(&path).expect("read").public_key();
        assert!(keys.iter().all(|loaded| loaded.keypair.public_key() == first));
        assert_eq!(keys.iter().filter(|loaded| loaded.is_new).count(), 1, "one creator creates it");
        assert_eq!(fs::read_dir(root.path()).expect("list").count(), 1, "no other file is left");
    }
}

#[test]
fn identity_file_with_loose_permissions_is_refused() {
    let (root, path) = fresh();
    load_or_create(&path).expect("create");
    let link = root.path().join("link");
    symlink(&path, &link).expect("link");
    for loose in [0o640, 0o604, 0o620, 0o602, 0o666] {
        set_mode(&path, loose);
        for named in [&path, &link] {
            for refused in [load(named).err(), load_or_create(named).err(), rotate(named).err()] {
                let refused = refused.expect("others can access it");
                assert!(
                    matches!(&refused, IdentityFileError::File(PrivateFileError::LoosePermissions { mode, .. }) if *mode == loose),
                    "{loose:o}: {refused}"
                );
            }
        }
    }
    for private in [0o600, 0o400] {
        set_mode(&path, private);
        load(&link).expect("only its owner can access it");
    }
}

#[test]
fn file_without_an_identity_is_refused_and_kept() {
    let (root, path) = fresh();
    let digits = KeyPair::generate().expect("random bytes").secret_hex().to_string();
    let contents = [
        String::new(),
        "\n".into(),
        digits[1..].into(),
        format!("{digits}0"),
        format!("{digits}\n\n"),
        format!(" {digits}"),
        format!("{}\n", "0".repeat(64)),
        format!("{}\n", "g".repeat(64)),
        "ä".repeat(32),
        " ".repeat(2000),
    ];
    for content in contents {
        write(&path, &content);
        for refused in [load(&path).err(), load_or_create(&path).err(), rotate(&path).err()] {
            let refused = refused.expect("invalid identity");
            assert!(matches!(refused, IdentityFileError::Invalid { .. }), "{content}: {refused}");
            assert!(!refused.to_string().contains(&digits[1..]), "{refused}");
        }
        assert_eq!(fs::read_to_string(&path).expect("file exists"), content);
    }
    write(&path, [0xff; 64]);
    assert!(matches!(load(&path), Err(IdentityFileError::Invalid { .. })));
    assert!(matches!(load(root.path()), Err(IdentityFileError::Invalid { .. })), "a directory");
    let nowhere = root.path().join("nowhere");
    symlink(root.path().join("none"), &nowhere).expect("link");
    assert!(matches!(load_or_create(&nowhere), Err(IdentityFileError::Invalid { .. })));
    assert!(matches!(load_or_create(&root.path().join("none/team")), Err(IdentityFileError::File(_))));
    // A file that a person wrote may lack the newline.
    write(&path, &digits);
    assert_eq!(*load(&path).expect("an identity").secret_hex(), digits);
}

#[test]
fn rotation_replaces_identity_and_keeps_link() {
    let (root, path) = fresh();
    let before = load_or_create(&path).expect("create").keypair.public_key();
    let link = root.path().join("link");
    symlink(&path, &link).expect("link");
    let rotated = rotate(&link).expect("rotate");
    assert_eq!((rotated.old, rotated.new), (before, load(&path).expect("read").public_key()));
    assert_ne!(rotated.old, rotated.new);
    assert!(fs::symlink_metadata(&link).expect("file exists").is_symlink());
    assert_eq!(fs::metadata(&path).expect("file exists").permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(root.path()).expect("list").count(), 2, "no other file is left");
}
