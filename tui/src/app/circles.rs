//! The circles that there are, what state they are in, and the pane that shows them.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use launcher::{Circle, Happened};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent},
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    action::Action,
    id::CircleId,
    list,
    message::{CircleNews, Listening},
    session::Standing,
    theme::Theme,
    work::{Probing, Supervised, Work},
};

/// A circle that the app knows.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub url: String,
    pub origin: Origin,
    pub state: State,
    /// Times that it was started again since it was started here.
    pub restarts: u32,
    probing: Option<Probing>,
    supervised: Option<Supervised>,
}

/// Where the app knows it from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Inside this process, for its user alone.
    Throwaway,
    /// From circles.json: it can be started here.
    Config(Box<Circle>),
    /// Someone gave its address.
    Address,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is known yet.
    Unknown,
    /// Nothing listens there.
    Down,
    /// A circle is there that was not started here.
    Elsewhere,
    /// Another program has its port.
    Taken,
    /// It was started here and is not ready yet.
    Starting,
    /// It was started here and takes connections.
    Up { since: Instant },
    /// It is draining.
    Stopping,
    /// It ended by itself; it is started again where there is a time for it.
    Failed { why: String, again_in: Option<Duration> },
}

impl Entry {
    /// Whether it was started here, and has not ended.
    pub(crate) fn is_ours(&self) -> bool {
        self.supervised.is_some() || self.state == State::Stopping
    }

    pub(crate) fn can_be_started(&self) -> bool {
        matches!(self.origin, Origin::Config(_))
            && self.supervised.is_none()
            && matches!(self.state, State::Unknown | State::Down | State::Failed { .. })
    }

    /// Whether it was started here and takes connections: one that was lost can be made again at once.
    pub(crate) fn is_back(&self) -> bool {
        matches!((&self.origin, &self.state), (Origin::Config(_), State::Up { .. }))
    }

    /// Whether it will take connections by itself, soon.
    pub(crate) fn is_coming(&self) -> bool {
        matches!(self.state, State::Starting | State::Stopping | State::Failed { again_in: Some(_), .. })
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down | State::Taken | State::Failed { .. })
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::Elsewhere)
    }

    /// A mark and a word or two, which say the same.
    fn shown(&self, now: Instant) -> (&'static str, String) {
        match &self.state {
            State::Unknown => ("·", String::new()),
            State::Down => ("○", "down".into()),
            State::Elsewhere => ("●", "up".into()),
            State::Taken => ("✗", "taken".into()),
            State::Starting => ("◐", "starting".into()),
            State::Up { since } => ("●", short(now.saturating_duration_since(*since))),
            State::Stopping => ("◑", "stopping".into()),
            State::Failed { again_in: Some(_), .. } => ("✗", format!("↻{}", self.restarts)),
            State::Failed { again_in: None, .. } => ("✗", "failed".into()),
        }
    }
}

/// The largest unit of a time: 12s, 5m, 2h, 3d.
pub(crate) fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[derive(Debug, Default)]
pub(crate) struct Circles {
    entries: Vec<Entry>,
    selected: usize,
}

impl Circles {
    pub(crate) fn get(&self, id: CircleId) -> Option<&Entry> {
        self.entries.get(id.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (CircleId, &Entry)> {
        self.entries.iter().enumerate().map(|(index, entry)| (CircleId(index), entry))
    }

    /// Whether how long a circle is up is told in seconds, or has just become minutes.
    pub(crate) fn shows_seconds(&self, now: Instant) -> bool {
        self.entries.iter().any(|entry| match (&entry.origin, &entry.state) {
            (Origin::Throwaway, _) => false,
            (_, State::Up { since }) => {
                let seconds = now.saturating_duration_since(*since).as_secs();
                seconds < 60 || seconds % 60 <= 1
            }
            _ => false,
        })
    }

    pub(crate) fn selected(&self) -> Option<CircleId> {
        (self.selected < self.entries.len()).then_some(CircleId(self.selected))
    }

    pub(crate) fn select(&mut self, id: CircleId) {
        self.selected = id.0;
    }

    pub(crate) fn add_throwaway(&mut self, name: &str, url: String, now: Instant) -> CircleId {
        self.add(name.to_owned(), url, Origin::Throwaway, State::Up { since: now })
    }

    /// A circle by its address; the one that is known already, if it is.
    pub(crate) fn add_address(&mut self, name: String, url: String) -> CircleId {
        match self.entries.iter().position(|entry| entry.url == url) {
            Some(index) => CircleId(index),
            None => self.add(name, url, Origin::Address, State::Unknown),
        }
    }

    fn add(&mut self, name: String, url: String, origin: Origin, state: State) -> CircleId {
        self.entries.push(Entry { name, url, origin, state, restarts: 0, probing: None, supervised: None });
        CircleId(self.entries.len() - 1)
    }

    /// Takes over what circles.json says now. A circle that is not in it any more stays, as one known by its address.
    pub(crate) fn configure(&mut self, circles: Vec<Circle>, work: &Work) {
        for entry in &mut self.entries {
            if let Origin::Config(circle) = &entry.origin
                && !circles.iter().any(|other| other.name == circle.name)
            {
                entry.origin = Origin::Address;
            }
        }
        for circle in circles {
            let known = self.entries.iter().position(|entry| {
                matches!(&entry.origin, Origin::Config(_) | Origin::Address) && entry.name == circle.name
            });
            let (name, url) = (circle.name.clone(), circle.url());
            let address = launcher::dialled(circle.address);
            let origin = Origin::Config(Box::new(circle));
            let id = if let Some(known) = known {
                let entry = &mut self.entries[known];
                let is_moved = entry.url != url;
                (entry.url, entry.origin) = (url, origin);
                if !is_moved && entry.probing.is_some() {
                    continue;
                }
                CircleId(known)
            } else {
                self.add(name, url, origin, State::Unknown)
            };
            // Port 0 is another one each time: nobody can look there.
            if address.port() != 0 {
                self.probe(id, address, work);
            }
        }
    }

    fn probe(&mut self, id: CircleId, address: SocketAddr, work: &Work) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.probing = Some(work.probe(id, address));
        }
    }

    /// Starts a circle of circles.json here; false if that cannot be.
    pub(crate) fn start(&mut self, id: CircleId, work: &Work, program: &std::path::Path) -> bool {
        let Some(entry) = self.entries.get_mut(id.0).filter(|entry| entry.can_be_started()) else { return false };
        let Origin::Config(circle) = &entry.origin else { return false };
        entry.restarts = 0;
        entry.state = State::Starting;
        entry.supervised = Some(work.supervise(id, (**circle).clone(), program.to_owned()));
        true
    }

    /// Drains a circle that was started here; false if it was not, or has ended.
    pub(crate) fn stop(&mut self, id: CircleId) -> bool {
        let Some(entry) = self.entries.get_mut(id.0).filter(|entry| entry.supervised.is_some()) else { return false };
        entry.state = State::Stopping;
        // Whatever is still told of it is told until it has ended.
        entry.supervised = None;
        true
    }

    /// A session of the user's is connected to it.
    pub(crate) fn seen(&mut self, id: CircleId) {
        if let Some(entry) = self.entries.get_mut(id.0).filter(|entry| matches!(entry.origin, Origin::Address)) {
            entry.state = State::Elsewhere;
        }
    }

    /// A session's connection to it is lost. Nobody looks at a circle that is known by its address alone.
    pub(crate) fn lost(&mut self, id: CircleId) {
        if let Some(entry) = self.entries.get_mut(id.0).filter(|entry| matches!(entry.origin, Origin::Address)) {
            entry.state = State::Unknown;
        }
    }

    /// What happened to it; a line about it, where it is worth one.
    pub(crate) fn digest(&mut self, id: CircleId, news: CircleNews, now: Instant) -> Option<String> {
        let entry = self.entries.get_mut(id.0)?;
        let is_stopping = entry.state == State::Stopping;
        match news {
            // What is supervised here is known better.
            CircleNews::Probed(_) if entry.supervised.is_some() || is_stopping => None,
            CircleNews::Probed(listening) => {
                match listening {
                    Listening::Circle => entry.state = State::Elsewhere,
                    // Why it failed is worth more.
                    _ if matches!(entry.state, State::Failed { .. }) => {}
                    Listening::Nothing => entry.state = State::Down,
                    Listening::Other => entry.state = State::Taken,
                }
                None
            }
            CircleNews::Supervised(Happened::Log(line) | Happened::Note(line)) => Some(line),
            CircleNews::Supervised(Happened::Ready) => {
                if !is_stopping {
                    entry.state = State::Up { since: now };
                }
                Some("ready".into())
            }
            CircleNews::Supervised(Happened::Ended { why, again_in }) => {
                let line = match again_in {
                    Some(wait) => format!("down: {why}; again in {:.1} s", wait.as_secs_f64()),
                    None => format!("down: {why}"),
                };
                if !is_stopping {
                    entry.restarts += u32::from(again_in.is_some());
                    entry.state = State::Failed { why, again_in };
                }
                Some(line)
            }
            CircleNews::Supervised(_) => None,
            CircleNews::Released => {
                entry.supervised = None;
                if !matches!(entry.state, State::Failed { .. }) {
                    entry.state = State::Down;
                }
                is_stopping.then(|| "stopped".into())
            }
        }
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Option<Action> {
        if let Some(selected) = list::moved(key.code, self.selected, self.entries.len()) {
            self.selected = selected;
            return None;
        }
        match key.code {
            KeyCode::Char('o') => Some(Action::AskAddress),
            KeyCode::Char('S') => Some(Action::StartAll),
            KeyCode::Char('n') => Some(Action::AskNewKey),
            code => {
                let id = self.selected()?;
                match code {
                    KeyCode::Enter => Some(Action::Connect(id)),
                    KeyCode::Char('s') => Some(Action::Start(id)),
                    KeyCode::Char('x') => Some(Action::AskStop(id)),
                    KeyCode::Char('r') => Some(Action::AskRestart(id)),
                    KeyCode::Char('a') => Some(Action::Authenticate(id)),
                    KeyCode::Char('d') => Some(Action::Disconnect(id)),
                    KeyCode::Char('y') => Some(Action::Copy(self.get(id)?.url.clone(), "the URL")),
                    _ => None,
                }
            }
        }
    }

    pub(crate) fn draw(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        theme: Theme,
        now: Instant,
        standing: impl Fn(CircleId) -> Standing,
    ) {
        let width = usize::from(area.width);
        let first = self.selected.saturating_sub(usize::from(area.height).saturating_sub(1));
        let rows: Vec<Line<'_>> = self
            .iter()
            .skip(first)
            .take(usize::from(area.height))
            .map(|(id, entry)| row(entry, id.0 == self.selected, standing(id), theme, now, width))
            .collect();
        frame.render_widget(Paragraph::new(rows), area);
    }
}

fn row<'a>(entry: &Entry, is_selected: bool, standing: Standing, theme: Theme, now: Instant, width: usize) -> Line<'a> {
    let (mark, word) = entry.shown(now);
    let style = match entry.state {
        State::Up { .. } | State::Elsewhere => theme.good(),
        State::Starting | State::Stopping => theme.warning(),
        State::Failed { .. } | State::Taken => theme.bad(),
        State::Unknown | State::Down => ratatui::style::Style::new().dim(),
    };
    let port = entry.url.rsplit(':').next().unwrap_or_default().trim_end_matches('/');
    let (end, room) = (standing.mark(), width.saturating_sub(5));
    let mut text = match &entry.origin {
        Origin::Throwaway => format!("{} throw-away", entry.name),
        // Its name is its address.
        Origin::Address => format!("{} {word}", entry.name),
        Origin::Config(_) => format!("{} {port} {word}", entry.name),
    };
    if text.chars().count() > room {
        text = text.chars().take(room).collect();
    }
    let padding = " ".repeat(room.saturating_sub(text.chars().count()));
    let line = Line::from(vec![
        Span::raw(if is_selected { "▸" } else { " " }),
        Span::styled(mark, style),
        Span::raw(format!(" {text}{padding} ")),
        Span::raw(end),
    ]);
    if is_selected { line.style(theme.selected()) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(circles: &mut Circles) -> CircleId {
        circles.add("lab".into(), "ws://127.0.0.1:9".into(), Origin::Address, State::Unknown)
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (90_000, "1d")] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn what_the_supervisor_says_is_what_is_shown() {
        let (mut circles, now) = (Circles::default(), Instant::now());
        let id = entry(&mut circles);
        circles.digest(id, CircleNews::Probed(Listening::Circle), now);
        assert!(circles.get(id).expect("there").is_up());
        circles.digest(id, CircleNews::Probed(Listening::Nothing), now);
        assert_eq!(circles.get(id).expect("there").state, State::Down);
        circles.digest(id, CircleNews::Supervised(Happened::Ready), now);
        assert_eq!(circles.get(id).expect("there").state, State::Up { since: now });
        let ended = |again_in| CircleNews::Supervised(Happened::Ended { why: "exit 1".into(), again_in });
        circles.digest(id, ended(Some(Duration::from_secs(1))), now);
        assert_eq!(circles.get(id).expect("there").shown(now), ("✗", "↻1".into()));
        let line = circles.digest(id, ended(None), now);
        assert_eq!(line.as_deref(), Some("down: exit 1"));
        circles.digest(id, CircleNews::Released, now);
        // Why it is down is not forgotten when it is seen to be down.
        circles.digest(id, CircleNews::Probed(Listening::Nothing), now);
        assert_eq!(circles.get(id).expect("there").shown(now), ("✗", "failed".into()));
    }

    #[test]
    fn a_name_of_any_length_fits() {
        let mut circles = Circles::default();
        circles.add("x".repeat(64), "ws://127.0.0.1:65535".into(), Origin::Address, State::Elsewhere);
        for width in 0..40 {
            let (entry, now) = (&circles.entries[0], Instant::now());
            let line = row(entry, true, Standing::Proved, Theme::new(false), now, width);
            assert!(line.width() <= width.max(6), "{width}: {line:?}");
        }
    }
}
