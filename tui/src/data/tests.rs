//! Tests of the tree without tasks, sessions and a screen.

use std::time::Instant;

use client_ws::{EventEntry, RawValue, SubscriptionEnd, SubscriptionEvent};
use protocol::methods::MAX_SUBSCRIPTIONS;

use super::{
    WatchNews,
    entries::{HIGHLIGHT_DURATION, MAX_ENTRIES, MAX_KEY_BYTES, MAX_WATCH_ENTRIES, is_recent},
    rows::{RowKind, TreeRow, rows},
    tree::{MAX_WATCHES, StoreTree, WatchPlan, WatchState},
};
use crate::search::Query;

fn entry(key: &str, value: Option<&str>) -> EventEntry {
    let value = value.map(|value| RawValue::from_string(value.to_owned()).expect("JSON"));
    EventEntry { key: key.to_owned(), deleted: value.is_none(), value }
}

fn entries(keys: &[&str]) -> Vec<EventEntry> {
    keys.iter().map(|key| entry(key, Some("1"))).collect()
}

fn all(keys: &[&str]) -> WatchNews {
    WatchNews::Event(SubscriptionEvent::Snapshot { entries: entries(keys), is_complete: true })
}

fn changes(entries: Vec<EventEntry>) -> WatchNews {
    WatchNews::Event(SubscriptionEvent::Changes { entries })
}

fn tree(granted: &[&str]) -> StoreTree {
    let mut tree = StoreTree::default();
    tree.set_granted(granted.iter().map(ToString::to_string).collect());
    tree
}

/// Opens subscriptions, and returns their prefixes.
fn open(tree: &mut StoreTree) -> Vec<String> {
    tree.plan(true).opened.into_iter().map(|(_, prefix)| prefix).collect()
}

/// Returns a tree of one granted folder with these keys.
fn live(folder: &str, keys: &[&str]) -> StoreTree {
    let mut tree = tree(&[folder]);
    assert_eq!(tree.plan(true), WatchPlan { opened: vec![(1, folder.to_owned())], closed: Vec::new() });
    assert!(tree.apply(1, all(keys), Instant::now()));
    tree
}

fn text(row: &TreeRow) -> String {
    let indent = "  ".repeat(row.depth);
    match &row.kind {
        RowKind::Folder { is_unfolded, keys } => {
            let keys = keys.map_or("?".to_owned(), |keys| keys.to_string());
            format!("{indent}{}{} {keys}", if *is_unfolded { '-' } else { '+' }, row.label())
        }
        RowKind::Key => format!("{indent}{}", row.label()),
        RowKind::Note(note) => format!("{indent}({note:?})"),
    }
}

fn shown(tree: &StoreTree) -> Vec<String> {
    rows(tree, None).iter().map(text).collect()
}

#[test]
fn only_folder_is_followed_and_the_folders_in_it_need_no_subscription() {
    let mut tree = live("stock/", &["stock/a", "stock/b/x", "stock/b/y/z", "stock/c"]);
    assert_eq!(shown(&tree), ["-stock/ 4", "  a", "  +b/ 2", "  c"]);
    tree.unfold("stock/b/");
    assert_eq!(tree.plan(true), WatchPlan::default());
    assert_eq!(shown(&tree), ["-stock/ 4", "  a", "  -b/ 2", "    x", "    +y/ 1", "  c"]);
    tree.fold("stock/b/");
    assert_eq!(tree.plan(true), WatchPlan::default());
}

#[test]
fn folded_folder_is_not_followed_and_has_no_entries() {
    let mut tree = tree(&["a/", "b/"]);
    assert_eq!(open(&mut tree), [] as [&str; 0]);
    assert_eq!(shown(&tree), ["+a/ ?", "+b/ ?"]);
    tree.unfold("b/");
    assert_eq!(open(&mut tree), ["b/"]);
    assert_eq!(shown(&tree), ["+a/ ?", "-b/ 0", "  (Loading)"]);
    tree.apply(1, all(&["b/x", "elsewhere/x"]), Instant::now());
    assert_eq!(shown(&tree), ["+a/ ?", "-b/ 1", "  x"]);
    tree.fold("b/");
    assert_eq!(tree.plan(true), WatchPlan { opened: Vec::new(), closed: vec![1] });
    assert_eq!(tree.entries().below("").count(), 0);
    assert_eq!(shown(&tree), ["+a/ ?", "+b/ ?"]);
    // What was under way is ignored.
    assert!(!tree.apply(1, all(&["b/y"]), Instant::now()));
    assert_eq!(tree.entries().below("").count(), 0);
}

#[test]
fn empty_folder_says_so() {
    let mut tree = live("a/", &[]);
    assert_eq!(shown(&tree), ["-a/ 0", "  (Empty)"]);
    tree.apply(1, changes(entries(&["a/x"])), Instant::now());
    assert_eq!(shown(&tree), ["-a/ 1", "  x"]);
}

#[test]
fn large_folder_is_left_and_smaller_ones_in_it_are_followed() {
    let mut tree = tree(&["a/"]);
    tree.plan(true);
    let keys: Vec<String> =
        (0..=MAX_WATCH_ENTRIES).map(|number| format!("a/{:02}/{number:05}", number / 100)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let part = WatchNews::Event(SubscriptionEvent::Snapshot { entries: entries(&keys), is_complete: false });
    assert!(tree.apply(1, part, Instant::now()));
    assert_eq!(tree.plan(true), WatchPlan { opened: Vec::new(), closed: vec![1] });
    assert_eq!(tree.entries().below("").count(), MAX_WATCH_ENTRIES);
    assert_eq!(shown(&tree).last().map(String::as_str), Some("  (More)"));
    // The folder does not follow those in it, and its entries leave room for theirs.
    tree.unfold("a/03/");
    assert_eq!(tree.plan(true).opened, [(2, "a/03/".to_owned())]);
    tree.apply(2, all(&["a/03/x"]), Instant::now());
    assert_eq!(tree.entries().below("a/03/").count(), 1);
    assert_eq!(tree.watch_state("a/03/"), Some(&WatchState::Live));
    // Another attempt begins when the folder is unfolded again.
    tree.fold("a/");
    assert_eq!(tree.plan(true).closed, [2]);
    tree.unfold("a/");
    assert_eq!(open(&mut tree), ["a/"]);
}

#[test]
fn session_keeps_a_subscription_for_itself() {
    let folders: Vec<String> = (0..20).map(|number| format!("{number:02}/")).collect();
    let mut tree = tree(&folders.iter().map(String::as_str).collect::<Vec<_>>());
    for folder in &folders {
        tree.unfold(folder);
    }
    assert_eq!(open(&mut tree).len(), MAX_WATCHES);
    assert_eq!(u64::try_from(MAX_WATCHES), Ok(MAX_SUBSCRIPTIONS - 1));
    assert_eq!(tree.watch_state("15/"), Some(&WatchState::Crowded));
    tree.fold("00/");
    let plan = tree.plan(true);
    assert_eq!((plan.opened, plan.closed), (vec![(16, "15/".to_owned())], vec![1]));
}

#[test]
fn entries_outlive_a_lost_connection_and_are_read_again() {
    let mut tree = live("a/", &["a/x", "a/y"]);
    let now = Instant::now();
    assert_eq!(tree.plan(false), WatchPlan { opened: Vec::new(), closed: vec![1] });
    assert_eq!(shown(&tree), ["-a/ 2", "  x", "  y"]);
    assert_eq!(tree.plan(false), WatchPlan::default());
    assert_eq!(tree.plan(true).opened, [(2, "a/".to_owned())]);
    // Late news of the connection before.
    assert!(!tree.apply(1, all(&["a/z"]), now));
    let again = vec![entry("a/x", Some("1")), entry("a/n", Some("2"))];
    tree.apply(2, WatchNews::Event(SubscriptionEvent::Snapshot { entries: again, is_complete: true }), now);
    assert_eq!(shown(&tree), ["-a/ 2", "  n", "  x"]);
    let changed: Vec<&str> =
        tree.entries().below("").filter(|(_, entry)| entry.changed_at.is_some()).map(|(key, _)| key).collect();
    assert_eq!(changed, ["a/n"]);
}

#[test]
fn gap_is_followed_by_all_entries() {
    let mut tree = tree(&["a/"]);
    tree.plan(true);
    let part = WatchNews::Event(SubscriptionEvent::Snapshot { entries: entries(&["a/old"]), is_complete: false });
    tree.apply(1, part, Instant::now());
    tree.apply(1, WatchNews::Event(SubscriptionEvent::Gap), Instant::now());
    tree.apply(1, all(&["a/new"]), Instant::now());
    assert_eq!(shown(&tree), ["-a/ 1", "  new"]);
}

#[test]
fn change_is_highlighted_for_a_moment_and_the_first_values_are_not() {
    let mut tree = live("a/", &["a/b/x", "a/y"]);
    assert_eq!(tree.entries().changed_at(), None);
    let now = Instant::now();
    tree.apply(1, changes(vec![entry("a/b/x", Some("2")), entry("a/y", None)]), now);
    let rows = rows(&tree, None);
    assert_eq!(rows.iter().map(text).collect::<Vec<_>>(), ["-a/ 1", "  +b/ 1"]);
    // The folder shows that something in it has changed.
    assert!(rows.iter().all(|row| is_recent(row.changed_at, now)));
    assert!(!is_recent(tree.entries().changed_at(), now + HIGHLIGHT_DURATION));
    // The same value again is no change.
    tree.apply(1, changes(vec![entry("a/b/x", Some("2"))]), now + HIGHLIGHT_DURATION);
    assert_eq!(tree.entries().changed_at(), Some(now));
}

#[test]
fn ended_subscription_says_why_and_other_rights_open_it_again() {
    let mut tree = live("a/", &["a/x"]);
    let ended = SubscriptionEvent::Ended { reason: SubscriptionEnd::Forbidden };
    assert!(tree.apply(1, WatchNews::Event(ended), Instant::now()));
    assert_eq!(tree.plan(true), WatchPlan { opened: Vec::new(), closed: vec![1] });
    assert!(shown(&tree)[2].contains("your role does not grant it any more"), "{:?}", shown(&tree));
    assert_eq!(tree.plan(true), WatchPlan::default());
    tree.set_granted(vec!["a/".into(), "b/".into()]);
    assert_eq!(open(&mut tree), ["a/"]);
}

#[test]
fn named_folder_is_unfolded_where_it_is_or_added() {
    let mut tree = live("a/", &["a/b/c/x"]);
    assert!(tree.show_folder("a/b/c/"));
    assert_eq!(shown(&tree), ["-a/ 1", "  -b/ 1", "    -c/ 1", "      x"]);
    assert!(tree.show_folder("other/"));
    assert_eq!(open(&mut tree), ["other/"]);
    assert!(tree.show_folder("other/") && tree.roots().count() == 2);
    assert!(tree.forget_folder("other/") && !tree.forget_folder("a/"));
    assert_eq!(tree.plan(true).closed.len(), 1);
    let many = (0..1000).filter(|number| tree.show_folder(&format!("{number}/"))).count();
    assert!(many < 100, "{many}");
}

#[test]
fn filter_shows_matching_keys_in_their_folders() {
    let tree = live("a/", &["a/b/tea", "a/b/milk", "a/c/Tea", "a/d"]);
    let found = |text_of: &str| rows(&tree, Some(&Query::new(text_of))).iter().map(text).collect::<Vec<_>>();
    assert_eq!(found("tea"), ["-a/ 2", "  -b/ 1", "    tea", "  -c/ 1", "    Tea"]);
    assert_eq!(found("b/m"), ["-a/ 1", "  -b/ 1", "    milk"]);
    assert_eq!(found("nothing"), ["-a/ 0"]);
}

#[test]
fn keys_may_have_parts_without_a_name_and_any_depth() {
    let mut tree = live("a/", &["a/", "a//", "a//b", "a/b", "a/b/c", "a0"]);
    assert_eq!(shown(&tree), ["-a/ 5", "  ", "  +/ 2", "  b", "  +b/ 1"]);
    tree.unfold("a//");
    assert_eq!(shown(&tree), ["-a/ 5", "  ", "  -/ 2", "    ", "    b", "  b", "  +b/ 1"]);
    let deep = format!("a{}", "/".repeat(MAX_KEY_BYTES - 1));
    let too_large = format!("{deep}x");
    let mut tree = live("a/", &[&deep, &too_large]);
    for end in 2..=MAX_KEY_BYTES {
        tree.unfold(&deep[..end]);
    }
    let shown = shown(&tree);
    assert_eq!((shown.len(), tree.plan(true)), (MAX_KEY_BYTES, WatchPlan::default()));
    assert_eq!(rows(&tree, Some(&Query::new("//"))).len(), MAX_KEY_BYTES);
}

#[test]
fn folder_without_a_row_is_left() {
    let mut tree = tree(&["a/"]);
    tree.plan(true);
    tree.apply(1, WatchNews::Failed("no reason".into()), Instant::now());
    tree.unfold("a/b/");
    // Nothing above follows it.
    assert_eq!(open(&mut tree), ["a/b/"]);
    tree.apply(2, all(&["a/b/x"]), Instant::now());
    assert!(tree.apply(2, changes(vec![entry("a/b/x", None)]), Instant::now()));
    assert_eq!(tree.plan(true).closed, [2]);
}

#[test]
fn tree_stays_within_its_bounds_whatever_the_circle_sends() {
    let mut seed = 7_u64;
    let mut below = |limit: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % limit
    };
    let mut tree = tree(&["a/", "b/", "a/b/"]);
    let mut open: Vec<u64> = Vec::new();
    for step in 0..3000 {
        let folder: String =
            (0..=below(4)).map(|_| ["a/", "b/", "/"][usize::try_from(below(3)).expect("small")]).collect();
        match below(12) {
            0 => tree.fold(&folder),
            1 => tree.unfold(&folder),
            2 => drop(tree.show_folder(&folder)),
            3 => tree.set_granted(vec![folder.clone(), "a/".into()]),
            _ => {}
        }
        let plan = tree.plan(below(20) > 0);
        open.retain(|number| !plan.closed.contains(number));
        open.extend(plan.opened.iter().map(|(number, _)| *number));
        assert!(open.len() <= MAX_WATCHES);
        let count = if step % 50 == 0 { 3000 } else { below(20) };
        let sent: Vec<EventEntry> = (0..count)
            .map(|_| {
                let value =
                    (below(4) > 0).then(|| format!("\"{}\"", "x".repeat(usize::try_from(below(3000)).expect("small"))));
                entry(&format!("{folder}{}", below(5000)), value.as_deref())
            })
            .collect();
        let news = match below(6) {
            0 => WatchNews::Event(SubscriptionEvent::Gap),
            1 => WatchNews::Failed("failed".into()),
            2 => changes(sent),
            is_part => WatchNews::Event(SubscriptionEvent::Snapshot { entries: sent, is_complete: is_part > 3 }),
        };
        if let Some(number) = open.get(usize::try_from(below(16)).expect("small")) {
            tree.apply(*number, news, Instant::now());
        }
        let entries = tree.entries();
        assert!(entries.below("").count() <= MAX_ENTRIES);
        assert_eq!(entries.bytes(), entries.counted_bytes());
        assert!(rows(&tree, None).len() <= 20 * MAX_ENTRIES);
    }
    open.sort_unstable();
    let mut closed = tree.close();
    closed.sort_unstable();
    assert_eq!((closed, tree.entries().bytes()), (open, 0));
}
