//! Arguments of `circles watch`.

use clap::Args;

use super::CallerArgs;

#[derive(Debug, Args)]
#[command(
    override_usage = "circles watch [OPTIONS] (--keys KEYS | --topic TOPIC)",
    after_help = "Prints one JSON object in a line for each event: {\"entries\", \"snapshot\"?, \"cursor\"} with the entries as \
                  {\"key\", \"value\"} or {\"key\", \"deleted\": true}; {\"data\", \"cursor\"?} for a topic; {\"gap\": true} where \
                  something is lost; or {\"ended\"}. The entries that exist come first, in lines with \"snapshot\": \"part\" and at \
                  last \"end\". Changes that are more than one event has come in such lines, too. The command connects again \
                  after a lost connection, and goes on where it was. Ctrl-C ends it."
)]
pub(crate) struct WatchArgs {
    /// Follow the keys with this prefix, which ends in / (stock/), or one key (stock/tea)
    #[arg(long, value_name = "KEYS", required_unless_present = "topic", conflicts_with = "topic")]
    pub keys: Option<String>,
    /// Follow the events of this topic
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Go on after this cursor, which an earlier watch of the same keys or topic printed
    #[arg(long, value_name = "CURSOR")]
    pub since: Option<String>,
    #[command(flatten)]
    pub caller: CallerArgs,
}
