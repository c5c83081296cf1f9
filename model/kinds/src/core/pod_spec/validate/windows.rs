//! What is wrong with what a pod says for Windows.

use meta::{FieldError, names};
use serde_json::Value;

use crate::check::{Errors, Node};

const SPEC_KIB_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 256;
const USER_BYTES_MAX: usize = 104;
const NET_BIOS_CHARS_MAX: usize = 15;
const LABEL_BYTES_MAX: usize = 63;

/// Source: `validateWindowsSecurityContextOptions`.
pub(super) fn options(options: &Node<'_>, errors: &mut Errors) {
    if options.has("gmsaCredentialSpecName") {
        let name = options.text("gmsaCredentialSpecName");
        let complaints = names::dns1123_subdomain(name);
        options.complain("gmsaCredentialSpecName", complaints, errors);
    }
    if options.has("gmsaCredentialSpec") {
        let (path, text) = (
            options.at("gmsaCredentialSpec"),
            options.text("gmsaCredentialSpec"),
        );
        if text.is_empty() {
            let why = "gmsaCredentialSpec cannot be an empty string";
            errors.push(FieldError::invalid(&path, text, why));
        } else if text.len() > SPEC_KIB_MAX * 1024 {
            let why = format!("gmsaCredentialSpec size must be under {SPEC_KIB_MAX} KiB");
            errors.push(FieldError::invalid(&path, text, why));
        }
    }
    if options.has("runAsUserName") {
        let name = options.text("runAsUserName");
        let complaints = user_name(name).into_iter();
        let path = options.at("runAsUserName");
        errors.extend(
            complaints.map(|why| FieldError::invalid(&path, name, format!("runAsUserName{why}"))),
        );
    }
}

/// What is wrong with a user, or a domain and a user; each goes on behind `runAsUserName`.
fn user_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec![" cannot be an empty string".to_owned()];
    }
    if name.chars().any(|c| c.is_ascii_control()) {
        return vec![" cannot contain control characters".to_owned()];
    }
    let (domain, user) = match name.split_once('\\') {
        Some((_, user)) if user.contains('\\') => {
            return vec![" cannot contain more than one backslash".to_owned()];
        }
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let mut complaints = Vec::new();
    if domain.is_some_and(|domain| domain.len() >= DOMAIN_BYTES_MAX) {
        complaints.push(format!(
            "'s Domain length must be under {DOMAIN_BYTES_MAX} characters"
        ));
    }
    if domain.is_some_and(|domain| !is_net_bios(domain) && !is_dns(domain)) {
        complaints.push("'s Domain doesn't match the NetBios nor the DNS format".to_owned());
    }
    if user.is_empty() {
        complaints.push("'s User cannot be empty".to_owned());
    } else if user.len() > USER_BYTES_MAX {
        complaints.push(format!(
            "'s User length must not be longer than {USER_BYTES_MAX} characters"
        ));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        complaints.push("'s User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(|c| "\"/\\:;|=,+*?<>@[]".contains(c)) {
        complaints
            .push("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]".to_owned());
    }
    complaints
}

fn is_net_bios(domain: &str) -> bool {
    let is_bad = |c: char| "\\/:*?\"<>|".contains(c);
    let count = domain.chars().count();
    (1..=NET_BIOS_CHARS_MAX).contains(&count)
        && !domain.starts_with('.')
        && !domain.contains(is_bad)
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// Source: `validateWindowsHostProcessPod`.
pub(super) fn host_process(spec: &Node<'_>, errors: &mut Errors) {
    let of = |holder: &Node<'_>| -> Option<bool> {
        let options = holder.child("securityContext").child("windowsOptions");
        options.value.get("hostProcess").and_then(Value::as_bool)
    };
    let of_pod = of(spec);
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers: Vec<Node<'_>> = lists.iter().flat_map(|list| spec.items(list)).collect();
    let mut some = 0;
    for container in &containers {
        let own = of(container);
        if let Some((pod, own)) = of_pod.zip(own)
            && pod != own
        {
            let options = container.at("securityContext").child("windowsOptions");
            let why =
                format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errors.push(FieldError::invalid(&options.child("hostProcess"), own, why));
        }
        some += usize::from(own.or(of_pod) == Some(true));
    }
    if some == 0 {
        return;
    }
    if some != containers.len() {
        let why = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(FieldError::invalid(&spec.path, "", why));
    }
    if !spec.flag("hostNetwork") {
        let why = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(FieldError::invalid(&spec.at("hostNetwork"), false, why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn users_may_have_a_domain() {
        for good in ["x", "NT AUTHORITY\\SYSTEM", "a.example.com\\x y"] {
            assert!(user_name(good).is_empty(), "{good}");
        }
        assert_eq!(
            user_name("a\\b\\c"),
            [" cannot contain more than one backslash"]
        );
        assert_eq!(
            user_name("..."),
            ["'s User cannot contain only periods or spaces"]
        );
        assert_eq!(
            user_name("a/b"),
            ["'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"]
        );
        assert_eq!(user_name("-a-very-long-domain\\x").len(), 1);
    }

    #[test]
    fn host_processes_are_all_or_none() {
        let spec = json!({"containers": [{"securityContext": {"windowsOptions": {"hostProcess": true}}}, {}]});
        let mut errors = Errors::new();
        host_process(&Node::root(&spec), &mut errors);
        assert_eq!(errors.len(), 2);
    }
}
