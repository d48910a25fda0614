//! `subscribe` and `unsubscribe`: the subscriptions of a session.

use protocol::{
    RpcError,
    error::{BusyLimit, MissingRight},
    methods::{MAX_SUBSCRIPTIONS, SubscribeParams, UnsubscribeParams, UnsubscribeResult},
};
use store::{Filter, KEY_BYTES, Key, Prefix};

use crate::{
    rights,
    session::{Session, Ticket},
    subscriptions::{ParsePositionError, ReadFrom},
};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: &SubscribeParams) {
    match admit(session, params) {
        Ok((filter, since)) => session.subscribe(ticket, filter, since),
        Err(error) => session.reply_error(&ticket, &error),
    }
}

pub(crate) fn unsubscribe(session: &mut Session, params: &UnsubscribeParams) -> UnsubscribeResult {
    UnsubscribeResult { unsubscribed: session.unsubscribe(params.subscription) }
}

fn admit(session: &Session, params: &SubscribeParams) -> Result<(Filter, Option<ReadFrom>), RpcError> {
    let filter = filter(params)?;
    let key = session.auth.identity();
    if !rights::may_subscribe(&session.rights, key.as_ref(), &filter) {
        return Err(match key {
            None => RpcError::Unauthenticated,
            Some(_) => forbidden(session, &filter),
        });
    }
    let param = if matches!(filter, Filter::Topic(_)) { "topic" } else { "keys" };
    if session.circle.event_hub().is_none() {
        return Err(invalid(param, "the circle has no store, so nothing changes and no event is published"));
    }
    let since: Option<ReadFrom> = match &params.since {
        None => None,
        Some(since) => Some(since.parse().map_err(|error: ParsePositionError| invalid("since", &error.to_string()))?),
    };
    if since.as_ref().is_some_and(|since| !since.is_of(&filter)) {
        return Err(invalid("since", "is a cursor of other keys: use a cursor of this subscription"));
    }
    if session.circle.is_draining() {
        return Err(RpcError::ShuttingDown);
    }
    if session.has_all_subscriptions() {
        let (limit, max) = (BusyLimit::Subscriptions, MAX_SUBSCRIPTIONS);
        return Err(RpcError::Busy { limit, max, retry_after_ms: None });
    }
    Ok((filter, since))
}

fn filter(params: &SubscribeParams) -> Result<Filter, RpcError> {
    match (&params.keys, &params.topic) {
        (Some(keys), None) if keys.ends_with('/') => {
            Prefix::new(keys).map(Filter::Prefix).map_err(|error| invalid("keys", &error.to_string()))
        }
        (Some(keys), None) => Key::new(keys).map(Filter::Key).map_err(|error| invalid("keys", &error.to_string())),
        (None, Some(topic)) if topic.is_empty() || topic.len() > KEY_BYTES => {
            Err(invalid("topic", "is not a topic: use 1 to 512 bytes"))
        }
        (None, Some(topic)) => Ok(Filter::Topic(topic.clone())),
        (None, None) => Err(invalid("keys", "is missing: give either 'keys' or 'topic'")),
        (Some(_), Some(_)) => Err(invalid("topic", "is given beside 'keys': open a subscription for each")),
    }
}

fn forbidden(session: &Session, filter: &Filter) -> RpcError {
    let role = session.rights.role_name().map_or("", |role| role);
    let (kind, what) = match filter {
        Filter::Prefix(prefix) => ("keys", prefix.as_str()),
        Filter::Key(key) => ("keys", key.as_str()),
        Filter::Topic(topic) => ("topic", topic.as_str()),
    };
    // The reason is bounded, because the client chose the name.
    let what: String = what.chars().take(64).collect();
    let reason = format!("the role '{role}' may not subscribe to {kind}:{what}");
    RpcError::Forbidden { reason, missing: Some(MissingRight::Subscribe) }
}

fn invalid(param: &str, reason: &str) -> RpcError {
    RpcError::InvalidParams { param: param.into(), reason: reason.into() }
}
