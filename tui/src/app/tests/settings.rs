//! What the user's settings change.

use frontend::{
    key_bindings::{KeyPress, UserAction},
    settings::Settings,
};
use ratatui::crossterm::event::{
    Event,
    KeyCode::{Backspace, Char, Down, Enter, Esc, F, Up},
    KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::rig::Rig;
use crate::{layout::Pane, window::Effect};

fn rung(rig: &Rig) -> usize {
    rig.effects.iter().filter(|effect| **effect == Effect::Bell).count()
}

#[tokio::test(start_paused = true)]
async fn bell_rings_once_for_plays_on_a_circle_that_is_not_shown() {
    for (is_on, expected) in [(true, 1), (false, 0)] {
        let mut settings = Settings::default();
        settings.bell.value = is_on;
        let mut rig = Rig::start_with(settings).await;
        rig.play_on_lab().await;
        assert_eq!(rung(&rig), 0, "the circle is shown");
        rig.write("loop {}\n1\n2\n").await;
        rig.keys(&[Esc, Down]).await;
        rig.outside.lose_connections();
        rig.pass_time().await;
        assert_eq!(rung(&rig), expected);
        rig.shows("◆");
        // A look at the circle rings no bell.
        rig.keys(&[Up, Down]).await;
        assert_eq!(rung(&rig), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn mouse_of_the_settings_is_off_until_it_is_turned_on() {
    let mut settings = Settings::default();
    settings.mouse.value = false;
    let mut rig = Rig::start_with(settings).await;
    let click = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: 40,
        row: 12,
        modifiers: KeyModifiers::NONE,
    };
    rig.event(Event::Mouse(click)).await;
    assert_eq!(rig.app.window.focus, Pane::Circles);
    rig.key(Char('%')).await;
    assert_eq!(rig.effects, [Effect::Mouse(true)]);
    rig.event(Event::Mouse(click)).await;
    assert_eq!(rig.app.window.focus, Pane::Repl);
}

#[tokio::test(start_paused = true)]
async fn keys_of_the_settings_replace_the_default_ones_everywhere() {
    let key = |text: &str| KeyPress::parse(text).expect("a key");
    let mut settings = Settings::default();
    settings.keys.bind(UserAction::Restart, vec![key("R")]);
    settings.keys.bind(UserAction::Zoom, vec![key("F5"), key("z")]);
    settings.keys.bind(UserAction::Help, Vec::new());
    settings.keys.bind(UserAction::Redraw, vec![key("w")]);
    settings.keys.bind(UserAction::CopyOutput, vec![key("F7")]);
    let mut rig = Rig::start_with(settings).await;
    rig.shows_not("? help");
    rig.shows_not("F1 help");
    rig.keys(&[Down, Char('r'), Char('?'), Char('f'), F(1), F(2)]).await;
    assert!(rig.app.window.popup.is_none() && !rig.app.window.is_zoomed);
    rig.key(Char('R')).await;
    rig.shows("Restart lab?");
    rig.key(Esc).await;
    rig.key(Char('z')).await;
    assert!(rig.app.window.is_zoomed);
    rig.key(F(5)).await;
    assert!(!rig.app.window.is_zoomed);
    rig.event(Event::Key(KeyEvent::new(Char('p'), KeyModifiers::CONTROL))).await;
    // A window takes letters as text.
    rig.write("zw").await;
    assert_eq!(rig.effects, []);
    rig.shows_not("stop lab");
    rig.keys(&[Backspace, Backspace]).await;
    rig.write("restart").await;
    rig.shows("    R  restart lab");
    rig.key(Esc).await;
    rig.keys(&[Char('w'), Enter]).await;
    assert_eq!(rig.effects, [Effect::Redraw]);
    // Letters are text in the REPL pane.
    rig.write("zw\n").await;
    rig.shows("lab> zw");
    assert!(!rig.app.window.is_zoomed);
    rig.key(F(7)).await;
    assert_eq!(rig.effects, [Effect::Redraw, Effect::Copy("42".to_owned())]);
    rig.shows("F7 copy");
}
