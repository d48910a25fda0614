//! What comes to the app: one enum, whoever it is from.

use std::{path::PathBuf, sync::Arc};

use client_ws::{CircleWsClient, ClientError, Description, PlayResult};
use keys::{
    KeyPair,
    keystore::{Entry, KeyName, Listing},
};
use launcher::{Circle, Statuses, place::Place};
use protocol::methods::{Output, Progress};
use ratatui::crossterm::event::Event;

use super::id::{CircleId, Connection, PlayNumber};
use console::{commands::Meta, completion::Completion};
use frontend::{error::CliError, text::Line};

/// Something that the app is to know. Everything that happens elsewhere comes as one of these.
#[derive(Debug)]
pub struct Message(pub(crate) News);

impl Message {
    /// Something that the terminal says.
    pub fn terminal(event: Event) -> Self {
        Self(News::Terminal(event))
    }

    /// The end is wanted, with this exit code.
    pub(crate) fn end(code: u8) -> Self {
        Self(News::End(code))
    }
}

/// Who says what.
#[derive(Debug)]
pub(crate) enum News {
    /// A key press, a paste, a new size.
    Terminal(Event),
    /// A moment has passed: what is shown of time is no longer true.
    Tick,
    /// Something small went wrong elsewhere.
    Complaint(String),
    /// A signal wants the process to end, with this exit code.
    End(u8),
    /// The circles of circles.json; `None` if there is no such file.
    Configured(Result<Option<(PathBuf, Vec<Circle>)>, CliError>),
    /// What is in the keystore.
    Listed(Result<Listing, CliError>),
    /// A key was made, and is unlocked.
    Made(Result<(Entry, Arc<KeyPair>), CliError>),
    /// Where a circle is that was named, and the one that was shown then, if it was named in a command.
    Resolved(Option<CircleId>, Result<String, CliError>),
    /// What came of the wish to have what was played on a circle in a file.
    Saved(CircleId, Result<String, CliError>),
    /// A key was unlocked, or was not.
    Unlocked(KeyName, Result<Arc<KeyPair>, CliError>),
    /// Something about a circle as such.
    Circle(CircleId, CircleNews),
    /// Where the supervisor of circles.json, its sockets and its logs are.
    Placed(Place),
    /// How that supervisor is.
    Supervisor(Supervision),
    /// What came of the wish to have those circles up.
    Ordered(Vec<CircleId>, Result<Statuses, CliError>),
    /// What came of the wish to have circles stopped.
    Stopped(Result<(), CliError>),
    /// What came of the wish to have those stopped that were started here, and the supervisor with them.
    Released(Result<(), CliError>),
    /// Something about this user's session on a circle, and which connection of that session it is about.
    Session(CircleId, Connection, SessionNews),
}

/// What listens at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listening {
    Nothing,
    /// It answers as a circle does.
    Circle,
    /// It answers as a circle does that is ending.
    Draining,
    Other,
}

/// How the supervisor of circles.json is.
#[derive(Debug)]
pub(crate) enum Supervision {
    /// There is none.
    Absent,
    /// It says that its circles are so.
    Present(Statuses),
    /// It cannot be asked, or does not answer.
    Silent(CliError),
}

#[derive(Debug)]
pub(crate) enum CircleNews {
    /// What takes connections there.
    Probed(Listening),
    /// It has logged that.
    Logged(Vec<String>),
}

#[derive(Debug)]
pub(crate) enum SessionNews {
    Connected(Result<Box<(Arc<CircleWsClient>, Description)>, CliError>),
    /// The key was proved, or was not admitted. `None` for the key that a throw-away circle is for.
    Proved(Option<KeyName>, Result<(), CliError>),
    Output(PlayNumber, Output),
    Progress(PlayNumber, Progress),
    Ended(PlayNumber, Result<PlayResult, ClientError>),
    /// Inputs of earlier days.
    History(Vec<String>),
    Completed(Completion),
    /// What the circle answered to a command.
    Answered(Meta, Result<Vec<Line>, ClientError>),
    /// A file that is to be played.
    Loaded(PlayNumber, Result<String, CliError>),
    /// What one of several circles prints.
    EachOutput(PlayNumber, usize, Output),
    /// How the play ended on each of several circles.
    EachEnded(PlayNumber, Vec<Option<Result<PlayResult, ClientError>>>),
}
