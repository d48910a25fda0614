//! A scriptable inventory: a circle over a database, whose callers authenticate with keys.
//!
//! `cargo run --release -p circles-examples --bin inventory -- stock.redb 9010 KEEPER…`
//!
//! Anyone with a key may count and reserve; the keepers, given by their public keys, may also add. The changes of a
//! play are committed as one transaction if the play succeeds, and discarded otherwise.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc};

use keys::PublicKey;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use schemars::JsonSchema;
use serde::Serialize;
use server_ws::{
    Access, Circle,
    host::{self, Call, CodedError, Internal},
};

/// Maximum size of the name of an item, in bytes.
const MAX_NAME: usize = 64;

/// Maximum number of items that one play can change.
const MAX_ITEMS: usize = 100;

/// The stock of each item.
const STOCK: TableDefinition<'_, &str, i64> = TableDefinition::new("stock");

/// The reserved amount of each item, by key and item.
const RESERVED: TableDefinition<'_, (&str, &str), i64> = TableDefinition::new("reserved");

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Serves the circle. The first line turns this process into a worker if it was started as one: workers run the same
/// executable.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    worker::run_if_worker();
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: inventory FILE PORT [KEEPER…]";
    let (file, port) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let keepers = arguments.map(|key| key.parse()).collect::<Result<Vec<PublicKey>, _>>()?;
    let stock = Stock { database: Arc::new(Database::create(file)?), keepers };
    let circle = Circle::builder("inventory")
        .description("The stock, for callers with a key")
        .access(Access::Authenticated)
        .host_module(stock.into_module())
        .build()?;
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on ws://{}", listener.local_addr()?);
    let stopped = async {
        // If the process cannot listen for Ctrl-C, the circle stops immediately.
        let _interrupted = tokio::signal::ctrl_c().await;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(server_ws::run(listener, circle, stopped))?)
}

/// The state of the module. All of its functions are methods.
struct Stock {
    database: Arc<Database>,
    keepers: Vec<PublicKey>,
}

/// The transaction of a play: its changes so far, by item.
struct Changes {
    /// The key of the caller.
    key: String,
    added: BTreeMap<String, i64>,
    reserved: BTreeMap<String, i64>,
}

/// What a script gets for a reservation.
#[derive(Serialize, JsonSchema)]
struct Reservation {
    item: String,
    /// The amount that the play has reserved so far.
    count: i64,
}

/// The errors that scripts may see.
#[derive(Debug, thiserror::Error)]
enum StockError {
    #[error("there are {left} of {item}")]
    NotEnough { item: String, left: i64 },
    #[error("only keepers add to the stock")]
    NotKeeper,
    #[error("the name of an item can have at most {MAX_NAME} bytes")]
    LongName,
    #[error("a play can change at most {MAX_ITEMS} items")]
    TooManyItems,
}

impl CodedError for StockError {
    fn code(&self) -> &str {
        match self {
            Self::NotEnough { .. } => "not_enough",
            Self::NotKeeper => "not_keeper",
            Self::LongName => "long_name",
            Self::TooManyItems => "too_many_items",
        }
    }

    fn data(&self) -> Option<host::Value> {
        match self {
            Self::NotEnough { item, left } => serde_json::to_value(BTreeMap::from([(item, left)])).ok(),
            _ => None,
        }
    }
}

#[expect(clippy::unused_async, reason = "every host function is async")]
impl Stock {
    fn into_module(self) -> host::Module<Arc<Self>, Changes> {
        host::Module::transactional("stock", self)
            .function("count", ["item"], "The stock of an item.", Self::count)
            .function(
                "reserve",
                ["item", "count"],
                "Reserves an amount for the caller. The play fails at its end if the stock is too small.",
                Self::reserve,
            )
            .function("add", ["item", "count"], "Adds an amount to the stock. Only for keepers.", Self::add)
    }

    async fn count(&self, _: Call<Changes>, (item,): (String,)) -> host::Result<i64> {
        self.run_blocking(move |database| count(database, &item).internal()).await
    }

    async fn reserve(&self, mut call: Call<Changes>, (item, count): (String, u32)) -> Result<Reservation, StockError> {
        let changes = call.tx();
        changes.check_space(&item)?;
        let reserved = changes.reserved.entry(item.clone()).or_default();
        *reserved += i64::from(count);
        Ok(Reservation { item, count: *reserved })
    }

    async fn add(&self, mut call: Call<Changes>, (item, count): (String, u32)) -> Result<(), StockError> {
        if !call.caller().is_some_and(|key| self.keepers.contains(key)) {
            return Err(StockError::NotKeeper);
        }
        let changes = call.tx();
        changes.check_space(&item)?;
        *changes.added.entry(item).or_default() += i64::from(count);
        Ok(())
    }

    /// Runs a database operation on a thread for blocking work, because the runtime's threads must not block.
    async fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> host::Result<T> + Send + 'static,
    ) -> host::Result<T> {
        let database = self.database.clone();
        tokio::task::spawn_blocking(move || work(&database)).await.internal()?
    }
}

/// Every play that calls the module is a transaction.
impl host::Transactional for Stock {
    type Tx = Changes;
    /// This database has no prepared state: `prepare` commits, and nothing is left for the end of the play.
    type Prepared = ();

    async fn begin(&self, play: &host::PlayContext) -> host::Result<Changes> {
        let key = play.caller().map(PublicKey::to_hex).unwrap_or_default();
        Ok(Changes { key, added: BTreeMap::new(), reserved: BTreeMap::new() })
    }

    async fn prepare(&self, changes: Changes) -> host::Result<()> {
        self.run_blocking(move |database| Ok(commit(database, &changes).internal()??)).await
    }
}

impl Changes {
    /// Checks that the play can change one more item. The recorded changes use the server's memory, to which the limits
    /// of scripts do not apply, so they are bounded here.
    fn check_space(&self, item: &str) -> Result<(), StockError> {
        if item.len() > MAX_NAME {
            return Err(StockError::LongName);
        }
        if self.added.len() + self.reserved.len() >= MAX_ITEMS {
            return Err(StockError::TooManyItems);
        }
        Ok(())
    }
}

fn count(database: &Database, item: &str) -> Result<i64, redb::Error> {
    match database.begin_read()?.open_table(STOCK) {
        Ok(stock) => Ok(stock.get(item)?.map_or(0, |count| count.value())),
        // No item was ever added.
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Commits all changes in one transaction. An error drops the transaction, which discards them; the outer one is that of
/// the database.
fn commit(database: &Database, changes: &Changes) -> Result<Result<(), StockError>, redb::Error> {
    let transaction = database.begin_write()?;
    {
        let (mut stock, mut reserved) = (transaction.open_table(STOCK)?, transaction.open_table(RESERVED)?);
        for (item, added) in &changes.added {
            let left = stock.get(item.as_str())?.map_or(0, |count| count.value());
            stock.insert(item.as_str(), left.saturating_add(*added))?;
        }
        for (item, count) in &changes.reserved {
            let left = stock.get(item.as_str())?.map_or(0, |count| count.value());
            if left < *count {
                return Ok(Err(StockError::NotEnough { item: item.clone(), left }));
            }
            stock.insert(item.as_str(), left - count)?;
            let key = (changes.key.as_str(), item.as_str());
            let held = reserved.get(key)?.map_or(0, |count| count.value());
            reserved.insert(key, held.saturating_add(*count))?;
        }
    }
    transaction.commit()?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::{TestPlay, Transactional};

    #[tokio::test]
    async fn play_commits_what_it_reserved() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = Arc::new(Database::create(directory.path().join("stock.redb")).expect("a database"));
        let keeper = keys::KeyPair::generate().expect("a key").public_key();
        let stock = Stock { database, keepers: vec![keeper] };

        let play = TestPlay::new().caller(keeper);
        let mut play = TestPlay::with_tx(stock.begin(play.context()).await.expect("begins")).caller(keeper);
        stock.add(play.call(), ("tea".into(), 5)).await.expect("a keeper may add");
        let reservation = stock.reserve(play.call(), ("tea".into(), 2)).await.expect("reserved");
        assert_eq!(reservation.count, 2);
        assert_eq!(play.tx().added["tea"], 5);
        stock.prepare(play.into_tx()).await.expect("there is enough");

        let guest = TestPlay::with_tx(stock.begin(TestPlay::new().context()).await.expect("begins"));
        let refused = stock.add(guest.call(), ("tea".into(), 5)).await.expect_err("not a keeper");
        assert_eq!(refused.code(), "not_keeper");
        stock.reserve(guest.call(), ("tea".into(), 4)).await.expect("recorded");
        let refused = stock.prepare(guest.into_tx()).await.expect_err("not enough");
        assert_eq!(refused.code(), Some("not_enough"));
    }
}
