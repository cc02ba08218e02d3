//! What the services themselves show and believe.

use super::world::*;
use Level::{Degraded, Healthy};
use Place::{Corp, Service};
use proto::v1;

#[test]
fn certificates_of_our_own_that_end() {
    let shown = |days: i64| {
        move |held: &mut v1::ServiceCertificate| {
            held.certificate_expires_at = Some(NOW + days * DAY + 1);
        }
    };
    let audit = Service(ServiceKind::Audit);
    let soon = certificates("audit", shown(12));
    let says = "audit-1, audit-2: its certificate ends in 12 days (certificate_file in [audit])";
    expect(soon, audit, Degraded, says, Degraded);
    expect(
        certificates("audit-1", shown(29)),
        audit,
        Degraded,
        "ends in 29 days",
        Degraded,
    );
    expect(
        certificates("audit-1", shown(-1)),
        audit,
        Degraded,
        "has ended",
        Degraded,
    );
    expect(
        certificates("writer-corp-1", shown(12)),
        Corp,
        Degraded,
        "writer-corp-1: its certificate",
        Degraded,
    );
    let mut later = well();
    certificates("audit", shown(30))(&mut later);
    assert_eq!(judge(&later).level, Healthy);
    let authority = certificates("intake", |held| {
        held.authority_expires_at = Some(NOW + 29 * DAY);
    });
    let says = "the authority it trusts ends in 29 days (ca_file in [ledger])";
    expect(
        authority,
        Service(ServiceKind::Intake),
        Degraded,
        says,
        Degraded,
    );
}

#[test]
fn a_certificate_that_a_machine_renews_is_told_of_when_the_machine_does_not() {
    let renewed_every = |lifetime: i64, left: i64| {
        certificates("audit", move |held| {
            held.certificate_begins_at = Some(NOW - (lifetime - left) * DAY);
            held.certificate_expires_at = Some(NOW + left * DAY);
        })
    };
    for (lifetime, left) in [(28, 28), (28, 10), (28, 7), (90, 29), (90, 23)] {
        let mut status = well();
        renewed_every(lifetime, left)(&mut status);
        assert_eq!(judge(&status).level, Healthy, "{left} of {lifetime}");
    }
    let audit = Service(ServiceKind::Audit);
    expect(
        renewed_every(28, 6),
        audit,
        Degraded,
        "ends in 6 days",
        Degraded,
    );
    expect(
        renewed_every(90, 22),
        audit,
        Degraded,
        "ends in 22 days",
        Degraded,
    );
}
