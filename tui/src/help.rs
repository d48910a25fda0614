//! Key hints: short ones for the footer, all of them for the help.

use console::commands;
use frontend::text::{Style, StyledLine};

/// Keys, and what they do.
pub(crate) type Hint = (&'static str, &'static str);

const GLOBAL_HINTS: &[Hint] = &[
    ("F1 ?", "this help"),
    ("F2 f", "zoom the pane to the whole screen, and back"),
    ("Ctrl-P", "palette: find an action, circle, key or input by its letters"),
    ("/ F3", "search the log in Logs, the transcript elsewhere: n older, N newer, y copies, Esc ends"),
    ("Ctrl-C", "cancel the running play; your variables are kept"),
    ("Esc", "close what is open, then go to Circles"),
    ("1-4", "circles, keys, REPL, logs"),
    ("Tab", "next pane (Shift-Tab: previous pane)"),
    ("q", "quit; asks first if something would be lost"),
    ("[ ]", "make the pane smaller or larger"),
    (
        "mouse",
        "wheel scrolls, a click focuses and chooses, a drag selects and copies; Shift selects as the terminal does",
    ),
    ("%", "mouse off, and on again"),
    ("Ctrl-L", "redraw the screen"),
    ("Ctrl-Z", "suspend"),
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
pub(crate) fn topic_lines(topic: &str, typing: &[Hint]) -> Vec<StyledLine> {
    let mut lines = commands::help(topic, typing);
    let here = TUI_NOTES.iter().find(|(name, _)| *name == topic);
    lines.extend(here.map(|(_, here)| StyledLine::of(Style::Plain, &format!("  {here}"))));
    lines
}

/// Returns the help for a context, with everything that works everywhere.
pub(crate) fn help_hints(title: &'static str, hints: &[Hint]) -> Vec<Hint> {
    let mut lines = vec![(title, "")];
    lines.extend(hints);
    lines.push(("Everywhere (in the REPL pane, printable keys and Tab are input)", ""));
    lines.extend(GLOBAL_HINTS);
    lines.push(("Marks", ""));
    lines.extend(MARKS);
    lines
}
