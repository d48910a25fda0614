//! The values of labels: fixed sets, so that nothing a client says makes another series.

use protocol::{
    RpcError,
    error::{BusyLimit, LossReason, PlayLimit},
};
use worker::Layer;

/// One of a fixed set of values of a label.
pub(crate) trait Word: Copy + 'static {
    /// All of them, in the order of their indices.
    const ALL: &'static [Self];

    fn index(self) -> usize;

    fn word(self) -> &'static str;
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$vmeta])* $variant),* }

        impl Word for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn index(self) -> usize {
                self as usize
            }

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    )* };
}

words! {
    /// What a play came to.
    Outcome {
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
        BusySessions = "busy_sessions",
        BusyWorkers = "busy_workers",
        BusyMemory = "busy_memory",
        RateLimited = "rate_limited",
        ShuttingDown = "shutting_down",
        Unauthenticated = "unauthenticated",
        Invalid = "invalid",
        Internal = "internal",
        /// Its connection ended before it did.
        Disconnected = "disconnected",
    }

    /// Why a notification was not carried out.
    Refusal {
        Invalid = "invalid",
        Unauthenticated = "unauthenticated",
        Forbidden = "forbidden",
        Busy = "busy",
        RateLimited = "rate_limited",
        ShuttingDown = "shutting_down",
        Internal = "internal",
    }

    /// Why a request over HTTP, most of all an upgrade, was refused.
    TurnedAway {
        Host = "host",
        Origin = "origin",
        Full = "full",
        Draining = "draining",
        Version = "version",
    }

    /// What an attempt to prove a key came to.
    Proof {
        Ok = "ok",
        Invalid = "invalid_credentials",
        Forbidden = "forbidden",
    }

    /// What took an environment.
    Loss {
        Idle = "idle",
        Memory = "memory",
        Time = "time",
        Crash = "crash",
        Killed = "killed",
    }

    /// What a call of a host function came to.
    HostCallEnd {
        Ok = "ok",
        Failed = "failed",
        TooLarge = "too_large",
        /// It was not begun: the play or its caller has had enough.
        Refused = "refused",
        /// Its play ended before it did.
        Abandoned = "abandoned",
        /// Its worker called as none does.
        Unreadable = "unreadable",
    }

    /// Who a session is.
    Identity {
        Anonymous = "anonymous",
        Key = "key",
    }

    /// Whose memory it is.
    Holder {
        Server = "server",
        Workers = "workers",
    }

    /// What keeps scripts where they are, as `describe` has it.
    SandboxLayer {
        Process = "process",
        Memory = "memory",
        Syscalls = "syscalls",
    }
}

impl Outcome {
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
            },
            RpcError::Cancelled => Self::Cancelled,
            RpcError::EnvironmentLost { reason } => match reason {
                LossReason::Memory => Self::LostMemory,
                LossReason::Time => Self::LostTime,
                LossReason::Crash => Self::LostCrash,
                // No play ends by idleness.
                LossReason::Killed | LossReason::Idle => Self::LostKilled,
            },
            RpcError::Busy { limit, .. } => match limit {
                BusyLimit::Queued => Self::BusyQueued,
                BusyLimit::Running => Self::BusyRunning,
                BusyLimit::Sessions => Self::BusySessions,
                BusyLimit::Workers => Self::BusyWorkers,
                BusyLimit::Memory => Self::BusyMemory,
            },
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
        }
    }
}

impl Refusal {
    /// `None` where the notification was carried out, and this is what came of it.
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
            | RpcError::Cancelled
            | RpcError::EnvironmentLost { .. } => return None,
        })
    }
}

impl Proof {
    pub(super) fn of(error: Option<&RpcError>) -> Self {
        match error {
            None => Self::Ok,
            Some(RpcError::Forbidden { .. }) => Self::Forbidden,
            Some(_) => Self::Invalid,
        }
    }
}

impl From<LossReason> for Loss {
    fn from(reason: LossReason) -> Self {
        match reason {
            LossReason::Idle => Self::Idle,
            LossReason::Memory => Self::Memory,
            LossReason::Time => Self::Time,
            LossReason::Crash => Self::Crash,
            LossReason::Killed => Self::Killed,
        }
    }
}

impl SandboxLayer {
    /// `None` of one that has no name yet.
    fn of(layer: Layer) -> Option<Self> {
        match layer {
            Layer::Memory => Some(Self::Memory),
            Layer::Syscalls => Some(Self::Syscalls),
            _ => None,
        }
    }

    /// Those that hold.
    pub(crate) fn all(has_processes: bool, layers: &[Layer]) -> Vec<Self> {
        let process = has_processes.then_some(Self::Process);
        process.into_iter().chain(layers.iter().copied().filter_map(Self::of)).collect()
    }

    /// As `describe` calls it.
    pub(crate) fn name(self) -> &'static str {
        self.word()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_where_its_index_says() {
        fn check<W: Word>() {
            for (index, word) in W::ALL.iter().enumerate() {
                assert_eq!(word.index(), index, "{}", word.word());
                assert!(word.word().chars().all(|character| character.is_ascii_lowercase() || character == '_'));
            }
        }
        check::<Outcome>();
        check::<Refusal>();
        check::<TurnedAway>();
        check::<Proof>();
        check::<Loss>();
        check::<HostCallEnd>();
        check::<SandboxLayer>();
    }

    #[test]
    fn what_was_carried_out_is_no_refusal() {
        assert_eq!(Refusal::of(&RpcError::Cancelled), None);
        assert_eq!(Refusal::of(&RpcError::Unauthenticated), Some(Refusal::Unauthenticated));
        assert_eq!(Outcome::of(Ok(())), Outcome::Ok);
        assert_eq!(Outcome::of(Err(&RpcError::EnvironmentLost { reason: LossReason::Crash })), Outcome::LostCrash);
    }
}
