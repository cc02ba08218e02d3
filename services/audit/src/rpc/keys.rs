//! Keys: what operators did with them, written down.

use proto::v1::{self, keys_server::Keys};
use tonic::{Request, Response, Status};

use super::{Rpc, RpcError, operator};
use crate::{
    batch::{Answer, Item},
    key_act::KeyAct,
};

#[tonic::async_trait]
impl Keys for Rpc {
    async fn record_key_act(
        &self,
        request: Request<v1::KeyAct>,
    ) -> Result<Response<v1::KeyActRecorded>, Status> {
        let by = operator(&request)?;
        let act = KeyAct::from_wire(request.get_ref(), by).map_err(RpcError::from)?;
        let recorded = self.record_act(act).await?;
        Ok(Response::new(recorded))
    }
}

impl Rpc {
    async fn record_act(&self, act: KeyAct) -> Result<v1::KeyActRecorded, RpcError> {
        match self.appender.append(Item::KeyAct(Box::new(act))).await? {
            Answer::KeyAct { sequence, act } => {
                tracing::info!(forest = %act.forest, keys = act.keys.len(), "a key act recorded");
                Ok(v1::KeyActRecorded {
                    sequence,
                    at: act.at,
                    by: act.by,
                })
            }
            _ => Err(RpcError::Unexpected),
        }
    }
}
