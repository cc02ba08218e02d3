//! A search for many objects, page by page.

use std::time::Duration;

use ldap3::{
    Scope, SearchOptions,
    controls::{Control, ControlType, MakeCritical as _, PagedResults, RawControl},
};

use super::{Guarded, Inspection, OWNER_GROUP_DACL, constructed, guarded, sd_flags};
use crate::{DirectoryError, connection::Answer};

/// Descriptors are some kilobytes each: fewer to a page than elsewhere.
const PAGE: i32 = 250;
const PAGE_TIME_OUT: Duration = Duration::from_mins(1);

impl Inspection {
    /// Everything below that the filter finds, page by page, with its descriptor.
    pub(crate) fn below(
        &self,
        base: &str,
        filter: &str,
        attributes: &'static [&'static str],
    ) -> Pages<'_> {
        Pages {
            inspection: self,
            base: base.to_owned(),
            filter: filter.to_owned(),
            attributes,
            cookie: Some(Vec::new()),
        }
    }
}

/// A search's results, page by page (RFC 2696).
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    inspection: &'a Inspection,
    base: String,
    filter: String,
    attributes: &'static [&'static str],
    cookie: Option<Vec<u8>>,
}

impl Pages<'_> {
    /// The next page, which may be empty though others follow; None after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Guarded>>, DirectoryError> {
        let Some(cookie) = self.cookie.take() else {
            return Ok(None);
        };
        let (base, filter, attributes) = (self.base.clone(), self.filter.clone(), self.attributes);
        let inspection = self.inspection;
        let call =
            inspection
                .lease
                .connection
                .call_within(PAGE_TIME_OUT, move |mut ldap| async move {
                    // critical: a server that ignored it would give the first part for the whole
                    let paged = PagedResults { size: PAGE, cookie }.critical();
                    let controls: Vec<RawControl> = vec![paged.into(), sd_flags(OWNER_GROUP_DACL)];
                    let ldap3::SearchResult(entries, result) = ldap
                        .with_search_options(SearchOptions::new())
                        .with_controls(controls)
                        .search(&base, Scope::Subtree, &filter, attributes)
                        .await?;
                    let next = result.ctrls.iter().find_map(|control| match control {
                        Control(Some(ControlType::PagedResults), raw) => {
                            Some(raw.parse::<PagedResults>().cookie)
                        }
                        _ => None,
                    });
                    Ok((constructed(entries), next, Answer::from(result)))
                });
        let (entries, next, answer) = call.await.map_err(|error| inspection.broken(error))?;
        if answer.result != 0 {
            return Err(inspection.refused(&answer));
        }
        let next = next.ok_or_else(|| DirectoryError::Unexpected {
            endpoint: inspection.domain_controller(),
            cause: "a page came without word whether another follows".to_owned(),
        })?;
        self.cookie = (!next.is_empty()).then_some(next);
        Ok(Some(entries.into_iter().map(guarded).collect()))
    }
}
