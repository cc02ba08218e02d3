//! The pages in the order of the original's wizard, and the way from one to the next.

mod cloud;
mod directories;
mod features;
mod filtering;
mod ready;
mod tasks;
mod welcome;

use super::{
    console::{Console, Leave},
    draft::Draft,
};

pub(crate) use tasks::view;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Welcome,
    Tasks,
    Cloud,
    Directories,
    Filtering,
    Features,
    Ready,
}

const ORDER: [Page; 7] = [
    Page::Welcome,
    Page::Tasks,
    Page::Cloud,
    Page::Directories,
    Page::Filtering,
    Page::Features,
    Page::Ready,
];

/// Which pages a task needs; everything else stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Everything,
    Cloud,
    Directories,
    Filtering,
    Features,
}

impl Task {
    fn needs(self, page: Page) -> bool {
        match page {
            Page::Welcome | Page::Tasks | Page::Ready => true,
            Page::Cloud => matches!(self, Self::Everything | Self::Cloud),
            Page::Directories => matches!(self, Self::Everything | Self::Directories),
            // a forest that was added has domains to choose from
            Page::Filtering => {
                matches!(self, Self::Everything | Self::Directories | Self::Filtering)
            }
            Page::Features => matches!(self, Self::Everything | Self::Features),
        }
    }
}

/// Asks everything. When it returns, the person has agreed to the changes.
///
/// # Errors
/// [`Leave::Quit`] when the person leaves; never [`Leave::Back`].
pub(crate) async fn ask(
    console: &mut Console<'_>,
    draft: &mut Draft,
    dry_run: bool,
) -> Result<(), Leave> {
    let mut at = 0;
    let mut task = Task::Everything;
    while let Some(page) = ORDER.get(at).copied() {
        let left = match page {
            Page::Welcome => welcome::show(console, draft),
            Page::Tasks => tasks::show(console, draft).map(|chosen| task = chosen),
            Page::Cloud => cloud::show(console, draft).await,
            Page::Directories => directories::show(console, draft).await,
            Page::Filtering => filtering::show(console, draft).await,
            Page::Features => features::show(console, draft),
            Page::Ready => ready::show(console, draft, dry_run),
        };
        let needed = |at: &usize| ORDER.get(*at).is_none_or(|page| task.needs(*page));
        at = match left {
            Ok(()) => (at + 1..=ORDER.len()).find(needed).unwrap_or(ORDER.len()),
            Err(Leave::Back) => (0..at).rev().find(needed).unwrap_or(0),
            Err(leave) => return Err(leave),
        };
    }
    Ok(())
}
