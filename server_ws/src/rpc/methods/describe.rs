//! `describe`: what this circle is, and who it takes the caller for.

use protocol::{
    Limits,
    methods::{Description, You},
};

use crate::{metrics::SandboxLayer, session::Session};

pub(crate) fn handle(session: &Session) -> Description {
    let circle = &session.circle;
    let (now, environment) = (circle.settings(), session.player.next_limits());
    Description {
        name: circle.name.clone(),
        description: now.description.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: protocol::VERSION,
        access: circle.access,
        you: You { public_key: session.auth.identity().map(|key| key.to_hex()), admitted: session.is_admitted() },
        modules: environment.module_names.clone(),
        sandbox: SandboxLayer::all(now.workers.has_processes(), circle.layers.get().map_or(&[], Vec::as_slice))
            .into_iter()
            .map(|layer| layer.name().into())
            .collect(),
        limits: limits(session, &now.limits.values, &environment.values),
    }
}

/// Those that hold: of its connection, its environment, and the circle now.
fn limits(session: &Session, now: &Limits, environment: &Limits) -> Limits {
    let connection = &session.limits.values;
    let has_memory_quota = !session.circle.admission.is_memory_quota_disabled();
    Limits {
        message_kib: connection.message_kib,
        batch: connection.batch,
        queued_plays: connection.queued_plays,
        queued_kib: connection.queued_kib,
        connections: now.connections,
        unauthenticated_per_address: now.unauthenticated_per_address,
        login_s: connection.login_s,
        connection_mib: now.connection_mib,
        workers: now.workers,
        sessions_per_caller: now.sessions_per_caller,
        running_plays: now.running_plays,
        running_per_caller: now.running_per_caller,
        running_host_calls: now.running_host_calls,
        host_calls_per_caller: now.host_calls_per_caller,
        total_mib: now.total_mib.filter(|_| has_memory_quota),
        memory_per_caller_mib: now.memory_per_caller_mib.filter(|_| has_memory_quota),
        per_minute: now.per_minute,
        ..environment.clone()
    }
}
