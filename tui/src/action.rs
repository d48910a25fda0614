//! Actions: what a view asks the app to do.

use keys::keystore::KeyName;
use zeroize::Zeroizing;

use super::{
    circle_id::CircleId,
    keys::KeyChange,
    layout::Pane,
    popup::{CallDraft, KeyJob},
};

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Focus(Pane),
    /// Show another circle in the panes.
    Show(CircleId),
    /// Quit, and ask what to do with the circles that were started here.
    Quit,
    /// Quit, and keep the circles that were started here running.
    QuitAndKeep,
    /// Quit after stopping the circles that were started here.
    QuitAndStop,
    /// Quit without a question.
    QuitNow,
    /// Open the pane for the store, or close it if it has the focus.
    ToggleData,
    /// Show the whole value of a key of the store.
    ShowValue(String),
    Help,
    Palette,
    Zoom,
    /// Turn the mouse on or off.
    ToggleMouse,
    /// Make the pane with the focus larger or smaller.
    Resize(i16),
    /// Search in the transcript or in the log.
    Search(Pane),
    /// Copy a text to the clipboard; the second text describes it.
    Copy(String, &'static str),
    AskAddress,
    /// Connect to a circle by name, port, host:port or URL.
    ConnectTo(String),
    Connect(CircleId),
    /// Connect although the circle's identity is ephemeral.
    ConnectToEphemeral(CircleId),
    /// Disconnect, after a question if something would be lost.
    AskDisconnect(CircleId),
    Disconnect(CircleId),
    /// Remove a circle that is known by its address from the list.
    Remove(CircleId),
    Authenticate(CircleId),
    Start(CircleId),
    StartAll,
    /// Open circles.json in the user's editor, or offer to make one.
    OpenConfig,
    MakeConfig,
    /// Add the key to use to the members of a circle in circles.json.
    Admit(CircleId),
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
    /// Open the dialog for a change of a key.
    AskKeyChange(KeyJob),
    /// Ask before the bare secret of a key is exported.
    AskExportSecret(KeyName),
    ChangeKey(KeyChange),
    /// Lock a key, or ask for its passphrase.
    ToggleLock(KeyName),
    /// Run the input in the editor.
    Submit,
    /// Cancel the running play of the session that is shown.
    Cancel,
    /// Read what other consoles have added to the history.
    ReadHistory,
    /// Complete the word at the cursor.
    Complete,
    /// Show the documentation of a completion.
    Document(String),
    /// Continue in the user's editor.
    Edit,
    /// Insert a text into the editor.
    Insert(String),
    /// List the functions of the circle that is shown.
    Functions,
    /// Open the form for a call of a function of a circle.
    AskCall(CircleId, String),
    /// Call a function of a circle with the inputs of a form, which are also given as a command.
    Call(CallDraft, String),
    /// Close the popup without doing anything.
    Close,
}

/// Passphrase that is wiped on drop and never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
