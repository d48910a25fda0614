//! The labels of the series. Each has a fixed set of values, so that a client cannot create series.

use protocol::{
    RpcError,
    error::{BusyLimit, LossReason, PlayLimit},
};
use worker::Layer;

/// A label with a fixed set of values.
pub(crate) trait MetricLabel: Copy + 'static {
    /// All values, in the order of their indices.
    const ALL: &'static [Self];

    fn index(self) -> usize;

    fn value(self) -> &'static str;
}

macro_rules! labels {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$vmeta])* $variant),* }

        impl MetricLabel for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn index(self) -> usize {
                self as usize
            }

            fn value(self) -> &'static str {
                match self { $(Self::$variant => $value),* }
            }
        }
    )* };
}

#[cfg(all(feature = "metrics", feature = "nats"))]
pub(super) use labels;

labels! {
    /// The outcome of a play.
    PlayOutcome {
        Ok = "ok",
        ScriptError = "script_error",
        LimitTime = "limit_time",
        LimitOperations = "limit_operations",
        LimitMemory = "limit_memory",
        LimitOutput = "limit_output",
        LimitDepth = "limit_depth",
        LimitSize = "limit_size",
        Cancelled = "cancelled",
        LostMemory = "lost_memory",
        LostTime = "lost_time",
        LostCrash = "lost_crash",
        LostKilled = "lost_killed",
        BusyQueued = "busy_queued",
        BusyRunning = "busy_running",
        /// A limit of calls was reached.
        BusyCalls = "busy_calls",
        BusySessions = "busy_sessions",
        BusyWorkers = "busy_workers",
        BusyMemory = "busy_memory",
        BusyCommits = "busy_commits",
        Conflict = "conflict",
        StoreUnavailable = "store_unavailable",
        RateLimited = "rate_limited",
        ShuttingDown = "shutting_down",
        Unauthenticated = "unauthenticated",
        Invalid = "invalid",
        Internal = "internal",
        /// The connection ended before the play finished.
        Disconnected = "disconnected",
    }

    /// Why a notification was rejected.
    NotificationRejectReason {
        Invalid = "invalid",
        Unauthenticated = "unauthenticated",
        Forbidden = "forbidden",
        Busy = "busy",
        RateLimited = "rate_limited",
        ShuttingDown = "shutting_down",
        Internal = "internal",
    }

    /// Why an HTTP request, usually a WebSocket upgrade, was rejected.
    ConnectionRejectReason {
        Host = "host",
        Origin = "origin",
        Full = "full",
        /// The address has too many unauthenticated connections.
        Address = "address",
        Draining = "draining",
        Version = "version",
        /// The program refused the connection.
        Program = "program",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The WebSocket upgrade is malformed.
        Handshake = "handshake",
    }

    /// Why the circle closed a connection on its own initiative.
    ConnectionCloseReason {
        /// There were too many connections.
        Room = "room",
        /// All connections together held too many bytes, and this one had not authenticated.
        Memory = "memory",
        /// All connections together held too many bytes, and this one was the largest of the caller that held most.
        CallerMemory = "caller_memory",
        /// The connection did not authenticate in time.
        Login = "login",
    }

    /// The outcome of an attempt to authenticate.
    AuthenticationOutcome {
        Ok = "ok",
        Invalid = "invalid_credentials",
        Forbidden = "forbidden",
    }

    /// Why an environment was lost.
    EnvironmentLoss {
        Idle = "idle",
        Memory = "memory",
        Time = "time",
        Crash = "crash",
        Killed = "killed",
    }

    /// The outcome of a host call.
    HostCallOutcome {
        Ok = "ok",
        Failed = "failed",
        TooLarge = "too_large",
        /// The call was rejected: the play has made too many calls, or its caller has too many detached calls.
        Refused = "refused",
        /// The play ended before the call.
        Abandoned = "abandoned",
        /// The worker sent a malformed call.
        Unreadable = "unreadable",
    }

    /// Whether a session is authenticated.
    SessionIdentity {
        Anonymous = "anonymous",
        Key = "key",
    }

    /// What a store contains.
    StoreData {
        Entries = "entries",
        Log = "log",
        Once = "once",
    }

    /// A fault of a store.
    StoreFault {
        /// The storage has failed.
        Failed = "failed",
        /// The store, its file or the disk is full.
        Full = "full",
    }

    /// The outcome of a commit.
    CommitOutcome {
        Ok = "ok",
        Conflict = "conflict",
        TooOld = "too_old",
        Full = "full",
        Busy = "busy",
        Failed = "failed",
        /// The transaction adds to a value that is no integer, or the like.
        Invalid = "invalid",
    }

    /// The kind of a notification of a subscription.
    EventKind {
        /// With entries or data.
        Changes = "changes",
        /// Something in between is lost.
        Gap = "gap",
    }

    /// The holder of memory.
    MemoryHolder {
        Server = "server",
        Workers = "workers",
        Connections = "connections",
    }

    /// A layer of the sandbox, as `describe` names it.
    SandboxLayer {
        Process = "process",
        Memory = "memory",
        Syscalls = "syscalls",
        Network = "network",
    }
}

// The enums of the protocol may get values that this crate does not know, so the matches below have a last arm. The circle
// does not make such an error, and a test checks that each error of the protocol has a label of its own.
impl PlayOutcome {
    /// Whether the circle refused the play without running it, because a quota was used up or the caller may not play.
    pub(crate) fn is_refusal(self) -> bool {
        let is_busy = matches!(
            self,
            Self::BusyQueued
                | Self::BusyRunning
                | Self::BusyCalls
                | Self::BusySessions
                | Self::BusyWorkers
                | Self::BusyMemory
        );
        is_busy || matches!(self, Self::RateLimited | Self::Unauthenticated)
    }

    pub(crate) fn of(result: Result<(), &RpcError>) -> Self {
        let Err(error) = result else { return Self::Ok };
        match error {
            RpcError::Script(_) => Self::ScriptError,
            RpcError::LimitExceeded { limit, .. } => match limit {
                PlayLimit::Time => Self::LimitTime,
                PlayLimit::Operations => Self::LimitOperations,
                PlayLimit::Memory => Self::LimitMemory,
                PlayLimit::Output => Self::LimitOutput,
                PlayLimit::Depth => Self::LimitDepth,
                PlayLimit::Size => Self::LimitSize,
                _ => Self::Internal,
            },
            RpcError::ResultLost { .. } => Self::LimitOutput,
            RpcError::Cancelled => Self::Cancelled,
            RpcError::EnvironmentLost { reason } => match reason {
                LossReason::Memory => Self::LostMemory,
                LossReason::Time => Self::LostTime,
                LossReason::Crash => Self::LostCrash,
                // An idle session has no play that could be lost, and a circle sends no unknown reason.
                LossReason::Killed | LossReason::Idle | LossReason::Unknown => Self::LostKilled,
                _ => Self::Internal,
            },
            RpcError::Busy { limit, .. } => match limit {
                BusyLimit::Queued => Self::BusyQueued,
                BusyLimit::Running => Self::BusyRunning,
                BusyLimit::Calls => Self::BusyCalls,
                BusyLimit::Sessions => Self::BusySessions,
                BusyLimit::Workers => Self::BusyWorkers,
                BusyLimit::Memory => Self::BusyMemory,
                BusyLimit::Commits => Self::BusyCommits,
                _ => Self::Internal,
            },
            RpcError::Conflict { .. } => Self::Conflict,
            RpcError::StoreUnavailable { .. } => Self::StoreUnavailable,
            RpcError::RateLimited { .. } => Self::RateLimited,
            RpcError::ShuttingDown => Self::ShuttingDown,
            RpcError::Unauthenticated | RpcError::InvalidCredentials | RpcError::Forbidden { .. } => {
                Self::Unauthenticated
            }
            RpcError::Parse
            | RpcError::InvalidRequest { .. }
            | RpcError::MethodNotFound { .. }
            | RpcError::InvalidParams { .. } => Self::Invalid,
            RpcError::Internal | RpcError::Other(_) => Self::Internal,
            _ => Self::Internal,
        }
    }
}

impl NotificationRejectReason {
    /// Returns the reason of an error; `None` if the notification was accepted and failed later.
    pub(super) fn of(error: &RpcError) -> Option<Self> {
        Some(match error {
            RpcError::Parse
            | RpcError::InvalidRequest { .. }
            | RpcError::MethodNotFound { .. }
            | RpcError::InvalidParams { .. } => Self::Invalid,
            RpcError::Unauthenticated | RpcError::InvalidCredentials => Self::Unauthenticated,
            RpcError::Forbidden { .. } => Self::Forbidden,
            RpcError::Busy { .. } => Self::Busy,
            RpcError::RateLimited { .. } => Self::RateLimited,
            RpcError::ShuttingDown => Self::ShuttingDown,
            RpcError::Internal | RpcError::Other(_) => Self::Internal,
            RpcError::Script(_)
            | RpcError::LimitExceeded { .. }
            | RpcError::ResultLost { .. }
            | RpcError::Cancelled
            | RpcError::EnvironmentLost { .. }
            | RpcError::Conflict { .. }
            | RpcError::StoreUnavailable { .. } => return None,
            _ => Self::Internal,
        })
    }
}

impl AuthenticationOutcome {
    pub(super) fn of(error: Option<&RpcError>) -> Self {
        match error {
            None => Self::Ok,
            Some(RpcError::Forbidden { .. }) => Self::Forbidden,
            Some(_) => Self::Invalid,
        }
    }
}

impl From<LossReason> for EnvironmentLoss {
    fn from(reason: LossReason) -> Self {
        match reason {
            LossReason::Idle => Self::Idle,
            LossReason::Memory => Self::Memory,
            LossReason::Time => Self::Time,
            LossReason::Crash => Self::Crash,
            LossReason::Killed | LossReason::Unknown => Self::Killed,
            _ => Self::Killed,
        }
    }
}

impl SandboxLayer {
    /// Returns the label of a layer; `None` for a layer without one.
    fn of(layer: Layer) -> Option<Self> {
        match layer {
            Layer::Memory => Some(Self::Memory),
            Layer::Syscalls => Some(Self::Syscalls),
            Layer::Network => Some(Self::Network),
            _ => None,
        }
    }

    /// Returns all layers of a circle.
    pub(crate) fn all(has_processes: bool, layers: &[Layer]) -> Vec<Self> {
        let process = has_processes.then_some(Self::Process);
        process.into_iter().chain(layers.iter().copied().filter_map(Self::of)).collect()
    }

    /// Returns the name in `describe`.
    pub(crate) fn name(self) -> &'static str {
        self.value()
    }
}

#[cfg(test)]
mod tests {
    use protocol::error::ERROR_CODES;

    use super::*;

    /// The labels of each error of the protocol: of a play, and of a notification.
    const ERROR_LABELS: [(i64, PlayOutcome, Option<NotificationRejectReason>); 17] = [
        (-32700, PlayOutcome::Invalid, Some(NotificationRejectReason::Invalid)),
        (-32600, PlayOutcome::Invalid, Some(NotificationRejectReason::Invalid)),
        (-32601, PlayOutcome::Invalid, Some(NotificationRejectReason::Invalid)),
        (-32602, PlayOutcome::Invalid, Some(NotificationRejectReason::Invalid)),
        (-32603, PlayOutcome::Internal, Some(NotificationRejectReason::Internal)),
        (-32000, PlayOutcome::ScriptError, None),
        (-32001, PlayOutcome::Unauthenticated, Some(NotificationRejectReason::Unauthenticated)),
        (-32002, PlayOutcome::Unauthenticated, Some(NotificationRejectReason::Unauthenticated)),
        (-32003, PlayOutcome::Unauthenticated, Some(NotificationRejectReason::Forbidden)),
        (-32004, PlayOutcome::LimitMemory, None),
        (-32005, PlayOutcome::Cancelled, None),
        (-32006, PlayOutcome::BusyMemory, Some(NotificationRejectReason::Busy)),
        (-32007, PlayOutcome::RateLimited, Some(NotificationRejectReason::RateLimited)),
        (-32008, PlayOutcome::ShuttingDown, Some(NotificationRejectReason::ShuttingDown)),
        (-32009, PlayOutcome::LostCrash, None),
        (-32010, PlayOutcome::Conflict, None),
        (-32011, PlayOutcome::StoreUnavailable, None),
    ];

    #[test]
    fn every_error_of_the_protocol_has_its_label() {
        for (code, message, _) in ERROR_CODES {
            let data = serde_json::json!({
                "method": "x", "param": "x", "reason": "crash", "kind": "runtime",
                "limit": "memory", "max": 1, "retry_after_ms": 1,
                "cause": "full", "attempts": 1, "happened": "no",
            });
            let object = serde_json::json!({ "code": code, "message": message, "data": data });
            let error: RpcError = serde_json::from_value(object).expect("an error object");
            assert!(!matches!(error, RpcError::Other(_)), "{code} needs other data");
            let labels = ERROR_LABELS.iter().find(|(labelled, ..)| labelled == code);
            let (_, outcome, reason) = labels.unwrap_or_else(|| panic!("{code} has no label"));
            assert_eq!(PlayOutcome::of(Err(&error)), *outcome, "{code}");
            assert_eq!(NotificationRejectReason::of(&error), *reason, "{code}");
        }
    }

    #[test]
    fn every_limit_and_loss_of_the_protocol_has_its_label() {
        let label = |error: &RpcError| PlayOutcome::of(Err(error)).value();
        for limit in PlayLimit::ALL.iter().copied() {
            let error = RpcError::LimitExceeded { limit, max: 1, setting: None };
            assert_eq!(label(&error), format!("limit_{limit}"));
        }
        // No play or call opens a subscription.
        for limit in BusyLimit::ALL.iter().copied().filter(|limit| *limit != BusyLimit::Subscriptions) {
            assert_eq!(label(&RpcError::Busy { limit, max: 1, retry_after_ms: None }), format!("busy_{limit}"));
        }
        for reason in LossReason::ALL.iter().copied().filter(|reason| *reason != LossReason::Unknown) {
            assert_eq!(EnvironmentLoss::from(reason).value(), reason.to_string());
            if reason != LossReason::Idle {
                assert_eq!(label(&RpcError::EnvironmentLost { reason }), format!("lost_{reason}"));
            }
        }
    }

    #[test]
    fn label_values_match_their_indices() {
        fn check<W: MetricLabel>() {
            for (index, label) in W::ALL.iter().enumerate() {
                assert_eq!(label.index(), index, "{}", label.value());
                assert!(label.value().chars().all(|character| character.is_ascii_lowercase() || character == '_'));
            }
        }
        check::<PlayOutcome>();
        check::<NotificationRejectReason>();
        check::<ConnectionRejectReason>();
        check::<AuthenticationOutcome>();
        check::<EnvironmentLoss>();
        check::<HostCallOutcome>();
        check::<SessionIdentity>();
        check::<StoreData>();
        check::<StoreFault>();
        check::<CommitOutcome>();
        check::<EventKind>();
        check::<MemoryHolder>();
        check::<SandboxLayer>();
    }

    #[test]
    fn accepted_notification_has_no_reject_reason() {
        assert_eq!(NotificationRejectReason::of(&RpcError::Cancelled), None);
        assert_eq!(
            NotificationRejectReason::of(&RpcError::Unauthenticated),
            Some(NotificationRejectReason::Unauthenticated)
        );
        assert_eq!(PlayOutcome::of(Ok(())), PlayOutcome::Ok);
        assert_eq!(
            PlayOutcome::of(Err(&RpcError::EnvironmentLost { reason: LossReason::Crash })),
            PlayOutcome::LostCrash
        );
    }
}
