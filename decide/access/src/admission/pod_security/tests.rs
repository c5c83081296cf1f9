//! Cases of the Pod Security Standards.

use serde_json::{Value, json};

use super::*;
use crate::testing::{Cluster, request};
use crate::user::user;

fn namespace(labels: &Value) -> Object {
    json!({"metadata": {"name": "web", "labels": labels}})
}

fn labelled(mode: &str, level: &str) -> Value {
    json!({format!("pod-security.kubernetes.io/{mode}"): level})
}

fn run(labels: &Value, resource: &str, spec: &Value) -> (Result<(), String>, Vec<String>) {
    let cluster = Cluster::of([("namespaces", namespace(labels))]);
    let user = user("ann", &[]);
    let object = json!({"metadata": {"name": "p", "namespace": "web"}, "spec": spec});
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let request = request(&user, group, plural, object);
    let result = PodSecurity.validate(&request, &cluster);
    (
        result.map_err(|error| error.to_string()),
        PodSecurity.warnings(&request, &cluster),
    )
}

fn plain() -> Value {
    json!({"containers": [{"name": "c", "image": "x"}]})
}

#[test]
fn a_plain_pod_is_no_restricted_one() {
    let (result, _) = run(&labelled("enforce", "restricted"), "pods", &plain());
    assert_eq!(
        result.unwrap_err(),
        "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
    );
    let good = json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]});
    assert_eq!(
        run(&labelled("enforce", "restricted"), "pods", &good).0,
        Ok(())
    );
    assert_eq!(
        run(&labelled("enforce", "baseline"), "pods", &plain()).0,
        Ok(())
    );
}

#[test]
fn each_check_says_who_does_what() {
    let cases = [
        (
            json!({"hostNetwork": true, "hostPID": true}),
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (
            json!({"volumes": [{"name": "v", "hostPath": {}}]}),
            "hostPath volumes (volume \"v\")",
        ),
        (
            json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 443}]}]}),
            "hostPort (container \"c\" uses hostPorts 443, 80)",
        ),
        (
            json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "h"}}}]}),
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"h\")",
        ),
        (
            json!({"containers": [{"name": "a", "securityContext": {"privileged": true}}, {"name": "b", "securityContext": {"privileged": true}}]}),
            "privileged (containers \"a\", \"b\" must not set securityContext.privileged=true)",
        ),
        (
            json!({"containers": [{"name": "c", "securityContext": {"procMount": "Unmasked"}}]}),
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            json!({"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_TIME", "CHOWN"]}}}]}),
            "non-default capabilities (container \"c\" must not include \"SYS_TIME\" in securityContext.capabilities.add)",
        ),
        (
            json!({"securityContext": {"seLinuxOptions": {"type": "t", "user": "u"}}}),
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"t\"; user may not be set)",
        ),
        (
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}),
            "forbidden AppArmor profile (pod must not set AppArmor profile type to \"Unconfined\")",
        ),
        (
            json!({"securityContext": {"sysctls": [{"name": "kernel.x"}, {"name": "net.ipv4.tcp_rmem"}]}}),
            "forbidden sysctls (kernel.x)",
        ),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ];
    for (spec, expected) in cases {
        let (result, _) = run(&labelled("enforce", "baseline"), "pods", &spec);
        assert_eq!(
            result.unwrap_err(),
            format!(
                "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": {expected}"
            )
        );
    }
}

#[test]
fn restricted_checks_name_volumes_and_root() {
    let spec = json!({"volumes": [{"name": "n", "nfs": {}}], "securityContext": {"runAsUser": 0, "runAsNonRoot": false}});
    let (result, _) = run(&labelled("enforce", "restricted"), "pods", &spec);
    assert!(result.unwrap_err().ends_with(
        "restricted volume types (volume \"n\" uses restricted volume type \"nfs\"), runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), runAsUser=0 (pod must not set runAsUser=0)"
    ));
}

#[test]
fn versions_choose_the_checks() {
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.31"});
    let spec = json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}});
    assert_eq!(
        run(&labels, "pods", &spec).0.unwrap_err(),
        "pods \"p\" is forbidden: violates PodSecurity \"baseline:v1.31\": forbidden sysctls (net.ipv4.tcp_rmem)"
    );
}

#[test]
fn templates_and_warned_pods_only_warn() {
    let warning =
        "would violate PodSecurity \"baseline:latest\": host namespaces (hostIPC=true)".to_owned();
    let spec = json!({"hostIPC": true});
    let (result, warnings) = run(&labelled("warn", "baseline"), "pods", &spec);
    assert_eq!((result, warnings), (Ok(()), vec![warning.clone()]));
    let template = json!({"template": {"spec": spec}});
    let (result, warnings) = run(
        &labelled("enforce", "baseline"),
        "deployments.apps",
        &template,
    );
    assert_eq!((result, warnings), (Ok(()), vec![warning]));
    assert_eq!(run(&json!({}), "pods", &spec), (Ok(()), Vec::new()));
}

#[test]
fn labels_must_mean_something() {
    let user = user("ann", &[]);
    let made = request(
        &user,
        "",
        "namespaces",
        namespace(&labelled("enforce", "strict")),
    );
    assert_eq!(
        PodSecurity
            .validate(&made, &Cluster::of([]))
            .unwrap_err()
            .to_string(),
        "Namespace \"web\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted"
    );
    let made = request(
        &user,
        "",
        "namespaces",
        namespace(&labelled("warn-version", "v1.08")),
    );
    assert!(PodSecurity.validate(&made, &Cluster::of([])).is_err());
}

#[test]
fn a_namespace_that_becomes_stricter_tells_which_pods_break_it() {
    let pod = |name: &str, host: bool| {
        (
            "pods",
            json!({"metadata": {"name": name, "namespace": "web"}, "spec": {"hostNetwork": host}}),
        )
    };
    let cluster = Cluster::of([pod("b", true), pod("a", true), pod("c", false)]);
    let user = user("ann", &[]);
    let mut request = request(
        &user,
        "",
        "namespaces",
        namespace(&labelled("enforce", "baseline")),
    );
    request.operation = Operation::Update;
    let old = namespace(&json!({}));
    request.old = Some(&old);
    assert_eq!(
        PodSecurity.warnings(&request, &cluster),
        [
            "existing pods in namespace \"web\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "a (and 1 other pod): host namespaces"
        ]
    );
}

#[test]
fn the_audit_log_is_told_which_policy_held_and_what_breaks_the_one_for_it() {
    let told = |labels: &Value, resource: &str| -> Vec<(&str, String)> {
        let cluster = Cluster::of([("namespaces", namespace(labels))]);
        let user = user("ann", &[]);
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let mut object = json!({"metadata": {"name": "p", "namespace": "web"}});
        object["spec"] = match plural {
            "pods" => plain(),
            _ => json!({"template": {"spec": plain()}}),
        };
        let request = request(&user, group, plural, object);
        PodSecurity.annotations(&request, &cluster)
    };
    let enforced = |policy: &str| (annotation::ENFORCE_POLICY, policy.to_owned());
    assert_eq!(told(&json!({}), "pods"), [enforced("privileged:latest")]);
    assert!(told(&json!({}), "deployments.apps").is_empty());
    let audit = labelled("audit", "restricted");
    let breaks = told(&audit, "pods");
    assert_eq!(breaks[0], enforced("privileged:latest"));
    assert_eq!(breaks[1].0, annotation::AUDIT_VIOLATIONS);
    assert!(
        breaks[1]
            .1
            .starts_with("would violate PodSecurity \"restricted:latest\": allow")
    );
    assert_eq!(told(&audit, "deployments.apps"), breaks[1..]);
    let odd = told(&labelled("audit", "all"), "pods");
    assert_eq!(odd[1].0, annotation::ERROR);
    assert!(odd[1].1.starts_with("Failed to parse policy: "));
}
