//! Ready to configure: what will be written, and the last chance to leave.

use crate::setup::{
    configure,
    console::{Console, Leave},
    draft::Draft,
};

pub(super) fn show(
    console: &mut Console<'_>,
    draft: &mut Draft,
    dry_run: bool,
) -> Result<(), Leave> {
    console.heading(7, "Ready to configure")?;
    for line in configure::plan(draft)?.lines() {
        console.say(&line)?;
    }
    if dry_run {
        console.say("Nothing is written: this is a dry run.")?;
        return Ok(());
    }
    if console.yes_or_no("Configure", true)? {
        Ok(())
    } else {
        Err(Leave::Back)
    }
}
