//! Details of the selected circle.

use launcher::{CircleStatus, StoreState, StoreStatus, WorkerMachineStatus, WorkerPoolState, WorkerPoolStatus};
use ratatui::crossterm::event::{Event, KeyCode::Down};

use super::rig::{Rig, status};

fn busy(plays: u64) -> CircleStatus {
    CircleStatus {
        plays: Some(plays),
        memory_bytes: Some(41 << 20),
        sandbox: Some(vec!["syscalls".into(), "memory".into()]),
        identity: Some("02d5aa84".into()),
        store: Some(StoreStatus { bytes: 12 << 20, max_bytes: 1 << 30, ..StoreStatus::default() }),
        ..status("lab", "ready", Some(7))
    }
}

#[tokio::test(start_paused = true)]
async fn details_stand_under_the_list_or_in_a_column_of_their_own() {
    let mut rig = Rig::start().await;
    rig.key(Down).await;
    rig.report(&[busy(0), status("team", "ready", Some(8))]).await;
    rig.report(&[busy(7), status("team", "ready", Some(8))]).await;
    rig.event(Event::Resize(110, 32)).await;
    rig.shows("open · 3 connected");
    rig.shows("· 41 MiB");
    rig.shows_not("isolation");
    rig.event(Event::Resize(200, 60)).await;
    rig.shows("store       12 MiB of 1.0 GiB");
    for text in
        ["isolation   sandbox syscalls, memory", "identity    02d5…84", "memory      41 MiB", "connections 3", "plays"]
    {
        rig.shows(text);
    }
    let mut full = busy(8);
    full.store.as_mut().expect("a store").state = StoreState::Full;
    rig.report(&[full, status("team", "ready", Some(8))]).await;
    rig.shows("store       full, 12 MiB of 1.0 GiB");
    // A circle without a supervisor has none of these.
    rig.key(ratatui::crossterm::event::KeyCode::Up).await;
    rig.shows("a circle of this screen, only for");
    rig.shows_not("isolation");
    for height in 1..40 {
        rig.event(Event::Resize(160, height)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn worker_pool_has_a_fact_and_details() {
    let mut rig = Rig::start().await;
    rig.key(Down).await;
    let machine = |name: &str, build: &str| WorkerMachineStatus {
        name: name.into(),
        version: "0.1.0".into(),
        build: build.into(),
        places: 16,
        used: 5,
        ..WorkerMachineStatus::default()
    };
    let mut pool = WorkerPoolStatus {
        machines: 1,
        other_builds: 1,
        places: 16,
        used: 5,
        placements: 12,
        placement_p50_us: Some(1_234),
        build: "b1".into(),
        list: vec![machine("m1", "b1"), machine("old", "b0")],
        ..WorkerPoolStatus::default()
    };
    let with = |pool: &WorkerPoolStatus| CircleStatus { worker_pool: Some(Box::new(pool.clone())), ..busy(1) };
    rig.report(&[with(&pool), status("team", "ready", Some(8))]).await;
    rig.event(Event::Resize(110, 32)).await;
    rig.shows("1 machine, 5/16 used");
    rig.event(Event::Resize(200, 60)).await;
    for text in [
        "machines    1 machine, 5/16 used",
        "placements  12 workers placed",
        " m1         5 of 16 places",
        " old        5 of 16 places",
        "problem     1 worker machine",
    ] {
        rig.shows(text);
    }
    (pool.machines, pool.other_builds, pool.state) = (0, 0, WorkerPoolState::NoMachine);
    pool.list.clear();
    rig.report(&[with(&pool), status("team", "ready", Some(8))]).await;
    rig.shows("machines    no worker machine");
    rig.shows("problem     no worker machine");
}
