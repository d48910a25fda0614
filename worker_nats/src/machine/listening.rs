//! The queue group for placement requests: a machine is a member only while it accepts workers.

use std::time::Duration;

use async_nats::{Client, Message, SubscribeError, Subscriber};
use futures_util::{StreamExt, stream::select_all};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::subjects::PLACEMENT_QUEUE;

/// Becomes a member of the queue group for these subjects.
pub(super) async fn subscribe_placements(
    client: &Client,
    subjects: &[String],
) -> Result<Vec<Subscriber>, SubscribeError> {
    let mut subscribers = Vec::with_capacity(subjects.len());
    for subject in subjects {
        subscribers.push(client.queue_subscribe(subject.clone(), PLACEMENT_QUEUE.into()).await?);
    }
    Ok(subscribers)
}

/// Passes placement requests on while the machine accepts workers, and for a `refusal` time after that. The first
/// subscriptions exist already. `listening` says whether the machine is a member of the queue group. Returns when the
/// sender of `accepting` is dropped.
pub(super) async fn listen(
    client: Client,
    (subscribers, subjects): (Vec<Subscriber>, Vec<String>),
    mut accepting: watch::Receiver<bool>,
    listening: watch::Sender<bool>,
    refusal: Duration,
    requests: mpsc::Sender<Message>,
) {
    let mut first = Some(subscribers);
    let mut dropped = 0_u64;
    while accepting.wait_for(|is_accepting| *is_accepting).await.is_ok() {
        let subscribers = match first.take() {
            Some(subscribers) => Ok(subscribers),
            None => subscribe_placements(&client, &subjects).await,
        };
        let subscribers = match subscribers {
            Ok(subscribers) => subscribers,
            // The client has ended.
            Err(error) => {
                tracing::debug!(%error, "could not subscribe to placement requests");
                return;
            }
        };
        let mut messages = select_all(subscribers);
        // NATS gets the subscriptions before whatever the machine publishes from now on.
        listening.send_replace(true);
        let mut leave_at = None;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => if requests.try_send(message).is_err() {
                        // The server requests the worker again.
                        dropped += 1;
                        if dropped.is_power_of_two() {
                            tracing::warn!(dropped, "placement requests dropped: too many wait");
                        }
                    },
                    None => return,
                },
                changed = accepting.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let is_accepting = *accepting.borrow_and_update();
                    leave_at = (!is_accepting).then(|| Instant::now() + refusal);
                }
                () = sleep_until(leave_at.unwrap_or_else(Instant::now)), if leave_at.is_some() => break,
            }
        }
        listening.send_replace(false);
        // Dropping the subscribers leaves the queue group.
    }
}
