//! What becomes of an input: it waits, it is played or obeyed; and what comes of a play.

use std::time::Duration;

use client_ws::{ClientError, PlayResult, RpcError};
use protocol::methods::{Output, Stream};

use super::{
    App,
    id::{CircleId, PlayNumber},
    repl,
    session::{Link, Purpose},
};
use console::{history, notebook::costs_environment, plot, too_large, truncate, value};
use frontend::{error::CliError, text::{self, Line, Size, Style}};

impl App {
    pub(super) fn submit(&mut self) {
        let Some(id) = self.circles.selected() else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let input = session.editor.text();
        let is_off = matches!(session.link, Link::Off);
        if input.trim().is_empty() {
            if session.editor.drafts() > 0 {
                session.editor.next();
            }
            if is_off {
                self.connect(id);
            }
            return;
        }
        if let Some(why) = session.description().and_then(|circle| too_large(&circle.limits, &input)) {
            return self.complain(why);
        }
        if self.validator.is_incomplete(&input) {
            return session.editor.newline();
        }
        if session.has_to_wait(&input) {
            if !session.wait(input) {
                return self.say("too much waits already: Ctrl-C gives it back");
            }
            session.editor.take();
            if is_off {
                self.connect(id);
            }
            return;
        }
        session.editor.take();
        self.carry_out(id, input);
    }

    /// Plays an input or obeys it, in a session that can do so now.
    fn carry_out(&mut self, id: CircleId, input: String) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.transcript.follow();
        session.transcript.extend(repl::echo(&self.lexer, &session.name, &input));
        if let Some(history) = session.history.clone().filter(|_| history::is_kept(&input)) {
            self.keeper.keep(history, input.clone());
        }
        match input.trim().strip_prefix(':') {
            Some(command) => self.obey(id, command),
            None => self.play(id, input, Purpose::Value),
        }
    }

    /// What waited for the session to be no longer busy.
    pub(super) fn carry_on(&mut self, id: CircleId) {
        while let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.is_busy()) {
            // A lost connection is noticed by itself, and what waits is given back then.
            if !session.client().is_some_and(|client| client.is_connected()) {
                return;
            }
            let Some(next) = session.next_waiting() else { return };
            self.carry_out(id, next);
        }
    }

    pub(super) fn play(&mut self, id: CircleId, script: String, purpose: Purpose) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(client) = session.client().cloned() else { return };
        let number = session.next_play();
        let cancel = self.work.play((id, session.connection), number, client, script.clone());
        session.run(number, script, purpose, cancel, self.now);
    }

    pub(super) fn printed(&mut self, id: CircleId, number: PlayNumber, output: &Output) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.running(number).is_some() {
            session.notebook.printed(&output.text);
            session.transcript.extend(printed(output));
        }
    }

    pub(super) fn play_ended(&mut self, id: CircleId, number: PlayNumber, result: Result<PlayResult, ClientError>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(running) = session.running.take_if(|running| running.number == number) else { return };
        match result {
            Ok(result) => {
                session.last_elapsed = Some(Duration::from_micros(result.elapsed_us));
                let room = session.transcript.room();
                let drawn = matches!(running.purpose, Purpose::Plot).then(|| chart(&result, room));
                let lines = drawn.unwrap_or_else(|| truncate::folded(value::lines_of(&result, room.width), room));
                session.transcript.extend(lines);
                session.transcript.set_last(result.output.clone());
                session.notebook.ended(
                    &running.script,
                    result.into(),
                    self.now.saturating_duration_since(running.started),
                );
                if let Purpose::Time = running.purpose {
                    session.transcript.push(session.notebook.time());
                }
            }
            Err(ClientError::Rpc(RpcError::Cancelled)) if running.is_cancelled() => {
                session.notebook.went_wrong(&[], false);
                session.note("cancelled; the session and what it had done are kept");
            }
            Err(error) => {
                let Some(entry) = self.circles.get(id) else { return };
                let place = entry.destination(self.setup.config.as_deref());
                let is_lost = costs_environment(&error);
                let lines = CliError::answer(&running.script, &place, error).lines(session.transcript.width());
                let held = session.notebook.inputs();
                session.notebook.went_wrong(&lines, is_lost);
                session.transcript.set_last(text_of(&lines));
                session.transcript.extend(lines);
                if is_lost && held > 0 {
                    session.give_back_unplayed();
                }
            }
        }
        self.carry_on(id);
    }
}

/// A value as a chart, or why there is none.
pub(super) fn chart(result: &PlayResult, room: Size) -> Vec<Line> {
    let size = Size { height: room.height.min(plot::MAX_ROWS), ..room };
    plot::lines(result, size).unwrap_or_else(|wanted| text::lines(Style::Dim, &wanted))
}

pub(super) fn text_of(lines: &[Line]) -> String {
    lines.iter().map(Line::to_string).collect::<Vec<_>>().join("\n")
}

/// What a play prints, as lines: debugs with their place.
pub(super) fn printed(output: &Output) -> Vec<Line> {
    match output.stream {
        Stream::Print => text::lines(Style::Plain, &output.text),
        Stream::Debug => {
            let place = output.position.map_or(String::new(), |at| format!("[{}:{}] ", at.line, at.column));
            text::lines(Style::Dim, &format!("{place}{}", output.text))
        }
    }
}
