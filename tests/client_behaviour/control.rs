//! The circles and fake circles of one test.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use client_behaviour::control::{Control, Frame, Reply, Request};
use futures_util::{FutureExt, SinkExt, StreamExt, future::LocalBoxFuture};
use rustix::process::Signal;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
    task::spawn_blocking,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request as Handshake, Response},
        protocol::CloseFrame,
    },
};

use crate::support::{
    Home, free_port,
    process::{ServeProcess, wait_for_end},
};

type Socket = WebSocketStream<TcpStream>;

/// Circles and fake circles by port, and the connections of fake circles by number. They end with the test.
#[derive(Default)]
pub(super) struct NativeControl {
    home: RefCell<Option<Home>>,
    circles: RefCell<HashMap<u16, ServeProcess>>,
    listeners: RefCell<HashMap<u16, Rc<TcpListener>>>,
    connections: RefCell<Vec<Rc<Mutex<Option<Socket>>>>>,
}

impl Control for NativeControl {
    fn call(&self, request: Request) -> LocalBoxFuture<'_, Result<Reply, String>> {
        self.carry_out(request).boxed_local()
    }
}

impl NativeControl {
    async fn carry_out(&self, request: Request) -> Result<Reply, String> {
        match request {
            Request::Serve { port, options, persistent } => {
                let port = self.serve(port, &options, persistent);
                return Ok(Reply { port, ..Reply::default() });
            }
            Request::Kill { port } => drop(self.circles.borrow_mut().remove(&port)),
            Request::Drain { port } => {
                let circle = self.circles.borrow_mut().remove(&port).ok_or("no such circle")?;
                circle.signal(Signal::TERM);
                let pid = circle.pid();
                // The client of this thread answers the close frame meanwhile.
                spawn_blocking(move || wait_for_end(pid)).await.map_err(|error| error.to_string())?;
            }
            Request::Listen => {
                let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
                let port = listener.local_addr().map_err(|error| error.to_string())?.port();
                self.listeners.borrow_mut().insert(port, listener.into());
                return Ok(Reply { port, ..Reply::default() });
            }
            Request::Unlisten { port } => drop(self.listeners.borrow_mut().remove(&port)),
            Request::Accept { port } => return self.accept(port).await,
            Request::Receive { connection } => {
                let frame = self.receive(connection).await?;
                return Ok(Reply { frame, ..Reply::default() });
            }
            Request::Send { connection, text } => self.send(connection, Message::text(text)).await?,
            Request::SendLarge { connection, kib } => {
                let empty = json!({ "jsonrpc": "2.0", "method": "later", "params": { "text": "" } }).to_string();
                let text = "x".repeat((kib << 10) - empty.len());
                let message = json!({ "jsonrpc": "2.0", "method": "later", "params": { "text": text } });
                // The client may close the connection before it has read the message.
                let _is_read = self.send(connection, Message::text(message.to_string())).await.is_ok();
            }
            Request::SendBinary { connection } => self.send(connection, Message::binary(Vec::new())).await?,
            Request::Close { connection, code, reason } => {
                let frame = CloseFrame { code: code.into(), reason: reason.into() };
                self.send(connection, Message::Close(Some(frame))).await?;
            }
            Request::Abort { connection } => drop(self.connection(connection)?.lock().await.take()),
        }
        Ok(Reply::default())
    }

    fn serve(&self, port: Option<u16>, options: &[String], is_persistent: bool) -> u16 {
        let port = port.unwrap_or_else(free_port);
        let identity = self.home.borrow_mut().get_or_insert_with(Home::new).path().join("identity");
        let mut arguments: Vec<_> = options.iter().map(String::as_str).collect();
        if is_persistent {
            arguments.extend(["--identity", identity.to_str().expect("UTF-8")]);
        }
        let circle = ServeProcess::start_on(port, &arguments);
        self.circles.borrow_mut().insert(port, circle);
        port
    }

    async fn accept(&self, port: u16) -> Result<Reply, String> {
        let listener = self.listeners.borrow().get(&port).ok_or("no such fake circle")?.clone();
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let mut host = String::new();
        // The library's callback type has a large error.
        #[expect(clippy::result_large_err)]
        let record = |request: &Handshake, response: Response| {
            request.headers()["host"].to_str().unwrap_or_default().clone_into(&mut host);
            Ok(response)
        };
        let socket = accept_hdr_async(stream, record).await.map_err(|error| error.to_string())?;
        let mut connections = self.connections.borrow_mut();
        connections.push(Rc::new(Mutex::new(Some(socket))));
        Ok(Reply { connection: connections.len() - 1, host, ..Reply::default() })
    }

    fn connection(&self, number: usize) -> Result<Rc<Mutex<Option<Socket>>>, String> {
        Ok(self.connections.borrow().get(number).ok_or("no such connection")?.clone())
    }

    async fn receive(&self, number: usize) -> Result<Frame, String> {
        let connection = self.connection(number)?;
        let mut connection = connection.lock().await;
        let Some(socket) = &mut *connection else { return Ok(Frame::End) };
        Ok(match socket.next().await {
            Some(Ok(Message::Text(text))) => Frame::Text(text.to_string()),
            Some(Ok(Message::Ping(_))) => Frame::Ping,
            Some(Ok(Message::Close(_)) | Err(_)) | None => Frame::End,
            Some(Ok(other)) => return Err(format!("the client has sent {other:?}")),
        })
    }

    async fn send(&self, number: usize, message: Message) -> Result<(), String> {
        let connection = self.connection(number)?;
        let mut connection = connection.lock().await;
        let socket = connection.as_mut().ok_or("the connection has ended")?;
        socket.send(message).await.map_err(|error| error.to_string())
    }
}
