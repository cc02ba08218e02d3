//! How everything stands, for the operator.

use proto::v1::{self, health_server::Health};
use tonic::{Request, Response, Status};

use super::Rpc;

#[tonic::async_trait]
impl Health for Rpc {
    /// Answered from memory: also when neither the database nor the broker can be reached.
    async fn status(
        &self,
        _request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(self.standing.now()))
    }
}
