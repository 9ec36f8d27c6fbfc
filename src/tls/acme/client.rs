//! The HTTP client by which the authority is asked, as the ACME library wants it.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts};

use crate::tls::folder::read_text;
use crate::web::{Privacy, agent_trusting};

/// For the whole of a request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Chains have about 5 KB, directories less.
const MAX_BODY: u64 = 256 * 1024;

pub(super) struct HttpClient(Agent);

impl HttpClient {
    /// `root` is what a private authority is trusted by.
    pub(super) fn new(root: Option<&Path>) -> Result<Self, String> {
        let roots = match root {
            None => RootCerts::WebPki,
            Some(file) => {
                let unusable = |why: String| format!("{}: {why}", file.display());
                let text = read_text(file).map_err(|error| unusable(error.to_string()))?;
                let roots: Vec<Certificate<'static>> =
                    CertificateDer::pem_slice_iter(text.as_bytes())
                        .map(|der| der.map(|der| Certificate::from_der(&der).to_owned()))
                        .collect::<Result<_, _>>()
                        .map_err(|error| unusable(error.to_string()))?;
                if roots.is_empty() {
                    return Err(unusable("there is no certificate in it".into()));
                }
                RootCerts::Specific(Arc::new(roots))
            }
        };
        Ok(Self(agent_trusting(TIMEOUT, Privacy::Encrypted, roots)))
    }
}

impl instant_acme::HttpClient for HttpClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let agent = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes());
            let body = body.unwrap_or_else(|never| match never {});
            let request = Request::from_parts(parts, body.to_vec());
            let asked = tokio::task::spawn_blocking(move || ask(&agent, request));
            asked.await.map_err(|error| Error::Other(error.into()))?
        })
    }
}

fn ask(agent: &Agent, request: Request<Vec<u8>>) -> Result<BytesResponse, Error> {
    let other = |error: ureq::Error| Error::Other(error.into());
    // What a refusal says is in its body.
    let request = agent.configure_request(request).http_status_as_error(false).build();
    let (parts, mut body) = agent.run(request).map_err(other)?.into_parts();
    let bytes = body.with_config().limit(MAX_BODY).read_to_vec().map_err(other)?;
    Ok(Response::from_parts(parts, Full::new(Bytes::from(bytes))).into())
}
