//! Two ends of a link over a network that loses, doubles and reorders messages, and that loses everything on its way when
//! a side reconnects.

use std::collections::VecDeque;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    ids::AssociationId,
    wire::{PayloadBuilder, decode},
};

/// Capacity of the network in messages; more are lost.
const CAPACITY: usize = 64;

#[derive(Debug, Clone)]
enum Step {
    /// The application at one side writes.
    Write { from: usize, is_control: bool, length: usize },
    /// The application at one side reads.
    Read { at: usize, is_control: bool, length: usize },
    /// One side sends up to so many messages.
    Send { from: usize, count: usize },
    /// A message arrives: 0 is the oldest.
    Arrive { at: usize, index: prop::sample::Index, is_copy: bool },
    /// A message is lost.
    Lose { at: usize, index: prop::sample::Index },
    /// One side reconnects, and the other learns of it. What is on its way to and from this side is lost.
    Reconnect,
    /// Time passes.
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2_usize;
    let length = prop_oneof![1..20_usize, 1..100_000_usize, Just(WINDOW.work)];
    let place = (side.clone(), any::<prop::sample::Index>());
    prop_oneof![
        4 => (side.clone(), any::<bool>(), length.clone())
            .prop_map(|(from, is_control, length)| Step::Write { from, is_control, length }),
        4 => (side.clone(), any::<bool>(), length)
            .prop_map(|(at, is_control, length)| Step::Read { at, is_control, length }),
        4 => (side, 1..10_usize).prop_map(|(from, count)| Step::Send { from, count }),
        4 => place.clone().prop_map(|(at, index)| Step::Arrive { at, index, is_copy: false }),
        1 => place.clone().prop_map(|(at, index)| Step::Arrive { at, index, is_copy: true }),
        1 => place.prop_map(|(at, index)| Step::Lose { at, index }),
        1 => Just(Step::Reconnect),
        2 => (1..5_000_u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// The stream of bytes of a channel: each byte follows from its position, so nothing has to be kept.
fn byte(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

#[derive(Debug)]
struct End {
    link: Link,
    written: PerChannel<u64>,
    read: PerChannel<u64>,
    /// The messages on their way to this end.
    arriving: VecDeque<Message>,
}

impl End {
    fn new(side: Side) -> Self {
        let link = Link::new(LinkId::from_bytes([1; 16]), side);
        Self { link, written: PerChannel::default(), read: PerChannel::default(), arriving: VecDeque::new() }
    }

    fn write(&mut self, channel: Channel, length: usize) {
        let start = self.written[channel];
        let bytes: Vec<u8> = (start..start + length as u64).map(byte).collect();
        let (room, accepted) = (self.link.room(channel), self.link.write(channel, &bytes));
        assert_eq!(accepted, room.min(length));
        self.written[channel] += accepted as u64;
    }

    fn read(&mut self, channel: Channel, length: usize) -> usize {
        let arrived = self.link.arrived(channel);
        assert!(arrived.len() <= WINDOW[channel], "{} bytes wait", arrived.len());
        let length = length.min(arrived.len());
        let start = self.read[channel];
        let is_in_order = arrived[..length].iter().zip(start..).all(|(arrived, position)| *arrived == byte(position));
        assert!(is_in_order, "other bytes than written, at {start}");
        self.link.consume(channel, length);
        self.read[channel] += length as u64;
        length
    }

    fn receive(&mut self, message: &Message, now: Instant) {
        self.link.receive(message, now).expect("both sides follow the rules");
    }
}

/// Returns the message as it is after its way over the wire.
fn over_the_wire(message: &Message) -> Message {
    let mut payload = PayloadBuilder::new(AssociationId::from_bytes([2; 16]));
    assert!(payload.push(message));
    let (_, mut messages) = decode(payload.finish()).expect("valid");
    messages.pop().expect("one message")
}

#[derive(Debug)]
struct Network {
    ends: [End; 2],
    now: Instant,
}

impl Network {
    fn new() -> Self {
        Self { ends: [End::new(Side::Server), End::new(Side::Machine)], now: Instant::now() }
    }

    fn step(&mut self, step: &Step) {
        let channel = |is_control| if is_control { Channel::Control } else { Channel::Work };
        match *step {
            Step::Write { from, is_control, length } => self.ends[from].write(channel(is_control), length),
            Step::Read { at, is_control, length } => {
                self.ends[at].read(channel(is_control), length);
            }
            Step::Send { from, count } => {
                self.send(from, count);
            }
            Step::Arrive { at, index, is_copy } => {
                let end = &mut self.ends[at];
                if end.arriving.is_empty() {
                    return;
                }
                let index = index.index(end.arriving.len());
                let message = end.arriving[index].clone();
                if !is_copy {
                    end.arriving.remove(index);
                }
                end.receive(&message, self.now);
            }
            Step::Lose { at, index } => {
                let arriving = &mut self.ends[at].arriving;
                if !arriving.is_empty() {
                    arriving.remove(index.index(arriving.len()));
                }
            }
            Step::Reconnect => self.reconnect(),
            Step::Wait { millis } => self.now += Duration::from_millis(millis),
        }
        for end in &self.ends {
            assert!(end.link.unacked_bytes() <= WINDOW.work + WINDOW.control);
        }
    }

    fn reconnect(&mut self) {
        for end in &mut self.ends {
            end.arriving.clear();
            end.link.resend(self.now);
        }
    }

    /// Sends up to `count` messages, and returns how many.
    fn send(&mut self, from: usize, count: usize) -> usize {
        let mut sent = 0;
        while sent < count
            && let Some(message) = self.ends[from].link.next_message(self.now)
        {
            sent += 1;
            let arriving = &mut self.ends[1 - from].arriving;
            if arriving.len() < CAPACITY {
                arriving.push_back(over_the_wire(&message));
            }
        }
        sent
    }

    /// Lets everything arrive until nothing moves, also not later; the applications read.
    fn settle(&mut self) {
        // Each round moves a window or expires a timer: far fewer rounds are enough.
        for _ in 0..1_000 {
            let mut moved = 0;
            for from in [0, 1] {
                moved += self.send(from, CAPACITY);
                let to = &mut self.ends[1 - from];
                while let Some(message) = to.arriving.pop_front() {
                    to.receive(&message, self.now);
                }
            }
            for end in &mut self.ends {
                for channel in Channel::ALL {
                    moved += end.read(channel, usize::MAX);
                }
            }
            if moved == 0 {
                match self.ends.iter().filter_map(|end| end.link.deadline()).min() {
                    Some(at) => self.now = at,
                    None => return,
                }
            }
        }
        panic!("the link does not come to rest: {self:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn bytes_arrive_once_in_order_and_both_ends_finish(
        steps in vec(step(), 0..200),
        has_rest in any::<bool>(),
        after_the_end in vec(step(), 0..40),
        after_the_close in vec(step(), 0..40),
    ) {
        let mut network = Network::new();
        for step in &steps {
            network.step(step);
        }
        if has_rest {
            network.settle();
            for end in &network.ends {
                // Nobody waits for credit for ever.
                for channel in Channel::ALL {
                    prop_assert!(end.link.room(channel) > WINDOW[channel] / 2, "{:?}", network);
                }
            }
        }
        // Otherwise, the worker ends with output on its way.
        let machine = &mut network.ends[1];
        machine.link.report_loss(Loss::Memory);
        machine.link.report_usage(Usage { bytes: 1, ..Usage::default() });
        for channel in Channel::ALL {
            machine.link.end(channel);
        }
        network.ends[0].link.kill();
        for step in &after_the_end {
            network.step(step);
        }
        network.settle();
        let [server, machine] = &mut network.ends;
        prop_assert_eq!(server.written, machine.read);
        prop_assert_eq!(machine.written, server.read);
        prop_assert_eq!(server.link.unacked_bytes() + machine.link.unacked_bytes(), 0);
        prop_assert!(Channel::ALL.iter().all(|channel| server.link.has_ended(*channel)));
        let signals = server.link.take_signals();
        prop_assert_eq!((signals.loss, signals.usage.map(|usage| usage.bytes)), (Some(Loss::Memory), Some(1)));
        let signals = machine.link.take_signals();
        prop_assert_eq!(signals, Signals { kill: true, ..Signals::default() });
        close(&mut network, &after_the_close)?;
    }

    /// A link that is closed at any point ends at both sides.
    #[test]
    fn close_at_any_point_ends_both_sides(before in vec(step(), 0..100), after in vec(step(), 0..60)) {
        let mut network = Network::new();
        for step in &before {
            network.step(step);
        }
        close(&mut network, &after)?;
    }
}

/// Closes the link at the server. A machine whose link is closed answers as one that does not have the link.
fn close(network: &mut Network, steps: &[Step]) -> Result<(), TestCaseError> {
    network.ends[0].link.close(network.now);
    for step in steps {
        network.step(step);
    }
    for _ in 0..10 {
        for from in [0, 1] {
            network.send(from, CAPACITY);
            let to = 1 - from;
            while let Some(message) = network.ends[to].arriving.pop_front() {
                network.ends[to].receive(&message, network.now);
                if network.ends[to].link.is_closed()
                    && let Some(answer) = message.answer_without_link()
                {
                    network.ends[from].arriving.push_back(answer);
                }
            }
        }
        if let Some(at) = network.ends[0].link.deadline() {
            network.now = at;
        }
    }
    prop_assert!(network.ends.iter().all(|end| end.link.is_closed()), "{:?}", network);
    Ok(())
}
