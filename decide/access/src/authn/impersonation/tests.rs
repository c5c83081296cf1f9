//! What is needed to become whom, way by way.

use super::*;

fn request(caller: User) -> Attributes {
    let asks = Asks {
        mode: Mode::Legacy,
        caller,
    };
    Attributes {
        verb: "list".into(),
        ..asks.check("", "pods", "", "")
    }
}

/// The checks of each way, as `verb resource name`.
fn asked(wanted: &Wanted, caller: User) -> Vec<Vec<String>> {
    let ways = wanted.ways(&request(caller)).unwrap();
    let show = |check: &Attributes| {
        let resource = check.combined_resource();
        format!("{} {resource} {}", check.verb, check.name)
    };
    ways.iter()
        .map(|way| way.checks.iter().map(show).collect())
        .collect()
}

#[test]
fn each_part_is_a_permission_of_its_own() {
    let wanted = Wanted {
        user: "system:serviceaccount:web:bot".into(),
        groups: vec!["dev".into()],
        uid: "u".into(),
        extra: BTreeMap::from([("scopes".into(), vec!["a".into()])]),
    };
    let checks = [
        "impersonate serviceaccounts bot",
        "impersonate uids u",
        "impersonate groups dev",
        "impersonate userextras/scopes a",
    ];
    assert_eq!(asked(&wanted, user::user("ann", &[])), [checks]);
    let groups = wanted.user_by(Mode::Legacy).groups;
    assert_eq!(groups, ["dev", "system:authenticated"]);
}

#[test]
fn the_narrow_ways_come_first_and_ask_for_the_request_too() {
    let named = |name: &str| Wanted {
        user: name.into(),
        ..Wanted::default()
    };
    let ann = || user::user("ann", &[]);
    assert_eq!(
        asked(&named("bob"), ann()),
        [
            vec![
                "impersonate-on:user-info:list pods ",
                "impersonate:user-info users bob"
            ],
            vec!["impersonate users bob"],
        ]
    );
    assert_eq!(
        asked(&named("system:serviceaccount:web:bot"), ann())[0][1],
        "impersonate:serviceaccount serviceaccounts bot"
    );
    let mut agent = user::service_account("web", "agent");
    agent.extra.insert(NODE_NAME.into(), vec!["n1".into()]);
    let ways = asked(&named("system:node:n1"), agent.clone());
    let first: Vec<&str> = ways
        .iter()
        .map(|way| way[1.min(way.len() - 1)].as_str())
        .collect();
    assert_eq!(
        first,
        [
            "impersonate:associated-node nodes *",
            "impersonate:arbitrary-node nodes n1",
            "impersonate users system:node:n1"
        ]
    );
    assert_eq!(asked(&named("system:node:n2"), agent).len(), 2);
    let ways = named("system:node:n1").ways(&request(ann())).unwrap();
    let groups: Vec<_> = ways
        .into_iter()
        .map(|way| way.user.unwrap().groups)
        .collect();
    assert_eq!(groups[0], ["system:nodes", "system:authenticated"]);
    assert_eq!(groups[1], ["system:authenticated"]);
}

#[test]
fn masters_are_made_in_the_old_way_alone() {
    let wanted = Wanted {
        user: "bob".into(),
        groups: vec![user::MASTERS.into()],
        ..Wanted::default()
    };
    let ways = wanted.ways(&request(user::user("ann", &[]))).unwrap();
    let may: Vec<bool> = ways.iter().map(|way| way.user.is_ok()).collect();
    assert_eq!(may, [false, true]);
}

#[test]
fn a_group_alone_cannot_be_impersonated() {
    let wanted = Wanted {
        groups: vec!["dev".into()],
        ..Wanted::default()
    };
    assert_eq!(
        wanted.ways(&request(user::anonymous())).unwrap_err().code(),
        400
    );
}
