//! The messages of a session.

use std::path::Path;

use frontend::{circle_target::CircleTarget, error::CliError, visible::visible};
use keys::keystore::KeyName;

use super::event::FanOutRefusal;

pub(super) const CANCELLED: &str = "cancelled; your variables are kept";
pub(super) const CALL_CANCELLED: &str = "cancelled the call";
pub(super) const CALL_GIVEN_UP: &str = "gave up waiting; the function may still be running";
pub(super) const NOT_CALLED: &str = "gave up waiting; nothing was called";
pub(super) const CALLS_ONLY: &str =
    "you may call functions here, but not play scripts: :functions lists them, :call NAME calls one";
pub(super) const NO_RIGHTS: &str = "you may neither play scripts nor call functions here: :who shows your role";
pub(super) const MAY_PLAY: &str = "you may play scripts here now";
pub(super) const PLAY_REFUSED: &str = "the circle does not let you play scripts";
pub(super) const CALL_HINT: &str = "list what you may call instead: :functions; call one: :call NAME";
/// The end of the advice to an anonymous caller.
pub(super) const KEY_HINT: &str = "; or authenticate with a key: :key NAME";
pub(super) const INIT_CANCELLED: &str = "cancelled the init script";
pub(super) const INIT_GIVEN_UP: &str = "gave up waiting for the init script; it may still be running";
pub(super) const GIVEN_UP: &str = "gave up waiting; it may still be running, and your next input will queue behind it";
pub(super) const NOT_STARTED: &str = "gave up waiting; nothing was played";
pub(super) const STOPPED_WAITING: &str = "gave up waiting for the answer";
pub(super) const STOPPED_WATCHING: &str = "stopped watching";
pub(super) const NOT_CONNECTED: &str = "not connected";
pub(super) const DISCONNECTED: &str = "disconnected; variables are gone";
pub(super) const NOT_PLAYED: &str = "your input was not played; Enter plays it in the new session";
pub(super) const STILL_RUNS: &str = "the play is still running";
pub(super) const NO_VALUE: &str = "no value yet; play something, or try :plot [1, 4, 9]";
pub(super) const NO_VALUES: &str = "no value yet";
pub(super) const STILL_PENDING: &str = "wait for the command before";
pub(super) const NOTHING_TO_SAVE: &str = "nothing to save yet";
pub(super) const NOT_SAVED: &str = "without running and queued inputs";
pub(super) const QUEUE_FULL: &str = "too many inputs are waiting: Ctrl-C returns them to the editor";
pub(super) const SCRATCH_KEY: &str = "the scratch circle accepts only its own key";
pub(super) const SCRATCH_KEY_HINT: &str = "  to use your key, switch to another circle: :use WHERE";

/// A function of the circle has the name of a documented function of scripts.
pub(super) fn circle_function(name: &str) -> String {
    format!("{name} is a function of the circle as well: :functions {name} describes it")
}

/// The message about output that the client did not keep.
pub(super) fn events_dropped(count: u64) -> String {
    format!("{count} prints were dropped here: they came faster than they could be shown")
}

/// The end of a message about a lost environment: the number of inputs whose variables are gone; empty for none.
pub(super) fn lost_variables(inputs: usize) -> String {
    match inputs {
        0 => String::new(),
        1 => "; variables from 1 input are gone (:replay runs it again, :save FILE keeps it as a script)".to_owned(),
        inputs => format!(
            "; variables from {inputs} inputs are gone (:replay runs them again, :save FILE keeps them as a script)"
        ),
    }
}

/// What to do after a play that lost the environment.
pub(super) fn lost_inputs(inputs: usize) -> String {
    lost_variables(inputs).trim_start_matches("; ").to_owned()
}

/// The value of an input is not there, or no more.
pub(super) fn no_value_of(number: usize) -> String {
    format!("there is no value of input {number}; :out lists the last values")
}

/// Only a part of the value was copied.
pub(super) fn copied_part(size: &str, limit_kib: usize) -> String {
    format!("copied the first {limit_kib} KiB of {size}: terminals take no more; :json FILE writes all of it")
}

/// The init script is larger than the circle takes.
pub(super) fn too_large_init(file: Option<&Path>, size: &str, limit_kib: u64) -> CliError {
    let why = format!("it has {size}, and the circle accepts messages up to {limit_kib} KiB");
    let name = file.map_or_else(String::new, |file| visible(&file.display().to_string()).into_owned());
    CliError::usage(format!("cannot play the init script {name}"), why, "shorten it, or start with --no-init")
}

/// The value cannot be copied as JSON.
pub(super) fn too_large_to_copy(size: &str, limit_kib: usize) -> String {
    format!("not copied: the value is {size} of JSON, and terminals take {limit_kib} KiB; :json FILE writes it")
}

pub(super) const REPLAY_HINT: &str =
    ":replay! runs these inputs in this session, one after the other, and stops at the first that fails";
pub(super) const NOTHING_TO_REPLAY: &str = "there is nothing to replay: no session with inputs was lost or reset";

/// All inputs of a lost session were played again.
pub(super) fn replayed(inputs: usize) -> String {
    let plural = if inputs == 1 { "" } else { "s" };
    format!("replayed {inputs} input{plural}")
}

/// A replay stopped at an input, with `left` inputs that can still be played.
pub(super) fn replay_stopped(number: usize, total: usize, left: usize, has_failed: bool) -> String {
    let what = if has_failed { "input" } else { "the replay stopped at input" };
    let failed = if has_failed { " failed" } else { "" };
    let rest = match (left, has_failed) {
        (0, _) => String::new(),
        (1, true) => "; the input after it did not run: fix it by hand, then :replay lists the rest".to_owned(),
        (left, true) => {
            format!("; the {left} inputs after it did not run: fix it by hand, then :replay lists the rest")
        }
        (_, false) => "; :replay lists the rest".to_owned(),
    };
    format!("{what} {number} of {total}{failed}{rest}")
}

/// The circle lost the environment.
pub(super) fn environment_lost(target: &CircleTarget, reason: &str, inputs: usize) -> String {
    format!("{target} lost this session's environment ({reason}){}", lost_variables(inputs))
}

/// The session reconnected.
pub(super) fn reconnected(target: &CircleTarget, key: Option<&KeyName>, inputs: usize) -> String {
    let identity = key.map_or(String::new(), |key| format!(" as {key}"));
    format!("reconnected to {target}{identity} with a new session{}", lost_variables(inputs))
}

/// The connection is lost, and the session reconnects automatically.
pub(super) fn reconnecting(message: &str) -> String {
    format!("{message}; reconnecting…")
}

/// The session does not reconnect automatically.
pub(super) fn with_enter_hint(message: &str) -> String {
    format!("{message}; press Enter to try again")
}

/// A circle with a free port has changed its port.
pub(super) fn moved(name: &str, url: &str) -> String {
    format!("circle '{name}' has moved to {url}; :use {name} connects to it there")
}

/// Another circle answers at the address of the session's circle.
pub(super) fn other_circle(now: &str, before: &str) -> String {
    format!("another circle answers there: '{now}' instead of '{before}'")
}

/// The session connected to the other circle, as the user wanted.
pub(super) fn connected_to(name: &str) -> String {
    format!("connected to circle '{name}' with a new session")
}

/// The other circle needs another session.
pub(super) fn with_use_hint(message: &str) -> String {
    format!("{message}; :use switches to it")
}

/// The session already uses the key.
pub(super) fn uses_key(name: &KeyName) -> String {
    format!("already using key {name}")
}

/// Another key needs another session.
pub(super) fn connecting_as(name: &KeyName) -> String {
    format!("a session cannot change its key: reconnecting as {name}")
}

pub(super) const VARIABLES_GONE: &str =
    "variables are gone; :replay runs your inputs again, :save FILE keeps them as a script";

/// Why a circle does not take part in a fan-out, and what to do.
pub(super) fn refusal(why: FanOutRefusal, label: &str) -> String {
    let first = |why: &str| format!("{why}; connect to it first: :use {}", visible(label));
    match why {
        FanOutRefusal::NeedsKey => first("it needs a key"),
        FanOutRefusal::Unreachable => first("it cannot be reached"),
        FanOutRefusal::Busy => "it is busy with another play".to_owned(),
    }
}
