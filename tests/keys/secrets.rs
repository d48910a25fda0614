//! Protection of processes that hold a passphrase or an unlocked key.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::chown,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::support::{
    BINARY, Home, PASSPHRASE,
    process::{ReapedChild, ServeProcess, is_inspectable},
    skip,
    wire::WireClient,
};

/// User id of `nobody` in most distributions.
const NOBODY: u32 = 65534;

/// Gives a directory with its contents to a user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("root may");
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("it is there") {
            give(&entry.expect("it is there").path(), user);
        }
    }
}

/// Reads a file of `/proc/PID` as the user of the process.
fn shown(pid: Pid, file: &str, user: Option<u32>) -> Output {
    let mut command = Command::new("cat");
    command.arg(format!("/proc/{pid}/{file}")).env("LC_ALL", "C");
    as_user(&mut command, user).output().expect("cat is everywhere")
}

fn as_user(command: &mut Command, user: Option<u32>) -> &mut Command {
    match user {
        Some(user) => command.uid(user).gid(user),
        None => command,
    }
}

/// Copies the binary into the home. If root, who may read everything, runs the tests, gives both to an unprivileged user.
fn for_an_ordinary_user(home: &Home) -> Option<(PathBuf, Option<u32>)> {
    let user = geteuid().is_root().then_some(NOBODY);
    if let Err(error) = as_user(&mut Command::new("true"), user).status() {
        skip(&format!("no process can be started as user {NOBODY}: {error}"));
        return None;
    }
    // The user may not have access to the build directory, and an unreadable binary never leaves a core file.
    let binary = home.path().join("circles");
    // In a process of its own: one that another test forks from this process would keep the copy open for writing, and a
    // file that is open for writing cannot be executed.
    assert!(Command::new("cp").arg(BINARY).arg(&binary).status().expect("cp is everywhere").success());
    if let Some(user) = user {
        give(home.path(), user);
    }
    Some((binary, user))
}

/// Command with the highest possible limit of core files, so that no other limit prevents one.
fn permissive(binary: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg("ulimit -S -c \"$(ulimit -H -c)\"; exec \"$0\" \"$@\"").arg(binary).args(args);
    command.stdin(std::process::Stdio::null());
    command
}

/// Asserts that the kernel writes no core file of the process and shows its memory to no other process of its user.
fn assert_protected(pid: Pid, user: Option<u32>) {
    let limits = shown(pid, "limits", user);
    let limits = String::from_utf8(limits.stdout).expect("text");
    let of_core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("Linux");
    assert_eq!(of_core.split_whitespace().nth(4), Some("0"), "{of_core}");
    for file in ["environ", "mem", "maps", "auxv"] {
        let Output { status, stdout, stderr } = shown(pid, file, user);
        let error = String::from_utf8_lossy(&stderr);
        assert!(stdout.is_empty(), "{file} is shown");
        assert!(!status.success() && error.contains("Permission denied"), "{file}: {status}, {error}");
    }
}

fn assert_no_core_file(process: &mut ReapedChild, home: &Home) {
    let ended = process.0.wait().expect("it was started here");
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
    let cores: Vec<_> = fs::read_dir(home.path())
        .expect("it is there")
        .map(|entry| entry.expect("it is there").file_name())
        .filter(|name| name.to_string_lossy().starts_with("core"))
        .collect();
    assert!(cores.is_empty(), "{cores:?}");
}

#[test]
fn unlocked_key_is_hidden_from_core_files_and_other_processes() {
    let home = Home::new();
    home.add_key("alice");
    let Some((binary, user)) = for_an_ordinary_user(&home) else { return };
    let server = ServeProcess::start(&["--access", "authenticated"]);
    let mut command = permissive(&binary, &["play", "--circle", &server.url, "-e", "print(\"begun\"); loop {}"]);
    let environment = home.command();
    command.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(home.path()).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let mut client = ReapedChild(as_user(&mut command, user).spawn().expect("sh is everywhere"));
    let mut line = String::new();
    BufReader::new(client.0.stdout.take().expect("piped")).read_line(&mut line).expect("it prints");
    // By now the client has read the passphrase, unlocked the key and authenticated.
    assert_eq!(line, "begun\n");

    let pid = Pid::from_child(&client.0);
    assert_protected(pid, user);

    if user.is_some() {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).expect("root may read it");
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains("HOME=") && !environment.contains(PASSPHRASE), "removed once it was read");
    }

    kill_process(pid, Signal::ABORT).expect("it is there");
    assert_no_core_file(&mut client, &home);
}

/// A server holds the secret of its circle's identity. Neither its supervisor nor its workers need its `/proc`.
#[test]
fn server_with_an_identity_is_kept_from_core_files_and_from_other_processes_of_its_user() {
    let home = Home::new();
    let Some((binary, user)) = for_an_ordinary_user(&home) else { return };
    let mut command = permissive(&binary, &["serve", "--port", "0", "--identity", "identity"]);
    let environment = home.command();
    command.env_clear().envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(home.path()).stdout(std::process::Stdio::piped());
    let mut server = ReapedChild(as_user(&mut command, user).spawn().expect("sh is everywhere"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
    let url = line.trim().strip_prefix("listening on ").expect("it listens").to_owned();
    let mut wire = WireClient::connect(url.strip_prefix("ws://").expect("without TLS"));
    assert_eq!(wire.value("40 + 2"), 42);

    let pid = Pid::from_child(&server.0);
    assert_protected(pid, user);
    kill_process(pid, Signal::ABORT).expect("it is there");
    assert_no_core_file(&mut server, &home);
}

/// The user may have set the variables for other commands.
#[test]
fn server_has_no_passphrase_in_its_environment() {
    let home = Home::new();
    let mut command = home.command();
    command.args(["serve", "--port", "0"]).stdout(std::process::Stdio::piped());
    command.env("CIRCLES_NEW_PASSPHRASE", PASSPHRASE).env("CIRCLES_PASSPHRASE", PASSPHRASE);
    let mut server = ReapedChild(command.spawn().expect("it runs"));
    let mut line = String::new();
    BufReader::new(server.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
    let pid = Pid::from_child(&server.0);
    if is_inspectable(pid) {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).expect("it is there");
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains("CIRCLES_PASSPHRASE=\0") && !environment.contains(PASSPHRASE), "{environment:?}");
    }
    kill_process(pid, Signal::TERM).expect("it is there");
    assert!(server.0.wait().expect("it was started here").success());
}
