//! Reports circles that recover their stores while they start.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use launcher::{
    CircleStatus,
    control::{ControlClient, Status},
    supervisor_files::SupervisorFiles,
};
use protocol::methods::NoParams;

use super::CONTROL_TIMEOUT;

/// The interval of the reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Reports the circles that recover their stores, whenever they have made progress. Errors are left to the request that
/// waits for the circles.
pub(super) async fn report_recoveries(files: &SupervisorFiles, report: &impl Fn(&CircleStatus)) -> Infallible {
    let (mut client, mut reported) = (None, HashMap::new());
    loop {
        tokio::time::sleep(REPORT_INTERVAL).await;
        let connected = match client.take() {
            Some(client) => Some(client),
            None => ControlClient::connect(files).await.ok().flatten(),
        };
        let Some(mut connected) = connected else { continue };
        let Ok(statuses) = connected.call::<Status>(&NoParams {}, CONTROL_TIMEOUT).await else { continue };
        client = Some(connected);
        for circle in &statuses.circles {
            if let Some(percent) = circle.recovered_percent
                && reported.insert(circle.name.clone(), percent) != Some(percent)
            {
                report(circle);
            }
        }
    }
}
