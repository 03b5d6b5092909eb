//! One connection to one endpoint: does it stand, is it healthy, what is it?

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use health::{MetricsPage, Product, Question, Resolver};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tenant_store::model::{
    Deployment, Endpoint, EndpointProtocol, HealthCheck, Signal, UpstreamTls,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::EndpointCheck;
use crate::{proxy::route::authorization, tls};

/// Bytes of an endpoint's metrics that are read at most.
const METRICS_LIMIT: usize = 4 << 20;

fn serves(product: Product, signal: Signal) -> bool {
    product == Product::Vmauth || product == expected(signal)
}

/// How a deployment's endpoints are spoken to.
pub(super) struct Prober {
    health_check: HealthCheck,
    authorization: Option<HeaderValue>,
    server_name: Option<String>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    resolver: Arc<Resolver>,
}

/// Whom to ask: the host of an endpoint, or one of a service.
struct Whom {
    host: String,
    port: u16,
    /// Where it is, if that was looked up.
    address: Option<IpAddr>,
}

impl Whom {
    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

type Stream = Either<TcpStream, Box<tokio_rustls::client::TlsStream<TcpStream>>>;

impl Prober {
    /// Reads the secrets and certificates that the deployment names.
    ///
    /// # Errors
    /// Why that can't be done, in words.
    pub(super) fn new(
        deployment: &Deployment,
        roots: &Arc<RootCertStore>,
        resolver: Arc<Resolver>,
    ) -> Result<Self, String> {
        let tls: Option<&UpstreamTls> = deployment.tls.as_ref();
        let config =
            |alpn: &[u8]| tls::client_config(roots, tls, alpn).map_err(|error| error.to_string());
        let authorization = deployment.auth.as_ref().map(authorization).transpose();
        Ok(Self {
            health_check: deployment.health_check.clone(),
            authorization: authorization.map_err(|error| error.to_string())?,
            server_name: tls.and_then(|tls| tls.server_name.clone()),
            http1: config(b"http/1.1")?,
            http2: config(b"h2")?,
            resolver,
        })
    }

    /// Asks an endpoint, and writes down what it is like as it goes.
    pub(super) async fn ask(&self, endpoint: &Endpoint, signal: Signal, check: &mut EndpointCheck) {
        if let Err(problem) = self.try_ask(endpoint, signal, check).await {
            check.problems.push(problem);
        }
    }

    async fn try_ask(
        &self,
        endpoint: &Endpoint,
        signal: Signal,
        check: &mut EndpointCheck,
    ) -> Result<(), String> {
        let began = Instant::now();
        let whom = self.whom(endpoint).await?;
        let stream = self.connect(endpoint, &whom, check).await?;
        check.reachable = true;
        check.connect_ms = Some(milliseconds(began.elapsed()));
        let mut connection = Connection::open(stream, endpoint.protocol).await?;

        let asked = Instant::now();
        let answer = connection
            .send(self.health_request(endpoint, &whom)?)
            .await?;
        check.latency_ms = Some(milliseconds(asked.elapsed()));
        check.health_status = Some(answer.status().as_u16());
        let (status, path) = (answer.status(), &self.health_check.path);
        // An answer that is read to its end leaves the connection of use.
        let body = read(answer, METRICS_LIMIT).await?;
        if !self.health_check.accepts(status.as_u16()) {
            check
                .problems
                .push(format!("its health path {path} answered {status}"));
        } else if let Some(wanted) = &self.health_check.expect_body
            && !String::from_utf8_lossy(&body).contains(wanted)
        {
            check.problems.push(format!(
                "its health path {path} answered without {wanted:?}"
            ));
        }

        let answer = connection
            .send(self.request(endpoint, &whom, "/metrics")?)
            .await?;
        if answer.status() == StatusCode::OK {
            let page = read(answer, METRICS_LIMIT).await?;
            let page = MetricsPage::parse(&String::from_utf8_lossy(&page));
            (check.product, check.version) = (page.product, page.version);
        }
        if !serves(check.product, signal) {
            check.problems.push(format!(
                "expected {} for {signal}, and it is {}, going by its /metrics",
                expected(signal),
                check.product
            ));
        }
        Ok(())
    }

    /// The host of its URL; of a service, the first that its records name.
    async fn whom(&self, endpoint: &Endpoint) -> Result<Whom, String> {
        let url = endpoint.url.as_url();
        let Some(service) = endpoint.url.service() else {
            return Ok(Whom {
                host: url.host_str().unwrap_or_default().to_owned(),
                port: url.port_or_known_default().unwrap_or_default(),
                address: None,
            });
        };
        let places = self.resolver.lookup(&Question::of_service(service)).await;
        let places = places.map_err(|error| format!("srv+{service} can't be resolved: {error}"))?;
        let first = places.first().and_then(|place| {
            let target = place.service.as_ref()?;
            Some(Whom {
                host: target.host.to_string(),
                port: target.port,
                address: Some(place.address),
            })
        });
        first.ok_or_else(|| format!("srv+{service} leads nowhere"))
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        whom: &Whom,
        check: &mut EndpointCheck,
    ) -> Result<Stream, String> {
        let bare = whom.host.trim_start_matches('[').trim_end_matches(']');
        let stream = match whom.address {
            Some(address) => TcpStream::connect((address, whom.port)).await,
            None => TcpStream::connect((bare, whom.port)).await,
        };
        let stream = stream.map_err(|error| format!("it can't be connected to: {error}"))?;
        if !endpoint.url.is_https() {
            return Ok(Either::Left(stream));
        }
        let name = self.server_name.as_deref().unwrap_or(bare).to_owned();
        let server_name = ServerName::try_from(name.clone()).map_err(|_| {
            format!("{name:?} is no name that a certificate could be for; set tls.server_name")
        })?;
        let config = match endpoint.protocol {
            EndpointProtocol::Http1 => &self.http1,
            EndpointProtocol::Http2 => &self.http2,
        };
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(server_name, stream)
            .await
            .map_err(|error: io::Error| format!("no TLS connection: {error}"))?;
        let version = stream.get_ref().1.protocol_version();
        check.tls = version
            .and_then(|version| version.as_str())
            .map(|version| version.replace('_', "."));
        Ok(Either::Right(Box::new(stream)))
    }

    /// As the router's own probes ask.
    fn health_request(
        &self,
        endpoint: &Endpoint,
        whom: &Whom,
    ) -> Result<Request<Empty<Bytes>>, String> {
        let path = format!("{}{}", endpoint.url.base_path(), self.health_check.path);
        let mut request = self.request(endpoint, whom, &path)?;
        for (name, value) in &self.health_check.headers {
            let unfit = || format!("it can't be asked with the header {name}");
            let name: HeaderName = name.parse().map_err(|_| unfit())?;
            let value = HeaderValue::from_str(value).map_err(|_| unfit())?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    fn request(
        &self,
        endpoint: &Endpoint,
        whom: &Whom,
        path: &str,
    ) -> Result<Request<Empty<Bytes>>, String> {
        let request = Request::builder()
            .method(Method::GET)
            .header(header::USER_AGENT, "mirador-validate");
        let request = match endpoint.protocol {
            EndpointProtocol::Http1 => request.uri(path).header(header::HOST, whom.authority()),
            EndpointProtocol::Http2 => {
                let scheme = endpoint.url.as_url().scheme();
                let authority = whom.authority();
                request
                    .version(Version::HTTP_2)
                    .uri(format!("{scheme}://{authority}{path}"))
            }
        };
        let mut request = request
            .body(Empty::new())
            .map_err(|error| format!("it can't be asked: {error}"))?;
        if let Some(authorization) = &self.authorization {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

/// A connection that takes one request after another.
enum Connection {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    async fn open(stream: Stream, protocol: EndpointProtocol) -> Result<Self, String> {
        let io = TokioIo::new(stream);
        let fault = |error: hyper::Error| format!("it does not speak HTTP: {error}");
        // The tasks end with the connections, and these with whoever sends requests on them.
        match protocol {
            EndpointProtocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(fault)?;
                tokio::spawn(connection);
                Ok(Self::Http1(sender))
            }
            EndpointProtocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(fault)?;
                tokio::spawn(connection);
                Ok(Self::Http2(sender))
            }
        }
    }

    async fn send(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String> {
        let answer = match self {
            Self::Http1(sender) => {
                sender.ready().await.map_err(|error| no_answer(&error))?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await.map_err(|error| no_answer(&error))?;
                sender.send_request(request).await
            }
        };
        answer.map_err(|error| no_answer(&error))
    }
}

fn no_answer(error: &hyper::Error) -> String {
    format!("it did not answer: {error}")
}

/// Reads a body up to `limit` bytes; what is longer is cut off.
async fn read(answer: Response<Incoming>, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("its answer broke off: {error}"))?;
        if let Some(data) = frame.data_ref() {
            let room = limit - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        if bytes.len() == limit {
            break;
        }
    }
    Ok(bytes)
}

fn expected(signal: Signal) -> Product {
    match signal {
        Signal::Metrics => Product::VictoriaMetrics,
        Signal::Logs => Product::VictoriaLogs,
        Signal::Traces => Product::VictoriaTraces,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
