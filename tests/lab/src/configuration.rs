//! `config.toml`: the one file every service of the lab reads.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::forest::{FORESTS, ForestPlan};
use crate::place::{AMQP_PORT, AUDIT_PORTS, POSTGRES_PORT, Place, TRACES_PORT};
use crate::{broker, database, seals, secret, tokens};

pub(crate) fn file(place: &Place) -> PathBuf {
    place.path("config.toml")
}

fn audit_signing_key(place: &Place) -> PathBuf {
    place.path("keys/audit-signing.pem")
}

fn forest(place: &Place, forest: &ForestPlan) -> anyhow::Result<Value> {
    for account in ["svc-writeback", "svc-writeback-read"] {
        secret::password(&forest.password_file(place, account))?;
    }
    Ok(json!({
        "id": forest.id,
        "ca_file": forest.authority(place),
        "account": forest.account("svc-writeback"),
        "account_password_file": forest.password_file(place, "svc-writeback"),
        "reader_account": forest.account("svc-writeback-read"),
        "reader_account_password_file": forest.password_file(place, "svc-writeback-read"),
        "domains": [{
            "name": forest.domain,
            "domain_controllers": [forest.ldaps()],
            "include": [forest.base_dn],
            "exclude": [out_of_scope(forest)],
        }],
    }))
}

pub(crate) fn out_of_scope(forest: &ForestPlan) -> String {
    format!("OU=Contractors,{}", forest.base_dn)
}

pub(crate) fn make(place: &Place) -> anyhow::Result<()> {
    let signing = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    secret::write_private(
        &audit_signing_key(place),
        signing.serialize_pem().as_bytes(),
    )?;
    write(place, FORESTS.iter())
}

/// The file with these forests; all else in it is always the same.
pub(crate) fn write<'a>(
    place: &Place,
    forests: impl Iterator<Item = &'a ForestPlan>,
) -> anyhow::Result<()> {
    let forests = forests
        .map(|plan| forest(place, plan))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let first_forest = FORESTS.first().map_or("", |plan| plan.id);
    let configuration = json!({
        "service": { "shutdown_grace_seconds": 10 },
        "telemetry": {
            "log_format": "json",
            "log_filter": "info",
            "otlp_endpoint": format!("http://127.0.0.1:{TRACES_PORT}"),
        },
        "broker": {
            "url": format!("amqp://127.0.0.1:{AMQP_PORT}/{}", broker::VIRTUAL_HOST),
            "username": "intake",
            "password_file": broker::password_file(place, "intake"),
        },
        "ledger": { "urls": AUDIT_PORTS.map(|port| format!("http://127.0.0.1:{port}")) },
        "sealing": {
            "public_keys_file": seals::public_keys_file(place),
            "private_keys_directory": seals::private_keys_directory(place, first_forest),
        },
        "intake": { "tokens": {
            "issuer": tokens::ISSUER,
            "audience": tokens::AUDIENCE,
            "jwks_file": tokens::key_set_file(place),
            "unthrottled_clients": [tokens::CLIENT],
        } },
        "writer": { "forest": first_forest },
        "audit": {
            "listen": format!("127.0.0.1:{}", AUDIT_PORTS[0]),
            "database_url": format!("postgres://{}@127.0.0.1:{POSTGRES_PORT}/writeback", database::AUDIT),
            "database_password_file": database::password_file(place, database::AUDIT),
            "owner_database_url": format!("postgres://{}@127.0.0.1:{POSTGRES_PORT}/writeback", database::OWNER),
            "owner_database_password_file": database::password_file(place, database::OWNER),
            "signing_key_file": audit_signing_key(place),
        },
        "forests": forests,
    });
    secret::write_public(
        &file(place),
        toml::to_string_pretty(&configuration)?.as_bytes(),
    )
}
