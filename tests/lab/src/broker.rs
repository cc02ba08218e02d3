//! A private RabbitMQ node: its own names, ports, data, users and their least rights.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::database::user;
use crate::forest::{FORESTS, ForestPlan};
use crate::place::{
    AMQP_PORT, BROKER_METRICS_PORT, ERLANG_DISTRIBUTION_PORT, ERLANG_NAMES_PORT, MANAGEMENT_PORT,
    Place,
};
use crate::process::Recipe;
use crate::secret;

pub(crate) const VIRTUAL_HOST: &str = "writeback";
const ADMINISTRATOR: &str = "lab";

pub(crate) fn password_file(place: &Place, name: &str) -> PathBuf {
    place.path(format!("secrets/broker-{name}"))
}

pub(crate) fn amqp_url(place: &Place) -> anyhow::Result<String> {
    let password = secret::password(&password_file(place, ADMINISTRATOR))?;
    Ok(format!(
        "amqp://{ADMINISTRATOR}:{password}@127.0.0.1:{AMQP_PORT}/{VIRTUAL_HOST}"
    ))
}

pub(crate) fn management_url(place: &Place) -> anyhow::Result<String> {
    let password = secret::password(&password_file(place, ADMINISTRATOR))?;
    Ok(format!(
        "http://{ADMINISTRATOR}:{password}@127.0.0.1:{MANAGEMENT_PORT}"
    ))
}

/// The regular expressions of what a user may configure, write and read.
struct Rights {
    user: String,
    configure: String,
    write: String,
    read: String,
}

impl Rights {
    fn of(user: &str, configure: &str, write: &str, read: &str) -> Self {
        Self {
            user: user.to_owned(),
            configure: format!(r"^writeback\.({configure})$"),
            write: format!(r"^writeback\.({write})$"),
            read: format!(r"^writeback\.({read})$"),
        }
    }

    fn of_writer(forest: &ForestPlan) -> Self {
        let id = forest.id;
        Self::of(
            &format!("writer-{id}"),
            &format!(r"requests|forests|forest\.{id}|outcomes|replies|expired|health"),
            &format!(r"requests|forest\.{id}|outcomes|replies|expired|health"),
            &format!(r"forests|forest\.{id}"),
        )
    }
}

fn rights() -> Vec<Rights> {
    let intake = r"requests|replies|replies\..+|health";
    let resolver = "requests|forests|outcomes|replies|expired|health";
    let audit = r"requests|forests|outcomes|replies|expired|health|health\..+";
    let mut rights = vec![
        Rights::of("intake", intake, intake, r"replies|replies\..+"),
        Rights::of("resolver", resolver, resolver, "requests"),
        Rights::of("audit", audit, audit, r"outcomes|expired|health|health\..+"),
    ];
    rights.extend(FORESTS.iter().map(Rights::of_writer));
    rights.push(Rights {
        user: ADMINISTRATOR.to_owned(),
        configure: ".*".to_owned(),
        write: ".*".to_owned(),
        read: ".*".to_owned(),
    });
    rights
}

/// RabbitMQ's salted SHA-256 (rabbitmq.com/docs/passwords): four bytes of salt, then the digest of salt and password.
fn password_hash(password: &str) -> anyhow::Result<String> {
    let mut salt = [0_u8; 4];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| anyhow::anyhow!("no randomness"))?;
    let salted = [&salt[..], password.as_bytes()].concat();
    Ok(STANDARD.encode([&salt[..], digest(&SHA256, &salted).as_ref()].concat()))
}

fn definitions(place: &Place) -> anyhow::Result<Value> {
    let mut users = Vec::new();
    let mut permissions = Vec::new();
    for Rights {
        user,
        configure,
        write,
        read,
    } in rights()
    {
        let password = secret::password(&password_file(place, &user))?;
        users.push(json!({
            "name": user,
            "password_hash": password_hash(&password)?,
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": if user == ADMINISTRATOR { "administrator" } else { "" },
        }));
        permissions.push(json!({
            "user": user, "vhost": VIRTUAL_HOST, "configure": configure, "write": write, "read": read,
        }));
    }
    Ok(json!({ "users": users, "vhosts": [{ "name": VIRTUAL_HOST }], "permissions": permissions }))
}

/// The node and the Erlang name server it registers with (a private one, so that it ends with the lab).
pub(crate) fn prepare(place: &Place) -> anyhow::Result<[Recipe; 2]> {
    let home = place.path("rabbitmq");
    fs::create_dir_all(home.join("log"))?;
    let definitions_file = home.join("definitions.json");
    secret::write_private(
        &definitions_file,
        serde_json::to_string_pretty(&definitions(place)?)?.as_bytes(),
    )?;
    let configuration = home.join("rabbitmq.conf");
    fs::write(
        &configuration,
        format!(
            "listeners.tcp.1 = 127.0.0.1:{AMQP_PORT}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {MANAGEMENT_PORT}\n\
             prometheus.tcp.ip = 127.0.0.1\n\
             prometheus.tcp.port = {BROKER_METRICS_PORT}\n\
             load_definitions = {}\n",
            definitions_file.display()
        ),
    )?;
    fs::write(
        home.join("enabled_plugins"),
        "[rabbitmq_management,rabbitmq_prometheus].\n",
    )?;
    let owner = user("rabbitmq")?;
    for path in [
        &home,
        &home.join("log"),
        &definitions_file,
        &configuration,
        &home.join("enabled_plugins"),
    ] {
        nix::unistd::chown(path, owner, None)?;
    }

    let names: (String, OsString) = (
        "ERL_EPMD_PORT".to_owned(),
        ERLANG_NAMES_PORT.to_string().into(),
    );
    let mut environment = vec![
        ("HOME".to_owned(), home.clone().into()),
        (
            "RABBITMQ_NODENAME".to_owned(),
            "writeback-lab@localhost".into(),
        ),
        (
            "RABBITMQ_DIST_PORT".to_owned(),
            ERLANG_DISTRIBUTION_PORT.to_string().into(),
        ),
        ("RABBITMQ_CONFIG_FILE".to_owned(), configuration.into()),
        (
            "RABBITMQ_CONF_ENV_FILE".to_owned(),
            home.join("none.conf").into(),
        ),
        (
            "RABBITMQ_ENABLED_PLUGINS_FILE".to_owned(),
            home.join("enabled_plugins").into(),
        ),
        (
            "RABBITMQ_MNESIA_BASE".to_owned(),
            home.join("mnesia").into(),
        ),
        ("RABBITMQ_LOG_BASE".to_owned(), home.join("log").into()),
        ("RABBITMQ_SCHEMA_DIR".to_owned(), home.join("schema").into()),
        (
            "RABBITMQ_GENERATED_CONFIG_DIR".to_owned(),
            home.join("schema").into(),
        ),
        ("RABBITMQ_PID_FILE".to_owned(), home.join("pid").into()),
        // the launcher then becomes the node, instead of a shell that waits for it and outlives our signals
        ("RUNNING_UNDER_SYSTEMD".to_owned(), "1".into()),
        ("ERL_CRASH_DUMP_SECONDS".to_owned(), "0".into()),
    ];
    environment.push(names.clone());
    let recipe = |name: &str, program: PathBuf, arguments: Vec<OsString>, environment| Recipe {
        name: name.to_owned(),
        user: Some("rabbitmq"),
        program,
        arguments,
        environment,
        log: place.log(name),
        stop_signal: Signal::SIGTERM,
        admin: None,
    };
    Ok([
        recipe(
            "epmd",
            "epmd".into(),
            vec!["-address".into(), "127.0.0.1".into()],
            vec![names],
        ),
        recipe(
            "rabbitmq",
            "/usr/lib/rabbitmq/bin/rabbitmq-server".into(),
            Vec::new(),
            environment,
        ),
    ])
}

pub(crate) async fn answers(place: &Place) -> bool {
    let path = format!("health/checks/port-listener/{AMQP_PORT}");
    manage(place, Method::GET, &path, None).await.is_ok()
}

/// A user for the writers of a forest that is added to the running broker.
pub(crate) async fn add_writers(place: &Place, forest: &ForestPlan) -> anyhow::Result<()> {
    let Rights {
        user,
        configure,
        write,
        read,
    } = Rights::of_writer(forest);
    let password = secret::password(&password_file(place, &user))?;
    let account = json!({ "password_hash": password_hash(&password)?,
        "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "" });
    manage(place, Method::PUT, &format!("users/{user}"), Some(account)).await?;
    let rights = json!({ "configure": configure, "write": write, "read": read });
    let path = format!("permissions/{VIRTUAL_HOST}/{user}");
    manage(place, Method::PUT, &path, Some(rights)).await
}

/// The user is gone; the forest's queue stays, for what is in it still has to end.
pub(crate) async fn remove_writers(place: &Place, forest: &ForestPlan) -> anyhow::Result<()> {
    let user = Rights::of_writer(forest).user;
    manage(place, Method::DELETE, &format!("users/{user}"), None).await
}

async fn manage(
    place: &Place,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<()> {
    let password = secret::password(&password_file(place, ADMINISTRATOR))?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(3))
        .build()?;
    let mut request = client
        .request(
            method,
            format!("http://127.0.0.1:{MANAGEMENT_PORT}/api/{path}"),
        )
        .basic_auth(ADMINISTRATOR, Some(password));
    if let Some(body) = body {
        request = request
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
    }
    request.send().await?.error_for_status()?;
    Ok(())
}
