//! Resolves the worker pool of a circle: its connection to NATS.

use serde_json::value::RawValue;
use worker_nats::config::{NatsConfig, NatsSettings};

use super::{
    FieldSpans,
    circle_resolver::{CircleResolver, check_file},
};
use crate::{config_error::ConfigError, fields::WorkerPoolFields};

/// Name of the field.
const FIELD: &str = "worker_pool";

impl CircleResolver<'_, '_> {
    /// Returns the circle's own connection to NATS, or the default. The content of its files is not validated.
    pub(super) fn worker_pool(&self) -> Result<Option<NatsSettings>, ConfigError> {
        let Some(fields) = self.field(|fields| &fields.worker_pool) else { return Ok(None) };
        let WorkerPoolFields { nats, credentials, nkey, user, password_file, ca, cert, key } = fields;
        let path = |path: Option<std::path::PathBuf>| path.map(|path| self.resolve(&path));
        let settings = NatsSettings {
            servers: nats,
            credentials: path(credentials),
            nkey: path(nkey),
            user,
            password_file: path(password_file),
            ca: path(ca),
            cert: path(cert),
            key: path(key),
        };
        NatsConfig::new(&settings).map_err(|error| {
            let located = self.pool_error(error.field(), error.to_string());
            // The line may have the password that the error is about.
            if settings.servers.contains('@') { located.without_line() } else { located }
        })?;
        let NatsSettings { servers: _, credentials, nkey, user: _, password_file, ca, cert, key } = &settings;
        let files = [
            ("credentials", credentials),
            ("nkey", nkey),
            ("password_file", password_file),
            ("ca", ca),
            ("cert", cert),
            ("key", key),
        ];
        for (name, file) in files {
            if let Some(Err(message)) = file.as_deref().map(check_file) {
                return Err(self.pool_error(name, message));
            }
        }
        Ok(Some(settings))
    }

    /// Returns an error at a field of the worker pool.
    fn pool_error(&self, name: &str, message: String) -> ConfigError {
        let spans: FieldSpans =
            self.span(FIELD).and_then(|pool| serde_json::from_str(pool.get()).ok()).unwrap_or_default();
        match spans.get(name).copied().map(RawValue::get) {
            Some(span) => self.source.error_at(span, message),
            None => self.error_at(FIELD, message),
        }
    }
}
