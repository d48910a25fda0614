//! A session with a simulated user, circle and network, which checks what the session does.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    time::Duration,
};

use client_ws::{ClientError, FunctionsInfo, MissingRight, Notice, Rights, RpcError};
use protocol::{error::LossReason, methods::Access};

use super::{
    super::{
        Console, ConsoleSetup, MOMENT,
        fake::{RemoteCall, lost, unreachable},
        key, settle,
    },
    INIT, RandomStep,
};
use crate::functions::tests::shop;
use crate::session::{ConnectionStatus, FanOutTarget, Remote, SessionEvent, SessionRequest};

/// The commands that never start before an input that was typed before them, as plays do.
const ORDERED: [&str; 6] =
    [":vars", ":each a 1", ":load /", ":functions", ":call price item=tea", ":call price item=@/nonexistent"];

/// A session with a simulated user, circle and network.
pub(super) struct World {
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
    /// The plays and ordered commands that have neither started nor been returned.
    unstarted: VecDeque<String>,
    init: InitOfWorld,
    /// Whether the rights of the caller change.
    has_rights: bool,
    submitted: usize,
    began: usize,
    done: usize,
    given_back: usize,
}

/// What the world knows of the init script.
#[derive(Default)]
struct InitOfWorld {
    is_wanted: bool,
    /// Whether the script must be the next play: not if the user may have cancelled it.
    is_due: bool,
    /// Whether the script has cost an environment of the present connection.
    is_disabled: bool,
}

impl InitOfWorld {
    fn on_new_environment(&mut self) {
        self.is_due = self.is_wanted && !self.is_disabled;
    }

    fn on_play(&mut self, script: &str) {
        if script == INIT {
            self.is_due = false;
        }
        assert!(!self.is_due, "{script} is played before the init script");
    }
}

impl World {
    pub(super) fn new(access: Access, init: Option<PathBuf>, has_rights: bool) -> Self {
        let setup = ConsoleSetup { access, preferred: Some("alice"), ..ConsoleSetup::default() };
        let is_wanted = init.is_some();
        let mut console = Console::with_init(setup, init);
        console.circle.functions = Some(FunctionsInfo { version: "1".into(), count: 3 });
        Self {
            console,
            asked: Vec::new(),
            disconnections: 0,
            environment: 0,
            held: 0,
            scripts: 0,
            typed_for: BTreeMap::new(),
            unstarted: VecDeque::new(),
            init: InitOfWorld { is_wanted, ..InitOfWorld::default() },
            has_rights,
            submitted: 0,
            began: 0,
            done: 0,
            given_back: 0,
        }
    }

    fn submit(&mut self, input: &str) {
        self.submitted += 1;
        if self.is_ordered(input) {
            self.unstarted.push_back(input.to_owned());
        }
        self.console.submit(input);
    }

    /// Whether an input never starts before an input that was typed before it. A caller without rights lists functions at
    /// once.
    fn is_ordered(&self, input: &str) -> bool {
        let is_about_rights = self.has_rights && input == ":functions";
        !input.starts_with(':') || ORDERED.contains(&input) && !is_about_rights
    }

    pub(super) async fn step(&mut self, step: RandomStep) {
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
            RandomStep::Cancel => {
                self.init.is_due = false;
                self.console.cancel();
            }
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
            RandomStep::Fail => self.fail(RpcError::forbidden("not this").into()).await,
            RandomStep::Refuse => {
                let error = match self.asked.first() {
                    Some(RemoteCall::Call(..)) => RpcError::InvalidParams { param: "item".into(), reason: "no".into() },
                    _ => RpcError::Forbidden { reason: "no".into(), missing: Some(MissingRight::Play) },
                };
                self.fail(error.into()).await;
            }
            RandomStep::Rights(play, count) if self.has_rights => {
                let circle = &mut self.console.circle;
                circle.may = Some(Rights { play, r#use: Vec::new(), subscribe: Vec::new() });
                circle.functions = Some(FunctionsInfo { version: "1".into(), count });
                circle.publish();
            }
            RandomStep::Rights(..) => {}
            RandomStep::Cost => self.cost().await,
            RandomStep::Lose => self.lose().await,
            RandomStep::Forget => self.forget().await,
            RandomStep::Print => {
                for call in &self.asked {
                    if let RemoteCall::Play(playing) | RemoteCall::Call(_, playing) = call {
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
            if let RemoteCall::Play(playing) = &call {
                self.init.on_play(&playing.script.text);
            }
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
                self.init.is_disabled = false;
                self.init.on_new_environment();
            }
            RemoteCall::Authenticate(_, reply) => drop(reply.send(Ok(()))),
            RemoteCall::Query(_, reply) => drop(reply.send(Ok(Vec::new()))),
            RemoteCall::Functions(reply) => drop(reply.send(Ok(shop()))),
            // The end of the channel is the end of the watch.
            RemoteCall::Watch(..) => {}
            RemoteCall::Play(playing) | RemoteCall::Call(_, playing) => {
                drop(tokio::time::timeout(Duration::ZERO, playing.answer(1)).await);
            }
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
            self.init.is_disabled |= playing.script.text == INIT && is_awaited;
            self.fail(RpcError::EnvironmentLost { reason }.into()).await;
            // As the client does: an error that nobody awaits is a notice.
            if !is_awaited {
                self.console.circle.notify(Notice::EnvironmentLost { reason });
            }
            self.environment += 1;
            self.init.on_new_environment();
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
            self.init.on_new_environment();
        }
    }

    async fn read(&mut self) {
        while let Ok(Some(event)) = tokio::time::timeout(MOMENT, self.console.events.next()).await {
            match event {
                SessionEvent::InputStarted(input) => {
                    self.began += 1;
                    if self.is_ordered(&input) {
                        assert_eq!(self.unstarted.pop_front().as_ref(), Some(&input), "{self:?}");
                    }
                }
                SessionEvent::InputFinished => self.done += 1,
                SessionEvent::InputsReturned(inputs) => {
                    self.given_back += inputs.len();
                    for input in inputs {
                        if let Some(place) = self.unstarted.iter().position(|other| *other == input) {
                            self.unstarted.remove(place);
                        }
                    }
                }
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
    pub(super) async fn end(&mut self) {
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
        RemoteCall::Functions(reply) => drop(reply.send(Err(error))),
        RemoteCall::Watch(_, events) => drop(events.send(Err(error))),
        RemoteCall::Play(playing) | RemoteCall::Call(_, playing) => {
            drop(tokio::time::timeout(Duration::ZERO, playing.fail(error)).await);
        }
    }
}
