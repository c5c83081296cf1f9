//! Large work takes turns: more than may wait is told to come back, and small work goes on.

use futures::future::{FutureExt, LocalBoxFuture, join};
use sampan_apiserver::config::Limits;
use serde_json::{Value, json};

use crate::server::{Answer, Talk};

const MAPS: &str = "/api/v1/namespaces/web/configmaps";
/// More than is soon done.
const LARGE_BYTES: usize = 70 << 10;
/// A list of more objects than this is large.
const OBJECTS: usize = 1_000;

/// A server whose writes take time, with one place for large work of each class.
async fn narrow() -> Talk {
    let talk = Talk::late_with(Limits {
        reads_max: 3,
        writes_max: 3,
        long_running_max: 3,
        ..Limits::upstream()
    });
    let talk = talk.await;
    let large = json!({"metadata": {"name": "large"}, "data": {"a": "x".repeat(LARGE_BYTES)}});
    for made in [large, json!({"metadata": {"name": "small"}})] {
        talk.post(MAPS, made).await.expect(201);
    }
    talk
}

/// The code of the second of two requests, of which the first holds the place of its class.
fn beside<'a>(
    first: impl Future<Output = Answer> + 'a,
    second: impl Future<Output = Answer> + 'a,
) -> LocalBoxFuture<'a, u16> {
    let (first, second) = (first.boxed_local(), second.boxed_local());
    let code = async {
        let (first, second) = join(first, second).await;
        assert!(matches!(first.code, 200 | 201), "{}", first.body);
        second.code
    };
    code.boxed_local()
}

fn map(name: &str, bytes: usize) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "x".repeat(bytes)}})
}

#[tokio::test(start_paused = true)]
async fn writes_that_may_be_long_take_turns() {
    let talk = narrow().await;
    let (large, small) = (format!("{MAPS}/large"), format!("{MAPS}/small"));
    let yaml = "application/yaml";
    let label = |value: &str| json!({"metadata": {"labels": {"a": value}}});
    // Each is told that the place is taken by the one before it, which shows that both are large.
    let posted = beside(
        talk.post(MAPS, map("a", LARGE_BYTES)),
        talk.post(MAPS, map("b", LARGE_BYTES)),
    );
    assert_eq!(posted.await, 429);
    let patched = beside(
        talk.patch("merge", &large, label("1")),
        talk.put(&large, map("large", 1)),
    );
    assert_eq!(patched.await, 429);
    talk.put(&large, map("large", LARGE_BYTES))
        .await
        .expect(200);
    let aliases = "{metadata: {name: c}, data: {a: &a x, b: *a}}";
    let applied = beside(
        talk.patch("merge", &large, label("2")),
        talk.send("POST", MAPS, yaml, aliases),
    );
    assert_eq!(applied.await, 429);
    let copied = json!([{"op": "copy", "from": "/metadata/name", "path": "/metadata/labels"}]);
    let copied = beside(
        talk.patch("merge", &large, label("3")),
        talk.patch("json", &small, copied),
    );
    assert_eq!(copied.await, 429);
    // What is small waits for none of them.
    let created = beside(
        talk.patch("merge", &large, label("4")),
        talk.post(MAPS, map("d", 1)),
    );
    assert_eq!(created.await, 201);
    let patched = beside(
        talk.patch("merge", &large, label("5")),
        talk.patch("merge", &small, label("5")),
    );
    assert_eq!(patched.await, 200);
    let plain = "{metadata: {name: e}, data: {a: x}}";
    let plain = beside(
        talk.patch("merge", &large, label("6")),
        talk.send("POST", MAPS, yaml, plain),
    );
    assert_eq!(plain.await, 201);
}

#[tokio::test(start_paused = true)]
async fn lists_that_may_be_long_take_turns() {
    let talk = &narrow().await;
    for name in 2..OBJECTS {
        talk.post(MAPS, map(&format!("m{name}"), 1))
            .await
            .expect(201);
    }
    // Holds the place until the wait for what does not come is over.
    let late = format!("{MAPS}?resourceVersion=1000000&resourceVersionMatch=NotOlderThan");
    let second = |path: String| {
        let first = talk.get(&late).boxed_local();
        let second = async move { talk.get(&path).await.code };
        let code = async {
            let (first, second) = join(first, second.boxed_local()).await;
            assert_eq!(first.code, 504);
            second
        };
        code.boxed_local()
    };
    let values: Vec<String> = (0..1_000).map(|value| format!("v{value}")).collect();
    let selected = format!(
        "/api/v1/nodes?labelSelector=a%20in%20({})",
        values.join(",")
    );
    assert_eq!(second(MAPS.into()).await, 200, "as many as are soon listed");
    assert_eq!(second("/api/v1/nodes".into()).await, 200);
    talk.post(MAPS, map("one-more", 1)).await.expect(201);
    assert_eq!(second(MAPS.into()).await, 429);
    assert_eq!(second(selected).await, 429);
    assert_eq!(second("/api/v1/nodes".into()).await, 200);
    assert_eq!(second(format!("{MAPS}/small")).await, 200);
}
