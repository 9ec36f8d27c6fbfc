//! Why there is no Picket.

/// Why Picket could not be built or did not run to a good end. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PicketError {
    /// A transform's settings make no sense.
    #[error(transparent)]
    Transform(#[from] crate::transform::TransformError),
    /// The program brings something for a camera that the configuration does not have.
    #[error("there is no camera \"{0}\"; add it to the configuration's [[cameras]]")]
    NoSuchCamera(String),
    /// The UDP port for viewers cannot be had.
    #[error(transparent)]
    WebRtc(#[from] crate::webrtc::StartError),
    /// The HTTP address cannot be had.
    #[error(transparent)]
    Serve(#[from] crate::http::ServeError),
    /// The routing table makes no sense.
    #[error(transparent)]
    Route(#[from] crate::http::RouteError),
    /// The system gives no threads or signals.
    #[error("the system refused what Picket needs to run: {0}")]
    System(std::io::Error),
}

impl From<std::io::Error> for PicketError {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}
