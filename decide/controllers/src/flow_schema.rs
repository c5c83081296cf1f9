//! Whether the priority level that a FlowSchema names is there: the condition `Dangling`.
//!
//! Source: apiserver `pkg/util/flowcontrol/apf_controller.go`, `presyncFlowSchemaStatus`.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::update_status;
use crate::condition;
use crate::controller::{Controller, Decision};
use crate::resources::{FLOW_SCHEMAS, PRIORITY_LEVELS};
use crate::snapshot::Snapshot;

/// Source: `flowcontrol/v1 FlowSchemaConditionDangling`.
const DANGLING: &str = "Dangling";

/// The controller of what FlowSchemas refer to.
#[derive(Debug)]
pub struct FlowSchema;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The schema.
    pub schema: Arc<Object>,
    /// Whether its priority level is there.
    pub has_level: bool,
}

impl Controller for FlowSchema {
    type Observed = Observed;
    /// Source: `apf_controller.go`, `ConfigConsumerAsFieldManager`.
    const NAME: &'static str = "api-priority-and-fairness-config-consumer-v1";
    const SUBJECT: Resource = FLOW_SCHEMAS;
    const WATCHES: &'static [Resource] = &[FLOW_SCHEMAS, PRIORITY_LEVELS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == FLOW_SCHEMAS {
            return vec![object.key()];
        }
        let schemas = snapshot.list(&FLOW_SCHEMAS, "");
        let naming = schemas
            .iter()
            .filter(|schema| level_of(schema) == object.name());
        naming.map(|schema| schema.key()).collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let schema = snapshot.get(&FLOW_SCHEMAS, key)?;
        let level = Key::new("", level_of(&schema));
        Some(Observed {
            has_level: snapshot.get(&PRIORITY_LEVELS, &level).is_some(),
            schema,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let level = level_of(&seen.schema);
        let refers = format!(
            "This FlowSchema references the PriorityLevelConfiguration object named \"{level}\""
        );
        let (status, reason, message) = if seen.has_level {
            ("False", "Found", format!("{refers} and it exists"))
        } else {
            (
                "True",
                "NotFound",
                format!("{refers} but there is no such object"),
            )
        };
        let mut right = seen
            .schema
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        let said = |known: &Value| {
            known.str_at(&["status"]) == Some(status)
                && known.str_at(&["reason"]) == Some(reason)
                && known.str_at(&["message"]) == Some(&message)
        };
        if !condition::find(&right, DANGLING).is_some_and(said) {
            let time = meta::time::to_rfc3339(now);
            let one = json!({ "type": DANGLING, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": time });
            condition::put(&mut right, one);
        }
        Decision {
            actions: update_status(&FLOW_SCHEMAS, &seen.schema, &right)
                .into_iter()
                .collect(),
            ..Decision::default()
        }
    }
}

fn level_of(schema: &Object) -> &str {
    schema
        .str_at(&["spec", "priorityLevelConfiguration", "name"])
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, time};

    #[test]
    fn a_schema_dangles_as_long_as_its_level_is_not_there() {
        let level = json!({ "metadata": { "name": "slow" } });
        let schema = json!({
            "metadata": { "name": "mine" },
            "spec": { "priorityLevelConfiguration": { "name": "slow" } },
        });
        let mut world = World::new([(FLOW_SCHEMAS, schema)]);
        let key = Key::new("", "mine");
        let dangling = |world: &World| {
            let schema = world.get(&FLOW_SCHEMAS, &key).unwrap();
            let one = &schema["status"]["conditions"][0];
            (one["status"].clone(), one["lastTransitionTime"].clone())
        };
        world.settle::<FlowSchema>(&key, time(0));
        let (status, since) = dangling(&world);
        assert_eq!(status, "True");
        assert!(world.settle::<FlowSchema>(&key, time(5)).is_empty());
        assert_eq!(dangling(&world).1, since);
        world.put(&PRIORITY_LEVELS, level.clone());
        assert_eq!(
            FlowSchema::concerns(&world, &PRIORITY_LEVELS, &level),
            std::slice::from_ref(&key)
        );
        world.settle::<FlowSchema>(&key, time(9));
        assert_eq!(dangling(&world).0, "False");
    }
}
