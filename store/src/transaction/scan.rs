use std::{cmp::Ordering, iter::Peekable, ops::Bound};

use super::Transaction;
use crate::{
    Direction, Error, Key, KeyError, Limit, Prefix, Value,
    engine::EngineSnapshot,
    key::{Interval, KEY_BYTES},
    turns::TurnKey,
    writes::{Write, Writes},
};

/// Largest number of entries of one list.
pub const MAX_LIST_ENTRIES: usize = 1_000;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Value,
}

/// What a list contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOptions {
    /// The list starts after this text, which need not be a key that exists.
    pub after: Option<String>,
    /// Largest number of entries, at most [`MAX_LIST_ENTRIES`].
    pub limit: usize,
    /// Largest size of the keys and values together, in bytes. A larger list is an error.
    pub max_bytes: usize,
    /// The order. In reverse, "after" means before.
    pub direction: Direction,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self { after: None, limit: 100, max_bytes: usize::MAX, direction: Direction::Forward }
    }
}

impl Transaction {
    /// The entries with a prefix, in the order of their keys.
    ///
    /// The scan counts at the commit up to where it stopped: at the last entry of the list if the limit stopped it.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] of the entries of a list and of reads, [`Error::Key`] for a long `after`, [`Error::TooOld`],
    /// [`Error::Failed`], and those of
    /// [`Transaction::add`] if the transaction has added to a key.
    pub fn list(&mut self, prefix: &Prefix, options: &ListOptions) -> Result<Vec<Entry>, Error> {
        if options.limit > MAX_LIST_ENTRIES {
            return Err(Error::Limit { limit: Limit::ListEntries, maximum: MAX_LIST_ENTRIES });
        }
        // The read set keeps the text.
        if let Some(length) = options.after.as_ref().map(String::len).filter(|length| *length > KEY_BYTES) {
            return Err(KeyError::TooLong(length).into());
        }
        let interval = interval(prefix, options);
        let (mut entries, mut bytes) = (Vec::new(), 0_usize);
        if options.limit == 0 {
            return Ok(entries);
        }
        self.scan(prefix, interval, options.direction, |entry| {
            bytes = bytes.saturating_add(entry.key.as_str().len() + entry.value.size());
            entries.push(entry);
            entries.len() < options.limit && bytes <= options.max_bytes
        })?;
        if bytes > options.max_bytes {
            return Err(Error::Limit { limit: Limit::ListBytes, maximum: options.max_bytes });
        }
        Ok(entries)
    }

    /// The number of keys with a prefix. Each counts as an entry read.
    ///
    /// # Errors
    ///
    /// Those of [`Transaction::list`].
    pub fn count(&mut self, prefix: &Prefix) -> Result<usize, Error> {
        let mut count = 0;
        self.scan(prefix, prefix.interval(), Direction::Forward, |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Passes the entries of an interval while `visit` returns true, own writes included.
    fn scan(
        &mut self,
        prefix: &Prefix,
        interval: Interval,
        direction: Direction,
        mut visit: impl FnMut(Entry) -> bool,
    ) -> Result<(), Error> {
        // An empty scan is a read, too: it says that nothing is there.
        self.count_reads(1)?;
        self.wait_for_turn(|| TurnKey::Scan(prefix.clone()));
        let tables = self.tables()?;
        let entries_left = self.limits.reads - self.read_entries;
        let bytes_left = self.limits.read_bytes - self.read_bytes;
        let mut merge = Merge::new(&self.writes, &tables, &interval, direction);
        let (mut entries, mut bytes) = (0, 0);
        let mut outcome = Ok(Flow::Continue);
        let scanned = tables.scan_data(&interval, direction, |key, encoded| {
            entries += 1;
            bytes += key.len() + encoded.len();
            outcome = if entries > entries_left {
                Err(Error::Limit { limit: Limit::Reads, maximum: self.limits.reads })
            } else if bytes > bytes_left {
                Err(Error::Limit { limit: Limit::ReadBytes, maximum: self.limits.read_bytes })
            } else {
                merge.stored(key, encoded, &mut visit)
            };
            outcome == Ok(Flow::Continue)
        });
        if outcome == Ok(Flow::Continue) {
            outcome = merge.rest(&mut visit);
        }
        self.read_entries += entries.min(entries_left);
        self.read_bytes += bytes.min(bytes_left);
        // After an error the whole interval counts, which is more than was read and simpler.
        let passed = match &outcome {
            Ok(Flow::StopAt(key)) => interval.until(key, direction),
            _ => interval,
        };
        self.reads.add_interval(&passed, prefix);
        scanned?;
        outcome.map(drop)
    }
}

/// Whether a scan goes on, or the key at which it stopped.
#[derive(Debug, PartialEq, Eq)]
enum Flow {
    Continue,
    StopAt(Key),
}

/// Stored entries and own writes in one order.
struct Merge<'transaction> {
    own: Peekable<Box<dyn Iterator<Item = (&'transaction Key, &'transaction Write)> + 'transaction>>,
    tables: &'transaction EngineSnapshot,
    direction: Direction,
}

impl<'transaction> Merge<'transaction> {
    fn new(
        writes: &'transaction Writes,
        tables: &'transaction EngineSnapshot,
        interval: &Interval,
        direction: Direction,
    ) -> Self {
        let own = writes.range(interval);
        let own: Box<dyn Iterator<Item = _>> = match direction {
            Direction::Forward => Box::new(own),
            Direction::Reverse => Box::new(own.rev()),
        };
        Self { own: own.peekable(), tables, direction }
    }

    fn stored(&mut self, key: &[u8], encoded: &[u8], visit: &mut impl FnMut(Entry) -> bool) -> Result<Flow, Error> {
        let key = Key::from_bytes(key).map_err(|_| self.tables.fail("a key is malformed"))?;
        while let Some((own_key, write)) = self.own.peek().copied() {
            let order = match self.direction {
                Direction::Forward => own_key.cmp(&key),
                Direction::Reverse => key.cmp(own_key),
            };
            if order == Ordering::Greater {
                break;
            }
            self.own.next();
            let base = match order {
                Ordering::Equal => Some(self.tables.decode(encoded)?),
                _ => None,
            };
            let flow = pass(own_key.clone(), write.apply(own_key, base.as_ref())?, visit);
            if order == Ordering::Equal || flow != Flow::Continue {
                return Ok(flow);
            }
        }
        let value = self.tables.decode(encoded)?;
        Ok(pass(key, Some(value), visit))
    }

    /// Own writes after the last stored entry.
    fn rest(&mut self, visit: &mut impl FnMut(Entry) -> bool) -> Result<Flow, Error> {
        for (key, write) in self.own.by_ref() {
            let flow = pass(key.clone(), write.apply(key, None)?, visit);
            if flow != Flow::Continue {
                return Ok(flow);
            }
        }
        Ok(Flow::Continue)
    }
}

fn pass(key: Key, value: Option<Value>, visit: &mut impl FnMut(Entry) -> bool) -> Flow {
    match value {
        None => Flow::Continue,
        Some(value) => {
            if visit(Entry { key: key.clone(), value }) {
                Flow::Continue
            } else {
                Flow::StopAt(key)
            }
        }
    }
}

/// The interval of a prefix, narrowed to what comes after a text.
fn interval(prefix: &Prefix, options: &ListOptions) -> Interval {
    let mut interval = prefix.interval();
    if let Some(after) = &options.after {
        let is_inside = match options.direction {
            Direction::Forward => &**after >= prefix.as_str(),
            Direction::Reverse => match &interval.upper {
                Bound::Excluded(upper) => **after < **upper,
                _ => true,
            },
        };
        let bound = Bound::Excluded(after.as_str().into());
        match options.direction {
            _ if !is_inside => {}
            Direction::Forward => interval.lower = bound,
            Direction::Reverse => interval.upper = bound,
        }
    }
    interval
}

impl Interval {
    /// The part of the interval up to a key, the key included.
    fn until(mut self, key: &Key, direction: Direction) -> Self {
        let bound = Bound::Included(key.as_str().into());
        match direction {
            Direction::Forward => self.upper = bound,
            Direction::Reverse => self.lower = bound,
        }
        self
    }
}
