//! The key bindings of the terminal interface.
//!
//! One table ([`UserAction`]) has the name, the default keys and the help text of each action: dispatch, help, palette
//! and the settings all read it.

mod actions;
mod key_press;

use std::fmt;

pub use actions::UserAction;
pub use key_press::{KeyPress, KeyPressError};

use crate::settings::{Setting, SettingSource};

/// A pane whose keys can be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPane {
    /// The list of circles.
    Circles,
    /// The list of keys.
    Keys,
    /// The transcript and the editor.
    Repl,
    /// The log.
    Logs,
    /// The entries of the store.
    Data,
}

impl KeyPane {
    /// All panes.
    pub const ALL: [Self; 5] = [Self::Circles, Self::Keys, Self::Repl, Self::Logs, Self::Data];
}

impl fmt::Display for KeyPane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Circles => "Circles",
            Self::Keys => "Keys",
            Self::Repl => "REPL",
            Self::Logs => "Logs",
            Self::Data => "Data",
        })
    }
}

/// The keys of an action.
pub type ActionKeys = Vec<KeyPress>;

/// The keys in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBindings {
    /// The keys of each action, in the order of [`UserAction::ALL`].
    keys: Vec<Setting<ActionKeys>>,
}

/// One key for two actions in the same pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyConflict {
    /// The key.
    pub key: KeyPress,
    /// The pane.
    pub pane: KeyPane,
    /// The action whose keys the user has set.
    pub action: UserAction,
    /// The other action; the same one if it names the key twice.
    pub other: UserAction,
}

impl Default for KeyBindings {
    fn default() -> Self {
        let keys = |action: UserAction| Setting { value: action.default_keys(), source: SettingSource::Default };
        Self { keys: UserAction::ALL.iter().map(|action| keys(*action)).collect() }
    }
}

impl KeyBindings {
    /// Returns the actions with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (UserAction, &Setting<ActionKeys>)> {
        UserAction::ALL.into_iter().zip(&self.keys)
    }

    /// Returns the keys of an action.
    pub fn keys(&self, action: UserAction) -> &[KeyPress] {
        self.iter().find(|(other, _)| *other == action).map_or(&[], |(_, keys)| &keys.value)
    }

    /// Returns the keys of an action as text, with spaces between them; empty if the action has no key.
    pub fn shown(&self, action: UserAction) -> String {
        shown(self.keys(action))
    }

    /// Returns the simplest key of an action that works in a pane, for a hint; empty if there is none.
    pub fn hint(&self, pane: KeyPane, action: UserAction) -> String {
        let keys = self.keys(action).iter().filter(|key| works_in(pane, action, **key));
        let key = keys.min_by_key(|key| !key.is_printable());
        key.map_or(String::new(), KeyPress::to_string)
    }

    /// Returns the action of a key in a pane.
    pub fn action(&self, pane: KeyPane, key: KeyPress) -> Option<UserAction> {
        self.iter()
            .find(|(action, keys)| keys.value.contains(&key) && works_in(pane, *action, key))
            .map(|(action, _)| action)
    }

    /// Binds an action to keys of the user.
    pub fn bind(&mut self, action: UserAction, keys: ActionKeys) {
        self.set(action, Setting { value: keys, source: SettingSource::File });
    }

    fn set(&mut self, action: UserAction, keys: Setting<ActionKeys>) {
        if let Some(at) = UserAction::ALL.iter().position(|other| *other == action) {
            self.keys[at] = keys;
        }
    }

    /// Gives actions of the user their default keys again until no key has two meanings in a pane. Returns the
    /// conflicts.
    pub fn resolve_conflicts(&mut self) -> Vec<KeyConflict> {
        let mut conflicts = Vec::new();
        while let Some(conflict) = self.conflict() {
            let default = Setting { value: conflict.action.default_keys(), source: SettingSource::Default };
            self.set(conflict.action, default);
            conflicts.push(conflict);
        }
        conflicts
    }

    /// Returns the first conflict of an action whose keys the user has set. The default keys have none.
    fn conflict(&self) -> Option<KeyConflict> {
        let of_user = self.iter().filter(|(_, keys)| keys.source == SettingSource::File);
        of_user
            .flat_map(|(action, keys)| keys.value.iter().enumerate().map(move |(at, key)| (action, at, *key)))
            .find_map(|(action, at, key)| {
                let pane = KeyPane::ALL.into_iter().find(|pane| works_in(*pane, action, key))?;
                if self.keys(action)[..at].contains(&key) {
                    return Some(KeyConflict { key, pane, action, other: action });
                }
                let others = self.iter().filter(|(other, keys)| *other != action && keys.value.contains(&key));
                others.flat_map(|(other, _)| KeyPane::ALL.map(|pane| (other, pane))).find_map(|(other, pane)| {
                    let is_shared = works_in(pane, action, key) && works_in(pane, other, key);
                    is_shared.then_some(KeyConflict { key, pane, action, other })
                })
            })
    }
}

/// Formats keys with spaces between them.
pub fn shown(keys: &[KeyPress]) -> String {
    keys.iter().map(KeyPress::to_string).collect::<Vec<_>>().join(" ")
}

/// Returns whether a key of an action works in a pane. In the REPL pane printable keys are text.
fn works_in(pane: KeyPane, action: UserAction, key: KeyPress) -> bool {
    action.panes().contains(&pane) && !(pane == KeyPane::Repl && key.is_printable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_keys_have_no_conflict_and_can_all_be_bound() {
        let mut bindings = KeyBindings::default();
        for action in UserAction::ALL {
            bindings.bind(action, action.default_keys());
            for key in action.default_keys() {
                assert_eq!(KeyPress::parse(&key.to_string()), Ok(key));
                assert_eq!(action.refusal(key), None, "{action:?}");
            }
            assert_eq!(UserAction::named(action.name()), Some(action));
        }
        assert_eq!(bindings.resolve_conflicts(), []);
    }

    #[test]
    fn key_has_one_action_in_each_pane() {
        let bindings = KeyBindings::default();
        let key = |text: &str| KeyPress::parse(text).expect("a key");
        assert_eq!(bindings.action(KeyPane::Circles, key("r")), Some(UserAction::Restart));
        assert_eq!(bindings.action(KeyPane::Keys, key("r")), Some(UserAction::ReadKeys));
        assert_eq!(bindings.action(KeyPane::Logs, key("r")), None);
        // Letters are text there.
        assert_eq!(bindings.action(KeyPane::Repl, key("f")), None);
        assert_eq!(bindings.action(KeyPane::Repl, key("F2")), Some(UserAction::Zoom));
        assert_eq!(bindings.hint(KeyPane::Repl, UserAction::Help), "F1");
        assert_eq!(bindings.hint(KeyPane::Logs, UserAction::Help), "?");
        assert_eq!(bindings.shown(UserAction::Help), "F1 ?");
    }

    #[test]
    fn conflicts_leave_the_default_keys() {
        let key = |text: &str| KeyPress::parse(text).expect("a key");
        let mut bindings = KeyBindings::default();
        bindings.bind(UserAction::Restart, vec![key("x")]);
        bindings.bind(UserAction::Zoom, vec![key("z"), key("z")]);
        // They have changed places, which is no conflict.
        bindings.bind(UserAction::Rename, vec![key("u")]);
        bindings.bind(UserAction::Unlock, vec![key("R")]);
        let conflicts = bindings.resolve_conflicts();
        let of = |conflict: &KeyConflict| (conflict.action, conflict.other);
        assert_eq!(
            conflicts.iter().map(of).collect::<Vec<_>>(),
            [(UserAction::Zoom, UserAction::Zoom), (UserAction::Restart, UserAction::Stop)]
        );
        assert_eq!(bindings.shown(UserAction::Restart), "r");
        assert_eq!(bindings.shown(UserAction::Rename), "u");
        // Default keys that come back may be taken.
        bindings.bind(UserAction::Stop, vec![key("r")]);
        bindings.bind(UserAction::Restart, vec![key("x"), key("s")]);
        assert_eq!(bindings.resolve_conflicts().len(), 2);
        assert_eq!((bindings.shown(UserAction::Restart), bindings.shown(UserAction::Stop)), ("r".into(), "x".into()));
    }
}
