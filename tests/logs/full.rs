//! Full disks and limits of file sizes.

use std::process::Command;

use super::*;

/// Starts a circle with a log and an audit, after the shell commands in `before`; returns it with its address.
fn start(home: &Home, before: &str, log: &Path, audit: &Path) -> (ReapedChild, String) {
    let mut command = Command::new("sh");
    let server = home.command();
    command
        .args(["-c", &format!("{before} exec \"$@\""), "sh"])
        .arg(server.get_program())
        .args(["serve", "--port", "0", "--audit", "scripts"])
        .arg("--log-file")
        .arg(log)
        .arg("--audit-file")
        .arg(audit)
        .env_clear()
        .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = ReapedChild(command.spawn().expect("there is a shell"));
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
    let authority = line.trim().strip_prefix("listening on ws://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (child, authority)
}

fn end(child: &ReapedChild) {
    let pid = rustix::process::Pid::from_child(&child.0);
    kill_process(pid, Signal::TERM).expect("it is there");
    wait_for_end(pid);
}

/// Numbers of the plays in an audit, and the number of lost lines.
fn audited_numbers(path: &Path) -> (Vec<u64>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    let older = PathBuf::from(format!("{}.1", path.display()));
    let older = if older.exists() { objects(&older) } else { Vec::new() };
    for line in older.into_iter().chain(objects(path)) {
        match line["script"].as_str() {
            Some(script) => numbers.push(script.split(';').next().expect("a number").parse().expect("a number")),
            None => lost += line["lost"].as_u64().expect("one or the other"),
        }
    }
    (numbers, lost)
}

#[test]
fn circle_survives_a_full_disk() {
    let home = Home::new();
    let full = Path::new("/dev/full");
    let (mut child, authority) = start(&home, "", full, full);
    let mut wire = WireClient::connect(&authority);
    for number in 0..100 {
        assert_eq!(wire.value(&number.to_string()), number);
    }
    end(&child);
    assert_eq!(child.0.wait().expect("it was started here").code(), Some(0));
}

#[test]
fn circle_survives_a_file_size_limit_with_whole_lines() {
    let home = Home::new();
    let (log, audit) = (home.path().join("a.log"), home.path().join("a.audit"));
    // sh counts blocks of 512 bytes: 8 KiB.
    let (mut child, authority) = start(&home, "ulimit -f 16 &&", &log, &audit);
    let mut wire = WireClient::connect(&authority);
    for number in 0..200 {
        assert_eq!(wire.value(&format!("{number};{number}")), number);
    }
    end(&child);
    assert_eq!(child.0.wait().expect("it was started here").code(), Some(0));
    assert_eq!(fs::metadata(&audit).expect("it is there").len(), 8192);
    // The log has room, as it suppresses repeated plays of one caller.
    assert!(fs::read_to_string(&log).expect("it is there").contains("play finished"));
}

/// Needs a mount namespace, which not every system permits.
#[test]
fn lost_lines_are_counted_after_a_full_disk() {
    let home = Home::new();
    let disk = home.path().join("disk");
    fs::create_dir(&disk).expect("made");
    let namespaces = ["unshare", "-Urm", "--propagation", "private"];
    let is_permitted = Command::new(namespaces[0]).args(&namespaces[1..]).arg("true").output();
    if !is_permitted.is_ok_and(|output| output.status.success()) {
        skip("no mount namespace here");
        return;
    }
    let (log, audit) = (disk.join("a.log"), disk.join("a.audit"));
    let server = home.command();
    let script = format!(
        "mount -t tmpfs -o size=64k,mode=0700 none {disk} && head -c 60000 /dev/zero > {disk}/filler && exec \"$@\"",
        disk = disk.display()
    );
    let mut command = Command::new(namespaces[0]);
    command
        .args(&namespaces[1..])
        .args(["sh", "-c", &script, "sh"])
        .arg(server.get_program())
        .args(["serve", "--port", "0", "--audit", "scripts", "--audit-rotation", "files=64"])
        .arg("--log-file")
        .arg(&log)
        .arg("--audit-file")
        .arg(&audit)
        .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = ReapedChild(command.spawn().expect("there is unshare"));
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it says where it is");
    let authority = line.trim().strip_prefix("listening on ws://").unwrap_or_else(|| panic!("{line:?}"));
    let inside = PathBuf::from(format!("/proc/{}/root", child.0.id()));
    let inside = |path: &Path| inside.join(path.strip_prefix("/").expect("absolute"));

    // 12 MiB of records; at most 8 MiB may wait, and as much is being written.
    let mut wire = WireClient::connect(authority);
    let padding = "x".repeat(200 << 10);
    for number in 0..120 {
        assert_eq!(wire.value(&format!("{number};\"{padding}\";{number}")), number);
    }
    fs::remove_file(inside(&disk.join("filler"))).expect("it was there");
    // A record of 200 KiB never fits on a disk of 64 KiB, so records wait until the disk is enlarged.
    let room = Command::new("nsenter")
        .args(["-U", "-m", "--preserve-credentials", "-t", &child.0.id().to_string()])
        .args(["mount", "-o", "remount,size=64m"])
        .arg(&disk)
        .output()
        .expect("there is nsenter");
    assert!(room.status.success(), "{room:?}");
    let audit = inside(&audit);
    until(&audit, |text| text.contains("\"lost\":") && text.ends_with('\n'));
    let (numbers, lost) = audited_numbers(&audit);
    assert!(lost > 0 && numbers.len() as u64 + lost == 120, "{} and {lost}", numbers.len());
    // The first records are written; later ones found no room in the queue.
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    // The lines of the log fitted into their queue.
    let log = until(&inside(&log), |text| text.contains("play finished"));
    assert!(!log.contains("lost"), "{log}");
    end(&child);
}
