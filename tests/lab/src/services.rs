//! Which services run, and what each is told beyond the configuration file.

use std::ffi::OsString;

use nix::sys::signal::Signal;

use crate::forest::{FORESTS, ForestPlan};
use crate::place::{AUDIT_PORTS, FIRST_ADMIN_PORT, INTAKE_PORTS, Place};
use crate::process::Recipe;
use crate::{broker, certificates, configuration, seals};

pub(crate) const WRITERS_PER_FOREST: usize = 2;
const RESOLVERS: usize = 2;

struct Instance {
    kind: &'static str,
    name: String,
    broker_user: String,
    environment: Vec<(String, OsString)>,
}

fn instances(place: &Place) -> Vec<Instance> {
    let numbered = |kind: &'static str, number: usize, environment| Instance {
        kind,
        name: format!("{kind}-{number}"),
        broker_user: kind.to_owned(),
        environment,
    };
    let listens =
        |key: &str, port: u16| vec![(key.to_owned(), OsString::from(format!("127.0.0.1:{port}")))];
    let mut all = Vec::new();
    for (number, port) in (1..).zip(AUDIT_PORTS) {
        all.push(numbered(
            "audit",
            number,
            listens("WRITEBACK_AUDIT__LISTEN", port),
        ));
    }
    for number in 1..=RESOLVERS {
        let state = place.path(format!("state/resolver-{number}"));
        all.push(numbered(
            "resolver",
            number,
            vec![(
                "WRITEBACK_RESOLVER__STATE_DIRECTORY".to_owned(),
                state.into(),
            )],
        ));
    }
    for forest in &FORESTS {
        all.extend(writers(place, forest));
    }
    for (number, port) in (1..).zip(INTAKE_PORTS) {
        all.push(numbered(
            "intake",
            number,
            listens("WRITEBACK_INTAKE__LISTEN", port),
        ));
    }
    all
}

fn writers(place: &Place, forest: &ForestPlan) -> impl Iterator<Item = Instance> {
    (1..=WRITERS_PER_FOREST).map(|number| Instance {
        kind: "writer",
        name: format!("{}{number}", writers_prefix(forest)),
        broker_user: format!("writer-{}", forest.id),
        environment: vec![
            ("WRITEBACK_WRITER__FOREST".to_owned(), forest.id.into()),
            (
                "WRITEBACK_SEALING__PRIVATE_KEYS_DIRECTORY".to_owned(),
                seals::private_keys_directory(place, forest.id).into(),
            ),
        ],
    })
}

/// How the names of this forest's writers begin.
pub(crate) fn writers_prefix(forest: &ForestPlan) -> String {
    format!("writer-{}-", forest.id)
}

/// In the order in which they start.
pub(crate) fn recipes(place: &Place) -> Vec<Recipe> {
    (FIRST_ADMIN_PORT..)
        .zip(instances(place))
        .map(|(admin_port, instance)| recipe(place, admin_port, instance))
        .collect()
}

/// The writers of a forest that is added; their ports come after everybody's.
pub(crate) fn added_writers(place: &Place, forest: &ForestPlan) -> Vec<Recipe> {
    (FIRST_ADMIN_PORT..)
        .skip(instances(place).len())
        .zip(writers(place, forest))
        .map(|(admin_port, instance)| recipe(place, admin_port, instance))
        .collect()
}

fn recipe(place: &Place, admin_port: u16, instance: Instance) -> Recipe {
    let Instance {
        kind,
        name,
        broker_user,
        mut environment,
    } = instance;
    let admin = format!("127.0.0.1:{admin_port}");
    environment.extend([
        ("WRITEBACK_SERVICE__NAME".to_owned(), OsString::from(&name)),
        (
            "WRITEBACK_SERVICE__ADMIN_LISTEN".to_owned(),
            OsString::from(&admin),
        ),
        (
            "WRITEBACK_BROKER__USERNAME".to_owned(),
            OsString::from(&broker_user),
        ),
        (
            "WRITEBACK_BROKER__PASSWORD_FILE".to_owned(),
            broker::password_file(place, &broker_user).into(),
        ),
    ]);
    if certificates::ASKING.contains(&kind) {
        let (certificate, key) = certificates::of_service(place, kind);
        environment.extend([
            (
                "WRITEBACK_LEDGER__CERTIFICATE_FILE".to_owned(),
                certificate.into(),
            ),
            ("WRITEBACK_LEDGER__KEY_FILE".to_owned(), key.into()),
        ]);
    }
    Recipe {
        log: place.log(&name),
        name,
        user: None,
        program: place.binary(&format!("writeback-{kind}")),
        arguments: vec!["--config".into(), configuration::file(place).into()],
        environment,
        stop_signal: Signal::SIGTERM,
        admin: Some(format!("http://{admin}")),
    }
}
