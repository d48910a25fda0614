//! Random keys and mouse events at changing sizes. Whatever is pressed, the app does not panic, and nothing is restarted,
//! stopped, disconnected, removed or quit unless a dialog was answered with the button that says so.

use ::keys::{
    KeyPair,
    keystore::{KeyEntry, KeyListing},
};
use ratatui::{
    crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind},
    layout::Position,
};

use super::{
    functions::shop,
    rig::{Rig, status},
};
use crate::{circle_id::CircleId, event::AppEvent, popup::Popup, repl::SessionView};

/// Keys in all.
const KEYS: usize = 30_000;

/// Keys of one app: what is open after a start is different from what is open much later.
const KEYS_OF_AN_APP: usize = 500;

const SIZES: [(u16, u16); 9] =
    [(80, 24), (40, 10), (200, 60), (80, 11), (79, 24), (39, 10), (1, 1), (120, 9), (60, 16)];

/// Texts that are typed in one go, so that there is something to lose.
const TEXTS: [&str; 8] =
    ["let a = 1\n", "loop {}\n", "fn f() {\n", ":h", ":quit\n", "try { a }", "127.0.0.1:7777\n", "\u{1f600}日本\n"];

const CODES: [KeyCode; 25] = [
    KeyCode::Enter,
    KeyCode::Enter,
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::Esc,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Right,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::Backspace,
    KeyCode::Delete,
    KeyCode::Insert,
    KeyCode::F(1),
    KeyCode::F(2),
    KeyCode::F(6),
    KeyCode::F(3),
    KeyCode::F(4),
];

/// Letters that are commands in some pane, and digits that select one.
const COMMANDS: &str = "sxrdaqySnofFl12345?yYjkgGmeuRpDiE/%[]";

/// A generator of the same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below the limit")
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn key(&mut self) -> KeyEvent {
        let commands: Vec<char> = COMMANDS.chars().collect();
        let (code, modifiers) = match self.below(10) {
            0..4 => (KeyCode::Char(self.of(&commands)), KeyModifiers::NONE),
            4 => (KeyCode::Char(char::from(b' ' + u8::try_from(self.below(95)).unwrap_or(0))), KeyModifiers::NONE),
            5 => {
                let letter = char::from(b'a' + u8::try_from(self.below(26)).unwrap_or(0));
                (KeyCode::Char(letter), self.of(&[KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::SHIFT]))
            }
            6 => (self.of(&CODES), self.of(&[KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::SHIFT])),
            _ => (self.of(&CODES), KeyModifiers::NONE),
        };
        KeyEvent::new(code, modifiers)
    }

    /// A mouse event on a screen of this size, or a little outside of it.
    fn mouse(&mut self, (width, height): (u16, u16)) -> Event {
        let kind = self.of(&[
            MouseEventKind::Down(MouseButton::Left),
            MouseEventKind::Down(MouseButton::Left),
            MouseEventKind::Drag(MouseButton::Left),
            MouseEventKind::Up(MouseButton::Left),
            MouseEventKind::Down(MouseButton::Right),
            MouseEventKind::ScrollUp,
            MouseEventKind::ScrollDown,
            MouseEventKind::Moved,
        ]);
        let mut below = |limit: u16| u16::try_from(self.below(usize::from(limit) + 2)).unwrap_or(0);
        let (column, row) = (below(width), below(height));
        Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    }
}

/// Two keys, so that the pane of keys has something to change.
fn listing() -> KeyListing {
    let entry = |name: &str| KeyEntry {
        name: name.parse().expect("a name"),
        public_key: KeyPair::generate().expect("a key").public_key(),
        default: name == "alice",
    };
    KeyListing { entries: vec![entry("alice"), entry("bob")], damaged: Vec::new() }
}

/// What a user could lose: the inputs of each session, and whether it plays.
fn holdings(rig: &Rig) -> Vec<(CircleId, usize, bool)> {
    let of = |(id, _)| {
        let session: &SessionView = rig.app.repl.get(id)?;
        Some((id, rig.inputs(id), session.has_inputs()))
    };
    rig.app.circles.iter().filter_map(of).collect()
}

/// Whether an event answers a dialog with a button that does something.
fn is_confirmation(rig: &Rig, event: &Event) -> bool {
    let Some(Popup::Choice(choice) | Popup::Quitting(choice)) = &rig.app.window.popup else { return false };
    match event {
        Event::Key(key) => key.code == KeyCode::Enter && choice.is_armed(),
        Event::Mouse(mouse) => {
            let is_click = mouse.kind == MouseEventKind::Down(MouseButton::Left);
            is_click && choice.is_answered_at(Position::new(mouse.column, mouse.row))
        }
        _ => false,
    }
}

/// Counts of events, which show that the test reaches them.
#[derive(Debug, Default)]
struct Counts {
    events: usize,
    dialogs: usize,
    confirmed: usize,
    quits: usize,
    inputs: usize,
    mouse: usize,
    requests: usize,
    calls: usize,
}

impl Counts {
    /// Handles an event, and checks that it loses nothing unless it answers a dialog.
    async fn check(&mut self, rig: &mut Rig, event: Event) {
        let before = holdings(rig);
        let was_open = matches!(&rig.app.window.popup, Some(Popup::Choice(_) | Popup::Quitting(_)));
        // These dialogs say what their Enter does.
        let is_in_form = matches!(&rig.app.window.popup, Some(Popup::Key(_)));
        let is_confirmed = is_confirmation(rig, &event);
        self.mouse += usize::from(matches!(event, Event::Mouse(_)));
        let described = format!("event {} {event:?}", self.events);
        self.events += 1;
        rig.event(event).await;
        let requests = rig.outside.take_requests();
        self.calls += rig.outside.take_calls().len();
        let is_open = matches!(&rig.app.window.popup, Some(Popup::Choice(_)));
        self.dialogs += usize::from(is_open && !was_open);
        if is_confirmed {
            self.confirmed += 1;
            return;
        }
        self.requests += requests.len();
        let is_harmless = |request: &String| {
            let is_change = is_in_form && request.starts_with("keystore ") && !request.starts_with("keystore Remove");
            // Both say in a message what they do, and take nothing away.
            request.starts_with("start Up") || request.starts_with("admit ") || is_change
        };
        assert!(requests.iter().all(is_harmless), "{described}: {requests:?}");
        let had_something = before.iter().any(|(_, inputs, _)| *inputs > 0);
        assert!(rig.app.ended().is_none() || !had_something, "{described}: it has quit");
        for (id, inputs, has_inputs) in before {
            self.inputs = self.inputs.max(inputs);
            assert!(rig.inputs(id) >= inputs, "{described}: the variables of {id:?} are gone\n{}", rig.screen());
            assert!(!has_inputs || rig.app.circles.get(id).is_some(), "{described}: {id:?} is removed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn random_keys_lose_nothing_without_a_confirmation() {
    let (mut random, mut counts) = (Random(0x9e37_79b9_7f4a_7c15), Counts::default());
    while counts.events - counts.mouse < KEYS {
        let mut rig = Rig::start().await;
        rig.outside.offer(shop(), true);
        rig.post(AppEvent::KeysListed(Ok(listing())));
        if random.below(2) == 0 {
            rig.post(AppEvent::ConfigRead(Ok(Some(("/nonexistent/circles.json".into(), Vec::new())))));
        }
        let mut size = (80, 24);
        for step in 0..KEYS_OF_AN_APP {
            if step % 50 == 0 {
                size = random.of(&SIZES);
                counts.check(&mut rig, Event::Resize(size.0, size.1)).await;
            }
            match random.below(40) {
                0 => {
                    for character in random.of(&TEXTS).chars() {
                        let code = if character == '\n' { KeyCode::Enter } else { KeyCode::Char(character) };
                        counts.check(&mut rig, Event::Key(KeyEvent::new(code, KeyModifiers::NONE))).await;
                    }
                }
                1 => counts.check(&mut rig, Event::Paste(random.of(&TEXTS).into())).await,
                2 => {
                    let state = random.of(&["ready", "ready", "draining", "failed", "down"]);
                    rig.report(&[status("lab", "ready", Some(7)), status("team", state, Some(8))]).await;
                }
                3..8 => counts.check(&mut rig, random.mouse(size)).await,
                _ => {
                    let key = random.key();
                    counts.check(&mut rig, Event::Key(key)).await;
                }
            }
            if rig.app.ended().is_some() {
                counts.quits += 1;
                break;
            }
        }
    }
    let Counts { dialogs, confirmed, quits, inputs, mouse, requests, calls, .. } = counts;
    assert!(dialogs > 50 && confirmed > 10 && quits > 0 && inputs > 0, "{counts:?}");
    assert!(mouse > 1000 && requests > 5 && calls > 0, "{counts:?}");
}
