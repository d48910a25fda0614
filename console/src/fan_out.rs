//! One script on several circles, side by side.

use std::{sync::Arc, time::Duration};

use client_ws::{CircleWsClient, ClientError, PlayEvent, PlayResult, RpcError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// How long a play with a timeout is waited for after that: the circle takes a second to kill it, and the answer its way.
const OVERDUE: Duration = Duration::from_secs(10);

/// What has happened and is not taken yet, before circles are made to wait.
const EVENTS: usize = 64;

/// What is played on each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub text: String,
    /// A play of its own that goes ahead.
    pub before: Option<String>,
    /// Shortens the circles' time limits.
    pub timeout: Option<Duration>,
    /// A variable that the value is bound to.
    pub bind: Option<String>,
}

/// What has happened on one circle.
#[derive(Debug)]
pub(crate) enum Happened {
    Event(PlayEvent),
    /// The last of it.
    Ended(Result<PlayResult, ClientError>),
}

/// Plays on several circles. Dropped, they are not listened to any more, which ends none of them.
pub(crate) struct Plays {
    happened: mpsc::Receiver<(usize, Happened)>,
    cancel: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

/// Plays a script on each client, all at once. To be called where there is a runtime.
///
/// What happens is to be taken ([`Plays::next`]): until it is, the plays that print wait.
pub(crate) fn start(clients: impl IntoIterator<Item = Arc<CircleWsClient>>, script: &Script) -> Plays {
    let (tell, happened) = mpsc::channel(EVENTS);
    let (cancel, cancelled) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let (script, cancelled, teller) = (script.clone(), cancelled.clone(), Teller { index, tell: tell.clone() });
        tasks.spawn(async move {
            let ended = play(&client, &script, cancelled, &teller).await;
            teller.tell(Happened::Ended(ended)).await;
        });
    }
    Plays { happened, cancel, _tasks: tasks }
}

impl Plays {
    /// What has happened next, and on which of the clients; `None` once all have ended. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<(usize, Happened)> {
        self.happened.recv().await
    }

    /// Cancels those that have not ended; how they end is told as ever.
    pub(crate) fn cancel(&self) {
        self.cancel.send_replace(true);
    }
}

struct Teller {
    index: usize,
    tell: mpsc::Sender<(usize, Happened)>,
}

impl Teller {
    async fn tell(&self, happened: Happened) {
        // Nobody listens any more where the plays were dropped.
        let _untold = self.tell.send((self.index, happened)).await;
    }
}

async fn until(cancelled: &mut watch::Receiver<bool>) {
    let _gone = cancelled.wait_for(|is_cancelled| *is_cancelled).await;
}

async fn play(
    client: &CircleWsClient,
    script: &Script,
    mut cancelled: watch::Receiver<bool>,
    teller: &Teller,
) -> Result<PlayResult, ClientError> {
    if let Some(before) = &script.before {
        tokio::select! {
            done = client.play(before.as_str()) => drop(done?),
            () = until(&mut cancelled) => return Err(RpcError::Cancelled.into()),
        }
    }
    let mut request = client.play(script.text.as_str());
    if let Some(timeout) = script.timeout {
        request = request.timeout(timeout);
    }
    if let Some(bind) = &script.bind {
        request = request.bind(bind.as_str());
    }
    let mut running = request.start().await?;
    let patience = script.timeout.map_or(Duration::MAX, |timeout| timeout.saturating_add(OVERDUE));
    let mut overdue = std::pin::pin!(tokio::time::sleep(patience));
    let mut is_cancelled = false;
    loop {
        tokio::select! {
            event = running.next() => match event {
                Some(event) => teller.tell(Happened::Event(event)).await,
                None => break,
            },
            () = until(&mut cancelled), if !is_cancelled => {
                is_cancelled = true;
                running.cancel().await?;
            }
            () = &mut overdue => return Err(ClientError::TimedOut { after: patience }),
        }
    }
    running.result().await
}
