use serde_json::json;

use super::*;

#[test]
fn store_that_has_failed_is_an_error_and_a_full_one_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("circles.json");
    std::fs::write(&path, json!({ "circles": [{ "name": "shop", "port": 9001 }] }).to_string()).expect("written");
    let circle = launcher::load(&path).expect("a configuration").remove(0);
    let answer = CircleProbe::Circle {
        name: "shop".to_owned(),
        access: circle.access,
        sandbox: ["process", "memory", "syscalls"].map(str::to_owned).to_vec(),
    };
    let findings = |state: &str| {
        let store = json!({ "state": state, "bytes": 3 << 20, "max_bytes": 4 << 20, "file_bytes": 8 << 20 });
        let status = json!({ "name": "shop", "url": circle.url(), "state": "ready", "restarts": 0,
            "access": circle.access, "store": store });
        let statuses = Statuses {
            circles: vec![serde_json::from_value(status).expect("a status")],
            is_ending: false,
            refused: None,
        };
        let commands = CommandHints { suffix: String::new() };
        let found = circle_findings(&circle, &SupervisorInfo::Running(statuses), &answer, &commands);
        found.iter().map(|finding| (finding.level, finding.as_json())).collect::<Vec<_>>()
    };
    assert_eq!(findings("ok").len(), 1);
    let [_, (level, failed)] = &findings("failed")[..] else { panic!("{:?}", findings("failed")) };
    assert_eq!(*level, Severity::Error(NOT_UP_EXIT_CODE));
    assert_eq!(failed["what"], "shop: the store has failed");
    assert_eq!(failed["fix"], "check the disk, then restart the circle: circles restart shop");
    let [_, (level, full)] = &findings("full")[..] else { panic!("{:?}", findings("full")) };
    assert_eq!(*level, Severity::Warning);
    assert_eq!(full["what"], "shop: the store is full (3.0 MiB of 4.0 MiB, in a file of 8.0 MiB)");
    assert_eq!(full["fix"], "delete entries, raise store_mib in circles.json, or free disk space");
}
