//! Key hints: short ones for the footer, all of them for the help.

use console::commands;
use frontend::{
    key_bindings::{KeyBindings, KeyPane, UserAction},
    text::{Style, StyledLine},
};

use HintRow::{Both, Bound, Fixed};

/// Keys, and what they do.
pub(crate) type Hint = (&'static str, &'static str);

/// A row of key hints.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HintRow {
    /// Keys with a fixed meaning.
    Fixed(&'static str, &'static str),
    /// The keys of an action, with its help.
    Bound(UserAction),
    /// The keys of two actions that belong together.
    Both(UserAction, UserAction, &'static str),
    /// One key of an action, with a short text.
    Short(UserAction, &'static str),
}

impl HintRow {
    /// Returns the keys in force and the text; `None` if the action has no key.
    pub(crate) fn shown(self, keys: &KeyBindings, pane: KeyPane) -> Option<(String, &'static str)> {
        let (shown, text) = match self {
            Self::Fixed(keys, text) => (keys.to_owned(), text),
            Self::Bound(action) => (keys.shown(action), action.help()),
            Self::Both(one, other, text) => {
                let keys: Vec<String> = [one, other].into_iter().map(|action| keys.shown(action)).collect();
                (keys.join(" ").trim().to_owned(), text)
            }
            Self::Short(action, text) => (keys.hint(pane, action), text),
        };
        (!shown.is_empty()).then_some((shown, text))
    }
}

const GLOBAL_HINTS: &[HintRow] = &[
    Bound(UserAction::Help),
    Bound(UserAction::Zoom),
    Bound(UserAction::Palette),
    Bound(UserAction::Functions),
    Bound(UserAction::Data),
    Bound(UserAction::Search),
    Fixed("Ctrl-C", "cancel the running play; your variables are kept"),
    Fixed("Esc", "close what is open, then go to Circles"),
    Fixed("1-5", "circles, keys, REPL, logs, data"),
    Fixed("Tab", "next pane (Shift-Tab: previous pane)"),
    Bound(UserAction::Quit),
    Both(UserAction::Smaller, UserAction::Larger, "make the pane smaller or larger"),
    Fixed(
        "mouse",
        "wheel scrolls, a click focuses and chooses, a drag selects and copies; Shift selects as the terminal does",
    ),
    Bound(UserAction::Mouse),
    Bound(UserAction::Redraw),
    Bound(UserAction::Suspend),
];

const MARKS: &[Hint] = &[
    ("●", "up"),
    ("○", "down"),
    ("◐ ◑", "starting, stopping"),
    ("✗", "failed, restarting, or its port is taken"),
    ("↻2", "restarted twice"),
    ("◌", "connected without a key"),
    ("⚿", "signed in with your key (in Keys: unlocked)"),
    ("▶", "a play is running"),
    ("◆", "a play has ended since you looked at the circle"),
];

/// Differences between the TUI and the line REPL, by command.
const TUI_NOTES: &[Hint] = &[
    (
        "each",
        "In the TUI: connects to the circles that are up first. It reports each circle that it skips, and what to do.",
    ),
    ("key", "In the TUI: a circle has one session. To use another key, it reconnects, and its variables are gone."),
    ("last", "In the TUI: PgDn and PgUp scroll, Esc closes."),
    ("use", "In the TUI: selects the circle in Circles, and connects to it."),
];

/// Returns the lines of `:help` for a topic, with the keys of the editor.
pub(crate) fn topic_lines(topic: &str, typing: &[HintRow], keys: &KeyBindings) -> Vec<StyledLine> {
    let typing: Vec<(String, &str)> = typing.iter().filter_map(|row| row.shown(keys, KeyPane::Repl)).collect();
    let typing: Vec<(&str, &str)> = typing.iter().map(|(keys, does)| (keys.as_str(), *does)).collect();
    let mut lines = commands::help(topic, &typing);
    let here = TUI_NOTES.iter().find(|(name, _)| *name == topic);
    lines.extend(here.map(|(_, here)| StyledLine::of(Style::Plain, &format!("  {here}"))));
    lines
}

/// Returns the help for a pane, with everything that works everywhere.
pub(crate) fn help_hints(
    title: &'static str,
    hints: &[HintRow],
    (keys, pane): (&KeyBindings, KeyPane),
) -> Vec<(String, &'static str)> {
    let shown = |rows: &[HintRow]| rows.iter().filter_map(|row| row.shown(keys, pane)).collect::<Vec<_>>();
    let mut lines = vec![(title.to_owned(), "")];
    lines.extend(shown(hints));
    lines.push(("Everywhere (in the REPL pane, printable keys and Tab are input)".to_owned(), ""));
    lines.extend(shown(GLOBAL_HINTS));
    lines.push(("Marks".to_owned(), ""));
    lines.extend(MARKS.iter().map(|(mark, means)| ((*mark).to_owned(), *means)));
    lines
}
