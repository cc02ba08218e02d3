//! Who belongs to which test, in every forest: tests run side by side, and a password has one owner.

pub(crate) const RESET_BY_USER: usize = 0;
pub(crate) const RESET_BY_ADMINISTRATOR: usize = 1;
pub(crate) const CHANGE: usize = 2;
pub(crate) const WRONG_CURRENT_PASSWORD: usize = 3;
pub(crate) const UNLOCK: usize = 4;
pub(crate) const AGAINST_POLICY: usize = 5;
pub(crate) const DUPLICATE: usize = 6;
pub(crate) const ASYNCHRONOUS: usize = 7;
pub(crate) const WRONG_TOKEN: usize = 8;
pub(crate) const MISSING_SCOPE: usize = 9;
// an event of an unknown type touches nobody, nor does a seal about somebody else: these two may have a password
pub(crate) const UNKNOWN_TYPE: usize = 10;
pub(crate) const TRACED: usize = UNKNOWN_TYPE;
pub(crate) const SEALED_ABOUT_ANOTHER: usize = 11;
pub(crate) const SOMEBODY_ELSE: usize = 12;
pub(crate) const MEASURED: usize = SOMEBODY_ELSE;
pub(crate) const RESET_UNLOCKS: usize = 13;
pub(crate) const SEALED_TO_ONE_FOREST: usize = 14;
pub(crate) const TOO_LATE: usize = 15;
pub(crate) const DEAD_WRITER: usize = 16;
pub(crate) const SUPERSEDED: usize = 17;
pub(crate) const MODES: usize = 18;
pub(crate) const BATCHED: usize = 19;
pub(crate) const PREFERRING: usize = 20;
pub(crate) const TWINS: usize = 21;
pub(crate) const THROTTLED: usize = 22;
pub(crate) const IDENTIFIED: usize = 23;
pub(crate) const LOCKED_OR_NOT: usize = 24;
pub(crate) const FORCED_TO_CHANGE: usize = 25;
pub(crate) const HURRIED: usize = 26;
/// Whom nothing that is sent wrongly may touch.
pub(crate) const UNTOUCHED: usize = 27;
pub(crate) const ODD_CHARACTERS: usize = 28;
/// The README's example in the first forest, the door with TLS in the last.
pub(crate) const FOREIGN: usize = 29;
pub(crate) const AT_ONCE: std::ops::Range<usize> = 30..36;
pub(crate) const TOLD_ONCE: usize = 48;
/// In the last forest: throttled is one of the first.
pub(crate) const SEALED_BY_HAND: usize = THROTTLED;

pub(crate) const OUT_OF_SCOPE: &str = "otto.outside";
pub(crate) const PROTECTED: &str = "petra.protected";
pub(crate) const DISABLED: &str = "dora.disabled";
pub(crate) const CANNOT_CHANGE: &str = "frida.fixed";
pub(crate) const UNKNOWN: &str = "nobody.atall";
/// The `mS-DS-ConsistencyGuid` of the person who is enabled in both forests.
pub(crate) const IN_BOTH_FORESTS: uuid::Uuid =
    uuid::Uuid::from_u128(0x6f1c_de1a_9b0c_4bd9_9a34_1a2b_3c4d_5e6f);
