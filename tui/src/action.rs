//! What a view wants done that is not its own affair.

use keys::keystore::KeyName;

use super::{id::CircleId, layout::Pane};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Focus(Pane),
    /// Leave the editor.
    StopTyping,
    /// Ask what is to become of what was started here.
    Quit,
    /// Quit, and what was started here goes on.
    Keep,
    /// Quit, once what was started here has ended.
    Release,
    /// Quit without a question.
    QuitNow,
    Help,
    Palette,
    Zoom,
    /// A text for the clipboard, and what it is.
    Copy(String, &'static str),
    AskAddress,
    Connect(CircleId),
    Disconnect(CircleId),
    Authenticate(CircleId),
    Start(CircleId),
    StartAll,
    AskStop(CircleId),
    Stop(CircleId),
    AskRestart(CircleId),
    Restart(CircleId),
    AskNewKey,
    UseKey(KeyName),
    DefaultKey(KeyName),
    ReadKeys,
    /// Run what is typed.
    Submit,
    /// End the running play of the circle that is shown.
    Cancel,
    /// Offer what may stand at the cursor.
    Complete,
    /// Go on typing in another program.
    Edit,
    /// Put a text into the editor.
    Insert(String),
}
