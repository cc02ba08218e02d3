//! Reaching PostgreSQL: migrations as the owner, daily work as a role that may only append.

use std::{path::PathBuf, str::FromStr as _, time::Duration};

use anyhow::Context as _;
use chassis::config::{self, Audit};
use secrecy::ExposeSecret as _;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long one statement may take before the caller is told UNAVAILABLE.
const STATEMENT_TIME_OUT: &str = "4000";
/// How long to wait for another replica that holds the head.
const LOCK_TIME_OUT: &str = "3000";
const ACQUIRE_TIME_OUT: Duration = Duration::from_secs(2);
const CONNECT_TIME_OUT: Duration = Duration::from_secs(10);
const MIGRATION_TIME_OUT: Duration = Duration::from_mins(2);
const CONNECTIONS: u32 = 10;

/// "writeback" as a number: replicas that start together migrate one after the other.
const MIGRATION_LOCK: i64 = 0x7772_6974_6562_6163;

fn options(url: &str, password_file: Option<&PathBuf>) -> anyhow::Result<PgConnectOptions> {
    let mut options = PgConnectOptions::from_str(url).context("the database's URL")?;
    if let Some(file) = password_file {
        options = options.password(config::read_secret(file)?.expose_secret());
    }
    Ok(options.application_name("writeback-audit"))
}

/// Brings the schema up to date and gives the daily role what it needs.
pub(crate) async fn migrate(config: &Audit) -> anyhow::Result<()> {
    let daily = options(&config.database_url, config.database_password_file.as_ref())?;
    let owner = match &config.owner_database_url {
        Some(url) => options(url, config.owner_database_password_file.as_ref())?,
        None => daily.clone(),
    };
    let mut connection = tokio::time::timeout(CONNECT_TIME_OUT, PgConnection::connect_with(&owner))
        .await
        .context("connecting to the database took too long")?
        .context("connecting to the database as its owner")?;
    tokio::time::timeout(
        MIGRATION_TIME_OUT,
        migrate_as_owner(&mut connection, daily.get_username()),
    )
    .await
    .context("migrating the database took too long")??;
    connection.close().await.ok();
    Ok(())
}

async fn migrate_as_owner(connection: &mut PgConnection, daily_role: &str) -> anyhow::Result<()> {
    // held until the connection closes
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *connection)
        .await?;
    sqlx::migrate!("./migrations").run(&mut *connection).await?;
    limit_rights(connection, daily_role).await
}

/// The daily role gets what it needs and loses whatever else it was given, in one transaction: a
/// replica that is at work never misses a right.
async fn limit_rights(connection: &mut PgConnection, daily_role: &str) -> anyhow::Result<()> {
    let statements: Vec<String> = sqlx::query_scalar(
        "SELECT format(statement, $1) FROM (VALUES \
         (1, 'REVOKE ALL ON entries, head, settings, verification, operations, claims, _sqlx_migrations FROM PUBLIC, %I'), \
         (2, 'REVOKE CREATE ON SCHEMA public FROM PUBLIC, %I'), \
         (3, 'GRANT USAGE ON SCHEMA public TO %I'), \
         (4, 'GRANT SELECT, INSERT ON entries TO %I'), \
         (5, 'GRANT SELECT, UPDATE ON head, settings, verification TO %I'), \
         (6, 'GRANT SELECT, INSERT, UPDATE ON operations, claims TO %I') \
         ) AS needed (step, statement) WHERE $1 <> current_user ORDER BY step",
    )
    .bind(daily_role)
    .fetch_all(&mut *connection)
    .await?;
    if statements.is_empty() {
        tracing::warn!(
            role = daily_role,
            "the daily role owns the ledger and could change it: give audit.owner_database_url a role of its own"
        );
    }
    let mut transaction = connection.begin().await?;
    for statement in statements {
        // quoted by the server's own format('%I')
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await
            .with_context(|| format!("limiting the rights of {daily_role}"))?;
    }
    transaction.commit().await?;
    Ok(())
}

fn daily_options(config: &Audit) -> anyhow::Result<PgConnectOptions> {
    let options = options(&config.database_url, config.database_password_file.as_ref())?;
    Ok(options.options([
        ("statement_timeout", STATEMENT_TIME_OUT),
        ("lock_timeout", LOCK_TIME_OUT),
        ("idle_in_transaction_session_timeout", "10000"),
        // compiling a statement takes longer than any of ours
        ("jit", "off"),
        // rows are read as JSON, where the form of bytes is a setting
        ("bytea_output", "hex"),
    ]))
}

/// For what claims accounts: as [`store::TAKE_HEAD`](crate::store::TAKE_HEAD) does, it finds each row by its index.
pub(crate) fn options_for_claims(config: &Audit) -> anyhow::Result<PgConnectOptions> {
    let by_index = [
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
    ];
    Ok(daily_options(config)?.options(by_index))
}

/// The pool for daily work.
pub(crate) fn pool(config: &Audit) -> anyhow::Result<PgPool> {
    let options = daily_options(config)?;
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIME_OUT)
        .after_release(|connection, _| Box::pin(is_between_transactions(connection)))
        .connect_lazy_with(options))
}

/// Whether a connection may serve again. One given up while a transaction was beginning, or where it could not begin
/// because another replica held the head, is inside one that nobody knows of: whoever had it next would work in that.
async fn is_between_transactions(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // now() is when the transaction began (PostgreSQL 9.9.5)
    let asked = sqlx::raw_sql("SELECT now() = statement_timestamp()")
        .fetch_one(connection)
        .await;
    match asked {
        Ok(row) => row.try_get(0),
        // inside one that failed
        Err(sqlx::Error::Database(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
