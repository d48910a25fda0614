//! The dialogs of the keys pane.

use frontend::error::CliError;
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing},
};
use ratatui::crossterm::event::KeyCode::{Backspace, Char, Enter, Esc, Right};

use super::rig::Rig;
use crate::{
    event::AppEvent,
    keys::{KeyChange, KeyOutcome},
};

fn entry(name: &str, default: bool) -> KeyEntry {
    let public_key = KeyPair::generate().expect("random bytes").public_key();
    KeyEntry { name: name.parse().expect("a name"), public_key, default }
}

fn listing(entries: &[KeyEntry]) -> KeyListing {
    KeyListing { entries: entries.to_vec(), damaged: Vec::new() }
}

/// Starts the app with the keys `alice`, which is the default key, and `bob`, in the keys pane.
async fn start() -> (Rig, [KeyEntry; 2]) {
    let mut rig = Rig::start().await;
    let keys = [entry("alice", true), entry("bob", false)];
    rig.post(AppEvent::KeysListed(Ok(listing(&keys))));
    rig.key(Char('2')).await;
    rig.shows("▌alice");
    (rig, keys)
}

async fn erase(rig: &mut Rig, characters: usize) {
    for _ in 0..characters {
        rig.key(Backspace).await;
    }
}

/// Returns the changes of the keystore that the app has asked for.
fn changes(rig: &Rig) -> Vec<String> {
    rig.outside.take_requests()
}

#[tokio::test(start_paused = true)]
async fn rename_keeps_the_text_after_an_error_and_selects_the_key() {
    let (mut rig, [mut alice, bob]) = start().await;
    rig.key(Char('R')).await;
    rig.shows("Rename alice");
    rig.key(Esc).await;
    assert_eq!(changes(&rig), [""; 0]);
    rig.key(Char('R')).await;
    erase(&mut rig, 5).await;
    rig.write("a b\n").await;
    rig.shows("Rename alice");
    assert_eq!(changes(&rig), [""; 0]);
    erase(&mut rig, 3).await;
    rig.write("zoe\n").await;
    assert_eq!(changes(&rig).len(), 1);
    rig.shows("working…");
    rig.post(AppEvent::KeyChanged(Err(CliError::usage("no", "why", "what to do"))));
    rig.settle().await;
    rig.shows("no: why; what to do");
    rig.shows("zoe");
    rig.key(Enter).await;
    let [asked] = &changes(&rig)[..] else { panic!("one change") };
    assert!(asked.contains("Rename") && asked.contains("zoe"), "{asked}");
    let old = alice.name.clone();
    alice.name = "zoe".parse().expect("a name");
    let outcome = KeyOutcome::Renamed { old, entry: alice.clone() };
    rig.post(AppEvent::KeyChanged(Ok((outcome, listing(&[bob, alice])))));
    rig.settle().await;
    rig.shows("renamed alice to zoe");
    rig.shows("▌zoe");
    rig.shows_not("Rename alice");
}

#[tokio::test(start_paused = true)]
async fn key_is_deleted_only_after_its_name_is_typed() {
    let (mut rig, [_, bob]) = start().await;
    for typed in ["", "y", "yes", "alic"] {
        rig.key(Char('d')).await;
        rig.shows("Deletes alice (");
        rig.shows("the default key");
        rig.write(typed).await;
        rig.key(Enter).await;
        rig.shows("this is not its name: alice");
        rig.key(Esc).await;
    }
    assert_eq!(changes(&rig), [""; 0]);
    rig.key(Char('d')).await;
    rig.write("alice\n").await;
    let name: keys::keystore::KeyName = "alice".parse().expect("a name");
    assert_eq!(changes(&rig), [format!("keystore {:?}", KeyChange::Remove(name.clone()))]);
    // The outcome is reported although the dialog was closed.
    rig.key(Esc).await;
    rig.post(AppEvent::KeyChanged(Ok((KeyOutcome::Removed(name), listing(&[bob])))));
    rig.settle().await;
    rig.shows("deleted alice; choose a default key with D");
    rig.shows("▌bob");
}

#[tokio::test(start_paused = true)]
async fn passphrase_is_neither_shown_nor_recorded() {
    let (mut rig, _) = start().await;
    rig.key(Char('p')).await;
    rig.write("hunter1\nhunter2\nhunter3\n").await;
    rig.shows("the two passphrases differ");
    rig.shows_not("hunter");
    erase(&mut rig, 7).await;
    rig.write("hunter2\n").await;
    let [asked] = &changes(&rig)[..] else { panic!("one change") };
    assert!(asked.contains("ChangePassphrase") && !asked.contains("hunter"), "{asked}");
    rig.post(AppEvent::KeyChanged(Err(CliError::usage("wrong passphrase", "", ""))));
    rig.settle().await;
    rig.shows("wrong passphrase");
    // The new one need not be typed again.
    rig.write("hunter4\n\n\n").await;
    assert_eq!(changes(&rig).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bare_secret_is_exported_only_after_a_confirmation() {
    let (mut rig, _) = start().await;
    rig.keys(&[Char('E'), Enter]).await;
    rig.shows_not("Export the secret");
    rig.keys(&[Char('E'), Right, Enter]).await;
    rig.shows("Export the secret of alice");
    rig.shows("alice.secret");
    rig.write("\n\n").await;
    rig.shows("type the passphrase of alice");
    assert_eq!(changes(&rig), [""; 0]);
    rig.write("pw\n").await;
    assert_eq!(changes(&rig).len(), 1);
    rig.key(Esc).await;
    rig.key(Char('e')).await;
    rig.shows("alice.json");
    rig.key(Enter).await;
    let [asked] = &changes(&rig)[..] else { panic!("one change") };
    assert!(asked.contains("Export {"), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn import_asks_for_a_passphrase_where_the_file_has_none() {
    let (mut rig, keys) = start().await;
    rig.key(Char('i')).await;
    rig.write("carol\nkey.hex\n").await;
    assert_eq!(changes(&rig).len(), 1);
    rig.post(AppEvent::KeyChanged(Ok((KeyOutcome::PassphraseNeeded, listing(&keys)))));
    rig.settle().await;
    rig.shows("choose a passphrase for it");
    rig.write("pw\npw\n").await;
    let [asked] = &changes(&rig)[..] else { panic!("one change") };
    assert!(asked.contains("carol") && asked.contains("passphrase: Some"), "{asked}");
    let carol = entry("carol", false);
    let all = [keys[0].clone(), keys[1].clone(), carol.clone()];
    rig.post(AppEvent::KeyChanged(Ok((KeyOutcome::Imported(carol), listing(&all)))));
    rig.settle().await;
    rig.shows("▌carol");
}

#[tokio::test(start_paused = true)]
async fn key_is_unlocked_and_locked_from_the_pane() {
    let (mut rig, [alice, _]) = start().await;
    rig.key(Char('u')).await;
    rig.shows("passphrase of alice");
    rig.write("pw\n").await;
    let keypair = KeyPair::generate().expect("random bytes");
    rig.post(AppEvent::KeyUnlocked(alice.name, Ok(keypair.into())));
    rig.settle().await;
    rig.shows("✓⚿");
    rig.key(Char('u')).await;
    rig.shows("locked alice");
    rig.shows_not("✓⚿");
}
