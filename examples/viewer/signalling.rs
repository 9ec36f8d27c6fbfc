//! Offer and answer over HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::crypto::aws_lc_rs;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::tls::TlsConfig;

/// The two ways to hand an offer in. They lead to the same session.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Door {
    /// WHEP, the standard: `POST /whep` takes SDP and answers 201 with SDP.
    Whep,
    /// `POST /offer` takes and answers JSON, `{"type": …, "sdp": …}`.
    Offer,
}

/// A camera's HTTP side.
#[derive(Clone)]
pub struct Camera {
    address: Uri,
    authorization: Option<String>,
    agent: Agent,
}

/// A session at the camera.
pub struct Session {
    camera: Camera,
    /// The session's own address; `DELETE` ends it.
    resource: Uri,
    answer: String,
}

/// More than a camera takes to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

impl Camera {
    pub fn new(address: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let address: Uri = address.parse().with_context(|| format!("{address} is no address"))?;
        if !matches!(address.scheme_str(), Some("http" | "https")) || address.host().is_none() {
            bail!("{address}: expected an address like http://192.0.2.7:8000/");
        }
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(ANSWER_WITHIN))
            // A refusal has a body that says why.
            .http_status_as_error(false)
            .build()
            .new_agent();
        let authorization = token.map(|token| format!("Bearer {token}"));
        Ok(Self { address, authorization, agent })
    }

    /// This machine's address as the camera sees it.
    pub fn local_address(&self) -> anyhow::Result<IpAddr> {
        let host = self.address.host().unwrap_or_default().trim_matches(['[', ']']);
        let https = self.address.scheme_str() == Some("https");
        let port = self.address.port_u16().unwrap_or(if https { 443 } else { 80 });
        let camera = (host, port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .with_context(|| format!("there is no machine called {host}"))?;
        let any = match camera {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        // To connect a UDP socket sends nothing; it only looks up the way.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(camera).with_context(|| format!("there is no way to {camera}"))?;
        Ok(socket.local_addr()?.ip())
    }

    /// Hands in an offer.
    pub async fn offer(&self, door: Door, offer: String) -> anyhow::Result<Session> {
        let (path, media_type, body) = match door {
            Door::Whep => ("/whep", "application/sdp", offer),
            Door::Offer => {
                let body = json!({ "type": "offer", "sdp": offer }).to_string();
                ("/offer", "application/json", body)
            }
        };
        let answer = accepted(self.ask(Method::POST, self.at(path)?, media_type, body).await?)?;
        let (resource, answer) = match door {
            Door::Whep => {
                let resource = answer.headers().get("location").and_then(|l| l.to_str().ok());
                (resource.map(ToOwned::to_owned), answer.into_body())
            }
            Door::Offer => {
                let answer: Value = serde_json::from_str(answer.body())?;
                let field = |name: &str| answer[name].as_str().map(ToOwned::to_owned);
                (field("resource"), field("sdp").context("the answer has no sdp")?)
            }
        };
        let resource = resource.context("the camera did not say where the session is")?;
        Ok(Session { resource: self.at(&resource)?, answer, camera: self.clone() })
    }

    /// The address of `path` at this camera, seen from its root. Where `Location` is a whole
    /// address, that one.
    fn at(&self, path: &str) -> anyhow::Result<Uri> {
        if path.contains("://") {
            return path.parse().with_context(|| format!("{path} is no address"));
        }
        let path = format!("/{}", path.trim_start_matches('/'));
        let mut parts = self.address.clone().into_parts();
        parts.path_and_query = Some(path.parse().with_context(|| format!("{path} is no path"))?);
        Ok(Uri::from_parts(parts)?)
    }

    async fn ask(
        &self,
        method: Method,
        uri: Uri,
        media_type: &str,
        body: String,
    ) -> anyhow::Result<Response<String>> {
        let mut request =
            Request::builder().method(method).uri(&uri).header("content-type", media_type);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(body)?;
        let agent = self.agent.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let (head, mut body) = agent.run(request)?.into_parts();
            Ok::<_, ureq::Error>(Response::from_parts(head, body.read_to_string()?))
        });
        answer.await?.with_context(|| format!("cannot reach {uri}"))
    }
}

/// Makes an error of a refusal.
fn accepted(answer: Response<String>) -> anyhow::Result<Response<String>> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    // RFC 9457: the reason is in "detail".
    let problem: Value = serde_json::from_str(answer.body()).unwrap_or_default();
    let reason = problem["detail"].as_str().unwrap_or("no reason given");
    bail!("the camera answered {}: {reason}", answer.status());
}

impl Session {
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// Gives the place back. The camera would find out by itself, but later.
    pub async fn end(self) -> anyhow::Result<()> {
        let Self { camera, resource, .. } = self;
        let ended = camera.ask(Method::DELETE, resource, "application/sdp", String::new()).await?;
        // Not found: it was over already.
        if ended.status() != StatusCode::NOT_FOUND {
            accepted(ended).context("the session could not be ended")?;
        }
        Ok(())
    }
}
