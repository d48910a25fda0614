//! Esc is harmless, and whatever loses something asks first.

use ratatui::crossterm::event::KeyCode::{BackTab, Char, Down, Enter, Esc, Left, Right, Tab, Up};

use super::rig::{LAB, Rig, SCRATCH, status};
use crate::layout::Pane;

/// The requests of [`Rig::outside`], the end of the app and the variables: nothing of it has changed.
#[track_caller]
fn nothing_is_lost(rig: &Rig) {
    assert_eq!(rig.outside.take_requests(), [""; 0]);
    assert_eq!(rig.app.ended(), None);
    assert_eq!(rig.inputs(LAB), 1);
}

#[tokio::test(start_paused = true)]
async fn text_after_esc_loses_nothing() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    for text in ["try { precious }\n", "ry", "xy\n", "dy\n", "qy\n", "q\n", "r\nr\ny\n"] {
        rig.key(Esc).await;
        rig.write(text).await;
        nothing_is_lost(&rig);
        rig.keys(&[Esc, Esc]).await;
    }
    assert_eq!(rig.app.window.focus, Pane::Circles);
}

#[tokio::test(start_paused = true)]
async fn letters_are_text_in_the_repl_whatever_its_state() {
    let mut rig = Rig::start().await;
    // No session yet, and no connection.
    rig.keys(&[Down, Char('3')]).await;
    rig.write("1 + rdsxqyaonf?").await;
    rig.shows("> 1 + rdsxqyaonf?");
    rig.event(ratatui::crossterm::event::Event::Paste("\nSx".into())).await;
    rig.shows("| Sx");
    assert!(!rig.app.repl.get(LAB).is_some_and(crate::repl::SessionView::is_open));
    // Enter connects, and plays.
    rig.key(Enter).await;
    assert_eq!(rig.inputs(LAB), 1);
    rig.write("rdsxqyaonf?").await;
    rig.shows("> rdsxqyaonf?");
    rig.outside.lose_connections();
    rig.settle().await;
    rig.write("ry").await;
    rig.shows("> rdsxqyaonf?ry");
    assert_eq!(rig.outside.take_requests(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn esc_closes_what_is_open_and_then_moves_to_the_circles() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    rig.write(":h").await;
    rig.key(Tab).await;
    rig.shows("history");
    rig.key(Esc).await;
    assert_eq!(rig.app.window.focus, Pane::Repl);
    rig.shows("> :h");
    rig.key(Esc).await;
    assert_eq!(rig.app.window.focus, Pane::Circles);
    for pane in ['2', '4'] {
        rig.keys(&[Char(pane), Esc]).await;
        assert_eq!(rig.app.window.focus, Pane::Circles);
    }
    rig.keys(&[Char('3'), BackTab]).await;
    assert_eq!(rig.app.window.focus, Pane::Keys);
}

#[tokio::test(start_paused = true)]
async fn restart_and_stop_say_what_is_lost_and_need_a_moved_focus() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    rig.key(Esc).await;
    for (key, verb, request) in [('r', "Restart", "start"), ('x', "Stop", "stop")] {
        rig.key(Char(key)).await;
        rig.shows(&format!("{verb} lab?"));
        rig.shows("Its 3 connections end: their plays stop");
        rig.shows("You lose variables from 1 input.");
        rig.shows("[ No ]");
        rig.write("yY\n").await;
        rig.shows_not(&format!("{verb} lab?"));
        rig.keys(&[Char(key), Right, Left, Enter, Char(key), Right, Esc]).await;
        nothing_is_lost(&rig);
        rig.keys(&[Char(key), Right]).await;
        rig.shows(&format!("[ {verb} ]"));
        rig.key(Enter).await;
        if request == "start" {
            // The file is read first.
            rig.post(crate::event::AppEvent::ConfigRead(Ok(None)));
        }
        let requests = rig.outside.take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        assert!(requests[0].contains("lab"), "{requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn disconnect_asks_only_if_something_would_be_lost() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter, Esc, Char('d')]).await;
    rig.shows("disconnected; variables are gone");
    rig.keys(&[Enter, Esc, Up]).await;
    rig.play_on_lab().await;
    rig.keys(&[Esc, Char('d')]).await;
    rig.shows("Disconnect from lab?");
    rig.shows("You lose variables from 1 input.");
    rig.key(Enter).await;
    nothing_is_lost(&rig);
    rig.key(Enter).await;
    rig.write("loop {}\n").await;
    rig.keys(&[Esc, Char('d')]).await;
    rig.shows("You lose variables from 1 input and a running play.");
    rig.keys(&[Tab, Enter]).await;
    rig.shows_not("Disconnect from lab?");
    assert_eq!(rig.inputs(LAB), 0);
}

#[tokio::test(start_paused = true)]
async fn quit_lists_the_sessions_that_would_be_lost() {
    let mut rig = Rig::start().await;
    rig.keys(&[Enter]).await;
    rig.write("1\n2\n").await;
    assert_eq!(rig.inputs(SCRATCH), 2);
    rig.key(Esc).await;
    rig.play_on_lab().await;
    rig.write("loop {}\n").await;
    for quit in ["q", ":quit\n"] {
        if quit == "q" {
            rig.key(Esc).await;
        } else {
            rig.keys(&[Char('3')]).await;
        }
        rig.write(quit).await;
        rig.shows("scratch: variables from 2 inputs");
        rig.shows("lab: variables from 1 input and a running play");
        rig.key(Enter).await;
        nothing_is_lost(&rig);
    }
    rig.keys(&[Esc, Char('q'), Right, Enter]).await;
    assert_eq!(rig.app.ended().map(|ended| ended.code), Some(0));
}

#[tokio::test(start_paused = true)]
async fn quit_without_anything_to_lose_does_not_ask() {
    let mut rig = Rig::start().await;
    rig.keys(&[Enter, Esc, Char('q')]).await;
    assert_eq!(rig.app.ended().map(|ended| ended.code), Some(0));
}

#[tokio::test(start_paused = true)]
async fn address_leaves_the_list_and_can_come_back() {
    let mut rig = Rig::start().await;
    rig.key(Char('o')).await;
    rig.write("127.0.0.1:7777\n").await;
    rig.shows("▌● 127.0.0.1:7777");
    rig.keys(&[Esc, Char('d'), Char('d')]).await;
    rig.shows("removed 127.0.0.1:7777 from the list");
    assert_eq!(rig.app.circles.iter().count(), 3);
    rig.shows("▌● team");
    // With inputs that could still be saved it asks.
    rig.key(Char('o')).await;
    rig.write("127.0.0.1:7777\n1\n").await;
    rig.keys(&[Esc, Char('d'), Right, Enter, Char('d')]).await;
    rig.shows("Remove 127.0.0.1:7777 from the list?");
    rig.keys(&[Enter]).await;
    assert_eq!(rig.app.circles.iter().count(), 4);
    rig.keys(&[Char('d'), Right, Enter]).await;
    assert_eq!(rig.app.circles.iter().count(), 3);
    // A circle of circles.json stays.
    rig.key(Char('d')).await;
    rig.shows("team is not connected");
}

#[tokio::test(start_paused = true)]
async fn control_keys_are_no_commands_in_the_lists() {
    use ratatui::crossterm::event::{Event, KeyEvent, KeyModifiers};
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    rig.report(&[status("lab", "ready", Some(7))]).await;
    for pane in ['1', '2', '4'] {
        rig.keys(&[Esc, Char(pane)]).await;
        for letter in 'a'..='z' {
            for modifiers in [KeyModifiers::CONTROL, KeyModifiers::ALT] {
                rig.event(Event::Key(KeyEvent::new(Char(letter), modifiers))).await;
                nothing_is_lost(&rig);
            }
            rig.key(Esc).await;
            rig.keys(&[Char(pane)]).await;
        }
    }
}
