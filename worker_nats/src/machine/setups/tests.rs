use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::io::ReadBuf;

use super::*;
use crate::{
    machine::RelayedWorker,
    wire::{Channel, Loss, Usage},
};

/// A starter whose setups are their manifests, and whose workers never start.
#[derive(Default)]
struct FakeStarter {
    prepared: Mutex<usize>,
    /// The texts of each setup.
    texts: Vec<PartReference>,
}

struct NoWorker;

impl RelayedWorker for NoWorker {
    fn poll_read(&mut self, _: Channel, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: Channel, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn kill(&mut self) {}

    fn lower_priority(&mut self) {}

    fn poll_ended(&mut self, _: &mut Context<'_>) -> Poll<Loss> {
        Poll::Pending
    }
}

impl WorkerStarter for FakeStarter {
    type Setup = Bytes;
    type Worker = NoWorker;

    fn texts(&self, _: &[u8]) -> Result<Vec<PartReference>, String> {
        Ok(self.texts.clone())
    }

    async fn prepare(&self, manifest: Bytes, _: HashMap<ContentHash, Bytes>) -> Result<Bytes, String> {
        *self.prepared.lock().expect("no panic") += 1;
        Ok(manifest)
    }

    async fn start(&self, _: &Bytes, _: u64) -> Result<NoWorker, String> {
        Err("no worker".into())
    }
}

/// Has these parts, and no others: those never arrive.
struct Parts(HashMap<ContentHash, Bytes>);

impl Parts {
    fn new<const N: usize>(parts: [&'static [u8]; N]) -> (Self, [PartReference; N]) {
        let reference = |part: &[u8]| PartReference { hash: ContentHash::of(part), bytes: part.len() as u64 };
        let by_hash = parts.iter().map(|part| (ContentHash::of(part), Bytes::from_static(part))).collect();
        (Self(by_hash), parts.map(reference))
    }
}

impl PartSource for Parts {
    async fn fetch(&self, part: PartReference) -> Result<Bytes, String> {
        match self.0.get(&part.hash) {
            Some(bytes) => Ok(bytes.clone()),
            None => std::future::pending().await,
        }
    }
}

fn setups() -> (Arc<FakeStarter>, Setups<FakeStarter>) {
    let starter = Arc::new(FakeStarter::default());
    (starter.clone(), Setups::new(starter, 1_000))
}

#[tokio::test]
async fn setup_that_is_discarded_while_its_lock_is_held_is_prepared_anew() {
    let (starter, setups) = setups();
    let (parts, [manifest]) = Parts::new([b"manifest"]);
    let setup = setups.get(manifest, &parts).await.expect("prepared");
    assert!(Arc::ptr_eq(&setup, &setups.get(manifest, &parts).await.expect("kept")));
    let slot = setups.slot(manifest.hash).expect("a slot");
    let lock = slot.lock().await;
    setups.discard(&setup);
    drop(lock);
    let next = setups.get(manifest, &parts).await.expect("prepared");
    assert!(!Arc::ptr_eq(&setup, &next));
    assert_eq!(*starter.prepared.lock().expect("no panic"), 2);
    // The one that was discarded does not outlive its workers.
    assert_eq!(Arc::strong_count(&setup), 1);
}

#[tokio::test]
async fn texts_in_preparation_are_bounded_together() {
    let text = |byte: u8| PartReference { hash: ContentHash::of(&[byte]), bytes: 900 << 10 };
    let starter = Arc::new(FakeStarter { texts: vec![text(1)], ..FakeStarter::default() });
    let setups = Setups::new(starter, 1 << 20);
    let (parts, manifests) = Parts::new([b"1", b"2", b"3"]);
    let mut preparations: Vec<_> = manifests.iter().map(|manifest| Box::pin(setups.get(*manifest, &parts))).collect();
    for preparation in &mut preparations {
        assert!(preparation.as_mut().now_or_never().is_none());
    }
    // The third one waits for its turn.
    assert!(setups.in_preparation.available_permits() < 900);
    let fetched = |setups: &Setups<_>| setups.parts().get(manifests[2].hash, Instant::now()).is_some();
    assert!(fetched(&setups));
    drop(preparations);
    // A placement that ends leaves its share to others.
    assert_eq!(setups.in_preparation.available_permits(), 2 << 10);
}

#[tokio::test]
async fn large_manifest_is_refused() {
    let (_, setups) = setups();
    let (parts, [manifest]) = Parts::new([b"manifest"]);
    let manifest = PartReference { bytes: MAX_MANIFEST + 1, ..manifest };
    let error = setups.get(manifest, &parts).await.map(|_| ()).expect_err("too large");
    assert_eq!(error, "the manifest of the setup has 8388609 bytes, and the most is 8388608");
}
