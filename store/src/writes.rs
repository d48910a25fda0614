//! What a transaction will write.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Error, Key, Limit, TransactionLimits, Value, key::Interval};

/// The write of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Put(Value),
    Delete,
    /// Sum of integers to add at the commit. Wider than the values, because an intermediate sum may be beyond them.
    Add(i128),
}

impl Write {
    fn size(&self) -> usize {
        match self {
            Self::Put(value) => value.size(),
            Self::Delete => 0,
            Self::Add(_) => Value::Integer(0).size(),
        }
    }

    /// The value of the key after the write, if `base` is its value before. An absent key counts as 0.
    pub(crate) fn apply(&self, key: &Key, base: Option<&Value>) -> Result<Option<Value>, AddError> {
        match self {
            Self::Put(value) => Ok(Some(value.clone())),
            Self::Delete => Ok(None),
            Self::Add(sum) => {
                let base = match base {
                    None => 0,
                    Some(Value::Integer(integer)) => *integer,
                    Some(Value::Bytes(_)) => return Err(AddError::NotAnInteger(key.clone())),
                };
                let sum = i128::from(base).checked_add(*sum).and_then(|sum| i64::try_from(sum).ok());
                sum.map(|sum| Some(Value::Integer(sum))).ok_or_else(|| AddError::Overflow(key.clone()))
            }
        }
    }
}

/// The reason why an integer cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddError {
    NotAnInteger(Key),
    Overflow(Key),
}

impl From<AddError> for Error {
    fn from(error: AddError) -> Self {
        match error {
            AddError::NotAnInteger(key) => Self::NotAnInteger(key),
            AddError::Overflow(key) => Self::Overflow(key),
        }
    }
}

/// A message for subscribers of a topic, which exists once the transaction has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Topic: UTF-8 of 1 to 512 bytes.
    pub topic: String,
    /// Data, which the store does not interpret.
    pub data: Vec<u8>,
}

/// A point in a transaction to which its writes and events can return. Its reads stay.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "release the savepoint or roll back to it"]
pub struct Savepoint {
    pub(crate) number: u64,
    pub(crate) depth: usize,
}

/// Numbers are of this process, so that no transaction takes a savepoint of another one.
static NEXT_SAVEPOINT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Frame {
    number: u64,
    /// The writes of keys as they were at the savepoint.
    saved: BTreeMap<Key, Option<Write>>,
    events: usize,
}

/// The writes and events of a transaction, and its savepoints.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    map: BTreeMap<Key, Write>,
    events: Vec<Event>,
    frames: Vec<Frame>,
    bytes: usize,
}

impl Writes {
    pub(crate) fn get(&self, key: &Key) -> Option<&Write> {
        self.map.get(key)
    }

    /// Size of the keys, values, topics and data.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty() && self.events.is_empty()
    }

    pub(crate) fn range<'writes>(
        &'writes self,
        interval: &Interval,
    ) -> impl DoubleEndedIterator<Item = (&'writes Key, &'writes Write)> + use<'writes> {
        // The ranges of ordered maps panic on bounds that have nothing in between.
        let bounds =
            if interval.is_empty() { (Bound::Included(""), Bound::Excluded("")) } else { interval.as_str_bounds() };
        self.map.range::<str, (Bound<&str>, Bound<&str>)>(bounds)
    }

    /// Sets the write of a key.
    pub(crate) fn set(&mut self, key: Key, write: Write, limits: &TransactionLimits) -> Result<(), Error> {
        if write.size() > limits.value_bytes {
            return Err(Error::Limit { limit: Limit::ValueBytes, maximum: limits.value_bytes });
        }
        let before = self.map.get(&key);
        if before.is_none() && self.map.len() >= limits.writes {
            return Err(Error::Limit { limit: Limit::Writes, maximum: limits.writes });
        }
        let bytes = self.bytes - size(&key, before) + size(&key, Some(&write));
        if bytes > limits.write_bytes {
            return Err(Error::Limit { limit: Limit::WriteBytes, maximum: limits.write_bytes });
        }
        self.bytes = bytes;
        let before = self.map.insert(key.clone(), write);
        if let Some(frame) = self.frames.last_mut() {
            frame.saved.entry(key).or_insert(before);
        }
        Ok(())
    }

    pub(crate) fn publish(&mut self, event: Event, limits: &TransactionLimits) -> Result<(), Error> {
        if event.data.len() > limits.value_bytes {
            return Err(Error::Limit { limit: Limit::ValueBytes, maximum: limits.value_bytes });
        }
        if self.events.len() >= limits.events {
            return Err(Error::Limit { limit: Limit::Events, maximum: limits.events });
        }
        let bytes = self.bytes + event_size(&event);
        if bytes > limits.write_bytes {
            return Err(Error::Limit { limit: Limit::WriteBytes, maximum: limits.write_bytes });
        }
        self.bytes = bytes;
        self.events.push(event);
        Ok(())
    }

    pub(crate) fn savepoint(&mut self, limits: &TransactionLimits) -> Result<Savepoint, Error> {
        if self.frames.len() >= limits.savepoints {
            return Err(Error::Limit { limit: Limit::Savepoints, maximum: limits.savepoints });
        }
        let number = NEXT_SAVEPOINT.fetch_add(1, Ordering::Relaxed);
        self.frames.push(Frame { number, saved: BTreeMap::new(), events: self.events.len() });
        Ok(Savepoint { number, depth: self.frames.len() - 1 })
    }

    fn check(&self, savepoint: &Savepoint) -> Result<(), Error> {
        match self.frames.get(savepoint.depth) {
            Some(frame) if frame.number == savepoint.number => Ok(()),
            _ => Err(Error::Savepoint),
        }
    }

    /// Undoes the writes and events since the savepoint, and ends it and those inside.
    pub(crate) fn roll_back(&mut self, savepoint: &Savepoint) -> Result<(), Error> {
        self.check(savepoint)?;
        while self.frames.len() > savepoint.depth {
            let frame = self.frames.pop().expect("a frame of the savepoint");
            for (key, write) in frame.saved {
                self.bytes -= size(&key, self.map.get(&key));
                self.bytes += size(&key, write.as_ref());
                match write {
                    Some(write) => self.map.insert(key, write),
                    None => self.map.remove(&key),
                };
            }
            for event in self.events.drain(frame.events..) {
                self.bytes -= event_size(&event);
            }
        }
        Ok(())
    }

    /// Ends the savepoint and those inside, and keeps the writes and events.
    pub(crate) fn release(&mut self, savepoint: &Savepoint) -> Result<(), Error> {
        self.check(savepoint)?;
        while self.frames.len() > savepoint.depth {
            let frame = self.frames.pop().expect("a frame of the savepoint");
            if let Some(outer) = self.frames.last_mut() {
                for (key, write) in frame.saved {
                    outer.saved.entry(key).or_insert(write);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn into_parts(self) -> (BTreeMap<Key, Write>, Vec<Event>) {
        (self.map, self.events)
    }
}

fn size(key: &Key, write: Option<&Write>) -> usize {
    write.map_or(0, |write| key.as_str().len() + write.size())
}

fn event_size(event: &Event) -> usize {
    event.topic.len() + event.data.len()
}
