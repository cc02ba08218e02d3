//! The table of rights: each call, with the least that needs it (pure).

/// What may call without being an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Intake,
    Resolver,
    Writer,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "an intake",
            Self::Resolver => "a resolver",
            Self::Writer => "a writer",
        }
    }
}

/// Operators' scopes.
pub(crate) const READ: &str = "ledger.read";
pub(crate) const SETTINGS: &str = "settings.write";
pub(crate) const KEYS: &str = "keys.write";

/// Who may make one call.
#[derive(Debug)]
pub(crate) struct Right {
    pub(crate) path: &'static str,
    pub(crate) services: &'static [Kind],
    /// What an operator's token must have; none where it is no operator's business.
    pub(crate) scope: Option<&'static str>,
}

const fn right(
    path: &'static str,
    services: &'static [Kind],
    scope: Option<&'static str>,
) -> Right {
    Right {
        path,
        services,
        scope,
    }
}

const RIGHTS: [Right; 19] = [
    right("/writeback.v1.Admission/Ready", &[Kind::Intake], None),
    right("/writeback.v1.Admission/Admit", &[Kind::Intake], None),
    right("/writeback.v1.Admission/Record", &[Kind::Intake], None),
    right("/writeback.v1.Admission/Overtake", &[Kind::Writer], None),
    right("/writeback.v1.Admission/TakeUp", &[Kind::Writer], None),
    right("/writeback.v1.Admission/Claim", &[Kind::Writer], None),
    right("/writeback.v1.Admission/Await", &[Kind::Intake], Some(READ)),
    right(
        "/writeback.v1.Ledger/GetOperation",
        &[Kind::Intake],
        Some(READ),
    ),
    right("/writeback.v1.Ledger/ListOperations", &[], Some(READ)),
    right("/writeback.v1.Ledger/Watch", &[], Some(READ)),
    right("/writeback.v1.Ledger/Predecessor", &[Kind::Writer], None),
    right("/writeback.v1.Ledger/Precedents", &[Kind::Writer], None),
    right("/writeback.v1.Ledger/Export", &[], Some(READ)),
    right("/writeback.v1.Ledger/Verify", &[], Some(READ)),
    right("/writeback.v1.Ledger/Head", &[], Some(READ)),
    right(
        "/writeback.v1.Settings/GetSettings",
        &[Kind::Writer],
        Some(READ),
    ),
    right("/writeback.v1.Settings/SetSettings", &[], Some(SETTINGS)),
    right("/writeback.v1.Keys/RecordKeyAct", &[], Some(KEYS)),
    right("/writeback.v1.Health/Status", &[], Some(READ)),
];

pub(crate) fn of(path: &str) -> Option<&'static Right> {
    RIGHTS.iter().find(|right| right.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is served, as `audit.proto` and `health.proto` have it.
    fn served() -> Vec<String> {
        let text = concat!(
            include_str!("../../../../proto/writeback/v1/audit.proto"),
            include_str!("../../../../proto/writeback/v1/health.proto"),
        );
        let mut service = "";
        let mut served = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split([' ', '(']).filter(|w| !w.is_empty()).collect();
            match words.as_slice() {
                ["service", name, ..] => service = name,
                ["rpc", name, ..] => served.push(format!("/writeback.v1.{service}/{name}")),
                _ => {}
            }
        }
        served
    }

    #[test]
    fn every_call_has_its_right_and_no_right_is_left_over() {
        let mut served = served();
        let mut known: Vec<String> = RIGHTS.iter().map(|right| right.path.to_owned()).collect();
        served.sort();
        known.sort();
        assert_eq!(known, served);
    }

    #[test]
    fn nothing_is_for_nobody_and_only_operators_change_anything_but_operations() {
        for right in &RIGHTS {
            assert!(
                right.scope.is_some() || !right.services.is_empty(),
                "{right:?}"
            );
            if right.scope.is_some_and(|scope| scope != READ) {
                assert!(right.services.is_empty(), "{right:?}");
            }
        }
        assert!(of("/writeback.v1.Ledger/Erase").is_none());
    }
}
