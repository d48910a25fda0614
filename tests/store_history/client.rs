//! A client of the workload, on one connection or two.

use std::{sync::Arc, time::Duration};

use client_ws::{CircleWsClient, ClientError, Happened, Id, KeyPair, ReconnectPolicy, RpcError};
use futures_util::future;
use history::{Outcome, Random};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    request::Request,
    workload::{Recorded, Workload},
};
use crate::support::WAIT_TIMEOUT;

/// Delay between attempts to connect to a circle that is not up.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Number of times that a client sends a request with `once` before it leaves the outcome unknown.
const MAX_ATTEMPTS: usize = 100;

/// The reason of a request that failed because its script threw.
const THREW: &str = "scripts that threw";

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Results(Vec<Value>),
    /// The request has committed, and its results are not available.
    ResultsLost,
    /// Nothing happened, for a reason.
    Refused(&'static str),
    Unknown,
}

/// What a client does after it has sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Wait,
    /// Cancels the request after some round trips.
    Cancel(usize),
    /// Disconnects after some round trips.
    Disconnect(usize),
    /// Drops the request after some round trips, which cancels it without an answer.
    Drop(usize),
}

impl Plan {
    fn random(random: &mut Random) -> Self {
        match random.below(40) {
            0..6 => Self::Cancel(random.below(4)),
            6 | 7 => Self::Disconnect(random.below(3)),
            8 => Self::Drop(random.below(3)),
            _ => Self::Wait,
        }
    }
}

pub(super) struct Client {
    workload: Arc<Workload>,
    connections: Vec<CircleWsClient>,
    random: Random,
}

impl Client {
    pub(super) fn new(workload: Arc<Workload>, key: &Arc<KeyPair>, connections: usize, random: Random) -> Self {
        let policy = ReconnectPolicy::default().min_delay(RETRY_DELAY).max_delay(2 * RETRY_DELAY);
        let connection = |_| {
            let client = CircleWsClient::builder(&workload.url).keypair(key.clone()).timeout(WAIT_TIMEOUT);
            client.reconnect(policy).build().expect("a client")
        };
        Self { connections: (0..connections).map(connection).collect(), workload, random }
    }

    /// Sends requests until all of the workload are sent.
    pub(super) async fn run(mut self) {
        for connection in &self.connections {
            connect(connection).await;
        }
        while let Some(number) = self.workload.next_request() {
            let request = Request::random(&mut self.random, number, || self.workload.next_element());
            let begin = self.workload.now();
            let answer = if request.once.is_some() {
                self.send_once(&request).await
            } else {
                let (connection, plan) = (self.pick(), Plan::random(&mut self.random));
                self.attempt(connection, &request, plan).await
            };
            let end = self.workload.now();
            if let Answer::Refused(reason) = answer {
                self.workload.count(reason);
            }
            self.workload.record(recorded(request, begin, end, answer));
        }
    }

    /// Executes a request until it has results.
    pub(super) async fn read(&self, request: &Request) -> Recorded {
        connect(&self.connections[0]).await;
        loop {
            let begin = self.workload.now();
            let answer = self.attempt(0, request, Plan::Wait).await;
            if matches!(answer, Answer::Results(_)) {
                return recorded(request.clone(), begin, self.workload.now(), answer);
            }
        }
    }

    /// Plays a script that has an integer.
    pub(super) async fn integer(&self, script: &str) -> u64 {
        let result = self.connections[0].play(script).await.expect("a result");
        result.value.get().expect("an integer")
    }

    fn pick(&mut self) -> usize {
        self.random.below(self.connections.len())
    }

    /// Sends a request with `once` until its outcome is known.
    async fn send_once(&mut self, request: &Request) -> Answer {
        let mut is_unknown = false;
        for attempt in 0..MAX_ATTEMPTS {
            let connection = self.pick();
            let plan = match Plan::random(&mut self.random) {
                // A cancel is one of this attempt alone, and an earlier one may have committed.
                Plan::Cancel(_) | Plan::Drop(_) if is_unknown => Plan::Wait,
                Plan::Disconnect(_) if attempt > 5 => Plan::Wait,
                plan => plan,
            };
            let is_twin = plan == Plan::Wait && self.connections.len() > 1 && self.random.one_in(2);
            let answer = if is_twin {
                self.workload.count("sent twice at once");
                let other = (connection + 1) % self.connections.len();
                let (one, other) = (self.attempt(connection, request, plan), self.attempt(other, request, plan));
                let (one, other) = future::join(one, other).await;
                either(one, other)
            } else {
                self.attempt(connection, request, plan).await
            };
            match answer {
                Answer::Results(results) => {
                    if self.random.one_in(4) {
                        self.repeat(request, &results).await;
                    }
                    return Answer::Results(results);
                }
                Answer::ResultsLost => return answer,
                Answer::Unknown => is_unknown = true,
                // It has run, and so had no record, and no other attempt that could still commit.
                Answer::Refused(THREW) => return answer,
                Answer::Refused(_) if is_unknown || self.random.one_in(2) => {}
                Answer::Refused(_) => return answer,
            }
            self.workload.count("repeated");
        }
        if is_unknown { Answer::Unknown } else { Answer::Refused("attempts without an effect") }
    }

    /// Sends a request that has committed again: it gets the recorded results, unless it fails for another reason.
    async fn repeat(&mut self, request: &Request, results: &[Value]) {
        let connection = self.pick();
        if let Answer::Results(again) = self.attempt(connection, request, Plan::Wait).await {
            assert_eq!(again, results, "the recorded results of {request:?}");
            self.workload.count("recorded results");
        }
    }

    /// Sends a request, and does what is planned.
    async fn attempt(&self, connection: usize, request: &Request, plan: Plan) -> Answer {
        let client = &self.connections[connection];
        let running = loop {
            match request.start(client).await {
                Ok(running) => break running,
                // It was not sent.
                Err(ClientError::ConnectionLost { .. } | ClientError::NotConnected) => connect(client).await,
                Err(error) => panic!("{error:?}"),
            }
        };
        self.workload.count("requests");
        let (Plan::Cancel(round_trips) | Plan::Disconnect(round_trips) | Plan::Drop(round_trips)) = plan else {
            return answer(running.results().await);
        };
        for _ in 0..round_trips {
            // The client gives no request the id 0. A lost connection shows in what follows.
            let _cancelled = client.cancel(&Id::number(0)).await;
        }
        match plan {
            Plan::Cancel(_) => {
                let is_cancelled = running.cancel().await.is_ok_and(|is_cancelled| is_cancelled);
                let answer = answer(running.results().await);
                self.workload.count(if is_cancelled { "cancelled" } else { "late cancels" });
                if is_cancelled {
                    let has_result = matches!(answer, Answer::Results(_) | Answer::ResultsLost);
                    assert!(!has_result, "a cancelled request has a result: {request:?}");
                    return Answer::Refused("cancelled runs");
                }
                answer
            }
            Plan::Disconnect(_) => {
                client.disconnect();
                self.workload.count("disconnects");
                let answer = answer(running.results().await);
                connect(client).await;
                answer
            }
            Plan::Drop(_) | Plan::Wait => {
                drop(running);
                self.workload.count("drops");
                Answer::Unknown
            }
        }
    }
}

/// Connects and authenticates, as soon as the circle is up.
async fn connect(client: &CircleWsClient) {
    let begun = Instant::now();
    loop {
        let connected = match client.connect().await {
            Ok(()) => client.authenticate().await,
            error => error,
        };
        let Err(error) = connected else { return };
        assert!(begun.elapsed() < WAIT_TIMEOUT, "cannot connect: {error}");
        sleep(RETRY_DELAY).await;
    }
}

/// The answer of one of two attempts that ran at the same time.
fn either(one: Answer, other: Answer) -> Answer {
    match (one, other) {
        (Answer::Results(one), Answer::Results(other)) => {
            assert_eq!(one, other, "the results of one request that was sent twice at the same time");
            Answer::Results(one)
        }
        (answer @ Answer::Results(_), _) | (_, answer @ Answer::Results(_)) => answer,
        (answer @ Answer::ResultsLost, _) | (_, answer @ Answer::ResultsLost) => answer,
        (one @ Answer::Refused(_), Answer::Refused(_)) => one,
        _ => Answer::Unknown,
    }
}

fn answer(result: Result<Vec<Value>, ClientError>) -> Answer {
    let error = match result {
        Ok(results) => return Answer::Results(results),
        Err(ClientError::Rpc(error)) => error,
        Err(ClientError::ConnectionLost { .. } | ClientError::NotConnected) => return Answer::Unknown,
        Err(error) => panic!("{error:?}"),
    };
    Answer::Refused(match error {
        RpcError::Script(_) => THREW,
        RpcError::LimitExceeded { .. } => "time limits",
        RpcError::Cancelled => "cancelled runs",
        RpcError::Busy { .. } | RpcError::ShuttingDown => "busy circles",
        RpcError::EnvironmentLost { .. } => "lost workers",
        // No worker could start, because the process that forks them was killed at that moment.
        RpcError::Internal => "workers that did not start",
        RpcError::Conflict { .. } => "conflicts",
        RpcError::StoreUnavailable { happened: Happened::No, .. } => "stores without space",
        RpcError::StoreUnavailable { .. } => return Answer::Unknown,
        RpcError::ResultLost { .. } => return Answer::ResultsLost,
        error => panic!("{error:?}"),
    })
}

fn recorded(request: Request, begin: u64, end: u64, answer: Answer) -> Recorded {
    let (outcome, results) = match answer {
        Answer::Results(results) => (Outcome::Committed, Some(results)),
        Answer::ResultsLost => (Outcome::Committed, None),
        Answer::Refused(_) => (Outcome::Aborted, None),
        Answer::Unknown => (Outcome::Unknown, None),
    };
    Recorded { request, begin, end, outcome, results }
}
