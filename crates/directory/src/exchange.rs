//! Exchanges with one domain controller, over whichever of its connections is there.

use ldap3::Scope;
use operation::ObjectGuid;
use tokio::time::Instant;

use crate::{
    DirectoryError, RootDse,
    connection::{CallError, Connection},
    pool::{Lease, Pool},
    reading::Entry,
};

/// One read of an entry or entries.
pub(crate) struct Search<'a> {
    pub(crate) base: &'a str,
    pub(crate) scope: Scope,
    pub(crate) filter: &'a str,
    pub(crate) attributes: &'static [&'static str],
    pub(crate) limit: i32,
    pub(crate) knowing: Knowing,
}

/// What must be known of a domain controller before an exchange with it. What was not learnt from
/// an exchange a moment ago is asked for, which costs a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowing {
    /// Nothing: what a dead connection did not answer is asked again on a new one.
    Nothing,
    /// Its clock: times in the answer will be compared with ours.
    Clock,
    /// Its clock, and that the connection is alive: what is lost on a dead one stays in doubt.
    ClockAndLife,
}

impl Knowing {
    fn is_met(self, pool: &Pool, lease: &Lease) -> bool {
        match self {
            Self::Nothing => true,
            Self::Clock => pool.facts.clock_is_fresh(),
            Self::ClockAndLife => pool.facts.clock_is_fresh() && lease.is_proven(),
        }
    }
}

/// `<GUID=…>` as a name (MS-ADTS 3.1.1.3.1.2.4): a rename or move cannot break it.
pub(crate) fn by_guid(guid: ObjectGuid) -> String {
    format!("<GUID={guid}>")
}

/// Whether a search's base is one object, wherever it is, and not a part of the directory.
fn names_one_object(base: &str) -> bool {
    base.starts_with("<GUID=")
}

/// There was no domain controller in the list, which those who make it exclude.
pub(crate) fn nobody_asked() -> DirectoryError {
    DirectoryError::Unavailable {
        endpoint: "the domain".to_owned(),
        cause: "no domain controller was asked".to_owned(),
    }
}

pub(crate) fn unavailable(pool: &Pool, error: CallError) -> DirectoryError {
    DirectoryError::Unavailable {
        endpoint: pool.endpoint.to_string(),
        cause: error.cause(),
    }
}

/// A connection for an exchange before which this must be known.
pub(crate) async fn ready(pool: &Pool, knowing: Knowing) -> Result<Lease, DirectoryError> {
    let lease = pool.lease().await?;
    if knowing.is_met(pool, &lease) {
        return Ok(lease);
    }
    let (lease, _) = proven(pool, lease).await?;
    Ok(lease)
}

/// A connection that answered just now, and what it said. An idle one that died is replaced.
async fn proven(pool: &Pool, mut lease: Lease) -> Result<(Lease, RootDse), DirectoryError> {
    loop {
        let began = Instant::now();
        match lease.connection.root_dse(&pool.endpoint).await {
            Ok(root) => {
                pool.observe(root.clone());
                return Ok((lease, root));
            }
            Err(_) if lease.reused && began.elapsed() < pool.time_out => pool.forget_idle(),
            Err(error) => {
                let error = unavailable(pool, error);
                pool.came_to_nothing(began, &error);
                return Err(error);
            }
        }
        drop(lease); // it holds the permit that the next one may need
        lease = pool.lease().await?;
    }
}

/// A connection of its own that the controller has answered on, without a bind; None where it does not.
pub(crate) async fn ask_itself(pool: &Pool) -> Option<Connection> {
    let connection = pool.open().await.ok()?;
    let began = Instant::now();
    match connection.root_dse(&pool.endpoint).await {
        Ok(root) => {
            pool.observe(root);
            Some(connection)
        }
        Err(error) => {
            pool.came_to_nothing(began, &unavailable(pool, error));
            None
        }
    }
}

pub(crate) async fn probe(pool: &Pool) -> Result<RootDse, DirectoryError> {
    let (lease, root) = proven(pool, pool.lease().await?).await?;
    pool.give_back(lease);
    Ok(root)
}

pub(crate) async fn search_at(
    pool: &Pool,
    search: &Search<'_>,
) -> Result<Vec<Entry>, DirectoryError> {
    let (lease, entries, answer) = loop {
        let lease = ready(pool, search.knowing).await?;
        let began = Instant::now();
        let answered = lease
            .connection
            .search(
                search.base,
                search.scope,
                search.filter.to_owned(),
                search.attributes,
                search.limit,
            )
            .await;
        match answered {
            Ok((entries, answer)) => break (lease, entries, answer),
            // the connection may have been dead all along
            Err(_) if lease.reused && began.elapsed() < pool.time_out => pool.forget_idle(),
            Err(error) => {
                pool.forget_idle();
                let error = unavailable(pool, error);
                pool.came_to_nothing(began, &error);
                return Err(error);
            }
        }
    };
    let endpoint = pool.endpoint.to_string();
    let cause = format!("the search ended with LDAP result {}", answer.result);
    let error = match answer.result {
        // 4: more than we asked for, which is already more than one
        0 | 4 => {
            pool.give_back(lease);
            return Ok(entries);
        }
        32 => {
            pool.give_back(lease);
            return Ok(Vec::new());
        }
        // one that is a global catalog too knows the object, and that it is in another domain by now
        10 if names_one_object(search.base) => {
            pool.give_back(lease);
            return Ok(Vec::new());
        }
        1 | 3 | 11 | 51 | 52 | 80 => {
            pool.rest(); // it answers, and cannot do this now
            return Err(DirectoryError::Unavailable { endpoint, cause });
        }
        10 | 8 | 13 | 50 => DirectoryError::Misconfigured { endpoint, cause },
        _ => DirectoryError::Unexpected { endpoint, cause },
    };
    pool.give_back(lease);
    Err(error)
}

/// One entry, if it can be read.
pub(crate) async fn read_one(
    connection: &Connection,
    name: &str,
    attributes: &'static [&'static str],
) -> Option<Entry> {
    let filter = "(objectClass=*)".to_owned();
    let (entries, _) = connection
        .search(name, Scope::Base, filter, attributes, 1)
        .await
        .ok()?;
    entries.into_iter().next()
}
