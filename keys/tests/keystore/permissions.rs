//! Keys that others can read or write.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use keys::keystore::KeystoreError;

use super::{QUICK, add, fresh, mode, name};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set mode");
}

#[test]
fn unlock_refuses_key_file_with_loose_permissions() {
    let (_root, store) = fresh();
    add(&store, "alice");
    let alice = store.dir().join("alice.json");
    for loose in [0o640, 0o604, 0o620, 0o602, 0o610, 0o666] {
        set_mode(&alice, loose);
        let refused = store.unlock(&name("alice"), "open sesame").expect_err("others can access the file");
        assert!(
            matches!(&refused, KeystoreError::LoosePermissions { path, mode } if *path == alice && *mode == loose),
            "{loose:o}: {refused}"
        );
        assert!(refused.to_string().contains(&format!("(mode {loose:04o})")), "{refused}");
        // A client can report the error before it asks for the passphrase.
        assert!(matches!(store.check_unlockable(&name("alice")), Err(KeystoreError::LoosePermissions { .. })));
        // Operations that need no secret still work: the key can be shown and removed.
        store.show(&name("alice")).expect("shown");
    }
    for private in [0o600, 0o400] {
        set_mode(&alice, private);
        store.unlock(&name("alice"), "open sesame").expect("only the owner can access the file");
    }
}

#[test]
fn unlock_checks_permissions_of_link_target() {
    let (root, store) = fresh();
    add(&store, "alice");
    let (alice, target) = (store.dir().join("alice.json"), root.path().join("elsewhere"));
    fs::rename(&alice, &target).expect("moved");
    symlink(&target, &alice).expect("linked");
    store.unlock(&name("alice"), "open sesame").expect("only the owner can access the target");
    set_mode(&target, 0o644);
    let refused = store.unlock(&name("alice"), "open sesame").expect_err("others may read the target");
    assert!(matches!(refused, KeystoreError::LoosePermissions { .. }), "{refused}");
}

#[test]
fn unlock_refuses_key_in_writable_directory() {
    let (_root, store) = fresh();
    let (pair, _) = add(&store, "alice");
    for loose in [0o770, 0o702, 0o1777] {
        set_mode(store.dir(), loose);
        let refused = store.unlock(&name("alice"), "open sesame").expect_err("others may put a file there");
        assert!(
            matches!(&refused, KeystoreError::WritableDirectory { path, mode } if path == store.dir() && *mode == loose),
            "{loose:o}: {refused}"
        );
    }
    // In a directory that others can only list, the permissions of the files protect them.
    set_mode(store.dir(), 0o755);
    store.unlock(&name("alice"), "open sesame").expect("nobody else may write there");
    // A write makes the directory private.
    set_mode(store.dir(), 0o777);
    store.change_passphrase(&name("alice"), &pair, "open barley", QUICK).expect("changed");
    assert_eq!(mode(store.dir()), 0o700);
    store.unlock(&name("alice"), "open barley").expect("unlocked");
}
