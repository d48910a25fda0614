//! An honest client beside eight attackers.

use tokio::runtime::Handle;

use super::{
    Options,
    report::{Beside, Goal, Report, Unit},
    servers::{Kind, Servers},
};
use crate::{BoxError, attack};

/// A p99 up to this is good, however quiet the circle was before.
const P99_GOAL: f64 = 5e-3;

/// Largest ratio of a p99 above that to the quiet one.
const RATIO_GOAL: f64 = 3.0;

pub(crate) fn compare(
    options: &Options,
    servers: &Servers,
    report: &mut Report,
    runtime: &Handle,
) -> Result<(), BoxError> {
    const NAME: &str = "an honest client's p99 beside 8 attackers / quiet";
    if !report.includes(NAME) {
        return Ok(());
    }
    // The largest of the attackers' scripts are larger than the default allows.
    let server = servers.start_circle(Kind::Circles, &["--limit", "message_kib=4096"])?.ok_or("circles is there")?;
    let (plays, warm_up) = if options.is_quick { (20, options.times().0) } else { (5_000, attack::WARM_UP) };
    let authority = server.endpoint.address.to_string();
    let (quiet, attacked) = runtime.block_on(attack::measure_beside(&authority, plays, warm_up))?;
    let [quiet, attacked] = [quiet, attacked].map(|[plays, ..]| plays.percentile(99) * 1e-6);
    let beside = Beside::Figure { figure: quiet, ratio: attacked / quiet };
    let goal = Goal::AtMost(P99_GOAL.max(RATIO_GOAL * quiet));
    report.add(NAME, attacked, Unit::Seconds, &beside, Some(goal));
    Ok(())
}
