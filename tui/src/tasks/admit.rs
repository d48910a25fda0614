//! Tasks that change circles.json: making it, adding a member.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use frontend::{
    error::CliError,
    init, members,
    supervisor::{self, CONTROL_TIMEOUT},
};
use keys::PublicKey;
use launcher::{
    CircleChange, MemberChange, MemberIdentity, ReloadAction,
    control::{ControlError, Diff},
    supervisor_files::SupervisorFiles,
};
use protocol::methods::NoParams;

use super::{SupervisorRef, Tasks};
use crate::{
    circle_id::CircleId,
    event::{Admission, AppEvent},
};

/// Interval of asking whether a circle has the change of its members.
const APPLY_INTERVAL: Duration = Duration::from_millis(200);

/// Timeout for a circle to apply the change of its members.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

impl Tasks {
    /// Writes a first circles.json.
    pub(crate) fn make_config(&self, path: PathBuf, member: Option<PublicKey>) {
        #[cfg(test)]
        self.record(format!("init {}", path.display()));
        self.spawn_blocking(move || init::write(&path, false, member.as_ref()), AppEvent::ConfigMade);
    }

    /// Adds a key to the members of a circle in circles.json, and waits until the circle has the change.
    pub(crate) fn admit(
        &self,
        supervisor: SupervisorRef,
        id: CircleId,
        file: PathBuf,
        circle: String,
        key: (String, PublicKey),
    ) {
        #[cfg(test)]
        self.record(format!("admit {circle} {}", key.0));
        let tasks = self.clone();
        self.spawn(async move {
            let (name, key) = key;
            let added = {
                let circle = circle.clone();
                // A circle with roles needs a role, too: the error says how to give one.
                let identity = MemberIdentity { name: members::suggest_name(&name), role: None };
                tokio::task::spawn_blocking(move || members::add(&file, &circle, &key, &identity))
            };
            let Ok(added) = added.await else { return };
            let admission = match added {
                Ok(change) => Ok(Admission {
                    key: name,
                    is_new: change == MemberChange::Added,
                    is_in_effect: is_applied(&supervisor, &circle).await,
                }),
                Err(error) => Err(error),
            };
            tasks.post(AppEvent::Admitted(id, admission)).await;
        });
    }
}

/// Waits until a running circle has its configuration in circles.json. Returns false if it is down or does not apply
/// the change in time.
async fn is_applied(supervisor: &SupervisorRef, circle: &str) -> bool {
    let Ok(files) = supervisor.files().await else { return false };
    let started = Instant::now();
    while started.elapsed() < APPLY_TIMEOUT {
        match change_of(&files, circle).await {
            Ok(Some(ReloadAction::Nothing)) => return true,
            Ok(Some(ReloadAction::Change)) => tokio::time::sleep(APPLY_INTERVAL).await,
            _ => return false,
        }
    }
    false
}

/// Returns what a reload would do with a circle; `None` without a supervisor.
async fn change_of(files: &SupervisorFiles, circle: &str) -> Result<Option<ReloadAction>, CliError> {
    let changes = async {
        let Some((mut client, _)) = supervisor::connect_with_status(files).await? else { return Ok(Vec::new()) };
        Ok(client.call::<Diff>(&NoParams {}, CONTROL_TIMEOUT).await?.changes)
    };
    let changes: Vec<CircleChange> = changes.await.map_err(|error: ControlError| supervisor::control_error(error))?;
    Ok(changes.into_iter().find(|change| change.name == circle).map(|change| change.action))
}
