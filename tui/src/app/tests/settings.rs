//! What the user's settings change.

use frontend::settings::Settings;
use ratatui::crossterm::event::{
    Event,
    KeyCode::{Char, Down, Esc, Up},
    KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
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
        // Whoever has looked is told again.
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
