//! Requests per second of each verb, with few and with many clients.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures::future::try_join_all;
use meta::ObjectExt;
use serde_json::json;
use testkit::connection::Body;

use crate::report::{Better, Figure, median, percentile, show};
use crate::request::{self, applied, map, maps, pod, pods, send};
use crate::{Server, settle};

/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(2);
/// How often; the servers take turns.
const ROUNDS: usize = 3;
const CLIENTS: [usize; 3] = [1, 16, 64];
const VERBS: [Verb; 6] = [
    Verb::Create,
    Verb::Get,
    Verb::Update,
    Verb::Apply,
    Verb::Delete,
    Verb::CreatePod,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Get,
    Update,
    Apply,
    Delete,
    CreatePod,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create ConfigMap",
            Self::Get => "get ConfigMap",
            Self::Update => "update ConfigMap",
            Self::Apply => "apply ConfigMap",
            Self::Delete => "delete ConfigMap",
            Self::CreatePod => "create Pod",
        }
    }

    /// The request for an object; `turn` differs from request to request, so that no write is one that changes nothing.
    fn request(self, namespace: &str, name: &str, turn: usize) -> Result<http::Request<Body>> {
        let (json, of) = ("application/json", format!("{}/{name}", maps(namespace)));
        match self {
            Self::Create => send("POST", &maps(namespace), json, &map(name)),
            Self::Get => request::get(&of, json),
            Self::Update => {
                let mut object = map(name);
                object.set(&["data", "turn"], turn.to_string().into());
                send("PUT", &of, json, &object)
            }
            Self::Apply => {
                let path = format!("{of}?fieldManager=bench&force=true");
                send(
                    "PATCH",
                    &path,
                    "application/apply-patch+yaml",
                    &applied(name, turn),
                )
            }
            Self::Delete => send("DELETE", &of, json, &json!({})),
            Self::CreatePod => send("POST", &pods(namespace), json, &pod(name)),
        }
    }

    /// Whether it makes or ends objects, so that each is asked for once.
    fn is_once(self) -> bool {
        matches!(self, Self::Create | Self::Delete | Self::CreatePod)
    }
}

/// Measures every verb on every server.
pub(crate) async fn measure(servers: &[Server]) -> Result<()> {
    for clients in CLIENTS {
        let mut figures = vec![vec![Vec::new(); VERBS.len()]; servers.len()];
        for round in 0..ROUNDS {
            for (server, figures) in servers.iter().zip(&mut figures) {
                let namespace = format!("rates-{clients}-{round}");
                request::namespace(&mut server.dialer.open().await?, &namespace).await?;
                let mut made = vec![usize::MAX; clients];
                for (verb, figures) in VERBS.iter().zip(figures) {
                    settle(servers).await?;
                    let (figure, done) = rate(server, *verb, &namespace, &made).await?;
                    if *verb == Verb::Create {
                        made = done;
                    }
                    figures.push(figure);
                }
            }
        }
        for (index, verb) in VERBS.iter().enumerate() {
            let middle = |figures: &Vec<Vec<Figure>>| median(figures.get(index)?.clone());
            let what = format!("{}, {clients} clients", verb.name());
            show(&what, Better::More, figures.iter().filter_map(middle));
        }
    }
    Ok(())
}

/// The rate of one verb, and how many objects each client went through. `made` is how many there are for each.
async fn rate(
    server: &Server,
    verb: Verb,
    namespace: &str,
    made: &[usize],
) -> Result<(Figure, Vec<usize>)> {
    let begun = Instant::now();
    let worker = |(worker, made): (usize, &usize)| {
        let made = if verb == Verb::CreatePod {
            usize::MAX
        } else {
            *made
        };
        async move {
            let mut client = server.dialer.open().await?;
            let mut times = Vec::new();
            while begun.elapsed() < SPAN && !(verb.is_once() && times.len() == made) {
                let name = format!("object-{worker}-{}", times.len() % made);
                let request = verb.request(namespace, &name, times.len())?;
                let sent = Instant::now();
                let (code, _) = client.answer(request).await?;
                anyhow::ensure!(code < 300, "{} answered {code}", verb.name());
                times.push(sent.elapsed());
            }
            anyhow::Ok((times, begun.elapsed()))
        }
    };
    let done = try_join_all(made.iter().enumerate().map(worker)).await?;
    let counts = done.iter().map(|(times, _)| times.len()).collect();
    let span = done.iter().map(|(_, elapsed)| *elapsed).max();
    let span = span.unwrap_or(SPAN).as_secs_f64();
    let mut times: Vec<Duration> = done.into_iter().flat_map(|(times, _)| times).collect();
    let value = f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)) / span;
    let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    let text = format!("{value:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms");
    Ok((Figure { text, value }, counts))
}
