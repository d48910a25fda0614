//! What a process is, and what it is asked to be while it runs.

use std::{sync::Arc, time::Duration};

use protocol::RpcError;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Told, arguments::arguments, retold};
use crate::{CircleEventKind, definition::Definition, life::Files, link::Link};

/// How long a circle may take to take over what is changed, its init script included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of what a circle can be told.
const MOST: usize = 1 << 20;

/// One is asked after the other: a circle answers one at a time, and what it answers late holds all the same.
#[derive(Debug)]
pub(super) struct Asking {
    /// What the process is, as far as it has answered.
    runs: watch::Sender<Arc<Definition>>,
    /// Nothing else is told to one that is not.
    pub(super) is_ready: bool,
    /// What it has not answered yet, in time or not.
    asked: Option<Asked>,
    /// Of what it was told last there has to be an outcome.
    awaited: Option<Awaited>,
    /// What it was told last is to be asked once it has answered what it was asked before.
    is_behind: bool,
}

#[derive(Debug)]
struct Asked {
    /// What the answer has.
    number: u64,
    told: Told,
}

#[derive(Debug)]
struct Awaited {
    /// Of the times that it was told.
    number: u64,
    until: Instant,
}

impl Awaited {
    fn of(number: u64) -> Self {
        Self { number, until: Instant::now() + PATIENCE }
    }
}

impl Asking {
    /// Of a process that was started as that.
    pub(super) fn of(runs: watch::Sender<Arc<Definition>>) -> Self {
        Self { runs, is_ready: false, asked: None, awaited: None, is_behind: false }
    }

    /// Waits until there is something to ask, or an answer is too late. Cancel safe.
    pub(super) async fn due(&self, told: &mut watch::Receiver<Told>) {
        match &self.awaited {
            Some(awaited) => sleep_until(awaited.until).await,
            None if self.asked.is_none() && self.is_behind => {}
            None if self.is_ready => retold(told).await,
            None => std::future::pending().await,
        }
    }

    /// Does what is due; the outcome, where it need not be waited for.
    pub(super) async fn go_on(&mut self, told: &mut watch::Receiver<Told>, link: &mut Link) -> Option<CircleEventKind> {
        if let Some(Awaited { number, .. }) = self.awaited.take() {
            let refused = Some(format!("it has not answered within {} s", PATIENCE.as_secs()));
            return Some(CircleEventKind::Configured { generation: number, refused });
        }
        let told = told.borrow_and_update().clone();
        self.is_behind = self.asked.is_some();
        if self.is_behind {
            self.awaited = Some(Awaited::of(told.number));
            return None;
        }
        self.ask(told, link).await
    }

    /// Asks it to be that; the outcome, where it need not be waited for.
    async fn ask(&mut self, told: Told, link: &mut Link) -> Option<CircleEventKind> {
        let anew = arguments(&told.definition.circle, &Files::default());
        let size = anew.iter().map(String::len).sum::<usize>();
        if size > MOST {
            let refused = Some(format!("it cannot be told more than {} KiB at a time", MOST >> 10));
            return Some(CircleEventKind::Configured { generation: told.number, refused });
        }
        let runs = self.runs.borrow().clone();
        if anew == arguments(&runs.circle, &Files::default()) && told.definition.contents == runs.contents {
            self.runs.send_replace(told.definition);
            return Some(CircleEventKind::Configured { generation: told.number, refused: None });
        }
        // One that is gone takes it over with its next start.
        let number = link.configure(anew).await.ok()?;
        self.awaited = Some(Awaited::of(told.number));
        self.asked = Some(Asked { number, told });
        None
    }

    /// What an answer of that number means, however late it comes; nothing, if nothing with that number was asked.
    pub(super) fn answered(&mut self, number: u64, outcome: Result<(), RpcError>) -> Option<CircleEventKind> {
        let Asked { told, .. } = self.asked.take_if(|asked| asked.number == number)?;
        self.awaited = None;
        let refused = outcome.err().map(|error| error.to_string());
        if refused.is_none() {
            self.runs.send_replace(told.definition);
        }
        Some(CircleEventKind::Configured { generation: told.number, refused })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::{
        definition::Contents,
        link::{ConfigureResult, Said, ToCircle, supervisor_channel},
    };

    fn definition(fields: &str, init: u8) -> Arc<Definition> {
        let text = format!(r#"{{ "circles": [{{ "name": "a", "port": 1{fields} }}] }}"#);
        let circle = crate::parse(&text, std::path::Path::new("circles.json")).expect("valid").remove(0);
        Arc::new(Definition { circle, contents: Contents { init: Some([init; 32]), modules: None } })
    }

    fn outcome(happened: Option<CircleEventKind>) -> Option<(u64, bool)> {
        match happened? {
            CircleEventKind::Configured { generation: number, refused } => Some((number, refused.is_none())),
            other => panic!("{other:?}"),
        }
    }

    /// Time passes as fast as nothing happens.
    #[tokio::test(start_paused = true)]
    async fn a_circle_is_asked_once_it_is_ready_and_only_what_it_would_notice() {
        let (one, other) = UnixStream::pair().expect("a pair");
        let (mut link, (mut circle, mut hears)) = (Link::new(one), supervisor_channel(other));
        let (tell, mut told) = watch::channel(Told { number: 0, definition: definition("", 1) });
        let (runs, known) = watch::channel(definition("", 1));
        let mut asking = Asking::of(runs);
        let say = |number, definition| tell.send_replace(Told { number, definition });
        let early = Duration::from_mins(1);
        say(1, definition(r#", "restart": "never""#, 1));
        tokio::time::timeout(early, asking.due(&mut told)).await.expect_err("it is not ready");
        asking.is_ready = true;
        asking.due(&mut told).await;
        // That is not the circle's.
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), Some((1, true)));

        // Another content alone is worth asking, and so is what was refused before.
        for (number, refusal) in [(2, Some(RpcError::Internal)), (3, None)] {
            say(number, definition("", 2));
            asking.due(&mut told).await;
            assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), None);
            let ToCircle::Configure(id, asked) = hears.next().await else { panic!("it is asked") };
            assert_eq!(asked.arguments[0], "serve");
            circle.respond(&id, refusal.clone().map_or(Ok(ConfigureResult {}), Err)).await.expect("it is there");
            let Some(Said::Configured(of, answer)) = link.next().await else { panic!("it answers") };
            assert_eq!(outcome(asking.answered(of, answer)), Some((number, refusal.is_none())));
        }
        say(4, definition("", 2));
        asking.due(&mut told).await;
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), Some((4, true)), "it is so already");

        // An answer that does not come in time is told as none.
        say(5, definition("", 3));
        asking.due(&mut told).await;
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), None);
        let begun = Instant::now();
        asking.due(&mut told).await;
        assert!(begun.elapsed() >= PATIENCE);
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), Some((5, false)));
        assert_eq!(known.borrow().contents, definition("", 2).contents);
        // What is taken back meanwhile waits for it, and is not taken for what runs.
        say(6, definition("", 4));
        say(7, definition("", 2));
        asking.due(&mut told).await;
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), None);
        let ToCircle::Configure(late, _) = hears.next().await else { panic!("it is asked") };
        tokio::time::timeout(early, hears.next()).await.expect_err("it is asked one at a time");
        asking.due(&mut told).await;
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), Some((7, false)));
        circle.respond(&late, Ok(ConfigureResult {})).await.expect("it is there");
        let Some(Said::Configured(of, answer)) = link.next().await else { panic!("it answers") };
        assert_eq!(outcome(asking.answered(of, answer)), Some((5, true)));
        assert_eq!(known.borrow().contents, definition("", 3).contents, "a late answer holds");
        asking.due(&mut told).await;
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), None);
        let ToCircle::Configure(id, _) = hears.next().await else { panic!("it is asked again") };
        circle.respond(&id, Ok(ConfigureResult {})).await.expect("it is there");
        let Some(Said::Configured(of, answer)) = link.next().await else { panic!("it answers") };
        assert!(asking.answered(of - 1, Ok(())).is_none(), "that was answered before");
        assert_eq!(outcome(asking.answered(of, answer)), Some((7, true)));
        assert_eq!(known.borrow().contents, definition("", 2).contents);

        let many = format!(r#", "origins": [{}]"#, vec![r#""https://a.example""#; 70_000].join(","));
        say(8, definition(&many, 4));
        asking.due(&mut told).await;
        assert_eq!(outcome(asking.go_on(&mut told, &mut link).await), Some((8, false)), "it is too much");
    }
}
