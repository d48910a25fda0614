//! Circles in the background.

use std::{fs, path::PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{CommandOutput, Home, eventually, free_port, process::parent, wire::WireClient};

/// Home with a circles.json. Dropping it ends its circles.
pub(crate) struct BackgroundCircles {
    pub home: Home,
}

impl BackgroundCircles {
    pub(crate) fn start(config: &str) -> Self {
        let background = Self { home: Home::new() };
        background.configure(config);
        background
    }

    /// The circle `shop` of `circles new`, up on a free port.
    pub(crate) fn shop(home: Home) -> Self {
        let background = Self { home };
        background.run_ok(&["new", "shop", "shop"]);
        // These tests run in the home, not in the directory of the circle.
        let text = fs::read_to_string(background.home.path().join("shop/circles.json")).expect("written");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        config["circles"][0]["port"] = free_port().into();
        config["circles"][0]["functions"] = json!("shop/functions/");
        background.configure(&config.to_string());
        background.run_ok(&["check"]);
        background.run_ok(&["up"]);
        background
    }

    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.home.path().join("circles.json"), config).expect("written");
    }

    pub(crate) fn run(&self, args: &[&str]) -> CommandOutput {
        self.home.run(args)
    }

    /// Runs a command that must succeed; returns its stdout.
    pub(crate) fn run_ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        ran.stdout
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        let all: Value = serde_json::from_str(&self.run_ok(&["status", "--json"])).expect("JSON");
        let circles = all["circles"].as_array().expect("a list");
        circles.iter().find(|circle| circle["name"] == name).expect(name).clone()
    }

    pub(crate) fn state(&self, name: &str) -> String {
        self.status(name)["state"].as_str().expect("a state").to_owned()
    }

    pub(crate) fn pid(&self, name: &str) -> Pid {
        let pid = self.status(name)["pid"].as_i64().expect("it has a process");
        Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid")
    }

    /// Kills the circle's process, and waits until its supervisor has noticed.
    pub(crate) fn kill(&self, name: &str) {
        let killed = self.pid(name);
        kill_process(killed, Signal::KILL).expect("it is there");
        eventually(|| {
            let status = self.status(name);
            if status["pid"] == killed.as_raw_nonzero().get() { Err(status) } else { Ok(()) }
        });
    }

    pub(crate) fn connect(&self, name: &str) -> WireClient {
        let status = self.status(name);
        WireClient::connect(status["url"].as_str().expect("a URL").strip_prefix("ws://").expect("a ws URL"))
    }

    /// Process of the supervisor of a circle.
    pub(crate) fn supervisor(&self, name: &str) -> Pid {
        parent(self.pid(name)).expect("it has a parent")
    }

    pub(crate) fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let (mut found, mut left) = (Vec::new(), vec![self.home.path().to_owned()]);
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).expect("it is there") {
                let path = entry.expect("it is there").path();
                match path.is_dir() {
                    true => left.push(path),
                    false if path.to_string_lossy().ends_with(suffix) => found.push(path),
                    false => {}
                }
            }
        }
        found
    }
}

impl Drop for BackgroundCircles {
    fn drop(&mut self) {
        let down = self.home.run(&["down"]);
        // Only if the test has not failed already.
        if !std::thread::panicking() {
            assert_eq!(down.code, Some(0), "{down:?}");
        }
    }
}
