//! Limits that are derived from other limits or from the machine.

use protocol::Limits;
use rustix::process::{Resource, getrlimit};

use super::kernel;

/// File descriptors that a circle needs in addition to those of its connections and workers.
const SPARE_DESCRIPTORS: u64 = 64;

/// One in this many of the other descriptors stays free for clients that have not requested an upgrade yet.
const SPARE_SHARE: u64 = 8;

/// For each group of this many connections, there may be one more socket, of a client that has not requested an upgrade
/// yet. This uses only some of the spare descriptors.
const CONNECTIONS_PER_SPARE_SOCKET: u64 = 8;

/// The minimum number of sockets for such clients.
const MIN_SPARE_SOCKETS: u64 = 16;

/// Connections get one in this many bytes of the memory available to the server.
const CONNECTION_MEMORY_SHARE: u64 = 8;

/// Bytes for each connection at the limit of connections: twice what an idle connection takes.
const BYTES_PER_CONNECTION: u64 = 64 << 10;

/// One caller may hold one in this many of the circle's workers, running plays, host calls and bytes.
const PER_CALLER: u64 = 4;

/// Descriptors that a worker process takes: two pipes and a socket. The worker's ends of them are open only for a moment,
/// which the spare descriptors cover.
pub(crate) const PROCESS_DESCRIPTORS: u64 = 3;

/// Descriptors that a worker on threads takes: two pipes, a socket and their other ends.
pub(crate) const THREADS_DESCRIPTORS: u64 = 6;

/// Returns the number of further sockets, for clients that have not requested an upgrade yet.
pub(super) fn spare_sockets(connections: u64) -> u64 {
    (connections / CONNECTIONS_PER_SPARE_SOCKET).max(MIN_SPARE_SOCKETS)
}

/// Sets `connection_mib` to a share of the memory available to this process, unless the operator has set it, and lowers
/// `connections` to what fits into it.
pub(crate) fn fit_to_memory(limits: &mut Limits) {
    let memory = kernel::memory_limit();
    limits.connection_mib = limits.connection_mib.or_else(|| Some(((memory? / CONNECTION_MEMORY_SHARE) >> 20).max(1)));
    if let Some(mib) = limits.connection_mib {
        limits.connections = limits.connections.min(mib.saturating_mul((1 << 20) / BYTES_PER_CONNECTION));
    }
}

/// Sets each limit that is a share of another limit or of the memory of this machine, unless the operator has set it. The
/// memory of workers on other machines is no share of that of this one: those machines bound it.
pub(crate) fn derive_shares(limits: &mut Limits, has_own_workers: bool) {
    limits.sessions_per_caller.get_or_insert((limits.workers / PER_CALLER).max(1));
    limits.running_per_caller.get_or_insert((limits.running_plays / PER_CALLER).max(1));
    limits.calls_per_caller.get_or_insert((limits.running_calls / PER_CALLER).max(1));
    limits.host_calls_per_caller.get_or_insert((limits.running_host_calls / PER_CALLER).max(1));
    if has_own_workers {
        limits.total_mib = limits.total_mib.or_else(|| Some(((worker::machine_memory()? / 2) >> 20).max(1)));
    }
    if let Some(total) = limits.total_mib {
        // A caller's share fits one session at its own limit.
        let share = (total / PER_CALLER).max(limits.memory_mib.saturating_mul(2)).min(total);
        limits.memory_per_caller_mib.get_or_insert(share);
    }
}

/// Lowers connections and workers to what the file descriptors of the process allow. A connection takes one descriptor,
/// a worker `per_worker`. The target is half as many workers as connections.
pub(crate) fn fit_to_descriptors(limits: &mut Limits, per_worker: u64) {
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return };
    fit(limits, descriptors, per_worker);
}

fn fit(limits: &mut Limits, descriptors: u64, per_worker: u64) {
    let usable = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let usable = (usable - usable / SPARE_SHARE).max(per_worker + 2);
    limits.workers = limits.workers.min((usable / (per_worker + 2)).max(1));
    limits.connections = limits.connections.min(usable - per_worker * limits.workers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_into_descriptors() {
        for descriptors in [0, 20, 64, 256, 1024, 1 << 20] {
            let mut limits = Limits::default();
            fit(&mut limits, descriptors, PROCESS_DESCRIPTORS);
            assert!(limits.workers >= 1 && limits.connections >= 1, "{descriptors}: {limits:?}");
            let sockets = limits.connections + spare_sockets(limits.connections) - MIN_SPARE_SOCKETS;
            let needed = sockets + PROCESS_DESCRIPTORS * limits.workers;
            assert!(descriptors < 100 || needed + SPARE_DESCRIPTORS <= descriptors, "{descriptors}: {limits:?}");
        }
        let mut plenty = Limits::default();
        fit(&mut plenty, 1 << 20, PROCESS_DESCRIPTORS);
        assert_eq!(plenty, Limits::default());
    }

    #[test]
    fn connections_fit_into_memory() {
        for (mib, connections) in [(1, 16), (64, 1024), (625, 10_000), (4096, 10_000)] {
            let mut limits = Limits { connection_mib: Some(mib), ..Limits::default() };
            fit_to_memory(&mut limits);
            assert_eq!((limits.connection_mib, limits.connections), (Some(mib), connections));
        }
        let mut limits = Limits::default();
        fit_to_memory(&mut limits);
        assert_eq!(limits.connection_mib.is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    fn caller_memory_share_fits_one_session() {
        let shares = |total_mib, memory_mib| {
            let mut limits = Limits { total_mib: Some(total_mib), memory_mib, ..Limits::default() };
            derive_shares(&mut limits, true);
            limits.memory_per_caller_mib
        };
        assert_eq!((shares(4000, 64), shares(400, 64), shares(100, 64)), (Some(1000), Some(128), Some(100)));
        let mut limits = Limits::default();
        derive_shares(&mut limits, true);
        assert_eq!(limits.total_mib.is_some(), cfg!(target_os = "linux"));
        let mut limits = Limits::default();
        derive_shares(&mut limits, false);
        assert_eq!((limits.total_mib, limits.memory_per_caller_mib), (None, None));
    }
}
