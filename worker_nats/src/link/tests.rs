use bytes::Bytes;

use super::*;
use crate::wire::Heartbeat;

const ID: LinkId = LinkId::from_bytes([1; 16]);

fn pair() -> (Link, Link, Instant) {
    (Link::new(ID, Side::Server), Link::new(ID, Side::Machine), Instant::now())
}

/// Delivers all messages that `from` has now. Returns their number.
fn deliver(from: &mut Link, to: &mut Link, now: Instant) -> usize {
    let mut count = 0;
    while let Some(message) = from.next_message(now) {
        to.receive(&message, now).expect("no violation");
        count += 1;
    }
    count
}

fn data(link: &mut Link, now: Instant) -> Data {
    match link.next_message(now) {
        Some(Message::Data(data)) => data,
        other => panic!("{other:?}"),
    }
}

/// A message of the server, as a faulty one would send it.
fn raw(sequence: u64, body: Body) -> Message {
    let granted = PerChannel { work: WINDOW.work as u64, control: WINDOW.control as u64 };
    Message::Data(Data { link: ID, sequence, ack: 0, granted, body })
}

fn work(bytes: &'static [u8]) -> Body {
    let bytes = PerChannel { work: Bytes::from_static(bytes), ..PerChannel::default() };
    Body { bytes, ..Body::default() }
}

#[test]
fn short_play_costs_one_message_each_way_and_one_late_acknowledgement() {
    let (mut server, mut machine, now) = pair();
    assert_eq!(server.write(Channel::Work, b"play"), 4);
    assert_eq!(deliver(&mut server, &mut machine, now), 1);
    assert_eq!(machine.arrived(Channel::Work), b"play");
    machine.consume(Channel::Work, 4);
    assert_eq!(machine.write(Channel::Control, b"begun"), 5);
    assert_eq!(machine.write(Channel::Work, b"done"), 4);
    assert_eq!(deliver(&mut machine, &mut server, now), 1);
    assert_eq!((server.arrived(Channel::Work), server.arrived(Channel::Control)), (&b"done"[..], &b"begun"[..]));
    assert_eq!((server.unacked_bytes(), machine.unacked_bytes()), (0, 9));
    // The acknowledgement waits for a message to ride on.
    assert_eq!(server.next_message(now), None);
    let later = server.deadline().expect("an acknowledgement");
    assert_eq!(later, now + ACK_DELAY);
    assert_eq!(data(&mut server, later).sequence, 0);
    assert_eq!((server.next_message(later), server.deadline()), (None, None));
}

#[test]
fn lost_message_is_sent_again_after_a_growing_timeout() {
    let (mut server, mut machine, mut now) = pair();
    server.write(Channel::Work, b"play");
    let lost = server.next_message(now).expect("the play");
    for seconds in [2, 4, 8, 8] {
        assert_eq!(server.next_message(now), None);
        assert_eq!(server.deadline(), Some(now + Duration::from_secs(seconds)));
        now += Duration::from_secs(seconds);
        assert_eq!(server.next_message(now), Some(lost.clone()));
    }
    machine.receive(&lost, now).expect("valid");
    // The second copy only repeats the acknowledgement, at once.
    machine.receive(&lost, now).expect("valid");
    assert_eq!(machine.arrived(Channel::Work), b"play");
    assert_eq!(deliver(&mut machine, &mut server, now), 1);
    assert_eq!((server.unacked_bytes(), server.deadline()), (0, None));
}

#[test]
fn reconnection_sends_again_what_has_no_acknowledgement() {
    let (mut server, mut machine, now) = pair();
    for byte in [b"1", b"2", b"3"] {
        server.write(Channel::Work, byte);
        let message = server.next_message(now).expect("a message");
        if byte == b"1" {
            machine.receive(&message, now).expect("valid");
        }
    }
    server.resend(now);
    assert_eq!(deliver(&mut server, &mut machine, now), 3);
    assert_eq!(machine.arrived(Channel::Work), b"123");
}

#[test]
fn reader_that_does_not_read_stops_its_own_channel_only() {
    let (mut server, mut machine, now) = pair();
    let output = vec![7; WINDOW.work + 1];
    assert_eq!(machine.write(Channel::Work, &output), WINDOW.work);
    assert_eq!((machine.room(Channel::Work), machine.room(Channel::Control)), (0, WINDOW.control));
    deliver(&mut machine, &mut server, now);
    deliver(&mut server, &mut machine, now + ACK_DELAY);
    // All bytes have an acknowledgement; the window opens by what the reader consumes.
    assert_eq!((machine.unacked_bytes(), machine.room(Channel::Work)), (0, 0));
    assert_eq!(machine.write(Channel::Control, b"answer"), 6);
    machine.report_loss(Loss::Killed);
    deliver(&mut machine, &mut server, now);
    assert_eq!(server.arrived(Channel::Control), b"answer");
    assert_eq!(server.take_signals().loss, Some(Loss::Killed));
    server.consume(Channel::Work, WINDOW.work / 2 - 1);
    deliver(&mut server, &mut machine, now + 2 * ACK_DELAY);
    let room = machine.room(Channel::Work);
    server.consume(Channel::Work, 1);
    // Half a window is worth a message, which has a number: if it is lost, it is sent again.
    let grant = data(&mut server, now);
    assert!(grant.sequence > 0 && grant.body.is_empty());
    machine.receive(&Message::Data(grant), now).expect("valid");
    assert_eq!((room, machine.room(Channel::Work)), (WINDOW.work / 2 - 1, WINDOW.work / 2));
}

#[test]
fn end_of_a_channel_follows_its_last_byte() {
    let (mut server, mut machine, now) = pair();
    machine.write(Channel::Work, &vec![7; MAX_DATA + 1]);
    machine.end(Channel::Work);
    assert_eq!((machine.room(Channel::Work), machine.write(Channel::Work, b"late")), (0, 0));
    let first = data(&mut machine, now);
    assert!(!first.body.signals.end.work);
    server.receive(&Message::Data(first), now).expect("valid");
    server.consume(Channel::Work, MAX_DATA);
    assert!(!server.has_ended(Channel::Work));
    deliver(&mut machine, &mut server, now);
    assert!(!server.has_ended(Channel::Work));
    server.consume(Channel::Work, 1);
    assert!(server.has_ended(Channel::Work) && !server.has_ended(Channel::Control));
}

#[test]
fn signals_arrive_once_and_merge() {
    let (mut server, mut machine, now) = pair();
    server.request_sample();
    server.request_sample();
    server.kill();
    assert_eq!(deliver(&mut server, &mut machine, now), 1);
    server.lower_priority();
    deliver(&mut server, &mut machine, now);
    let signals = machine.take_signals();
    assert_eq!(signals, Signals { kill: true, sample: true, lower_priority: true, ..Signals::default() });
    assert!(machine.take_signals().is_empty());
    machine.report_usage(Usage { bytes: 1, ..Usage::default() });
    machine.report_usage(Usage { bytes: 2, ..Usage::default() });
    assert_eq!(deliver(&mut machine, &mut server, now), 1);
    assert_eq!(server.take_signals().usage.map(|usage| usage.bytes), Some(2));
}

#[test]
fn messages_without_an_acknowledgement_are_bounded() {
    let (mut server, mut machine, now) = pair();
    for _ in 0..MAX_UNACKED {
        server.write(Channel::Work, b"1");
        assert!(server.next_message(now).is_some());
    }
    server.write(Channel::Work, b"2");
    server.kill();
    assert_eq!(server.next_message(now), None);
    // What waits shares one message.
    server.write(Channel::Work, b"3");
    server.resend(now);
    assert_eq!(deliver(&mut server, &mut machine, now), MAX_UNACKED);
    // The acknowledgement of so many messages does not wait.
    assert_eq!(deliver(&mut machine, &mut server, now), 1);
    assert_eq!(deliver(&mut server, &mut machine, now), 1);
    assert_eq!(machine.deadline(), Some(now + ACK_DELAY));
    assert_eq!(machine.arrived(Channel::Work).len(), MAX_UNACKED + 2);
    assert!(machine.take_signals().kill);
}

#[test]
fn close_is_repeated_until_the_other_side_answers() {
    let (mut server, mut machine, mut now) = pair();
    server.write(Channel::Work, b"play");
    server.close(now);
    assert_eq!((server.room(Channel::Work), server.is_open(), server.is_closed()), (0, false, false));
    assert_eq!(server.next_message(now), Some(Message::Close(ID)));
    assert_eq!(server.next_message(now), None);
    now = server.deadline().expect("a repetition");
    let close = server.next_message(now).expect("close");
    // Data that was on its way has no effect.
    machine.write(Channel::Work, b"output");
    server.receive(&machine.next_message(now).expect("data"), now).expect("valid");
    machine.receive(&close, now).expect("valid");
    assert!(machine.is_closed());
    assert_eq!((machine.next_message(now), machine.deadline()), (None, None));
    server.receive(&close.answer_without_link().expect("an answer"), now).expect("valid");
    assert!(server.is_closed());
    assert_eq!((server.next_message(now), server.deadline()), (None, None));
}

#[test]
fn closed_ends_a_link_that_the_other_side_does_not_have() {
    let (mut server, _, now) = pair();
    server.write(Channel::Work, b"play");
    let answer = server.next_message(now).expect("data").answer_without_link().expect("an answer");
    server.receive(&answer, now).expect("valid");
    assert!(server.is_closed() && server.has_ended(Channel::Work));
    server.close(now);
    server.kill();
    server.resend(now);
    assert_eq!((server.next_message(now), server.write(Channel::Work, b"x")), (None, 0));
}

#[test]
fn violations_are_errors() {
    let (_, mut machine, now) = pair();
    let acknowledgement = Data { link: ID, sequence: 0, ack: 1, granted: PerChannel::default(), body: Body::default() };
    assert_eq!(machine.receive(&Message::Data(acknowledgement), now), Err(Violation::UnsentAcknowledged));
    let loss = Signals { loss: Some(Loss::Crashed), ..Signals::default() };
    let body = Body { signals: loss, ..Body::default() };
    assert_eq!(machine.receive(&raw(1, body), now), Err(Violation::WrongDirection));
    let (mut server, _, _) = pair();
    let body = Body { signals: Signals { kill: true, ..Signals::default() }, ..Body::default() };
    assert_eq!(server.receive(&raw(1, body), now), Err(Violation::WrongDirection));
    let mut body = work(b"last");
    body.signals.end.work = true;
    server.receive(&raw(1, body.clone()), now).expect("valid");
    assert_eq!(server.receive(&raw(2, work(b"more")), now), Err(Violation::BytesAfterEnd));
    assert_eq!(server.receive(&raw(2, body), now), Err(Violation::BytesAfterEnd));
    let full =
        Body { bytes: PerChannel { work: vec![0; MAX_DATA].into(), ..PerChannel::default() }, ..Body::default() };
    for sequence in 1..=4 {
        machine.receive(&raw(sequence, full.clone()), now).expect("granted");
    }
    assert_eq!(machine.receive(&raw(5, work(b"1")), now), Err(Violation::GrantExceeded));
    assert_eq!(machine.arrived(Channel::Work).len(), WINDOW.work);
}

#[test]
fn grants_beyond_the_window_are_of_no_use() {
    let (mut server, _, now) = pair();
    let granted = PerChannel { work: u64::MAX, control: u64::MAX };
    let data = Data { link: ID, sequence: u64::MAX, ack: 0, granted, body: Body::default() };
    server.receive(&Message::Data(data), now).expect("valid");
    assert_eq!(server.write(Channel::Work, &vec![0; 2 * WINDOW.work]), WINDOW.work);
    while server.next_message(now).is_some() {}
    assert_eq!((server.room(Channel::Work), server.unacked_bytes()), (0, WINDOW.work));
}

#[test]
fn messages_of_other_kinds_have_no_effect() {
    let (mut server, _, now) = pair();
    let heartbeat = Message::Heartbeat(Heartbeat { connection: 1, is_draining: false });
    server.receive(&heartbeat, now).expect("valid");
    assert!(server.is_open());
    assert_eq!((server.next_message(now), server.deadline()), (None, None));
}
