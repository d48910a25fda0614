//! The HTTP routes, and the checks before an upgrade to a WebSocket: host, origin, room for one more connection.

#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_http::Request;
use actix_service::{IntoServiceFactory, ServiceFactory, map_config};
use actix_web::{
    App, Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{AppConfig, Extensions, ServiceRequest, ServiceResponse},
    error::ErrorInternalServerError,
    http::{
        Method, StatusCode,
        header::{self, ContentType},
    },
    middleware::{DefaultHeaders, Next, from_fn},
    web,
};
use keys::Authority;

use super::{
    chunks::Chunks,
    client_address::client_address,
    connection::STALL_TIMEOUT,
    console, handshake,
    rejection::{self, Rejection},
    request_socket::RequestSocket,
    upgrade::{AcceptedUpgrade, Upgradable},
};
use crate::{admission_hook::ConnectionRequest, circle::Circle, quota::Slot};

/// How long a client may take to send a request.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The default ports of `ws` and `wss` URLs.
const DEFAULT_PORT: u16 = 80;
const DEFAULT_TLS_PORT: u16 = 443;

/// The path of a file of the web console.
const CONSOLE_FILE: &str = "/console/{hash}/{file}";

/// The content type of Prometheus' text format.
#[cfg(feature = "metrics")]
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The address of the accepted socket.
#[derive(Debug, Clone, Copy)]
struct LocalAddress(SocketAddr);

/// Stores the socket's address and slot, and makes the kernel drop the connection if it stalls, because the actor
/// cannot.
pub(super) fn on_connect(socket: &RequestSocket, data: &mut Extensions) {
    data.insert(socket.slot().clone());
    let Some(tcp) = socket.tcp() else { return };
    if let Ok(address) = tcp.local_addr() {
        data.insert(LocalAddress(address));
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = drop_stalled(tcp, STALL_TIMEOUT) {
        tracing::warn!(%error, "cannot set the stall timeout of a socket");
    }
}

/// Makes the kernel drop a connection whose peer has acknowledged no data for this time, even if the peer is alive and
/// advertises no room (RFC 9293 §3.8.6.1).
#[cfg(target_os = "linux")]
fn drop_stalled(socket: impl AsFd, after: Duration) -> rustix::io::Result<()> {
    rustix::net::sockopt::set_tcp_user_timeout(socket, u32::try_from(after.as_millis()).unwrap_or(u32::MAX))
}

/// Makes the HTTP service of a circle.
pub(super) fn service(
    circle: Arc<Circle>,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = ServiceResponse<impl MessageBody + 'static>,
    Error = Error,
    InitError = (),
    Service: 'static,
    Future: 'static,
> {
    let app = App::new().wrap(protective_headers()).app_data(web::Data::from(circle)).configure(routes);
    map_config(app.into_factory(), |()| AppConfig::default())
}

/// The headers of every response that protect browsers: the declared type of a body is authoritative, and no page of
/// another origin may embed or frame it.
fn protective_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
}

fn routes(config: &mut web::ServiceConfig) {
    config.route("/healthz", web::get().to(health)).route("/healthz", web::head().to(health)).service(
        web::scope("")
            .wrap(from_fn(check_host))
            .route("/", web::get().to(root))
            .route("/", web::head().to(root))
            .route(CONSOLE_FILE, web::get().to(console::file))
            .route(CONSOLE_FILE, web::head().to(console::file))
            .route("/openrpc.json", web::get().to(contract))
            .route("/metrics", web::get().to(metrics))
            .default_service(web::to(|| async { text(StatusCode::NOT_FOUND, "not found".into()) })),
    );
}

async fn health(circle: web::Data<Circle>) -> HttpResponse {
    if circle.is_draining() {
        text(StatusCode::SERVICE_UNAVAILABLE, "draining".into())
    } else {
        text(StatusCode::OK, "ok".into())
    }
}

/// Returns the contract for anonymous callers.
async fn contract(circle: web::Data<Circle>) -> HttpResponse {
    let contract = circle.contract(None);
    let Some(contract) = contract else { return HttpResponse::InternalServerError().finish() };
    let body = Chunks::new(BoxBody::new(format!("{}\n", contract.get())));
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}

#[cfg(feature = "metrics")]
async fn metrics(circle: web::Data<Circle>) -> HttpResponse {
    HttpResponse::Ok().content_type(PROMETHEUS).body(circle.metrics.prometheus())
}

#[cfg(not(feature = "metrics"))]
async fn metrics() -> HttpResponse {
    text(StatusCode::NOT_FOUND, "no metrics: this server is built without the feature `metrics`".into())
}

async fn root(
    request: HttpRequest,
    circle: web::Data<Circle>,
    authority: web::ReqData<Authority>,
) -> Result<HttpResponse, Error> {
    let circle: &Arc<Circle> = &circle;
    let authority = authority.into_inner();
    // Only GET can upgrade (RFC 6455 §4.1).
    if request.method() != Method::GET || !request.headers().contains_key(header::UPGRADE) {
        let has_console = circle.settings.borrow().has_console;
        if has_console && console::is_page_request(&request) {
            return Ok(console::page(&request, &authority));
        }
        return Ok(greeting(circle, &authority, has_console));
    }
    match upgrade(&request, circle, authority).await {
        Ok(response) => Ok(response),
        Err(Refusal::Rejected(rejection)) => Ok(rejected(&rejection)),
        Err(Refusal::Failed(error)) => Err(error),
    }
}

/// Why a request is not upgraded.
enum Refusal {
    Rejected(Rejection),
    Failed(Error),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// Accepts the upgrade of a request. The slot of its socket then counts it as a WebSocket.
async fn upgrade(request: &HttpRequest, circle: &Arc<Circle>, authority: Authority) -> Result<HttpResponse, Refusal> {
    let values = |name: header::HeaderName| request.headers().get_all(name).map(header::HeaderValue::as_bytes);
    rejection::check_version(circle, values(header::SEC_WEBSOCKET_VERSION).next())?;
    rejection::check_origins(circle, &authority, values(header::ORIGIN))?;
    rejection::check_open(circle)?;
    // actix hands over only sockets with this header, and it also reads a body before.
    let is_upgradable = request.extensions().contains::<Upgradable>();
    let mut response = handshake::check(request)
        .and_then(|response| is_upgradable.then_some(response).ok_or_else(|| handshake::NO_UPGRADE.into()))
        .map_err(|reason| rejection::invalid_handshake(circle, &reason))?;
    // A stream of the program has the address that the program gave.
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let forwarded: Vec<_> = values(header::X_FORWARDED_FOR).collect();
    let address = client_address(peer, &forwarded, &circle.settings.borrow().trusted_proxies);
    let slot = request.conn_data::<Arc<Slot>>().cloned();
    let slot = slot.ok_or_else(|| Refusal::Failed(ErrorInternalServerError("no slot")))?;
    rejection::ask_program(circle, || ConnectionRequest {
        address,
        authority: authority.clone(),
        headers: to_http_headers(request.headers()),
    })
    .await?;
    rejection::upgrade_slot(circle, &slot, address)?;
    response.extensions_mut().insert(AcceptedUpgrade { address, authority });
    Ok(response)
}

/// Converts headers to the types that programs use.
pub(crate) fn to_http_headers(headers: &header::HeaderMap) -> http::HeaderMap {
    let convert = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, http::HeaderValue::from_bytes(value.as_bytes()).ok()?))
    };
    let mut converted = http::HeaderMap::new();
    for (name, value) in headers.iter().filter_map(convert) {
        converted.append(name, value);
    }
    converted
}

/// Returns the response to a refused client.
pub(crate) fn rejected(rejection: &Rejection) -> HttpResponse {
    let status = StatusCode::from_u16(rejection.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = text(status, format!("{}\n", rejection.reason));
    if status == StatusCode::UPGRADE_REQUIRED {
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, header::HeaderValue::from_static("13"));
    }
    response
}

/// Returns the response to a program that opens the address without a WebSocket.
fn greeting(circle: &Circle, authority: &Authority, has_console: bool) -> HttpResponse {
    let scheme = if circle.settings.borrow().tls.is_some() { "wss" } else { "ws" };
    let mut body = format!(
        "This is the circle '{}'. It speaks JSON-RPC 2.0 over a WebSocket at this same address:\n\
         circles repl {scheme}://{authority}/\nThe contract is at /openrpc.json.\n",
        circle.name
    );
    if has_console {
        body.push_str("A browser that opens this address shows a console.\n");
    }
    let mut response = text(StatusCode::OK, body);
    if has_console {
        // Browsers get the page at the same URL.
        response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept"));
    }
    response
}

/// Rejects requests for authorities that the circle does not answer to, so that no page and no other circle can
/// impersonate this one (DNS rebinding, or a nonce signed for another circle).
async fn check_host(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // A host in the request line takes precedence (RFC 9112 §3.2.2).
    let host = request.uri().authority().map_or(host, |authority| authority.as_str());
    let circle = request.app_data::<web::Data<Circle>>().cloned();
    let local = request.conn_data::<LocalAddress>().copied();
    let authority = Authority::from_host_header(host)
        .ok()
        .filter(|authority| circle.as_ref().is_some_and(|circle| is_own_authority(circle, local, authority)));
    let Some(authority) = authority else {
        let response = match &circle {
            Some(circle) => rejected(&rejection::unknown_host(circle, host)),
            None => HttpResponse::InternalServerError().finish(),
        };
        return Ok(request.into_response(response).map_into_right_body());
    };
    request.extensions_mut().insert(authority);
    Ok(next.call(request).await?.map_into_left_body())
}

fn is_own_authority(circle: &Circle, local: Option<LocalAddress>, authority: &Authority) -> bool {
    let default_port = {
        let settings = circle.settings.borrow();
        if settings.hosts.contains(authority) {
            return true;
        }
        if settings.tls.is_some() { DEFAULT_TLS_PORT } else { DEFAULT_PORT }
    };
    let Some(LocalAddress(address)) = local else { return false };
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let port = (address.port() != default_port).then_some(address.port());
    *authority == Authority::from_socket_addr(address, default_port)
        || address.ip().is_loopback()
            && circle.has_localhost.load(Ordering::Relaxed)
            && Authority::new("localhost", port).is_ok_and(|localhost| localhost == *authority)
}

pub(super) fn text(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status).content_type(ContentType::plaintext()).body(body)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{io::Write, net::TcpListener};

    use protocol::Limits;

    use super::*;
    use crate::{quota::Connections, transport::network_stream::NetworkStream};

    #[tokio::test]
    async fn stalled_socket_is_dropped() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (accepted, _) = listener.accept().await.expect("a client");
        let slot = Connections::new(&Limits::default(), true).accept(None).expect("room");
        let socket = RequestSocket::new(NetworkStream::Tcp(accepted), slot);
        let mut data = Extensions::new();
        on_connect(&socket, &mut data);
        assert!(data.contains::<LocalAddress>() && data.contains::<Arc<Slot>>());
        let timeout =
            rustix::net::sockopt::tcp_user_timeout(socket.tcp().expect("a TCP socket")).expect("a TCP socket");
        assert_eq!(Duration::from_millis(timeout.into()), STALL_TIMEOUT);
    }

    /// The test uses a shorter timeout than the 30 seconds of clients.
    #[test]
    fn client_that_does_not_read_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let _client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (mut accepted, _) = listener.accept().expect("a client");
        drop_stalled(&accepted, Duration::from_millis(300)).expect("a TCP socket");
        let error = std::iter::repeat_with(|| accepted.write_all(&[0; 4096])).find_map(Result::err).expect("an end");
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
}
