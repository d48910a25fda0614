//! What the screen says, and how it looks.

use keys::keystore::KeyListing;
use ratatui::{
    crossterm::event::{
        Event,
        KeyCode::{Char, Down, Enter, Esc},
    },
    style::Modifier,
};

use super::rig::{LAB, Rig};
use crate::event::AppEvent;

#[tokio::test(start_paused = true)]
async fn first_frame_shows_only_known_facts() {
    let mut rig = Rig::unread().await;
    rig.shows_not("no key yet");
    rig.shows_not(" up ");
    rig.post(AppEvent::KeysListed(Ok(KeyListing::default())));
    rig.settle().await;
    rig.shows("no key yet");
}

#[tokio::test(start_paused = true)]
async fn scratch_circle_is_not_counted_and_has_no_key() {
    let mut rig = Rig::start().await;
    rig.shows("● 2 up ○ 0 down");
    rig.key(Enter).await;
    rig.shows("▌● scratch temporary   ◌");
    rig.shows_not("⚿");
}

#[tokio::test(start_paused = true)]
async fn title_has_one_style_beside_a_focused_neighbour() {
    let mut rig = Rig::start().await;
    for (width, height) in [(80, 24), (110, 32), (200, 60)] {
        rig.event(Event::Resize(width, height)).await;
        for pane in ['1', '2', '3', '4'] {
            rig.keys(&[Esc, Char(pane)]).await;
            for title in ["1 Circles", "2 Keys", "3 REPL", "4 Logs scratch"] {
                let styles = rig.styles_of(title);
                assert!(
                    styles.windows(2).all(|two| two[0] == two[1]),
                    "{title} in {styles:?} while {pane} has the focus"
                );
                assert_eq!(styles[0].add_modifier.contains(Modifier::BOLD), title.starts_with(pane), "{title} {pane}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn log_filter_says_what_it_hides() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Char('4')]).await;
    rig.shows("no log lines yet");
    rig.post(AppEvent::Logged(LAB, vec!["2026-11-24T12:01:07.123456Z  INFO play finished code=-32000".into()]));
    rig.settle().await;
    rig.shows("12:01:07 INFO play failed: script error");
    rig.key(Char('l')).await;
    rig.shows("no warnings; l shows all lines");
    rig.key(Char('l')).await;
    rig.shows("no errors; l shows all lines");
}
