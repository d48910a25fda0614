//! `:each`: one script on several circles, answers side by side.

use client_ws::{ClientError, PlayResult, RpcError};
use protocol::methods::Output;

use super::{
    App,
    circles::{Entry, Origin},
    id::{CircleId, PlayNumber},
    plays::{printed, text_of},
    session::{Link, Pending, Purpose, Running, Session, Target, Who},
};
use console::{columns, notebook::costs_environment, too_large, truncate, value};
use frontend::{error::CliError, report, suggest, target, text::{Line, Size, Style}, visible::visible};

impl App {
    /// Plays on each of the circles, once those are connected to that can be without a question.
    pub(super) fn each(&mut self, id: CircleId, places: Vec<String>, script: String) {
        let mut targets: Vec<(CircleId, String)> = Vec::new();
        for place in places {
            match self.circle_at(&place) {
                Ok(target) if targets.iter().any(|(other, _)| *other == target) => {}
                Ok(target) => {
                    self.prepare(target);
                    targets.push((target, place));
                }
                Err(why) => self.tell_one(id, &place, &why),
            }
        }
        if let Some(session) = self.sessions.get_mut(&id).filter(|_| !targets.is_empty()) {
            session.pending = Some(Pending::Each { targets, script });
        }
        self.gather();
    }

    /// The circle that is meant. One that is named by its address is in the list from now on.
    fn circle_at(&mut self, place: &str) -> Result<CircleId, String> {
        if let Some(id) = self.circle_named(place) {
            return Ok(id);
        }
        if target::is_name(place) {
            let known = self.circles.iter().map(|(_, entry)| entry.name.as_str());
            let near = suggest::nearest(place, known).map_or(String::new(), |near| format!("; did you mean {near}?"));
            return Err(format!("there is no such circle here{near}"));
        }
        let found = target::parse(place, None).map_err(|error| error.advice())?;
        Ok(self.circles.add_address(found.url.into()))
    }

    /// Connects to a circle that is up as far as is known, if nobody is connected yet.
    fn prepare(&mut self, id: CircleId) {
        let Some(entry) = self.circles.get(id) else { return };
        if !entry.is_up() && entry.origin != Origin::Address {
            return;
        }
        let session = self.sessions.entry(id).or_insert_with(|| Session::new(entry.name.clone()));
        if let Link::Off = session.link {
            session.is_wanted = true;
            self.dial(id);
        }
    }

    /// Plays what was to be played on several circles, where all of them are as ready as they will be by themselves.
    pub(super) fn gather(&mut self) {
        let is_settled = |session: &Session| match &session.pending {
            Some(Pending::Each { targets, .. }) => !targets.iter().any(|(target, _)| self.is_coming(*target)),
            _ => false,
        };
        let settled = self.sessions.iter().filter(|(_, session)| is_settled(session)).map(|(id, _)| *id);
        for id in settled.collect::<Vec<_>>() {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let Some(Pending::Each { targets, script }) = session.pending.take() else { continue };
            let mut ready = Vec::new();
            for (target, place) in targets {
                match self.target(target, &place, &script) {
                    Ok(target) => ready.push(target),
                    // It keeps none of the others from it.
                    Err(why) => self.tell_one(id, &place, &why),
                }
            }
            if ready.is_empty() {
                self.carry_on(id);
            } else {
                self.play_on_each(id, ready, script);
            }
        }
    }

    /// Whether a connection is being made, or a key proved.
    fn is_coming(&self, id: CircleId) -> bool {
        let is_on_its_way = |session: &Session| matches!(session.link, Link::Connecting) || session.who == Who::Proving;
        self.sessions.get(&id).is_some_and(is_on_its_way) || self.proofs.values().any(|waiting| waiting.contains(&id))
    }

    /// A circle to play on; the error says what to do first.
    fn target(&self, id: CircleId, place: &str, script: &str) -> Result<Target, String> {
        let session = self.sessions.get(&id);
        let Some(ready) = session.filter(|session| session.is_ready()) else {
            let why = match session.map(|session| &session.link) {
                Some(Link::On(_)) => "it wants a key to be proved",
                _ if self.circles.get(id).is_some_and(Entry::is_down) => "it is down",
                _ => "it cannot be reached",
            };
            return Err(format!("{why}; connect to it first: :use {}", visible(place)));
        };
        if ready.is_at_work() {
            return Err("it is busy with a play".into());
        }
        if let Some(why) = ready.description().and_then(|circle| too_large(&circle.limits, script)) {
            return Err(why);
        }
        Ok(Target { id, connection: ready.connection, name: place.to_owned() })
    }

    fn tell_one(&mut self, id: CircleId, place: &str, why: &str) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.push_error(&format!("{}: {why}", visible(place)));
        }
    }

    /// Plays on several circles; what they say stands in the transcript of one.
    fn play_on_each(&mut self, id: CircleId, targets: Vec<Target>, script: String) {
        let client = |target: &Target| self.sessions.get(&target.id)?.client().cloned();
        let clients: Option<Vec<_>> = targets.iter().map(client).collect();
        let (Some(clients), Some(session)) = (clients, self.sessions.get_mut(&id)) else { return };
        let number = session.next_play();
        let cancel = self.work.play_on_each((id, session.connection), number, clients, script.clone());
        session.run(number, script, Purpose::Each(targets), cancel, self.now);
    }

    pub(super) fn one_printed(&mut self, id: CircleId, number: PlayNumber, index: usize, output: &Output) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(Running { purpose: Purpose::Each(targets), .. }) = session.running(number) else { return };
        let label = targets.get(index).map_or(String::new(), |target| format!("{} | ", target.name));
        let labelled = |line: Line| {
            let label = Line::of(Style::Dim, &label);
            line.pieces().iter().fold(label, |labelled, piece| labelled.with(piece.style, &piece.text))
        };
        session.transcript.extend(printed(output).into_iter().map(labelled));
    }

    pub(super) fn each_ended(
        &mut self,
        id: CircleId,
        number: PlayNumber,
        ends: Vec<Option<Result<PlayResult, ClientError>>>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(running) = session.running.take_if(|running| running.number == number) else { return };
        let is_cancelled = running.is_cancelled();
        let Purpose::Each(targets) = running.purpose else { return };
        let room = session.transcript.room();
        let columns = columns::columns(targets.len(), room.width).unwrap_or(room.width);
        let size = Size { width: columns, height: room.height.saturating_sub(1) };
        let round_trip = self.now.saturating_duration_since(running.started);
        let mut said = Vec::new();
        for (target, ended) in targets.into_iter().zip(ends) {
            let Some(entry) = self.circles.get(target.id) else { continue };
            let lines = match ended {
                Some(Ok(result)) => {
                    let lines = truncate::folded(value::lines_of(&result, columns), size);
                    // One that was connected to anew meanwhile holds nothing of it.
                    let session = self.sessions.get_mut(&target.id);
                    if let Some(session) = session.filter(|session| session.connection == target.connection) {
                        if session.running.is_none() {
                            session.notebook.begin(&running.script);
                        }
                        session.notebook.ended(&running.script, result.into(), round_trip);
                    }
                    lines
                }
                // As its user wanted it: no error.
                Some(Err(ClientError::Rpc(RpcError::Cancelled))) if is_cancelled => report::cancelled(),
                Some(Err(error)) => {
                    let is_lost = costs_environment(&error);
                    let place = entry.destination(self.setup.config.as_deref());
                    let lines = CliError::answer(&running.script, &place, error).lines(columns);
                    let session = self.sessions.get_mut(&target.id);
                    if let Some(session) = session.filter(|session| session.connection == target.connection) {
                        session.notebook.went_wrong(&lines, is_lost);
                    }
                    lines
                }
                None => report::given_up(),
            };
            said.push((target.name, lines));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            let lines = columns::lines(&said, room.width);
            session.transcript.set_last(text_of(&lines));
            session.transcript.extend(lines);
        }
        self.carry_on(id);
    }
}
