//! Tests of the page of `GET /metrics`.

#![expect(clippy::float_cmp, reason = "what is counted is whole")]

use std::collections::BTreeMap;

use protocol::{Limits, error::PlayLimit};

use super::*;

fn metrics() -> Arc<Metrics> {
    let limits = Limits::default();
    let (memory, sockets) = (MemoryQuota::new(&limits), Connections::new(&limits, true));
    Arc::new(Metrics::new("team", memory, sockets, FairSemaphore::new(8, 8), None, None))
}

/// Returns the samples of a page. Each line must be a sample or a comment.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in page.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(samples.insert(series.to_owned(), value.parse().expect("a number")).is_none(), "{series} twice");
    }
    samples
}

#[test]
fn series_exist_at_start_and_have_help() {
    let page = metrics().prometheus();
    for outcome in PlayOutcome::ALL {
        assert!(page.contains(&format!("circles_plays_total{{outcome=\"{}\"}} 0\n", outcome.value())), "{page}");
    }
    assert!(page.contains("circles_info{circle=\"team\",version=\""), "{page}");
    for series in samples(&page).keys() {
        let name = series.split('{').next().expect("a name");
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(page.contains(&format!("# HELP {family} ")) && page.contains(&format!("# TYPE {family} ")), "{family}");
    }
}

#[test]
fn rate_limited_requests_are_counted_by_identity() {
    let metrics = metrics();
    let mut session = SessionCounts::new(metrics.clone());
    session.count_rate_limited();
    session.authenticate();
    session.count_rate_limited();
    session.count_rate_limited();
    let seen = samples(&metrics.prometheus());
    assert_eq!(seen["circles_requests_rate_limited_total{identity=\"anonymous\"}"], 1.0);
    assert_eq!(seen["circles_requests_rate_limited_total{identity=\"key\"}"], 2.0);
}

#[test]
fn play_is_counted_once_whatever_its_outcome() {
    let metrics = metrics();
    let mut one = SessionCounts::new(metrics.clone());
    let mut other = SessionCounts::new(metrics.clone());
    one.authenticate();
    one.authenticate();
    for _ in 0..5 {
        one.admit_play();
        other.admit_play();
    }
    one.finish_play(PlayOutcome::of(Ok(())));
    one.finish_play(PlayOutcome::of(Err(&RpcError::LimitExceeded { limit: PlayLimit::Time, max: 1, setting: None })));
    other.reject_play(&RpcError::Unauthenticated);
    assert_eq!(metrics.snapshot().plays, 1, "plays with the same outcome are reported together");
    one.report();
    other.report();
    let snapshot = metrics.snapshot();
    assert_eq!((snapshot.connections, snapshot.plays, snapshot.queued_plays), (2, 3, 8));
    let seen = samples(&metrics.prometheus());
    assert_eq!(seen["circles_sessions{identity=\"key\"}"], 1.0);
    assert_eq!(seen["circles_sessions{identity=\"anonymous\"}"], 1.0);
    drop((one, other));
    let seen = samples(&metrics.prometheus());
    assert_eq!(seen["circles_plays_total{outcome=\"disconnected\"}"], 8.0);
    let outcomes = seen.iter().filter(|(series, _)| series.starts_with("circles_plays_total"));
    assert_eq!(outcomes.map(|(_, value)| value).sum::<f64>(), 11.0);
    let snapshot = metrics.snapshot();
    assert_eq!((snapshot.connections, snapshot.plays, snapshot.queued_plays), (0, 11, 0));
    assert_eq!(seen["circles_sessions{identity=\"key\"}"], 0.0);
}

#[test]
fn play_with_a_grant_is_timed() {
    let metrics = metrics();
    drop(PlayTimer::new(metrics.clone()));
    let mut timer = PlayTimer::new(metrics.clone());
    let long_ago = Instant::now().checked_sub(Duration::from_millis(700));
    timer.start(long_ago.expect("the machine has run for so long"));
    drop(timer);
    let seen = samples(&metrics.prometheus());
    let bucket = |le: &str| seen[&format!("circles_play_seconds_bucket{{le=\"{le}\"}}")];
    assert_eq!((bucket("0.5"), bucket("60"), bucket("+Inf")), (0.0, 1.0, 1.0));
    assert_eq!(seen["circles_play_seconds_count"], 1.0);
    assert!(seen["circles_play_seconds_sum"] >= 0.7);
}

/// Ten million unsorted times would take 160 MB.
#[cfg(target_os = "linux")]
#[test]
fn recorded_times_do_not_accumulate_without_requests() {
    let metrics = metrics();
    let before = metrics.snapshot().server_bytes;
    let now = Instant::now();
    for _ in 0..10_000_000 {
        metrics.record_play_time(now.elapsed());
    }
    // Another test of this process may have allocated its 64 MiB meanwhile.
    let grown = metrics.snapshot().server_bytes.saturating_sub(before);
    assert!(grown < 90 << 20, "{grown}");
    assert_eq!(samples(&metrics.prometheus())["circles_play_seconds_count"], 1e7);
}

#[test]
fn circles_in_one_process_count_separately() {
    let (one, other) = (metrics(), metrics());
    SessionCounts::new(one.clone()).reject_play(&RpcError::ShuttingDown);
    let series = "circles_plays_total{outcome=\"shutting_down\"}";
    assert_eq!((samples(&one.prometheus())[series], samples(&other.prometheus())[series]), (1.0, 0.0));
}
