//! One user's session on one circle: its connection, what was said, what is being typed, what runs.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use client_ws::{CircleWsClient, Description};
use keys::keystore::KeyName;
use protocol::methods::Progress;
use tokio::sync::Notify;

use super::{
    editor::Editor,
    id::{CircleId, Connection, PlayNumber},
    transcript::Transcript,
};
use console::{commands::Meta, history::HistoryFile, notebook::Notebook};
use frontend::text::{Line, Style};

/// Inputs that may wait for a play to end.
const MAX_WAITING: usize = 64;

/// How soon a second Ctrl-C has to come to give up waiting.
const GIVE_UP: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Session {
    /// The circle as its user knows it.
    pub name: String,
    pub link: Link,
    pub who: Who,
    /// As the circle called itself when it was connected to last.
    pub circle: Option<String>,
    /// Whether it is to be connected whenever its circle is up.
    pub is_wanted: bool,
    /// Whether its user has just asked for the connection, and expects to be asked back.
    pub is_asked: bool,
    /// The circle that was shown when this one was asked for in a command: one stays there if there is no connection.
    pub came_from: Option<CircleId>,
    /// The newest connection.
    pub connection: Connection,
    pub transcript: Transcript,
    pub editor: Editor,
    pub running: Option<Running>,
    /// What is to be there before the next input is carried out.
    pub pending: Option<Pending>,
    /// What was played.
    pub notebook: Notebook,
    /// How many inputs had made what went with a connection that was lost, until that is told.
    lost: usize,
    /// The key to be here, once one was proved or named for this circle.
    pub key: Option<KeyName>,
    /// Inputs that were sent off while it runs.
    waiting: VecDeque<String>,
    /// Where inputs are kept.
    pub history: Option<HistoryFile>,
    /// What the last play took.
    pub last_elapsed: Option<Duration>,
    plays: u64,
}

/// How the session is connected.
#[derive(Debug)]
pub(crate) enum Link {
    Off,
    Connecting,
    On(Box<(Arc<CircleWsClient>, Description)>),
}

/// Whom the circle takes the session for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// No key was proved.
    Nobody,
    /// A key is being proved.
    Proving,
    /// This key was proved.
    Key(KeyName),
    /// The key that the throw-away circle is for.
    Owner,
}

/// What the next input waits for, other than a play.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// A fresh environment.
    Reset,
    /// A file that is to be played.
    Load(PlayNumber),
    /// Circles to play on, as their user calls them, some of which are being connected to.
    Each { targets: Vec<(CircleId, String)>, script: String },
}

/// What a play is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// Its value is shown.
    Value,
    /// And what it took.
    Time,
    /// Its value is drawn.
    Plot,
    /// It is played on those circles, and their answers are shown side by side.
    Each(Vec<Target>),
}

/// A circle among several.
#[derive(Debug)]
pub(crate) struct Target {
    pub id: CircleId,
    /// The one that it is played through.
    pub connection: Connection,
    /// As its user calls it.
    pub name: String,
}

/// A play that has not ended.
#[derive(Debug)]
pub(crate) struct Running {
    pub number: PlayNumber,
    pub script: String,
    pub purpose: Purpose,
    pub started: Instant,
    pub progress: Option<Progress>,
    cancel: Arc<Notify>,
    cancelled: Option<Instant>,
}

/// How a session stands, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    None,
    Connecting,
    Connected,
    Proved,
    Running,
}

impl Running {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.is_some()
    }
}

impl Standing {
    /// One column.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::None => " ",
            Self::Connecting => "…",
            Self::Connected => "◌",
            Self::Proved => "⚿",
            Self::Running => "▶",
        }
    }
}

/// What a Ctrl-C did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Asked,
    GivenUp,
    /// What it was to begin with is no longer waited for.
    NotBegun,
}

impl Session {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            link: Link::Off,
            who: Who::Nobody,
            circle: None,
            is_wanted: false,
            is_asked: false,
            came_from: None,
            connection: Connection::default(),
            transcript: Transcript::default(),
            editor: Editor::new(),
            running: None,
            pending: None,
            notebook: Notebook::default(),
            lost: 0,
            key: None,
            waiting: VecDeque::new(),
            history: None,
            last_elapsed: None,
            plays: 0,
        }
    }

    /// Begins a new connection in the place of the old one.
    pub(crate) fn begin(&mut self) -> Connection {
        self.hang_up();
        self.connection.0 += 1;
        self.link = Link::Connecting;
        self.who = Who::Nobody;
        self.running = None;
        self.pending = None;
        self.connection
    }

    /// Ends the connection; what is on its way is no longer of interest, what was typed still is.
    pub(crate) fn end(&mut self) {
        self.take_back();
        self.hang_up();
        self.pending = None;
        self.connection.0 += 1;
        self.link = Link::Off;
        self.who = Who::Nobody;
        self.running = None;
    }

    /// Closes the connection, which a running play would keep open otherwise. What the session held is gone with it.
    fn hang_up(&mut self) {
        if let Some(client) = self.client() {
            client.disconnect();
        }
        // What runs on others as well would go on there.
        if let Some(Running { purpose: Purpose::Each(_), cancel, .. }) = &self.running {
            cancel.notify_one();
        }
        self.lost = self.lost.max(self.notebook.inputs());
        self.notebook.is_lost();
    }

    /// How many inputs had made what is gone with the connection before this one, once; 0 if its user gave it up.
    pub(crate) fn take_lost(&mut self) -> usize {
        std::mem::take(&mut self.lost)
    }

    pub(crate) fn client(&self) -> Option<&Arc<CircleWsClient>> {
        match &self.link {
            Link::On(link) => Some(&link.0),
            _ => None,
        }
    }

    pub(crate) fn description(&self) -> Option<&Description> {
        match &self.link {
            Link::On(link) => Some(&link.1),
            _ => None,
        }
    }

    /// Whether what is typed can be played.
    pub(crate) fn is_ready(&self) -> bool {
        let is_open =
            self.description().is_some_and(|description| description.access == protocol::methods::Access::Open);
        is_open || matches!(self.who, Who::Key(_) | Who::Owner)
    }

    /// The key of the keystore that was proved.
    pub(crate) fn proved(&self) -> Option<&KeyName> {
        match &self.who {
            Who::Key(name) => Some(name),
            _ => None,
        }
    }

    /// Whether something is to be done before the next input can be.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_at_work() || !self.is_ready()
    }

    /// Whether a play runs, or something else that the next one waits for.
    pub(crate) fn is_at_work(&self) -> bool {
        self.running.is_some() || self.pending.is_some()
    }

    /// Whether an input cannot be carried out now. What depends on what the session holds waits for the play before it.
    pub(crate) fn has_to_wait(&self, input: &str) -> bool {
        match input.trim().strip_prefix(':').map(Meta::parse) {
            Some(Err(_) | Ok(Meta::Help(_) | Meta::Quit | Meta::Use(_) | Meta::Edit)) => false,
            Some(Ok(Meta::History(_) | Meta::Last | Meta::Save { .. })) => false,
            Some(Ok(Meta::Time(script) | Meta::Plot(script))) if script.is_empty() => false,
            // It may be what makes the circle ready for the others.
            Some(Ok(Meta::Key(_))) => self.is_at_work(),
            Some(Ok(Meta::Who | Meta::Doc(_))) => self.pending.is_some() || !self.is_ready(),
            Some(Ok(_)) | None => self.is_busy(),
        }
    }

    /// Whether what is typed will be played, now or once the circle is ready for it.
    pub(crate) fn takes_input(&self) -> bool {
        self.is_ready() || self.is_wanted && self.description().is_none() || self.who == Who::Proving
    }

    pub(crate) fn standing(&self) -> Standing {
        match (&self.link, &self.who) {
            (Link::Off, _) => Standing::None,
            (Link::Connecting, _) | (_, Who::Proving) => Standing::Connecting,
            _ if self.running.is_some() => Standing::Running,
            (Link::On(_), Who::Nobody) => Standing::Connected,
            (Link::On(_), _) => Standing::Proved,
        }
    }

    pub(crate) fn next_play(&mut self) -> PlayNumber {
        self.plays += 1;
        PlayNumber(self.plays)
    }

    pub(crate) fn run(
        &mut self,
        number: PlayNumber,
        script: String,
        purpose: Purpose,
        cancel: Arc<Notify>,
        now: Instant,
    ) {
        if !matches!(purpose, Purpose::Each(_)) {
            self.notebook.begin(&script);
        }
        self.running = Some(Running { number, script, purpose, started: now, progress: None, cancel, cancelled: None });
    }

    /// The running play, if it is that one.
    pub(crate) fn running(&mut self, number: PlayNumber) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.number == number)
    }

    /// Has an input wait for the running play; false if too many do.
    pub(crate) fn wait(&mut self, input: String) -> bool {
        let has_room = self.waiting.len() + self.editor.drafts() < MAX_WAITING;
        if has_room {
            self.waiting.push_back(input);
        }
        has_room
    }

    pub(crate) fn next_waiting(&mut self) -> Option<String> {
        self.waiting.pop_front()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Puts what waits back into the editor: it is not to be played, and not lost.
    pub(crate) fn take_back(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.editor.give_back(self.waiting.drain(..));
        let inputs = self.editor.drafts() + 1;
        if inputs > 1 {
            self.note(&format!("{inputs} inputs are given back: Enter plays the first, and then the next is there"));
        }
    }

    /// Puts what waits back into the editor, where it is another session that would play it.
    pub(crate) fn give_back_unplayed(&mut self) {
        if !self.waiting.is_empty() {
            self.note("what was typed was not played: Enter plays it in the fresh session");
            self.take_back();
        }
    }

    /// Has the running play end; a second time, no longer waits for its end.
    pub(crate) fn cancel(&mut self, now: Instant) -> Option<Cancelled> {
        if let Some(Pending::Load(_) | Pending::Each { .. }) = self.pending {
            self.pending = None;
            self.take_back();
            return Some(Cancelled::NotBegun);
        }
        let running = self.running.as_mut()?;
        if running.cancelled.is_some_and(|before| now.saturating_duration_since(before) < GIVE_UP) {
            self.running = None;
            self.take_back();
            return Some(Cancelled::GivenUp);
        }
        running.cancelled = Some(now);
        running.cancel.notify_one();
        self.take_back();
        Some(Cancelled::Asked)
    }

    /// Says something of its own in the transcript.
    pub(crate) fn note(&mut self, text: &str) {
        self.transcript.push(Line::of(Style::Dim, text));
    }

    /// `sandbox ⚿ alice`
    pub(crate) fn title(&self) -> String {
        match (&self.link, &self.who) {
            (Link::Off, _) => format!("{} (not connected)", self.name),
            (Link::Connecting, _) => format!("{} (connecting…)", self.name),
            (_, Who::Proving) => format!("{} (proving the key…)", self.name),
            (_, Who::Key(key)) => format!("{} ⚿ {key}", self.name),
            (_, Who::Nobody | Who::Owner) => self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a session that is connected to nothing, and in one whose circle makes a fresh environment.
    #[test]
    fn what_needs_no_play_never_waits() {
        let mut session = Session::new("team".into());
        let at_once =
            [":help", ":hlep", ":quit", ":use lab", ":edit", ":history a", ":last", ":save x", ":time", ":plot"];
        let waiting =
            ["1 + 1", ":time 1", ":plot [1]", ":load x", ":each a 1", ":vars", ":functions", ":reset", ":who"];
        assert!(at_once.iter().all(|input| !session.has_to_wait(input)));
        assert!(waiting.iter().all(|input| session.has_to_wait(input)));
        // What a key makes possible does not hold the key up.
        assert!(!session.has_to_wait(":key alice"));
        session.pending = Some(Pending::Reset);
        assert!(at_once.iter().all(|input| !session.has_to_wait(input)));
        assert!(session.has_to_wait(":key alice"));
    }
}
