//! The conversion between errors and their form on the wire.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, value::RawValue};

use super::{
    BusyLimit, ConflictCause, ErrorObject, Happened, LimitSetting, LossReason, MissingRight, PlayLimit, RpcError,
    ScriptError, StoreFault,
};

impl RpcError {
    /// Converts the error to an object with a tree of `data`.
    ///
    /// # Errors
    ///
    /// The `data` contains an id that a tree cannot hold, such as a number out of range.
    pub fn to_object(&self) -> Result<ErrorObject, serde_json::Error> {
        serde_json::from_str(&serde_json::to_string(self)?)
    }

    fn data(&self) -> Option<ErrorData<'_>> {
        match self {
            Self::InvalidRequest { reason, id } => Some(ErrorData::Request { reason, id: id.as_deref() }),
            Self::MethodNotFound { method } => Some(ErrorData::Method { method }),
            Self::InvalidParams { param, reason } => Some(ErrorData::Param { param, reason }),
            Self::Script(error) => Some(ErrorData::Script(error)),
            Self::Forbidden { reason, missing } => Some(ErrorData::Forbidden { reason, missing: *missing }),
            Self::LimitExceeded { limit, max, setting } => {
                Some(ErrorData::Limit { limit: *limit, max: *max, setting: *setting })
            }
            Self::ResultLost { max, setting, is_recorded } => Some(ErrorData::Lost {
                limit: PlayLimit::Output,
                max: *max,
                setting: *setting,
                happened: true,
                recorded: *is_recorded,
            }),
            Self::Busy { limit, max, retry_after_ms } => {
                Some(ErrorData::Busy { limit: *limit, max: *max, retry_after_ms: *retry_after_ms })
            }
            Self::RateLimited { retry_after_ms } => Some(ErrorData::Rate { retry_after_ms: *retry_after_ms }),
            Self::EnvironmentLost { reason } => Some(ErrorData::Loss { reason: *reason }),
            Self::Conflict { cause, key, attempts } => {
                Some(ErrorData::Conflict { cause: *cause, key: key.as_deref(), attempts: *attempts })
            }
            Self::StoreUnavailable { cause, happened } => Some(ErrorData::Store { cause: *cause, happened: *happened }),
            Self::Other(object) => object.data.as_ref().map(ErrorData::Other),
            _ => None,
        }
    }
}

/// The `data` of an error, borrowed. Text from a client is written back verbatim and never parsed into a tree, which
/// cannot hold all JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum ErrorData<'a> {
    Request {
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
    },
    Forbidden {
        reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        missing: Option<MissingRight>,
    },
    Method {
        method: &'a str,
    },
    Param {
        param: &'a str,
        reason: &'a str,
    },
    Script(&'a ScriptError),
    Limit {
        limit: PlayLimit,
        max: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        setting: Option<LimitSetting>,
    },
    Busy {
        limit: BusyLimit,
        max: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    Rate {
        retry_after_ms: u64,
    },
    Loss {
        reason: LossReason,
    },
    Lost {
        limit: PlayLimit,
        max: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        setting: Option<LimitSetting>,
        happened: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        recorded: bool,
    },
    Conflict {
        cause: ConflictCause,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        attempts: u32,
    },
    Store {
        cause: StoreFault,
        happened: Happened,
    },
    Other(&'a Value),
}

impl From<ErrorObject> for RpcError {
    /// Reads the `data` that the code requires; an error without it is kept as [`RpcError::Other`].
    fn from(object: ErrorObject) -> Self {
        fn field<T: serde::de::DeserializeOwned>(object: &ErrorObject, name: &str) -> Option<T> {
            object.data.as_ref()?.get(name).and_then(|value| T::deserialize(value).ok())
        }
        let known = match object.code {
            -32700 => Some(Self::Parse),
            -32600 => field(&object, "reason").map(|reason| Self::InvalidRequest {
                reason,
                id: field::<Value>(&object, "id").and_then(|id| serde_json::value::to_raw_value(&id).ok()),
            }),
            -32601 => field(&object, "method").map(|method| Self::MethodNotFound { method }),
            -32602 => field(&object, "param")
                .zip(field(&object, "reason"))
                .map(|(param, reason)| Self::InvalidParams { param, reason }),
            -32603 => Some(Self::Internal),
            -32000 => object
                .data
                .as_ref()
                .and_then(|data| serde_json::from_str::<ScriptError>(&data.to_string()).ok())
                .map(|error| Self::Script(Box::new(ScriptError { message: object.message.clone(), ..error }))),
            -32001 => Some(Self::Unauthenticated),
            -32002 => Some(Self::InvalidCredentials),
            -32003 => {
                field(&object, "reason").map(|reason| Self::Forbidden { reason, missing: field(&object, "missing") })
            }
            -32004 if field(&object, "happened") == Some(true) => field(&object, "max").map(|max| Self::ResultLost {
                max,
                setting: field(&object, "setting"),
                is_recorded: field(&object, "recorded").unwrap_or_default(),
            }),
            -32004 => field(&object, "limit").zip(field(&object, "max")).map(|(limit, max)| Self::LimitExceeded {
                limit,
                max,
                setting: field(&object, "setting"),
            }),
            -32005 => Some(Self::Cancelled),
            -32006 => field(&object, "limit").zip(field(&object, "max")).map(|(limit, max)| Self::Busy {
                limit,
                max,
                retry_after_ms: field(&object, "retry_after_ms"),
            }),
            -32007 => field(&object, "retry_after_ms").map(|retry_after_ms| Self::RateLimited { retry_after_ms }),
            -32008 => Some(Self::ShuttingDown),
            -32009 => field(&object, "reason").map(|reason| Self::EnvironmentLost { reason }),
            -32010 => field(&object, "cause").zip(field(&object, "attempts")).map(|(cause, attempts)| Self::Conflict {
                cause,
                key: field(&object, "key"),
                attempts,
            }),
            -32011 => field(&object, "cause")
                .zip(field(&object, "happened"))
                .map(|(cause, happened)| Self::StoreUnavailable { cause, happened }),
            _ => None,
        };
        known.unwrap_or(Self::Other(object))
    }
}

impl Serialize for RpcError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ErrorEnvelope<'a> {
            code: i64,
            message: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<ErrorData<'a>>,
        }
        ErrorEnvelope { code: self.code(), message: self.message(), data: self.data() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RpcError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ErrorObject::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::*;

    fn sample_errors() -> Vec<RpcError> {
        vec![
            RpcError::Parse,
            RpcError::invalid_request("why"),
            RpcError::MethodNotFound { method: "x".into() },
            RpcError::InvalidParams { param: "script".into(), reason: "is missing".into() },
            RpcError::Internal,
            RpcError::Script(Box::new(ScriptError {
                message: "Variable not found: y".into(),
                kind: ScriptErrorKind::Runtime,
                line: Some(3),
                column: Some(5),
                function: Some("f".into()),
                hint: None,
                thrown: serde_json::value::to_raw_value(&json!({ "a": 1 })).ok(),
                trace: vec![TraceFrame {
                    source: TraceSource::Play,
                    number: Some(3),
                    name: Some("work.rhai".into()),
                    function: Some("f".into()),
                    line: Some(1),
                    column: Some(2),
                    text: Some("y".into()),
                    repeats: 4,
                    omitted: 0,
                }],
            })),
            RpcError::Unauthenticated,
            RpcError::InvalidCredentials,
            RpcError::Forbidden { reason: "not a member".into(), missing: Some(MissingRight::Play) },
            RpcError::LimitExceeded { limit: PlayLimit::Time, max: 30_000, setting: Some(LimitSetting::PlayMs) },
            RpcError::Cancelled,
            RpcError::Busy { limit: BusyLimit::Queued, max: 64, retry_after_ms: Some(5) },
            RpcError::RateLimited { retry_after_ms: 9 },
            RpcError::ShuttingDown,
            RpcError::EnvironmentLost { reason: LossReason::Crash },
            RpcError::Conflict { cause: ConflictCause::Changed, key: Some("stock/tea".into()), attempts: 3 },
            RpcError::StoreUnavailable { cause: StoreFault::Failed, happened: Happened::Unknown },
        ]
    }

    #[test]
    fn error_round_trips_for_every_code() {
        let codes: Vec<i64> = sample_errors().iter().map(RpcError::code).collect();
        assert_eq!(codes, ERROR_CODES.iter().map(|(code, ..)| *code).collect::<Vec<_>>());
        for error in sample_errors() {
            let object = error.to_object().expect("serialises");
            let back = RpcError::from(object.clone());
            assert!(!matches!(back, RpcError::Other(_)), "{error:?}");
            assert_eq!(back.to_object().expect("serialises"), object);
        }
    }

    #[test]
    fn lost_result_is_a_limit_of_what_happened() {
        let lost = RpcError::ResultLost { max: 4, setting: None, is_recorded: true };
        let object = lost.to_object().expect("serialises");
        assert_eq!(object.data, Some(json!({ "limit": "output", "max": 4, "happened": true, "recorded": true })));
        assert!(matches!(RpcError::from(object), RpcError::ResultLost { max: 4, setting: None, is_recorded: true }));
    }

    #[test]
    fn error_data_has_only_listed_members() {
        for (error, (_, _, members)) in sample_errors().iter().zip(ERROR_CODES) {
            let Some(Value::Object(data)) = error.to_object().expect("serialises").data else { continue };
            for name in data.keys() {
                assert!(members.contains(&name.as_str()), "{error:?}: {name}");
            }
        }
    }

    #[test]
    fn unrepresentable_id_is_returned_verbatim() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let digits = "7".repeat(400);
        for id in [deep.as_str(), digits.as_str(), "1e999", "1.50", r#""\ud800""#] {
            let raw = RawValue::from_string(id.into()).expect("JSON");
            let error = RpcError::InvalidRequest { reason: "why".into(), id: Some(raw) };
            let text = crate::message::response(None, Err::<&(), _>(&error));
            assert!(text.contains(&format!("\"id\":{id}}}")), "{text}");
        }
    }

    #[test]
    fn frame_of_an_unknown_kind_is_kept() {
        let data = json!({ "kind": "runtime", "trace": [{ "source": "store", "later": 1 }] });
        let RpcError::Script(error) =
            RpcError::from(ErrorObject { code: -32000, message: "no".into(), data: Some(data) })
        else {
            panic!()
        };
        assert_eq!(error.trace[0].source, TraceSource::Unknown);
    }

    #[test]
    fn error_with_missing_data_is_kept_as_other() {
        let object = ErrorObject { code: -32004, message: "Limit exceeded: luck".into(), data: Some(json!({})) };
        assert_eq!(RpcError::from(object.clone()).to_object().expect("serialises"), object);
    }
}
