//! The addresses of mjpg-streamer, which programs for 3D printers and homes ask for: `/?action=stream`
//! and `/?action=snapshot`, and both below `/webcam/`, where OctoPrint's and Mainsail's web servers
//! have it and some pass the path on.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;

use super::address::{Action, action};
use super::{mjpeg, snapshot};
use crate::http::camera::AskedCamera;
use crate::http::pages;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// `GET /`: the player, unless there is an `action`.
pub(in crate::http) async fn index(
    State(state): State<HttpState>,
    request: Request,
) -> Result<Response, Problem> {
    match action(request.uri()) {
        None => pages::index(State(state), request).await,
        Some(action) => serve_action(state, action, &request.into_parts().0).await,
    }
}

/// `GET /webcam/`.
pub(in crate::http) async fn webcam(
    State(state): State<HttpState>,
    request: Parts,
) -> Result<Response, Problem> {
    let action = action(&request.uri).unwrap_or(Action::Other);
    serve_action(state, action, &request).await
}

async fn serve_action(
    state: HttpState,
    action: Action,
    request: &Parts,
) -> Result<Response, Problem> {
    let camera = AskedCamera::of(&request.uri, &state)?;
    match action {
        Action::Stream => mjpeg::multipart(state, camera, request, None).await,
        Action::Snapshot => snapshot::respond(&state, camera, request.method.clone()).await,
        Action::Other => Err(Problem::not_found(
            "there is nothing at this address; there are ?action=stream and ?action=snapshot",
        )),
    }
}
