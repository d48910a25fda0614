//! What a session says, each sentence once.

use frontend::{circle_target::CircleTarget, visible::visible};
use keys::keystore::KeyName;

use super::event::FanOutRefusal;

pub(super) const CANCELLED: &str = "cancelled; the session and what it had done are kept";
pub(super) const GIVEN_UP: &str = "no longer waiting for it; it may still be running, and what comes next waits for it";
pub(super) const NOT_STARTED: &str = "no longer waiting for it; nothing was played";
pub(super) const STOPPED_WAITING: &str = "no longer waiting for it";
pub(super) const NOT_CONNECTED: &str = "not connected";
pub(super) const DISCONNECTED: &str = "disconnected; variables are gone";
pub(super) const NOT_PLAYED: &str = "what was typed was not played: Enter plays it in the fresh session";
pub(super) const STILL_RUNS: &str = "the play still runs";
pub(super) const NO_VALUE: &str = "there is no value yet: play something, or :plot [1, 4, 9]";
pub(super) const NOTHING_TO_SAVE: &str = "nothing was played here yet";
pub(super) const NOT_SAVED: &str = "what still runs or waits is not in it";
pub(super) const QUEUE_FULL: &str = "too much waits already: Ctrl-C gives it back";
pub(super) const SCRATCH_KEY: &str = "the throw-away circle knows the key that was made for it, and no other";
pub(super) const SCRATCH_KEY_HINT: &str = "  go to a circle: :use WHERE";

/// How much is gone with an environment that so many inputs had made; nothing, if none had.
pub(super) fn lost_variables(inputs: usize) -> String {
    match inputs {
        0 => String::new(),
        1 => ": what 1 input had made is gone (:save FILE writes it as a script)".to_owned(),
        inputs => format!(": what {inputs} inputs had made is gone (:save FILE writes them as a script)"),
    }
}

/// The circle lost the environment.
pub(super) fn environment_lost(target: &CircleTarget, reason: &str, inputs: usize) -> String {
    format!("{target} lost this session's environment ({reason}){}", lost_variables(inputs))
}

/// A connection was made again.
pub(super) fn reconnected(target: &CircleTarget, key: Option<&KeyName>, inputs: usize) -> String {
    let whom = key.map_or(String::new(), |key| format!(" as {key}"));
    format!("connected again to {target}{whom}, with a fresh session{}", lost_variables(inputs))
}

/// The connection is lost, and will be made again.
pub(super) fn reconnecting(message: &str) -> String {
    format!("{message}; connecting again")
}

/// The connection will not be made again without the user.
pub(super) fn with_enter_hint(message: &str) -> String {
    format!("{message}; Enter tries again")
}

/// A circle that takes a free port has taken another.
pub(super) fn moved(name: &str, url: &str) -> String {
    format!("circle '{name}' is at {url} now; :use {name} goes to it there")
}

/// Another circle answers where the session's circle did.
pub(super) fn other_circle(now: &str, before: &str) -> String {
    format!("the circle '{now}' is there now, and not '{before}'")
}

/// Another circle is connected to, as the user wanted.
pub(super) fn connected_to(name: &str) -> String {
    format!("connected to the circle '{name}', with a fresh session")
}

/// Another circle takes another session.
pub(super) fn with_use_hint(message: &str) -> String {
    format!("{message}; :use goes to it")
}

/// The session is authenticated with that key already.
pub(super) fn uses_key(name: &KeyName) -> String {
    format!("you are {name} here")
}

/// Another key takes another session.
pub(super) fn connecting_as(name: &KeyName) -> String {
    format!("a session is one key's for good: connecting anew as {name}")
}

pub(super) const VARIABLES_GONE: &str = "variables are gone; :save FILE writes what was played";

/// What a user does first where a circle does not take part in a fan-out.
pub(super) fn refusal(why: FanOutRefusal, label: &str) -> String {
    let first = |why: &str| format!("{why}; connect to it first: :use {}", visible(label));
    match why {
        FanOutRefusal::NeedsKey => first("it wants a key to be proved"),
        FanOutRefusal::Unreachable => first("it cannot be reached"),
        FanOutRefusal::Busy => "it is busy with a play".to_owned(),
    }
}
