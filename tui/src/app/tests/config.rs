//! circles.json from the circles pane: making it, editing it, becoming a member.

use frontend::{error::CliError, init::NewConfig};
use keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing},
};
use ratatui::crossterm::event::KeyCode::{Char, Down, Enter, Right};

use super::rig::{LAB, Rig};
use crate::{
    event::{Admission, AppEvent},
    layout::Pane,
    popup::Popup,
    repl::SessionView,
    window::Effect,
};

fn alice() -> KeyListing {
    let public_key = KeyPair::generate().expect("random bytes").public_key();
    let entry = KeyEntry { name: "alice".parse().expect("a name"), public_key, default: true };
    KeyListing { entries: vec![entry], damaged: Vec::new() }
}

fn config_read() -> AppEvent {
    AppEvent::ConfigRead(Ok(Some(("/nonexistent/circles.json".into(), Vec::new()))))
}

#[tokio::test(start_paused = true)]
async fn circles_json_is_offered_where_there_is_none() {
    let mut rig = Rig::start().await;
    rig.shows("make a circles.json");
    rig.key(Char('e')).await;
    rig.shows("Make a circles.json?");
    rig.shows("for members, once you have a key");
    rig.key(Enter).await;
    assert_eq!(rig.outside.take_requests(), [""; 0]);
    rig.post(AppEvent::KeysListed(Ok(alice())));
    rig.key(Char('e')).await;
    rig.shows("for members: your key alice");
    rig.keys(&[Right, Enter]).await;
    assert_eq!(rig.outside.take_requests(), ["init /nonexistent/circles.json"]);
    rig.post(AppEvent::ConfigMade(Err(CliError::usage("cannot write it", "it is read-only", "choose another"))));
    rig.settle().await;
    rig.shows("cannot write it: it is read-only");
    let made = NewConfig { path: "/nonexistent/circles.json".into(), sandbox: 9001, team: 9002 };
    rig.post(AppEvent::ConfigMade(Ok(made)));
    rig.settle().await;
    rig.shows("S starts its circles");
}

#[tokio::test(start_paused = true)]
async fn circles_json_opens_in_the_editor_and_errors_are_shown_after_it() {
    let mut rig = Rig::start().await;
    rig.post(config_read());
    rig.key(Char('e')).await;
    assert_eq!(rig.effects, [Effect::Open("/nonexistent/circles.json".into())]);
    rig.app.on_config_edited(Err(CliError::usage("there is no editor", "vim: not found", "set $EDITOR")));
    rig.settle().await;
    rig.shows("there is no editor: vim: not found; set $EDITOR");
}

#[tokio::test(start_paused = true)]
async fn one_key_adds_a_member_and_connects_once_the_circle_has_it() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Char('m')]).await;
    rig.shows("lab is not in circles.json");
    rig.post(config_read());
    rig.key(Char('m')).await;
    rig.shows("To become a member of lab you need a key.");
    rig.key(ratatui::crossterm::event::KeyCode::Esc).await;
    rig.post(AppEvent::KeysListed(Ok(alice())));
    rig.key(Char('m')).await;
    assert_eq!(rig.outside.take_requests(), ["admit lab alice"]);
    rig.shows("adding alice to the members of lab…");
    let refused = CliError::usage("nothing was changed", "the circle 'lab' has no members", "edit the file yourself");
    rig.post(AppEvent::Admitted(LAB, Err(refused)));
    rig.settle().await;
    rig.shows("nothing was changed: the circle 'lab' has no members");
    let admission = |is_in_effect| Admission { key: "alice".into(), is_new: true, is_in_effect };
    rig.post(AppEvent::Admitted(LAB, Ok(admission(false))));
    rig.settle().await;
    rig.shows("circles reload");
    assert_eq!(rig.app.window.focus, Pane::Circles);
    rig.post(AppEvent::Admitted(LAB, Ok(admission(true))));
    rig.settle().await;
    rig.shows("alice is now a member of lab");
    assert!(rig.app.repl.get(LAB).is_some_and(SessionView::is_open));
    assert_eq!(rig.app.window.focus, Pane::Repl);
}

#[tokio::test(start_paused = true)]
async fn key_that_a_membership_needs_becomes_the_member() {
    let mut rig = Rig::start().await;
    rig.post(config_read());
    rig.keys(&[Down, Char('m')]).await;
    rig.shows("To become a member of lab you need a key.");
    let Some(Popup::NewKey(form)) = &mut rig.app.window.popup else { panic!("a form") };
    form.is_busy = true;
    let entry = alice().entries.remove(0);
    rig.post(AppEvent::KeyMade(Ok((entry, KeyPair::generate().expect("a key").into()))));
    rig.settle().await;
    assert!(rig.app.window.popup.is_none());
    assert_eq!(rig.outside.take_requests(), ["admit lab alice"]);
}
