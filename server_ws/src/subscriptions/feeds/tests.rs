use std::task::Waker;

use store::{Key, Listener, Prefix, Store, StoreOptions};

use super::*;

/// A store whose commits reach feeds, with an epoch when the test takes one.
struct Fixture {
    store: Store,
    feeds: Arc<Feeds>,
    recent: VecDeque<Cursor>,
    _listener: Listener,
}

impl Fixture {
    fn new() -> Self {
        let (store, feeds) = (StoreOptions::new("test").open_in_memory().expect("a store"), Arc::new(Feeds::default()));
        let listener = store.on_commit({
            let feeds = feeds.clone();
            move |notice| feeds.note_commits(notice)
        });
        Self { store, feeds, recent: VecDeque::new(), _listener: listener }
    }

    fn follow(&self, prefix: &str) -> (FeedMember, Arc<SessionSignal>) {
        let signal = Arc::new(SessionSignal::default());
        let filter = Filter::Prefix(Prefix::new(prefix).expect("a prefix"));
        (self.feeds.join(&filter, signal.clone()), signal)
    }

    /// Writes a key, and returns the cursor after the commit.
    fn write(&self, key: &str) -> Cursor {
        let mut transaction = self.store.begin();
        transaction.put(key, 1_i64).expect("a value");
        transaction.commit().wait().expect("committed");
        self.store.cursor()
    }

    /// Takes an epoch as the ticker does, and returns its revision.
    fn tick(&mut self) -> u64 {
        let marked = self.feeds.take_marked();
        let cursor = self.store.cursor();
        Feeds::note_epoch(&marked, cursor.revision().get(), &self.recent);
        Feeds::wake(&marked);
        self.recent.push_back(cursor);
        cursor.revision().get()
    }
}

fn is_woken(signal: &SessionSignal) -> bool {
    signal.poll(&Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn sessions_of_matching_feeds_are_woken() {
    let mut fixture = Fixture::new();
    let (stock, stock_signal) = fixture.follow("stock/");
    let (_green, green_signal) = fixture.follow("stock/green/");
    let (_other, other_signal) = fixture.follow("other/");
    fixture.write("stock/tea");
    assert!(!is_woken(&stock_signal), "not before the epoch");
    fixture.tick();
    assert!(is_woken(&stock_signal) && !is_woken(&stock_signal));
    assert!(!is_woken(&green_signal) && !is_woken(&other_signal));
    fixture.write("stock/green/sencha");
    fixture.tick();
    assert!(is_woken(&stock_signal) && is_woken(&green_signal) && !is_woken(&other_signal));
    drop(stock);
    assert_eq!(fixture.feeds.subscriptions(), 2);
    fixture.write("stock/tea");
    fixture.tick();
    assert!(!is_woken(&stock_signal));
}

#[test]
fn key_and_prefix_of_the_same_text_are_two_feeds() {
    let mut fixture = Fixture::new();
    let signal = Arc::new(SessionSignal::default());
    let _key = fixture.feeds.join(&Filter::Key(Key::new("stock").expect("a key")), signal.clone());
    fixture.write("stock/tea");
    fixture.tick();
    assert!(!is_woken(&signal));
    fixture.write("stock");
    fixture.tick();
    assert!(is_woken(&signal));
}

#[test]
fn commit_looks_up_prefixes_of_followed_lengths_only() {
    let mut fixture = Fixture::new();
    let lengths = |fixture: &Fixture| {
        let table = lock(&fixture.feeds.table);
        table.key_lengths.iter().map(|(length, count)| (*length, *count)).collect::<Vec<_>>()
    };
    let (first, _signal) = fixture.follow("ab/");
    let (again, _signal) = fixture.follow("ab/");
    let (deep, deep_signal) = fixture.follow("////");
    let (empty, empty_signal) = fixture.follow("a/é/");
    assert_eq!(lengths(&fixture), [(3, 1), (4, 1), (5, 1)]);
    for key in ["/".repeat(512), "////x".into(), "aéé".into(), "a/é/x".into()] {
        fixture.write(&key);
    }
    fixture.tick();
    assert!(is_woken(&deep_signal) && is_woken(&empty_signal));
    drop(first);
    assert_eq!(lengths(&fixture), [(3, 1), (4, 1), (5, 1)]);
    drop((again, deep, empty));
    assert_eq!(lengths(&fixture), []);
}

#[test]
fn positions_without_a_match_in_between_share_a_read() {
    let mut fixture = Fixture::new();
    let (stock, _signal) = fixture.follow("stock/");
    let before = fixture.store.cursor();
    let quiet = fixture.write("other/a");
    let recent = fixture.write("other/b");
    fixture.tick();
    let matching = fixture.write("stock/tea");
    let epoch = fixture.tick();
    for cursor in [before, quiet, recent] {
        assert_eq!(stock.feed.position_in(epoch, cursor), (recent, true));
    }
    assert_eq!(stock.feed.position_in(epoch, matching), (matching, false));
    assert!(stock.feed.has_news_since(recent.revision().get()));
    assert!(!stock.feed.has_news_since(matching.revision().get()));
}

#[test]
fn position_before_an_earlier_match_reads_alone() {
    let mut fixture = Fixture::new();
    let (stock, _signal) = fixture.follow("stock/");
    let behind = fixture.store.cursor();
    let current = fixture.write("stock/tea");
    fixture.tick();
    fixture.write("stock/tea");
    let epoch = fixture.tick();
    assert_eq!(stock.feed.position_in(epoch, behind), (behind, false));
    assert_eq!(stock.feed.position_in(epoch, current), (current, true));
}

#[test]
fn position_between_two_matches_of_an_epoch_reads_alone() {
    let mut fixture = Fixture::new();
    let (stock, _signal) = fixture.follow("stock/");
    let before = fixture.store.cursor();
    // A session has read this commit before its answer, and not the next one.
    let between = fixture.write("stock/tea");
    fixture.write("stock/tea");
    let epoch = fixture.tick();
    assert!(stock.feed.position_in(epoch, before).1);
    assert_eq!(stock.feed.position_in(epoch, between), (between, false));
}

#[test]
fn position_of_a_quiet_feed_advances() {
    let mut fixture = Fixture::new();
    let (stock, _signal) = fixture.follow("stock/");
    let old = fixture.store.cursor();
    fixture.write("other/a");
    fixture.tick();
    let recent = fixture.write("other/b");
    fixture.tick();
    let matching = fixture.write("stock/tea");
    assert_eq!(stock.feed.advance(old, &fixture.recent), recent);
    assert_eq!(stock.feed.advance(matching, &fixture.recent), matching);
    fixture.tick();
    fixture.write("stock/tea");
    assert_eq!(stock.feed.advance(old, &fixture.recent), old, "a match is in between");
}
