//! Clients that do not read, or send too much.

use serde_json::json;

use crate::support::process::{self, ServeProcess};

#[test]
fn client_that_does_not_read_slows_only_itself_and_deadlines_hold() {
    let server = ServeProcess::start(&["--limit", "output_kib=1048576", "--limit", "play_ms=1500"]);
    let (mut deaf, mut other) = (server.connect(), server.connect());
    let line = "x".repeat(2000);
    let play = deaf.request("play", json!([format!("let n = 0; loop {{ n += 1; print(`{line}`) }}")]));
    // Meanwhile the circle serves another client, for nearly as long as the play of the client that does not read.
    assert_eq!(other.call("play", json!(["loop {}", 1400]))["error"]["data"]["limit"], "time");
    for _ in 0..100 {
        assert_eq!(other.value("40 + 2"), 42);
    }
    let resident = |worker| process::memory_kib(worker, "VmRSS:");
    let memory = server.resident_kib() + server.workers().into_iter().map(resident).sum::<u64>();
    assert!(memory < 100 << 10, "{memory} KiB");
    // When the client reads, it gets all prints and then the error.
    let error = deaf.answer(&play)["error"].clone();
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32004), &json!({ "limit": "time", "max": 1500, "setting": "play_ms" }))
    );
    let printed = deaf.notifications.iter().filter(|message| message["method"] == "play.output").count();
    assert!(printed > 10, "{printed}");
    assert!(deaf.value("n").as_u64() >= Some(printed as u64));
}

/// Unsent and unread bytes in the sockets of a port and their peers: the fifth column of `/proc/net/tcp`.
fn waiting_in_the_kernel(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let port = format!(":{port:04X}");
    let lines = table.lines().filter(|line| line.split_whitespace().skip(1).take(2).any(|end| end.ends_with(&port)));
    let queues = lines.filter_map(|line| line.split_whitespace().nth(4)?.split_once(':'));
    let bytes = |hex| u64::from_str_radix(hex, 16).expect("a number");
    // For a listening socket the column counts connections.
    queues.map(|(to_send, to_read)| bytes(to_send) + bytes(to_read)).sum()
}

#[test]
fn unread_prints_use_bounded_memory() {
    let server = ServeProcess::start(&["--limit", "output_kib=1048576", "--limit", "play_ms=3000"]);
    let mut other = server.connect();
    other.authenticate(&keys::KeyPair::generate().expect("a key"));
    other.value("1");
    let before = process::memory_kib(server.pid(), "VmHWM:");
    let line = "x".repeat(2000);
    let scripts =
        [format!("loop {{ print(`{line}`) }}"), "loop { print(``) }".into(), format!("loop {{ debug(`{line}`) }}")];
    let mut deaf: Vec<_> = (0..9).map(|_| server.connect()).collect();
    let plays: Vec<_> = deaf
        .iter_mut()
        .zip(scripts.iter().cycle())
        .map(|(wire, script)| wire.request("play", json!([script])))
        .collect();
    // The workers block as soon as nobody takes their prints, long before their timeout.
    let mut most = 0;
    assert_eq!(other.call("play", json!(["loop {}", 1500]))["error"]["data"]["limit"], "time");
    for worker in server.workers() {
        most = most.max(process::memory_kib(worker, "VmHWM:"));
    }
    assert!(most < 24 << 10, "a worker had {most} KiB");
    let grown = process::memory_kib(server.pid(), "VmHWM:") - before;
    // Per connection: 256 KiB of frames, as much in the actor, an event in the outbox and one from the worker.
    assert!(grown < 9 * 2048, "the server had {grown} KiB more");
    let port = server.authority().rsplit_once(':').expect("a port").1.parse().expect("a number");
    let kernel = waiting_in_the_kernel(port);
    // Send buffers of the circle, and receive windows of the clients.
    assert!(kernel > 0 && kernel < 9 << 20, "{kernel} bytes wait in the kernel");
    // All plays end at their timeout even if nobody reads, and no environment is lost.
    for (wire, play) in deaf.iter_mut().zip(plays) {
        let error = wire.answer(&play)["error"].clone();
        assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32004), &json!("time")), "{error}");
        assert_eq!(wire.value("40 + 2"), 42);
    }
}

#[test]
fn pipelined_requests_are_all_answered() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let mut writer = wire.socket.get_ref().try_clone().expect("a descriptor");
    let ids: Vec<_> = (0..1000).map(|n| json!(format!("r{n}"))).collect();
    // Frames are written without reading, with a mask of zeros (RFC 6455 §5.3).
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
fn flood_of_empty_objects_uses_bounded_memory() {
    let server = ServeProcess::open();
    let wire = server.connect();
    let mut writer = wire.socket.get_ref().try_clone().expect("a descriptor");
    writer.set_write_timeout(Some(std::time::Duration::from_millis(500))).expect("a timeout");
    let chunk = b"\x81\x82\0\0\0\0{}".repeat(10_000);
    // Until the circle stops reading, because nobody reads its answers.
    let mut sent = 0;
    while sent < 1000 && std::io::Write::write_all(&mut writer, &chunk).is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "everything was taken");
    let memory = server.resident_kib();
    assert!(memory < 60 << 10, "{memory} KiB");
    assert_eq!(server.connect().value("1"), 1);
}
