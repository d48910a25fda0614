//! The environment of a test: it starts circles, and fake circles on which the test answers.

mod fake;

use std::rc::Rc;

use client_ws::{CircleWsClient, CircleWsClientBuilder, KeyPair};

pub(crate) use fake::{FakeCircle, FakeConnection, ReceivedRequest, now_unix};

use crate::{
    Failure,
    control::{Control, Reply, Request},
};

/// The environment of one test.
#[derive(Clone)]
pub struct Env {
    control: Rc<dyn Control>,
    /// The origin of the page that runs the test; `None` natively.
    origin: Option<String>,
}

impl Env {
    /// Makes the environment of a test. In a browser, `origin` is that of the page.
    pub fn new(control: Rc<dyn Control>, origin: Option<String>) -> Self {
        Self { control, origin }
    }

    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Failure> {
        let text = format!("{request:?}");
        self.control.call(request).await.map_err(|error| Failure::new(format!("cannot carry out {text}: {error}")))
    }

    /// Starts a circle with options of `circles serve`.
    pub(crate) async fn serve(&self, options: &[&str]) -> Result<Circle, Failure> {
        Circle::start(self, options, false).await
    }

    /// Starts a circle with the persistent identity of this test.
    pub(crate) async fn serve_persistent(&self, options: &[&str]) -> Result<Circle, Failure> {
        Circle::start(self, options, true).await
    }

    /// Starts a circle that does not list the origin of the page.
    pub(crate) async fn serve_without_origins(&self) -> Result<Circle, Failure> {
        let env = Self { control: self.control.clone(), origin: None };
        Circle::start(&env, &[], false).await
    }

    /// Starts a fake circle with an ephemeral identity.
    pub(crate) async fn fake(&self) -> Result<FakeCircle, Failure> {
        FakeCircle::start(self).await
    }

    /// Connects a client to a fake circle. Returns the client and the fake circle's end of the connection.
    pub(crate) async fn fake_connection(&self) -> Result<(CircleWsClient, FakeConnection), Failure> {
        let fake = self.fake().await?;
        let client = fake.builder().build()?;
        let connection = fake.connect(&client).await?;
        Ok((client, connection))
    }
}

/// A circle: a process of `circles serve`.
pub(crate) struct Circle {
    env: Env,
    port: u16,
    pub(crate) options: Vec<String>,
    /// Whether the circle has the persistent identity of the test.
    pub(crate) is_persistent: bool,
}

impl Circle {
    async fn start(env: &Env, options: &[&str], is_persistent: bool) -> Result<Self, Failure> {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut circle = Self { env: env.clone(), port: 0, options, is_persistent };
        circle.port = circle.serve(None).await?;
        Ok(circle)
    }

    async fn serve(&self, port: Option<u16>) -> Result<u16, Failure> {
        let mut options = self.options.clone();
        options.extend(self.env.origin.iter().flat_map(|origin| ["--origins".to_owned(), origin.clone()]));
        let request = Request::Serve { port, options, persistent: self.is_persistent };
        Ok(self.env.call(request).await?.port)
    }

    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn builder(&self) -> CircleWsClientBuilder {
        CircleWsClient::builder(format!("ws://{}", self.authority()))
    }

    /// Returns a connected client without a key.
    pub(crate) async fn connect(&self) -> Result<CircleWsClient, Failure> {
        let client = self.builder().build()?;
        client.connect().await?;
        Ok(client)
    }

    pub(crate) async fn kill(&self) -> Result<(), Failure> {
        self.env.call(Request::Kill { port: self.port }).await.map(drop)
    }

    pub(crate) async fn drain(&self) -> Result<(), Failure> {
        self.env.call(Request::Drain { port: self.port }).await.map(drop)
    }

    /// Starts the circle again after it has ended.
    pub(crate) async fn start_again(&self) -> Result<(), Failure> {
        self.serve(Some(self.port)).await.map(drop)
    }
}

/// Makes a key.
pub(crate) fn key() -> Result<KeyPair, Failure> {
    Ok(KeyPair::generate()?)
}
