//! Policy hints: the control that makes a reset obey the password history, which it otherwise skips
//! (MS-ADTS 3.1.1.3.4.1.27).

use ldap3::controls::RawControl;
use operation::Reason;

use crate::Explained;

/// LDAP_SERVER_POLICY_HINTS_OID, and its deprecated elder (MS-ADTS 3.1.1.3.4.1.27 and .28).
pub(crate) const CONTROLS: [&str; 2] = ["1.2.840.113556.1.4.2239", "1.2.840.113556.1.4.2066"];

/// SEQUENCE { INTEGER 1 }: enforce. Any other integer enforces nothing.
const ENFORCE: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x01];

/// Whether a reset is sent with policy hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyHints {
    /// Only where the domain controller knows them.
    Required,
    WhenAvailable,
    Never,
}

impl PolicyHints {
    /// The control to send to a domain controller that knows `offered`.
    ///
    /// # Errors
    /// When it must be sent and cannot. Nothing else of the forest is wrong, and another domain
    /// controller may know it.
    pub(crate) fn control(
        self,
        offered: Option<&'static str>,
    ) -> Result<Option<&'static str>, Explained> {
        match (self, offered) {
            (Self::Never, _) | (Self::WhenAvailable, None) => Ok(None),
            (Self::Required | Self::WhenAvailable, Some(oid)) => Ok(Some(oid)),
            (Self::Required, None) => Err(Explained {
                reason: Reason::DirectoryMisconfigured,
                detail: "policy hints are required, and the domain controller does not know them: \
                         the password history would not be checked"
                    .to_owned(),
                violations: Vec::new(),
                transient: true,
            }),
        }
    }
}

/// Always critical: a controller that does not know it must refuse, not skip it in silence.
pub(crate) fn critical(oid: &str) -> RawControl {
    RawControl {
        ctype: oid.to_owned(),
        crit: true,
        val: Some(ENFORCE.to_vec()),
    }
}
