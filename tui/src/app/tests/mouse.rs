//! The mouse.

use ratatui::{
    crossterm::event::{
        Event,
        KeyCode::{Char, Down, Enter, Esc, Tab},
        KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    },
    layout::Rect,
};

use super::rig::{LAB, Rig};
use crate::{event::AppEvent, layout::Pane, window::Effect};

impl Rig {
    async fn mouse(&mut self, kind: MouseEventKind, (column, row): (u16, u16)) {
        self.event(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })).await;
    }

    async fn click(&mut self, at: (u16, u16)) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), at).await;
        self.mouse(MouseEventKind::Up(MouseButton::Left), at).await;
    }

    /// Returns where the screen shows a text, which must be in a column per character.
    fn find(&self, text: &str) -> (u16, u16) {
        let screen = self.screen();
        let found =
            screen.lines().enumerate().find_map(|(row, line)| Some((line.split_once(text)?.0.chars().count(), row)));
        let (column, row) = found.unwrap_or_else(|| panic!("{text:?} is not shown:\n{screen}"));
        (u16::try_from(column).expect("it fits"), u16::try_from(row).expect("it fits"))
    }
}

#[tokio::test(start_paused = true)]
async fn click_focuses_a_pane_and_selects_a_row() {
    let mut rig = Rig::start().await;
    rig.click(rig.find("team")).await;
    rig.shows("▌● team");
    rig.click(rig.find("Logs")).await;
    assert_eq!(rig.app.window.focus, Pane::Logs);
    rig.click(rig.find("lab")).await;
    rig.shows("▌● lab");
    assert_eq!(rig.app.window.focus, Pane::Circles);
    rig.mouse(MouseEventKind::ScrollDown, rig.find("lab")).await;
    rig.shows("▌● team");
    // One pane at a time: the tabs.
    rig.event(Event::Resize(60, 20)).await;
    for pane in Pane::present(false).iter().copied() {
        rig.click(rig.find(&format!("{} {}", pane.number(), pane.name()))).await;
        assert_eq!(rig.app.window.focus, pane);
    }
    // Nothing is there.
    for at in [(0, 0), (59, 19), (500, 500)] {
        rig.click(at).await;
    }
}

#[tokio::test(start_paused = true)]
async fn click_moves_the_cursor_of_the_editor() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    rig.write("abcdef").await;
    let (column, row) = rig.find("> abcdef");
    rig.click((column + 4, row)).await;
    rig.write("X").await;
    rig.shows("> abXcdef");
    rig.click((column + 40, row)).await;
    rig.write("Y").await;
    rig.shows("> abXcdefY");
}

#[tokio::test(start_paused = true)]
async fn wheel_scrolls_the_pane_below_the_pointer() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    for number in 0..30 {
        rig.write(&format!("{number}\n")).await;
    }
    rig.post(AppEvent::Logged(LAB, (0..50).map(|number| format!("INFO line {number}")).collect()));
    rig.settle().await;
    rig.mouse(MouseEventKind::ScrollUp, rig.find("INFO line 49")).await;
    rig.shows("INFO line 46");
    rig.shows_not("INFO line 49");
    assert_eq!(rig.app.window.focus, Pane::Repl);
    rig.mouse(MouseEventKind::ScrollUp, rig.find("lab> 29")).await;
    rig.shows("more below");
    rig.mouse(MouseEventKind::ScrollDown, rig.find("lab> 2")).await;
    rig.shows_not("more below");
}

#[tokio::test(start_paused = true)]
async fn drag_selects_and_copies_on_release() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    rig.write("let precious = 42\n").await;
    let (column, row) = rig.find("precious");
    rig.effects.clear();
    rig.mouse(MouseEventKind::Down(MouseButton::Left), (column, row)).await;
    rig.mouse(MouseEventKind::Drag(MouseButton::Left), (column + 7, row)).await;
    assert_eq!(rig.effects, []);
    rig.mouse(MouseEventKind::Up(MouseButton::Left), (column + 7, row)).await;
    assert_eq!(rig.effects, [Effect::Copy("precious".into())]);
    rig.shows("copied the selection");
    // A click copies nothing; on an input, it selects the block.
    rig.effects.clear();
    rig.click((column, row)).await;
    assert_eq!(rig.effects, []);
    rig.shows("Ctrl-O copies this block");
    rig.click((column, row)).await;
    rig.shows_not("Ctrl-O copies this block");
}

#[tokio::test(start_paused = true)]
async fn click_chooses_in_dialogs_and_in_the_palette() {
    let mut rig = Rig::start().await;
    rig.play_on_lab().await;
    rig.keys(&[Esc, Char('d')]).await;
    rig.shows("Disconnect from lab?");
    // Beside of the buttons nothing happens.
    rig.click((0, 0)).await;
    rig.shows("Disconnect from lab?");
    rig.click(rig.find("[ No ]")).await;
    rig.shows_not("Disconnect from lab?");
    assert_eq!(rig.inputs(LAB), 1);
    rig.key(Char('d')).await;
    let (column, row) = rig.find("[ No ]");
    rig.click((column + 12, row)).await;
    rig.shows_not("Disconnect from lab?");
    assert_eq!(rig.inputs(LAB), 0);
    rig.control('p').await;
    rig.write("go to logs").await;
    rig.click(rig.find("go to Logs")).await;
    assert_eq!(rig.app.window.focus, Pane::Logs);
}

#[tokio::test(start_paused = true)]
async fn completions_are_selected_and_accepted_with_the_mouse() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    rig.write(":s").await;
    rig.key(Tab).await;
    rig.shows("▌source");
    let save = rig.find("save    FILE");
    rig.click(save).await;
    rig.shows("▌save");
    for _ in 0..9 {
        rig.mouse(MouseEventKind::ScrollUp, save).await;
    }
    rig.shows("▌source");
    rig.mouse(MouseEventKind::ScrollDown, save).await;
    rig.shows("▌save");
    // The frame is no row.
    rig.click(rig.find("2/3")).await;
    rig.shows("▌save");
    rig.click(save).await;
    rig.shows_not("▌save");
    rig.shows("> :save");
}

#[tokio::test(start_paused = true)]
async fn inputs_of_the_history_are_selected_and_taken_with_the_mouse() {
    let mut rig = Rig::start().await;
    rig.keys(&[Down, Enter]).await;
    for number in 0..30 {
        rig.write(&format!("{number} + 1\n")).await;
    }
    rig.control('r').await;
    rig.shows("▸  now  29 + 1");
    rig.mouse(MouseEventKind::ScrollDown, rig.find("now  28 + 1")).await;
    rig.shows("▸  now  28 + 1");
    rig.mouse(MouseEventKind::ScrollUp, rig.find("now  28 + 1")).await;
    rig.shows("▸  now  29 + 1");
    for _ in 0..12 {
        rig.mouse(MouseEventKind::ScrollDown, rig.find("▸  now")).await;
    }
    rig.shows("▸  now  17 + 1");
    // The line below the matches is none of them.
    rig.click(rig.find("Ctrl-R this")).await;
    rig.shows("▸  now  17 + 1");
    rig.click(rig.find("now  20 + 1")).await;
    rig.shows("▸  now  20 + 1");
    rig.click(rig.find("now  20 + 1")).await;
    rig.shows_not("Ctrl-R this");
    rig.shows("> 20 + 1");
}

#[tokio::test(start_paused = true)]
async fn mouse_can_be_turned_off() {
    let mut rig = Rig::start().await;
    rig.key(Char('%')).await;
    assert_eq!(rig.effects, [Effect::Mouse(false)]);
    rig.click(rig.find("Logs")).await;
    assert_eq!(rig.app.window.focus, Pane::Circles);
    rig.key(Char('%')).await;
    assert_eq!(rig.effects, [Effect::Mouse(false), Effect::Mouse(true)]);
}

#[tokio::test(start_paused = true)]
async fn pane_is_resized_and_a_step_beyond_the_bound_counts_nothing() {
    let mut rig = Rig::start().await;
    let width = |rig: &Rig| -> Rect {
        let panes = &rig.app.window.panes;
        panes.iter().find(|(pane, _)| *pane == Pane::Circles).expect("it is shown").1
    };
    let before = width(&rig).width;
    rig.key(Char(']')).await;
    assert_eq!(width(&rig).width, before + 4);
    for _ in 0..50 {
        rig.key(Char(']')).await;
    }
    let widest = width(&rig).width;
    assert_eq!(widest, 40);
    rig.key(Char('[')).await;
    assert!(width(&rig).width < widest);
    // Steps of a larger screen do not count on a smaller one.
    rig.event(Event::Resize(200, 40)).await;
    for _ in 0..50 {
        rig.key(Char(']')).await;
    }
    rig.event(Event::Resize(100, 40)).await;
    let widest = width(&rig).width;
    rig.key(Char('[')).await;
    assert!(width(&rig).width < widest, "{widest}");
}
