use operation::EnabledInTwoForests;
use secrecy::ExposeSecret as _;

use super::*;

const FULL: &str = r#"
[service]
name = "intake-1"

[broker]
url = "amqp://127.0.0.1:5672/writeback"
username = "intake"
password_file = "secrets/broker"

[ledger]
urls = ["http://127.0.0.1:9500"]

[intake.tokens]
issuer = "https://login.example.com"
audience = "writeback"
jwks_file = "/etc/writeback/jwks.json"

[[forests]]
id = "corp"
ca_file = "corp.pem"
account = "svc-writeback@corp.example.com"
account_password_file = "secrets/corp"

[[forests.domains]]
name = "corp.example.com"
domain_controllers = ["ldaps://127.0.0.11:636"]
"#;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::parse(Path::new("/etc/writeback/config.toml"), text, &environment)
}

fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
    parse(text, environment).unwrap_err().to_string()
}

#[test]
fn what_is_shipped_is_understood() {
    for shipped in [
        include_str!("../../../../deploy/writeback.toml"),
        include_str!("../../../../deploy/compose/writeback.toml"),
        include_str!("../../../../deploy/kubernetes/overlays/example/writeback.toml"),
    ] {
        parse(shipped, &[]).unwrap();
    }
}

#[test]
fn paths_are_relative_to_the_file_and_the_rest_has_defaults() {
    let config = parse(FULL, &[]).unwrap();
    assert_eq!(
        config.broker.password_file,
        Path::new("/etc/writeback/secrets/broker")
    );
    assert_eq!(
        config.sealing.public_keys_file,
        Path::new("/etc/writeback/keys/jwks.json")
    );
    assert_eq!(config.service.shutdown_grace_seconds, 20);
    assert_eq!(
        config.writer.protected_accounts,
        ProtectedAccounts::default()
    );
    let corp = config.forest(&"corp".parse().unwrap()).unwrap();
    assert_eq!(corp.ca_file, Path::new("/etc/writeback/corp.pem"));
    assert!(config.forest(&"emea".parse().unwrap()).is_none());
}

#[test]
fn protected_accounts_are_refused_to_whom_they_are_not_allowed() {
    use Treatment::{Allow, Refuse};

    let read = |value: &str, environment: &[(&str, &str)]| {
        let text = format!("{FULL}\n[writer]\nprotected_accounts = {value}\n");
        parse(&text, environment).map(|config| {
            let treated = config.writer.protected_accounts;
            (treated.users, treated.administrators)
        })
    };
    assert_eq!(
        read(r#"{ users = "allow" }"#, &[]).unwrap(),
        (Allow, Refuse)
    );
    assert_eq!(
        read(r#"{ administrators = "allow" }"#, &[]).unwrap(),
        (Refuse, Allow)
    );
    assert_eq!(read(r#""allow""#, &[]).unwrap(), (Allow, Allow));
    assert_eq!(read(r#""refuse""#, &[]).unwrap(), (Refuse, Refuse));
    let variable = "WRITEBACK_WRITER__PROTECTED_ACCOUNTS__USERS";
    assert_eq!(read("{}", &[(variable, "allow")]).unwrap(), (Allow, Refuse));
    for (wrong, told) in [
        (r#""perhaps""#, "allow"),
        ("true", "{ users = …, administrators = … }"),
        (r#"{ helpdesk = "allow" }"#, "administrators"),
        (r#"{ users = "perhaps" }"#, "refuse"),
    ] {
        let refusal = read(wrong, &[]).unwrap_err().to_string();
        assert!(refusal.contains(told), "{wrong}: {refusal}");
        assert!(refusal.contains("protected_accounts"), "{wrong}: {refusal}");
    }
}

#[test]
fn policy_hints_are_for_people_s_own_resets_unless_told_otherwise() {
    let hints = |text: &str| {
        let config = parse(text, &[]).unwrap();
        let corp = config.forest(&"corp".parse().unwrap()).unwrap();
        (corp.policy_hints.users, corp.policy_hints.administrators)
    };
    assert_eq!(hints(FULL), (SendHints::WhenAvailable, SendHints::Never));
    let with = |table: &str| {
        FULL.replace(
            "ca_file = \"corp.pem\"",
            &format!("ca_file = \"corp.pem\"\npolicy_hints = {table}"),
        )
    };
    assert_eq!(
        hints(&with(r#"{ users = "required" }"#)),
        (SendHints::Required, SendHints::Never)
    );
    assert_eq!(
        hints(&with(r#"{ administrators = "when-available" }"#)),
        (SendHints::WhenAvailable, SendHints::WhenAvailable)
    );
    let reason = refusal(&with(r#"{ users = "always" }"#), &[]);
    assert!(
        reason.contains("line 21") && reason.contains("required"),
        "{reason}"
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let text = FULL.replace("[ledger]", "[ledger]\nurl = 1");
    let reason = refusal(&text, &[]);
    assert!(
        reason.contains("config.toml, line 11: unknown key `ledger.url`"),
        "{reason}"
    );

    let text = format!("{FULL}includes = []\n");
    let line = text.lines().count();
    let reason = refusal(&text, &[]);
    assert!(
        reason.contains(&format!("line {line}: unknown key")),
        "{reason}"
    );
    assert!(reason.contains("includes"), "{reason}");

    let reason = refusal(&format!("{FULL}\n[whatever]\n"), &[]);
    assert!(reason.contains("unknown key `whatever`"), "{reason}");
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_with_its_line() {
    let text = FULL.replace("id = \"corp\"", "id = \"Corp!\"");
    let line = text
        .lines()
        .position(|line| line.starts_with("id"))
        .unwrap()
        + 1;
    let reason = refusal(&text, &[]);
    assert!(
        reason.contains(&format!("line {line}: `forests.0.id`")),
        "{reason}"
    );
    assert!(reason.contains("a forest id is"), "{reason}");
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let reason = refusal("[service]\nname = \n", &[]);
    assert!(reason.contains("line 2"), "{reason}");
}

#[test]
fn a_missing_key_is_named() {
    let reason = refusal(&FULL.replace("username = \"intake\"", ""), &[]);
    assert!(reason.contains("`broker.username` is missing"), "{reason}");
}

#[test]
fn the_environment_overrides_and_may_give_what_the_file_lacks() {
    let text = FULL.replace("username = \"intake\"", "");
    let config = parse(
        &text,
        &[
            ("WRITEBACK_BROKER__USERNAME", "writer-corp"),
            ("WRITEBACK_SERVICE__NAME", "writer-corp-1"),
            ("WRITEBACK_SERVICE__ADMIN_LISTEN", "127.0.0.1:9101"),
            ("WRITEBACK_WRITER__FOREST", "corp"),
            ("WRITEBACK_WRITER__CONCURRENCY", "3"),
            ("WRITEBACK_SEALING__PRIVATE_KEYS_DIRECTORY", "/keys/corp"),
            ("WRITEBACK_CONFIG", "ignored.toml"),
            ("WRITEBACK_SERVICE_HOST", "10.0.0.1"),
        ],
    )
    .unwrap();
    assert_eq!(config.broker.username, "writer-corp");
    assert_eq!(config.service.name, "writer-corp-1");
    assert_eq!(config.service.admin_listen.port(), 9101);
    assert_eq!(config.writer.forest, Some("corp".parse().unwrap()));
    assert_eq!(config.writer.concurrency, 3);
    assert_eq!(
        config.sealing.private_keys_directory,
        Path::new("/keys/corp")
    );
}

#[test]
fn a_fault_of_the_environment_names_the_variable() {
    let reason = refusal(FULL, &[("WRITEBACK_WRITER__FORREST", "corp")]);
    assert!(
        reason.starts_with("WRITEBACK_WRITER__FORREST in the environment: unknown key"),
        "{reason}"
    );
    let reason = refusal(FULL, &[("WRITEBACK_WRITER__CONCURRENCY", "many")]);
    assert!(
        reason.starts_with("WRITEBACK_WRITER__CONCURRENCY in the environment"),
        "{reason}"
    );
}

#[test]
fn a_forest_given_twice_is_refused() {
    let forest = FULL.split_once("[[forests]]").unwrap().1;
    let reason = refusal(&format!("{FULL}\n[[forests]]{forest}"), &[]);
    assert!(reason.contains("forest `corp` is given twice"), "{reason}");
}

#[test]
fn a_domain_belongs_to_one_forest() {
    let domain = FULL.split_once("[[forests.domains]]").unwrap().1;
    let reason = refusal(&format!("{FULL}\n[[forests.domains]]{domain}"), &[]);
    assert!(
        reason.contains("domain corp.example.com is given twice"),
        "{reason}"
    );
}

#[test]
fn who_is_enabled_in_two_forests_is_refused_unless_an_order_is_given() {
    let with = |value: &str| {
        let line = format!("[resolver]\nenabled_in_two_forests = {value}\n\n[[forests]]");
        FULL.replace("[[forests]]", &line)
    };
    let read = |text: &str| parse(text, &[]).unwrap().resolver.enabled_in_two_forests;
    assert_eq!(read(FULL), EnabledInTwoForests::Refuse);
    assert_eq!(read(&with("\"refuse\"")), EnabledInTwoForests::Refuse);
    let EnabledInTwoForests::Prefer(order) = read(&with("{ prefer = [\"corp\", \"emea\"] }"))
    else {
        panic!("no order");
    };
    assert_eq!(order.rank(&"corp".parse().unwrap()), Some(0));
    assert_eq!(order.rank(&"emea".parse().unwrap()), Some(1));
    assert_eq!(order.rank(&"apac".parse().unwrap()), None);
    for wrong in [
        "\"guess\"",
        "{ prefer = [] }",
        "{ prefer = [\"corp\"] }",
        "{ prefer = [\"corp\", \"emea\", \"corp\"] }",
        "{ prefers = [\"corp\", \"emea\"] }",
    ] {
        let reason = refusal(&with(wrong), &[]);
        assert!(
            reason.contains("line 19") && reason.contains("enabled_in_two_forests"),
            "{wrong}: {reason}"
        );
    }
}

#[test]
fn a_secret_loses_one_newline_and_a_missing_one_is_named() {
    let file = std::env::temp_dir().join(format!("writeback-secret-{}", std::process::id()));
    fs::write(&file, "two lines\n\n").unwrap();
    let secret = read_secret(&file).unwrap();
    assert_eq!(secret.expose_secret(), "two lines\n");
    fs::write(&file, "\n").unwrap();
    assert!(
        read_secret(&file)
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    fs::remove_file(&file).unwrap();
    let reason = read_secret(&file).unwrap_err().to_string();
    assert!(reason.contains(&file.display().to_string()), "{reason}");
}
