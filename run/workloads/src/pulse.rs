//! Whether the cluster answers at all: a watch that is silent looks like a cluster where nothing happens.

use std::time::Duration;

use client::ClientError;
use client::rest::Rest;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::follow::News;

/// Time between two questions; one small request each.
const PULSE: Duration = Duration::from_secs(10);
/// Longest time to an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Tells when the cluster stops to answer, and when it does so again, until nobody listens.
pub(crate) async fn follow(rest: Rest, news: mpsc::Sender<News>) {
    let mut was_silent = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PULSE) => {}
            () = news.closed() => return,
        }
        let silence = silence(&rest).await;
        let is_silent = silence.is_some();
        if is_silent != was_silent && news.send(News::Silent(silence)).await.is_err() {
            return;
        }
        was_silent = is_silent;
    }
}

/// Why the cluster gives no answer; `None`: it gives one, be it a refusal.
async fn silence(rest: &Rest) -> Option<String> {
    match timeout(ANSWER_MAX, rest.get_path("/version")).await {
        Err(_) => Some(format!("no answer within {} s", ANSWER_MAX.as_secs())),
        Ok(Err(error)) if is_silence(&error) => Some(error.to_string()),
        Ok(_) => None,
    }
}

/// A proxy before the cluster answers with 502 to 504 in its place; an answer that is no JSON is one all
/// the same.
fn is_silence(error: &ClientError) -> bool {
    let is_unreachable = match error {
        ClientError::Unreachable(error) => !matches!(**error, kube::Error::SerdeError(_)),
        _ => false,
    };
    is_unreachable || matches!(error.code(), 502..=504)
}
