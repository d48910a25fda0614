//! A scriptable inventory: a circle over a database, whose callers authenticate with keys.
//!
//! `cargo run --release -p circles-examples --bin inventory -- stock.redb 9010 KEEPER…`
//!
//! Anyone with a key may count and reserve; the keepers, given by their public keys, may also add. The changes of a
//! play are committed as one transaction if the play succeeds, and discarded otherwise.

use std::{
    collections::BTreeMap,
    error::Error,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use keys::PublicKey;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use server_ws::{Access, Circle, host};

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
fn main() -> Result<(), Box<dyn Error>> {
    worker::run_if_worker();
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: inventory FILE PORT [KEEPER…]";
    let (file, port) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let keepers = arguments.map(|key| key.parse()).collect::<Result<Vec<PublicKey>, _>>()?;
    let database = Arc::new(Database::create(file)?);
    let circle = Circle::builder("inventory")
        .description("The stock, for callers with a key")
        .access(Access::Authenticated)
        .host_module(stock(&database, keepers))
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

/// The changes of a play so far, by item.
#[derive(Default)]
struct StockChanges {
    added: BTreeMap<String, i64>,
    reserved: BTreeMap<String, i64>,
    /// The key of the caller.
    key: String,
}

/// The changes of a running play; `None` once the play has ended.
type PendingChanges = Mutex<Option<StockChanges>>;

fn stock(database: &Arc<Database>, keepers: Vec<PublicKey>) -> host::Module<PendingChanges> {
    let (count_database, end_database, keepers) = (database.clone(), database.clone(), Arc::new(keepers));
    let begin = |play: &host::PlayContext| {
        let key = play.caller().map(PublicKey::to_hex).unwrap_or_default();
        Mutex::new(Some(StockChanges { key, ..StockChanges::default() }))
    };
    let end = move |pending: Arc<PendingChanges>, end: host::PlayEnd| {
        let (database, changes) =
            (end_database.clone(), pending.lock().expect("no code panics while it holds the lock").take());
        async move {
            match changes {
                Some(changes) if end.is_success() => run_blocking(move || commit(&database, &changes)).await,
                _ => Ok(()),
            }
        }
    };
    host::Module::for_each_play("stock", begin, end)
        .function(
            "count",
            ["item"],
            "The stock of an item.",
            move |_: host::Call<PendingChanges>, (item,): (String,)| {
                let database = count_database.clone();
                run_blocking(move || count(&database, &item))
            },
        )
        .function(
            "reserve",
            ["item", "count"],
            "Reserves an amount for the caller. The play fails at its end if the stock is too small.",
            |call: host::Call<PendingChanges>, (item, count): (String, u32)| async move {
                record_change(&call, &item.clone(), |changes| {
                    *changes.reserved.entry(item).or_default() += i64::from(count);
                })
            },
        )
        .function(
            "add",
            ["item", "count"],
            "Adds an amount to the stock. Only for keepers.",
            move |call: host::Call<PendingChanges>, (item, count): (String, u32)| {
                let is_keeper = call.caller().is_some_and(|key| keepers.contains(key));
                async move {
                    if !is_keeper {
                        return Err("only keepers add to the stock".into());
                    }
                    record_change(&call, &item.clone(), |changes| {
                        *changes.added.entry(item).or_default() += i64::from(count);
                    })
                }
            },
        )
}

/// Records a change for the end of the play. The recorded changes use the server's memory, to which the limits of
/// scripts do not apply, so they are bounded here.
fn record_change(
    call: &host::Call<PendingChanges>,
    item: &str,
    record: impl FnOnce(&mut StockChanges),
) -> Result<(), host::Error> {
    if item.len() > MAX_NAME {
        return Err("the name of an item can have at most 64 bytes".into());
    }
    let mut pending = call.state().lock().expect("no code panics while it holds the lock");
    // A detached host call may run after the end of the play.
    let changes = pending.as_mut().ok_or("the play has ended")?;
    if changes.added.len() + changes.reserved.len() >= MAX_ITEMS {
        return Err("a play can change at most 100 items".into());
    }
    record(changes);
    Ok(())
}

/// Runs a database operation on a thread for blocking work, because the runtime's threads must not block.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StockError> + Send + 'static,
) -> Result<T, host::Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(StockError::NotEnough { item, left })) => {
            Err(host::Error::new(format!("there are {left} of {item}")).with_data(BTreeMap::from([(item, left)])))
        }
        Ok(Err(StockError::Database(error))) => Err(host::Error::internal(error)),
        Err(error) => Err(host::Error::internal(error)),
    }
}

enum StockError {
    NotEnough { item: String, left: i64 },
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for StockError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

fn count(database: &Database, item: &str) -> Result<i64, StockError> {
    match database.begin_read()?.open_table(STOCK) {
        Ok(stock) => Ok(stock.get(item)?.map_or(0, |count| count.value())),
        // No item was ever added.
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Commits all changes in one transaction. An error drops the transaction, which discards them.
fn commit(database: &Database, changes: &StockChanges) -> Result<(), StockError> {
    let transaction = database.begin_write()?;
    {
        let (mut stock, mut reserved) = (transaction.open_table(STOCK)?, transaction.open_table(RESERVED)?);
        for (item, added) in &changes.added {
            let left = stock.get(item.as_str())?.map_or(0, |count| count.value());
            stock.insert(item.as_str(), left.saturating_add(*added))?;
        }
        for (item, reserved_amount) in &changes.reserved {
            let left = stock.get(item.as_str())?.map_or(0, |count| count.value());
            if left < *reserved_amount {
                return Err(StockError::NotEnough { item: item.clone(), left });
            }
            stock.insert(item.as_str(), left - reserved_amount)?;
            let key = (changes.key.as_str(), item.as_str());
            let held = reserved.get(key)?.map_or(0, |count| count.value());
            reserved.insert(key, held.saturating_add(*reserved_amount))?;
        }
    }
    transaction.commit()?;
    Ok(())
}
