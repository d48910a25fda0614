//! The header of a store and its counters, in the table of the meta data.

use crate::{
    OpenError, Revision,
    engine::{Change, Engine, EngineSnapshot, Failure, Table, open_failure},
    id::StoreId,
};

/// Version of the format: tables, keys and encodings. A store of another version is refused.
pub const FORMAT: u32 = 1;

const FORMAT_KEY: &[u8] = b"format";
const ID_KEY: &[u8] = b"id";
const OWNER_KEY: &[u8] = b"owner";
const STATE_KEY: &[u8] = b"state";

/// What distinguishes histories of one store: after the restore of a backup the revisions repeat, the tags do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) u64);

impl Tag {
    pub(crate) fn random() -> Result<Self, OpenError> {
        Ok(Self(random()?))
    }
}

fn random() -> Result<u64, OpenError> {
    getrandom::u64().map_err(|error| OpenError::Io(std::io::Error::other(error.to_string())))
}

/// The counters of a store, as of one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    /// Tag of the revision.
    pub(crate) tag: Tag,
    /// The log has all records after this revision.
    pub(crate) log_floor: Revision,
    /// Tag of the floor.
    pub(crate) log_floor_tag: Tag,
    /// Sizes, each with the overhead of entries.
    pub(crate) data_bytes: u64,
    pub(crate) log_bytes: u64,
    pub(crate) once_bytes: u64,
}

const STATE_BYTES: usize = 7 * size_of::<u64>();

impl State {
    pub(crate) fn change(&self) -> Change {
        let numbers = [
            self.revision.get(),
            self.tag.0,
            self.log_floor.get(),
            self.log_floor_tag.0,
            self.data_bytes,
            self.log_bytes,
            self.once_bytes,
        ];
        Change::put(Table::Meta, STATE_KEY, numbers.map(u64::to_be_bytes).concat())
    }

    fn decode(encoded: &[u8]) -> Option<Self> {
        let encoded: &[u8; STATE_BYTES] = encoded.try_into().ok()?;
        let number = |index: usize| {
            let bytes = encoded[index * 8..][..8].try_into().expect("a slice of eight bytes");
            u64::from_be_bytes(bytes)
        };
        Some(Self {
            revision: Revision::new(number(0)),
            tag: Tag(number(1)),
            log_floor: Revision::new(number(2)),
            log_floor_tag: Tag(number(3)),
            data_bytes: number(4),
            log_bytes: number(5),
            once_bytes: number(6),
        })
    }

    pub(crate) fn read(snapshot: &EngineSnapshot) -> Result<Self, Failure> {
        let encoded = snapshot.get(Table::Meta, STATE_KEY)?;
        encoded
            .and_then(|encoded| Self::decode(&encoded))
            .ok_or_else(|| snapshot.fail("the counters of the store are missing or malformed"))
    }
}

/// Writes the header of a new store.
pub(crate) fn initialize(engine: &Engine, owner: &str, tag: Tag) -> Result<(), Failure> {
    let id = StoreId::random().map_err(|error| engine.fail(&error.to_string()))?;
    let state = State {
        revision: Revision::default(),
        tag,
        log_floor: Revision::default(),
        log_floor_tag: tag,
        data_bytes: 0,
        log_bytes: 0,
        once_bytes: 0,
    };
    let header = [
        Change::put(Table::Meta, FORMAT_KEY, FORMAT.to_be_bytes()),
        Change::put(Table::Meta, ID_KEY, id.as_bytes()),
        Change::put(Table::Meta, OWNER_KEY, owner),
        state.change(),
    ];
    engine.apply(&header, u64::MAX).map(drop)
}

/// Checks the header, and reads the id.
pub(crate) fn check(engine: &Engine, owner: &str) -> Result<StoreId, OpenError> {
    let read = |key| engine.get(Table::Meta, key).map_err(|failure| open_failure(&failure));
    let format = read(FORMAT_KEY)?.ok_or(OpenError::NotAStore)?;
    let format: [u8; 4] = format.try_into().map_err(|_| OpenError::NotAStore)?;
    match u32::from_be_bytes(format) {
        FORMAT => {}
        found => return Err(OpenError::OtherVersion { found, supported: FORMAT }),
    }
    let found = read(OWNER_KEY)?.unwrap_or_default();
    if found != owner.as_bytes() {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Err(OpenError::OtherOwner { found, expected: owner.to_owned() });
    }
    let id = read(ID_KEY)?.and_then(|id| id.try_into().ok());
    id.map(StoreId::new).ok_or_else(|| OpenError::Corrupt("the id of the store is missing".to_owned()))
}
