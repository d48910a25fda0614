//! Circles in a container: as process 1, as an unknown user, without a home.

use std::{os::unix::fs::PermissionsExt, process::Stdio};

use super::*;

/// Command that runs the binary under `unshare` with these flags; reports a skipped test and returns `None` if that is not
/// permitted.
fn unshared(home: &Home, flags: &[&str]) -> Option<Command> {
    let tried = Command::new("unshare").args(flags).arg("true").stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            skip(&format!("no namespaces here: {}", String::from_utf8_lossy(&output.stderr)));
            return None;
        }
        Err(error) => {
            skip(&format!("no unshare(1) here: {error}"));
            return None;
        }
    }
    let mut command = Command::new("unshare");
    let own = home.command();
    command.args(flags).arg(BINARY).current_dir(home.path()).env_clear();
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

const FIRST: &[&str] = &["--user", "--map-root-user", "--fork", "--pid", "--mount-proc", "--kill-child"];

/// Flags of `unshare` for a user without an entry in passwd(5).
const NOBODY: &[&str] = &["--user", "--map-user=54321", "--map-group=54321"];

/// Waits until a process has ended and is reaped.
fn wait_until_reaped(pid: Pid) {
    let path = PathBuf::from(format!("/proc/{pid}"));
    eventually(|| (!path.exists()).then_some(()).ok_or_else(|| format!("{pid} is not reaped")));
}

fn only_child(pid: Pid) -> Pid {
    let [child] = children(pid)[..] else { panic!("one child: {:?}", children(pid)) };
    child
}

/// The worker of the only session, and spare workers.
fn workers_of(fork_server: Pid) -> Vec<Pid> {
    let workers = children(fork_server);
    assert!(!workers.is_empty());
    workers
}

#[test]
fn process_1_reaps_orphans_and_forwards_signals() {
    let home = configured(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    let Some(mut command) = unshared(&home, FIRST) else { return };
    let mut launched = RunningProcess::start(command.arg("launch"));
    let mut wire = WireClient::connect(&launched.authority());
    assert_eq!(wire.value("40 + 2"), 42);
    let first = only_child(launched.pid());
    let program = only_child(first);
    let environment = std::fs::read(format!("/proc/{program}/environ")).expect("it is ours");
    assert!(!String::from_utf8_lossy(&environment).contains("PASSPHRASE"));
    let circle = only_child(program);
    let fork_server = only_child(circle);
    let workers = workers_of(fork_server);
    // Process 1 reaps the circle's fork server and workers.
    kill_process(circle, Signal::KILL).expect("it is there");
    [circle, fork_server].into_iter().chain(workers).for_each(wait_until_reaped);

    let mut wire = WireClient::connect(&launched.authority());
    assert_eq!(wire.value("40 + 2"), 42);
    let fork_server = only_child(only_child(program));
    let workers = workers_of(fork_server);
    kill_process(fork_server, Signal::KILL).expect("it is there");
    [fork_server].into_iter().chain(workers).for_each(wait_until_reaped);
    // The circle's own children are not reaped by process 1: the circle continues, with another fork server.
    eventually(|| {
        let answer = wire.play("40 + 2");
        if answer["result"]["value"] == 42 { Ok(()) } else { Err(answer) }
    });

    kill_process(first, Signal::TERM).expect("it is there");
    wait_for_end(launched.pid());
    assert_eq!(launched.child.0.wait().expect("it was started here").code(), Some(0));
    assert_eq!(wire.close_code(), 1001);
}

#[test]
fn process_1_ends_as_its_program_does() {
    let home = Home::new();
    let Some(mut command) = unshared(&home, FIRST) else { return };
    let mut served = RunningProcess::start(command.args(["serve", "--port", "0"]));
    served.authority();
    let first = only_child(served.pid());
    kill_process(only_child(first), Signal::KILL).expect("it is there");
    wait_for_end(served.pid());
    assert_eq!(served.child.0.wait().expect("it was started here").code(), Some(128 + 9));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let mut command = unshared(&home, FIRST).expect("it was there before");
    assert_eq!(command.args(["serve", "--port", &port]).status().expect("it runs").code(), Some(2));
}

#[test]
fn user_without_a_home_uses_a_temporary_directory() {
    let home = configured(r#"{ "circles": [{ "name": "a", "port": 0 }] }"#);
    let temporary = tempfile::tempdir().expect("a directory");
    // Without a home, and with an unusable one, as container engines set it.
    for users_home in [None, Some("/proc")] {
        let nobody = |args: &[&str]| {
            let mut command = unshared(&home, NOBODY)?;
            command.env_clear().env("TMPDIR", temporary.path()).envs(users_home.map(|home| ("HOME", home)));
            command.args(args).args(["--config", "circles.json"]);
            Some(command)
        };
        let Some(mut command) = nobody(&["launch"]) else { return };
        let mut launched = RunningProcess::start(&mut command);
        assert_eq!(WireClient::connect(&launched.authority()).value("40 + 2"), 42);
        let status = nobody(&["status"]).expect("it was there before").output().expect("it runs");
        assert!(String::from_utf8_lossy(&status.stdout).contains("ready"), "{status:?}");
        assert_eq!(launched.end(Signal::TERM), Some(0));
    }
    // A directory that is open to others is not used.
    let directory = temporary.path().join("circles-54321");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = unshared(&home, NOBODY).expect("it was there before");
    command.env_clear().env("TMPDIR", temporary.path()).args(["launch", "--config", "circles.json"]);
    let refused = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(2) && stderr.contains("XDG_STATE_HOME") && stderr.contains("private"),
        "{stderr}"
    );
}

#[test]
fn container_image_config_is_valid() {
    // The port may be taken on this machine, and there is no volume.
    let config = include_str!("../../contrib/container/circles.json").replace("\"port\": 9001", "\"port\": 0");
    let home = configured(&config.replace("/var/lib/circles/", ""));
    let check = home.run(&["check"]);
    assert!(check.code == Some(0) && check.stdout.starts_with("sandbox  ws://127.0.0.1:0  authenticated"), "{check:?}");
}

#[test]
fn container_image_is_built_from_all_crates() {
    let manifest = include_str!("../../Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).expect("members of the workspace");
    let members: Vec<String> = serde_json::from_str(members).expect("a list on one line");
    for member in members {
        let directory = member.split('/').next().expect("a first part");
        let line = format!("COPY {directory} {directory}\n");
        assert!(include_str!("../../contrib/container/Containerfile").contains(&line), "{line}");
    }
}

/// The lists after `key` in a file of YAML, which are written as JSON.
fn lists(yaml: &str, key: &str) -> Vec<Vec<String>> {
    let after = yaml.split(key).skip(1).map(|after| &after[..=after.find(']').expect("the list ends")]);
    after.map(|list| serde_json::from_str(list).expect("a list of texts")).collect()
}

#[test]
fn examples_with_worker_machines_are_valid() {
    let home = configured(include_str!("../../contrib/compose/circles.json"));
    let check = home.run(&["check"]);
    // Everything is valid but for the files of secrets, which an operator makes.
    assert!(check.code == Some(2) && check.stderr.contains("cannot read /run/nkeys/team.nkey"), "{check:?}");
    let compose = lists(include_str!("../../contrib/compose/compose.yaml"), "command: ");
    let kubernetes = lists(include_str!("../../contrib/kubernetes/circles.yaml"), "args: ");
    let machines: Vec<_> = compose.iter().chain(&kubernetes).filter(|arguments| arguments[0] == "worker").collect();
    assert_eq!(machines.len(), 3);
    for arguments in machines {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.replace("$(NAME)", "worker-0")).collect();
        let ran = home.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(ran.code == Some(2) && ran.stderr.contains("ca.pem does not exist"), "{ran:?}");
    }
}

#[test]
fn unreadable_scripts_and_modules_are_reported() {
    let home = configured(
        "{ \"circles\": [\n  { \"name\": \"a\", \"port\": 0, \"init\": \"a.rhai\" },\n  \
         { \"name\": \"b\", \"port\": 0, \"modules\": \"m\" }\n] }",
    );
    std::fs::create_dir(home.path().join("m")).expect("made");
    for file in ["a.rhai", "m/one.rhai", "m/two.rhai"] {
        let file = home.path().join(file);
        std::fs::write(&file, "").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("it is ours");
    }
    let Some(mut check) = unshared(&home, NOBODY) else { return };
    let check = check.arg("check").output().expect("it runs");
    let stderr = String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(2), "{stderr}");
    for piece in [
        "circles.json:2:37: cannot read a.rhai: permission denied",
        "circles.json:3:40: cannot read m/one.rhai: permission denied",
        "circles.json:3:40: cannot read m/two.rhai: permission denied",
        "cannot start: a, b\n",
    ] {
        assert!(stderr.contains(piece), "{piece}: {stderr}");
    }
}

#[test]
fn privileged_port_is_reported() {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if first.trim().parse::<u16>().is_ok_and(|first| first <= 80) {
        skip("anyone may have port 80 here");
        return;
    }
    let home = configured("{ \"circles\": [\n  { \"name\": \"a\", \"port\": 80 }\n] }");
    let Some(mut check) = unshared(&home, NOBODY) else { return };
    let check = check.arg("check").output().expect("it runs");
    let stderr = String::from_utf8_lossy(&check.stderr);
    assert!(stderr.contains("circles.json:2:26: ports below ") && stderr.contains("CAP_NET_BIND_SERVICE"), "{stderr}");
    let serve = unshared(&home, NOBODY).expect("it was there before").args(["serve", "--port", "80"]).output();
    let stderr = String::from_utf8_lossy(&serve.expect("it runs").stderr).into_owned();
    assert!(stderr.contains("need a privilege") && stderr.contains("choose a higher --port"), "{stderr}");
}
