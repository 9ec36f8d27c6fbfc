//! Behind the reverse proxies that people use, in a real browser: HTTPS ends there.

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use common::browser::Browser;
use common::client::{Reply, read_to_end};
use common::daemon::{Daemon, PATIENCE};
use common::proxy::{NAME, Proxy, Tls, browser};
use serde_json::Value;

const PASSWORD: &str = "correct horse";
const LIVE: &str = "document.body.dataset.state === 'live'";
const ALLOWED: &str = "http.allowed_hosts=[\"cam.example\"]";
const TRUSTED: &str = "http.trusted_proxies=[\"127.0.0.1\"]";

/// A camera that wants a password.
fn camera(settings: &[&str]) -> Daemon {
    let password = format!("auth.password={PASSWORD}");
    Daemon::start(&[&[password.as_str()], settings].concat())
}

/// Signs in at the page, and waits for its picture.
fn watch(browser: &Browser, url: &str) {
    browser.open(url);
    browser.fill("#password", PASSWORD);
    browser.click("button[type=submit]");
    browser.wait_for("the picture", LIVE);
    browser.wait_for(
        "pictures that are decoded",
        "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > 5",
    );
}

/// The cookie that signs the browser in. The only other one says that it has signed in before, and
/// goes the same ways.
fn cookie(browser: &Browser) -> Value {
    let (others, own): (Vec<Value>, Vec<Value>) = browser
        .cookies()
        .into_iter()
        .partition(|c| c["name"].as_str().is_some_and(|name| name.contains("browser")));
    assert_eq!((own.len(), others.len()), (1, 1), "{own:?} {others:?}");
    for what in ["path", "secure", "httpOnly"] {
        assert_eq!(own[0][what], others[0][what], "{own:?} {others:?}");
    }
    own[0].clone()
}

/// Goes through a session by WHEP as a page of the camera's own, and ends it by its `Location`.
const WHEP: &str = "(async () => {
    const peer = new RTCPeerConnection();
    peer.addTransceiver('video', { direction: 'recvonly' });
    await peer.setLocalDescription();
    const answer = await fetch('whep', {
        method: 'POST',
        headers: { 'Content-Type': 'application/sdp' },
        body: peer.localDescription.sdp,
    });
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
    const session = new URL(answer.headers.get('Location'), answer.url);
    const there = await fetch(session);
    const gone = await fetch(session, { method: 'DELETE' });
    peer.close();
    return [answer.status, there.status, gone.status].join();
})()";

/// Everything that a person does at the camera's page.
fn all_works(proxy: &Proxy, path: &str) {
    let browser = browser();
    let page = proxy.url(path);
    watch(&browser, &page);
    assert_eq!(browser.js("return location.href"), page);
    let cookie = cookie(&browser);
    assert_eq!(cookie["name"], format!("picket-{}", proxy.port));
    assert_eq!(cookie["secure"], true, "{cookie}");
    assert_eq!(cookie["httpOnly"], true, "{cookie}");
    assert_eq!(browser.js_await(WHEP), "201,204,200");
}

const TO: &str = "proxy_pass http://";

#[test]
fn nginx_with_https_and_the_cameras_name_works() {
    let camera = camera(&[ALLOWED]);
    let location = format!("location / {{ {TO}{}; proxy_set_header Host $host; }}", camera.http);
    all_works(&Proxy::nginx(Tls::Yes, &location), "/");
}

#[test]
fn nginx_as_it_comes_works() {
    let camera = camera(&[]);
    let location = format!("location / {{ {TO}{}; }}", camera.http);
    all_works(&Proxy::nginx(Tls::Yes, &location), "/");
}

#[test]
fn nginx_that_is_trusted_works() {
    let camera = camera(&[ALLOWED, TRUSTED]);
    let location = format!(
        "location / {{ {TO}{};
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
             proxy_set_header X-Forwarded-Proto $scheme;
             proxy_set_header X-Forwarded-Host $http_host; }}",
        camera.http
    );
    all_works(&Proxy::nginx(Tls::Yes, &location), "/");
}

#[test]
fn caddy_as_it_comes_works() {
    for settings in [&[ALLOWED][..], &[ALLOWED, TRUSTED]] {
        let camera = camera(settings);
        all_works(&Proxy::caddy(&format!("reverse_proxy {}", camera.http)), "/");
    }
}

#[test]
fn below_a_path_of_the_proxy_everything_works() {
    let allowed = camera(&[ALLOWED]);
    let trusted = camera(&[ALLOWED, TRUSTED]);
    let unprefixed = format!("{TO}{}/; proxy_set_header Host $host;", allowed.http);
    let prefixed = format!(
        "{TO}{}/; proxy_set_header Host $host; proxy_set_header X-Forwarded-Prefix /camera;
             proxy_set_header X-Forwarded-For $remote_addr;",
        trusted.http
    );
    // As Home Assistant shows an add-on.
    let ingress = format!(
        "{TO}{}/; proxy_set_header Host $host; proxy_set_header X-Ingress-Path /camera;
             proxy_set_header X-Forwarded-For $remote_addr;",
        trusted.http
    );
    for (location, path) in [(unprefixed, "/"), (prefixed, "/camera/"), (ingress, "/camera/")] {
        let proxy = Proxy::nginx(Tls::Yes, &format!("location /camera/ {{ {location} }}"));
        let browser = browser();
        let page = proxy.url("/camera/");
        watch(&browser, &page);
        assert_eq!(browser.js("return location.href"), page);
        assert_eq!(cookie(&browser)["path"], path);
        assert_eq!(browser.js_await(WHEP), "201,204,200");
        for door in ["whep/main", "offer"] {
            assert_eq!(browser.js_await(&session_by(door)), 204, "{door}");
        }
        // A page that is not there looks like one of ours, however deep it would be.
        browser.open(&proxy.url("/camera/no/such/page"));
        assert_eq!(browser.text("h1"), "There is nothing here");
        let styled = "[...document.styleSheets].some(({ cssRules }) => cssRules.length > 10)";
        browser.wait_for("its look", styled);
        browser.click("a.button");
        browser.wait_for("the picture", LIVE);
        assert_eq!(browser.js("return location.href"), page);
        // Who is not signed in comes back to where they were going.
        browser.js_await("fetch('logout', { method: 'POST' }).then(({ url }) => url)");
        browser.open(&proxy.url("/camera/no/such/page"));
        browser.wait_for("its look", styled);
        browser.fill("#password", "wrong horse");
        browser.click("button[type=submit]");
        assert_eq!(browser.text("#message"), "That is not the password.");
        browser.fill("#password", PASSWORD);
        browser.click("button[type=submit]");
        browser.wait_for("the picture", LIVE);
    }
}

/// Opens a session by a door, and asks for it at the address that the answer gives.
fn session_by(door: &str) -> String {
    format!(
        "(async () => {{
            const peer = new RTCPeerConnection();
            peer.addTransceiver('video', {{ direction: 'recvonly' }});
            await peer.setLocalDescription();
            const offer = peer.localDescription;
            const json = '{door}' === 'offer';
            const answer = await fetch('{door}', {{
                method: 'POST',
                headers: {{ 'Content-Type': json ? 'application/json' : 'application/sdp' }},
                body: json ? JSON.stringify(offer) : offer.sdp,
            }});
            const at = json ? (await answer.json()).resource : answer.headers.get('Location');
            peer.close();
            return (await fetch(new URL(at, answer.url))).status;
        }})()"
    )
}

#[test]
fn a_page_of_the_owners_plays_however_deep_it_is() {
    let camera = camera(&["http.pages={\"/a/b\" = \"index.html\"}"]);
    let proxy = Proxy::nginx(Tls::Yes, &format!("location /camera/ {{ {TO}{}/; }}", camera.http));
    let browser = browser();
    for url in [camera.url("/a/b"), proxy.url("/camera/a/b")] {
        watch(&browser, &url);
        assert_eq!(browser.js("return location.href"), url);
    }
}

#[test]
fn a_page_whose_script_does_not_come_says_so() {
    let camera = Daemon::start(&[]);
    let location =
        format!("location / {{ {TO}{}; }} location /static/js/ {{ return 403; }}", camera.http);
    let proxy = Proxy::nginx(Tls::Yes, &location);
    let browser = browser();
    // The proxy looks like this machine's own program.
    browser.open(&proxy.url("/"));
    browser.wait_for(
        "it to be said",
        "getComputedStyle(document.querySelector('.unstarted')).visibility === 'visible'",
    );
    let said = browser.text(".unstarted");
    assert!(said.contains("script") && said.contains("proxy"), "{said}");
    browser.open(&camera.url("/"));
    browser.wait_for("the picture", LIVE);
    assert_eq!(browser.text(".unstarted"), "");
}

/// Tries a password from one of this machine's many addresses.
fn sign_in(proxy: &Proxy, from: &str, headers: &str, password: &str) -> Reply {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let stream = runtime.expect("a runtime").block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        let from: SocketAddr = format!("{from}:0").parse().expect("an address");
        socket.bind(from).expect("an address of this machine's");
        let stream = socket.connect(proxy.address()).await.expect("connected");
        stream.into_std().expect("a stream")
    });
    stream.set_nonblocking(false).expect("blocking");
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid timeout");
    let mut stream: TcpStream = stream;
    let body = format!("{{\"password\": \"{password}\"}}");
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    Reply::parse(&read_to_end(&mut stream))
}

#[test]
fn guessers_behind_a_trusted_proxy_are_told_apart_whatever_they_claim() {
    let camera = camera(&[ALLOWED, TRUSTED]);
    let location = format!(
        "location / {{ {TO}{}; proxy_set_header Host $host;
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}",
        camera.http
    );
    let proxy = Proxy::nginx(Tls::No, &location);
    for i in 0..10 {
        let claim = format!("X-Forwarded-For: 192.0.2.{i}\r\nForwarded: for=127.0.0.2\r\n");
        let reply = sign_in(&proxy, "127.0.0.2", &claim, "a guess");
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    camera.wait_for_log("somebody at 127.0.0.2 tried");
    let claim = "X-Forwarded-For: 192.0.2.99\r\n";
    assert_eq!(sign_in(&proxy, "127.0.0.2", claim, PASSWORD).status, 429);
    assert_eq!(sign_in(&proxy, "127.0.0.3", "", PASSWORD).status, 204);
}
