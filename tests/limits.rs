//! Each limit of a circle by its name: what meets it is told so, with `max` in the unit of the setting, and what is just
//! within it is not.

use keys::KeyPair;
use serde_json::{Value, json};

use crate::support::process::ServeProcess;

/// A limit of a play.
struct LimitCase {
    setting: &'static str,
    within: String,
    beyond: String,
    /// In `data`, beside the number that was set.
    limit: &'static str,
}

fn cases() -> Vec<LimitCase> {
    let case = |setting, within: &str, beyond: &str, limit| LimitCase {
        setting,
        within: within.into(),
        beyond: beyond.into(),
        limit,
    };
    let nested = |depth| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    // Properties that are assigned are not counted yet.
    let properties =
        |count| format!("let m = #{{}}; for i in 0..{count} {{ let n = #{{}}; n[`k${{i}}`] = i; m.mixin(n); }}");
    vec![
        case("play_ms=700", "1", "loop {}", "time"),
        case("operations=5000", "for i in 0..500 {}", "for i in 0..50000 {}", "operations"),
        case("output_kib=3", "let s = ``; s.pad(3000, 'x'); s", "let s = ``; s.pad(3100, 'x'); s", "output"),
        // A print counts 256 bytes more.
        case("output_kib=4", "for i in 0..15 { print(``) }", "for i in 0..17 { print(``) }", "output"),
        case(
            "call_depth=7",
            "fn f(n) { if n > 1 { f(n - 1) } } f(7)",
            "fn f(n) { if n > 1 { f(n - 1) } } f(9)",
            "depth",
        ),
        case("expression_depth=20", &nested(5), &nested(20), "depth"),
        case("string_kib=2", "let s = ``; s.pad(2048, 'x'); 1", "let s = ``; s.pad(2049, 'x'); 1", "size"),
        case("array_items=50", "let a = []; a.pad(50, 0); 1", "let a = []; a.pad(51, 0); 1", "size"),
        // Of a blob, bytes.
        case("array_items=60", "blob(60)", "blob(61)", "size"),
        case("map_items=20", &properties(20), &properties(22), "size"),
        case(
            "memory_mib=20",
            "let a = []; a.pad(90000, 0); let f = |x| x; for i in 0..5 { f = f.curry(a); } f = 0;",
            "let a = []; a.pad(90000, 0); let f = |x| x; for i in 0..50 { f = f.curry(a); }",
            "memory",
        ),
    ]
}

#[test]
fn limit_error_names_the_limit_and_the_session_goes_on() {
    for LimitCase { setting, within, beyond, limit } in cases() {
        let server = ServeProcess::start(&["--limit", setting]);
        let mut wire = server.connect();
        let max: u64 = setting.split_once('=').expect("a setting").1.parse().expect("a number");
        wire.value("let kept = 7;");
        let answer = wire.play(&within);
        assert!(answer.get("result").is_some(), "{setting}: {answer}");
        let error = wire.error(&beyond);
        assert_eq!(
            (&error["code"], &error["data"]),
            (&json!(-32004), &json!({ "limit": limit, "max": max })),
            "{setting}: {error}"
        );
        assert_eq!(wire.value("kept"), 7, "{setting}");
    }
}

/// Limits of a session or a circle: the name, the source of their tests, and a test there.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("queued_plays", include_str!("wire/session.rs"), "a_queue_that_is_full_is_busy"),
    ("queued_kib", include_str!("wire/session.rs"), "a_queue_that_is_full_is_busy"),
    ("message_kib", include_str!("wire/transport.rs"), "a_message_of_just_the_bound_is_taken"),
    ("batch", include_str!("wire/rpc.rs"), "a_batch_is_bounded_in_members_and_results"),
    ("idle_s", include_str!("workers.rs"), "an_anonymous_session_that_does_nothing_gives_its_worker_back"),
    ("connections", include_str!("serve.rs"), "too_many_connections_are_refused_with_503"),
    (
        "unauthenticated_per_address",
        include_str!("strangers.rs"),
        "address_has_so_many_connections_that_have_not_authenticated",
    ),
    ("login_s", include_str!("strangers.rs"), "stranger_that_does_not_authenticate_in_time_is_closed"),
    ("connection_mib", include_str!("strangers.rs"), "strangers_cannot_kill_a_circle"),
    ("workers", include_str!("workers.rs"), "the_circles_workers_are_bounded"),
    ("sessions_per_caller", include_str!("workers.rs"), "one_caller_cannot_take_the_workers_of_the_others"),
    ("running_plays", include_str!("limits.rs"), "the_plays_that_run_at_a_time_are_bounded"),
    ("running_per_caller", include_str!("limits.rs"), "the_plays_that_run_at_a_time_are_bounded"),
    ("host_calls", include_str!("../server_ws/tests/host/limits.rs"), "calls_are_counted_and_their_sizes_bounded"),
    ("host_kib", include_str!("../server_ws/tests/host/limits.rs"), "calls_are_counted_and_their_sizes_bounded"),
    (
        "running_host_calls",
        include_str!("../server_ws/tests/host/limits.rs"),
        "a_call_over_those_that_may_run_waits_its_turn",
    ),
    (
        "host_calls_per_caller",
        include_str!("../server_ws/tests/host/limits.rs"),
        "one_callers_calls_do_not_hold_up_anothers",
    ),
    ("total_mib", include_str!("memory.rs"), "the_workers_of_all_callers_together_are_bounded"),
    ("memory_per_caller_mib", include_str!("memory.rs"), "one_caller_cannot_fill_the_memory_of_the_others"),
    ("per_minute", include_str!("wire/rate.rs"), "requests_of_one_caller_in_a_minute_are_bounded"),
];

#[test]
fn every_limit_of_describe_has_a_test() {
    let server = ServeProcess::open();
    let limits = server.connect().call("describe", json!([]))["result"]["limits"].clone();
    let mut untested: Vec<String> = limits.as_object().expect("limits").keys().cloned().collect();
    let cases = cases();
    untested.retain(|name| !cases.iter().any(|case| case.setting.starts_with(&format!("{name}="))));
    untested.retain(|name| !ELSEWHERE.iter().any(|(tested, ..)| tested == name));
    assert!(untested.is_empty(), "{untested:?}");
    for (name, source, test) in ELSEWHERE {
        assert!(limits.get(name).is_some() && source.contains(&format!("fn {test}(")), "{name}: {test}");
    }
}

/// One that waits is no error; so what is shown is that it does not begin.
#[test]
fn concurrent_plays_are_bounded() {
    for (limits, is_same_caller) in
        [(["running_plays=1", "running_per_caller=9"], false), (["running_plays=9", "running_per_caller=1"], true)]
    {
        let server = ServeProcess::start(&["--limit", limits[0], "--limit", limits[1]]);
        let (mut first, mut second) = (server.connect(), server.connect());
        if !is_same_caller {
            second.authenticate(&KeyPair::generate().expect("a key"));
        }
        second.value("1");
        let running = first.request("play", json!(["print(`begun`); loop {}"]));
        first.expect_print("begun");
        let waiting = second.request("play", json!(["print(`begun`); loop {}"]));
        // Time enough to begin, if it could.
        for _ in 0..500 {
            second.call("describe", json!([]));
        }
        assert_eq!(second.call("cancel", json!([waiting]))["result"]["cancelled"], true);
        assert_eq!(second.answer(&waiting)["error"]["code"], -32005);
        assert!(second.notifications.is_empty(), "{:?}", second.notifications);
        // And begins when it can.
        let waiting = second.request("play", json!(["40 + 2"]));
        assert_eq!(first.call("cancel", json!([running]))["result"]["cancelled"], true);
        assert_eq!(second.answer(&waiting)["result"]["value"], 42);
        if is_same_caller {
            // Another one has others.
            let running = first.request("play", json!(["print(`begun`); loop {}"]));
            first.expect_print("begun");
            let mut other = server.connect();
            other.authenticate(&KeyPair::generate().expect("a key"));
            assert_eq!(other.value("40 + 2"), 42);
            first.call("cancel", json!([running]));
        }
    }
}

#[test]
fn relative_limits_are_described_as_numbers() {
    let server =
        ServeProcess::start(&["--limit", "workers=8", "--limit", "running_plays=40", "--limit", "total_mib=1000"]);
    let limits = server.connect().call("describe", json!([]))["result"]["limits"].clone();
    for (name, value) in [("sessions_per_caller", 2), ("running_per_caller", 10), ("memory_per_caller_mib", 250)] {
        assert_eq!(limits[name], value, "{name}");
    }
    let limits = ServeProcess::open().connect().call("describe", json!([]))["result"]["limits"].clone();
    assert!(limits["total_mib"].as_u64() > Some(0), "{limits}");
    assert_ne!(limits["memory_per_caller_mib"], Value::Null);
}
