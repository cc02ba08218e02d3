//! Why an operation was not applied: a stable code, the classic event id, who must act, and a page.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Status;

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// The person whose password it is.
    Person,
    /// An administrator of the directory or of Writeback.
    Administrator,
    /// Nobody: the same request may be sent again later.
    Retry,
}

impl Actor {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Administrator => "administrator",
            Self::Retry => "retry",
        }
    }
}

/// Defines every reason in one place. A reason without a page does not compile.
macro_rules! reasons {
    ($($variant:ident: $code:literal, $event_id:literal, $actor:ident, $status:ident, $title:literal;)*) => {
        /// The stable code for why an operation was not applied; kebab-case on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($variant),* }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }
            /// The event id of the original product, by which administrators search.
            pub const fn event_id(self) -> &'static str {
                match self { $(Self::$variant => $event_id),* }
            }
            pub const fn actor(self) -> Actor {
                match self { $(Self::$variant => Actor::$actor),* }
            }
            /// How an operation with this reason ends.
            pub const fn status(self) -> Status {
                match self { $(Self::$variant => Status::$status),* }
            }
            /// One short sentence, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
            /// The page: what happened, how to confirm, how to mend. Markdown.
            pub const fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("reasons/", $code, ".md"))),* }
            }
        }
    };
}

reasons! {
    PasswordPolicy: "password-policy", "33008", Person, Refused, "The password does not meet the domain's policy";
    IncorrectPassword: "incorrect-password", "33007", Person, Refused, "The current password is not correct";
    AccountLocked: "account-locked", "33006", Administrator, Refused, "The account is locked";
    AccountDisabled: "account-disabled", "33005", Administrator, Refused, "The account is disabled";
    AccessDenied: "access-denied", "33004", Administrator, Refused, "The service account lacks a right on this account";
    ProtectedAccount: "protected-account", "33004", Administrator, Refused, "The account is protected";
    CannotChangePassword: "cannot-change-password", "33004", Administrator, Refused, "The account may not change its password";
    UserAmbiguous: "user-ambiguous", "33003", Administrator, Refused, "More than one enabled account matches";
    UserNotFound: "user-not-found", "33002", Administrator, Refused, "No account matches";
    OutOfScope: "out-of-scope", "SSPR_0013", Administrator, Refused, "The account is outside the configured scope";
    Superseded: "superseded", "31003", Retry, Refused, "Something newer has been done meanwhile";
    WritebackDisabled: "writeback-disabled", "SSPR_0010", Administrator, Refused, "Password writeback is turned off";
    UnlockDisabled: "unlock-disabled", "SSPR_0010", Administrator, Refused, "Unlock without reset is turned off";
    SealInvalid: "seal-invalid", "32004", Administrator, Refused, "The sealed password cannot be accepted";
    ForestUnavailable: "forest-unavailable", "SSPR_0030", Retry, Failed, "The forest cannot be reached";
    DirectoryMisconfigured: "directory-misconfigured", "33009", Administrator, Failed, "The directory or its connection is misconfigured";
    DirectoryError: "directory-error", "33001", Administrator, Failed, "The directory answered with an unexpected error";
    DeadlineExceeded: "deadline-exceeded", "31003", Retry, Expired, "The operation was not carried out in time";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Reason {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == text)
            .ok_or("no reason has this code")
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
