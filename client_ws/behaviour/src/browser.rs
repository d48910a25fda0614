//! The tests for a page: what `web/tests/client.test.mjs` calls.

use std::rc::Rc;

use futures_util::{FutureExt, future::LocalBoxFuture};
use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use crate::{
    Env, TESTS,
    control::{Control, Reply, Request},
};

#[wasm_bindgen]
extern "C" {
    /// Carries out a request of a test, as JSON. The page gets this function from the program that controls the browser.
    #[wasm_bindgen(js_name = control)]
    fn control(request: &str) -> Promise;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// The control of a test through the page.
struct PageControl;

impl Control for PageControl {
    fn call(&self, request: Request) -> LocalBoxFuture<'_, Result<Reply, String>> {
        async move {
            let request = serde_json::to_string(&request).map_err(|error| error.to_string())?;
            let reply = JsFuture::from(control(&request)).await.map_err(|error| format!("{error:?}"))?;
            let reply = reply.as_string().ok_or("the reply is no text")?;
            serde_json::from_str(&reply).map_err(|error| format!("{error}: {reply}"))
        }
        .boxed_local()
    }
}

/// The names of the tests: `module::test`.
#[wasm_bindgen]
pub fn names() -> Vec<String> {
    TESTS.iter().map(|(module, name, _)| format!("{module}::{name}")).collect()
}

/// Runs a test on a page of this origin. The error is the failure.
#[wasm_bindgen]
pub async fn run(name: String, origin: String) -> Result<(), JsValue> {
    std::panic::set_hook(Box::new(|panic| console_error(&panic.to_string())));
    let test = TESTS.iter().find(|(module, test, _)| format!("{module}::{test}") == name);
    let (_, _, start) = test.ok_or_else(|| JsValue::from(format!("there is no test {name}")))?;
    let outcome = start(Env::new(Rc::new(PageControl), Some(origin))).await;
    outcome.map_err(|failure| JsValue::from(format!("{failure:?}")))
}
