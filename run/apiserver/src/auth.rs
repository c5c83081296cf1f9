//! Who sends a request: client certificate, bearer token, impersonation; and whether they may.

use std::borrow::Cow;
use std::sync::Arc;

use access::attributes::{Attributes, Decision};
use access::authn::impersonation::Wanted;
use access::authn::{bootstrap_token, service_account_token};
use access::node::PodsByNode;
use access::user;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use kinds::strategy::{Told, User};
use meta::StatusError;
use serde_json::Value;

use crate::request::{RequestInfo, decode, mentions};
use crate::server::{ApiServer, Identity};

/// The key that service-account tokens are signed with.
pub trait TokenVerifier: Send + Sync {
    /// The claims of a token signed by the key; `None` for any other text.
    fn verify(&self, token: &str) -> Option<Value>;
    /// Signs claims.
    ///
    /// # Errors
    /// The key cannot be used just now.
    fn sign(&self, claims: &Value) -> Result<String, String>;
    /// The public half as a JSON web key set.
    fn jwks(&self) -> Value;
}

/// The sender of a request, before impersonation.
pub(crate) async fn authenticate(server: &ApiServer, parts: &Parts) -> Result<User, StatusError> {
    if let Some(Identity(user)) = parts.extensions.get::<Identity>() {
        return Ok(user.clone());
    }
    // Upstream asks for certificates first; who shows a good one needs no token.
    let peer = parts.extensions.get::<Peer>();
    if let Some(peer) = peer {
        let now = (server.config().clock)();
        let access = &server.metrics().access;
        access.certificate(peer.not_after, now);
        if let Some(user) = peer.user(now) {
            return Ok(user.clone());
        }
    }
    let token = match bearer(&parts.headers) {
        Some(token) => Some(token),
        None => socket_token(&parts.headers)?.map(Cow::Owned),
    };
    match token {
        Some(token) => token_user(server, &token)
            .await
            .ok_or_else(StatusError::unauthorized),
        None if peer.is_some() => Err(StatusError::unauthorized()),
        None => Ok(user::anonymous()),
    }
}

/// The token of a request: the second word of its header, whatever bytes it has, if that is none but words.
///
/// Source: apiserver `authentication/request/bearertoken`.
fn bearer(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let header = headers.get(http::header::AUTHORIZATION)?.as_bytes();
    let mut words = header.trim_ascii().split(|byte| *byte == b' ');
    let is_bearer = words.next()?.eq_ignore_ascii_case(b"bearer");
    let token = words.next().filter(|token| !token.is_empty())?;
    is_bearer.then(|| String::from_utf8_lossy(token))
}

/// What a protocol of a WebSocket begins with that is a token: browsers can set no other header.
///
/// Source: apiserver `authentication/request/websocket/protocol.go`.
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether a WebSocket's protocol is a token.
pub(crate) fn is_token(protocol: &str) -> bool {
    protocol.starts_with(TOKEN_PROTOCOL)
}

/// Whether a request asks for a WebSocket. Source: `httpstream/wsstream` `IsWebSocketRequest`.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    mentions(headers, &header::CONNECTION, "upgrade")
        && mentions(headers, &header::UPGRADE, "websocket")
}

/// The protocols that a WebSocket's client speaks.
fn protocols(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect()
}

/// The token among the protocols of a WebSocket.
///
/// # Errors
/// 401 for more than one, for one that cannot be read, and for one with no protocol beside it to agree on.
fn socket_token(headers: &HeaderMap) -> Result<Option<String>, StatusError> {
    if !is_websocket(headers) {
        return Ok(None);
    }
    let protocols = protocols(headers);
    let mut tokens = protocols
        .iter()
        .filter_map(|name| name.strip_prefix(TOKEN_PROTOCOL));
    let Some(token) = tokens.next() else {
        return Ok(None);
    };
    let is_alone = tokens.next().is_none() && protocols.len() > 1;
    let decoded = URL_SAFE_NO_PAD.decode(token).ok().filter(|_| is_alone);
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Some).ok_or_else(StatusError::unauthorized)
}

/// Takes the token out of the protocols of a WebSocket, so that nobody sees it to whom the request is carried.
pub(crate) fn hide_token(headers: &mut HeaderMap) {
    let all = protocols(headers);
    if !all.iter().any(|name| is_token(name)) {
        return;
    }
    let kept: Vec<&str> = all.into_iter().filter(|name| !is_token(name)).collect();
    let kept = HeaderValue::try_from(kept.join(","));
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Ok(kept) = kept {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

/// The user behind a bearer token; `None` when nobody is.
pub(crate) async fn token_user(server: &ApiServer, token: &str) -> Option<User> {
    let audiences = [service_account_token::ISSUER.to_owned()];
    let found = token_user_for(server, token, &audiences).await;
    found.ok().map(|(user, _)| user)
}

/// A user, and the audiences for which a token is good.
type Found = (User, Vec<String>);

/// The user behind a bearer token that is good for one of the audiences, and for which of them it is.
///
/// Who is known here is asked for first, so that nobody else is troubled for what can be told here.
///
/// # Errors
/// It is nobody's; or this is what is wrong with a token that is somebody's.
pub(crate) async fn token_user_for(
    server: &ApiServer,
    token: &str,
    audiences: &[String],
) -> Result<Found, Option<String>> {
    let config = server.config();
    let mut found = own_token_user(server, token, audiences);
    if found == Err(None)
        && let Some(oidc) = &config.oidc
    {
        let audiences = own_audiences(audiences)?;
        // Boxed, for only few requests need its room.
        let user = Box::pin(oidc.user_of(token, config.clock)).await;
        found = user.map(|user| (user, audiences));
    }
    if let Err(Some(why)) = &found {
        tracing::debug!(why, "token refused");
    }
    found
}

/// The user behind a token of this cluster's own.
fn own_token_user(
    server: &ApiServer,
    token: &str,
    audiences: &[String],
) -> Result<Found, Option<String>> {
    let config = server.config();
    let mut known = config.static_tokens.iter();
    if let Some((_, user)) = known.find(|(known, _)| known == token) {
        return Ok((user.clone(), own_audiences(audiences)?));
    }
    let cluster = server.cluster();
    let now = (config.clock)();
    if bootstrap_token::split(token).is_some() {
        let audiences = own_audiences(audiences)?;
        let user = bootstrap_token::user_of(token, &cluster, now).ok_or(None)?;
        return Ok((user, audiences));
    }
    let claims = config.tokens.verify(token).ok_or(None)?;
    let user = service_account_token::user_of(&claims, audiences, &cluster, now)?;
    if let Some(is_stale) = service_account_token::is_stale(&claims, now) {
        server.metrics().access.token(is_stale);
    }
    let given = claims.get("aud").and_then(Value::as_array);
    let is_given = |audience: &&String| {
        let mut given = given.into_iter().flatten();
        given.any(|given| given.as_str() == Some(audience.as_str()))
    };
    Ok((user, audiences.iter().filter(is_given).cloned().collect()))
}

/// Those of the audiences that a token without any is good for: this cluster's own.
///
/// Source: apiserver `WrapAudienceAgnosticToken`.
///
/// # Errors
/// None of them is; the token is then nobody's.
fn own_audiences(audiences: &[String]) -> Result<Vec<String>, Option<String>> {
    let is_own = |audience: &&String| *audience == service_account_token::ISSUER;
    let own: Vec<String> = audiences.iter().filter(is_own).cloned().collect();
    if own.is_empty() { Err(None) } else { Ok(own) }
}

/// The client certificate of a connection that names somebody, as a request extension.
#[derive(Clone)]
pub(crate) struct Peer {
    /// `None` when the certificate is not good, so that nobody is known by it.
    user: Option<Arc<User>>,
    /// When the certificate ends.
    not_after: Timestamp,
}

impl Peer {
    /// Who the certificate stands for at a time: a connection may outlive it.
    fn user(&self, now: Timestamp) -> Option<&User> {
        self.user.as_deref().filter(|_| now <= self.not_after)
    }
}

/// An attribute of a subject that is its uid. Source: apiserver `authentication/request/x509` `uidOID`.
const UID: &str = "1.3.6.1.4.1.57683.2";

/// Who a client certificate (DER) names: common name, organizations, uid; `None` for nobody. `is_good` says whether it was
/// signed for that.
///
/// Source: apiserver `x509.CommonNameUserConversion`, and Go, for which the last common name counts.
pub(crate) fn peer(der: &[u8], is_good: bool) -> Option<Peer> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().last()?.as_str().ok()?;
    let groups: Vec<&str> = subject
        .iter_organization()
        .filter_map(|group| group.as_str().ok())
        .collect();
    if name.is_empty() {
        return None;
    }
    let mut uids = subject
        .iter_attributes()
        .filter(|attribute| attribute.attr_type().to_id_string() == UID)
        .map(|attribute| attribute.as_str().unwrap_or_default());
    let uid = uids.next();
    let is_good = is_good && uid != Some("") && uids.next().is_none();
    let user = is_good.then(|| {
        let mut user = user::user(name, &groups);
        uid.unwrap_or_default().clone_into(&mut user.uid);
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let hex: Vec<String> = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let id = format!("X509SHA256={}", hex.concat());
        user.extra.insert(user::CREDENTIAL_ID.into(), vec![id]);
        Arc::new(user)
    });
    let not_after = certificate.validity().not_after.timestamp();
    Some(Peer {
        user,
        not_after: Timestamp::from_second(not_after).unwrap_or(Timestamp::MAX),
    })
}

/// As whom a request is sent, and by which narrow way; empty for the old one.
pub(crate) struct Impersonated {
    pub(crate) user: User,
    pub(crate) constraint: String,
}

/// The user a request acts as, when its sender may; `request` is of the sender. `None` when that acts as itself.
///
/// # Errors
/// What is missing for the first of the ways to become that user.
pub(crate) fn impersonate(
    server: &ApiServer,
    request: &Attributes,
    headers: &HeaderMap,
) -> Result<Option<Impersonated>, StatusError> {
    let is_asked = |name: &HeaderName| name.as_str().starts_with("impersonate-");
    if !headers.keys().any(is_asked) {
        return Ok(None);
    }
    let wanted = wanted(headers);
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut refused = None;
    for way in wanted.ways(request)? {
        let checks = way.checks.iter().try_for_each(|check| allow(server, check));
        match checks.and(way.user) {
            Ok(user) => {
                let constraint = way.constraint;
                return Ok(Some(Impersonated { user, constraint }));
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| StatusError::internal("all impersonation modes failed")))
}

/// Whatever bytes a header has, it is asked for: one that was left out would leave the request to its sender.
fn wanted(headers: &HeaderMap) -> Wanted {
    let texts = |name: &str| {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut wanted = Wanted {
        user: texts("impersonate-user").next().unwrap_or_default(),
        uid: texts("impersonate-uid").next().unwrap_or_default(),
        groups: texts("impersonate-group").collect(),
        ..Wanted::default()
    };
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix("impersonate-extra-") {
            wanted
                .extra
                .insert(decode(&key.to_lowercase()), texts(name.as_str()).collect());
        }
    }
    wanted
}

/// The attributes of a request for the authorizers.
pub(crate) fn attributes(user: &User, info: &RequestInfo) -> Attributes {
    Attributes {
        user: user.clone(),
        verb: info.verb.clone(),
        namespace: info.namespace.clone(),
        group: info.group.clone(),
        version: info.version.clone(),
        resource: info.resource.clone(),
        subresource: info.subresource.clone(),
        name: info.name.clone(),
        path: info.path.clone(),
        is_resource: info.is_resource,
        ..Attributes::default()
    }
}

/// Asks the authorizers in upstream's order: Node, then RBAC.
pub(crate) fn decide(server: &ApiServer, request: &Attributes) -> Decision {
    let cluster = server.cluster();
    let by_node = access::node::authorize(request, &cluster as &dyn PodsByNode);
    let node_reason = match by_node {
        Decision::Allow | Decision::Deny { .. } => return by_node,
        Decision::NoOpinion { reason } => reason,
    };
    match server.policy().authorize(request) {
        Decision::NoOpinion { reason } if reason.is_empty() => Decision::NoOpinion {
            reason: node_reason,
        },
        decision => decision,
    }
}

/// Why a request is allowed; empty when no binding of RBAC is the reason.
pub(crate) fn allowed_by(server: &ApiServer, request: &Attributes) -> String {
    let by_node = access::node::authorize(request, &server.cluster() as &dyn PodsByNode);
    let by_binding = (by_node != Decision::Allow).then(|| server.policy().allowed_by(request));
    by_binding.flatten().unwrap_or_default()
}

/// Refuses what no authorizer allows.
pub(crate) fn allow(server: &ApiServer, request: &Attributes) -> Result<(), StatusError> {
    require(decide(server, request), request)
}

/// Refuses what was not allowed.
pub(crate) fn require(decision: Decision, request: &Attributes) -> Result<(), StatusError> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::Deny { reason } | Decision::NoOpinion { reason } => {
            Err(request.forbidden(&reason))
        }
    }
}

/// Whether a user may read the object that another one tells about: it itself, or all in its namespace.
pub(crate) fn may_read(server: &ApiServer, user: &User, told: &Told) -> bool {
    let asks = |verb: &str, name: &str| Attributes {
        user: user.clone(),
        verb: verb.to_owned(),
        namespace: told.namespace.clone(),
        group: told.resource.group.clone(),
        resource: told.resource.resource.clone(),
        name: name.to_owned(),
        is_resource: true,
        ..Attributes::default()
    };
    let allows = |request: Attributes| decide(server, &request) == Decision::Allow;
    allows(asks("get", &told.name)) || allows(asks("list", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_for_in_no_text_is_asked_for_still() {
        let mut headers = HeaderMap::new();
        let name = HeaderValue::from_bytes(&[0xe9]).unwrap();
        headers.insert("impersonate-user", name);
        assert_eq!(wanted(&headers).user, "\u{fffd}");
    }

    #[test]
    fn a_token_is_the_second_word() {
        let token = |header: &[u8]| {
            let header = HeaderValue::from_bytes(header).unwrap();
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, header)]);
            bearer(&headers).map(Cow::into_owned)
        };
        assert_eq!(token(b" bearer a b"), Some("a".to_owned()));
        assert_eq!(token(b"Bearer \xe9"), Some("\u{fffd}".to_owned()));
        let mut twice = HeaderMap::new();
        for token in ["Bearer a", "Bearer b"] {
            twice.append(header::AUTHORIZATION, HeaderValue::from_static(token));
        }
        assert_eq!(bearer(&twice), Some(Cow::Borrowed("a")));
        for none in ["Bearer", "Bearer  a", "Basic a", "Bearera"] {
            assert_eq!(token(none.as_bytes()), None, "{none}");
        }
    }

    fn asking(protocols: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONNECTION,
            HeaderValue::from_static("keep-alive, Upgrade"),
        );
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let protocols = HeaderValue::from_str(protocols).unwrap();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        headers
    }

    #[test]
    fn a_browser_shows_its_token_as_a_protocol_that_goes_no_further() {
        let token =
            |protocols: &str| socket_token(&asking(protocols)).map_err(|error| error.code());
        let shown = format!("{TOKEN_PROTOCOL}eHk");
        assert_eq!(token("binary.k8s.io"), Ok(None));
        assert_eq!(
            token(&format!("{shown}, binary.k8s.io")),
            Ok(Some("xy".into()))
        );
        for bad in [
            shown.clone(),
            format!("{shown}, {shown}, b"),
            format!("{TOKEN_PROTOCOL}!, b"),
        ] {
            assert_eq!(token(&bad), Err(401));
        }
        let mut headers = asking(&format!("{shown}, binary.k8s.io"));
        hide_token(&mut headers);
        assert_eq!(headers[header::SEC_WEBSOCKET_PROTOCOL], "binary.k8s.io");
        assert_eq!(socket_token(&HeaderMap::new()).unwrap(), None);
    }

    /// A certificate that signs itself, with these attributes of its subject.
    fn certificate(attributes: &[(rcgen::DnType, &str)]) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (attribute, value) in attributes {
            params.distinguished_name.push(attribute.clone(), *value);
        }
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_names_its_user_until_it_ends() {
        let uid = rcgen::DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 57683, 2]);
        let named = [
            (rcgen::DnType::CommonName, "ann"),
            (rcgen::DnType::OrganizationName, "ops"),
            (uid.clone(), "7"),
        ];
        let der = certificate(&named);
        let at = |peer: &Peer, time: &str| peer.user(time.parse().unwrap()).cloned();
        let good = peer(&der, true).unwrap();
        let user = at(&good, "2029-12-31T00:00:00Z").unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("ann", "7"));
        assert_eq!(user.groups, ["ops", user::AUTHENTICATED]);
        assert_eq!(at(&good, "2030-01-01T00:00:01Z"), None);
        let foreign = peer(&der, false).unwrap();
        assert_eq!(at(&foreign, "2029-12-31T00:00:00Z"), None);
        let odd = certificate(&[(rcgen::DnType::CommonName, "ann"), (uid, "")]);
        assert_eq!(at(&peer(&odd, true).unwrap(), "2029-12-31T00:00:00Z"), None);
        let nameless = certificate(&[(rcgen::DnType::OrganizationName, "ops")]);
        assert!(peer(&nameless, true).is_none());
    }
}
