//! What goes on behind a directory's back, for as long as it lives: its controllers are looked for in
//! DNS, and asked whether they are well.

use std::{sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use crate::{
    BreakerState,
    controllers::Controllers,
    discovery::Discovery,
    exchange::{ask_itself, read_one},
    pool::{Lease, Pool},
};

/// A controller that has not answered for so long is asked whether it is well.
const SILENCE: Duration = Duration::from_secs(10);
/// The same of those that are not among the first to be asked: a large domain has many.
const SILENCE_OF_OTHERS: Duration = Duration::from_mins(1);
const FIRST: usize = 4;
/// How often a controller is asked for what only a bound connection tells.
const INQUIRE_EVERY: Duration = Duration::from_mins(1);
/// With nothing due, look again after this.
const REST: Duration = Duration::from_secs(10);

/// DNS is asked again when what it said no longer holds, within these bounds.
const SOONEST_LOOK: Duration = Duration::from_secs(15);
const LATEST_LOOK: Duration = Duration::from_hours(1);
/// Without an answer it is asked again after twice the time each time, from the first to the second.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Both tasks end when the set is dropped.
pub(crate) fn keep(controllers: &Arc<Controllers>, discovery: Option<Discovery>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(watch(Arc::clone(controllers)));
    if let Some(discovery) = discovery {
        tasks.spawn(follow(Arc::clone(controllers), discovery));
    }
    tasks
}

async fn follow(controllers: Arc<Controllers>, discovery: Discovery) {
    let mut retry = FIRST_RETRY;
    loop {
        let pause = match discovery.look().await {
            Ok((announced, hold_for)) => {
                controllers.adopt(announced, draw);
                retry = FIRST_RETRY;
                hold_for.clamp(SOONEST_LOOK, LATEST_LOOK)
            }
            Err(problem) => {
                controllers.not_found(problem);
                let pause = retry;
                retry = (retry * 2).min(LAST_RETRY);
                pause
            }
        };
        sleep(pause).await;
    }
}

/// A random number from 0 to `most`.
fn draw(most: u32) -> u32 {
    let random = Uuid::new_v4().as_u128() % (u128::from(most) + 1);
    u32::try_from(random).unwrap_or(most)
}

async fn watch(controllers: Arc<Controllers>) {
    let mut checks = FuturesUnordered::new();
    loop {
        let pools = controllers.members();
        let choosing = pools.len() > 1;
        let mut next = Instant::now() + REST;
        for (index, pool) in pools.iter().enumerate() {
            let silence = if index < FIRST {
                SILENCE
            } else {
                SILENCE_OF_OTHERS
            };
            match pool.begin_check(silence, choosing) {
                Ok(()) => checks.push(check(&controllers, Arc::clone(pool))),
                Err(Some(due)) => next = next.min(due),
                Err(None) => {}
            }
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = controllers.opened() => {}
            Some(()) = checks.next() => {}
        }
    }
}

/// Asks a controller whether it is well, and while at it what it knows of its domain.
async fn check(controllers: &Controllers, pool: Arc<Pool>) {
    if let Some(lease) = look(controllers, &pool).await {
        if pool.facts.begin_inquiry(INQUIRE_EVERY) {
            inquire(controllers, &pool, &lease).await;
        }
        pool.give_back(lease);
    }
    pool.end_check();
}

/// A bound connection to a controller that is well, where the account may be tried. Whether it is well is
/// noted with the pool in any case.
async fn look(controllers: &Controllers, pool: &Pool) -> Option<Lease> {
    let probing = pool.breaker() != BreakerState::Closed;
    if !probing && let Some(lease) = pool.idle_lease() {
        if let Ok(root) = lease.connection.root_dse(&pool.endpoint).await {
            pool.observe(root);
            return Some(lease);
        }
        pool.forget_idle();
    }
    // without a bind: what refuses the account is alive
    let connection = ask_itself(pool).await?;
    if controllers.standing_refusal() || !(probing || pool.facts.is_met_first()) {
        pool.answered();
        return None;
    }
    // and with one, so that what answers nobody who signs in is not taken for well
    let lease = pool.sign_in(connection).await;
    if lease.is_none() && controllers.standing_refusal() {
        pool.answered();
    }
    lease
}

/// Reads which controller is the PDC emulator, and whether this one is read-only, which not every version
/// says in its rootDSE.
async fn inquire(controllers: &Controllers, pool: &Pool, lease: &Lease) {
    let Some(root) = pool.facts.root() else {
        return;
    };
    if let Some(domain) = &root.default_naming_context
        && let Some(entry) = read_one(&lease.connection, domain, &["fSMORoleOwner"]).await
        && let Some(owner) = entry.text("fSMORoleOwner")
    {
        controllers.pdc_is(owner);
    }
    if let Some(service) = &root.ds_service_name
        && let Some(entry) = read_one(&lease.connection, service, &["msDS-isRODC"]).await
        && let Some(is_read_only) = entry.text("msDS-isRODC")
    {
        pool.facts
            .set_read_only(is_read_only.eq_ignore_ascii_case("TRUE"));
    }
}
