//! One event, one message; and a message goes when what it says has ended.

use ratatui::crossterm::event::KeyCode::{Char, Down, Enter, Esc, Right, Up};

use super::rig::{LAB, Rig, status};
use crate::event::{AppEvent, ProbeResult};

fn transcript(rig: &mut Rig) -> Vec<String> {
    rig.app.repl.get_mut(LAB).expect("a session").transcript.texts()
}

/// Whether no toast says that something is wrong.
#[track_caller]
fn is_calm(rig: &Rig) {
    rig.shows_not(" ✗ ");
}

#[tokio::test(start_paused = true)]
async fn killed_circle_says_two_lines_and_leaves_no_alarm() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    let before = transcript(&mut rig).len();
    rig.outside.refuse_connections(true);
    rig.outside.lose_connections();
    rig.settle().await;
    let killed = serde_json::json!("ended by signal 9");
    let mut failed = serde_json::to_value(status("lab", "backing-off", None)).expect("JSON");
    failed["why"] = killed;
    rig.report(&[serde_json::from_value(failed).expect("a status"), status("team", "ready", Some(8))]).await;
    rig.shows("lab is down: ended by signal 9; restarting");
    // Inputs meanwhile wait without further words.
    rig.write("1 + 1\n").await;
    rig.outside.refuse_connections(false);
    rig.report(&[status("lab", "ready", Some(9)), status("team", "ready", Some(8))]).await;
    rig.pass_time().await;
    let said = transcript(&mut rig).split_off(before);
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].contains("; reconnecting…"), "{said:#?}");
    assert!(said[1].contains("variables from 1 input are gone"), "{said:#?}");
    assert!(said[2].contains("your input was not played"), "{said:#?}");
    is_calm(&rig);
    rig.shows("> 1 + 1");
    assert_eq!(rig.outside.take_requests(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn circle_in_the_background_reports_its_loss_until_it_is_back() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    rig.keys(&[Esc, Up]).await;
    rig.outside.refuse_connections(true);
    rig.outside.lose_connections();
    rig.settle().await;
    rig.shows(" ✗ ");
    rig.outside.refuse_connections(false);
    rig.post(AppEvent::Probed(LAB, ProbeResult::Circle));
    rig.settle().await;
    is_calm(&rig);
}

#[tokio::test(start_paused = true)]
async fn stop_on_purpose_is_no_alarm() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    rig.keys(&[Esc, Char('x'), Right, Enter]).await;
    rig.shows(" · draining lab…");
    rig.report(&[status("lab", "draining", Some(7))]).await;
    rig.outside.refuse_connections(true);
    rig.outside.lose_connections();
    rig.settle().await;
    is_calm(&rig);
    rig.report(&[status("lab", "down", None)]).await;
    rig.shows(" ✓ stopped lab");
    rig.shows_not("draining");
    is_calm(&rig);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_not_marked_as_done() {
    let mut rig = Rig::start().await;
    for (keys, text) in [
        (&[Char('x')][..], "scratch runs inside this screen"),
        (&[Char('r')], "scratch runs inside this screen"),
        (&[Char('d')], "scratch is not connected"),
        (&[Char('s')], "scratch is up"),
        (&[Char('S')], "all circles are already up"),
        (&[Down, Char('s')], "lab is already up"),
        (&[Char('a')], "connect first"),
    ] {
        rig.keys(keys).await;
        rig.post(AppEvent::ConfigRead(Ok(None)));
        rig.settle().await;
        rig.shows(&format!(" · {text}"));
    }
    rig.keys(&[Char('y')]).await;
    rig.shows(" ✓ copied the URL");
}
