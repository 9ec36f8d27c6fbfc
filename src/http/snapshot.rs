//! `/snapshot.jpg`: the picture as it is now.

use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::problem::Problem;
use crate::hub::SourceState;
use crate::stills::{NoPicture, Still, Stills, Wish};

/// How long a picture may take from a camera that is on. One that is lost is noticed within two
/// seconds, and its card is a picture.
const PATIENCE: Duration = Duration::from_secs(5);

/// When to try again.
const AGAIN: Duration = Duration::from_secs(3);

/// How long a camera that is off may take to be opened, beside what it is given to settle.
const STARTING: Duration = Duration::from_secs(10);

/// Makes still pictures.
pub trait Snapshotter: Send + Sync {
    /// A JPEG of the picture as it is now. Starts the camera if it is off.
    fn still(
        &self,
        wish: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<Still, NoPicture>> + Send + '_>>;
}

impl Snapshotter for Stills {
    fn still(
        &self,
        wish: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<Still, NoPicture>> + Send + '_>> {
        Box::pin(self.get(wish))
    }
}

/// `GET /snapshot.jpg`.
pub(super) async fn get(
    State(state): State<HttpState>,
    method: Method,
) -> Result<Response, Problem> {
    let jpeg = HeaderValue::from_static("image/jpeg");
    // Asking what would come is no reason to start the camera.
    if method == Method::HEAD && state.snapshots.is_some() {
        return Ok([(CONTENT_TYPE, jpeg)].into_response());
    }
    // Who asks again and again costs no more than who watches by MJPEG.
    let wish = Wish { after: 0, age: state.settings.mjpeg.interval(None) };
    let still = first(&state, wish).await?;
    Ok(([(CONTENT_TYPE, jpeg)], Body::from(still.jpeg)).into_response())
}

/// A picture, for which the camera may have to be started.
pub(super) async fn first(state: &HttpState, wish: Wish) -> Result<Still, Problem> {
    let none = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(AGAIN);
    let Some(snapshots) = &state.snapshots else {
        return Err(Problem::not_found("this camera makes no still pictures"));
    };
    let settle = state.settings.settle;
    let off = matches!(*state.hub.source().borrow(), SourceState::Idle | SourceState::Starting);
    let patience = if off { STARTING + settle } else { PATIENCE };
    match tokio::time::timeout(patience, snapshots.still(wish)).await {
        Ok(Ok(still)) => Ok(still),
        Ok(Err(why)) => Err(none(why.to_string())),
        Err(_) if !off => Err(none("there is no picture yet".into())),
        Err(_) if settle.is_zero() => Err(none(format!(
            "there is no picture yet; the camera has been starting for {} s",
            patience.as_secs()
        ))),
        Err(_) => Err(none(format!(
            "there is no picture yet; the camera has been starting for {} s, {} s of which \
             camera.time_delay gives it to settle",
            patience.as_secs_f64(),
            settle.as_secs_f64()
        ))),
    }
}
