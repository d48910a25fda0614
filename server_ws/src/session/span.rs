//! The span of a session in the log.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tracing::Span;

use crate::quota::Slot;

/// A session whose log events have the session's number.
///
/// The registry of spans keeps memory for its peak number of spans, in blocks that freed spans do not release. So only
/// a session that may play has a span for its whole life; a stranger has one only while it is polled.
pub(crate) struct SpannedSession<F> {
    session: Pin<Box<F>>,
    slot: Arc<Slot>,
    number: u64,
    span: Option<Span>,
}

impl<F: Future> SpannedSession<F> {
    pub(crate) fn new(session: F, slot: Arc<Slot>, number: u64) -> Self {
        Self { session: Box::pin(session), slot, number, span: None }
    }
}

impl<F: Future> Future for SpannedSession<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let number = this.number;
        let span = this.span.take().unwrap_or_else(|| tracing::info_span!("session", number));
        let polled = span.in_scope(|| this.session.as_mut().poll(cx));
        this.span = this.slot.is_admitted().then_some(span);
        polled
    }
}
