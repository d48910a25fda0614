//! One circle, and what state it is in: from what its supervisor says, or else from what listens where it would be.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use launcher::{CircleState as Supervised, CircleStatus};

use super::CircleId;
use crate::{
    event::ProbeResult,
    tasks::{ProbeGuard, Tasks},
};
use frontend::target::{CircleTarget, TargetKind};

/// A circle that the app knows.
#[derive(Debug)]
pub(crate) struct CircleItem {
    pub name: String,
    pub source: CircleSource,
    /// Its URL, as far as circles.json or its user says.
    pub(super) url: String,
    /// Where it listens, if that can be known before it does.
    pub(super) address: Option<SocketAddr>,
    /// What its supervisor says of it.
    pub(super) status: Option<CircleStatus>,
    /// Since when it has taken connections.
    pub(super) since: Option<Instant>,
    /// What listens where it would be, while its supervisor does not have it up.
    pub(super) probe_result: Option<ProbeResult>,
    pub(super) probing: Option<ProbeGuard>,
    /// Whether its supervisor was asked to start it, and has not answered.
    pub is_requested: bool,
}

/// Where the app knows it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircleSource {
    /// Inside this process, for its user alone.
    Scratch,
    /// From circles.json: a supervisor can have it up.
    Config,
    /// Someone gave its address.
    Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircleAvailability {
    /// Nothing is known yet.
    Unknown,
    /// Nothing listens there.
    Down,
    /// A circle is there that no supervisor of this circles.json has up.
    Unsupervised,
    /// Another program has its port.
    PortTaken,
    /// It is not ready yet.
    Starting,
    /// It takes connections.
    Up,
    /// It is draining.
    Stopping,
    /// It ended unexpectedly, and is started again in a moment.
    BackingOff,
    /// It ended unexpectedly, for good.
    Failed,
}

impl CircleItem {
    /// As errors name it.
    pub(crate) fn target(&self, config: Option<&Path>) -> CircleTarget {
        let said = match self.source {
            CircleSource::Scratch => TargetKind::Scratch,
            CircleSource::Config => {
                TargetKind::Configured { name: self.name.as_str().into(), config: config.map(Into::into) }
            }
            CircleSource::Address => TargetKind::Address(self.name.as_str().into()),
        };
        CircleTarget { kind: said, url: self.url().into() }
    }

    pub(super) fn new(name: String, url: String, source: CircleSource) -> Self {
        Self {
            name,
            source,
            url,
            address: None,
            status: None,
            since: None,
            probe_result: None,
            probing: None,
            is_requested: false,
        }
    }

    pub(crate) fn state(&self) -> CircleAvailability {
        match self.status.as_ref().map(|status| status.state) {
            _ if self.source == CircleSource::Scratch => CircleAvailability::Up,
            Some(Supervised::Starting) => CircleAvailability::Starting,
            Some(Supervised::Ready) => CircleAvailability::Up,
            Some(Supervised::BackingOff) => CircleAvailability::BackingOff,
            Some(Supervised::Draining) => CircleAvailability::Stopping,
            _ if self.is_requested => CircleAvailability::Starting,
            // Why it failed is worth more than that it is down.
            Some(Supervised::Failed) if self.probe_result != Some(ProbeResult::Circle) => CircleAvailability::Failed,
            known => match (self.probe_result, known) {
                (Some(ProbeResult::Circle), _) => CircleAvailability::Unsupervised,
                (Some(ProbeResult::Draining), _) => CircleAvailability::Stopping,
                (Some(ProbeResult::Other), _) => CircleAvailability::PortTaken,
                (Some(ProbeResult::Nothing), _) | (None, Some(_)) => CircleAvailability::Down,
                (None, None) => CircleAvailability::Unknown,
            },
        }
    }

    /// Its URL now.
    pub(crate) fn url(&self) -> &str {
        match &self.status {
            Some(status) if self.is_supervised() => &status.url,
            _ => &self.url,
        }
    }

    /// Whether its supervisor has it up, or is about to, or drains it.
    pub(crate) fn is_supervised(&self) -> bool {
        self.status.as_ref().is_some_and(|status| !matches!(status.state, Supervised::Down | Supervised::Failed))
    }

    /// Whether its supervisor keeps it up, or is about to.
    pub(crate) fn can_be_stopped(&self) -> bool {
        self.is_requested || self.is_supervised() && self.state() != CircleAvailability::Stopping
    }

    /// Whether its supervisor can start it, and does not keep it up yet.
    pub(crate) fn can_be_started(&self) -> bool {
        let is_up = matches!(
            self.state(),
            CircleAvailability::Unsupervised
                | CircleAvailability::PortTaken
                | CircleAvailability::Starting
                | CircleAvailability::Up
        );
        self.source == CircleSource::Config && !is_up
    }

    /// Whether nobody has it up as far as is known: who starts it now has started it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.can_be_started() && self.state() != CircleAvailability::BackingOff
    }

    /// Whether its supervisor has it up: a connection that was lost can be made again at once.
    pub(crate) fn can_reconnect(&self) -> bool {
        self.source == CircleSource::Config && self.state() == CircleAvailability::Up
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(
            self.state(),
            CircleAvailability::Down
                | CircleAvailability::PortTaken
                | CircleAvailability::Failed
                | CircleAvailability::BackingOff
        )
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state(), CircleAvailability::Up | CircleAvailability::Unsupervised)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.status.as_ref().and_then(|status| status.pid)
    }

    /// Why it ended last, while that is why it is not up.
    pub(crate) fn failure_reason(&self) -> Option<&str> {
        self.status.as_ref().and_then(|status| status.why.as_deref())
    }

    /// Why it goes on as it was, where it does not apply what circles.json says of it now.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.status.as_ref().and_then(|status| status.refused.as_deref())
    }

    pub(super) fn restarts(&self) -> u32 {
        self.status.as_ref().map_or(0, |status| status.restarts)
    }

    /// What its supervisor knows of its process, for a person.
    pub(crate) fn details(&self) -> String {
        let Some(status) = self.status.as_ref().filter(|_| self.is_supervised()) else { return String::new() };
        let pid = status.pid.map(|pid| format!("pid {pid}"));
        let connections = status.connections.map(|count| match count {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        });
        [pid, connections].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    /// Takes what its supervisor says of it now.
    pub(super) fn take(&mut self, status: Option<CircleStatus>, now: Instant) {
        let is_same = self.pid().is_some() && self.pid() == status.as_ref().and_then(|status| status.pid);
        let uptime = status.as_ref().and_then(|status| status.uptime_s).map(Duration::from_secs);
        let since = uptime.map(|uptime| now.checked_sub(uptime).unwrap_or(now));
        // The supervisor counts whole seconds: the earliest is the nearest to the truth.
        self.since = match self.since.filter(|_| is_same) {
            Some(before) => since.map(|since| since.min(before)),
            None => since,
        };
        self.status = status;
    }

    /// Has it looked what listens there, while its supervisor does not have it up.
    pub(super) fn look(&mut self, id: CircleId, tasks: &Tasks) {
        if self.is_supervised() || self.source != CircleSource::Config {
            self.probing = None;
            if self.source == CircleSource::Config {
                self.probe_result = None;
            }
        } else if let Some(address) = self.address.filter(|_| self.probing.is_none()) {
            self.probing = Some(tasks.probe(id, address));
        }
    }
}
