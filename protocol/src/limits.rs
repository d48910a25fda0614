//! The limits of a circle: their names, units and defaults, for its configuration and for `describe`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a circle allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Limits {
    /// Milliseconds that a play may take, waiting included.
    pub play_ms: u64,
    /// Operations of a play, as Rhai counts them; without a limit if null.
    pub operations: Option<u64>,
    /// KiB that a play may print, and that its value may have as text or as JSON. A print counts 256 bytes more.
    pub output_kib: u64,
    /// How deep functions of a script may call each other.
    pub call_depth: u64,
    /// How deep an expression may nest.
    pub expression_depth: u64,
    /// KiB of one string.
    pub string_kib: u64,
    /// Items of one array, bytes of one blob.
    pub array_items: u64,
    /// Properties of one map. Those that are made by assigning to an index are counted when the play has ended.
    pub map_items: u64,
    /// Calls of host functions that a play may make.
    pub host_calls: u64,
    /// KiB that the arguments of one such call may have, as JSON, and its result.
    pub host_kib: u64,
    /// MiB of memory that the scripts of one session may have.
    pub memory_mib: u64,
    /// Plays and resets of one session that wait.
    pub queued_plays: u64,
    /// KiB of scripts of one session that wait.
    pub queued_kib: u64,
    /// KiB of one message to the circle.
    pub message_kib: u64,
    /// Members of one batch.
    pub batch: u64,
    /// Seconds without a play or a question after which an anonymous session gives its worker back, and its variables with it;
    /// never if null.
    pub idle_s: Option<u64>,
    /// Connections to the circle at a time. The circle lowers this to what its descriptors and `connection_mib` allow.
    pub connections: u64,
    /// Unauthenticated connections from one address, on a circle that needs a key.
    pub unauthenticated_per_address: u64,
    /// Seconds in which a connection to a circle that needs a key has to authenticate.
    pub login_s: u64,
    /// MiB that the server may keep for all connections. An eighth of the memory that its process may have if null.
    pub connection_mib: Option<u64>,
    /// Sessions that hold a worker process at a time.
    pub workers: u64,
    /// Of those, the sessions of one caller: of a key, or for the anonymous of their address. A quarter of them if null.
    pub sessions_per_caller: Option<u64>,
    /// Plays that run at a time; others wait for their callers' turns.
    pub running_plays: u64,
    /// Of those, the plays of one caller. A quarter of them if null.
    pub running_per_caller: Option<u64>,
    /// Host functions that run at a time; a call over it waits.
    pub running_host_calls: u64,
    /// Of those, the ones of one caller. A quarter of them if null.
    pub host_calls_per_caller: Option<u64>,
    /// MiB of memory that the workers may have together. Half of the machine's if null; where a circle cannot see what its
    /// workers have, `describe` says null, and there is no limit.
    pub total_mib: Option<u64>,
    /// Of those, what the workers of one caller may have. A quarter of them if null, and twice `memory_mib` at the least.
    pub memory_per_caller_mib: Option<u64>,
    /// Requests of one caller in a minute, all connections together; without a limit if null. Connections that may neither play
    /// nor call have one in any case.
    pub per_minute: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            play_ms: 30_000,
            operations: None,
            output_kib: 1024,
            call_depth: 64,
            expression_depth: 64,
            string_kib: 1024,
            array_items: 100_000,
            map_items: 100_000,
            host_calls: 1000,
            host_kib: 256,
            memory_mib: 64,
            queued_plays: 64,
            queued_kib: 2048,
            message_kib: 256,
            batch: 64,
            idle_s: Some(600),
            connections: 10_000,
            unauthenticated_per_address: 64,
            login_s: 30,
            connection_mib: None,
            workers: 1024,
            sessions_per_caller: None,
            running_plays: 256,
            running_per_caller: None,
            running_host_calls: 256,
            host_calls_per_caller: None,
            total_mib: None,
            memory_per_caller_mib: None,
            per_minute: None,
        }
    }
}

/// What is wrong with the setting of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitError {
    /// There is no limit of that name.
    Unknown,
    /// Zero would stand for no limit, or for a circle that can do nothing.
    Zero,
}

impl std::fmt::Display for LimitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no limit of that name",
            Self::Zero => "this limit cannot be 0",
        })
    }
}

impl std::error::Error for LimitError {}

impl Limits {
    /// The limits that may be 0: nothing then waits.
    const MAY_BE_ZERO: &'static [&'static str] = &["queued_plays", "queued_kib"];

    /// Sets one limit by its name.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), LimitError> {
        let Ok(Value::Object(mut all)) = serde_json::to_value(&*self) else { return Err(LimitError::Unknown) };
        let limit = all.get_mut(name).ok_or(LimitError::Unknown)?;
        *limit = value.into();
        if value == 0 && !Self::MAY_BE_ZERO.contains(&name) {
            return Err(LimitError::Zero);
        }
        *self = serde_json::from_value(Value::Object(all)).map_err(|_| LimitError::Unknown)?;
        Ok(())
    }

    /// The first limit that is 0 and must not be.
    pub fn first_zero(&self) -> Option<String> {
        let Ok(Value::Object(all)) = serde_json::to_value(self) else { return None };
        let is_zero =
            |(name, value): &(String, Value)| value.as_u64() == Some(0) && !Self::MAY_BE_ZERO.contains(&name.as_str());
        all.into_iter().find(is_zero).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_name() {
        let mut limits = Limits::default();
        limits.set("play_ms", 5).expect("known");
        limits.set("operations", 7).expect("known");
        limits.set("queued_plays", 0).expect("may be 0");
        assert_eq!((limits.play_ms, limits.operations, limits.queued_plays), (5, Some(7), 0));
        assert_eq!(limits.set("luck", 1), Err(LimitError::Unknown));
        assert_eq!(limits.set("workers", 0), Err(LimitError::Zero));
        assert_eq!(limits.first_zero(), None);
        limits.string_kib = 0;
        assert_eq!(limits.first_zero().as_deref(), Some("string_kib"));
    }
}
