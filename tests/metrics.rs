//! `GET /metrics`: counters, format, and what it must not contain.

#![expect(clippy::float_cmp, reason = "what is counted is whole")]

use std::collections::{BTreeMap, HashMap};

use keys::KeyPair;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::{
    eventually,
    http::{UPGRADE, exchange, get, own},
    process::ServeProcess,
};

/// Result of a scrape.
struct MetricsPage {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl MetricsPage {
    fn of(server: &ServeProcess) -> Self {
        let (status, head, text) = exchange(server.authority(), "/metrics", &own(server));
        assert_eq!(status, 200, "{text}");
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        let samples = parse(&text);
        Self { text, samples }
    }

    /// Scrapes until the page satisfies a condition.
    fn wait_for(server: &ServeProcess, is_right: impl Fn(&Self) -> bool) -> Self {
        eventually(|| {
            let page = Self::of(server);
            if is_right(&page) { Ok(page) } else { Err(page.text) }
        })
    }

    #[track_caller]
    fn expect_value(&self, series: &str, value: u32) {
        assert_eq!(self.value(series), f64::from(value), "{series}");
    }

    fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("{series}\n{}", self.text))
    }

    fn plays(&self) -> HashMap<&str, f64> {
        let label = |series: &'_ String| -> Option<usize> {
            series.starts_with("circles_plays_total{outcome=\"").then_some("circles_plays_total{outcome=\"".len())
        };
        let all = self.samples.iter().filter_map(|(series, value)| Some((&series[label(series)?..], *value)));
        all.map(|(rest, value)| (rest.trim_end_matches("\"}"), value)).filter(|(_, value)| *value > 0.0).collect()
    }
}

/// Parses a page, and checks the format and order of its lines.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|character| character.is_ascii_lowercase() || character == '_')
    };
    let (mut samples, mut families) = (BTreeMap::new(), Vec::new());
    let (mut described, mut family) = ("", ("", ""));
    assert!(text.ends_with('\n'));
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a text");
            assert!(is_name(name) && help.ends_with('.'), "{line}");
            described = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, described, "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(!families.contains(&name), "{name} is in one place");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            families.push(name);
            family = (name, kind);
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let (of, kind) = family;
            match kind {
                "histogram" => {
                    assert!(["_bucket", "_sum", "_count"].map(|end| format!("{of}{end}")).contains(&name.into()));
                }
                _ => assert_eq!(name, of, "{line}"),
            }
            for label in labels.strip_suffix('}').unwrap_or_default().split(',').filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once('=').expect("a value");
                assert!(is_name(label) && value.starts_with('"') && value.ends_with('"') && value.len() > 2, "{line}");
            }
            let value: f64 = value.parse().expect("a number");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there once");
        }
    }
    let mut before = 0.0;
    for (_, count) in buckets(&samples) {
        assert!(count >= before, "each bucket holds those below it");
        before = count;
    }
    assert_eq!(before, samples["circles_play_seconds_count"]);
    samples
}

/// Buckets of the histogram, by their bounds.
fn buckets(samples: &BTreeMap<String, f64>) -> Vec<(f64, f64)> {
    let bound = |series: &str| -> Option<f64> {
        series.strip_prefix("circles_play_seconds_bucket{le=\"")?.strip_suffix("\"}")?.parse().ok()
    };
    let mut buckets: Vec<_> = samples.iter().filter_map(|(series, count)| Some((bound(series)?, *count))).collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    buckets
}

fn line(id: u64, method: &str, params: &serde_json::Value) -> serde_json::Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

#[test]
fn metrics_count_each_play_once_by_outcome() {
    let server = ServeProcess::start(&["--limit", "queued_plays=4", "--limit", "output_kib=2"]);
    let mut wire = server.connect();
    let mut expected = HashMap::new();
    let mut count = |outcome: &'static str, plays: u32| *expected.entry(outcome).or_insert(0.0) += f64::from(plays);

    wire.value("40 + 2");
    count("ok", 1);
    wire.error("throw 1");
    wire.error("let = ");
    count("script_error", 2);
    wire.call("play", json!({ "script": "let a = 1; while true { a = [a.type_of()]; }", "timeout_ms": 1 }));
    count("limit_time", 1);
    wire.error("for n in 0..100 { print(\"a line that is told\") }");
    count("limit_output", 1);
    wire.error("fn deep(n) { deep(n + 1) } deep(0)");
    count("limit_depth", 1);
    wire.call("play", json!({ "script": "1", "bind": "no name" }));
    wire.call("play", json!({ "text": "1" }));
    count("invalid", 2);

    // A running play, queued plays, a play beyond the queue, and a duplicate id.
    let running = wire.request("play", json!(["loop {}"]));
    let queued: Vec<_> = (0..4).map(|_| wire.request("play", json!(["1"]))).collect();
    let page = MetricsPage::wait_for(&server, |page| page.value("circles_queued_plays") == 4.0);
    page.expect_value("circles_running_plays", 1);
    page.expect_value("circles_workers", 1);
    page.expect_value("circles_connections", 1);
    wire.play("too much");
    count("busy_queued", 1);
    wire.send(json!({ "jsonrpc": "2.0", "id": queued[0], "method": "play", "params": ["1"] }).to_string());
    count("invalid", 1);
    for id in [&queued[1], &running] {
        assert_eq!(wire.call("cancel", json!([id]))["result"]["cancelled"], true);
    }
    count("cancelled", 2);
    for index in [0, 2, 3] {
        wire.answer(&queued[index]);
    }
    count("ok", 3);

    // Notifications count as plays, too.
    wire.send(r#"{"jsonrpc":"2.0","method":"play","params":["1"]}"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"play","params":["throw 2"]}"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"play","params":[]}"#);
    wire.value("3");
    count("ok", 2);
    count("script_error", 1);
    count("invalid", 1);

    // Members of a batch count, including the one whose result does not fit.
    let large = json!({ "script": "let s = \"\"; s.pad(1500, 'x'); s" });
    let batch = [(1, large.clone()), (2, large), (3, json!(["4"])), (4, json!(["throw 5"]))];
    let batch: Vec<_> = batch.iter().map(|(id, params)| line(*id, "play", params)).collect();
    let answers = wire.exchange(&json!(batch).to_string());
    let replaced = answers.as_array().expect("an array").iter().find(|answer| answer["id"] == 2).expect("the second");
    assert_eq!(replaced["error"]["data"]["limit"], "output");
    count("ok", 2);
    count("limit_output", 1);
    count("script_error", 1);

    // A killed worker loses the queued plays, too.
    let lost = wire.request("play", json!({ "script": "print(\"begun\"); loop {}" }));
    let behind = wire.request("play", json!(["1"]));
    wire.expect_print("begun");
    server.workers().into_iter().for_each(|worker| kill_process(worker, Signal::KILL).expect("it is there"));
    assert_eq!(wire.answer(&lost)["error"]["code"], -32009);
    assert_eq!(wire.answer(&behind)["error"]["code"], -32009);
    count("lost_killed", 2);

    // Plays of a disconnected client count.
    let mut gone = server.connect();
    for script in ["print(\"begun\"); loop {}", "1", "2"] {
        gone.request("play", json!([script]));
    }
    gone.expect_print("begun");
    drop(gone);
    count("disconnected", 3);

    let sent = expected.values().sum::<f64>();
    let page = MetricsPage::wait_for(&server, |page| page.plays().values().sum::<f64>() >= sent);
    assert_eq!(page.plays(), expected);
    let page = MetricsPage::wait_for(&server, |page| page.value("circles_connections") < 2.0);
    page.expect_value("circles_queued_plays", 0);
    page.expect_value("circles_running_plays", 0);
    page.expect_value("circles_environments_lost_total{reason=\"killed\"}", 1);
}

#[test]
fn metrics_count_authentications_and_rejections() {
    let keypair = KeyPair::generate().expect("a key");
    let member = keypair.public_key().to_hex();
    let server = ServeProcess::start(&["--member", &member, "--limit", "connections=2"]);
    let (mut wire, other) = (server.connect(), server.connect());
    assert_eq!(wire.play("1")["error"]["code"], -32001);
    wire.send(r#"{"jsonrpc":"2.0","method":"play","params":["1"]}"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"scope"}"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"nothing"}"#);
    wire.authenticate(&KeyPair::generate().expect("another"));
    wire.call("authenticate", json!([member, "00".repeat(64)]));
    wire.call("authenticate", json!(["no key", "no signature"]));
    assert_eq!(wire.authenticate(&keypair)["result"]["authenticated"], true);

    let headers = own(&server);
    assert_eq!(get(server.authority(), "/metrics", "host: evil.example\r\n").0, 421);
    assert_eq!(get(server.authority(), "/", &format!("host: evil.example\r\n{UPGRADE}")).0, 421);
    assert_eq!(get(server.authority(), "/", &format!("{headers}{UPGRADE}origin: https://evil.example\r\n")).0, 403);
    assert_eq!(get(server.authority(), "/", &format!("{headers}{}", UPGRADE.replace("13", "8"))).0, 426);
    assert_eq!(get(server.authority(), "/", &format!("{headers}{UPGRADE}content-length: 1\r\n")).0, 400);

    let page = MetricsPage::of(&server);
    page.expect_value("circles_plays_total{outcome=\"unauthenticated\"}", 2);
    page.expect_value("circles_notifications_refused_total{reason=\"unauthenticated\"}", 2);
    page.expect_value("circles_notifications_refused_total{reason=\"invalid\"}", 1);
    page.expect_value("circles_authentications_total{outcome=\"ok\"}", 1);
    page.expect_value("circles_authentications_total{outcome=\"forbidden\"}", 1);
    page.expect_value("circles_authentications_total{outcome=\"invalid_credentials\"}", 2);
    page.expect_value("circles_sessions{identity=\"key\"}", 1);
    page.expect_value("circles_sessions{identity=\"anonymous\"}", 1);
    for (reason, times) in [("host", 2), ("origin", 1), ("version", 1), ("full", 0), ("draining", 0), ("handshake", 1)]
    {
        page.expect_value(&format!("circles_connections_refused_total{{reason=\"{reason}\"}}"), times);
    }
    assert!(page.value("circles_memory_bytes{of=\"server\"}") > 100_000.0);
    drop((wire, other));
    MetricsPage::wait_for(&server, |page| page.value("circles_sessions{identity=\"key\"}") == 0.0);
}

#[test]
fn metrics_measure_play_durations_and_worker_memory() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.call("play", json!({ "script": "loop {}", "timeout_ms": 300 }));
    wire.value("let held = []; held.pad(90000, 1.5); 1");
    // The circle samples memory a quarter of a second after the worker's last use.
    let held = |page: &MetricsPage| page.value("circles_memory_bytes{of=\"workers\"}");
    let page = MetricsPage::wait_for(&server, |page| held(page) > f64::from(1 << 20));
    let below = |bound: f64| buckets(&page.samples).iter().find(|(le, _)| *le == bound).expect("a bucket").1;
    // The second play may take any time on a busy machine.
    assert!(below(0.25) <= 1.0, "the first one took longer");
    assert_eq!(below(f64::INFINITY), 2.0);
    let seconds = page.value("circles_play_seconds_sum");
    assert!(seconds >= 0.3, "{seconds}");
    for layer in ["process", "memory", "syscalls"] {
        page.expect_value(&format!("circles_sandbox_layer{{layer=\"{layer}\"}}"), 1);
    }
    wire.call("reset", json!([]));
    MetricsPage::wait_for(&server, |page| held(page) == 0.0).expect_value("circles_workers", 0);
}

/// Client input neither adds series nor appears in them.
#[test]
fn metrics_contain_no_client_input() {
    const WORD: &str = "xyzzy";
    let server = ServeProcess::open();
    let before = MetricsPage::of(&server);
    let mut wire = server.connect();
    let keypair = KeyPair::generate().expect("a key");
    wire.authenticate(&keypair);
    wire.value(&format!("let {WORD} = \"{WORD}\"; print({WORD}); {WORD}"));
    wire.error(&format!("throw \"{WORD}\""));
    wire.call(WORD, json!([WORD]));
    wire.call("play", json!({ "script": "1", "bind": WORD, WORD: WORD }));
    wire.call("lookup", json!([WORD]));
    wire.send(json!({ "jsonrpc": "2.0", "id": WORD, "method": "play", "params": [WORD] }).to_string());
    wire.send(json!({ "jsonrpc": "2.0", "method": WORD }).to_string());
    let headers = own(&server);
    get(server.authority(), &format!("/{WORD}"), &headers);
    get(server.authority(), "/", &format!("{headers}{UPGRADE}origin: https://{WORD}.example\r\n"));
    get(server.authority(), "/", &format!("host: {WORD}.example\r\n"));
    wire.value("1");
    let after = MetricsPage::of(&server);
    assert!(!after.text.contains(WORD), "{}", after.text);
    assert!(!after.text.contains(&keypair.public_key().to_hex()));
    assert!(before.samples.keys().eq(after.samples.keys()), "{}", after.text);
}

#[test]
fn metrics_follow_the_store() {
    let server = ServeProcess::start(&["--store", ":memory:", "--limit", "store_mib=1"]);
    let keypair = KeyPair::generate().expect("a key");
    let mut wire = server.connect();
    wire.authenticate(&keypair);
    let page = MetricsPage::of(&server);
    page.expect_value("circles_store_revision", 0);
    page.expect_value("circles_store_max_bytes", 1 << 20);
    page.expect_value("circles_subscriptions", 0);
    wire.value("store::put(`a`, 1)");
    wire.value("store::put(`b`, `text`)");
    wire.value("store::get(`a`)");
    wire.error("store::add(`b`, 1)");
    wire.call("subscribe", json!({ "keys": "a" }));
    while wire.notification("event")["snapshot"] != "end" {}
    let page = MetricsPage::wait_for(&server, |page| page.value("circles_store_bytes{of=\"log\"}") > 0.0);
    page.expect_value("circles_store_revision", 2);
    page.expect_value("circles_store_commits_total{outcome=\"ok\"}", 2);
    page.expect_value("circles_store_commits_total{outcome=\"invalid\"}", 1);
    page.expect_value("circles_store_groups_total", 2);
    page.expect_value("circles_subscriptions", 1);
    page.expect_value("circles_store_fault{fault=\"full\"}", 0);
    assert!(page.value("circles_events_total{kind=\"changes\"}") >= 1.0, "{}", page.text);
    assert!(page.value("circles_store_file_bytes") > 0.0, "{}", page.text);
    for number in 0..100 {
        if wire.play(&format!("let text = ``; text.pad(60000, 'x'); store::put(`large/{number}`, text);"))["error"]["code"]
            == -32011
        {
            break;
        }
    }
    let page = MetricsPage::of(&server);
    page.expect_value("circles_store_fault{fault=\"full\"}", 1);
    page.expect_value("circles_store_commits_total{outcome=\"full\"}", 1);
    let without = ServeProcess::start(&[]);
    assert!(!MetricsPage::of(&without).text.contains("circles_store"), "a circle without a store has no such series");
}

#[test]
fn every_series_is_documented() {
    let server = ServeProcess::start(&["--store", ":memory:"]);
    let page = MetricsPage::of(&server);
    let manual = include_str!("../docs/operating.md");
    for line in page.text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let name = line.split(' ').next().expect("a name");
        assert!(manual.contains(&format!("`{name}`")) || manual.contains(&format!("`{name}{{")), "{name}");
    }
}
