//! `circles store check`: verify the file of a store, and count its entries.

use frontend::{error::CliError, quantity};
use serde_json::json;
use server_ws::stored_value;
use terminal::output::to_stdout;

use super::{
    export::unknown_encoding,
    file::{StoreFile, read_all, read_part},
};
use crate::cli::StoreCheckArgs;

pub(super) fn run(args: &StoreCheckArgs) -> Result<(), CliError> {
    let file = StoreFile::find(&args.store)?;
    let store = file.open_read_only()?;
    let (mut reader, mut entries) = (read_all(&store), 0_u64);
    while !reader.is_finished() {
        for entry in read_part(&mut reader)? {
            stored_value::to_json(&entry.value).ok_or_else(|| unknown_encoding(&entry.key))?;
            entries += 1;
        }
    }
    let stats = store.stats();
    let (name, path) = (&file.circle.name, file.path.display());
    let text = if args.json {
        json!({
            "circle": name,
            "file": path.to_string(),
            "entries": entries,
            "bytes": stats.data_bytes,
            "log_bytes": stats.log_bytes,
            "once_bytes": stats.once_bytes,
            "file_bytes": stats.file_bytes,
            "revision": stats.revision.get(),
        })
        .to_string()
    } else {
        let entries = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
        format!(
            "{name}: {entries} of {}, in a file of {}; {path} is sound",
            quantity::size(stats.data_bytes),
            quantity::size(stats.file_bytes)
        )
    };
    Ok(to_stdout(&format!("{text}\n"))?)
}
