//! `describe`: what this circle is, and who it takes the caller for.

use protocol::methods::{Description, You};

use crate::session::Session;

pub(crate) fn handle(session: &Session) -> Description {
    let circle = &session.circle;
    Description {
        name: circle.name.clone(),
        description: circle.description.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: protocol::VERSION,
        access: circle.access,
        you: You { public_key: session.auth.identity().map(|key| key.to_hex()), admitted: session.is_admitted() },
        modules: circle.module_names.clone(),
        sandbox: vec!["process".into()],
        limits: circle.limits.clone(),
    }
}
