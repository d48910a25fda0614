//! Requests: calls of functions and plays, with the steps of their transaction.

use std::time::Duration;

use client_ws::{CallRequest, CircleWsClient, ClientError, RunningCall, RunningPlay};
use history::Random;
use serde_json::{Value, json};

use super::steps::{RUN, Step, to_json, to_rhai};

/// How the steps are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A call of a function.
    Call,
    /// A call of a function that calls a function of another file for each part.
    NestedCall,
    /// A call of a function that throws after its steps.
    FailingCall,
    /// A play that uses the store itself.
    Play,
    /// A play that calls functions, of which one throws, so that its writes are undone, and uses the store itself.
    NestedPlay,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    kind: Kind,
    parts: Vec<Vec<Step>>,
    /// The steps of the function that throws in a play.
    pub(super) undone: Vec<Step>,
    pub(super) once: Option<String>,
    timeout: Option<Duration>,
}

impl Request {
    /// A random request. `number` is its number among all requests.
    pub(super) fn random(random: &mut Random, number: usize, mut element: impl FnMut() -> u64) -> Self {
        let kind = match random.below(16) {
            0..6 => Kind::Call,
            6..9 => Kind::NestedCall,
            9 => Kind::FailingCall,
            10..13 => Kind::Play,
            _ => Kind::NestedPlay,
        };
        let mut steps = |random: &mut Random, count| {
            (0..count).map(|_| Step::random(random, number, &mut element)).collect::<Vec<_>>()
        };
        let parts = match kind {
            Kind::Call | Kind::FailingCall | Kind::Play => 1,
            Kind::NestedCall => 2,
            Kind::NestedPlay => 3,
        };
        let parts = (0..parts)
            .map(|_| {
                let count = 1 + random.below(3);
                steps(random, count)
            })
            .collect();
        let undone = if kind == Kind::NestedPlay { steps(random, 2) } else { Vec::new() };
        let is_call = !matches!(kind, Kind::Play | Kind::NestedPlay);
        let once = (is_call && random.one_in(2)).then(|| format!("{number:08}-{:016x}", random.next()));
        // So that time limits end requests at random points, too.
        let timeout = random.one_in(16).then(|| Duration::from_millis(1 + random.below(15) as u64));
        Self { kind, parts, undone, once, timeout }
    }

    /// A call that executes steps, and fails only with its connection.
    pub(super) fn call(steps: Vec<Step>) -> Self {
        Self { kind: Kind::Call, parts: vec![steps], undone: Vec::new(), once: None, timeout: None }
    }

    /// The steps that take effect, in their order.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.parts.concat()
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// The request was not sent.
    pub(super) async fn start(&self, client: &CircleWsClient) -> Result<Running, ClientError> {
        let (function, params) = match self.kind {
            Kind::Call => ("history.run", json!({ "steps": to_json(&self.parts[0]) })),
            Kind::FailingCall => ("failing.run", json!({ "steps": to_json(&self.parts[0]) })),
            Kind::NestedCall => {
                let parts: Value = self.parts.iter().map(|part| to_json(part)).collect();
                ("nested.run", json!({ "parts": parts }))
            }
            Kind::Play | Kind::NestedPlay => {
                let mut play = client.play(self.script());
                if let Some(timeout) = self.timeout {
                    play = play.timeout(timeout);
                }
                return play.start().await.map(Running::Play);
            }
        };
        let mut call = CallRequest::new(function).params(params);
        if let Some(once) = &self.once {
            call = call.once(once);
        }
        if let Some(timeout) = self.timeout {
            call = call.timeout(timeout);
        }
        client.start_call(call).await.map(Running::Call)
    }

    fn script(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|part| to_rhai(part)).collect();
        let [first, rest @ ..] = &parts[..] else { panic!("a request has a part") };
        let [second, third] = rest else { return format!("{RUN} run({first})") };
        let undone = to_rhai(&self.undone);
        format!(
            "{RUN} let results = circle::history::run({first}); try {{ circle::failing::run({undone}) }} catch {{ }} \
             results += run({second}); results += circle::nested::run([{third}]); results"
        )
    }
}

/// A request that was sent.
pub(super) enum Running {
    Play(RunningPlay),
    Call(RunningCall),
}

impl Running {
    /// Cancels the request. Returns false if it had already ended.
    pub(super) async fn cancel(&self) -> Result<bool, ClientError> {
        match self {
            Self::Play(play) => play.cancel().await,
            Self::Call(call) => call.cancel().await,
        }
    }

    /// The results of the steps.
    pub(super) async fn results(self) -> Result<Vec<Value>, ClientError> {
        match self {
            Self::Play(play) => Ok(play.result().await?.value.get().expect("an array of results")),
            Self::Call(call) => call.result().await,
        }
    }
}
