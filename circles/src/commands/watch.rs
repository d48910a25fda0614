//! `circles watch`: follow keys of a circle's store, or a topic, as JSON Lines.

use std::time::Duration;

use client_ws::{
    CircleWsClient, ClientError, EventEntry, MissingRight, Notice, PlayValue, ReconnectPolicy, RpcError,
    SubscribeRequest, Subscription, SubscriptionEnd, SubscriptionEvent,
};
use console::watch;
use frontend::{
    circle_target::CircleTarget,
    error::{CliError, OutputError},
    visible::visible,
};
use protocol::methods::SnapshotPart;
use serde::Serialize;
use terminal::{modes::Interrupts, output, printer::Printer, runtime::client_runtime};

use super::caller::{CallerConnection, failed_on};
use crate::cli::WatchArgs;

/// Time in which the command writes what it has received after Ctrl-C, if the reader of the output is slow.
const INTERRUPT_GRACE_PERIOD: Duration = Duration::from_millis(500);

/// An event in a line.
#[derive(Debug, Default, Serialize)]
struct EventLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<&'a [EventEntry]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a PlayValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<SubscriptionEnd>,
    /// Absent if it is that of the line before: a watch cannot go on after this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
}

pub(crate) fn run(args: &WatchArgs) -> Result<(), CliError> {
    client_runtime()?.block_on(async {
        let connection = CallerConnection::open_reconnecting(&args.caller, ReconnectPolicy::default()).await?;
        let mut interrupts = Interrupts::claim()?;
        let printer = Printer::start();
        let watched = tokio::select! {
            watched = follow(&connection.client, request(args), &printer) => Some(watched),
            closed = output::stdout_closed() => Some(Err(WatchError::Output(closed))),
            () = interrupts.next() => None,
        };
        // A reader that does not read must not delay the end.
        let is_interrupted = watched.is_none();
        let printed = tokio::select! {
            printed = printer.finish() => printed,
            () = interrupts.next() => return Err(CliError::Interrupted),
            () = tokio::time::sleep(INTERRUPT_GRACE_PERIOD), if is_interrupted => return Err(CliError::Interrupted),
        };
        match watched {
            None => printed.map_err(Into::into),
            Some(Err(WatchError::Output(error))) => Err(error.into()),
            Some(Err(WatchError::Client(error))) => {
                printed?;
                Err(failed_on(&connection.target, error))
            }
            Some(Ok(reason)) => {
                printed?;
                Err(end_error(&connection.target, reason))
            }
        }
    })
}

enum WatchError {
    Client(ClientError),
    Output(OutputError),
}

impl From<ClientError> for WatchError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<OutputError> for WatchError {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

fn request(args: &WatchArgs) -> SubscribeRequest {
    let request = match (&args.keys, &args.topic) {
        (Some(keys), _) => SubscribeRequest::keys(keys),
        // The parser requires one of them.
        (None, topic) => SubscribeRequest::topic(topic.clone().unwrap_or_default()),
    };
    match &args.since {
        Some(cursor) => request.since(cursor),
        None => request,
    }
}

/// Prints events until the circle ends the subscription.
async fn follow(
    client: &CircleWsClient,
    request: SubscribeRequest,
    printer: &Printer,
) -> Result<SubscriptionEnd, WatchError> {
    let mut subscription = client.subscribe(request).await?;
    let mut cursor = None;
    loop {
        let event = tokio::select! {
            event = subscription.next() => event,
            Ok(notice) = client.next_notice() => {
                note(printer, &notice).await?;
                continue;
            }
        };
        // A subscription ends with an error or a reason.
        let Some(event) = event else { return Ok(SubscriptionEnd::Unknown) };
        let event = event?;
        printer.text(line(&event, &subscription, &mut cursor)).await?;
        if let SubscriptionEvent::Ended { reason } = event {
            return Ok(reason);
        }
    }
}

/// Returns the line of an event. `cursor` is that of the line before.
fn line(event: &SubscriptionEvent, subscription: &Subscription, cursor: &mut Option<String>) -> String {
    let current = subscription.cursor();
    let is_new = current != cursor.as_deref();
    let line = EventLine { cursor: current.filter(|_| is_new), ..event_line(event) };
    let text = serde_json::to_string(&line).unwrap_or_default() + "\n";
    if is_new {
        *cursor = current.map(str::to_owned);
    }
    text
}

fn event_line(event: &SubscriptionEvent) -> EventLine<'_> {
    let line = EventLine::default();
    match event {
        SubscriptionEvent::Snapshot { entries, is_complete } => {
            let snapshot = if *is_complete { SnapshotPart::End } else { SnapshotPart::Part };
            EventLine { entries: Some(entries), snapshot: Some(snapshot), ..line }
        }
        SubscriptionEvent::Changes { entries } => EventLine { entries: Some(entries), ..line },
        SubscriptionEvent::Published { data } => EventLine { data: Some(data), ..line },
        SubscriptionEvent::Gap => EventLine { gap: true, ..line },
        SubscriptionEvent::Ended { reason } => EventLine { ended: Some(*reason), ..line },
        _ => line,
    }
}

async fn note(printer: &Printer, notice: &Notice) -> Result<(), OutputError> {
    match watch::connection_note(notice) {
        Some(note) => printer.note(format!("{}\n", visible(&note))).await,
        None => Ok(()),
    }
}

/// The error for a subscription that the circle has ended.
fn end_error(target: &CircleTarget, reason: SubscriptionEnd) -> CliError {
    match reason {
        SubscriptionEnd::Forbidden => {
            let reason = "the role of the caller does not grant this subscription any more".into();
            let error = RpcError::Forbidden { reason, missing: Some(MissingRight::Subscribe) };
            failed_on(target, ClientError::Rpc(error))
        }
        _ => CliError::from_closed_subscription(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watch_of_a_store_that_has_failed_names_the_circle_to_restart() {
        let error = |target| {
            let error = end_error(&target, SubscriptionEnd::Closed);
            (error.exit_code(), error.lines(400).iter().map(|line| line.to_string() + "\n").collect::<String>())
        };
        let url = || "ws://127.0.0.1:9001/".to_owned();
        assert_eq!(
            error(CircleTarget::from_config("shop", url(), None)),
            (
                5,
                "error: circle 'shop' at ws://127.0.0.1:9001 has ended the subscription: its store has failed or is closed\n  \
                 check the disk, then restart the circle: circles restart shop\n"
                    .to_owned()
            )
        );
        let (code, text) = error(CircleTarget::from_address("9001", url()));
        assert!(code == 5 && text.contains("ask its operator") && !text.contains("NAME"), "{text}");
    }
}
