//! Settings: what operators may turn off, obeyed by the next admission.

use proto::v1::{self, settings_server::Settings};
use tonic::{Request, Response, Status};

use super::{Rpc, RpcError, in_time};
use crate::{
    batch::{Answer, Item, SettingsChange},
    content, store,
};

#[tonic::async_trait]
impl Settings for Rpc {
    async fn get_settings(
        &self,
        _request: Request<v1::GetSettingsRequest>,
    ) -> Result<Response<v1::SettingsValues>, Status> {
        let settings = in_time(store::settings(&self.pool))
            .await?
            .ok_or(RpcError::Unexpected)?;
        Ok(Response::new(settings.to_wire()))
    }

    async fn set_settings(
        &self,
        request: Request<v1::SetSettingsRequest>,
    ) -> Result<Response<v1::SettingsValues>, Status> {
        let settings = self.change(request.into_inner()).await?;
        Ok(Response::new(settings.to_wire()))
    }
}

impl Rpc {
    async fn change(&self, request: v1::SetSettingsRequest) -> Result<content::Settings, RpcError> {
        content::plain("changed_by", &request.changed_by)?;
        if request.changed_by.is_empty() {
            return Err(RpcError::Invalid("changed_by: missing".to_owned()));
        }
        let change = SettingsChange {
            writeback: request.writeback,
            unlock_without_reset: request.unlock_without_reset,
            changed_by: request.changed_by,
        };
        match self.appender.append(Item::Settings(change)).await? {
            Answer::Settings(settings) => {
                tracing::info!(
                    writeback = settings.writeback,
                    unlock_without_reset = settings.unlock_without_reset,
                    "settings recorded"
                );
                Ok(settings)
            }
            _ => Err(RpcError::Unexpected),
        }
    }
}
