//! `circles check`: is circles.json right, and do its init scripts run.

use std::io::ErrorKind;

use protocol::methods::Access;
use server_ws::Circle;

use crate::{cli::CheckArgs, config, connect, error::CliError, printing::to_stdout, script};

pub(crate) fn run(args: &CheckArgs) -> Result<(), CliError> {
    let (path, circles) = config::load(&args.config)?;
    let runtime = connect::client_runtime()?;
    let width = circles.iter().map(|circle| circle.name.len()).max().unwrap_or_default();
    let mut failed = Vec::new();
    for circle in &circles {
        // One that cannot start hides nothing of the others.
        if let Err(error) = runtime.block_on(try_init(circle)) {
            error.report();
            failed.push(circle.name.as_str());
            continue;
        }
        let access = match circle.access {
            Access::Members => format!("members ({})", circle.members.len()),
            other => other.to_string(),
        };
        to_stdout(&format!("{:width$}  {}  {access}\n", circle.name, circle.url()))?;
    }
    if !failed.is_empty() {
        return Err(CliError::usage(format!("cannot start: {}", failed.join(", ")), "", "the errors above say why"));
    }
    Ok(to_stdout(&format!("{} is right\n", path.display()))?)
}

/// Runs the init script as the circle will, and starts nothing.
async fn try_init(circle: &launcher::Circle) -> Result<(), CliError> {
    let cannot = |why: String| CliError::usage(format!("the circle '{}' cannot start", circle.name), why, "");
    let mut builder = Circle::builder(&circle.name).limits(circle.limits.clone());
    if let Some(modules) = &circle.modules {
        builder = builder.modules(modules.canonicalize().map_err(|error| cannot(error.to_string()))?);
    }
    if let Some(file) = &circle.init {
        builder = builder.init(script::read_file(file)?);
    }
    let built = builder.build().map_err(|error| cannot(error.to_string()))?;
    server_ws::check(&built).await.map_err(|error| match (error.kind(), &circle.init) {
        (ErrorKind::InvalidData, Some(file)) => CliError::usage(
            format!("the circle '{}' cannot start", circle.name),
            error.to_string(),
            format!("mend {}", file.display()),
        ),
        _ => cannot(error.to_string()),
    })
}
