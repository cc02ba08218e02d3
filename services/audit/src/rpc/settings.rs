//! Settings: what operators may turn off, obeyed by the next admission.

use operation::ForestId;
use proto::v1::{self, settings_server::Settings};
use tonic::{Request, Response, Status};

use super::{Rpc, RpcError, in_time, operator};
use crate::{
    batch::{Answer, Item},
    content,
    settings::SettingsChange,
    store,
};

const LONGEST_NOTE: usize = 500;

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
        let settings = self
            .change(operator(&request)?, request.into_inner())
            .await?;
        Ok(Response::new(settings.to_wire()))
    }
}

impl Rpc {
    async fn change(
        &self,
        changed_by: String,
        request: v1::SetSettingsRequest,
    ) -> Result<Box<crate::settings::Settings>, RpcError> {
        content::plain("note", &request.note)?;
        if request.note.chars().count() > LONGEST_NOTE {
            return Err(RpcError::Invalid(format!(
                "note: longer than {LONGEST_NOTE} characters"
            )));
        }
        let forest = request
            .forest
            .map(|forest| forest.parse::<ForestId>())
            .transpose()
            .map_err(|error| RpcError::Invalid(format!("forest: {error}")))?;
        let change = SettingsChange {
            forest,
            writeback: request.writeback,
            unlock_without_reset: request.unlock_without_reset,
            changed_by,
            note: request.note,
        };
        match self.appender.append(Item::Settings(change)).await? {
            Answer::Settings(settings) => {
                tracing::info!(
                    writeback = settings.writeback,
                    unlock_without_reset = settings.unlock_without_reset,
                    forests = settings.forests.len(),
                    "settings recorded"
                );
                Ok(settings)
            }
            _ => Err(RpcError::Unexpected),
        }
    }
}
