//! Paths that are no resource: discovery, health, version, metrics, keys, OpenAPI, and the index of them all.

use access::authn::service_account_token::ISSUER;
use axum::body::Body;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use meta::StatusError;
use serde_json::{Value, json};
use wire::media::{self, Format};

use crate::form::accept;
use crate::limits::Class;
use crate::server::ApiServer;
use crate::{health, respond, zpages};

/// Where the token keys are published. Source: apiserver `serviceaccount.JWKSPath`.
const JWKS: &str = "/openid/v1/jwks";
/// Source: OpenID Connect Discovery 1.0.
const OPENID: &str = "/.well-known/openid-configuration";

/// What the route of the version produces.
const VERSION_PRODUCED: &[&str] = &["application/json"];

/// Answers a request for a path that is no resource.
///
/// # Errors
/// 405 for methods other than GET, of paths that mind; 404 for an unknown version of a group that is served.
pub(crate) async fn answer(
    server: &ApiServer,
    parts: &Parts,
) -> Result<Response<Body>, StatusError> {
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let found = match path {
        "/" => Some(pretty(&index(server))),
        "/version" | "/version/" => {
            if !media::is_accepted(accept(&parts.headers), VERSION_PRODUCED) {
                return Err(StatusError::no_representation(VERSION_PRODUCED));
            }
            Some(pretty(&health::version()))
        }
        "/metrics" | "/metrics/slis" => {
            let scraped = match path {
                "/metrics" => {
                    let scrape = async { server.scrape() };
                    match server.heavy().run(Class::Read, scrape).await {
                        Some(scraped) => scraped,
                        None => return Ok(respond::too_many()),
                    }
                }
                _ => health::slis(&server.config().checks),
            };
            let media_type = scrape::media_type(accept(&parts.headers));
            Some(respond::bytes(StatusCode::OK, media_type, scraped))
        }
        _ if is(path, JWKS) => Some(published("application/jwk-set+json", &keys(server))),
        _ if is(path, OPENID) => Some(published("application/json", &openid(server))),
        _ => match zpages::answer(server, path, &parts.headers, || paths(server)) {
            Some(answer) => Some(answer?),
            None => health::answer(path, query, &server.config().checks).map(whole),
        },
    };
    let found = match found {
        Some(found) => Some(found),
        None => documents(server, parts).await?,
    };
    let Some(response) = found else {
        if server.serves_group(path) || path.starts_with("/version/") {
            return Err(StatusError::no_route());
        }
        return Ok(respond::no_page());
    };
    match parts.method {
        Method::GET => Ok(response),
        Method::DELETE if path == "/metrics" => {
            let media_type = "text/plain; charset=utf-8";
            Ok(respond::bytes(
                StatusCode::OK,
                media_type,
                "metrics reset\n",
            ))
        }
        _ if minds_method(path) => Err(StatusError::method_not_allowed()),
        _ => Ok(response),
    }
}

/// Whether a path answers GET alone; the others answer any method as they answer GET.
///
/// Source: upstream's routes of go-restful know methods, those of its plain mux do not.
fn minds_method(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let is_version = path.starts_with("/apis/") && path.split('/').count() > 3;
    is_version
        || path == "/api"
        || path.starts_with("/api/")
        || ["/version", JWKS, OPENID].contains(&path)
}

/// Discovery and OpenAPI.
///
/// Making an OpenAPI document keeps a processor busy for a while, so it is not done where connections are served.
async fn documents(
    server: &ApiServer,
    parts: &Parts,
) -> Result<Option<Response<Body>>, StatusError> {
    if let Some(answer) = server.discovery().answer(parts.uri.path(), &parts.headers) {
        return answer.map(whole).map(Some);
    }
    if !parts.uri.path().starts_with("/openapi/") {
        return Ok(None);
    }
    let answer = server.heavy().run(Class::Read, async {
        let openapi = server.config().openapi.as_ref()?;
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        openapi.answer(&server.config().registry, path, query, &parts.headers)
    });
    Ok(answer.await.unwrap_or_else(|| Some(respond::too_many())))
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::from)
}

fn pretty(value: &Value) -> Response<Body> {
    let media_type = Format::Json.media_type();
    respond::bytes(StatusCode::OK, media_type, format!("{value:#}"))
}

/// Whether a path is that one, with or without a slash at its end.
fn is(path: &str, wanted: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path) == wanted
}

/// What verifiers of tokens may keep for an hour. Source: kube-apiserver `routes/openidmetadata.go`.
fn published(media_type: &'static str, value: &Value) -> Response<Body> {
    let mut response = respond::bytes(StatusCode::OK, media_type, value.to_string());
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    response
}

/// The public halves of the token keys.
fn keys(server: &ApiServer) -> Value {
    server.config().tokens.jwks()
}

fn openid(server: &ApiServer) -> Value {
    let address = &server.config().address;
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("https://{address}{JWKS}"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// Every path that can be asked for, as `/` lists them.
fn index(server: &ApiServer) -> Value {
    json!({"paths": paths(server)})
}

fn paths(server: &ApiServer) -> Vec<String> {
    let mut paths: Vec<String> = server.discovery().paths().map(str::to_owned).collect();
    let fixed = [
        "/apis/",
        OPENID,
        JWKS,
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/version",
    ];
    paths.extend(fixed.into_iter().chain(zpages::PATHS).map(str::to_owned));
    for check in &server.config().checks {
        for endpoint in check.asked_by {
            let path = endpoint.path();
            paths.push(format!("{path}/{}", check.name));
            paths.push(path.to_owned());
        }
    }
    paths.sort();
    paths.dedup();
    paths
}
