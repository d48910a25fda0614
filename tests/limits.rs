//! Tests of every limit: a script just over a limit gets an error with the limit's name and `max` in the unit of the setting;
//! a script just within the limit does not.

use keys::KeyPair;
use serde_json::{Value, json};

use crate::support::process::ServeProcess;

/// A limit of a play.
struct LimitCase {
    setting: &'static str,
    within: String,
    beyond: String,
    /// Name of the limit in the error's `data`.
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
    // Rhai does not count properties that are assigned one by one.
    let properties =
        |count| format!("let m = #{{}}; for i in 0..{count} {{ let n = #{{}}; n[`k${{i}}`] = i; m.mixin(n); }}");
    vec![
        case("play_ms=700", "1", "loop {}", "time"),
        case("operations=5000", "for i in 0..500 {}", "for i in 0..50000 {}", "operations"),
        case("output_kib=3", "let s = ``; s.pad(3000, 'x'); s", "let s = ``; s.pad(3100, 'x'); s", "output"),
        // Each print counts 256 bytes in addition to its text.
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
        // A blob counts its bytes.
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
        let (name, max) = setting.split_once('=').expect("a setting");
        let max: u64 = max.parse().expect("a number");
        wire.value("let kept = 7;");
        let answer = wire.play(&within);
        assert!(answer.get("result").is_some(), "{setting}: {answer}");
        let error = wire.error(&beyond);
        assert_eq!(
            (&error["code"], &error["data"]),
            (&json!(-32004), &json!({ "limit": limit, "max": max, "setting": name })),
            "{setting}: {error}"
        );
        assert_eq!(wire.value("kept"), 7, "{setting}");
    }
}

/// Limits with tests elsewhere: name of the limit, source of the test, name of the test.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("queued_plays", include_str!("wire/session.rs"), "full_queue_is_busy"),
    ("queued_kib", include_str!("wire/session.rs"), "full_queue_is_busy"),
    ("message_kib", include_str!("wire/transport.rs"), "message_of_maximum_size_is_accepted"),
    ("batch", include_str!("wire/rpc.rs"), "batch_is_bounded_in_members_and_results"),
    ("idle_s", include_str!("workers.rs"), "idle_anonymous_session_returns_its_worker"),
    ("connections", include_str!("serve.rs"), "connection_limit_answers_503"),
    ("unauthenticated_per_address", include_str!("strangers.rs"), "address_has_a_limit_of_unauthenticated_connections"),
    ("login_s", include_str!("strangers.rs"), "anonymous_client_is_disconnected_after_the_authentication_timeout"),
    ("connection_mib", include_str!("strangers.rs"), "anonymous_clients_cannot_exhaust_a_circle"),
    ("workers", include_str!("workers.rs"), "workers_of_a_circle_are_bounded"),
    ("sessions_per_caller", include_str!("workers.rs"), "workers_of_one_caller_are_bounded"),
    ("running_plays", include_str!("limits.rs"), "concurrent_plays_are_bounded"),
    ("running_per_caller", include_str!("limits.rs"), "concurrent_plays_are_bounded"),
    ("host_calls", include_str!("../server_ws/tests/host/limits.rs"), "calls_are_limited_in_number_and_size"),
    ("host_kib", include_str!("../server_ws/tests/host/limits.rs"), "calls_are_limited_in_number_and_size"),
    ("running_host_calls", include_str!("../server_ws/tests/host/limits.rs"), "excess_call_waits_for_grant"),
    (
        "host_calls_per_caller",
        include_str!("../server_ws/tests/host/limits.rs"),
        "calls_of_one_caller_do_not_block_another",
    ),
    ("total_mib", include_str!("memory.rs"), "memory_of_all_workers_is_bounded"),
    ("memory_per_caller_mib", include_str!("memory.rs"), "memory_of_one_caller_is_bounded"),
    ("call_ms", include_str!("wire/calls.rs"), "call_ends_at_the_time_of_the_circle_or_of_its_request"),
    ("queued_calls", include_str!("wire/calls.rs"), "waiting_calls_of_a_session_are_bounded"),
    ("running_calls", include_str!("wire/calls.rs"), "concurrent_calls_are_bounded"),
    ("calls_per_caller", include_str!("wire/calls.rs"), "concurrent_calls_are_bounded"),
    ("function_workers", include_str!("wire/calls.rs"), "concurrent_calls_are_bounded"),
    (
        "store_reads",
        include_str!("../server_ws/tests/functions/store/values.rs"),
        "limits_of_a_transaction_can_be_caught",
    ),
    (
        "store_writes",
        include_str!("../server_ws/tests/functions/store/values.rs"),
        "limits_of_a_transaction_can_be_caught",
    ),
    (
        "store_kib",
        include_str!("../server_ws/tests/functions/store/values.rs"),
        "limits_of_a_transaction_can_be_caught",
    ),
    (
        "value_kib",
        include_str!("../server_ws/tests/functions/store/values.rs"),
        "limits_of_a_transaction_can_be_caught",
    ),
    ("events", include_str!("../server_ws/tests/functions/store/values.rs"), "limits_of_a_transaction_can_be_caught"),
    ("store_mib", include_str!("../server_ws/tests/functions/store/values.rs"), "full_store_takes_deletes"),
    ("log_mib", include_str!("../server_ws/tests/subscriptions/resume.rs"), "cursor_before_the_log_is_a_gap"),
    ("per_minute", include_str!("wire/rate.rs"), "requests_per_minute_of_a_caller_are_bounded"),
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

/// A waiting play is no error, so the test shows that the play does not begin.
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
        // Enough time for the play to begin, if it could.
        for _ in 0..500 {
            second.call("describe", json!([]));
        }
        assert_eq!(second.call("cancel", json!([waiting]))["result"]["cancelled"], true);
        assert_eq!(second.answer(&waiting)["error"]["code"], -32005);
        assert!(second.notifications.is_empty(), "{:?}", second.notifications);
        // The play begins when another ends.
        let waiting = second.request("play", json!(["40 + 2"]));
        assert_eq!(first.call("cancel", json!([running]))["result"]["cancelled"], true);
        assert_eq!(second.answer(&waiting)["result"]["value"], 42);
        if is_same_caller {
            // Another caller has a limit of its own.
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
