//! What the ledger knows: one operation, many, news, precedents, everything, and whether it holds.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use chain::Entry;
use futures_util::{Stream, stream};
use operation::{ForestId, SecurityIdentifier, SourceAnchor, UserPrincipalName, UserReference};
use proto::v1::{self, ledger_server::Ledger};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Rpc, RpcError, in_time};
use crate::{
    content::{self, Target},
    news::Event,
    record::Record,
    store::{self, Filter},
    verify::{self, Checkpoint, Whose},
};

const DEFAULT_LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1000;
const EXPORT_PAGE: i64 = 500;
const MOST_PRECEDENTS: i64 = 1000;
const DAY: i64 = 86_400_000_000;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Ledger for Rpc {
    type WatchStream = Answers<v1::WatchEvent>;
    type ExportStream = Answers<v1::LedgerEntry>;

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::OperationRecord>, Status> {
        let id = content::operation_id(&request.get_ref().id).map_err(RpcError::from)?;
        telemetry::span::current_belongs_to(id);
        Ok(Response::new(self.record(id).await?.to_wire()))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        Ok(Response::new(self.list(request.get_ref()).await?))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch = Watch::new(self, request.get_ref())?;
        let events = stream::unfold(watch, |mut watch| async {
            let event = watch.next().await?;
            Some((event, watch))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn predecessor(
        &self,
        request: Request<v1::PredecessorRequest>,
    ) -> Result<Response<v1::PredecessorResponse>, Status> {
        let id = content::operation_id(&request.get_ref().operation_id).map_err(RpcError::from)?;
        telemetry::span::current_belongs_to(id);
        // a standby is behind: who asks would not hear of what it must wait for
        in_time(store::can_append(&self.pool)).await?;
        let predecessor = in_time(store::predecessor(&self.pool, id)).await?;
        Ok(Response::new(v1::PredecessorResponse {
            predecessor: predecessor.map(|predecessor| v1::Predecessor {
                operation_id: predecessor.id.to_string(),
                admitted_at: predecessor.admitted_at,
                heard_of: predecessor.heard_of,
                waiting: predecessor.waiting.try_into().unwrap_or(u32::MAX),
            }),
        }))
    }

    async fn precedents(
        &self,
        request: Request<v1::PrecedentsRequest>,
    ) -> Result<Response<v1::PrecedentsResponse>, Status> {
        Ok(Response::new(self.precedents_of(request.get_ref()).await?))
    }

    async fn export(
        &self,
        request: Request<v1::ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let export = Export {
            rpc: self.clone(),
            last: request.get_ref().from_sequence.saturating_sub(1),
            page: VecDeque::new(),
        };
        let entries = stream::try_unfold(export, |mut export| async {
            let entry = export.next().await?;
            Ok::<_, Status>(entry.map(|entry| (entry, export)))
        });
        Ok(Response::new(Box::pin(entries)))
    }

    async fn head(
        &self,
        _request: Request<v1::HeadRequest>,
    ) -> Result<Response<v1::SignedHead>, Status> {
        let head = in_time(store::head(&self.pool)).await?;
        Ok(Response::new(v1::SignedHead {
            sequence: head.sequence,
            at: head.at,
            hash: head.hash,
            public_key: head.public_key,
            signature: head.signature,
        }))
    }

    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let checkpoints = self.checkpoints(request.get_ref());
        // as long as it takes: each of its statements is bounded
        let verification = verify::verify(&self.pool, &self.key, &checkpoints)
            .await
            .map_err(RpcError::from)?;
        let intact = verification.findings.is_empty();
        let verdict = verification.verdict();
        tracing::info!(
            intact,
            entries = verification.entries,
            kept = verdict.is_some(),
            "verified"
        );
        let kept = match verdict {
            None => false,
            Some(verdict) => match in_time(store::keep_verdict(&self.pool, verdict)).await {
                Ok(()) => true,
                // who asked is told all the same
                Err(error) => {
                    tracing::error!(%error, "what a verification found could not be kept");
                    false
                }
            },
        };
        Ok(Response::new(v1::VerifyResponse {
            intact,
            entries: verification.entries,
            head: verification.head,
            findings: verification.findings,
            kept,
        }))
    }
}

impl Rpc {
    /// The caller's, and what this replica itself saw last.
    fn checkpoints(&self, request: &v1::VerifyRequest) -> Vec<Checkpoint> {
        let given = { request.checkpoints.iter() }.map(|given| Checkpoint::given(given, &self.key));
        let own = self.news.newest().map(|(sequence, hash)| Checkpoint {
            sequence,
            hash,
            whose: Whose::Replica,
        });
        given.chain(own).collect()
    }

    async fn list(
        &self,
        request: &v1::ListOperationsRequest,
    ) -> Result<v1::ListOperationsResponse, RpcError> {
        let limit = match request.limit {
            0 => DEFAULT_LIMIT,
            limit => limit.min(LARGEST_LIMIT),
        };
        let limit_rows = usize::try_from(limit).unwrap_or(usize::MAX);
        let filter = filter(request)?;
        let mut records = in_time(store::list(&self.pool, &filter, i64::from(limit) + 1)).await?;
        let more = records.len() > limit_rows;
        records.truncate(limit_rows);
        let next_page_token = records
            .last()
            .filter(|_| more)
            .map(|last| last.admission.admitted_at.to_string());
        Ok(v1::ListOperationsResponse {
            operations: records.iter().map(Record::to_wire).collect(),
            next_page_token,
        })
    }

    async fn precedents_of(
        &self,
        request: &v1::PrecedentsRequest,
    ) -> Result<v1::PrecedentsResponse, RpcError> {
        let id = content::operation_id(&request.operation_id)?;
        telemetry::span::current_belongs_to(id);
        in_time(store::can_append(&self.pool)).await?;
        let own = self.record(id).await?;
        let target = request.target.as_ref().map(Target::from_wire).transpose()?;
        let target = target.or_else(|| own.target.clone());
        let admitted_at = own.admission.admitted_at;
        let keys = own.admission.person_keys();
        let mut others = in_time(store::others(
            &self.pool,
            id,
            &keys,
            target
                .as_ref()
                .map(|target| target.object_guid.as_bytes().as_slice()),
            admitted_at.saturating_sub(DAY),
            MOST_PRECEDENTS,
        ))
        .await?;
        others.reverse();
        Ok(v1::PrecedentsResponse {
            status: v1::Status::from(own.status()).into(),
            precedents: others
                .iter()
                .map(|other| v1::Precedent {
                    operation_id: other.admission.id.to_string(),
                    admitted_at: other.admission.admitted_at,
                    admitted_later: other.admission.admitted_at > admitted_at,
                    kind: v1::Kind::from(other.admission.kind).into(),
                    status: v1::Status::from(other.status()).into(),
                    write: other.write.as_ref().map(content::Write::to_wire),
                    deadline: other.admission.deadline,
                })
                .collect(),
        })
    }
}

fn filter(request: &v1::ListOperationsRequest) -> Result<Filter, RpcError> {
    let (person_key, object_guid) = match &request.person {
        Some(person) => person_key(person)?,
        None => (None, None),
    };
    let status = request
        .status
        .map(|status| {
            v1::Status::try_from(status)
                .ok()
                .and_then(|status| operation::Status::try_from(status).ok())
                .map(|status| status.as_str().to_owned())
                .ok_or_else(|| RpcError::Invalid("status: unknown".to_owned()))
        })
        .transpose()?;
    let forest = request
        .forest
        .as_ref()
        .map(|forest| forest.parse::<ForestId>())
        .transpose()
        .map_err(|error| RpcError::Invalid(format!("forest: {error}")))?;
    let before = request
        .page_token
        .as_ref()
        .map(|token| token.parse::<i64>())
        .transpose()
        .map_err(|_| RpcError::Invalid("page_token: not one of ours".to_owned()))?;
    Ok(Filter {
        person_key,
        object_guid,
        forest: forest.map(|forest| forest.to_string()),
        status,
        since: request.since,
        until: request.until,
        before,
    })
}

/// A person by any identifier. An anchor is also looked for among the objects found: most anchors
/// are the objectGUID.
fn person_key(person: &str) -> Result<(Option<String>, Option<Vec<u8>>), RpcError> {
    let anchor = person.parse::<SourceAnchor>().ok();
    let sid = person.parse::<SecurityIdentifier>().ok();
    let name = person.parse::<UserPrincipalName>().ok();
    let object_guid = anchor.map(|anchor| anchor.as_bytes().to_vec());
    UserReference::new(anchor, sid, name, None)
        .map(|user| (user.keys().into_iter().next(), object_guid))
        .map_err(|_| {
            RpcError::Invalid(
                "person: not a source anchor, a security identifier or a user principal name"
                    .to_owned(),
            )
        })
}

/// One caller's view of the news.
struct Watch {
    news: Receiver<Arc<Event>>,
    operation_id: Option<Uuid>,
    forest: Option<String>,
    shutdown: CancellationToken,
    ended: bool,
}

impl Watch {
    fn new(rpc: &Rpc, request: &v1::WatchRequest) -> Result<Self, RpcError> {
        let operation_id = request
            .operation_id
            .as_deref()
            .map(content::operation_id)
            .transpose()?;
        Ok(Self {
            news: rpc.news.subscribe(),
            operation_id: operation_id.map(operation::OperationId::as_uuid),
            forest: request.forest.clone(),
            shutdown: rpc.shutdown.clone(),
            ended: false,
        })
    }

    fn concerns(&self, event: &Event) -> bool {
        let forest = || {
            let record = event.record.as_ref()?;
            Some(record.target.as_ref()?.forest.as_str())
        };
        self.operation_id
            .is_none_or(|id| event.operation_id == Some(id))
            && self
                .forest
                .as_deref()
                .is_none_or(|wanted| forest() == Some(wanted))
    }

    async fn next(&mut self) -> Option<Result<v1::WatchEvent, Status>> {
        if self.ended {
            return None;
        }
        loop {
            let received = tokio::select! {
                () = self.shutdown.cancelled() => return None,
                received = self.news.recv() => received,
            };
            match received {
                Ok(event) if self.concerns(&event) => {
                    return Some(Ok(v1::WatchEvent {
                        sequence: event.sequence,
                        at: event.at,
                        record: event.record.as_ref().map(Record::to_wire),
                        note: event.note.clone(),
                    }));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    self.ended = true;
                    return Some(Err(Status::resource_exhausted(format!(
                        "the watcher is too slow: {missed} entries were missed; watch again"
                    ))));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Reads on, page by page, as fast as the caller takes it.
struct Export {
    rpc: Rpc,
    last: i64,
    page: VecDeque<Entry>,
}

impl Export {
    async fn next(&mut self) -> Result<Option<v1::LedgerEntry>, RpcError> {
        if self.page.is_empty() {
            let page = store::entries_after(&self.rpc.pool, self.last, EXPORT_PAGE);
            self.page = in_time(page).await?.into();
        }
        let Some(entry) = self.page.pop_front() else {
            return Ok(None);
        };
        self.last = entry.sequence;
        Ok(Some(v1::LedgerEntry {
            sequence: entry.sequence,
            at: entry.at,
            kind: entry.kind,
            operation_id: entry
                .operation_id
                .map(|id| id.hyphenated().to_string())
                .unwrap_or_default(),
            content: entry.content,
            previous: entry.previous,
            hash: entry.hash,
        }))
    }
}
