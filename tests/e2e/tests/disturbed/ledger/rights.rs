//! The role audit works as may append to the ledger and read it, and nothing else.

use anyhow::{Context as _, ensure};
use lab::{Lab, Place};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::replicas::OwnLedger;
use crate::ALONE;

/// insufficient_privilege (PostgreSQL, appendix A).
const NOT_ALLOWED: &str = "42501";

async fn as_the_service(database: &sqlx::PgPool) -> anyhow::Result<PgConnection> {
    let file = Place::of_this_repository()?.path("secrets/postgres-writeback_audit");
    let password = std::fs::read_to_string(file)?;
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(database)
        .await?;
    let options: PgConnectOptions = Lab::load()?.postgres.parse()?;
    let options = options
        .username("writeback_audit")
        .password(&password)
        .database(&name);
    Ok(PgConnection::connect_with(&options).await?)
}

/// What is refused, in a transaction that is rolled back.
async fn attempt(connection: &mut PgConnection, statement: &str) -> anyhow::Result<Option<String>> {
    let mut transaction = connection.begin().await?;
    let outcome = sqlx::query(AssertSqlSafe(statement))
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await?;
    Ok(match outcome {
        Ok(_) => None,
        Err(error) => {
            let code = error
                .as_database_error()
                .and_then(|error| Some(error.code()?.into_owned()));
            Some(code.with_context(|| format!("{statement}: {error}"))?)
        }
    })
}

const FORBIDDEN: &[&str] = &[
    "UPDATE entries SET content = ''",
    "DELETE FROM entries",
    "TRUNCATE entries",
    "DELETE FROM operations",
    "TRUNCATE operations",
    "DELETE FROM head",
    "INSERT INTO head (one, sequence, at, hash, public_key, signature) VALUES (false, 0, 0, '', '', '')",
    "TRUNCATE head",
    "DELETE FROM settings",
    "TRUNCATE settings",
    "DELETE FROM verification",
    "TRUNCATE verification",
    "INSERT INTO verification (one, at, verified, findings, missed) VALUES (false, 0, true, 0, 0)",
    "ALTER TABLE entries DROP COLUMN hash",
    "ALTER TABLE entries DISABLE TRIGGER ALL",
    "ALTER TABLE entries OWNER TO writeback_audit",
    "DROP TABLE entries",
    "CREATE TRIGGER t BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE RULE r AS ON INSERT TO entries DO INSTEAD NOTHING",
    "CREATE TABLE public.mine (x int)",
    "CREATE SCHEMA mine",
    "SELECT * FROM _sqlx_migrations",
    "SET ROLE writeback_owner",
    "CREATE ROLE other",
    "COPY entries TO PROGRAM 'true'",
];

#[tokio::test]
async fn the_services_role_may_append_and_read_and_nothing_else() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let own = OwnLedger::copy().await?;
    let mut service = as_the_service(&own.database).await?;
    for statement in FORBIDDEN {
        let refused = attempt(&mut service, statement).await?;
        assert_eq!(refused.as_deref(), Some(NOT_ALLOWED), "{statement}");
    }
    for statement in [
        "SELECT * FROM entries",
        "INSERT INTO entries SELECT -1, at, kind, operation_id, content, previous, hash FROM entries LIMIT 1",
        "UPDATE head SET at = at",
        "UPDATE settings SET changed_by = changed_by",
        "UPDATE verification SET findings = findings",
        "UPDATE operations SET status = status",
    ] {
        assert_eq!(attempt(&mut service, statement).await?, None, "{statement}");
    }
    own.end().await
}

#[tokio::test]
async fn rights_given_by_mistake_are_taken_back_at_the_next_start() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut own = OwnLedger::copy().await?;
    own.execute(&[
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO writeback_audit",
        "GRANT DELETE ON entries TO PUBLIC",
        "GRANT CREATE ON SCHEMA public TO writeback_audit",
    ])
    .await?;
    let mut service = as_the_service(&own.database).await?;
    let deleted = attempt(&mut service, "DELETE FROM entries").await?;
    ensure!(deleted.is_none(), "the mistake was none: {deleted:?}");
    own.start(1).await?;
    for statement in FORBIDDEN {
        let refused = attempt(&mut service, statement).await?;
        assert_eq!(refused.as_deref(), Some(NOT_ALLOWED), "{statement}");
    }
    own.end().await
}
