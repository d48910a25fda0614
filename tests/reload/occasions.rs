//! Triggers of a reload: saved files and SIGHUP.

use std::{fs, os::unix::fs::symlink, process::Stdio};

use rustix::process::{Signal, kill_process};

use super::*;
use crate::support::{process::ReapedChild, pty::Terminal};

#[test]
fn save_of_the_file_triggers_a_reload() {
    let here = BackgroundCircles::start(&of(&[A]));
    let at = |name: &str| here.home.path().join(name);
    here.run_ok(&["up"]);
    let before = here.pid("a");
    let has = |names: &'static [&str]| {
        here.until("the circles of the file", |all| {
            let circles = all["circles"].as_array().expect("a list");
            let is_ready = circles.iter().all(|circle| circle["state"] == "ready");
            is_ready && circles.iter().map(|circle| circle["name"].as_str().expect("a name")).eq(names.iter().copied())
        });
    };
    here.configure(&of(&[A, B]));
    has(&["a", "b"]);
    // Editors replace the file by renaming. Twice, as the watched file is then not the first one.
    for (circles, names) in [(&[A, C][..], &["a", "c"][..]), (&[A, B], &["a", "b"])] {
        fs::write(at("circles.json.new"), of(circles)).expect("written");
        fs::rename(at("circles.json.new"), at("circles.json")).expect("moved");
        has(names);
    }
    fs::rename(at("circles.json"), at("circles.json~")).expect("moved");
    here.wait_until_logged("circles.json has an error; still using the previous version: cannot read", 0);
    here.configure(&of(&[A, C]));
    has(&["a", "c"]);
    assert_eq!(here.pid("a"), before);
}

#[test]
fn replaced_directories_are_watched() {
    let here = BackgroundCircles::start(&of(&[A]));
    let at = |name: &str| here.home.path().join(name);
    fs::remove_file(at("circles.json")).expect("removed");
    let write = |top: &str, circles: &[&str]| {
        fs::create_dir_all(at(top).join("conf")).expect("made");
        fs::write(at(top).join("conf/circles.json"), of(circles)).expect("written");
    };
    write("top", &[A]);
    let config = at("top/conf/circles.json");
    symlink(&config, at("circles.json")).expect("linked");
    here.run_ok(&["up"]);
    let has = |count: usize| {
        here.until(&format!("{count} circles"), |all| all["circles"].as_array().expect("a list").len() == count);
    };
    has(1);
    write("other", &[A]);
    fs::rename(at("top/conf"), at("top/conf.old")).expect("moved");
    fs::rename(at("other/conf"), at("top/conf")).expect("moved");
    write("top", &[A, B]);
    has(2);
    write("other", &[A, B]);
    fs::rename(at("top"), at("top.old")).expect("moved");
    fs::rename(at("other"), at("top")).expect("moved");
    write("top", &[A, B, C]);
    has(3);
    // Restored only after the supervisor has noticed the removal.
    let before = here.times_logged(REFUSAL);
    fs::rename(at("top"), at("top.gone")).expect("moved");
    here.wait_until_logged(REFUSAL, before);
    fs::rename(at("top.gone"), at("top")).expect("moved");
    write("top", &[A]);
    has(1);
}

#[test]
fn symlink_and_its_target_are_watched() {
    let here = BackgroundCircles::start(&of(&[A]));
    let at = |name: &str| here.home.path().join(name);
    for (folder, circles) in [("one", of(&[A])), ("two", of(&[A, B]))] {
        fs::create_dir(at(folder)).expect("made");
        fs::write(at(folder).join("circles.json"), circles).expect("written");
    }
    symlink("one", at("current")).expect("linked");
    fs::remove_file(at("circles.json")).expect("removed");
    symlink("current/circles.json", at("circles.json")).expect("linked");
    // Finds the supervisor by its canonical path, which changes below.
    let canonical = at("one/circles.json");
    let named = ["--config", canonical.to_str().expect("UTF-8")];
    here.run_ok(&["up"]);
    let count = || {
        let output = here.run_ok(&["status", "--json", named[0], named[1]]);
        let all: Value = serde_json::from_str(&output).expect("JSON");
        all["circles"].as_array().expect("a list").len()
    };
    let until = |expected: usize| {
        eventually(|| (count() == expected).then_some(()).ok_or_else(|| format!("there are not {expected} circles")));
    };
    symlink("two", at("next")).expect("linked");
    fs::rename(at("next"), at("current")).expect("moved");
    until(2);
    fs::write(at("two/circles.json"), of(&[A, B, C])).expect("written");
    until(3);
    here.run_ok(&["down", named[0], named[1]]);
}

#[test]
fn init_script_and_modules_are_watched() {
    let here =
        BackgroundCircles::start(&of(&[A, r#"{ "name": "b", "port": 0, "init": "b.rhai", "modules": "scripts" }"#]));
    let at = |name: &str| here.home.path().join(name);
    fs::write(at("b.rhai"), "const DAY = 1;").expect("written");
    fs::create_dir(at("scripts")).expect("made");
    here.run_ok(&["up"]);
    let (a, b) = (here.pid("a"), here.pid("b"));
    let mut before = here.connect("b");
    assert_eq!(before.value("DAY"), 1);
    let until = |script: &str| {
        eventually(|| {
            let answer = here.connect("b").play(script);
            if answer["result"]["value"] == 2 { Ok(()) } else { Err(format!("{script}: {answer}")) }
        });
    };
    fs::write(at("b.rhai"), "const DAY = 2;").expect("written");
    until("DAY");
    fs::create_dir_all(at("scripts/deep")).expect("made");
    fs::write(at("scripts/deep/m.rhai"), "fn day() { 2 }").expect("written");
    until("import \"deep/m\" as m; m::day()");
    // Existing sessions keep the previous module.
    assert_eq!((here.pid("a"), here.pid("b"), before.value("DAY")), (a, b, json!(1)));
}

#[test]
fn sighup_reloads_in_the_background() {
    let here = BackgroundCircles::start(&of(&[A]));
    here.run_ok(&["up"]);
    let (supervisor, before) = (here.supervisor("a"), here.pid("a"));
    kill_process(supervisor, Signal::HUP).expect("it is there");
    here.wait_until_logged("reloaded circles.json: no changes", 0);
    here.configure(&of(&[A, B]));
    kill_process(supervisor, Signal::HUP).expect("it is there");
    here.until("b is up", |all| all["circles"][1]["state"] == "ready");
    assert_eq!((here.supervisor("a"), here.pid("a")), (supervisor, before));
}

#[test]
fn sighup_reloads_in_the_foreground_without_a_terminal() {
    let here = BackgroundCircles::start(&of(&[A]));
    let mut command = std::process::Command::new("setsid");
    let environment = here.home.command();
    command.arg(crate::support::BINARY).arg("launch").env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command.envs(environment.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut launched =
        ReapedChild(command.current_dir(here.home.path()).spawn().expect("setsid of util-linux is there"));
    // `setsid` has executed the binary in its own process.
    let pid = Pid::from_child(&launched.0);
    here.until("a is up", |all| all["circles"][0]["state"] == "ready");
    kill_process(pid, Signal::HUP).expect("it is there");
    here.wait_until_logged("reloaded circles.json: no changes", 0);
    assert_eq!(here.supervisor("a"), pid);
    here.run_ok(&["down"]);
    wait_for_end(pid);
    assert_eq!(launched.0.wait().expect("it was started here").code(), Some(0));

    let mut terminal = Terminal::run(&here.home, &["launch"]);
    terminal.wait_for("| ready");
    terminal.signal(Signal::HUP);
    assert_eq!(terminal.end(), Some(0));
}
