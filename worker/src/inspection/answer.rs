//! Which part answers which query.

use super::{completion, inventory::SharedInventory, lookup, scope, values::Values};
use crate::message::{Query, QueryAnswer};

/// Answers a query; without values while a play runs. What depends on the query alone is found out before the inventory is
/// taken, for which the other thread may wait.
pub(crate) fn answer(query: &Query, inventory: &SharedInventory, values: Option<Values<'_>>) -> QueryAnswer {
    match query {
        Query::Complete { before } => QueryAnswer::Complete(completion::complete(before, inventory, values)),
        Query::Scope => scope::list(&inventory.lock(), values).map_or(QueryAnswer::TooLarge, QueryAnswer::Scope),
        Query::Lookup { name } => {
            lookup::find(name, &inventory.lock()).map_or(QueryAnswer::TooLarge, QueryAnswer::Lookup)
        }
    }
}
