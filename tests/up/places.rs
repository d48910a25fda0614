//! Directories and sockets of a supervisor that are missing, or owned by another user.

use std::{os::unix::fs::PermissionsExt, path::Path};

use super::*;
use crate::support::{Home, skip};

fn with_run_directory(here: &BackgroundCircles, run: &Path, args: &[&str]) -> crate::support::CommandOutput {
    crate::support::command_output(
        &here.home.command().env("XDG_RUNTIME_DIR", run).args(args).output().expect("it runs"),
    )
}

/// Cleaners of temporary files remove the directory, as does the system at logout.
#[test]
fn supervisor_with_a_removed_runtime_directory_is_found_and_ended() {
    let port = free_port();
    let here = BackgroundCircles::start(&format!(r#"{{ "circles": [{{ "name": "a", "port": {port} }}] }}"#));
    let run = here.home.path().join("run");
    let ok = |args: &[&str]| {
        let ran = with_run_directory(&here, &run, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        ran.stdout
    };
    fs::create_dir(&run).expect("made");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("it is ours");
    ok(&["up"]);
    let pid = |status: &str| {
        let all: Value = serde_json::from_str(status).expect("JSON");
        assert_eq!(all["circles"][0]["state"], "ready", "{all}");
        Pid::from_raw(all["circles"][0]["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a pid"))
            .expect("one")
    };
    let circle = pid(&ok(&["status", "--json"]));
    let supervisor = crate::support::process::parent(circle).expect("it has a parent");

    fs::remove_dir_all(run.join("circles")).expect("it was there");
    assert_eq!(pid(&ok(&["status", "--json"])), circle, "the truth");
    fs::remove_dir_all(run.join("circles")).expect("it was made again");
    ok(&["up"]);
    assert_eq!(pid(&ok(&["status", "--json"])), circle, "up finds the one that runs");
    // The directory cannot be recreated here: the supervisor has moved to another directory, and is found there.
    fs::remove_dir_all(&run).expect("it was there");
    fs::write(&run, "in the way").expect("written");
    // From another session of the same user.
    assert_eq!(pid(&here.run_ok(&["status", "--json"])), circle);
    fs::remove_dir_all(here.home.path().join("state")).expect("it was there");
    eventually(|| match here.files("/supervisor").len() {
        1 => Ok(()),
        files => Err(files),
    });
    assert_eq!(pid(&here.run_ok(&["status", "--json"])), circle, "also where its locks were removed");
    assert_eq!(here.run_ok(&["down"]), "a  down\n");
    [circle, supervisor].into_iter().for_each(wait_for_end);
    assert_eq!(here.state("a"), "down");
}

#[test]
fn unreachable_supervisor_is_reported_and_ended_by_down() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let (supervisor, circles) = (here.supervisor("a"), [here.pid("a"), here.pid("b")]);
    // A stopped supervisor neither recreates its files nor answers.
    kill_process(supervisor, Signal::STOP).expect("it is there");
    crate::support::process::wait_until_stopped(supervisor);
    let [socket] = &here.files("/socket")[..] else { panic!("one socket") };
    fs::remove_file(socket).expect("it was there");
    for verb in ["status", "up"] {
        let ran = here.run(&[verb]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stderr.contains(&format!("pid {supervisor}")) && ran.stderr.contains("circles down"), "{ran:?}");
    }
    let down = here.home.command().arg("down").spawn().expect("it runs");
    kill_process(supervisor, Signal::CONT).expect("it is there");
    assert!(down.wait_with_output().expect("it ends").status.success());
    circles.into_iter().chain([supervisor]).for_each(wait_for_end);
    assert_eq!(here.state("a"), "down");
}

#[test]
fn circle_of_a_killed_supervisor_is_draining_and_down_waits_for_it() {
    let here = BackgroundCircles::start(&format!(r#"{{ "circles": [{{ "name": "a", "port": {} }}] }}"#, free_port()));
    here.run_ok(&["up"]);
    let (supervisor, circle) = (here.supervisor("a"), here.pid("a"));
    // The circle drains as soon as it continues.
    kill_process(circle, Signal::STOP).expect("it is there");
    crate::support::process::wait_until_stopped(circle);
    kill_process(supervisor, Signal::KILL).expect("it is there");
    wait_for_end(supervisor);
    let status = here.status("a");
    let why = "its supervisor has ended, so it drains and ends";
    assert_eq!((&status["state"], &status["why"]), (&"draining".into(), &why.into()));
    let mut down = here.home.command().arg("down").spawn().expect("it runs");
    assert!(down.try_wait().expect("it was started here").is_none());
    kill_process(circle, Signal::CONT).expect("it is there");
    assert!(down.wait().expect("it was started here").success());
    assert_eq!(here.state("a"), "down");
    wait_for_end(circle);
}

#[test]
fn unsupervised_circle_is_reported_with_its_process() {
    let server = crate::support::process::ServeProcess::open();
    let here = Home::new();
    let config = format!(r#"{{ "circles": [{{ "name": "a", "port": {} }}] }}"#, server.port());
    fs::write(here.path().join("circles.json"), config).expect("written");
    let owner = format!("port {} is taken by `circles` (pid {})", server.port(), server.pid());
    let status = here.run(&["status"]);
    assert!(status.code == Some(0) && status.stdout.contains(&owner), "{status:?}");
    let down = here.run(&["down"]);
    assert!(down.code == Some(0) && down.stdout.contains(&format!("a was not stopped: {owner}")), "{down:?}");
    drop(server);
    assert_eq!(here.run(&["down"]).stdout, "nothing is up\n");
}

#[test]
fn runtime_directory_writable_by_others_is_refused() {
    let here = BackgroundCircles::start(TWO);
    let run = here.home.path().join("run");
    let own = run.join("circles");
    fs::create_dir_all(&own).expect("made");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).expect("it is ours");
    for verb in ["up", "status", "down"] {
        let ran = with_run_directory(&here, &run, &[verb]);
        assert!(ran.code == Some(2) && ran.stderr.contains("open to other users (mode 0777)"), "{verb}: {ran:?}");
    }
    assert_eq!(fs::read_dir(&own).expect("it is there").count(), 0, "nothing was made in it");
}

/// As after `su`: files of another user are neither touched nor trusted.
#[test]
fn runtime_directory_of_another_user_is_refused() {
    const OTHER: u32 = 65534;
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let id = here.files("/socket")[0].parent().and_then(Path::file_name).expect("a name").to_owned();
    here.run_ok(&["down"]);
    let (run, precious) = (here.home.path().join("run"), here.home.path().join("precious"));
    fs::create_dir_all(run.join("circles")).expect("made");
    fs::create_dir(&precious).expect("made");
    fs::write(precious.join("socket"), "precious").expect("written");
    std::os::unix::fs::symlink(&precious, run.join("circles").join(&id)).expect("linked");
    if std::os::unix::fs::chown(run.join("circles"), Some(OTHER), None).is_err() {
        return skip("only root can give a directory away");
    }
    for verb in ["up", "status", "down"] {
        let ran = with_run_directory(&here, &run, &[verb]);
        assert!(ran.code == Some(2) && ran.stderr.contains("it belongs to user 65534"), "{verb}: {ran:?}");
    }
    assert_eq!(fs::read_to_string(precious.join("socket")).expect("it is there"), "precious");
    assert_eq!(fs::read_dir(&precious).expect("it is there").count(), 1);
    // A symlink of the other user to a directory of ours.
    fs::remove_dir_all(&run).expect("it was there");
    fs::create_dir(&run).expect("made");
    std::os::unix::fs::symlink(&precious, run.join("circles")).expect("linked");
    std::os::unix::fs::lchown(run.join("circles"), Some(OTHER), None).expect("root");
    let ran = with_run_directory(&here, &run, &["up"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it belongs to user 65534"), "{ran:?}");
    // An empty directory of the other user.
    fs::remove_file(run.join("circles")).expect("it was there");
    std::os::unix::fs::chown(&run, Some(OTHER), None).expect("root");
    let ran = with_run_directory(&here, &run, &["up"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("it belongs to user 65534"), "{ran:?}");
    assert_eq!(fs::read_dir(&run).expect("it is there").count(), 0, "nothing was made in it");
}

/// A process of another user answers as a supervisor would, in a valid directory.
#[test]
fn supervisor_of_another_user_is_not_trusted() {
    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let socket = here.files("/socket")[0].clone();
    here.run_ok(&["down"]);
    // A process of another user with a listening socket there.
    let script = format!(
        "import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind({:?})\nos.setuid(65534)\ns.listen()\nprint('listening', flush=True)\nwhile True: s.accept()[0].close()",
        socket.display().to_string()
    );
    let mut command = std::process::Command::new("python3");
    let Ok(mut fake) = command.args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
        return skip("no python3 here");
    };
    let mut line = String::new();
    let stdout = fake.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("it can be read");
    let ran = here.run(&["status"]);
    fake.kill().expect("it was started here");
    fake.wait().expect("it was started here");
    fs::remove_file(&socket).expect("it was there");
    if line.is_empty() {
        return skip("only root can become another user");
    }
    assert!(ran.code == Some(2) && ran.stderr.contains("it belongs to user 65534"), "{ran:?}");
}

#[test]
fn idle_connections_do_not_block_status() {
    use std::os::unix::net::UnixStream;

    let here = BackgroundCircles::start(TWO);
    here.run_ok(&["up"]);
    let socket = here.files("/socket")[0].clone();
    let idle: Vec<_> = (0..200).map(|_| UnixStream::connect(&socket).expect("it listens")).collect();
    assert_eq!(here.state("a"), "ready");
    drop(idle);
}

/// Every user of the system can read the arguments of a process, so they must not reveal the configuration.
#[test]
fn circle_arguments_contain_no_member_host_or_path() {
    let member = "03c0bbb68e093afbf56d0540682ab98e53f3d6050491ff2b1d8463e2479e25b5e8";
    let here = BackgroundCircles::start(&format!(
        r#"{{ "circles": [{{ "name": "a", "port": 0, "members": ["{member}"], "hosts": ["circle.example"], "init": "a.rhai" }}] }}"#
    ));
    fs::write(here.home.path().join("a.rhai"), "const DAY = 1;").expect("written");
    here.run_ok(&["up"]);
    let arguments = fs::read(format!("/proc/{}/cmdline", here.pid("a"))).expect("it is there");
    let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
    assert_eq!(arguments.trim(), "circles serve --supervised --name=a --port=0");
    assert_eq!(here.status("a")["access"], "members");
}
