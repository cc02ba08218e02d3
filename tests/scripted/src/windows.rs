//! What Windows says, word for word where a real domain controller's answer is known. The first eight
//! digits are a Win32 code, the rest is for information only (MS-ADTS 3.1.1.3.1.9).

/// A reset whose password breaks the policy: 53.
pub const RESET_BREAKS_POLICY: &str =
    "0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n";
/// A change whose password breaks the policy: 19.
pub const CHANGE_BREAKS_POLICY: &str = "0000052D: AtrErr: DSID-03191083, #1:\n\t0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n";
/// A change with a wrong current password: 19.
pub const WRONG_CURRENT_PASSWORD: &str = "00000056: AtrErr: DSID-03191083, #1:\n\t0: 00000056: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n";
/// A change on a locked account: 19.
pub const LOCKED: &str = "00000775: AtrErr: DSID-03190F80, #1:\n\t0: 00000775: DSID-03190F80, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n";
/// A change by a person who may not: 19.
pub const MAY_NOT_CHANGE: &str = "00000005: AtrErr: DSID-03190F80, #1:\n\t0: 00000005: DSID-03190F80, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n";
/// A write without the right: 50.
pub const NO_RIGHT: &str =
    "00000005: SecErr: DSID-031A1190, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n";
pub const NO_RIGHT_ON_ATTRIBUTE: &str =
    "00002098: SecErr: DSID-03150F94, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n";
/// A password over what it takes for a connection in the clear: 53.
pub const NOT_ENCRYPTED: &str =
    "0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n";
/// A password that is not in quotes: 19.
pub const NOT_QUOTED: &str = "0000216C: AtrErr: DSID-031910D5, #1:\n\t0: 0000216C: DSID-031910D5, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n";
/// More than one password: 19.
pub const MANY_VALUES: &str = "00002081: AtrErr: DSID-03191083, #1:\n\t0: 00002081: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)\n";
/// A critical control that it does not know: 12.
pub const UNKNOWN_CONTROL: &str =
    "0000202C: SvcErr: DSID-03200B5A, problem 5010 (UNAVAIL_EXTENSION), data 0\n";
/// A name that no object has: 32.
pub const GONE: &str = "0000208D: NameErr: DSID-03100245, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'DC=corp,DC=example,DC=com'\n";
/// From a read-only domain controller, or one of another domain: 10.
pub const REFERRAL: &str =
    "0000202B: RefErr: DSID-03100835, data 0, 1 access points\n\tref 1: 'dc2.corp.example.com'\n";
/// 8.
pub const SIGNING_NEEDED: &str = "00002028: LdapErr: DSID-0C09023F, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563";
/// 13.
pub const CONFIDENTIALITY_NEEDED: &str = "0000202D: LdapErr: DSID-0C09016D, comment: The server requires that the connection be encrypted, data 0, v4563";
/// An operation on a connection that has not been bound: 1.
pub const NOT_BOUND: &str = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563";
/// 51.
pub const BUSY: &str = "0000200E: SvcErr: DSID-031A0DD5, problem 5001 (BUSY), data 0\n";
/// 52.
pub const UNAVAILABLE: &str =
    "0000200F: SvcErr: DSID-03210E7B, problem 5002 (UNAVAILABLE), data 0\n";
/// 80.
pub const OTHER: &str = "000020EF: SvcErr: DSID-020A0E3B, problem 5012 (DIR_ERROR), data -1018\n";

/// A refused bind (49), with why in `data`, such as `52e`.
pub fn bind_refused(data: &str) -> String {
    format!(
        "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v4563"
    )
}

/// LDAP_SERVER_POLICY_HINTS_OID and its deprecated elder (MS-ADTS 3.1.1.3.4.1.27 and .28).
pub const POLICY_HINTS: &str = "1.2.840.113556.1.4.2239";
pub const POLICY_HINTS_DEPRECATED: &str = "1.2.840.113556.1.4.2066";

/// `supportedControl` of a Windows Server 2025 domain controller.
pub(crate) const SUPPORTED_CONTROLS: [&str; 40] = [
    "1.2.840.113556.1.4.319",
    "1.2.840.113556.1.4.801",
    "1.2.840.113556.1.4.473",
    "1.2.840.113556.1.4.528",
    "1.2.840.113556.1.4.417",
    "1.2.840.113556.1.4.619",
    "1.2.840.113556.1.4.841",
    "1.2.840.113556.1.4.529",
    "1.2.840.113556.1.4.805",
    "1.2.840.113556.1.4.521",
    "1.2.840.113556.1.4.970",
    "1.2.840.113556.1.4.1338",
    "1.2.840.113556.1.4.474",
    "1.2.840.113556.1.4.1339",
    "1.2.840.113556.1.4.1340",
    "1.2.840.113556.1.4.1413",
    "2.16.840.1.113730.3.4.9",
    "2.16.840.1.113730.3.4.10",
    "1.2.840.113556.1.4.1504",
    "1.2.840.113556.1.4.1852",
    "1.2.840.113556.1.4.802",
    "1.2.840.113556.1.4.1907",
    "1.2.840.113556.1.4.1948",
    "1.2.840.113556.1.4.1974",
    "1.2.840.113556.1.4.1341",
    "1.2.840.113556.1.4.2026",
    "1.2.840.113556.1.4.2064",
    "1.2.840.113556.1.4.2065",
    POLICY_HINTS_DEPRECATED,
    "1.2.840.113556.1.4.2090",
    "1.2.840.113556.1.4.2205",
    "1.2.840.113556.1.4.2204",
    "1.2.840.113556.1.4.2206",
    "1.2.840.113556.1.4.2211",
    POLICY_HINTS,
    "1.2.840.113556.1.4.2255",
    "1.2.840.113556.1.4.2256",
    "1.2.840.113556.1.4.2309",
    "1.2.840.113556.1.4.2330",
    "1.2.840.113556.1.4.2354",
];
pub(crate) const SUPPORTED_CAPABILITIES: [&str; 6] = [
    "1.2.840.113556.1.4.800",
    "1.2.840.113556.1.4.1670",
    "1.2.840.113556.1.4.1791",
    "1.2.840.113556.1.4.1935",
    "1.2.840.113556.1.4.2080",
    "1.2.840.113556.1.4.2237",
];

/// What a read-only domain controller has besides (MS-ADTS 3.1.1.3.4.3, `LDAP_CAP_ACTIVE_DIRECTORY_PARTIAL_SECRETS_OID`).
pub const PARTIAL_SECRETS: &str = "1.2.840.113556.1.4.1920";
