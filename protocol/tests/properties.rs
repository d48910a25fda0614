//! Properties of the parser for any incoming text.

use proptest::prelude::*;
use protocol::{Id, MethodName, Request, message};
use serde_json::value::RawValue;

/// Texts similar to requests: requests with any JSON in any member.
fn requests() -> impl Strategy<Value = String> {
    let json = prop_oneof![
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
        Just("null".to_owned()),
        Just("[\"1\",5,\"ans\"]".to_owned()),
        Just("{\"script\":\"1\",\"script\":2}".to_owned()),
        Just("{\"play\":null}".to_owned()),
    ];
    let method = prop_oneof![
        Just("\"play\"".to_owned()),
        Just("\"cancel\"".to_owned()),
        Just("\"describe\"".to_owned()),
        json.clone()
    ];
    (json.clone(), method, json).prop_map(|(id, method, params)| {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method},\"params\":{params}}}")
    })
}

/// Parses a text as a circle does, and returns all responses.
fn answers(text: &str) -> Vec<String> {
    let calls = match message::parse(text, 4) {
        Err(error) => return vec![message::response(None, Err::<&(), _>(&error))],
        Ok(message::IncomingMessage::Single(call)) => vec![call],
        Ok(message::IncomingMessage::Batch(calls)) => calls,
    };
    let answer = |call: Result<message::RpcCall<'_>, message::RejectedCall>| match call {
        Err(rejected) => message::response(rejected.id.as_ref(), Err::<&(), _>(&rejected.error)),
        Ok(call) => {
            let request = call.method.parse::<MethodName>().and_then(|method| Request::parse(method, call.params));
            match request {
                Ok(_) => message::response(call.id.as_ref(), Ok(&true)),
                Err(error) => message::response(call.id.as_ref(), Err::<&(), _>(&error)),
            }
        }
    };
    calls.into_iter().map(answer).collect()
}

proptest! {
    #[test]
    fn any_text_is_answered_with_json_rpc(text in prop_oneof![any::<String>(), requests(), requests().prop_map(|one| format!("[{one},{one}]"))]) {
        for answer in answers(&text) {
            let _json: &RawValue = serde_json::from_str(&answer).expect("JSON");
            prop_assert!(answer.starts_with("{\"jsonrpc\":\"2.0\",\"id\":"), "{}", answer);
        }
    }

    #[test]
    fn id_equals_itself_and_round_trips(text in "\"[a-z\\\\u0041]{0,20}\"|-?[1-9][0-9]{0,30}(\\.[0-9]{1,5})?") {
        let Ok(raw) = RawValue::from_string(text.clone()) else { return Ok(()) };
        let id = Id::from_raw(&raw).expect("short enough");
        prop_assert_eq!(id.as_written(), text);
        prop_assert_eq!(&id, &id.clone());
    }
}
