//! Lists of what virtual hosts contain: of all that the caller may see, and of one.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::management::Api;
use crate::management::ApiError;
use crate::management::auth::Caller;
use crate::management::listing;
use crate::management::listing::Listed;
use crate::management::path::Names;
use crate::management::query::Query;
use crate::vhost::Vhost;

/// A list of what virtual hosts contain.
pub(super) trait ByVhost: Listed {
    /// The list as the client wants it.
    fn wanted(api: Api, query: &Query) -> Result<Self, ApiError>
    where
        Self: Sized;

    /// What these contain.
    fn items(&self, vhosts: &[Arc<Vhost>]) -> Vec<Self::Item>;
}

async fn list<L: ByVhost>(
    api: Api,
    query: Query,
    vhosts: Vec<Arc<Vhost>>,
) -> Result<Response, ApiError> {
    let list = L::wanted(api, &query)?;
    listing::answer(query, list, move |list: &L| list.items(&vhosts)).await
}

pub(super) async fn of_all<L: ByVhost>(
    caller: Caller,
    State(api): State<Api>,
    query: Query,
) -> Result<Response, ApiError> {
    let vhosts = caller.vhosts(&api);
    list::<L>(api, query, vhosts).await
}

pub(super) async fn of_one<L: ByVhost>(
    caller: Caller,
    State(api): State<Api>,
    Names(vhost): Names<String>,
    query: Query,
) -> Result<Response, ApiError> {
    let vhosts = vec![caller.vhost(&api, &vhost)?];
    list::<L>(api, query, vhosts).await
}
