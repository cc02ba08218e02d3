//! Two replicas on one new database: they migrate once, and write one chain together whatever happens to one of them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use proto::v1::{self, admission_client::AdmissionClient, admit_response::Answer};
use tonic::{Code, transport::Channel};

use super::replicas::OwnLedger;
use crate::ALONE;

fn admission(number: usize) -> v1::AdmitRequest {
    let in_an_hour = time::OffsetDateTime::now_utc() + Duration::from_hours(1);
    v1::AdmitRequest {
        operation: Some(v1::Operation {
            id: uuid::Uuid::now_v7().to_string(),
            kind: v1::Kind::Unlock.into(),
            user: Some(v1::UserReference {
                user_principal_name: Some(format!("person.{}@corp.example.com", number % 7)),
                ..v1::UserReference::default()
            }),
            initiator: Some(v1::Initiator {
                kind: v1::InitiatorKind::User.into(),
                id: None,
            }),
            event_source: "urn:test:chain".to_owned(),
            event_id: uuid::Uuid::now_v7().to_string(),
            unlock: true,
            deadline: proto::to_micros(in_an_hour),
            ..v1::Operation::default()
        }),
        content_digest: vec![0; 32],
        caller: "test".to_owned(),
        service: "test".to_owned(),
        unthrottled: true,
        sealed_for: Vec::new(),
    }
}

fn id(request: &v1::AdmitRequest) -> String {
    let operation = request.operation.as_ref();
    operation
        .map(|operation| operation.id.clone())
        .unwrap_or_default()
}

/// Admits all at once, by turns through each replica; the ids and times of those that were acknowledged.
async fn admit(replicas: &[AdmissionClient<Channel>], count: usize) -> Vec<(String, i64)> {
    let asked = (0..count)
        .zip(replicas.iter().cycle())
        .map(|(number, client)| {
            let mut client = client.clone();
            async move {
                let request = admission(number);
                let id = id(&request);
                let answer = client.admit(request).await.ok()?.into_inner().answer?;
                match answer {
                    Answer::Admitted(admitted) => Some((id, admitted.admitted_at)),
                    _ => None,
                }
            }
        });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn expect_intact(own: &OwnLedger, at_least: usize) -> anyhow::Result<()> {
    let (code, verified) = own.verify(&[]).await?;
    ensure!(code == 0 && verified["intact"] == true, "{code} {verified}");
    let entries = verified["entries"].as_u64().context("no number")?;
    ensure!(
        entries >= at_least as u64,
        "{entries} of {at_least} entries"
    );
    Ok(())
}

async fn migrations(own: &OwnLedger) -> anyhow::Result<Vec<(i64, String)>> {
    let query = "SELECT version, installed_on::text FROM _sqlx_migrations ORDER BY version";
    Ok(sqlx::query_as(query).fetch_all(&own.database).await?)
}

#[tokio::test]
async fn two_replicas_that_start_at_once_write_one_chain() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut own = OwnLedger::empty(2).await?;
    expect_intact(&own, 0).await?;
    let migrated = migrations(&own).await?;
    ensure!(!migrated.is_empty(), "nothing was migrated");

    let [one, other] = own.replicas.as_mut_slice() else {
        anyhow::bail!("not two");
    };
    let (through_one, through_other) = (one.admission().await?, other.admission().await?);
    let mut reader = one.ledger().await?;
    // who watches one replica hears what is written through the other
    let watching = reader.watch(v1::WatchRequest::default()).await?;
    let mut watched = watching.into_inner();
    let admitted = admit(std::slice::from_ref(&through_other), 1).await;
    let first = tokio::time::timeout(Duration::from_secs(10), watched.message()).await??;
    let heard = first.and_then(|event| event.record?.operation);
    let heard = heard.map(|operation| operation.id);
    assert_eq!(heard.as_ref(), admitted.first().map(|(id, _)| id));

    let both = [through_one.clone(), through_other];
    let admitted = admit(&both, 200).await;
    assert_eq!(admitted.len(), 200);
    let times: BTreeSet<i64> = admitted.iter().map(|(_, at)| *at).collect();
    assert_eq!(
        times.len(),
        admitted.len(),
        "two at the same moment have no order"
    );

    // one dies in the middle of the next; what it acknowledged is there, and the other goes on
    let (acknowledged, killed) = tokio::join!(admit(&both, 400), async {
        // the news tells of those before, then of the storm: it has begun
        for _ in 0..admitted.len() + 20 {
            tokio::time::timeout(Duration::from_secs(10), watched.message()).await??;
        }
        other.kill().await
    });
    killed?;
    for (id, _) in &acknowledged {
        let request = v1::GetOperationRequest { id: id.clone() };
        let record = reader.get_operation(request).await;
        ensure!(record.is_ok(), "{id} was acknowledged and is not there");
    }
    let survivor = admit(&[through_one], 20).await;
    assert_eq!(survivor.len(), 20, "the other does not go on");
    let recorded = 1 + admitted.len() + acknowledged.len() + survivor.len();
    expect_intact(&own, recorded).await?;

    // again, on what is there already
    own.start(1).await?;
    assert_eq!(migrations(&own).await?, migrated, "migrated again");
    expect_intact(&own, recorded).await?;
    own.end().await
}

#[tokio::test]
async fn the_ledger_answers_what_is_asked_and_refuses_what_is_not_a_question() -> anyhow::Result<()>
{
    let _alone = ALONE.lock().await;
    let own = OwnLedger::empty(1).await?;
    let replica = own.replicas.first().context("no replica")?;
    let admitted = admit(&[replica.admission().await?], 5).await;
    let mut ledger = replica.ledger().await?;
    let list = |request: v1::ListOperationsRequest| {
        let mut ledger = ledger.clone();
        async move {
            let answer = ledger.list_operations(request).await?.into_inner();
            let ids = answer
                .operations
                .into_iter()
                .filter_map(|record| record.operation);
            Ok::<_, tonic::Status>(ids.map(|operation| operation.id).collect::<Vec<_>>())
        }
    };
    let all = list(v1::ListOperationsRequest::default()).await?;
    let mut newest_first = admitted.clone();
    newest_first.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
    assert_eq!(
        all,
        newest_first
            .iter()
            .map(|(id, _)| id.clone())
            .collect::<Vec<_>>()
    );
    let (oldest, at) = newest_first.last().context("none")?;
    let pending = Some(v1::Status::Pending.into());
    let until = v1::ListOperationsRequest {
        until: Some(at + 1),
        status: pending,
        ..v1::ListOperationsRequest::default()
    };
    assert_eq!(list(until).await?, std::slice::from_ref(oldest));
    let since = v1::ListOperationsRequest {
        since: Some(at + 1),
        ..v1::ListOperationsRequest::default()
    };
    assert_eq!(list(since).await?.len(), 4);
    for wrong in [
        v1::ListOperationsRequest {
            person: Some("?".to_owned()),
            ..Default::default()
        },
        v1::ListOperationsRequest {
            forest: Some("?".to_owned()),
            ..Default::default()
        },
        v1::ListOperationsRequest {
            status: Some(77),
            ..Default::default()
        },
        v1::ListOperationsRequest {
            page_token: Some("?".to_owned()),
            ..Default::default()
        },
    ] {
        let refused = list(wrong.clone()).await.err().map(|status| status.code());
        assert_eq!(refused, Some(Code::InvalidArgument), "{wrong:?}");
    }
    for (id, code) in [
        ("?".to_owned(), Code::InvalidArgument),
        (uuid::Uuid::now_v7().to_string(), Code::NotFound),
    ] {
        let answer = ledger.get_operation(v1::GetOperationRequest { id }).await;
        assert_eq!(answer.err().map(|status| status.code()), Some(code));
    }

    // every entry, for who trusts nobody, from anywhere on
    let mut exported = ledger
        .export(v1::ExportRequest { from_sequence: 3 })
        .await?
        .into_inner();
    let mut sequences = Vec::new();
    let mut previous: Option<Vec<u8>> = None;
    while let Some(entry) = exported.message().await? {
        if let Some(hash) = previous.replace(entry.hash) {
            assert_eq!(entry.previous, hash);
        }
        sequences.push(entry.sequence);
    }
    assert_eq!(sequences, [3, 4, 5]);
    own.end().await
}
