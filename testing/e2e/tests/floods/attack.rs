//! The floods: what is sent, how often, and what is done with the answers.

use std::any::Any;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http::request::Builder;
use serde_json::{Value, json};
use testkit::connection::{Body, Dialer};
use tokio::io::AsyncWriteExt as _;

/// Who floods.
pub(super) const FLOODER: &str = "flooder";
pub(super) const PODS: &str = "/api/v1/namespaces/home/pods";
pub(super) const MAPS: &str = "/api/v1/namespaces/home/configmaps";
/// An object of many fields, that patches change.
pub(super) const LARGE: &str = "/apis/apps/v1/namespaces/home/deployments/large";
/// Its variables, of which each patch sets one.
pub(super) const VARIABLES: usize = 1_000;
/// An object that as many own as [`MANAGERS`].
const SHARED: &str = "/api/v1/namespaces/home/configmaps/shared";
const MANAGERS: usize = 100;
/// So many objects are applied as YAML.
const APPLIED: usize = 8;
const APPLY: &str = "application/apply-patch+yaml";
/// As large as bodies may be. Source: `Limits::upstream`.
const BODY_BYTES: usize = 3 << 20;

/// A flood.
pub(super) struct Flood {
    pub(super) name: &'static str,
    /// How often it is sent, for each unit of scale.
    pub(super) count: usize,
    pub(super) attack: Attack,
}

/// What one of many sends, by its number.
#[derive(Clone, Copy)]
pub(super) enum Attack {
    /// Requests whose answers are not read.
    Unread(fn(usize) -> Result<Request<Body>>),
    /// Requests whose answers are read.
    Read(fn(usize) -> Result<Request<Body>>),
    /// Writes whose answers are read.
    Write(fn(usize, &str) -> Result<Write>),
    /// The first part of a body.
    Stalled,
    /// Nothing.
    Silent,
}

/// A write, and the text that is there once it was acknowledged.
pub(super) struct Write {
    pub(super) request: Request<Body>,
    pub(super) made: Made,
}

/// A text of an object.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Made {
    pub(super) path: String,
    /// A JSON pointer.
    pub(super) field: String,
    pub(super) text: String,
}

/// What came of an attack.
pub(super) struct Outcome {
    /// Of the answer, if one was waited for.
    pub(super) code: Option<u16>,
    /// What stays open until the flood is over.
    pub(super) open: Option<Box<dyn Any + Send>>,
    pub(super) made: Option<Made>,
}

pub(super) const FLOODS: &[Flood] = &[
    Flood {
        name: "indented lists that nobody reads",
        count: 100,
        attack: Attack::Unread(|_| get(&format!("{PODS}?pretty=true"))),
    },
    Flood {
        name: "gzipped lists that nobody reads",
        count: 100,
        attack: Attack::Unread(|_| {
            let request = builder("GET", PODS).header("accept-encoding", "gzip");
            Ok(request.body(Body::default())?)
        }),
    },
    Flood {
        name: "OpenAPI documents that nobody reads",
        count: 200,
        attack: Attack::Unread(|number| {
            get(if number.is_multiple_of(2) {
                "/openapi/v2"
            } else {
                "/openapi/v3/apis/apps/v1"
            })
        }),
    },
    Flood {
        name: "watches that begin with all there is, unread",
        count: 200,
        attack: Attack::Unread(|_| get(&format!("{PODS}?watch=true"))),
    },
    Flood {
        name: "watches by a selector of 8,000 values",
        count: 400,
        attack: Attack::Unread(|_| {
            let values: Vec<String> = (0..8_000).map(|value| format!("v{value}")).collect();
            let values = values.join(",");
            get(&format!(
                "{MAPS}?watch=true&resourceVersion=1000000&labelSelector=app%20in%20({values})"
            ))
        }),
    },
    Flood {
        name: "watches with bodies of 3 MiB",
        count: 100,
        attack: Attack::Unread(|_| {
            Ok(builder("GET", &format!("{MAPS}?watch=true")).body(large_body().into())?)
        }),
    },
    Flood {
        name: "watches with 120 KB of headers",
        count: 500,
        attack: Attack::Unread(|_| {
            let (request, text) = (
                builder("GET", &format!("{MAPS}?watch=true")),
                "x".repeat(4_000),
            );
            let request = (0..30).fold(request, |request, index| {
                request.header(format!("x-{index}"), &text)
            });
            Ok(request.body(Body::default())?)
        }),
    },
    Flood {
        name: "applies of YAML whose aliases stand for much",
        count: 100,
        attack: Attack::Write(yaml),
    },
    Flood {
        name: "YAML whose aliases multiply",
        count: 8,
        attack: Attack::Read(bomb),
    },
    Flood {
        name: "bodies of 3 MB of {}",
        count: 6,
        attack: Attack::Read(|_| {
            let text = format!("{{\"a\":[{}{{}}]}}", "{},".repeat(BODY_BYTES / 3 - 10));
            send("POST", MAPS, "application/json", text)
        }),
    },
    Flood {
        name: "strategic merge patches of a large object",
        count: 100,
        attack: Attack::Write(strategic),
    },
    Flood {
        name: "applies to one object by 100 managers",
        count: 100,
        attack: Attack::Write(apply),
    },
    Flood {
        name: "uploads that stall",
        count: 50,
        attack: Attack::Stalled,
    },
    Flood {
        name: "connections that say nothing",
        count: 500,
        attack: Attack::Silent,
    },
];

impl Attack {
    /// Sends what the attacker of this number sends.
    pub(super) async fn run(self, dialer: &Dialer, number: usize, round: &str) -> Result<Outcome> {
        let mut outcome = Outcome {
            code: None,
            open: None,
            made: None,
        };
        match self {
            Self::Unread(request) => {
                let mut connection = dialer.open().await?;
                let answer = connection.send(request(number)?).await?;
                outcome.code = Some(answer.status().as_u16());
                outcome.open = Some(Box::new((connection, answer)));
            }
            Self::Read(request) => {
                let (code, _) = dialer.open().await?.answer(request(number)?).await?;
                outcome.code = Some(code);
            }
            Self::Write(write) => {
                let Write { request, made } = write(number, round)?;
                let (code, _) = dialer.open().await?.answer(request).await?;
                outcome.code = Some(code);
                // What is too much may be told to come back, but is not wrong.
                ensure!(matches!(code, 200 | 201 | 409 | 429), "{code}");
                outcome.made = matches!(code, 200 | 201).then_some(made);
            }
            Self::Stalled => {
                let mut stream = dialer.dial().await?;
                let head = format!(
                    "POST {MAPS} HTTP/1.1\r\nhost: x\r\nimpersonate-user: {FLOODER}\r\n\
                     content-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                let most = large_body().slice(..BODY_BYTES - 1);
                stream.write_all(&most).await?;
                stream.flush().await?;
                outcome.open = Some(Box::new(stream));
            }
            Self::Silent => outcome.open = Some(Box::new(dialer.plain().await?)),
        }
        Ok(outcome)
    }
}

fn builder(method: &str, path: &str) -> Builder {
    let request = Request::builder().method(method).uri(path);
    request.header("impersonate-user", FLOODER)
}

fn get(path: &str) -> Result<Request<Body>> {
    builder("GET", path)
        .body(Body::default())
        .context("no request")
}

fn send(method: &str, path: &str, content_type: &str, text: String) -> Result<Request<Body>> {
    let request = builder(method, path).header("content-type", content_type);
    request.body(text.into()).context("no request")
}

/// One body, shared by all who send it.
fn large_body() -> Bytes {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| vec![b' '; BODY_BYTES].into());
    BODY.clone()
}

/// Lists of lists, nine of the one before in each: more than half a million values.
fn bomb(number: usize) -> Result<Request<Body>> {
    let lists = ('a'..='e').zip('b'..).map(|(inner, name)| {
        let items = vec![format!("*{inner}"); 9].join(",");
        format!("{name}: &{name} [{items}]")
    });
    let lists: Vec<String> = lists.collect();
    let text = format!("a: &a [x,x,x,x,x,x,x,x,x]\n{}", lists.join("\n"));
    let path = format!("{MAPS}/bomb-{number}?fieldManager=flood");
    send("PATCH", &path, APPLY, text)
}

/// An object of 100 KB in a few bytes.
fn yaml(number: usize, round: &str) -> Result<Write> {
    let name = format!("yaml-{}", number % APPLIED);
    let text = format!("{round}-{}", "x".repeat(5_000));
    let aliases: Vec<String> = (1..20).map(|index| format!("a{index}: *a")).collect();
    let aliases = aliases.join(", ");
    let body = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{a0: &a {text}, {aliases}}}}}"
    );
    let path = format!("{MAPS}/{name}");
    let request = send("PATCH", &format!("{path}?fieldManager=flood"), APPLY, body)?;
    let field = "/data/a19".to_owned();
    let made = Made { path, field, text };
    Ok(Write { request, made })
}

fn strategic(number: usize, round: &str) -> Result<Write> {
    let number = number % VARIABLES;
    let variable = json!({"name": format!("E{number}"), "value": round});
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [variable]}]}}}});
    let content_type = "application/strategic-merge-patch+json";
    let request = send("PATCH", LARGE, content_type, patch.to_string())?;
    let made = Made {
        path: LARGE.to_owned(),
        field: format!("/spec/template/spec/containers/0/env/{number}/value"),
        text: round.to_owned(),
    };
    Ok(Write { request, made })
}

fn apply(number: usize, round: &str) -> Result<Write> {
    let manager = format!("m{}", number % MANAGERS);
    let text = format!("{round}-{}", "x".repeat(1_000));
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {&manager: text}});
    let path = format!("{SHARED}?fieldManager={manager}");
    let request = send("PATCH", &path, APPLY, object.to_string())?;
    let made = Made {
        path: SHARED.to_owned(),
        field: format!("/data/{manager}"),
        text,
    };
    Ok(Write { request, made })
}

/// A Deployment of many fields.
pub(super) fn large() -> Value {
    let variables =
        (0..VARIABLES).map(|index| json!({"name": format!("E{index}"), "value": "x".repeat(100)}));
    let variables: Vec<Value> = variables.collect();
    let labels = json!({"app": "large"});
    json!({"metadata": {"name": "large"}, "spec": {"selector": {"matchLabels": labels}, "template": {
        "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x", "env": variables}]}}}})
}
