//! Wakers of many links for one task: the task learns which links to look at.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use tokio::sync::Notify;

use crate::ids::{AssociationId, LinkId};

/// The links to look at. Each is in the list at most once.
#[derive(Debug, Default)]
pub(crate) struct WakeQueue {
    woken: Mutex<Vec<Arc<LinkWaker>>>,
    notify: Notify,
}

/// The waker of a link.
#[derive(Debug)]
pub(crate) struct LinkWaker {
    pub(crate) association: AssociationId,
    pub(crate) link: LinkId,
    is_woken: AtomicBool,
    queue: Arc<WakeQueue>,
}

impl Wake for LinkWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            let queue = self.queue.clone();
            queue.woken.lock().unwrap_or_else(PoisonError::into_inner).push(self);
            queue.notify.notify_one();
        }
    }
}

impl WakeQueue {
    pub(crate) fn waker(self: &Arc<Self>, association: AssociationId, link: LinkId) -> Waker {
        let is_woken = AtomicBool::new(false);
        Arc::new(LinkWaker { association, link, is_woken, queue: self.clone() }).into()
    }

    /// Waits until there are links to look at. Cancel safe.
    pub(crate) async fn wait(&self) {
        self.notify.notified().await;
    }

    /// Removes the links to look at.
    pub(crate) fn take(&self) -> Vec<Arc<LinkWaker>> {
        let woken = std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner));
        // From now on a link is in the list again if it is woken while the task looks at it.
        for waker in &woken {
            waker.is_woken.store(false, Ordering::Release);
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn link_is_listed_once_until_it_is_taken() {
        let queue = Arc::new(WakeQueue::default());
        let (association, link) = (AssociationId::from_bytes([1; 16]), LinkId::from_bytes([2; 16]));
        let waker = queue.waker(association, link);
        waker.wake_by_ref();
        waker.wake_by_ref();
        queue.wait().await;
        assert_eq!(queue.take().iter().map(|waker| waker.link).collect::<Vec<_>>(), [link]);
        assert!(queue.take().is_empty());
        waker.wake();
        assert_eq!(queue.take().len(), 1);
    }
}
