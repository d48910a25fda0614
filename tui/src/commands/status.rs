//! `circles status`: how the circles of circles.json are.

use std::time::Duration;

use launcher::{
    CircleStatus, State,
    control::{Client, ControlError, Status},
};
use protocol::methods::NoParams;

use crate::{
    cli::StatusArgs,
    config, connect,
    error::CliError,
    printing::{Paint, to_stdout},
    supervisor,
    visible::visible,
};

pub(crate) fn run(args: &StatusArgs) -> Result<(), CliError> {
    let place = supervisor::place(&args.config)?;
    let asked = connect::client_runtime()?.block_on(async {
        let Some(mut client) = Client::connect(&place).await? else { return Ok(None) };
        client.call::<Status>(&NoParams {}, supervisor::PATIENCE).await.map(Some)
    });
    let known = match asked {
        Err(ControlError::Lost) => None,
        other => other.map_err(supervisor::failed)?,
    };
    let (circles, refused) = match known {
        Some(statuses) => (statuses.circles, statuses.refused),
        // Without a supervisor they are all down.
        None => (config::load(&args.config)?.1.into_iter().map(down).collect(), None),
    };
    if args.json {
        let mut all = serde_json::json!({ "circles": circles });
        if let Some(refused) = refused {
            all["refused"] = refused.into();
        }
        return Ok(to_stdout(&format!("{all}\n"))?);
    }
    let mut text = table(&circles);
    if let Some(refused) = refused {
        text += &format!("circles.json is not taken over: {}\n", visible(&refused));
    }
    Ok(to_stdout(&text)?)
}

fn down(circle: launcher::Circle) -> CircleStatus {
    CircleStatus {
        url: circle.url(),
        name: circle.name,
        state: State::Down,
        pid: None,
        restarts: 0,
        uptime_s: None,
        access: circle.access,
        connections: None,
        why: None,
        refused: None,
    }
}

fn table(circles: &[CircleStatus]) -> String {
    let paint = Paint::for_stdout();
    let titles = ["NAME", "STATE", "URL", "ACCESS", "PID", "UP", "RESTARTS", "CONNECTIONS"].map(str::to_owned);
    let rows: Vec<[String; 8]> = circles.iter().map(row).collect();
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| rows.iter().chain([&titles]).map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let line = |row: &[String; 8]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut text = paint.dim(&line(&titles)) + "\n";
    for (circle, row) in circles.iter().zip(&rows) {
        text += &(line(row) + "\n");
        if let Some(why) = &circle.why {
            text += &format!("  {}\n", visible(why));
        }
        if let Some(refused) = &circle.refused {
            text += &format!("  not as circles.json has it: {}\n", visible(refused));
        }
    }
    text
}

fn row(circle: &CircleStatus) -> [String; 8] {
    let up = circle.uptime_s.map(|seconds| humantime::format_duration(Duration::from_secs(seconds)).to_string());
    [
        circle.name.clone(),
        circle.state.to_string(),
        circle.url.clone(),
        circle.access.to_string(),
        circle.pid.map_or("-".into(), |pid| pid.to_string()),
        up.unwrap_or_else(|| "-".into()),
        circle.restarts.to_string(),
        circle.connections.map_or("-".into(), |connections| connections.to_string()),
    ]
}
