//! `config.toml`: the one file every service of the lab reads.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::forest::{ADDED, FORESTS, FURTHER_DOMAINS, ForestPlan};
use crate::place::{AMQP_PORT, AUDIT_PORTS, POSTGRES_PORT, Place, TRACES_PORT};
use crate::wanted::{Further, Wanted};
use crate::{broker, certificates, database, seals, second, secret, tokens};

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
    let wanted = Wanted::load(place)?;
    let domains: Vec<&ForestPlan> = if wanted.further_domains == Further::Configured {
        let further = FURTHER_DOMAINS
            .iter()
            .filter(|domain| domain.forest == forest.id);
        [forest].into_iter().chain(further).collect()
    } else {
        vec![forest]
    };
    let dns_servers = is_discovered(forest).then(|| format!("{}:53", forest.address));
    Ok(json!({
        "id": forest.id,
        "ca_file": authorities(place, &domains)?,
        "account": forest.account("svc-writeback"),
        "account_password_file": forest.password_file(place, "svc-writeback"),
        "account_next_password_file": forest.password_file(place, "svc-writeback-next"),
        "reader_account": forest.account("svc-writeback-read"),
        "reader_account_password_file": forest.password_file(place, "svc-writeback-read"),
        "reader_account_next_password_file": forest.password_file(place, "svc-writeback-read-next"),
        "dns_servers": dns_servers.as_slice(),
        "domains": domains.into_iter().map(|plan| domain(plan, wanted)).collect::<Vec<_>>(),
    }))
}

/// In one of the forests the services find the domain controller by DNS.
fn is_discovered(forest: &ForestPlan) -> bool {
    FORESTS.last().is_some_and(|last| last.id == forest.id)
}

/// What the services call its first domain controller.
pub(crate) fn first_controller(forest: &ForestPlan) -> String {
    if is_discovered(forest) {
        forest.announced_ldaps()
    } else {
        forest.ldaps()
    }
}

fn domain(domain: &ForestPlan, wanted: Wanted) -> Value {
    let mut controllers = Vec::new();
    if !is_discovered(domain) {
        controllers.push(domain.ldaps());
    }
    if domain.id == second::OF.id && wanted.second_controller {
        controllers.push(second::ldaps());
    }
    json!({
        "name": domain.domain,
        "domain_controllers": controllers,
        "include": [domain.included()],
        "exclude": [out_of_scope(domain)],
    })
}

/// The file with the authority of every domain: of several it is a file of its own.
fn authorities(place: &Place, domains: &[&ForestPlan]) -> anyhow::Result<PathBuf> {
    let [first, _, ..] = domains else {
        let file = domains.first().map(|only| only.authority(place));
        return Ok(file.unwrap_or_default());
    };
    let mut all = Vec::new();
    for domain in domains {
        all.extend(fs::read(domain.authority(place))?);
    }
    let file = first.directory(place).join("tls/every-domain.pem");
    secret::write_public(&file, &all)?;
    Ok(file)
}

pub(crate) fn out_of_scope(forest: &ForestPlan) -> String {
    format!("OU=Contractors,{}", forest.base_dn)
}

pub(crate) fn make(place: &Place) -> anyhow::Result<()> {
    let signing = signing_key()?;
    secret::write_private(
        &audit_signing_key(place),
        signing.serialize_pem().as_bytes(),
    )?;
    secret::write_public(
        &place.path("keys/audit-signing-public.pem"),
        signing.public_key_pem().as_bytes(),
    )?;
    certificates::make_for_services(place)?;
    write(place, FORESTS.iter())
}

/// As `openssl genpkey -algorithm ed25519` writes one: version 1 of PKCS#8. Version 2, with the public key behind it (RFC 8410
/// 10.3), is what rcgen makes by itself, and what OpenSSL 3.0 cannot read.
fn signing_key() -> anyhow::Result<rcgen::KeyPair> {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let key = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8v1(&random)
        .map_err(|_| anyhow::anyhow!("no key could be made"))?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.as_ref().to_vec());
    Ok(rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
        &key,
        &rcgen::PKCS_ED25519,
    )?)
}

/// The file with the forests there are.
pub(crate) fn rewrite(place: &Place) -> anyhow::Result<()> {
    let added = Wanted::load(place)?.writers.then_some(&ADDED);
    write(place, FORESTS.iter().chain(added))
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
    let (audit_certificate, audit_key) = certificates::of_service(place, "audit");
    let configuration = json!({
        "service": { "shutdown_grace_seconds": 10 },
        "telemetry": {
            "log_format": "json",
            "otlp_endpoint": format!("http://127.0.0.1:{TRACES_PORT}"),
        },
        "broker": {
            "url": format!("amqp://127.0.0.1:{AMQP_PORT}/{}", broker::VIRTUAL_HOST),
            "username": "intake",
            "password_file": broker::password_file(place, "intake"),
        },
        "ledger": {
            "urls": AUDIT_PORTS.map(|port| format!("https://127.0.0.1:{port}")),
            "ca_file": certificates::services_authority(place),
        },
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
            "certificate_file": audit_certificate,
            "key_file": audit_key,
            "client_ca_file": certificates::services_authority(place),
            "tokens": {
                "issuer": tokens::ISSUER,
                "audience": tokens::OPERATORS_AUDIENCE,
                "jwks_file": tokens::key_set_file(place),
            },
        },
        "ctl": {
            "token_file": tokens::operator_file(place),
            "keys_directory": seals::keys_directory(place),
        },
        "forests": forests,
    });
    secret::write_public(
        &file(place),
        toml::to_string_pretty(&configuration)?.as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn openssl_reads_the_signing_key_as_the_documents_say() {
        let key = signing_key().unwrap();
        // RFC 8410 10.3: a sequence, version 0, id-Ed25519 and 32 bytes, and nothing behind them
        let head = hex::decode("302e020100300506032b657004220420").unwrap();
        let der = key.serialize_der();
        assert!(der.starts_with(&head) && der.len() == head.len() + 32);

        let mut openssl = Command::new("openssl")
            .args(["pkey", "-pubout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = openssl.stdin.take().unwrap();
        input.write_all(key.serialize_pem().as_bytes()).unwrap();
        drop(input);
        let read = openssl.wait_with_output().unwrap();
        assert!(read.status.success());
        let lines = |pem: &str| pem.lines().map(str::to_owned).collect::<Vec<_>>();
        let public = String::from_utf8(read.stdout).unwrap();
        assert_eq!(lines(&public), lines(&key.public_key_pem()));
    }
}
