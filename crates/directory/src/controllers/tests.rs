use std::collections::BTreeSet;

use super::*;
use crate::{credentials::Credentials, srv::Record, trust::Trust};

fn controllers(topology: &Topology, listed: &[&str]) -> Controllers {
    let authority = rcgen::generate_simple_self_signed(vec!["dc".to_owned()]).unwrap();
    let blueprint = Blueprint {
        trust: Arc::new(Trust::new(authority.cert.pem().as_bytes()).unwrap()),
        credentials: Arc::new(Credentials::new("svc".to_owned(), "secret".into())),
        connections: 1,
        time_out: Duration::from_millis(10),
        dns: None,
        opened: Arc::default(),
    };
    let endpoint = |host: &str| format!("ldaps://{host}").parse::<Endpoint>().unwrap();
    let listed = listed.iter().map(|host| endpoint(host)).collect();
    let referred = topology.referral_hosts.iter().map(|host| endpoint(host));
    Controllers::new(blueprint, listed, referred.collect(), topology)
}

fn announced(hosts: &[(u16, &str)], own_site: &[&str], pdc: &str) -> Announced {
    Announced {
        controllers: hosts
            .iter()
            .map(|(priority, host)| Record {
                priority: *priority,
                weight: 100,
                target: (*host).to_owned(),
            })
            .collect(),
        own_site: own_site.iter().map(|host| (*host).to_owned()).collect(),
        pdc: Some(pdc.to_owned()),
    }
}

async fn order(controllers: &Controllers, wanted: For<'_>) -> Vec<String> {
    let pools = controllers.wanted(wanted).await.unwrap();
    let hosts = pools.iter().map(|pool| pool.endpoint.host().to_owned());
    hosts.collect()
}

fn with(choice: ControllerChoice) -> Topology {
    Topology {
        choice,
        site: Some("Zurich".to_owned()),
        referral_hosts: vec!["dc9.example.org".to_owned()],
        ..Topology::default()
    }
}

fn pool(controllers: &Controllers, host: &str) -> Arc<Pool> {
    controllers.at(&format!("ldaps://{host}:636")).unwrap()
}

fn root(controllers: &Controllers, host: &str, site: &str, milliseconds: i64, capability: &str) {
    let sent = OffsetDateTime::now_utc();
    pool(controllers, host).observe(crate::RootDse {
        domain_controller: host.to_owned(),
        dns_host_name: Some(format!("{host}.corp.example.com")),
        default_naming_context: None,
        ds_service_name: Some(format!("CN=NTDS Settings,CN={host},CN=Servers,CN={site}")),
        site: Some(site.to_owned()),
        current_time: sent,
        supported_control: BTreeSet::new(),
        supported_capabilities: BTreeSet::from([capability.to_owned()]),
        domain_controller_functionality: Some(7),
        domain_functionality: Some(7),
        forest_functionality: Some(7),
        is_synchronized: Some(true),
        is_global_catalog_ready: Some(true),
        sent,
        received: sent + time::Duration::milliseconds(milliseconds),
    });
}

fn fails(controllers: &Controllers, host: &str) {
    let error = DirectoryError::Unavailable {
        endpoint: host.to_owned(),
        cause: "it is down".to_owned(),
    };
    pool(controllers, host).failed(crate::breaker::Failure::Unanswered, &error);
}

#[tokio::test]
async fn listed_are_asked_in_the_order_given() {
    let known = controllers(&with(ControllerChoice::Listed), &["c", "a", "b"]);
    root(&known, "b", "Zurich", 1, "");
    pool(&known, "a").facts.set_pdc(true);
    assert_eq!(order(&known, For::Reading).await, ["c", "a", "b"]);
}

#[tokio::test]
async fn the_pdc_emulator_is_asked_first_then_our_site() {
    let known = controllers(&with(ControllerChoice::PdcFirst), &["c", "a", "b"]);
    for (host, site) in [("a", "Geneva"), ("b", "zurich"), ("c", "Geneva")] {
        root(&known, host, site, 1, "");
    }
    known.pdc_is("cn=ntds settings,CN=A,CN=Servers,CN=Geneva");
    assert_eq!(order(&known, For::Writing).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn the_nearest_is_of_our_site_then_of_low_priority_then_quick() {
    let known = controllers(&with(ControllerChoice::Nearest), &[]);
    let hosts = [(0, "a"), (0, "b"), (9, "c"), (9, "d")];
    known.adopt(announced(&hosts, &["d"], "c"), |_| 0);
    root(&known, "a", "Geneva", 90, "");
    root(&known, "b", "Geneva", 2, "");
    assert_eq!(order(&known, For::Reading).await, ["d", "b", "a", "c"]);
}

#[tokio::test]
async fn one_that_fails_is_asked_last() {
    let known = controllers(&with(ControllerChoice::Listed), &["a", "b", "c"]);
    fails(&known, "a");
    pool(&known, "b").rest();
    assert_eq!(order(&known, For::Writing).await, ["c", "b", "a"]);
    assert!(pool(&known, "a").admit().is_err());
    pool(&known, "a").answered();
    assert_eq!(order(&known, For::Writing).await, ["a", "c", "b"]);
}

#[tokio::test]
async fn one_that_is_read_only_is_not_written_to() {
    let known = controllers(&with(ControllerChoice::Listed), &["a", "b"]);
    root(&known, "a", "Zurich", 1, "1.2.840.113556.1.4.1920");
    assert_eq!(order(&known, For::Reading).await, ["a", "b"]);
    assert_eq!(order(&known, For::Writing).await, ["b"]);
    let perhaps = known.perhaps_written_at();
    assert_eq!(perhaps, ["ldaps://b:636", "ldaps://dc9.example.org:636"]);
    pool(&known, "b").facts.set_read_only(true);
    let error = known.wanted(For::Writing).await.unwrap_err();
    assert!(
        matches!(error, DirectoryError::Misconfigured { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn what_dns_no_longer_announces_is_no_longer_chosen_but_still_known() {
    let known = controllers(&with(ControllerChoice::PdcFirst), &[]);
    known.adopt(announced(&[(0, "a"), (0, "b")], &[], "b"), |_| 0);
    assert_eq!(order(&known, For::Writing).await, ["b", "a"]);
    let stays = pool(&known, "b");
    known.adopt(announced(&[(0, "b"), (0, "c")], &[], "b"), |_| 0);
    assert!(Arc::ptr_eq(&stays, &pool(&known, "b")), "made anew");
    assert_eq!(order(&known, For::Writing).await, ["b", "c"]);
    assert!(
        known
            .perhaps_written_at()
            .contains(&"ldaps://a:636".to_owned())
    );
    assert_eq!(order(&known, For::At("ldaps://a:636")).await, ["a"]);
}

#[tokio::test]
async fn a_failing_look_keeps_what_was_known() {
    let known = controllers(&with(ControllerChoice::PdcFirst), &[]);
    known.not_found("DNS is away".to_owned());
    let error = known.wanted(For::Reading).await.unwrap_err().to_string();
    assert!(error.contains("DNS is away"), "{error}");
    known.adopt(announced(&[(0, "a")], &[], "a"), |_| 0);
    known.not_found("DNS is away".to_owned());
    assert_eq!(order(&known, For::Writing).await, ["a"]);
}

#[tokio::test]
async fn a_referral_leads_to_the_known_alone() {
    let known = controllers(&with(ControllerChoice::Listed), &["a", "10.0.0.1"]);
    root(&known, "10.0.0.1", "Zurich", 1, "");
    let to = |url: &str| {
        let found = known.referred_to(&[url.to_owned()]);
        found.map(|pool| pool.endpoint.host().to_owned())
    };
    assert_eq!(to("ldap://A/CN=Ana"), Ok("a".to_owned()));
    assert_eq!(
        to("ldap://dc9.example.org"),
        Ok("dc9.example.org".to_owned())
    );
    // by the name it gives itself
    let named = "ldap://10.0.0.1.corp.example.com/";
    assert_eq!(to(named), Ok("10.0.0.1".to_owned()));
    for stranger in ["ldap://b/CN=Ana", "ldaps://a:6636", "https://a/"] {
        assert!(to(stranger).is_err(), "{stranger}");
    }
}
