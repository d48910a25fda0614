//! A client that does not read, or floods.

use serde_json::json;

use crate::support::process::Server;

#[test]
fn a_client_that_does_not_read_slows_only_itself_and_its_deadline_is_kept() {
    let server = Server::start(&["--limit", "output_kib=1048576", "--limit", "play_ms=1500"]);
    let (mut deaf, mut other) = (server.connect(), server.connect());
    let line = "x".repeat(2000);
    let play = deaf.request("play", json!([format!("let n = 0; loop {{ n += 1; print(`{line}`) }}")]));
    // Meanwhile another client is served, with a play of its own that lasts for longer than the deaf one may.
    assert_eq!(other.call("play", json!(["loop {}", 1400]))["error"]["data"]["limit"], "time");
    for _ in 0..100 {
        assert_eq!(other.value("40 + 2"), 42);
    }
    let memory = resident_kib(server.pid().as_raw_nonzero().get())
        + server.workers().iter().map(|worker| resident_kib(worker.as_raw_nonzero().get())).sum::<u64>();
    assert!(memory < 100 << 10, "{memory} KiB");
    // Once it reads, all that was printed is there, and then the limit.
    let error = deaf.answer(&play)["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(-32004), &json!({ "limit": "time", "max": 1500 })));
    let printed = deaf.notifications.iter().filter(|message| message["method"] == "play.output").count();
    assert!(printed > 10, "{printed}");
    assert!(deaf.value("n").as_u64() >= Some(printed as u64));
}

fn resident_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("Linux");
    line.split_whitespace().nth(1).expect("a figure").parse().expect("a number")
}

#[test]
fn a_thousand_requests_at_once_are_all_answered() {
    let server = Server::open();
    let mut wire = server.connect();
    let mut writer = wire.socket.get_ref().try_clone().expect("a descriptor");
    let ids: Vec<_> = (0..1000).map(|n| json!(format!("r{n}"))).collect();
    // Written without reading, by hand: masked with zeros (RFC 6455 §5.3).
    let mut bytes = Vec::new();
    for id in &ids {
        let text = json!({ "jsonrpc": "2.0", "id": id, "method": "play", "params": ["1"] }).to_string();
        bytes.extend([0x81, 0x80 | u8::try_from(text.len()).expect("short"), 0, 0, 0, 0]);
        bytes.extend(text.as_bytes());
    }
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &bytes));
    let (mut ok, mut busy) = (0, 0);
    for id in &ids {
        let answer = wire.answer(id);
        match answer["error"]["code"].as_i64() {
            None => ok += 1,
            Some(-32006) => busy += 1,
            Some(_) => panic!("{answer}"),
        }
    }
    writing.join().expect("it ends").expect("it is taken");
    assert!(ok >= 64 && ok + busy == 1000, "{ok} {busy}");
}

#[test]
fn a_flood_of_empty_objects_costs_a_bounded_amount_of_memory() {
    let server = Server::open();
    let wire = server.connect();
    let mut writer = wire.socket.get_ref().try_clone().expect("a descriptor");
    writer.set_write_timeout(Some(std::time::Duration::from_millis(500))).expect("a timeout");
    let chunk = b"\x81\x82\0\0\0\0{}".repeat(10_000);
    // Until the circle takes no more, because nobody reads its answers.
    let mut sent = 0;
    while sent < 1000 && std::io::Write::write_all(&mut writer, &chunk).is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "everything was taken");
    let memory = resident_kib(server.pid().as_raw_nonzero().get());
    assert!(memory < 60 << 10, "{memory} KiB");
    assert_eq!(server.connect().value("1"), 1);
}
