//! `/snapshot.jpg`: the picture as it is now.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::problem::Problem;

/// How long a picture may take: a camera that was off is opened for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Makes still pictures.
pub trait Snapshotter: Send + Sync {
    /// A JPEG of the picture as it is now. Starts the camera if it is off.
    fn jpeg(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, NoPicture>> + Send + '_>>;
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no picture: {0}")]
pub struct NoPicture(pub String);

/// `GET /snapshot.jpg`.
pub(super) async fn get(
    State(state): State<HttpState>,
    method: Method,
) -> Result<Response, Problem> {
    let none =
        |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(PATIENCE);
    let Some(snapshots) = &state.snapshots else {
        return Err(Problem::not_found("this camera makes no still pictures"));
    };
    let jpeg = HeaderValue::from_static("image/jpeg");
    // Asking what would come is no reason to start the camera.
    if method == Method::HEAD {
        return Ok([(CONTENT_TYPE, jpeg)].into_response());
    }
    match tokio::time::timeout(PATIENCE, snapshots.jpeg()).await {
        Ok(Ok(picture)) => Ok(([(CONTENT_TYPE, jpeg)], Body::from(picture)).into_response()),
        Ok(Err(why)) => Err(none(why.to_string())),
        Err(_) => Err(none("there is no picture yet; the camera is starting".into())),
    }
}
