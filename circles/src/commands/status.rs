//! `circles status [--watch] [NAME…]`: show the status of circles.

mod screen;
mod store_problem;
mod table;
mod watch;

pub(crate) use store_problem::StoreProblem;
pub(crate) use table::is_full_sandbox;

use std::io::{IsTerminal, stdout};

use launcher::{
    CircleState, Statuses,
    control::{ControlClient, ControlError, Status},
    supervisor_files::SupervisorFiles,
};
use protocol::methods::NoParams;

use crate::cli::StatusArgs;
use frontend::{
    config,
    error::CliError,
    suggest,
    supervisor::{self, unsupervised},
    visible::visible,
};
use terminal::output::{self, Paint, to_stdout};

/// The exit code if a named circle is not ready.
const NOT_READY: u8 = 3;

pub(crate) fn run(args: &StatusArgs) -> Result<(), CliError> {
    let mut source = StatusSource::of(args)?;
    if args.watch {
        return watch::run(source, args.json);
    }
    let statuses = terminal::runtime::client_runtime()?.block_on(source.fetch())?;
    to_stdout(&format_statuses(&statuses, args.json))?;
    let is_ready = statuses.circles.iter().all(|circle| circle.state == CircleState::Ready);
    // Scripts name circles to check that they are up.
    if args.names.is_empty() || is_ready { Ok(()) } else { Err(CliError::AlreadyReported { exit_code: NOT_READY }) }
}

/// Returns the error for a name that is none of the circles.
pub(super) fn no_such_circle(unknown: &str, statuses: &Statuses) -> CliError {
    let fix = match suggest::nearest(unknown, statuses.circles.iter().map(|circle| circle.name.as_str())) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "list the circles: circles status".into(),
    };
    CliError::usage(format!("there is no circle '{}'", visible(unknown)), "", fix)
}

/// Formats statuses as text for stdout, or as JSON.
fn format_statuses(statuses: &Statuses, is_json: bool) -> String {
    if is_json {
        let mut all = serde_json::json!({ "circles": statuses.circles });
        if let Some(refused) = &statuses.refused {
            all["refused"] = refused.as_str().into();
        }
        let text = all.to_string();
        return format!("{}\n", if stdout().is_terminal() { visible(&text) } else { text.into() });
    }
    let paint = Paint::for_stdout();
    let width = output::stdout_size().map_or(usize::MAX, |(columns, _)| columns);
    table::lines(statuses, width).iter().map(|line| paint.line(line) + "\n").collect()
}

/// Source of statuses: the supervisor if one runs, otherwise locks and ports.
struct StatusSource<'a> {
    args: &'a StatusArgs,
    files: SupervisorFiles,
    client: Option<ControlClient>,
}

impl<'a> StatusSource<'a> {
    fn of(args: &'a StatusArgs) -> Result<Self, CliError> {
        Ok(Self { args, files: supervisor::place(args.config.path())?, client: None })
    }

    /// Fetches the current status of the requested circles.
    async fn fetch(&mut self) -> Result<Statuses, CliError> {
        let mut statuses = match self.query_supervisor().await.map_err(supervisor::control_error)? {
            Some(statuses) => statuses,
            None => Statuses {
                circles: {
                    let circles = config::load(self.args.config.path())?.1;
                    circles.iter().map(|circle| unsupervised::status(&self.files, circle)).collect()
                },
                is_ending: false,
                refused: None,
            },
        };
        let names = &self.args.names;
        let known: Vec<&str> = statuses.circles.iter().map(|circle| circle.name.as_str()).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(no_such_circle(unknown, &statuses));
        }
        statuses.circles.retain(|circle| names.is_empty() || names.contains(&circle.name));
        Ok(statuses)
    }

    /// Queries the supervisor; `None` if none runs.
    async fn query_supervisor(&mut self) -> Result<Option<Statuses>, ControlError> {
        if let Some(mut client) = self.client.take() {
            match client.call::<Status>(&NoParams {}, supervisor::CONTROL_TIMEOUT).await {
                Ok(statuses) => {
                    self.client = Some(client);
                    return Ok(Some(statuses));
                }
                // Another supervisor may have replaced the one of the last query.
                Err(ControlError::Disconnected) => {}
                Err(error) => return Err(error),
            }
        }
        match supervisor::connect_with_status(&self.files).await {
            Ok(found) => Ok(found.map(|(client, statuses)| {
                self.client = Some(client);
                statuses
            })),
            Err(ControlError::Disconnected) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
