//! Property tests with random inputs and faults: every input ends once, and no input is played in an environment that
//! it was not typed for.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use client_ws::{ClientError, Notice, RpcError};
use proptest::prelude::*;
use protocol::{error::LossReason, methods::Access};

use super::{
    Console, ConsoleSetup,
    fake::{RemoteCall, lost, unreachable},
    key, settle,
};
use crate::session::{ConnectionStatus, FanOutTarget, Remote, SessionEvent, SessionRequest};

/// A step of the user, the circle or the network.
#[derive(Debug, Clone)]
enum RandomStep {
    /// Submit a new script.
    Play,
    Command(&'static str),
    Cancel,
    Connect,
    Retry,
    Disconnect,
    UseBob,
    Unlock(&'static str),
    StaysLocked(&'static str),
    /// The circle answers the oldest request.
    Answer,
    Fail,
    /// A play loses the environment.
    Cost,
    /// The connection is lost.
    Lose,
    /// The environment is lost between plays.
    Forget,
    Print,
    Wait(u64),
    /// The renderer reads the events.
    Read,
}

fn step() -> impl Strategy<Value = RandomStep> {
    let commands = [
        ":vars",
        ":doc push",
        ":who",
        ":last",
        ":time",
        ":hlep",
        ":key alice",
        ":key bob",
        ":each a 1",
        ":load /",
        ":replay",
        ":out 1",
        ":copy",
        ":cd",
        ":sh ls",
    ];
    prop_oneof![
        6 => Just(RandomStep::Play),
        4 => proptest::sample::select(commands.to_vec()).prop_map(RandomStep::Command),
        2 => Just(RandomStep::Cancel),
        1 => Just(RandomStep::Connect),
        1 => Just(RandomStep::Retry),
        1 => Just(RandomStep::Disconnect),
        1 => Just(RandomStep::UseBob),
        2 => proptest::sample::select(vec!["alice", "bob"]).prop_map(RandomStep::Unlock),
        1 => proptest::sample::select(vec!["alice", "bob"]).prop_map(RandomStep::StaysLocked),
        10 => Just(RandomStep::Answer),
        2 => Just(RandomStep::Fail),
        1 => Just(RandomStep::Cost),
        2 => Just(RandomStep::Lose),
        1 => Just(RandomStep::Forget),
        2 => Just(RandomStep::Print),
        3 => (0..3000u64).prop_map(RandomStep::Wait),
        6 => Just(RandomStep::Read),
    ]
}

/// A session with a simulated user, circle and network.
struct World {
    console: Console,
    /// The unanswered requests of the session.
    asked: Vec<RemoteCall>,
    disconnections: usize,
    /// The number of environments so far.
    environment: usize,
    /// The number of inputs in the newest environment.
    held: usize,
    scripts: usize,
    /// The environment that each script was typed for, unless it was empty.
    typed_for: BTreeMap<String, usize>,
    submitted: usize,
    began: usize,
    done: usize,
    given_back: usize,
}

impl World {
    fn new(access: Access, init: Option<PathBuf>) -> Self {
        let setup = ConsoleSetup { access, preferred: Some("alice"), ..ConsoleSetup::default() };
        let console = Console::with_init(setup, init);
        Self {
            console,
            asked: Vec::new(),
            disconnections: 0,
            environment: 0,
            held: 0,
            scripts: 0,
            typed_for: BTreeMap::new(),
            submitted: 0,
            began: 0,
            done: 0,
            given_back: 0,
        }
    }

    fn submit(&mut self, input: &str) {
        self.submitted += 1;
        self.console.submit(input);
    }

    async fn step(&mut self, step: RandomStep) {
        match step {
            RandomStep::Play => {
                self.scripts += 1;
                let script = format!("f({})", self.scripts);
                if self.held > 0 {
                    self.typed_for.insert(script.clone(), self.environment);
                }
                self.submit(&script);
            }
            RandomStep::Command(command) => self.submit(command),
            RandomStep::Cancel => self.console.cancel(),
            RandomStep::Connect => self.console.session.connect(true).expect("there is room"),
            RandomStep::Retry => self.console.session.retry().expect("there is room"),
            RandomStep::Disconnect => {
                self.console.session.disconnect().expect("there is room");
                self.held = 0;
            }
            RandomStep::UseBob => {
                self.console.session.use_key(key("bob")).expect("there is room");
                self.held = 0;
            }
            RandomStep::Unlock(name) => {
                self.console.unlock(name);
                self.held = 0;
            }
            RandomStep::StaysLocked(name) => self.console.stays_locked(name),
            RandomStep::Answer => self.answer().await,
            RandomStep::Fail => self.fail(RpcError::Forbidden { reason: "not this".to_owned() }.into()).await,
            RandomStep::Cost => self.cost().await,
            RandomStep::Lose => self.lose().await,
            RandomStep::Forget => self.forget().await,
            RandomStep::Print => {
                for call in &self.asked {
                    if let RemoteCall::Play(playing) = call {
                        // As many as fit.
                        drop(tokio::time::timeout(Duration::ZERO, playing.print("more")).await);
                    }
                }
            }
            RandomStep::Wait(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            RandomStep::Read => self.read().await,
        }
        self.look().await;
    }

    /// Collects the requests of the session.
    async fn look(&mut self) {
        settle().await;
        while let Some(call) = self.console.circle.pending_call() {
            if let RemoteCall::Play(playing) = &call
                && let Some(environment) = self.typed_for.get(&playing.script.text)
            {
                assert_eq!(*environment, self.environment, "{} is played in another environment", playing.script.text);
            }
            self.asked.push(call);
        }
        if self.console.circle.disconnections() != self.disconnections {
            // The client fails requests on a closed connection.
            self.disconnections = self.console.circle.disconnections();
            self.end_all().await;
            settle().await;
        }
        let state = self.console.state();
        self.held =
            if state.inputs > 0 || state.connection == ConnectionStatus::Connected { state.inputs } else { self.held };
    }

    async fn end_all(&mut self) {
        for call in std::mem::take(&mut self.asked) {
            match call {
                RemoteCall::Connect(reply) if !reply.is_closed() => self.asked.push(RemoteCall::Connect(reply)),
                call => answer_with(call, lost()).await,
            }
        }
    }

    async fn answer(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        match self.asked.remove(0) {
            RemoteCall::Connect(reply) if reply.is_closed() => {}
            RemoteCall::Connect(reply) => {
                self.console.circle.answer(reply);
                self.environment += 1;
            }
            RemoteCall::Authenticate(_, reply) => drop(reply.send(Ok(()))),
            RemoteCall::Query(_, reply) => drop(reply.send(Ok(Vec::new()))),
            RemoteCall::Play(playing) => drop(tokio::time::timeout(Duration::ZERO, playing.answer(1)).await),
        }
    }

    async fn fail(&mut self, error: ClientError) {
        if self.asked.is_empty() {
            return;
        }
        let call = self.asked.remove(0);
        answer_with(call, error).await;
    }

    async fn cost(&mut self) {
        if let Some(RemoteCall::Play(playing)) = self.asked.first_mut() {
            let (is_awaited, reason) = (playing.has_listener(), LossReason::Memory);
            self.fail(RpcError::EnvironmentLost { reason }.into()).await;
            // As the client does: an error that nobody awaits is a notice.
            if !is_awaited {
                self.console.circle.notify(Notice::EnvironmentLost { reason });
            }
            self.environment += 1;
        }
    }

    async fn lose(&mut self) {
        if self.console.circle.remote.is_connected() {
            self.console.circle.lose();
            self.end_all().await;
        }
    }

    async fn forget(&mut self) {
        let is_playing = self.asked.iter().any(|call| matches!(call, RemoteCall::Play(_)));
        if self.console.circle.remote.is_connected() && !is_playing {
            // Only without requests in transit, so that the next request is made after the notice.
            self.look().await;
            self.console.circle.notify(Notice::EnvironmentLost { reason: LossReason::Idle });
            self.environment += 1;
        }
    }

    async fn read(&mut self) {
        while let Ok(Some(event)) = tokio::time::timeout(super::MOMENT, self.console.events.next()).await {
            match event {
                SessionEvent::InputStarted(_) => self.began += 1,
                SessionEvent::InputFinished => self.done += 1,
                SessionEvent::InputsReturned(inputs) => self.given_back += inputs.len(),
                SessionEvent::Request(SessionRequest::FanOut(_)) => {
                    let target = FanOutTarget { label: "a".to_owned(), session: self.console.session.clone() };
                    self.console.session.fan_out(vec![target]).expect("there is room");
                }
                _ => {}
            }
        }
        let ended = self.done + self.given_back;
        assert!(self.done <= self.began && ended <= self.submitted, "{self:?}");
    }

    /// Ends everything that can end.
    async fn end(&mut self) {
        for _ in 0..400 {
            self.read().await;
            self.look().await;
            let state = self.console.state();
            if state.is_key_requested || self.asked.is_empty() && state.waiting > 0 {
                self.console.unlock("alice");
                self.console.unlock("bob");
                self.console.session.authenticate().expect("there is room");
            } else if !self.asked.is_empty() {
                self.answer().await;
            } else if !state.is_busy() && state.waiting == 0 && !state.is_settling() {
                break;
            }
            self.look().await;
        }
        self.read().await;
        assert_eq!(self.submitted, self.done + self.given_back, "{self:?}");
        assert_eq!(self.began, self.done, "{self:?}");
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { asked, submitted, began, done, given_back, .. } = self;
        write!(f, "{submitted} submitted, {began} began, {done} done, {given_back} given back; ")?;
        write!(f, "{asked:?} asked; {:?}", self.console.state())
    }
}

async fn answer_with(call: RemoteCall, error: ClientError) {
    match call {
        RemoteCall::Connect(reply) => drop(reply.send(Err(unreachable()))),
        RemoteCall::Authenticate(_, reply) => drop(reply.send(Err(error))),
        RemoteCall::Query(_, reply) => drop(reply.send(Err(error))),
        RemoteCall::Play(playing) => drop(tokio::time::timeout(Duration::ZERO, playing.fail(error)).await),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn input_ends_once_in_every_sequence(
        steps in proptest::collection::vec(step(), 1..60),
        access in proptest::sample::select(vec![Access::Open, Access::Members]),
        has_init in proptest::bool::ANY,
    ) {
        let init = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(init.path(), "fn f(x) { x }").expect("written");
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().expect("there is room for a runtime");
        runtime.block_on(async {
            let mut world = World::new(access, has_init.then(|| init.path().to_owned()));
            for step in steps {
                world.step(step).await;
            }
            world.end().await;
        });
    }
}
