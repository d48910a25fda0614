//! A circle in the list, with its state: from the supervisor's report, or else from a probe of its address.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use launcher::{CircleState as Supervised, CircleStatus};
use protocol::methods::Access;

use super::{CircleId, activity::Activity};
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
    /// URL from circles.json or from the user.
    pub(super) url: String,
    /// Address that the circle listens on, if it is known in advance.
    pub(super) address: Option<SocketAddr>,
    /// Last report of the supervisor.
    pub(super) status: Option<CircleStatus>,
    /// Who may play, according to circles.json.
    pub(super) access: Option<Access>,
    /// Description in circles.json.
    pub(super) description: Option<String>,
    pub(super) activity: Activity,
    /// When the circle became ready.
    pub(super) since: Option<Instant>,
    /// What listens at its address, while the supervisor does not run it.
    pub(super) probe_result: Option<ProbeResult>,
    pub(super) probe_guard: Option<ProbeGuard>,
    /// Whether the supervisor has been asked to start it and has not answered.
    pub is_requested: bool,
    /// Whether the user has removed it from the list.
    pub(super) is_removed: bool,
}

/// How the app knows a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircleSource {
    /// Scratch circle in this process, for its user alone.
    Scratch,
    /// In circles.json: a supervisor can run it.
    Config,
    /// Added by its address.
    Address,
}

/// State of a circle in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircleAvailability {
    /// Not known yet.
    Unknown,
    /// Nothing listens at its address.
    Down,
    /// It is up, but the supervisor of this circles.json does not run it.
    Unsupervised,
    /// Another program listens on its port.
    PortTaken,
    /// It is not ready yet.
    Starting,
    /// It accepts connections.
    Up,
    /// It is draining.
    Stopping,
    /// It ended unexpectedly; the supervisor restarts it in a moment.
    BackingOff,
    /// It ended unexpectedly, for good.
    Failed,
}

impl CircleItem {
    /// Returns the circle as a target, for error messages.
    pub(crate) fn target(&self, config: Option<&Path>) -> CircleTarget {
        let kind = match self.source {
            CircleSource::Scratch => TargetKind::Scratch,
            CircleSource::Config => {
                TargetKind::Configured { name: self.name.as_str().into(), config: config.map(Into::into) }
            }
            CircleSource::Address => TargetKind::Address(self.name.as_str().into()),
        };
        CircleTarget { kind, url: self.url().into() }
    }

    pub(super) fn new(name: String, url: String, source: CircleSource) -> Self {
        Self {
            name,
            source,
            url,
            address: None,
            status: None,
            access: None,
            description: None,
            activity: Activity::default(),
            since: None,
            probe_result: None,
            probe_guard: None,
            is_requested: false,
            is_removed: false,
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
            // The reason of the failure matters more than that the circle is down.
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

    /// Returns the current URL.
    pub(crate) fn url(&self) -> &str {
        match &self.status {
            Some(status) if self.is_supervised() => &status.url,
            _ => &self.url,
        }
    }

    /// Returns whether the supervisor runs the circle, starts it or drains it.
    pub(crate) fn is_supervised(&self) -> bool {
        self.status.as_ref().is_some_and(|status| !matches!(status.state, Supervised::Down | Supervised::Failed))
    }

    /// Returns whether the supervisor runs the circle or starts it.
    pub(crate) fn can_be_stopped(&self) -> bool {
        self.is_requested || self.is_supervised() && self.state() != CircleAvailability::Stopping
    }

    /// Returns whether the supervisor can start the circle, and does not run it yet.
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

    /// Returns whether the circle does not run as far as is known, so that a start from here is what starts it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.can_be_started() && self.state() != CircleAvailability::BackingOff
    }

    /// Returns whether a lost connection can be made again at once, because the supervisor runs the circle.
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

    /// Returns why the process ended, as long as that is why the circle is not up.
    pub(crate) fn failure_reason(&self) -> Option<&str> {
        self.status.as_ref().and_then(|status| status.why.as_deref())
    }

    /// Returns why the circle refused its present configuration in circles.json.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.status.as_ref().and_then(|status| status.refused.as_deref())
    }

    pub(super) fn restarts(&self) -> u32 {
        self.status.as_ref().map_or(0, |status| status.restarts)
    }

    /// Returns the number of its connections, as far as the supervisor knows.
    pub(crate) fn connections(&self) -> Option<u64> {
        self.status.as_ref().and_then(|status| status.connections)
    }

    /// Returns details of the process for people.
    pub(crate) fn details(&self) -> String {
        let Some(status) = self.status.as_ref().filter(|_| self.is_supervised()) else { return String::new() };
        let pid = status.pid.map(|pid| format!("pid {pid}"));
        let connections = status.connections.map(|count| match count {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        });
        [pid, connections].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    /// Applies the supervisor's report.
    pub(super) fn take(&mut self, status: Option<CircleStatus>, now: Instant) {
        let is_same = self.pid().is_some() && self.pid() == status.as_ref().and_then(|status| status.pid);
        let uptime = status.as_ref().and_then(|status| status.uptime_s).map(Duration::from_secs);
        let since = uptime.map(|uptime| now.checked_sub(uptime).unwrap_or(now));
        // The supervisor counts whole seconds, so the earliest value is the most precise.
        self.since = match self.since.filter(|_| is_same) {
            Some(before) => since.map(|since| since.min(before)),
            None => since,
        };
        self.activity.report(status.as_ref(), now);
        self.status = status;
    }

    /// Returns who may play, as far as the supervisor or circles.json says.
    pub(super) fn access(&self) -> Option<Access> {
        self.status.as_ref().map(|status| status.access).or(self.access)
    }

    pub(super) fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Probes the circle's address while the supervisor does not run it.
    pub(super) fn probe(&mut self, id: CircleId, tasks: &Tasks) {
        if self.is_supervised() || self.source != CircleSource::Config {
            self.probe_guard = None;
            if self.source == CircleSource::Config {
                self.probe_result = None;
            }
        } else if let Some(address) = self.address.filter(|_| self.probe_guard.is_none()) {
            self.probe_guard = Some(tasks.probe(id, address));
        }
    }
}
