//! A program without [`worker::Allocator`] gets one warning. It has no test harness, because workers run the program's
//! own executable.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use worker::{Layer, Pool};

/// Collects the messages of events.
#[derive(Clone, Default)]
struct Messages(Arc<Mutex<Vec<String>>>);

struct MessageVisitor<'m>(&'m Messages);

impl Visit for MessageVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.0.lock().expect("not poisoned").push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        span::Id::from_u64(1 + LAST.fetch_add(1, Ordering::Relaxed) as u64)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut MessageVisitor(self));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn main() {
    worker::run_if_worker();
    let messages = Messages::default();
    tracing::subscriber::set_global_default(messages.clone()).expect("the first one");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let pool = Pool::builder().start().await.expect("it starts");
        for _ in 0..3 {
            let mut session = pool.checkout().await.expect("a worker");
            assert_eq!(session.run::<i64>("1").await.expect("a value"), 1);
            assert!(!session.layers().contains(&Layer::Memory));
        }
    });
    let messages = messages.0.lock().expect("not poisoned").clone();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("make worker::Allocator its #[global_allocator]"), "{messages:?}");
    println!("test result: ok. 1 passed; 0 failed; a program without the allocator");
}
