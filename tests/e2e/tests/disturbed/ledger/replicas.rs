//! A ledger of one's own: a database and a virtual host that nobody else uses, with audit replicas in front.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::audit::{self, AsOperator};
use e2e::{Broker, Ctl, postgres_program, until, url_of_database};
use lab::{Lab, Place};
use proto::v1::{admission_client::AdmissionClient, ledger_client::LedgerClient};
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::{Child, Command};
use tonic::transport::Channel;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Replica {
    child: Child,
    name: String,
    admin: String,
    pub(super) grpc: String,
}

pub(super) struct OwnLedger {
    name: String,
    /// As its superuser.
    pub(super) database: PgPool,
    pub(super) replicas: Vec<Replica>,
    /// What its replicas are told beyond the lab's configuration.
    environment: Vec<(String, String)>,
}

fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl OwnLedger {
    /// With no table in it: the replicas find what any new installation has.
    pub(super) async fn empty(replicas: usize) -> anyhow::Result<Self> {
        let mut own = Self::prepare().await?;
        own.start(replicas).await?;
        Ok(own)
    }

    /// With one replica that is told this.
    pub(super) async fn told(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut own = Self::prepare().await?;
        let environment = environment.iter();
        own.environment = environment
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        own.start(1).await?;
        Ok(own)
    }

    /// The lab's own ledger as it is now, to do with as one likes.
    pub(super) async fn copy() -> anyhow::Result<Self> {
        let mut own = Self::prepare().await?;
        let dump = postgres_program("pg_dump", "writeback", &[], "").await?;
        let quiet = [
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--output=/dev/null",
        ];
        postgres_program("psql", &own.name, &quiet, &dump).await?;
        own.start(1).await?;
        Ok(own)
    }

    async fn prepare() -> anyhow::Result<Self> {
        let name = format!("proof_{}", uuid::Uuid::new_v4().simple());
        let server = PgPool::connect(&Lab::load()?.postgres).await?;
        for statement in [
            format!("CREATE DATABASE {name} OWNER writeback_owner"),
            format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
            format!("GRANT CONNECT ON DATABASE {name} TO writeback_audit"),
        ] {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&server)
                .await?;
        }
        let broker = Broker::of_the_lab()?;
        broker
            .ask(Method::PUT, &format!("vhosts/{name}"), &json!({}))
            .await?;
        let rights = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        for user in ["audit", "lab"] {
            let path = format!("permissions/{name}/{user}");
            broker.ask(Method::PUT, &path, &rights).await?;
        }
        let database = PgPool::connect(&url_of_database(&name)?).await?;
        Ok(Self {
            name,
            database,
            replicas: Vec::new(),
            environment: Vec::new(),
        })
    }

    /// Starts this many at the same moment and waits until all are ready.
    pub(super) async fn start(&mut self, replicas: usize) -> anyhow::Result<()> {
        let from = self.replicas.len();
        for _ in 0..replicas {
            let replica = self.spawn()?;
            self.replicas.push(replica);
        }
        for replica in self.replicas.iter_mut().skip(from) {
            replica.ready().await?;
        }
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Replica> {
        let place = Place::of_this_repository()?;
        let name = format!("{}-audit-{}", self.name, self.replicas.len() + 1);
        let (grpc, admin) = (free_address()?, free_address()?);
        let log = || {
            let path = place.log(&name);
            OpenOptions::new().create(true).append(true).open(path)
        };
        let database = |role: &str| -> anyhow::Result<String> {
            let mut url = reqwest::Url::parse(&url_of_database(&self.name)?)?;
            let set = url.set_username(role).and_then(|()| url.set_password(None));
            ensure!(set.is_ok(), "no URL for {role}");
            Ok(url.into())
        };
        let broker = reqwest::Url::parse(&Lab::load()?.rabbitmq.amqp)?;
        let child = Command::new(place.binary("writeback-audit"))
            .arg("--config")
            .arg(place.path("config.toml"))
            .env("WRITEBACK_SERVICE__NAME", &name)
            .env("WRITEBACK_SERVICE__ADMIN_LISTEN", &admin)
            .env("WRITEBACK_AUDIT__LISTEN", &grpc)
            .env(
                "WRITEBACK_AUDIT__DATABASE_URL",
                database("writeback_audit")?,
            )
            .env(
                "WRITEBACK_AUDIT__OWNER_DATABASE_URL",
                database("writeback_owner")?,
            )
            .env(
                "WRITEBACK_BROKER__URL",
                format!(
                    "amqp://127.0.0.1:{}/{}",
                    broker.port().unwrap_or(5672),
                    self.name
                ),
            )
            .env("WRITEBACK_BROKER__USERNAME", "audit")
            .env(
                "WRITEBACK_BROKER__PASSWORD_FILE",
                place.path("secrets/broker-audit"),
            )
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start an audit")?;
        Ok(Replica {
            child,
            name,
            admin: format!("http://{admin}"),
            grpc: format!("https://{grpc}"),
        })
    }

    /// Ends all replicas without a word.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        for mut replica in std::mem::take(&mut self.replicas) {
            replica.kill().await?;
        }
        Ok(())
    }

    /// What `ledger verify` says of it, and with which exit code.
    pub(super) async fn verify(&self, more: &[&str]) -> anyhow::Result<(i32, serde_json::Value)> {
        let replica = self.replicas.first().context("no replica")?;
        let asked = ["--audit", &replica.grpc, "ledger", "verify"];
        Ctl::of_the_lab()?.json(&[&asked, more].concat()).await
    }

    /// Switches writeback on or off: an entry more.
    pub(super) async fn switch(&self, value: &str) -> anyhow::Result<()> {
        let replica = self.replicas.first().context("no replica")?;
        let asked = [
            "--audit",
            &replica.grpc,
            "settings",
            "set",
            "writeback",
            value,
        ];
        Ctl::of_the_lab()?.run(&asked).await?.expect(0)?;
        Ok(())
    }

    /// One after the other, as the superuser, committed together.
    pub(super) async fn execute(&self, statements: &[&str]) -> anyhow::Result<()> {
        let mut transaction = self.database.begin().await?;
        for statement in statements {
            sqlx::query(AssertSqlSafe(*statement))
                .execute(&mut *transaction)
                .await
                .with_context(|| (*statement).to_owned())?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Stops the replicas and takes the database and the virtual host away.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        for mut replica in self.replicas {
            replica.kill().await?;
        }
        self.database.close().await;
        let server = PgPool::connect(&Lab::load()?.postgres).await?;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::query(AssertSqlSafe(drop)).execute(&server).await?;
        let path = format!("vhosts/{}", self.name);
        Broker::of_the_lab()?
            .ask(Method::DELETE, &path, &json!({}))
            .await?;
        Ok(())
    }
}

impl Replica {
    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        let (name, url) = (self.name.clone(), format!("{}/readyz", self.admin));
        let child = &mut self.child;
        let ended = child.wait();
        let what = format!("{name} is ready");
        let ready = until(&what, PATIENCE, || async {
            let answer = client.get(&url).send().await;
            Ok(answer
                .is_ok_and(|answer| answer.status().is_success())
                .then_some(()))
        });
        tokio::select! {
            ready = ready => ready,
            status = ended => anyhow::bail!("{name} ended: {}", status?),
        }
    }

    /// Without a word, as a machine dies; twice is no fault.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        if self.child.id().is_some() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// Of a gauge without labels; none while it is not told.
    pub(super) async fn gauge(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let page = reqwest::get(format!("{}/metrics", self.admin)).await?;
        let page = page.text().await?;
        let mut lines = page.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| line.split(['{', ' ']).next() == Some(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        Ok(value.map(str::parse).transpose()?)
    }

    /// As an intake.
    pub(super) async fn admission(&self) -> anyhow::Result<AdmissionClient<Channel>> {
        let channel = audit::as_service(&self.grpc, Some("intake")).await?;
        Ok(AdmissionClient::new(channel))
    }

    /// As an operator who may read.
    pub(super) async fn ledger(&self) -> anyhow::Result<LedgerClient<AsOperator>> {
        let token = audit::operator_token("reader@lab.example", "ledger.read")?;
        let channel = audit::as_operator(&self.grpc, &token).await?;
        Ok(LedgerClient::new(channel))
    }
}
