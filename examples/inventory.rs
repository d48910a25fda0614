//! An inventory that people script, each as the key that they proved: a circle over a database.
//!
//! `cargo run --release -p circles-examples --bin inventory -- stock.redb 9010 KEEPER…`
//!
//! Anyone with a key may count and reserve; the keepers, named by their public keys, may also add. What a play does to the
//! stock, it does as a whole when it succeeds, or not at all.

use std::{
    collections::BTreeMap,
    error::Error,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use keys::PublicKey;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use server_ws::{Access, Circle, host};

/// Bytes of the name of an item.
const MAX_NAME: usize = 64;

/// Changes of one play.
const MAX_ITEMS: usize = 100;

/// How much of each item is there.
const STOCK: TableDefinition<'_, &str, i64> = TableDefinition::new("stock");

/// How much of each item a key has reserved.
const RESERVED: TableDefinition<'_, (&str, &str), i64> = TableDefinition::new("reserved");

#[global_allocator]
static ALLOCATOR: worker::Allocator = worker::Allocator;

/// Scripts run in processes of their own, started from this same executable: that is what the first line is for.
fn main() -> Result<(), Box<dyn Error>> {
    worker::run_if_worker();
    let mut arguments = std::env::args().skip(1);
    let (file, port) = (arguments.next().ok_or("give a database file")?, arguments.next().ok_or("give a port")?);
    let keepers = arguments.map(|key| key.parse()).collect::<Result<Vec<PublicKey>, _>>()?;
    let database = Arc::new(Database::create(file)?);
    let circle = Circle::builder("inventory")
        .description("What is in stock, for keys that prove themselves")
        .access(Access::Authenticated)
        .host_module(stock(&database, keepers))
        .build()?;
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    println!("listening on ws://{}", listener.local_addr()?);
    let stopped = async {
        // Where Ctrl-C cannot be heard there is nothing to wait for.
        let _interrupted = tokio::signal::ctrl_c().await;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(server_ws::run(listener, circle, stopped))?)
}

/// What a play has changed so far, by item; `None` once it has ended.
#[derive(Default)]
struct StockChanges {
    added: BTreeMap<String, i64>,
    reserved: BTreeMap<String, i64>,
    /// Who reserves.
    key: String,
}

type PendingChanges = Mutex<Option<StockChanges>>;

fn stock(database: &Arc<Database>, keepers: Vec<PublicKey>) -> host::Module<PendingChanges> {
    let (count_database, end_database, keepers) = (database.clone(), database.clone(), Arc::new(keepers));
    let begin = |play: &host::PlayContext| {
        let key = play.caller().map(PublicKey::to_hex).unwrap_or_default();
        Mutex::new(Some(StockChanges { key, ..StockChanges::default() }))
    };
    let end = move |pending: Arc<PendingChanges>, end: host::PlayEnd| {
        let (database, changes) =
            (end_database.clone(), pending.lock().expect("nothing panics while it is held").take());
        async move {
            match changes {
                Some(changes) if end.is_success() => run_blocking(move || commit(&database, &changes)).await,
                _ => Ok(()),
            }
        }
    };
    host::Module::for_each_play("stock", begin, end)
        .function("count", ["item"], "How many there are.", move |_: host::Call<PendingChanges>, (item,): (String,)| {
            let database = count_database.clone();
            run_blocking(move || count(&database, &item))
        })
        .function(
            "reserve",
            ["item", "count"],
            "Sets so many aside for the caller, when the play succeeds; if there are not enough by then, it fails.",
            |call: host::Call<PendingChanges>, (item, count): (String, u32)| async move {
                record_change(&call, &item.clone(), |changes| {
                    *changes.reserved.entry(item).or_default() += i64::from(count)
                })
            },
        )
        .function(
            "add",
            ["item", "count"],
            "Puts so many into the stock; for keepers.",
            move |call: host::Call<PendingChanges>, (item, count): (String, u32)| {
                let is_keeper = call.caller().is_some_and(|key| keepers.contains(key));
                async move {
                    if !is_keeper {
                        return Err("only keepers add to the stock".into());
                    }
                    record_change(&call, &item.clone(), |changes| {
                        *changes.added.entry(item).or_default() += i64::from(count)
                    })
                }
            },
        )
}

/// Notes a change for the end of the play. What is kept here is the server's memory, and no limit of scripts holds it: so it is
/// bounded.
fn record_change(
    call: &host::Call<PendingChanges>,
    item: &str,
    record: impl FnOnce(&mut StockChanges),
) -> Result<(), host::Error> {
    if item.len() > MAX_NAME {
        return Err("the name of an item has 64 bytes at the most".into());
    }
    let mut pending = call.state().lock().expect("nothing panics while it is held");
    // A function that was left behind may come late.
    let changes = pending.as_mut().ok_or("the play has ended")?;
    if changes.added.len() + changes.reserved.len() >= MAX_ITEMS {
        return Err("a play changes 100 items at the most".into());
    }
    record(changes);
    Ok(())
}

/// The database blocks, and what serves connections must not.
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
        // Nothing was ever added.
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// All of it or nothing: what is not committed is gone.
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
