//! One script on several circles.

use std::sync::Arc;

use client_ws::{CircleWsClient, PlayEvent};
use tokio::sync::Notify;

use super::Work;
use crate::app::{id::{CircleId, Connection, PlayNumber}, message::{News, SessionNews}};
use console::{LAST_VALUE, fan_out::{self, Happened}};

impl Work {
    /// Plays a script on each. What is returned cancels it when it is notified.
    pub(crate) fn play_on_each(
        &self,
        to: (CircleId, Connection),
        number: PlayNumber,
        clients: Vec<Arc<CircleWsClient>>,
        script: String,
    ) -> Arc<Notify> {
        let (work, cancel) = (self.clone(), Arc::new(Notify::new()));
        let cancelled = cancel.clone();
        self.spawn(async move {
            let mut ends: Vec<_> = clients.iter().map(|_| None).collect();
            let script = fan_out::Script { text: script, bind: Some(LAST_VALUE.into()), ..Default::default() };
            let mut plays = fan_out::start(clients, &script);
            loop {
                let (index, happened) = tokio::select! {
                    happened = plays.next() => match happened {
                        Some(happened) => happened,
                        None => break,
                    },
                    () = cancelled.notified() => {
                        plays.cancel();
                        continue;
                    }
                };
                match happened {
                    Happened::Event(PlayEvent::Output(output)) => {
                        let news = SessionNews::EachOutput(number, index, output);
                        work.post(News::Session(to.0, to.1, news)).await;
                    }
                    Happened::Event(_) => {}
                    Happened::Ended(ended) => ends[index] = Some(ended),
                }
            }
            work.post(News::Session(to.0, to.1, SessionNews::EachEnded(number, ends))).await;
        });
        cancel
    }
}
