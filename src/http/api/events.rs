//! `/api/v1/events`: what happens, as server-sent events (WHATWG HTML §9.2).
//!
//! Whoever subscribes is told first how things are, then what changes; so is whoever missed something.
//! A comment every few seconds keeps proxies from closing what is quiet, and shows a client that has
//! gone.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};

use super::status::SourceReport;
use crate::events::{Event, Heard, SessionEvent, Subscription};
use crate::http::access::Access;
use crate::http::auth;
use crate::http::state::{Camera, HttpState};
use crate::webrtc::Holder;

const MIME: &str = "text/event-stream";

/// How often something is sent where nothing happens.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client waits before it connects again, in milliseconds.
const RETRY_MS: u32 = 3000;

/// `GET /api/v1/events`.
pub(in crate::http) async fn get(
    State(state): State<HttpState>,
    holder: Option<Extension<Holder>>,
    request: Request,
) -> Response {
    let is_owner = auth::authorize(&state.auth, Access::Owner, &request).is_ok();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(MIME)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // A proxy that collects what it passes on would tell the past (nginx).
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let mut subscriber = Subscriber {
        subscription: state.events.subscribe(),
        holder: holder.map(|Extension(holder)| holder),
        is_owner,
        state,
        ready: VecDeque::from([Bytes::from(format!("retry: {RETRY_MS}\n\n"))]),
    };
    subscriber.tell_all();
    let events = stream::unfold(subscriber, |mut subscriber| async {
        let next = subscriber.next().await?;
        Some((Ok::<_, std::convert::Infallible>(next), subscriber))
    });
    (headers, Body::from_stream(events)).into_response()
}

/// Somebody who listens.
struct Subscriber {
    subscription: Subscription,
    holder: Option<Holder>,
    is_owner: bool,
    state: HttpState,
    /// To be sent before anything new.
    ready: VecDeque<Bytes>,
}

impl Subscriber {
    /// The next piece; `None` when there are no more, or whoever listens may no longer watch.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let heard = tokio::time::timeout(KEEP_ALIVE, self.subscription.next()).await;
            if self.holder.is_some_and(|holder| !self.state.auth.admits(&holder)) {
                log::debug!("a stream of events ends: whoever asked for it may no longer watch");
                return None;
            }
            match heard {
                Err(_) => self.ready.push_back(Bytes::from_static(b":\n\n")),
                Ok(None) => return None,
                Ok(Some(Heard::Missed(_))) => self.tell_all(),
                Ok(Some(Heard::Event(event))) => self.ready.extend(self.told(event)),
            }
        }
    }

    /// How things are now.
    fn tell_all(&mut self) {
        for camera in &self.state.cameras {
            let source = camera.hub.source().borrow().clone();
            let viewers = self.state.webrtc.totals_of(&camera.name);
            self.ready.push_back(message(
                "source",
                &OfCamera { camera: &camera.name, what: SourceReport::new(source, self.is_owner) },
            ));
            self.ready.push_back(viewers_message(
                camera,
                (viewers.connected, viewers.connecting),
                self.state.mjpeg_viewers(camera),
            ));
        }
    }

    /// An event as whoever listens is to see it, if at all.
    fn told(&self, event: Event) -> Option<Bytes> {
        Some(match event {
            Event::Source { camera, state } => {
                let what = SourceReport::new(state, self.is_owner);
                message("source", &OfCamera { camera: &camera, what })
            }
            Event::Viewers { camera, connected, connecting } => {
                let camera = self.state.camera(&camera).ok()?;
                let mjpeg = self.state.mjpeg_viewers(camera);
                viewers_message(camera, (connected, connecting), mjpeg)
            }
            Event::MjpegViewers { camera, watching } => {
                let camera = self.state.camera(&camera).ok()?;
                let viewers = self.state.webrtc.totals_of(&camera.name);
                viewers_message(camera, (viewers.connected, viewers.connecting), watching)
            }
            Event::Session(session) => {
                // A session's name is for its holder, and for the owner.
                let own = self.holder.is_some_and(|holder| holder.may_change(&session.holder));
                if !own && !self.is_owner {
                    return None;
                }
                let SessionEvent { id, camera, connection_state, .. } = session;
                let state = json!({ "id": id, "connectionState": connection_state });
                message("session", &OfCamera { camera: &camera, what: state })
            }
            Event::Controls { camera } => {
                message("controls", &OfCamera { camera: &camera, what: json!({}) })
            }
            Event::Button(press) if self.is_owner => message("button", &json!({ "press": press })),
            Event::Update if self.is_owner => message("update", &json!({})),
            Event::Device if self.is_owner => message("device", &json!({})),
            Event::Button(_) | Event::Update | Event::Device => return None,
        })
    }
}

#[derive(Serialize)]
struct OfCamera<'a, T> {
    camera: &'a str,
    #[serde(flatten)]
    what: T,
}

fn viewers_message(
    camera: &Camera,
    (connected, connecting): (usize, usize),
    mjpeg: usize,
) -> Bytes {
    let what: Value = json!({ "connected": connected, "connecting": connecting, "mjpeg": mjpeg });
    message("viewers", &OfCamera { camera: &camera.name, what })
}

/// One event. JSON has no line breaks in it.
fn message(event: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".into());
    format!("event: {event}\ndata: {data}\n\n").into()
}
