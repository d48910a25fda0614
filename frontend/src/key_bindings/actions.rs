//! The table of actions that keys can be bound to.

use super::{ActionKeys, KeyPane, KeyPress};

/// Declares the actions in rows: variant, name in the settings, panes, default keys, help.
macro_rules! actions {
    ($($variant:ident $name:literal $panes:expr, [$($key:expr),*], $help:literal;)*) => {
        /// An action with a key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum UserAction {
            $(#[doc = $help] $variant,)*
        }

        impl UserAction {
            /// All actions, in the order of the help.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Returns the name in the settings.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the panes in which the action is available.
            pub const fn panes(self) -> &'static [KeyPane] {
                match self {
                    $(Self::$variant => $panes,)*
                }
            }

            /// Returns the default keys.
            pub fn default_keys(self) -> ActionKeys {
                match self {
                    $(Self::$variant => vec![$($key),*],)*
                }
            }

            /// Returns the text of the help.
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$variant => $help,)*
                }
            }
        }
    };
}

const EVERYWHERE: &[KeyPane] = &KeyPane::ALL;
const CIRCLES: &[KeyPane] = &[KeyPane::Circles];
const KEYS: &[KeyPane] = &[KeyPane::Keys];
const LISTS: &[KeyPane] = &[KeyPane::Circles, KeyPane::Keys];
const REPL: &[KeyPane] = &[KeyPane::Repl];
const LOGS: &[KeyPane] = &[KeyPane::Logs];
const DATA: &[KeyPane] = &[KeyPane::Data];

const fn key(character: char) -> KeyPress {
    KeyPress::character(character)
}

actions! {
    Help "help" EVERYWHERE, [KeyPress::function(1), key('?')], "this help";
    Zoom "zoom" EVERYWHERE, [KeyPress::function(2), key('f')], "zoom the pane to the whole screen, and back";
    Palette "palette" EVERYWHERE, [KeyPress::control('p')], "palette: find an action, circle, key or input by its letters";
    Functions "functions" EVERYWHERE, [KeyPress::function(4), key('F')], "functions of the circle: read about them, call them";
    Data "data" EVERYWHERE, [KeyPress::function(6)], "data: a live tree of the circle's store; once more closes it";
    Search "search" EVERYWHERE, [key('/'), KeyPress::function(3)], "search the log in Logs, filter the keys in Data, search the transcript elsewhere: n older, N newer, y copies, Esc ends";
    Quit "quit" EVERYWHERE, [key('q')], "quit; asks first if something would be lost";
    Smaller "smaller" EVERYWHERE, [key('[')], "make the pane smaller";
    Larger "larger" EVERYWHERE, [key(']')], "make the pane larger";
    Mouse "mouse" EVERYWHERE, [key('%')], "mouse off, and on again";
    Redraw "redraw" EVERYWHERE, [KeyPress::control('l')], "redraw the screen";
    Suspend "suspend" EVERYWHERE, [KeyPress::control('z')], "suspend";
    Start "start" CIRCLES, [key('s')], "start it in the background (reads circles.json again)";
    StartAll "start_all" CIRCLES, [key('S')], "start all circles in circles.json";
    Stop "stop" CIRCLES, [key('x')], "stop it";
    Restart "restart" CIRCLES, [key('r')], "restart it";
    SignIn "sign_in" CIRCLES, [key('a')], "sign in even though the circle doesn't require it";
    Disconnect "disconnect" CIRCLES, [key('d')], "disconnect; removes the address of a circle that is not connected";
    ConnectTo "connect_to" CIRCLES, [key('o')], "connect to another circle: a name, a port, host:port or a ws:// or wss:// URL";
    Admit "admit" CIRCLES, [key('m')], "make your key a member of it, in circles.json";
    EditConfig "edit_config" CIRCLES, [key('e')], "open circles.json in $EDITOR, or make one";
    CopyUrl "copy_url" CIRCLES, [key('y')], "copy its URL";
    NewKey "new_key" LISTS, [key('n')], "make a key";
    Unlock "unlock" KEYS, [key('u')], "unlock it, or lock it again";
    Default "default_key" KEYS, [key('D')], "make it the default key";
    Rename "rename" KEYS, [key('R')], "rename it";
    Passphrase "passphrase" KEYS, [key('p')], "change its passphrase";
    Import "import" KEYS, [key('i')], "import a key from a file";
    Export "export" KEYS, [key('e')], "export it to a file, encrypted";
    ExportSecret "export_secret" KEYS, [key('E')], "export the bare secret, after a question";
    Delete "delete" KEYS, [key('d')], "delete it, once you have typed its name";
    CopyPublicKey "copy_public_key" KEYS, [key('y')], "copy its public key, to give it to an operator";
    ReadKeys "read_keys" KEYS, [key('r')], "read the keystore again";
    CopyOutput "copy_output" REPL, [KeyPress::control('o')], "copy the last output, or the selected block";
    LogLevel "log_level" LOGS, [key('l')], "all, warnings, errors";
    CopyLog "copy_log" LOGS, [key('y')], "copy the log";
    CopyKey "copy_key" DATA, [key('y')], "copy the key";
    CopyValue "copy_value" DATA, [key('Y')], "copy the value as JSON";
}

impl UserAction {
    /// Returns the action with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Returns why a key cannot be bound to the action, if it cannot.
    pub fn refusal(self, key: KeyPress) -> Option<&'static str> {
        if !self.panes().contains(&KeyPane::Repl) {
            None
        } else if key.is_editing() {
            Some("edits the input in the REPL pane")
        } else if self.panes() == REPL && key.is_printable() {
            Some("is text in the REPL pane")
        } else {
            None
        }
    }
}
