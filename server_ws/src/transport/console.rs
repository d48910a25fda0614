//! The web console: its page at `/`, and the files of the page below `/console`. The program embeds all of them.

mod files;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::BoxBody,
    http::{
        StatusCode,
        header::{
            self, Accept, AcceptEncoding, ContentEncoding, ETag, Encoding, EntityTag, Header, IfNoneMatch, Preference,
            Quality,
        },
    },
    mime, web,
};
use bytes::Bytes;
use keys::Authority;

use super::{chunks::Chunks, http::text};
use crate::circle::Circle;

/// The page has to be checked with each load, because the URLs in it change with its files.
const REVALIDATE: &str = "no-cache";

/// The URL of a file changes with its content.
const KEEP: &str = "max-age=31536000, immutable";

/// The features of the browser that the console does not use, and the clipboard, to which it may write. Browsers report
/// names that they do not know as errors in their consoles, so only names that all systems have are here.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(self), \
    display-capture=(), encrypted-media=(), fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), \
    idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
    publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), \
    storage-access=(), sync-xhr=(), usb=(), window-management=(), xr-spatial-tracking=()";

/// Whether the client is a browser that opens the address, not a program such as curl.
pub(super) fn is_page_request(request: &HttpRequest) -> bool {
    Accept::parse(request)
        .is_ok_and(|accept| accept.0.iter().any(|item| item.item == mime::TEXT_HTML && item.quality > Quality::ZERO))
}

/// Returns the response with the page, for a client that dialled `authority`.
pub(super) fn page(request: &HttpRequest, authority: &Authority) -> HttpResponse {
    let tag = EntityTag::new_strong(files::HASH.into());
    let is_cached = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|cached| cached.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = guarded(if is_cached { StatusCode::NOT_MODIFIED } else { StatusCode::OK }, authority);
    response.insert_header(ETag(tag)).insert_header((header::CACHE_CONTROL, REVALIDATE));
    // Other clients get a text at the same URL.
    response.insert_header((header::VARY, "accept"));
    if is_cached {
        return response.finish();
    }
    response.content_type(mime::TEXT_HTML_UTF_8).body(Chunks::new(BoxBody::new(files::INDEX)))
}

/// Returns the response to a request for a file of the page.
pub(super) async fn file(
    request: HttpRequest,
    circle: web::Data<Circle>,
    authority: web::ReqData<Authority>,
) -> HttpResponse {
    let path = request.match_info();
    let found = path.get("hash").zip(path.get("file")).and_then(|(hash, name)| files::find(hash, name));
    let Some(file) = found.filter(|_| circle.settings.borrow().has_console) else {
        let mut response = text(StatusCode::NOT_FOUND, "not found\n".into());
        // After an upgrade, the same URL may be a file.
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        return response;
    };
    if !accepts_gzip(&request) {
        let body = "this file is compressed: accept gzip (curl --compressed)\n";
        let mut response = text(StatusCode::NOT_ACCEPTABLE, body.into());
        response.headers_mut().insert(header::VARY, header::HeaderValue::from_static("accept-encoding"));
        return response;
    }
    guarded(StatusCode::OK, &authority)
        .insert_header((header::CONTENT_TYPE, file.content_type))
        .insert_header(ContentEncoding::Gzip)
        .insert_header((header::CACHE_CONTROL, KEEP))
        .insert_header((header::VARY, "accept-encoding"))
        // The bytes are those of the program, not a copy for each client.
        .body(Chunks::new(BoxBody::new(Bytes::from_static(file.gzip))))
}

/// Whether the client accepts gzip. Without the header, it accepts any encoding (RFC 9110 §12.5.3).
fn accepts_gzip(request: &HttpRequest) -> bool {
    if !request.headers().contains_key(header::ACCEPT_ENCODING) {
        return true;
    }
    let Ok(AcceptEncoding(accepted)) = AcceptEncoding::parse(request) else { return false };
    let quality = |wanted: Preference<Encoding>| {
        accepted.iter().find(|accepted| accepted.item == wanted).map(|accepted| accepted.quality)
    };
    let gzip = quality(Preference::Specific(Encoding::gzip())).or_else(|| quality(Preference::Any));
    gzip.is_some_and(|quality| quality > Quality::ZERO)
}

/// Begins a response with the headers that confine the page: it loads its own files only, connects to its own circle
/// only, and no other page can open it to control it. A worker of the page gets its policy from its own file.
fn guarded(status: StatusCode, authority: &Authority) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, content_security_policy(authority)))
        .insert_header((header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header((header::PERMISSIONS_POLICY, PERMISSIONS));
    response
}

fn content_security_policy(authority: &Authority) -> String {
    let authority = authority.as_str();
    // The grammar of a policy has no IPv6 addresses, and another character could end the directive. Browsers that
    // implement CSP 3 count the WebSocket of the same origin as 'self'; others need the URL.
    let is_source = authority.chars().all(|character| character.is_ascii_alphanumeric() || "-.:_".contains(character));
    let sockets = if is_source { format!(" ws://{authority} wss://{authority}") } else { String::new() };
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'{sockets}; worker-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(name: &header::HeaderName, values: &[&str]) -> HttpRequest {
        let request =
            values.iter().fold(TestRequest::default(), |request, value| request.append_header((name.clone(), *value)));
        request.to_http_request()
    }

    #[test]
    fn page_is_for_clients_that_accept_html() {
        let is_page = |values: &[&str]| is_page_request(&request(&header::ACCEPT, values));
        assert!(is_page(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]));
        assert!(is_page(&["TEXT/HTML;q=0.1"]) && is_page(&["x, text/html"]) && is_page(&["image/png", "text/html"]));
        for values in [&[][..], &["*/*"], &["text/*"], &["text/html;q=0"], &["application/json"], &[""], &["\u{e4}"]] {
            assert!(!is_page(values), "{values:?}");
        }
    }

    #[test]
    fn gzip_is_accepted_unless_refused() {
        let accepts = |values: &[&str]| accepts_gzip(&request(&header::ACCEPT_ENCODING, values));
        for values in
            [&[][..], &["gzip, deflate, br, zstd"], &["br", "gzip"], &["*"], &["br;q=1, gzip;q=0.1"], &["GZIP"]]
        {
            assert!(accepts(values), "{values:?}");
        }
        for values in [&["identity"][..], &["br"], &["gzip;q=0"], &["*;q=0"], &["gzip;q=0, *"], &[""]] {
            assert!(!accepts(values), "{values:?}");
        }
    }

    #[test]
    fn policy_names_the_dialled_authority_only_if_it_can() {
        let policy = |host: &str| content_security_policy(&Authority::from_host_header(host).expect("an authority"));
        assert!(
            policy("Team.example:9001").contains("connect-src 'self' ws://team.example:9001 wss://team.example:9001;")
        );
        for host in ["[::1]:9001", "a;script-src", "a'b", "a,b"] {
            assert!(policy(host).contains("connect-src 'self'; worker-src"), "{host}");
        }
    }
}
