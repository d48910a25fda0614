//! The task of a machine.

use std::{
    future::Future,
    hash::RandomState,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Message;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream::select_all};
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    MachineError, MachineOptions, WorkerStarter,
    fetching::Requests,
    listening::listen,
    opening::Opened,
    relay::MachineEnd,
    setups::Setups,
    starting::{Started, Starter},
};
use crate::{
    endpoint::{BATCH, Endpoint, receive_arrived},
    link::Side,
    messages::{self, MachineState},
};

/// Maximum number of placement requests that wait: as many as come at once if all sessions of a large circle begin anew.
const REQUESTS: usize = 4096;

/// Maximum number of results of starts that wait. The tasks that start workers wait for room.
const RESULTS: usize = 256;

/// Minimum number of workers whose memory the machine samples at once.
const MIN_SAMPLES: usize = 8;

/// Number of turns in which the machine samples all workers, if there are many.
const SAMPLE_TURNS: usize = 80;

/// Number of turns in an interval of heartbeats.
const SAMPLES_PER_HEARTBEAT: u32 = 8;

/// Time for the last messages.
const END_TIMEOUT: Duration = Duration::from_secs(1);

mod circles;
mod placing;
mod receiving;

use self::circles::CircleList;

/// When a machine drains.
#[derive(Debug, Clone, Copy)]
struct Drain {
    /// The machine has left the queue group.
    refused_at: Instant,
    /// The workers are killed.
    kill_at: Instant,
    /// The machine ends in any case.
    end_at: Instant,
    is_killed: bool,
}

struct Actor<S: WorkerStarter> {
    options: MachineOptions,
    endpoint: Endpoint<MachineEnd<S>>,
    /// The circles whose servers learn the state of the machine.
    circles: CircleList,
    starter: Arc<Starter<S>>,
    /// The number of workers that start.
    starting: usize,
    /// The memory of all workers, spare workers and fork servers at their last samples, in bytes.
    memory: u64,
    /// The number of the worker whose memory is sampled next, and when.
    next_sample: usize,
    sample_at: Instant,
    accepting: watch::Sender<bool>,
    /// Whether the machine is a member of the queue group.
    listening: watch::Receiver<bool>,
    state_at: Instant,
    /// A random number, which tells machines of one name apart.
    instance: u64,
    /// Whether the machine accepts workers, as it was logged last.
    logged_room: Option<bool>,
    drain: Option<Drain>,
}

/// Runs a machine until it has drained.
pub(super) async fn run<S: WorkerStarter>(
    opened: Opened,
    options: MachineOptions,
    starter: S,
    shutdown: impl Future<Output = ()>,
) -> Result<(), MachineError> {
    let Opened { connection, own, placements, circles } = opened;
    let client = connection.client().clone();
    let (started, results) = mpsc::channel(RESULTS);
    let starter = Arc::new(starter);
    let starter = Starter {
        setups: Arc::new(Setups::new(starter.clone(), options.cache)),
        workers: starter,
        requests: Arc::new(Requests::new(client.clone(), options.name.clone(), options.timings.part)),
        client: client.clone(),
        timings: options.timings,
        groups: RandomState::new(),
        started,
    };
    let (accepting, is_accepting) = watch::channel(false);
    let (is_listening, listening) = watch::channel(false);
    let (requests, queue) = mpsc::channel(REQUESTS);
    let refusal = options.timings.refusal;
    tokio::spawn(listen(client.clone(), placements, is_accepting, is_listening, refusal, requests));
    let actor = Actor {
        endpoint: Endpoint::new(connection, Side::Machine, options.timings.association),
        circles: CircleList::new(circles, Instant::now()),
        starter: Arc::new(starter),
        starting: 0,
        memory: 0,
        next_sample: 0,
        sample_at: Instant::now(),
        accepting,
        listening,
        state_at: Instant::now(),
        // Without random bytes, machines of one name are not noticed.
        instance: getrandom::u64().unwrap_or(0),
        logged_room: None,
        drain: None,
        options,
    };
    let shutdown = std::pin::pin!(shutdown.fuse());
    actor.run(select_all(own), queue, results, shutdown).await
}

impl<S: WorkerStarter> Actor<S> {
    async fn run(
        mut self,
        mut own: impl futures_util::Stream<Item = Message> + Unpin,
        mut queue: mpsc::Receiver<Message>,
        mut results: mpsc::Receiver<Started<S>>,
        mut shutdown: Pin<&mut impl futures_util::future::FusedFuture<Output = ()>>,
    ) -> Result<(), MachineError> {
        let result = loop {
            let now = Instant::now();
            let first_messages = self.endpoint.begin_turn(now).await;
            receive_arrived(&mut own, first_messages, |message| self.receive(message));
            self.check_deadlines(now);
            if self.has_drained(now) {
                break Ok(());
            }
            let is_blocked = self.endpoint.publish(now);
            let deadline = self.deadline(is_blocked);
            tokio::select! {
                message = own.next() => {
                    let Some(message) = message else { break Err(MachineError::ClientEnded) };
                    self.receive(message);
                    receive_arrived(&mut own, BATCH, |message| self.receive(message));
                }
                () = self.endpoint.changed(is_blocked) => {}
                Some(message) = queue.recv() => self.place(&message),
                Some(started) = results.recv() => self.open(started),
                // The servers learn it at once.
                Ok(()) = self.listening.changed() => self.state_at = Instant::now(),
                () = sleep_until(deadline.into()) => {}
                () = &mut shutdown, if self.drain.is_none() => self.start_drain(),
            }
        };
        self.end().await;
        result
    }

    fn check_deadlines(&mut self, now: Instant) {
        for server in self.endpoint.give_up(now) {
            tracing::warn!(%server, "server is out of reach; its workers are killed");
        }
        let heartbeat = self.options.timings.association.heartbeat;
        if now >= self.sample_at {
            self.sample();
            self.sample_at = now + heartbeat / SAMPLES_PER_HEARTBEAT;
        }
        if now >= self.state_at {
            self.state_at = now + heartbeat;
            let timings = &self.options.timings;
            // A machine without memory keeps nothing that no worker needs.
            let idle = if self.memory < self.options.memory { timings.idle_setup } else { Duration::ZERO };
            self.starter.setups.forget_idle(idle, timings.idle_spares(), now);
            self.publish_state(false);
        }
        if let Some(drain) = &mut self.drain
            && now >= drain.kill_at
            && !std::mem::replace(&mut drain.is_killed, true)
        {
            tracing::warn!(
                workers = self.endpoint.peers.end_count(),
                "grace period has ended; remaining workers are killed"
            );
            self.endpoint.peers.ends_mut().for_each(MachineEnd::end_by_drain);
            self.endpoint.peers.pump_all(now);
        }
        let is_accepting = self.has_room();
        if self.accepting.send_if_modified(|current| std::mem::replace(current, is_accepting) != is_accepting) {
            self.starter.setups.set_room(is_accepting);
        }
        if self.logged_room.replace(is_accepting) != Some(is_accepting) && self.drain.is_none() {
            let (workers, places, memory_mib) = (self.used(), self.options.places, self.memory >> 20);
            let what =
                if is_accepting { "machine accepts workers" } else { "machine is full: it accepts no more workers" };
            tracing::info!(workers, places, memory_mib, "{what}");
        }
    }

    fn used(&self) -> usize {
        self.starting + self.endpoint.peers.end_count()
    }

    fn has_room(&self) -> bool {
        self.drain.is_none() && self.used() < self.options.places && self.memory < self.options.memory
    }

    /// Whether the machine drains and has nothing left to do.
    fn has_drained(&self, now: Instant) -> bool {
        self.drain.is_some_and(|drain| now >= drain.end_at || (now >= drain.refused_at && self.used() == 0))
    }

    fn deadline(&self, is_blocked: bool) -> Instant {
        let drain = self.drain.map(|drain| {
            let next = if self.used() == 0 { drain.refused_at } else { drain.kill_at };
            if drain.is_killed { drain.end_at } else { next }
        });
        let peers = self.endpoint.deadline(is_blocked);
        // An idle machine samples at its next message.
        let sample = (self.used() > 0).then_some(self.sample_at);
        peers.into_iter().chain(drain).chain(sample).fold(self.state_at, Instant::min)
    }

    /// Samples the memory of some workers, in turn.
    fn sample(&mut self) {
        let count = self.endpoint.peers.end_count();
        let first = if self.next_sample < count { self.next_sample } else { 0 };
        let samples = sample_count(count);
        self.endpoint.peers.ends_mut().skip(first).take(samples).for_each(MachineEnd::sample);
        self.next_sample = first + samples;
        let setups = self.starter.setups.sample();
        self.memory = self.endpoint.peers.ends_mut().fold(setups, |sum, end| sum.saturating_add(end.memory()));
    }

    fn encode_state(&self, is_ending: bool) -> Bytes {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        messages::encode(MachineState {
            machine: self.options.name.clone(),
            version: messages::short_text(&self.options.version),
            build: self.options.build.clone(),
            places: count(self.options.places),
            used: count(self.used()),
            is_draining: self.drain.is_some(),
            has_room: self.has_room() && *self.listening.borrow(),
            is_ending,
            instance: self.instance,
        })
    }

    fn publish_state(&mut self, is_ending: bool) {
        if !self.endpoint.connected().1 {
            return;
        }
        let state = self.encode_state(is_ending);
        for circle in self.circles.iter() {
            self.endpoint.outbox.push(circle.machines(), None, state.clone());
        }
    }

    fn start_drain(&mut self) {
        let (now, timings) = (Instant::now(), &self.options.timings);
        let kill_at = now + timings.grace;
        let refused_at = now + timings.refusal;
        let end_at = kill_at.max(refused_at) + END_TIMEOUT;
        self.drain = Some(Drain { refused_at, kill_at, end_at, is_killed: false });
        self.endpoint.peers.drain(now);
        self.publish_state(false);
        tracing::info!(workers = self.endpoint.peers.end_count(), "machine drains: it accepts no more workers");
    }

    async fn end(mut self) {
        tracing::info!(workers = self.endpoint.peers.end_count(), "machine ends");
        self.endpoint.give_up_all();
        self.publish_state(true);
        self.endpoint.finish().await;
    }
}

/// The number of workers whose memory the machine samples at once, of so many.
fn sample_count(workers: usize) -> usize {
    workers.div_ceil(SAMPLE_TURNS).max(MIN_SAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_is_sampled_within_ten_heartbeats() {
        let per_heartbeat = |workers| sample_count(workers) * SAMPLES_PER_HEARTBEAT as usize;
        for workers in [0, 1, 64, 640, 641, 1_024, 100_000] {
            assert!(per_heartbeat(workers) >= 64 && per_heartbeat(workers) * 10 >= workers, "{workers}");
        }
        assert_eq!((per_heartbeat(640), per_heartbeat(6_400)), (64, 640));
    }
}
