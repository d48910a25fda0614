//! What a view has the app do: everything that is not the view's own affair.

use keys::keystore::KeyName;
use zeroize::Zeroizing;

use super::{circle_id::CircleId, layout::Pane};

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Focus(Pane),
    /// Show another circle in the panes.
    Show(CircleId),
    /// Leave the editor.
    StopTyping,
    /// Ask what becomes of circles that were started here.
    Quit,
    /// Quit; circles that were started here go on.
    QuitAndKeep,
    /// Quit once the circles that were started here have ended.
    QuitAndStop,
    /// Quit without a question.
    QuitNow,
    Help,
    Palette,
    Zoom,
    /// Put a text on the clipboard, and what the text is.
    Copy(String, &'static str),
    AskAddress,
    /// Connect to a circle as people name it.
    ConnectTo(String),
    Connect(CircleId),
    /// Connect though the circle's identity ends with its process.
    ConnectToEphemeral(CircleId),
    Disconnect(CircleId),
    Authenticate(CircleId),
    Start(CircleId),
    StartAll,
    AskStop(CircleId),
    Stop(CircleId),
    AskRestart(CircleId),
    Restart(CircleId),
    AskNewKey,
    MakeKey(KeyName, Secret),
    Unlock(KeyName, Secret),
    UseKey(KeyName),
    DefaultKey(KeyName),
    ReadKeys,
    /// Run what is typed.
    Submit,
    /// Cancel what goes on in the session that is shown.
    Cancel,
    /// Offer what may stand at the cursor.
    Complete,
    /// Go on typing in another program.
    Edit,
    /// Put a text into the editor.
    Insert(String),
    /// Close the popup, and do nothing of what it asks for.
    Close,
}

/// A passphrase. It is wiped when it is dropped, and is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
