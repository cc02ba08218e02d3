//! Who is used here, in every forest: others than in the undisturbed tests. The tests take turns, so they share them.

use std::ops::Range;

/// Whose passwords are set while something is disturbed.
pub(crate) const UNDER_WAY: Range<usize> = 30..40;
/// Whose passwords are set once it is disturbed.
pub(crate) const AFTERWARDS: Range<usize> = 40..45;
/// As many as a forest's writers have in hand, and more. The undisturbed tests are over with them by now.
pub(crate) const MANY: Range<usize> = 0..24;
