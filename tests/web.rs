//! The web console of a circle: its page, its files and its setting.

mod https;
mod limits;
mod settings;

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::{
    http::{Response, own, request},
    process::ServeProcess,
};

/// The built console in this repository.
const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/dist");

/// Headers of a browser that opens an address.
const BROWSER: &str = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    accept-encoding: gzip, deflate, br, zstd\r\n";

/// Requests a path as a browser does.
fn browse(server: &ServeProcess, path: &str) -> Response {
    request(server.authority(), "GET", path, &format!("{}{BROWSER}", own(server)))
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).expect("UTF-8")
}

/// The paths of the files to which the page refers, as a browser resolves them.
fn file_paths(page: &str) -> Vec<String> {
    let urls: Vec<_> = page.split('"').skip(1).step_by(2).filter(|url| url.starts_with("console/")).collect();
    assert!(!urls.is_empty(), "{page}");
    urls.into_iter().map(|url| format!("/{url}")).collect()
}

/// The directory of the files, with the slash at its end.
fn directory(server: &ServeProcess) -> String {
    let page = browse(server, "/");
    let path = file_paths(text(&page)).swap_remove(0);
    path[..=path.rfind('/').expect("a directory")].to_owned()
}

/// The names of the console's files, without the page.
fn file_names() -> BTreeSet<String> {
    let entries = std::fs::read_dir(DIST).expect("the console is built");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    names.filter(|name| name != "index.html").collect()
}

fn unzip(compressed: &[u8]) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is gzip");
    let (mut stdin, compressed) = (gzip.stdin.take().expect("piped"), compressed.to_vec());
    // In a thread, because the output may fill its pipe first.
    let writer = std::thread::spawn(move || stdin.write_all(&compressed));
    let output = gzip.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it takes all of it");
    assert!(output.status.success());
    output.stdout
}

#[test]
fn page_is_for_browsers_and_text_for_other_programs() {
    let server = ServeProcess::start(&["--name", "team"]);
    let page = browse(&server, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(text(&page).starts_with("<!doctype html>") && text(&page).contains("circles"), "{page:?}");
    for headers in ["", "accept: */*\r\n", "accept: application/json\r\n"] {
        let greeting = request(server.authority(), "GET", "/", &format!("{}{headers}", own(&server)));
        assert_eq!(greeting.header("content-type"), Some("text/plain; charset=utf-8"));
        let command = format!("circles repl ws://{}/\n", server.authority());
        assert!(text(&greeting).contains(&command) && text(&greeting).contains("browser"), "{greeting:?}");
        assert_eq!((greeting.header("vary"), page.header("vary")), (Some("accept"), Some("accept")));
    }
}

#[test]
fn page_and_its_files_are_confined_by_their_headers() {
    let server = ServeProcess::start(&["--hosts", "circles.example"]);
    let directory = directory(&server);
    let (own, localhost) = (server.authority(), format!("localhost:{}", server.port()));
    for authority in [own, &localhost, "circles.example"] {
        let policy = format!(
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self' ws://{authority} wss://{authority}; worker-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        );
        for path in ["/".to_owned(), format!("{directory}app.js"), format!("{directory}worker.js")] {
            let response = request(own, "GET", &path, &format!("host: {authority}\r\n{BROWSER}"));
            for (name, value) in [
                ("content-security-policy", &*policy),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(response.header(name), Some(value), "{path}");
            }
            let permissions = response.header("permissions-policy").expect("a policy");
            let allowed: Vec<_> = permissions.split(", ").filter(|feature| !feature.ends_with("=()")).collect();
            assert_eq!(allowed, ["clipboard-write=(self)"]);
        }
    }
}

#[test]
fn page_is_checked_with_each_load() {
    let server = ServeProcess::open();
    let page = browse(&server, "/");
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let tag = page.header("etag").expect("a tag");
    let load = |cached: &str| {
        let headers = format!("{}{BROWSER}if-none-match: {cached}\r\n", own(&server));
        request(server.authority(), "GET", "/", &headers)
    };
    for cached in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
        let again = load(&cached);
        assert!(again.status == 304 && again.body.is_empty(), "{cached}: {again:?}");
        assert_eq!((again.header("etag"), again.header("cache-control")), (Some(tag), Some("no-cache")));
        // Browsers apply the headers of this response to the page that they have.
        assert_eq!(again.header("content-security-policy"), page.header("content-security-policy"));
    }
    for cached in ["\"other\"", "x", ""] {
        assert_eq!(load(cached).status, 200, "{cached}");
    }
}

#[test]
fn files_of_the_page_are_served_compressed_and_kept() {
    let server = ServeProcess::open();
    let page = browse(&server, "/");
    let directory = directory(&server);
    let built = file_names();
    for path in file_paths(text(&page)) {
        let name = path.strip_prefix(&directory).expect("one directory");
        assert!(built.contains(name), "{path}");
    }
    for name in built {
        let file = browse(&server, &format!("{directory}{name}"));
        assert_eq!((file.status, file.header("content-encoding")), (200, Some("gzip")), "{name}");
        assert_eq!(file.header("cache-control"), Some("max-age=31536000, immutable"));
        let content_type = match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("wasm") => "application/wasm",
            Some("svg") => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(file.header("content-type"), Some(content_type), "{name}");
        assert_eq!(file.header("content-length"), Some(&*file.body.len().to_string()));
        assert_eq!(unzip(&file.body), std::fs::read(Path::new(DIST).join(&name)).expect("it is built"), "{name}");
    }
}

#[test]
fn file_is_compressed_for_every_client_and_refused_without_gzip() {
    let server = ServeProcess::open();
    let path = format!("{}app.js", directory(&server));
    let get = |headers: &str| request(server.authority(), "GET", &path, &format!("{}{headers}", own(&server)));
    // Without the header, a client accepts any encoding (RFC 9110 §12.5.3).
    assert_eq!(get("").header("content-encoding"), Some("gzip"));
    for headers in ["accept-encoding: identity\r\n", "accept-encoding: br, gzip;q=0\r\n"] {
        let refused = get(headers);
        assert!(refused.status == 406 && text(&refused).contains("accept gzip"), "{refused:?}");
        assert_eq!(refused.header("vary"), Some("accept-encoding"));
    }
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = ServeProcess::open();
    let headers = format!("{}{BROWSER}", own(&server));
    let without_date = |head: &str| {
        head.lines().skip(1).filter(|line| !line.starts_with("date:")).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    for path in ["/".to_owned(), format!("{}app.js", directory(&server))] {
        let [get, head] = ["GET", "HEAD"].map(|method| request(server.authority(), method, &path, &headers));
        assert!(head.status == 200 && head.body.is_empty() && !get.body.is_empty(), "{path}");
        assert_eq!(without_date(&head.head), without_date(&get.head));
    }
    let greeting = request(server.authority(), "HEAD", "/", &own(&server));
    assert!(greeting.status == 200 && greeting.body.is_empty(), "{greeting:?}");
}

#[test]
fn other_paths_below_console_are_not_found() {
    let server = ServeProcess::open();
    let directory = directory(&server);
    for path in [
        "/console",
        "/console/",
        "/console/app.js",
        "/console/0000000000000000/app.js",
        &*directory,
        &format!("{directory}index.html"),
        &format!("{directory}app.js/"),
        &format!("{directory}APP.JS"),
        &format!("{directory}../app.js"),
        &format!("{directory}..%2f..%2fCargo.toml"),
        &format!("{directory}%2e%2e/%2e%2e/etc/passwd"),
        &format!("{directory}app.js%00"),
        &format!("{directory}%ff"),
        "/console/../../etc/passwd",
        "/console/%2e%2e/%2e%2e/etc/passwd",
        "//console/x/app.js",
    ] {
        let response = browse(&server, path);
        assert_eq!((response.status, text(&response).trim_end()), (404, "not found"), "{path}");
    }
    assert_eq!(browse(&server, &format!("{directory}app.css?v=1")).status, 200);
    let posted = request(server.authority(), "POST", &format!("{directory}app.js"), &own(&server));
    assert_eq!(posted.status, 404);
}

#[test]
fn foreign_host_gets_no_page_and_no_file() {
    let server = ServeProcess::open();
    let path = format!("{}app.js", directory(&server));
    for path in ["/", &path] {
        for host in ["evil.example", "", "127.0.0.1"] {
            let response = request(server.authority(), "GET", path, &format!("host: {host}\r\n{BROWSER}"));
            assert!(response.status == 421 && text(&response).contains("`hosts`"), "{path} {host}: {response:?}");
            assert_eq!(response.header("content-security-policy"), None);
        }
    }
    let forged = format!("{}{BROWSER}x-forwarded-host: evil.example\r\norigin: http://evil.example\r\n", own(&server));
    let page = request(server.authority(), "GET", "/", &forged);
    assert!(page.status == 200 && !page.head.contains("evil.example"), "{page:?}");
}
