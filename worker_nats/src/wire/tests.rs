use proptest::{collection::vec, prelude::*};

use super::*;

const ASSOCIATION: AssociationId = AssociationId([7; ID_BYTES]);

fn payload(messages: &[Message]) -> Bytes {
    let mut payload = PayloadBuilder::new(ASSOCIATION);
    for message in messages {
        assert!(payload.push(message));
    }
    payload.finish()
}

fn channels<T: std::fmt::Debug>(each: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = PerChannel<T>> {
    (each.clone(), each).prop_map(|(work, control)| PerChannel { work, control })
}

fn signals() -> impl Strategy<Value = Signals> {
    let usage =
        (any::<u64>(), any::<u64>()).prop_map(|(bytes, micros)| Usage { bytes, cpu: Duration::from_micros(micros) });
    let loss = prop::sample::select(vec![Loss::Killed, Loss::Memory, Loss::Crashed, Loss::Drained]);
    let options = (prop::option::of(usage), prop::option::of(loss));
    (any::<[bool; 3]>(), channels(any::<bool>()), options).prop_map(|([kill, lower_priority, sample], end, options)| {
        Signals { kill, lower_priority, sample, end, usage: options.0, loss: options.1 }
    })
}

fn data() -> impl Strategy<Value = Data> {
    let numbers = (any::<[u8; ID_BYTES]>(), 1..u64::MAX, any::<u64>());
    let bytes = channels(vec(any::<u8>(), 0..300).prop_map(Bytes::from));
    (numbers, channels(any::<u64>()), signals(), bytes).prop_map(|((link, sequence, ack), granted, signals, bytes)| {
        Data { link: LinkId(link), sequence, ack, granted, body: Body { signals, bytes } }
    })
}

fn message() -> impl Strategy<Value = Message> {
    let link = any::<[u8; ID_BYTES]>().prop_map(LinkId);
    prop_oneof![
        1 => (any::<u64>(), any::<bool>())
            .prop_map(|(connection, is_draining)| Message::Heartbeat(Heartbeat { connection, is_draining })),
        4 => data().prop_map(Message::Data),
        1 => link.clone().prop_map(Message::Close),
        1 => link.prop_map(Message::Closed),
    ]
}

proptest! {
    #[test]
    fn messages_survive_encoding(messages in vec(message(), 0..5)) {
        prop_assert_eq!(decode(payload(&messages)), Ok((ASSOCIATION, messages)));
    }

    #[test]
    fn decode_of_any_bytes_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        let _result = decode(Bytes::from(bytes));
    }

    /// Beyond the version, random bytes are seldom a message: so change and cut valid ones.
    #[test]
    fn decode_of_changed_messages_never_panics(
        messages in vec(message(), 1..4),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = payload(&messages).to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _result = decode(Bytes::from(bytes));
    }

    #[test]
    fn truncated_message_is_malformed(message in message(), cut in any::<prop::sample::Index>()) {
        let whole = payload(&[message]);
        let length = PAYLOAD_HEADER + 1 + cut.index(whole.len() - PAYLOAD_HEADER - 1);
        prop_assert_eq!(decode(whole.slice(..length)), Err(MalformedPayload::Truncated));
    }
}

fn example() -> Data {
    let body = Body { signals: Signals { kill: true, ..Signals::default() }, ..Body::default() };
    Data { link: LinkId([1; ID_BYTES]), sequence: 1, ack: 0, granted: PerChannel::default(), body }
}

#[test]
fn undefined_values_are_malformed() {
    let valid = payload(&[Message::Data(example())]).to_vec();
    let changed = |index: usize, byte: u8| {
        let mut bytes = valid.clone();
        bytes[index] = byte;
        decode(bytes.into())
    };
    let flags = PAYLOAD_HEADER + 1 + ID_BYTES + 32;
    assert_eq!(changed(0, 2), Err(MalformedPayload::Version(2)));
    assert_eq!(changed(PAYLOAD_HEADER, 9), Err(MalformedPayload::Undefined("kind")));
    assert_eq!(changed(flags, 128), Err(MalformedPayload::Undefined("flag")));
    let heartbeat = payload(&[Message::Heartbeat(Heartbeat { connection: 1, is_draining: true })]);
    let mut heartbeat = heartbeat.to_vec();
    *heartbeat.last_mut().expect("bytes") = 2;
    assert_eq!(decode(heartbeat.into()), Err(MalformedPayload::Undefined("state")));
    let loss = Signals { loss: Some(Loss::Drained), ..Signals::default() };
    let data = Data { body: Body { signals: loss, ..Body::default() }, ..example() };
    let mut loss = payload(&[Message::Data(data)]).to_vec();
    loss[flags + 1] = 4;
    assert_eq!(decode(loss.into()), Err(MalformedPayload::Undefined("loss")));
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(decode(Bytes::new()), Err(MalformedPayload::Truncated));
    assert_eq!(decode(vec![VERSION; MAX_PAYLOAD + 1].into()), Err(MalformedPayload::TooLarge));
    let bytes = PerChannel { work: Bytes::from(vec![0; MAX_DATA]), control: Bytes::from_static(&[0]) };
    let too_much = Data { body: Body { bytes, ..Body::default() }, ..example() };
    assert_eq!(decode(payload(&[Message::Data(too_much)])), Err(MalformedPayload::TooMuchData));
    // The lengths are a claim until the bytes have arrived.
    let mut bytes = payload(&[Message::Data(example())]).to_vec();
    let length = bytes.len();
    bytes[length - 8..length - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(decode(bytes.into()), Err(MalformedPayload::TooMuchData));
}

#[test]
fn message_without_a_number_has_no_body() {
    let data = Data { sequence: 0, ..example() };
    assert_eq!(decode(payload(&[Message::Data(data)])), Err(MalformedPayload::BodyWithoutNumber));
}

#[test]
fn payload_has_room_for_any_message_or_says_so() {
    let bytes = PerChannel { work: Bytes::from(vec![0; MAX_DATA]), control: Bytes::new() };
    let signals = Signals { usage: Some(Usage::default()), loss: Some(Loss::Killed), ..Signals::default() };
    let largest = Message::Data(Data { body: Body { signals, bytes }, ..example() });
    let mut payload = PayloadBuilder::new(ASSOCIATION);
    assert!(payload.is_empty() && payload.has_room());
    assert!(payload.push(&largest));
    assert!(!payload.is_empty() && !payload.has_room());
    assert!(!payload.push(&largest));
    assert!(payload.push(&Message::Close(LinkId([1; ID_BYTES]))));
    let (_, messages) = decode(payload.finish()).expect("valid");
    assert_eq!(messages.len(), 2);
}

#[test]
fn merged_signals_lose_nothing() {
    let usage = |bytes| Some(Usage { bytes, ..Usage::default() });
    let mut signals = Signals { kill: true, usage: usage(1), loss: Some(Loss::Memory), ..Signals::default() };
    let end = PerChannel { work: true, control: false };
    signals.merge(Signals { sample: true, usage: usage(2), loss: Some(Loss::Killed), end, ..Signals::default() });
    let merged =
        Signals { kill: true, sample: true, usage: usage(2), loss: Some(Loss::Memory), end, ..Signals::default() };
    assert_eq!(signals, merged);
    signals.merge(Signals::default());
    assert_eq!(signals, merged);
    assert!(Signals::default().is_empty() && !merged.is_empty());
}

#[test]
fn only_messages_of_open_links_get_an_answer_without_a_link() {
    let link = LinkId([1; ID_BYTES]);
    let closed = Some(Message::Closed(link));
    assert_eq!(Message::Data(example()).answer_without_link(), closed);
    assert_eq!(Message::Close(link).answer_without_link(), closed);
    assert_eq!(Message::Closed(link).answer_without_link(), None);
    assert_eq!(Message::Heartbeat(Heartbeat { connection: 1, is_draining: false }).answer_without_link(), None);
}
