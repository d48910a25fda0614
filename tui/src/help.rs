//! What can be done where: for the footer in short, for the help at length.

use super::layout::Pane;
use console::commands;
use frontend::text::{Line, Style};

/// Where the user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    Pane(Pane),
    /// In the REPL, of a circle that takes no input yet.
    NotReady,
    /// In the REPL's editor, where letters are typed.
    Editor,
}

type Keys = (&'static str, &'static str);

const CIRCLES: &[Keys] = &[
    ("Enter", "connect, and prove your key where the circle asks for one; starts it if it is down"),
    ("s", "start it, in the background (circles.json is read again)"),
    ("S", "start all of circles.json"),
    ("x", "stop it"),
    ("r", "restart it"),
    ("a", "prove your key to it, where that is not asked for"),
    ("d", "disconnect"),
    ("o", "connect to another one: a name, a port, host:port, a ws:// URL"),
    ("y", "copy its URL"),
    ("↑ ↓", "choose; the REPL and the logs show the chosen one"),
];

const KEYS: &[Keys] = &[
    ("n", "make a key"),
    ("Enter", "be this key (✓) from now on"),
    ("D", "make it the default key"),
    ("y", "copy its public key, for an operator to admit"),
    ("r", "read the keystore again"),
    ("↑ ↓", "choose"),
];

const REPL: &[Keys] = &[
    ("Enter i", "go on typing"),
    ("↑ ↓ PgUp PgDn", "scroll (Home: to the oldest line)"),
    ("End", "follow what comes"),
    ("y", "copy the last output"),
    ("s x r a d", "what they do in Circles, with this one"),
    ("Ctrl-C", "cancel the running play; the session and its variables are kept"),
];

const TYPING: &[Keys] = &[
    ("Enter", "run a complete input, continue an incomplete one"),
    ("Alt-Enter Ctrl-J", "a new line, whatever stands before it"),
    ("Tab", "complete"),
    ("↑ ↓", "earlier inputs"),
    ("Ctrl-C", "cancel the running play, keeping the session; otherwise clear the input"),
    ("PgUp PgDn", "scroll what was said"),
    ("Esc", "leave the editor: then letters are keys, and 1-4 choose a pane"),
    ("Ctrl-X Ctrl-E", "go on in $EDITOR"),
    (":help", "the commands of the REPL"),
];

const LOGS: &[Keys] =
    &[("↑ ↓ PgUp PgDn", "scroll"), ("End", "follow"), ("l", "all, warnings, errors"), ("y", "copy the log")];

const EVERYWHERE: &[Keys] = &[
    ("1-4", "circles, keys, REPL, logs"),
    ("Tab", "the next pane (Shift-Tab: the one before)"),
    ("f", "one pane on the whole screen, and back"),
    ("Ctrl-P", "palette: everything that can be done, by a few letters of it"),
    ("? F1", "this help"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "suspend"),
    ("q", "quit; asks whether circles that were started here go on"),
];

const MARKS: &[Keys] = &[
    ("●", "up"),
    ("○", "down"),
    ("◐ ◑", "starting, stopping"),
    ("✗", "failed, or about to be started again; or its port is taken"),
    ("↻2", "started again twice"),
    ("◌", "connected, no key proved"),
    ("⚿", "your key is proved (in Keys: unlocked)"),
    ("▶", "a play is running"),
];

/// The keys that matter most here, for the footer, the most important first: what finds no room is left out.
pub(crate) fn short(here: Here) -> &'static [Keys] {
    match here {
        Here::Pane(Pane::Circles) => &[
            ("Enter", "connect"),
            ("?", "help"),
            ("q", "quit"),
            ("s", "start"),
            ("x", "stop"),
            ("n", "new key"),
            ("o", "other"),
            ("1-4", "pane"),
        ],
        Here::Pane(Pane::Keys) => &[
            ("n", "new"),
            ("?", "help"),
            ("q", "quit"),
            ("Enter", "use"),
            ("y", "copy public key"),
            ("D", "default"),
            ("1-4", "pane"),
        ],
        Here::Pane(Pane::Repl) => &[
            ("Enter", "type"),
            ("?", "help"),
            ("q", "quit"),
            ("↑↓", "scroll"),
            ("y", "copy"),
            ("f", "zoom"),
            ("1-4", "pane"),
        ],
        Here::NotReady => &[
            ("Enter", "connect"),
            ("?", "help"),
            ("q", "quit"),
            ("a", "prove key"),
            ("r", "restart"),
            ("y", "copy"),
            ("1-4", "pane"),
        ],
        Here::Pane(Pane::Logs) => &[
            ("↑↓", "scroll"),
            ("?", "help"),
            ("q", "quit"),
            ("l", "level"),
            ("y", "copy"),
            ("f", "zoom"),
            ("1-4", "pane"),
        ],
        Here::Editor => &[
            ("Enter", "run"),
            ("Esc", "leave"),
            ("F1", "help"),
            ("Tab", "complete"),
            ("↑", "history"),
            ("Ctrl-C", "cancel"),
            ("Alt-Enter", "newline"),
        ],
    }
}

/// What is another thing on this screen than elsewhere.
const HERE: &[Keys] = &[
    ("each", "Here: circles that are up are connected to first. Which is not played on, and what to do then, is said."),
    (
        "key",
        "Here: a circle has one session. Where another key was proved it is connected to anew, and its variables are gone.",
    ),
    ("last", "Here: in what was said; PgUp scrolls."),
    ("use", "Here: chooses it in Circles, and connects to it."),
];

/// What `:help` says of a topic.
pub(crate) fn of(topic: &str) -> Vec<Line> {
    let mut said = commands::help(topic, TYPING);
    let here = HERE.iter().find(|(name, _)| *name == topic);
    said.extend(here.map(|(_, here)| Line::of(Style::Plain, &format!("  {here}"))));
    said
}

/// Everything that works here.
pub(crate) fn long(here: Here) -> Vec<(String, String)> {
    let (title, keys) = match here {
        Here::Pane(Pane::Circles) => ("Circles", CIRCLES),
        Here::Pane(Pane::Keys) => ("Keys", KEYS),
        Here::Pane(Pane::Repl) => ("REPL", REPL),
        Here::NotReady => ("The chosen circle", CIRCLES),
        Here::Pane(Pane::Logs) => ("Logs", LOGS),
        Here::Editor => ("Typing", TYPING),
    };
    let mut lines = vec![(title, "")];
    lines.extend(keys);
    lines.push(("Everywhere (outside of the editor, but for F1 and Ctrl)", ""));
    lines.extend(EVERYWHERE);
    lines.push(("Marks", ""));
    lines.extend(MARKS);
    lines.into_iter().map(|(keys, does)| (keys.to_owned(), does.to_owned())).collect()
}
