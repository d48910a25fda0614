//! The history that several consoles share.

use ratatui::crossterm::event::KeyCode::{Down, Enter, Esc, Up};

use super::rig::Rig;

#[tokio::test(start_paused = true)]
async fn search_finds_the_inputs_of_another_console_and_up_shows_own_ones_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut one = Rig::start_with_history(directory.path()).await;
    let mut other = Rig::start_with_history(directory.path()).await;
    one.play_on_lab().await;
    one.wait_for_history().await;
    other.keys(&[Down, Enter]).await;
    other.write("let theirs = 1\n").await;
    other.wait_for_history().await;
    one.control('r').await;
    one.wait_for_history().await;
    one.shows("let theirs = 1");
    one.shows("2 on all circles");
    one.key(Enter).await;
    one.shows("> let theirs = 1");
    one.control('c').await;
    one.shows_not("> let theirs = 1");
    one.key(Up).await;
    one.shows("> let precious = 42");
    one.key(Up).await;
    one.shows("> let theirs = 1");
    one.control('c').await;
    // The other console knows its own inputs once.
    other.control('r').await;
    other.wait_for_history().await;
    other.shows("2 on all circles");
    other.key(Esc).await;
    let stored = std::fs::read_to_string(directory.path().join("history.jsonl")).expect("it is there");
    assert_eq!((stored.matches("precious").count(), stored.matches("theirs").count()), (1, 1), "{stored}");
}
