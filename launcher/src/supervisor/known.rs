//! A circle that is known, and its life if it has one.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use protocol::methods::Access;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinSet},
};

use crate::{
    CircleConfig, CircleEvent,
    definition::{Contents, Definition},
    life::{Files, Supervised, Told},
    link::Heartbeat,
    place::SupervisorFiles,
    port::overlap,
    state::{Book, Change, CircleState},
};

/// A circle that is known.
pub(super) struct Known {
    /// As circles.json has it; what runs may be an earlier one.
    pub(super) circle: CircleConfig,
    pub(super) contents: Contents,
    /// Where what runs is dialled.
    pub(super) url: String,
    /// Who may play on what runs.
    pub(super) access: Access,
    /// As it said last.
    pub(super) figures: Option<Heartbeat>,
    /// What its process identifies itself with, as it said.
    pub(super) identity: Option<String>,
    pub(super) book: Book,
    pub(super) life: Option<Life>,
    /// To be started once its present life is over, and that of whoever still has its address.
    pub(super) is_wanted_anew: bool,
    /// Nobody has said anything of it since it came into the file.
    pub(super) is_new: bool,
    /// It was drained because it is not in the file any more.
    pub(super) is_gone: bool,
    /// Why what runs does not take over what the file says.
    pub(super) refused: Option<String>,
}

pub(super) struct Life {
    pub(super) task: Id,
    pub(super) stop: watch::Sender<bool>,
    /// What runs, as far as it is known.
    pub(super) runs: watch::Receiver<Arc<Definition>>,
    /// What it was told last.
    pub(super) told: watch::Sender<Told>,
    /// It has not said yet whether it takes that over.
    pub(super) is_unsettled: bool,
}

impl Known {
    pub(super) fn of(Definition { circle, contents }: Definition) -> Self {
        Self {
            url: circle.url(),
            access: circle.access,
            circle,
            contents,
            figures: None,
            identity: None,
            book: Book::default(),
            life: None,
            is_wanted_anew: false,
            is_new: true,
            is_gone: false,
            refused: None,
        }
    }

    pub(super) fn begin(
        &mut self,
        place: &SupervisorFiles,
        program: &std::path::Path,
        events: &mpsc::Sender<CircleEvent>,
        lives: &mut JoinSet<bool>,
    ) {
        let (stop, stopped) = watch::channel(false);
        let definition = Arc::new(self.definition());
        let (is, runs) = watch::channel(definition.clone());
        let (tell, told) = watch::channel(Told { number: 0, definition });
        let name = &self.circle.name;
        let supervised = Supervised {
            name: name.clone(),
            told,
            runs: is,
            program: program.to_owned(),
            files: Files {
                log: Some(place.log(name)),
                audit: Some(place.audit(name)),
                identity: Some(place.identity(name)),
                lock: Some(place.circle_lock(name)),
            },
            events: events.clone(),
            stopped,
            last_words: None,
            has_been_ready: false,
        };
        let task = lives.spawn(async move { supervised.live().await.is_some() }).id();
        self.life = Some(Life { task, stop, runs, told: tell, is_unsettled: false });
        (self.is_new, self.is_gone, self.refused) = (false, false, None);
        (self.url, self.access, self.is_wanted_anew) = (self.circle.url(), self.circle.access, false);
        self.book.note(Change::Wanted, Instant::now());
    }

    pub(super) fn end(&mut self, is_wanted_anew: bool) {
        self.is_new = false;
        if let Some(life) = &self.life {
            self.is_wanted_anew = is_wanted_anew;
            life.stop.send_replace(true);
            self.book.note(Change::Unwanted, Instant::now());
        } else if self.is_wanted_anew && !is_wanted_anew {
            self.is_wanted_anew = false;
            self.book.note(Change::Over { has_failed: false }, Instant::now());
        }
    }

    /// Has it, nothing of which runs, begin later.
    pub(super) fn wait(&mut self) {
        (self.is_new, self.is_gone, self.refused, self.is_wanted_anew) = (false, false, None, true);
        (self.url, self.access) = (self.circle.url(), self.circle.access);
        self.book.note(Change::Wanted, Instant::now());
    }

    /// Whether it ends, and what listens at that address until then is in the way.
    pub(super) fn still_has(&self, address: SocketAddr) -> bool {
        let is_in_the_way = |life: &Life| overlap(life.runs.borrow().circle.address, address);
        self.book.state == CircleState::Draining && self.life.as_ref().is_some_and(is_in_the_way)
    }
}
