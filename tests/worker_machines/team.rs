//! A circle with a worker machine, each behind a proxy of its own to the nats-server.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Home, eventually,
    machine::{Machine, wait_for_state},
    nats::NatsServer,
    process::ServeProcess,
    proxy::Proxy,
    wire::WireClient,
};

/// Functions, the init script, and a module of the circle.
const FILES: &[(&str, &str)] = &[
    (
        "functions/work.rhai",
        "fn spin() { loop {} }\n\n\
         fn count(key) { store::add(`n/${key}`, 1); key }\n\n\
         /// @timeout 60000\n\
         fn slow(key) { store::add(`n/${key}`, 1); let n = 0; while n < 6000000 { n += 1; } n }\n\n\
         /// @timeout 3000\n\
         fn expect_key(key) { if store::get(key, 0) == 0 { loop {} } store::get(key) }\n",
    ),
    ("init.rhai", "const MADE_BY_INIT = 7;\nfn twice(n) { 2 * n }\n"),
    ("modules/area.rhai", "export const SIDE = 3;\nfn square(n) { n * n }\n"),
];

/// The circle `team` with its store, its machines and its nats-server. Its clients may do everything.
pub(super) struct Team {
    pub(super) machines: Vec<Machine>,
    pub(super) circle: ServeProcess,
    args: Vec<String>,
    pub(super) machine_proxy: Proxy,
    pub(super) circle_proxy: Proxy,
    pub(super) nats: NatsServer,
}

impl Team {
    /// Starts it with a machine `m1`, and waits until a play runs. `None` without nats-server.
    pub(super) fn start(test: &str, args: &[&str]) -> Option<Self> {
        let mut team = Self::without_machine(test, args)?;
        team.add_machine("m1");
        let mut client = team.connect();
        play_when_possible(&mut client, "1");
        Some(team)
    }

    pub(super) fn without_machine(test: &str, args: &[&str]) -> Option<Self> {
        Self::without_machine_in(Home::new(), test, args)
    }

    /// The circle's files are in this home, unless they are there already.
    pub(super) fn without_machine_in(home: Home, test: &str, args: &[&str]) -> Option<Self> {
        let nats = NatsServer::start(test, "")?;
        for (file, text) in FILES {
            write_new(&home.path().join(file), text);
        }
        let [machine_proxy, circle_proxy] = [(); 2].map(|()| Proxy::start(&nats.url()));
        let roles = json!({
            "roles": { "owner": { "call": ["*"], "play": true, "use": ["*"] } }, "anyone": "owner",
        });
        let nats_url = circle_proxy.url();
        let own = [
            ["--name", "team"],
            ["--nats", &nats_url],
            ["--store", "team.redb"],
            ["--functions", "functions"],
            ["--roles", &roles.to_string()],
            ["--init", "init.rhai"],
            ["--modules", "modules"],
        ];
        let args: Vec<String> = own.as_flattened().iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        let circle = ServeProcess::start_in(home, &args.iter().map(String::as_str).collect::<Vec<_>>());
        Some(Self { machines: Vec::new(), circle, args, machine_proxy, circle_proxy, nats })
    }

    /// Starts another machine.
    pub(super) fn add_machine(&mut self, name: &str) -> &mut Machine {
        self.add_machine_with(name, &[])
    }

    pub(super) fn add_machine_with(&mut self, name: &str, args: &[&str]) -> &mut Machine {
        let machine = Machine::start(&self.machine_proxy.url(), name, args);
        self.machines.push(machine);
        self.machines.last_mut().expect("just added")
    }

    /// Starts another machine, and waits until it accepts workers.
    pub(super) fn add_ready_machine(&mut self, name: &str) {
        self.add_machine(name);
        wait_for_state(&self.nats, name, |state| state["has_room"] == true);
    }

    pub(super) fn restart_circle(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.circle.restart(&args);
    }

    pub(super) fn connect(&self) -> WireClient {
        self.circle.connect()
    }

    /// Waits until no machine has a worker, and each one that runs says so.
    pub(super) fn wait_until_idle(&mut self) {
        for machine in &mut self.machines {
            machine.wait_for_workers(0);
            if machine.is_running() {
                wait_for_state(&self.nats, &machine.name, |state| state["used"] == 0);
            }
        }
    }
}

/// Repeats a play that no machine could run, until it succeeds. Returns its value.
pub(super) fn play_when_possible(client: &mut WireClient, script: &str) -> Value {
    eventually(|| {
        let answer = client.play(script);
        if answer.get("result").is_some() {
            return Ok(answer["result"]["value"].clone());
        }
        let code = answer["error"]["code"].clone();
        assert!(code == -32006 || code == -32009, "{answer}");
        Err(answer)
    })
}

/// The number that each key has in the store.
pub(super) fn counts(client: &mut WireClient, keys: &[String]) -> Vec<u64> {
    let script =
        format!("let counts = []; for key in {} {{ counts.push(store::get(`n/${{key}}`, 0)); }} counts", json!(keys));
    let counts = play_when_possible(client, &script);
    serde_json::from_value(counts).expect("numbers")
}

fn write_new(path: &Path, text: &str) {
    if !path.exists() {
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("made");
        fs::write(path, text).expect("written");
    }
}
