//! Routes, pages and middleware of your own beside Picket's.
//!
//! `cargo run --release --example own_pages`, then open `/hello` and `/doors/front` at the address
//! it prints. The player stays at `/`.

use picket::http::axum::extract::Path;
use picket::http::axum::http::HeaderValue;
use picket::http::axum::middleware::map_response;
use picket::http::axum::response::{Html, Response};
use picket::http::axum::routing::get;
use picket::http::{Access, ExtraRoutes};
use picket::{ConfigSource, Picket, start_logging};

async fn hello() -> Html<&'static str> {
    Html("<!doctype html><title>Hello</title><h1>Hello</h1><p><a href=\"/\">Watch the camera</a>")
}

async fn door(Path(door): Path<String>) -> String {
    format!("the {door} door is closed\n")
}

/// Marks every answer, Picket's own too.
async fn signature(mut response: Response) -> Response {
    response.headers_mut().insert("x-served-by", HeaderValue::from_static("own_pages"));
    response
}

fn main() -> Result<(), picket::PicketError> {
    start_logging(log::LevelFilter::Info);
    // Settings come from the command line: `-- http.listen=0.0.0.0:8000`.
    let sets = std::env::args().skip(1).collect();
    let (config, problems) = ConfigSource { sets, ..ConfigSource::default() }.load(None);
    problems.iter().for_each(|problem| log::warn!("{problem}"));
    // Every route says who may use it: `Open`, `Viewer` or `Owner`. One that would hide a route
    // of Picket's is refused when the house is built.
    let for_viewers = ExtraRoutes::new(Access::Viewer).route("/hello", get(hello));
    let for_the_owner = ExtraRoutes::new(Access::Owner).route("/doors/{door}", get(door));
    let picket = Picket::builder(config)
        .routes(for_viewers)
        .routes(for_the_owner)
        .layer(|router| router.layer(map_response(signature)))
        .build()?;
    println!("watch at http://{}/", picket.address());
    picket.run();
    Ok(())
}
