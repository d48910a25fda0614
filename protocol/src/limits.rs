//! The limits of a circle: their names, units and defaults, for its configuration and for `describe`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The limits of a circle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Limits {
    /// Milliseconds that a play may take, including time spent waiting.
    pub play_ms: u64,
    /// Operations of a play, as Rhai counts them; no limit if null.
    pub operations: Option<u64>,
    /// KiB that a play may print, and KiB of its value as text or as JSON. Each print counts 256 bytes in addition to
    /// its text.
    pub output_kib: u64,
    /// Maximum depth of nested function calls in a script.
    pub call_depth: u64,
    /// Maximum nesting depth of an expression.
    pub expression_depth: u64,
    /// KiB of one string.
    pub string_kib: u64,
    /// Items of one array, or bytes of one blob.
    pub array_items: u64,
    /// Properties of one map. Properties that a script adds by assigning to an index are counted when the play has
    /// finished.
    pub map_items: u64,
    /// Host calls that a play may make.
    pub host_calls: u64,
    /// KiB of the arguments of one host call, as JSON, and KiB of its result.
    pub host_kib: u64,
    /// MiB of memory that the scripts of one session may use.
    pub memory_mib: u64,
    /// Queued plays and resets of one session.
    pub queued_plays: u64,
    /// KiB of queued scripts of one session.
    pub queued_kib: u64,
    /// KiB of one message to the circle.
    pub message_kib: u64,
    /// Requests in one batch.
    pub batch: u64,
    /// Seconds without a play or a query after which the circle releases the worker of an anonymous session, and its
    /// variables with it; never if null.
    pub idle_s: Option<u64>,
    /// Open connections to the circle. The circle lowers this limit to what its file descriptors and `connection_mib`
    /// allow.
    pub connections: u64,
    /// Unauthenticated connections from one address, on a circle whose access is not `open`.
    pub unauthenticated_per_address: u64,
    /// Seconds that a connection has to authenticate, on a circle whose access is not `open`.
    pub login_s: u64,
    /// MiB that the server may hold for all connections; if null, an eighth of the memory available to its process.
    pub connection_mib: Option<u64>,
    /// Sessions that hold a worker at the same time.
    pub workers: u64,
    /// Sessions of one caller that hold a worker at the same time; a quarter of `workers` if null. A caller is a key,
    /// or all anonymous clients at an address.
    pub sessions_per_caller: Option<u64>,
    /// Plays that run at the same time; further plays wait, and callers take turns.
    pub running_plays: u64,
    /// Plays of one caller that run at the same time; a quarter of `running_plays` if null.
    pub running_per_caller: Option<u64>,
    /// Host calls that run at the same time; further calls wait.
    pub running_host_calls: u64,
    /// Host calls of one caller that run at the same time; a quarter of `running_host_calls` if null.
    pub host_calls_per_caller: Option<u64>,
    /// Milliseconds that a call of a function may take, including time spent waiting. A function can declare its own time
    /// with `@timeout`.
    pub call_ms: u64,
    /// Calls of one session that wait or run at the same time.
    pub queued_calls: u64,
    /// Calls of functions that run at the same time; further calls wait, and callers take turns.
    pub running_calls: u64,
    /// Calls of one caller that run at the same time; a quarter of `running_calls` if null.
    pub calls_per_caller: Option<u64>,
    /// Workers for functions, of which more than one for each processor start only while the others wait for host calls.
    pub function_workers: u64,
    /// Entries of the store that one transaction may read.
    pub store_reads: u64,
    /// Keys of the store that one transaction may write.
    pub store_writes: u64,
    /// KiB of all keys, values and events that one transaction may write.
    pub store_kib: u64,
    /// KiB of one value in the store, and of the data of one event.
    pub value_kib: u64,
    /// Events that one transaction may publish.
    pub events: u64,
    /// MiB of the entries of the store, with its change log and its records of `once`.
    pub store_mib: u64,
    /// MiB of the change log of the store, from which subscribers catch up.
    pub log_mib: u64,
    /// MiB of memory that all workers together may use; half of the machine's memory if null. If the circle cannot
    /// measure the memory of its workers, `describe` returns null and there is no limit.
    pub total_mib: Option<u64>,
    /// MiB of memory that the workers of one caller may use; if null, a quarter of `total_mib`, but at least twice
    /// `memory_mib`.
    pub memory_per_caller_mib: Option<u64>,
    /// Requests of one caller per minute, over all of its connections; no limit if null. Connections that may not call
    /// protected methods are always limited.
    pub per_minute: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            play_ms: 30_000,
            operations: None,
            output_kib: 1024,
            call_depth: 256,
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
            call_ms: 2000,
            queued_calls: 64,
            running_calls: 256,
            calls_per_caller: None,
            function_workers: 64,
            store_reads: 10_000,
            store_writes: 1_000,
            store_kib: 1024,
            value_kib: 64,
            events: 100,
            store_mib: 1024,
            log_mib: 64,
            total_mib: None,
            memory_per_caller_mib: None,
            per_minute: None,
        }
    }
}

/// The error of [`Limits::set`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitError {
    /// No limit has this name.
    Unknown,
    /// The value is 0, which would mean no limit, or a circle that can do nothing.
    Zero,
}

impl std::fmt::Display for LimitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "there is no limit with this name",
            Self::Zero => "this limit cannot be 0",
        })
    }
}

impl std::error::Error for LimitError {}

impl Limits {
    /// The limits that may be 0, which disables the queue.
    const MAY_BE_ZERO: &'static [&'static str] = &["queued_plays", "queued_kib"];

    /// Sets one limit by its name.
    ///
    /// # Errors
    ///
    /// No limit has this name, or this limit cannot be 0.
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

    /// Sets the limits of the store, which a circle keeps from its start, to those of other limits.
    pub fn set_store_limits(&mut self, other: &Self) {
        let Self { store_reads, store_writes, store_kib, value_kib, events, store_mib, log_mib, .. } = *other;
        *self = Self { store_reads, store_writes, store_kib, value_kib, events, store_mib, log_mib, ..self.clone() };
    }

    /// Returns the name of the first limit that is 0 although it must not be.
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

    #[test]
    fn store_limits_are_set_together() {
        let (mut limits, mut other) = (Limits::default(), Limits::default());
        for name in
            ["play_ms", "store_reads", "store_writes", "store_kib", "value_kib", "events", "store_mib", "log_mib"]
        {
            other.set(name, 1).expect("known");
        }
        limits.set_store_limits(&other);
        assert_eq!(limits.play_ms, Limits::default().play_ms);
        other.play_ms = limits.play_ms;
        assert_eq!(limits, other);
    }
}
