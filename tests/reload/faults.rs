//! Faults of a reload, which change nothing.

use std::fs;

use super::*;

#[test]
fn invalid_config_changes_nothing_and_recovers() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    here.run_ok(&["up"]);
    let (a, b) = (here.pid("a"), here.pid("b"));
    here.configure(&of(&[A, r#"{ "name": "c", "port": 0, "acess": "open" }"#]));
    for verb in ["reload", "diff"] {
        let ran = here.run(&[verb]);
        assert!(ran.code == Some(2) && ran.stderr.contains("circles.json:3:"), "{ran:?}");
        assert!(ran.stderr.contains("did you mean `access`?"), "{ran:?}");
    }
    let refused = here.statuses()["refused"].as_str().expect("it is refused").to_owned();
    assert!(refused.contains("circles.json:3:"), "{refused}");
    let table = here.run_ok(&["status"]);
    assert!(
        table.contains("circles.json has an error; still using the previous version: ") && table.contains(&refused),
        "{table}"
    );
    assert_eq!((here.pid("a"), here.pid("b")), (a, b));
    here.wait_until_logged("still using the previous version: ", 0);
    here.configure(&of(&[A, B, C]));
    here.until("it heals by itself", |all| all.get("refused").is_none() && all["circles"][2]["state"] == "ready");
    assert_eq!((here.pid("a"), here.pid("b")), (a, b));
    assert!(here.run_ok(&["logs"]).contains("(supervisor) | "));
}

#[test]
fn invalid_config_is_reported_by_status_and_log() {
    let here = BackgroundCircles::start(&of(&[A]));
    here.run_ok(&["up"]);
    let before = here.pid("a");
    here.configure("{ \"circles\": [\n");
    here.until("the refusal is reported", |all| all.get("refused").is_some());
    here.wait_until_logged("still using the previous version: ", 0);
    assert_eq!(here.pid("a"), before);
}

/// Whatever replaces circles.json, running circles are not affected.
#[test]
fn unreadable_config_changes_nothing() {
    let here = BackgroundCircles::start(&of(&[A, B]));
    let path = here.home.path().join("circles.json");
    here.run_ok(&["up"]);
    let (a, b) = (here.pid("a"), here.pid("b"));
    let mut wire = here.connect("a");
    wire.value("let kept = 7;");
    let fifo = || {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).expect("made");
    };
    let faults: [(&str, &dyn Fn()); 7] = [
        ("deleted", &|| {}),
        ("a directory", &|| fs::create_dir(&path).expect("made")),
        ("not UTF-8", &|| fs::write(&path, [0xff; 100]).expect("written")),
        ("larger than 4 MiB", &|| fs::write(&path, " ".repeat(5 << 20)).expect("written")),
        ("deep", &|| fs::write(&path, "[".repeat(1 << 20)).expect("written")),
        ("a link to nothing", &|| std::os::unix::fs::symlink("none", &path).expect("linked")),
        ("a pipe", &fifo),
    ];
    for (fault, make) in faults {
        let before = here.times_logged(REFUSAL);
        fs::remove_file(&path).expect("it is there");
        make();
        here.wait_until_logged(REFUSAL, before);
        let ran = here.run(&["reload"]);
        assert_eq!(ran.code, Some(2), "{fault}: {ran:?}");
        assert_eq!(wire.value("kept"), 7, "{fault}");
        if path.is_dir() {
            fs::remove_dir(&path).expect("it is empty");
        } else if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).expect("it is there");
        }
        here.configure(&of(&[A, B]));
        here.run_ok(&["reload"]);
        assert_eq!((here.pid("a"), here.pid("b")), (a, b), "{fault}");
        assert!(here.statuses().get("refused").is_none(), "{fault}");
    }
}

#[test]
fn circle_that_rejects_a_change_keeps_its_config_and_applies_the_fix() {
    let here = BackgroundCircles::start(&of(&[A, r#"{ "name": "b", "port": 0, "init": "b.rhai" }"#]));
    let script = here.home.path().join("b.rhai");
    fs::write(&script, "const DAY = 1;").expect("written");
    here.run_ok(&["up"]);
    let before = here.pid("b");
    fs::write(&script, "throw \"no such day\"").expect("written");
    let ran = here.run(&["reload"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("'b' keeps its previous configuration"), "{ran:?}");
    assert!(ran.stderr.contains("no such day"), "{ran:?}");
    let reason = here.status("b")["refused"].as_str().expect("it refuses").to_owned();
    assert!(reason.contains("no such day"), "{reason}");
    assert!(here.run_ok(&["status"]).contains("change not applied: "));
    eventually(|| {
        let logs = here.run_ok(&["logs", "b"]);
        if logs.contains("the circle keeps its previous configuration: ") { Ok(()) } else { Err(logs) }
    });
    assert_eq!((here.pid("b"), here.connect("b").value("DAY")), (before, json!(1)));
    fs::write(&script, "const DAY = 2;").expect("written");
    here.run_ok(&["reload"]);
    assert!(here.status("b").get("refused").is_none());
    assert_eq!((here.pid("b"), here.connect("b").value("DAY")), (before, json!(2)));
}

#[test]
fn failed_circle_applies_the_fix_at_its_next_start() {
    let here = BackgroundCircles::start(&of(&[A, r#"{ "name": "b", "port": 0, "init": "b.rhai" }"#]));
    let script = here.home.path().join("b.rhai");
    fs::write(&script, "throw 1").expect("written");
    assert_eq!(here.run(&["up"]).code, Some(2));
    fs::write(&script, "const DAY = 1;").expect("written");
    here.until("b is up", |all| all["circles"][1]["state"] == "ready");
    assert_eq!(here.connect("b").value("DAY"), 1);
    // A new circle that cannot start is reported, and does not affect the others.
    let before = here.pid("a");
    here.configure(&of(&[A, r#"{ "name": "c", "port": 0, "init": "c.rhai", "restart": "never" }"#]));
    fs::write(here.home.path().join("c.rhai"), "throw \"no such night\"").expect("written");
    let ran = here.run(&["reload"]);
    // If the watcher has applied the change before `reload`, `status` shows the failure.
    let is_reported = ran.code == Some(2) && ran.stderr.contains("no such night");
    assert!(is_reported || ran.code == Some(0), "{ran:?}");
    here.until("c has failed", |all| all["circles"][1]["state"] == "failed");
    assert_eq!(here.pid("a"), before);
}
