//! What can be done where: for the footer in short, for the help at length.

use console::commands;
use frontend::text::{Style, StyledLine};

/// Keys, and what they do.
pub(crate) type Hint = (&'static str, &'static str);

const GLOBAL_HINTS: &[Hint] = &[
    ("1-4", "circles, keys, REPL, logs"),
    ("Tab", "the next pane (Shift-Tab: the one before)"),
    ("f", "one pane on the whole screen, and back"),
    ("Ctrl-P", "palette: everything that can be done, by a few letters of it"),
    ("? F1", "this help"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "suspend"),
    ("q", "quit; asks whether circles that were started here go on"),
];

const MARKS: &[Hint] = &[
    ("●", "up"),
    ("○", "down"),
    ("◐ ◑", "starting, stopping"),
    ("✗", "failed, or about to be started again; or its port is taken"),
    ("↻2", "started again twice"),
    ("◌", "connected, no key proved"),
    ("⚿", "your key is proved (in Keys: unlocked)"),
    ("▶", "a play is running"),
];

/// What is another thing on this screen than elsewhere.
const TUI_NOTES: &[Hint] = &[
    ("each", "Here: circles that are up are connected to first. Which is not played on, and what to do then, is said."),
    (
        "key",
        "Here: a circle has one session. Where another key was proved it is connected to anew, and its variables are gone.",
    ),
    ("last", "Here: in what was said; PgUp scrolls."),
    ("use", "Here: chooses it in Circles, and connects to it."),
];

/// What `:help` says of a topic, and what the editor's keys do.
pub(crate) fn topic_lines(topic: &str, typing: &[Hint]) -> Vec<StyledLine> {
    let mut lines = commands::help(topic, typing);
    let here = TUI_NOTES.iter().find(|(name, _)| *name == topic);
    lines.extend(here.map(|(_, here)| StyledLine::of(Style::Plain, &format!("  {here}"))));
    lines
}

/// Everything that works in a place, and everywhere.
pub(crate) fn help_lines(title: &'static str, hints: &[Hint]) -> Vec<(String, String)> {
    let mut lines = vec![(title, "")];
    lines.extend(hints);
    lines.push(("Everywhere (outside of the editor, but for F1 and Ctrl)", ""));
    lines.extend(GLOBAL_HINTS);
    lines.push(("Marks", ""));
    lines.extend(MARKS);
    lines.into_iter().map(|(keys, does)| (keys.to_owned(), does.to_owned())).collect()
}
