use futures_util::FutureExt;
use proptest::prelude::*;

use super::{super::caller::Caller, *};

fn limits() -> Limits {
    Limits { connections: 4, unauthenticated_per_address: 3, connection_mib: Some(4), ..Limits::default() }
}

fn connections(limits: &Limits) -> Connections {
    Connections::new(limits, true)
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn stranger(connections: &Connections, last: u8) -> Result<Arc<Slot>, ConnectionRefusal> {
    let slot = connections.accept(Some(address(last)))?;
    slot.upgrade(address(last)).map(|()| slot)
}

fn member(connections: &Connections, last: u8) -> Result<Arc<Slot>, ConnectionRefusal> {
    let slot = stranger(connections, last)?;
    slot.admit(Caller::anonymous(address(last)));
    Ok(slot)
}

#[test]
fn unauthenticated_connections_of_address_are_limited() {
    let connections = connections(&Limits { connections: 100, connection_mib: Some(400), ..limits() });
    let elsewhere = stranger(&connections, 2).expect("room");
    let member = member(&connections, 1).expect("room");
    let held: Vec<_> =
        (0..20).map(|_| stranger(&connections, 1).expect("another connection of the address makes room")).collect();
    assert_eq!(held.iter().filter(|slot| !slot.is_closed()).count(), 3);
    assert!(!held[19].is_closed() && !member.is_closed() && !elsewhere.is_closed());
    let silent: Vec<_> = (0..99).filter_map(|_| connections.accept(Some(address(3))).ok()).collect();
    let open = silent.iter().filter(|slot| !slot.is_closed()).count();
    assert_eq!((silent.len(), open), (99, 12), "idle sockets are bounded, too");
}

#[test]
fn open_circle_does_not_limit_connections_of_address() {
    let connections = Connections::new(&Limits { connections: 100, ..limits() }, false);
    let held: Vec<_> = (0..50).map(|_| stranger(&connections, 1).expect("room")).collect();
    assert!(held.iter().all(|slot| slot.is_admitted() && !slot.is_stranger()));
}

#[test]
fn strangers_leave_room_for_authenticated_callers() {
    let connections = connections(&limits());
    let strangers: Vec<_> = (10..20).map(|last| stranger(&connections, last).expect("another makes room")).collect();
    let open = || strangers.iter().filter(|slot| !slot.is_closed()).count();
    assert_eq!((open(), connections.totals().closed_for_room), (3, 7));
    let members: Vec<_> = (1..=4).map(|last| member(&connections, last).expect("strangers make room")).collect();
    assert_eq!(open(), 0);
    assert!(members.iter().all(|member| !member.is_closed()));
    assert_eq!(stranger(&connections, 20).expect_err("members alone"), ConnectionRefusal::Full);
}

#[test]
fn idle_sockets_make_room() {
    let connections = connections(&Limits { unauthenticated_per_address: 1000, ..limits() });
    let mut silent = Vec::new();
    for _ in 0..2000 {
        silent.push(connections.accept(None).expect("each new socket is accepted"));
        silent.retain(|slot| !slot.is_closed());
    }
    assert_eq!(silent.len() as u64, ConnectionBounds::new(&limits(), true).sockets);
    assert!(member(&connections, 1).is_ok());
}

#[test]
fn stranger_is_evicted_before_member() {
    let connections = connections(&limits());
    let (small, large) = (stranger(&connections, 1).expect("room"), stranger(&connections, 2).expect("room"));
    let member = member(&connections, 3).expect("room");
    member.set_session_bytes(1 << 20);
    small.hold_inbound(1 << 17);
    large.hold_outbound(3 << 18);
    // Eight are sampled, so the larger of the two is missing only once in 256 times.
    assert!((large.is_closed() || small.is_closed()) && !member.is_closed());
    assert_eq!(connections.totals().closed_for_memory, 1);
}

#[test]
fn largest_caller_is_evicted_if_callers_exceed_their_share() {
    let connections = connections(&limits());
    let stranger = stranger(&connections, 1).expect("room");
    let (modest, greedy) = (member(&connections, 2).expect("room"), member(&connections, 3).expect("room"));
    modest.hold_outbound(1 << 20);
    greedy.hold_outbound(2 << 20);
    assert!(!stranger.is_closed());
    modest.hold_inbound(1 << 18);
    greedy.hold_outbound(4 << 20);
    assert!(greedy.is_closed() && !modest.is_closed() && !stranger.is_closed());
}

#[test]
fn large_caller_makes_room_for_new_caller() {
    let connections = connections(&Limits { connections: 1000, ..limits() });
    let greedy: Vec<_> = (0..30).map(|_| member(&connections, 2).expect("room")).collect();
    for slot in &greedy {
        slot.set_session_bytes(100 << 10);
    }
    assert!(connections.totals().bytes > 3 << 20 && greedy.iter().all(|slot| !slot.is_closed()));
    let modest: Vec<_> = (0..10).map(|_| member(&connections, 3).expect("the other makes room")).collect();
    assert!(modest.iter().all(|slot| !slot.is_closed()));
    assert!(connections.totals().callers_closed_for_memory > 0 && connections.totals().closed_for_memory == 0);
}

#[test]
fn stranger_is_read_up_to_one_message() {
    let connections = connections(&limits());
    let slot = stranger(&connections, 1).expect("room");
    slot.hold_inbound(MAX_STRANGER_MESSAGE);
    assert!(slot.allowance() > 0);
    slot.hold_inbound(2 * MAX_STRANGER_MESSAGE);
    assert_eq!(slot.allowance(), 0);
    slot.release_inbound(2 * MAX_STRANGER_MESSAGE);
    assert!(slot.allowance() > 0);
    slot.hold_inbound(2 * MAX_STRANGER_MESSAGE);
    slot.admit(Caller::anonymous(address(1)));
    assert!(slot.allowance() > 0);
}

#[tokio::test]
async fn stranger_request_waits_for_last_response_to_be_read() {
    let connections = connections(&limits());
    let slot = stranger(&connections, 1).expect("room");
    slot.ready_for_request().await;
    slot.hold_outbound(40_000);
    assert!(slot.ready_for_request().now_or_never().is_none());
    slot.release_outbound(20_000);
    assert!(slot.ready_for_request().now_or_never().is_none());
    slot.release_outbound(20_000);
    slot.ready_for_request().await;
    slot.hold_outbound(40_000);
    slot.admit(Caller::anonymous(address(1)));
    slot.ready_for_request().await;
}

#[test]
fn request_bytes_are_released_by_upgrade() {
    let connections = connections(&limits());
    let slot = connections.accept(Some(address(1))).expect("room");
    slot.hold_inbound(10_000);
    assert_eq!(connections.totals().bytes, IDLE_BYTES + 20_000);
    slot.upgrade(address(1)).expect("room");
    slot.hold_inbound(10_000);
    slot.release_inbound(10_000);
    assert_eq!(connections.totals().bytes, IDLE_BYTES);
}

#[test]
fn buffers_of_tls_count_until_the_socket_ends() {
    let connections = connections(&limits());
    let slot = connections.accept(Some(address(1))).expect("room");
    slot.hold_tls(80_000);
    assert_eq!(connections.totals().bytes, IDLE_BYTES + 80_000);
    slot.upgrade(address(1)).expect("room");
    slot.hold_inbound(10_000);
    slot.release_inbound(10_000);
    assert_eq!(connections.totals().bytes, IDLE_BYTES + 80_000);
    drop(slot);
    assert_eq!(connections.totals().bytes, 0);
}

#[test]
fn closed_connection_counts_until_dropped() {
    let connections = connections(&limits());
    let strangers: Vec<_> = (0..3).map(|last| stranger(&connections, last).expect("room")).collect();
    for slot in &strangers {
        slot.set_session_bytes(1 << 20);
    }
    assert!(strangers.iter().any(|slot| slot.is_closed()));
    assert!(connections.accept(Some(address(9))).is_err(), "evicted sockets hold as much as strangers may");
    drop(strangers);
    assert!(connections.accept(Some(address(9))).is_ok());
}

proptest! {
    /// After any steps in any order, the totals equal the sums over the sockets, they are within their bounds, and
    /// nothing remains at the end.
    #[test]
    fn connection_totals_equal_sums_over_sockets(
        steps in prop::collection::vec((0_u8..5, 0_u8..4, 0_usize..12, 0_usize..(1 << 20)), 0..200),
    ) {
        let connections = connections(&Limits { connections: 8, ..limits() });
        let mut slots: Vec<Arc<Slot>> = Vec::new();
        for (step, last, which, bytes) in steps {
            match (step, slots.get(which)) {
                (0, _) => slots.extend(connections.accept(Some(address(last)))),
                (1, Some(slot)) if !slot.is_admitted() && !slot.is_stranger() => {
                    let _is_upgraded = slot.upgrade(address(last)).is_ok();
                }
                (2, Some(slot)) if slot.is_stranger() => slot.admit(Caller::anonymous(address(last))),
                (3, Some(slot)) => slot.set_session_bytes(bytes),
                (4, Some(_)) => drop(slots.swap_remove(which)),
                _ => {}
            }
            let totals = connections.totals();
            prop_assert_eq!(totals.bytes, connections.lock().recounted_bytes());
            prop_assert!(totals.bytes <= 4 << 20);
        }
        slots.clear();
        prop_assert!(connections.lock().is_empty());
    }
}
