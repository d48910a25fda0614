//! The list of the REPL commands.

use super::ArgumentKind;

/// The description of a command.
pub struct CommandSpec {
    /// The name, without the colon.
    pub name: &'static str,
    /// The argument as shown in the help; optional arguments are in brackets.
    pub argument: &'static str,
    /// The kind of the argument, for completion and for where a script begins.
    pub argument_kind: ArgumentKind,
    /// The summary in the list of commands.
    pub summary: &'static str,
    /// An example, with the colon.
    pub example: &'static str,
    /// Details for `:help NAME`.
    pub(super) details: &'static str,
}

impl CommandSpec {
    /// Whether the command works without an argument.
    pub(super) fn is_argument_optional(&self) -> bool {
        self.argument.is_empty() || self.argument.starts_with('[')
    }
}

const fn spec(
    name: &'static str,
    argument: &'static str,
    argument_kind: ArgumentKind,
    summary: &'static str,
    example: &'static str,
    details: &'static str,
) -> CommandSpec {
    CommandSpec { name, argument, argument_kind, summary, example, details }
}

/// All commands, in the order in which `:help` lists them.
pub const COMMANDS: &[CommandSpec] = &[
    spec("help", "[TOPIC]", ArgumentKind::Topic, "show this help, or help on a command or topic", ":help plot", ""),
    spec(
        "use",
        "WHERE",
        ArgumentKind::Circle,
        "switch to another circle; this session is kept",
        ":use team",
        "WHERE is a name in circles.json, a port, host:port or a ws:// or wss:// URL. Each circle keeps its session: :use returns to it.",
    ),
    spec(
        "key",
        "NAME",
        ArgumentKind::Key,
        "switch to another key",
        ":key alice",
        "An anonymous session authenticates with the key and keeps its variables. A session that has a key gets a second session beside it, because a session cannot change its key. You type each passphrase only once.",
    ),
    spec(
        "who",
        "",
        ArgumentKind::None,
        "show the circle, and who you are on it",
        ":who",
        "Shows your key, and on a circle with roles your name, your role and what you may do.",
    ),
    spec("vars", "", ArgumentKind::None, "list the session's variables", ":vars", ""),
    spec(
        "call",
        "NAME PARAM=VALUE…",
        ArgumentKind::Call,
        "call a function of the circle",
        ":call order.place item=tea count=2",
        "Reads each value by the type of its parameter: a text needs quotes only if it has blanks, anything else is JSON. PARAM=@FILE reads the value from a file, for a blob its bytes; PARAM=\"@text\" is the text @text. Ctrl-C cancels the call. :last, :copy and :json show the value. ans keeps its value, and :save and :replay leave calls out.",
    ),
    spec(
        "functions",
        "[NAME]",
        ArgumentKind::Function,
        "list the functions that you may use, or describe one of the circle",
        ":functions order.place",
        "Lists first the functions of the circle that you may :call, with their types, then the functions that this session has defined. :functions TEXT lists the functions whose names contain TEXT, and functions of Rhai and of modules whose names begin with TEXT.",
    ),
    spec("doc", "NAME", ArgumentKind::Function, "show what a function does, and where it comes from", ":doc push", ""),
    spec(
        "source",
        "NAME",
        ArgumentKind::Function,
        "show the source of a function that you have defined",
        ":source area",
        "Shows the newest definition in the inputs of this session that succeeded, one for each number of parameters.",
    ),
    spec(
        "load",
        "FILE",
        ArgumentKind::File,
        "play a file",
        ":load report.rhai",
        "The file is played as if you had typed it. A first line that begins with #! is skipped. ~/ is your home directory.",
    ),
    spec(
        "save",
        "FILE",
        ArgumentKind::File,
        "save your inputs as a script that runs again",
        ":save work.rhai",
        "Saves the successful inputs of the session in their order, without commands and without inputs that failed or were cancelled. A redefined function is saved once, and ans is bound where it is used. :save! overwrites an existing file.",
    ),
    spec(
        "replay",
        "",
        ArgumentKind::None,
        "list the inputs of a lost session, to run them again",
        ":replay",
        "Lists the successful inputs of the session that was lost or reset. :replay! then runs them in this session, one after the other, and stops at the first that fails. What they did outside of the session, they do again.",
    ),
    spec(
        "out",
        "[N]",
        ArgumentKind::Text,
        "list the last values, or show the value of input N again",
        ":out 3",
        "Keeps the last 32 values, and at most 8 MiB of them. The list shows the number of each input on this connection, by which errors name it, too.",
    ),
    spec(
        "copy",
        "[json]",
        ArgumentKind::Text,
        "copy the last value to the clipboard, as text or as JSON",
        ":copy json",
        "The terminal copies it (OSC 52), also over ssh, if it can. Terminals take at most 64 KiB.",
    ),
    spec(
        "json",
        "[FILE]",
        ArgumentKind::File,
        "show the last value as JSON, or write it to FILE",
        ":json stock.json",
        ":json! FILE overwrites an existing file.",
    ),
    spec(
        "edit",
        "",
        ArgumentKind::None,
        "edit the next input in $EDITOR, beginning with the last one",
        ":edit",
        "Uses $VISUAL, then $EDITOR, then an editor that is installed. The edited text appears at the prompt, and Enter plays it. Ctrl-X Ctrl-E edits the current input in the same way.",
    ),
    spec(
        "time",
        "[SCRIPT]",
        ArgumentKind::Script,
        "time the last play, or SCRIPT",
        ":time sq(12)",
        "Shows the time in the circle, the number of operations and the round-trip time.",
    ),
    spec(
        "timeit",
        "SCRIPT",
        ArgumentKind::Script,
        "time SCRIPT over many runs",
        ":timeit sq(12)",
        "Runs SCRIPT for about a second, at most 1000 times, and shows the median and the range. Ctrl-C stops it. Shows the prints of the first run. The effects of every run are kept, but :save and :replay leave them out.",
    ),
    spec(
        "plot",
        "[SCRIPT]",
        ArgumentKind::Script,
        "plot the last value, or the value of SCRIPT",
        ":plot [1, 4, 9]",
        "Plots an array of numbers, an array of [x, y] pairs, or a map of arrays.",
    ),
    spec(
        "each",
        "A,B SCRIPT",
        ArgumentKind::CirclesAndScript,
        "play on several circles, answers side by side",
        ":each team,9001 40 + 2",
        "The circles play at the same time. New connections are kept. If one circle cannot be reached, the others still play.",
    ),
    spec(
        "last",
        "",
        ArgumentKind::None,
        "show all output and the value of the last play",
        ":last",
        "If it is longer than the screen, circles repl opens $PAGER. circles tui shows it in a window.",
    ),
    spec(
        "watch",
        "keys KEYS | topic TOPIC",
        ArgumentKind::Text,
        "show what changes in the circle's store, or the events of a topic",
        ":watch keys stock/",
        "KEYS is a prefix that ends in /, or one key. Shows the entries that exist, and then each change, until Ctrl-C. circles watch prints the same as JSON.",
    ),
    spec(
        "history",
        "[TEXT]",
        ArgumentKind::Text,
        "list your inputs on this circle",
        ":history let",
        "The newest input is last. The history skips lines that begin with a space or may contain a secret key.",
    ),
    spec(
        "reset",
        "",
        ArgumentKind::None,
        "start over with a new environment",
        ":reset",
        "Removes variables, functions and imports. The connection and the key stay.",
    ),
    spec(
        "sh",
        "[COMMAND]",
        ArgumentKind::Text,
        "run a command in your shell, or open a shell",
        ":sh ls -l",
        "Runs on this machine, as you, in the directory that :cd shows. The circle sees nothing of it. Passphrase variables are removed from its environment.",
    ),
    spec(
        "cd",
        "[DIRECTORY]",
        ArgumentKind::File,
        "change the directory of :load, :save, :json and :sh, or show it",
        ":cd ~/scripts",
        "Nothing else changes: circles.json and its paths stay where they are.",
    ),
    spec("quit", "", ArgumentKind::None, "leave", ":quit", ""),
];
