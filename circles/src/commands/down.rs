//! `circles down [NAME…]`: drain circles, and wait until they have ended.

use std::time::Duration;

use launcher::{
    control::{CircleNames, ControlError, Down},
    supervisor_files::SupervisorFilesError,
};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process},
};

use crate::{cli::DownArgs, commands::status::no_such_circle};
use frontend::{
    config,
    error::{CliError, os_error_text},
    supervisor::{self, unsupervised},
};
use terminal::output::to_stdout;

/// Longest wait for circles to end. The supervisor kills a circle that does not drain long before that.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) fn run(args: &DownArgs) -> Result<(), CliError> {
    let files = supervisor::place(args.config.path())?;
    let runtime = terminal::runtime::client_runtime()?;
    let names = (!args.names.is_empty()).then(|| args.names.clone());
    let is_all = names.is_none();
    let ended = runtime.block_on(async {
        let Some((mut client, known)) = supervisor::connect_with_status(&files).await? else { return Ok(None) };
        let unknown = args.names.iter().find(|name| !known.circles.iter().any(|circle| circle.name == **name));
        if let Some(unknown) = unknown {
            return Ok(Some(Err(no_such_circle(unknown, &known))));
        }
        let statuses = client.call::<Down>(&CircleNames { names }, STOP_TIMEOUT).await?;
        if is_all {
            client.wait_until_closed().await;
        }
        Ok(Some(Ok(statuses.circles)))
    });
    let ended = match ended {
        // The supervisor was shutting down.
        Err(ControlError::Disconnected) => None,
        // The supervisor accepts no requests, but it can be signalled.
        Err(ControlError::Place(SupervisorFilesError::Unreachable { pid, .. })) if is_all => {
            terminate_supervisor(pid)?;
            None
        }
        other => other.map_err(supervisor::control_error)?,
    };
    let mut strays = Vec::new();
    if is_all {
        supervisor::wait_for_end(&runtime, &files)?;
    }
    if ended.is_none() {
        // Nothing is left to do, but an unknown name is still an error. Without names no circles.json is needed.
        let circles = match config::circles(args.config.path(), &args.names) {
            Err(_) if is_all => Vec::new(),
            circles => circles?,
        };
        unsupervised::wait_for_end(&files, &circles)?;
        strays.extend(unsupervised::stray_process_notes(&circles));
    }
    let names = ended.unwrap_or(Ok(Vec::new()))?;
    if names.is_empty() {
        to_stdout("nothing is up\n")?;
    }
    for stray in strays {
        to_stdout(&format!("{stray}\n"))?;
    }
    for circle in names {
        to_stdout(&format!("{}  {}\n", circle.name, circle.state))?;
    }
    Ok(())
}

/// Signals a supervisor that accepts no requests to drain its circles and end.
fn terminate_supervisor(pid: Option<u32>) -> Result<(), CliError> {
    let Some(pid) = pid else {
        let why = "it does not respond, and its process is unknown";
        let fix = "if it runs in another container, run there: circles down";
        return Err(CliError::supervisor("cannot end the supervisor", why, fix));
    };
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let ended = process.ok_or(Errno::SRCH).and_then(|process| kill_process(process, Signal::TERM));
    match ended {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => {
            let fix = format!("end it yourself: kill {pid}");
            Err(CliError::supervisor("cannot end the supervisor", os_error_text(&error.into()), fix))
        }
    }
}
