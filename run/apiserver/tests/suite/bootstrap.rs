//! What a server makes at its first start, beside what a stock server makes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::server::Talk;

const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/recordings/bootstrap-objects.json"
);

/// Objects by namespace and name, without what differs from start to start.
fn by_name(objects: &[Value]) -> BTreeMap<String, Value> {
    let bare = objects.iter().map(|object| {
        let mut object = object.clone();
        let fields = object.as_object_mut().unwrap();
        for field in ["apiVersion", "kind", "status"] {
            fields.remove(field);
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        for field in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "generation",
        ] {
            metadata.remove(field);
        }
        let name = format!(
            "{}/{}",
            object["metadata"]["namespace"], object["metadata"]["name"]
        );
        (name, object)
    });
    bare.collect()
}

#[tokio::test]
async fn a_first_start_makes_what_a_stock_server_makes() {
    let talk = Talk::new().await;
    talk.delete("/api/v1/namespaces/web", Value::Null).await;
    talk.server.bootstrap(Vec::new()).await.unwrap();
    talk.server.bootstrap(Vec::new()).await.unwrap();
    let recorded: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    for (path, theirs) in recorded {
        let ours = talk.get(&path).await.expect(200);
        let mut ours = by_name(ours["items"].as_array().unwrap());
        let mut theirs = by_name(&theirs);
        // The test's own namespace; the accounts that the controller makes.
        ours.retain(|name, _| !name.contains("\"web\""));
        theirs
            .retain(|name, _| !path.ends_with("serviceaccounts") || !name.ends_with("\"default\""));
        for (name, theirs) in &theirs {
            assert_eq!(ours.get(name), Some(theirs), "{path} {name}");
        }
        assert_eq!(ours.len(), theirs.len(), "{path}");
    }
}
