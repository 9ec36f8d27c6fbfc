//! `/snapshot.jpg`: the picture as it is now.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::camera::{AskedCamera, named_after};
use crate::http::path::PathParam;
use crate::http::problem::Problem;
use crate::http::state::{Camera, HttpState};
use crate::hub::SourceState;
use crate::stills::{Still, Wish};

/// How long a picture may take from a camera that is on. One that is lost is noticed within two
/// seconds, and its placeholder is a picture.
const PICTURE_TIMEOUT: Duration = Duration::from_secs(5);

/// When a client should try again.
const RETRY_IN: Duration = Duration::from_secs(3);

/// How long a camera that is off may take to be opened, beside what it is given to settle.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// `GET /snapshot.jpg`.
pub(in crate::http) async fn get(
    State(state): State<HttpState>,
    camera: AskedCamera,
    method: Method,
) -> Result<Response, Problem> {
    respond(&state, camera, method).await
}

/// `GET /snapshot/{camera}.jpg`.
pub(in crate::http) async fn get_named(
    State(state): State<HttpState>,
    PathParam(file): PathParam,
    method: Method,
) -> Result<Response, Problem> {
    respond(&state, named_after(&file, ".jpg", &state)?, method).await
}

pub(super) async fn respond(
    state: &HttpState,
    AskedCamera(camera): AskedCamera,
    method: Method,
) -> Result<Response, Problem> {
    let camera = state.camera(&camera)?;
    let jpeg = HeaderValue::from_static("image/jpeg");
    // Asking what would come is no reason to start the camera.
    if method == Method::HEAD && camera.snapshots.is_some() {
        return Ok([(CONTENT_TYPE, jpeg)].into_response());
    }
    // Asking again and again costs no more than watching by MJPEG.
    let wish = Wish { after: 0, age: state.settings.mjpeg.interval(None) };
    let still = first_picture(camera, wish).await?;
    Ok(([(CONTENT_TYPE, jpeg)], Body::from(still.jpeg)).into_response())
}

/// A picture, for which the camera may have to be started.
pub(super) async fn first_picture(camera: &Camera, wish: Wish) -> Result<Still, Problem> {
    let none =
        |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(RETRY_IN);
    let Some(snapshots) = &camera.snapshots else {
        return Err(Problem::not_found("this camera makes no still pictures"));
    };
    let settle = camera.settle;
    let off = matches!(*camera.hub.source().borrow(), SourceState::Idle | SourceState::Starting);
    let timeout = if off { START_TIMEOUT + settle } else { PICTURE_TIMEOUT };
    match tokio::time::timeout(timeout, snapshots.still(wish)).await {
        Ok(Ok(still)) => Ok(still),
        Ok(Err(why)) => Err(none(why.to_string())),
        Err(_) if !off => Err(none("there is no picture yet".into())),
        Err(_) if settle.is_zero() => Err(none(format!(
            "there is no picture yet; the camera has been starting for {} s",
            timeout.as_secs()
        ))),
        Err(_) => Err(none(format!(
            "there is no picture yet; the camera has been starting for {} s, {} s of which \
             camera.time_delay gives it to settle",
            timeout.as_secs_f64(),
            settle.as_secs_f64()
        ))),
    }
}
