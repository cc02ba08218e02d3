//! From where on something is not as it should be, where an alert judges it too: a test compares these with the alerts.

use std::time::Duration;

/// Of a domain controller's clock and ours. Kerberos refuses at five minutes (MS-KILE, the default of the domain policy); this
/// leaves time to act.
pub const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// Until its end, of a certificate or an authority: a domain controller's, or a service's own.
pub const CERTIFICATE_DAYS: i64 = expiry::AHEAD.whole_days();

/// A service's own certificate that was made for a short time is told of in this part of its life, its last.
pub const CERTIFICATE_LAST_PART: i32 = expiry::LAST_PART;

/// A key is to be replaced when it is half a year old; whoever does it on a schedule does it within a week.
pub const KEY_DAYS: i64 = 180;
pub const KEY_DAYS_OF_GRACE: i64 = 7;

/// An operation is resolved within a second; a request that waits for a resolver expires with it.
pub const PENDING_FOR: Duration = Duration::from_mins(1);

/// The resolver believes its index for a minute, and then searches without it.
pub const ANCHORS_WITHIN: Duration = Duration::from_mins(1);
