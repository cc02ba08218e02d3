//! Optional features: password writeback itself.

use crate::setup::{
    console::{Console, Leave},
    draft::Draft,
};

pub(super) fn show(console: &mut Console<'_>, draft: &mut Draft) -> Result<(), Leave> {
    console.heading(6, "Optional features")?;
    let features = &mut draft.answers.features;
    features.password_writeback = console.yes_or_no(
        "Password writeback: write new passwords back to the forests",
        features.password_writeback,
    )?;
    if features.password_writeback {
        console.say("  A forest without a sealing key gets one.")?;
    }
    features.unlock_without_reset = console.yes_or_no(
        "Let people unlock their account without a new password",
        features.unlock_without_reset,
    )?;
    Ok(())
}
