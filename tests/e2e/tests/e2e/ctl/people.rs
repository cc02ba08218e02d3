//! Who belongs to which test here, in every forest.

pub(super) const SENT: usize = 45;
pub(super) const PROMPTED: usize = 46;
pub(super) const TAILED: usize = 47;
