//! Dispatch of queries.

use super::{completion, inventory::SharedInventory, lookup, scope, values::Values};
use crate::message::{Query, QueryAnswer};

/// Answers a query, without values while a play runs.
///
/// Work that needs only the query is done before the inventory is locked, because the other thread may wait for the
/// lock.
pub(crate) fn answer(query: &Query, inventory: &SharedInventory, values: Option<Values<'_>>) -> QueryAnswer {
    match query {
        Query::Complete { before } => QueryAnswer::Complete(completion::complete(before, inventory, values)),
        Query::Scope => scope::list(&inventory.lock(), values).map_or(QueryAnswer::TooLarge, QueryAnswer::Scope),
        Query::Lookup { name } => {
            lookup::find(name, &inventory.lock()).map_or(QueryAnswer::TooLarge, QueryAnswer::Lookup)
        }
    }
}
