//! One connection: what is asked, and what is answered.

use std::{future::pending, io, sync::Arc};

use rasn_ldap::{
    AuthenticationChoice, BindRequest, BindResponse, ExtendedResponse, LdapMessage, ModifyRequest,
    ModifyResponse, ProtocolOp, ResultCode, SearchRequest, SearchRequestScope, SearchResultDone,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Act, On, Received, SentControl,
    controller::Knowledge,
    people::BASE,
    policy,
    record::verb,
    script::{Answer, SERVICE_ACCOUNT},
    windows,
    wire::{self, is_success},
};

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

pub(crate) async fn converse(known: Arc<Knowledge>, tls: TlsAcceptor, mut socket: TcpStream) {
    known.record(Received::Connection);
    match known.act(On::Connection) {
        None | Some(Act::Answer(_)) => {}
        Some(Act::Late(by)) => sleep(by).await,
        Some(Act::Silence { .. }) => pending().await,
        Some(Act::Close { .. }) => return,
        Some(Act::Bytes(bytes)) => {
            // a client that has left already has had its answer
            let _ = socket.write_all(&bytes).await;
            return;
        }
    }
    if known.start_tls && !matches!(start_tls(&known, &mut socket).await, Ok(true)) {
        return;
    }
    match tls.accept(socket).await {
        Ok(mut stream) => {
            // a broken connection ends the conversation, as it does in a domain controller
            let _ = Conversation {
                known,
                signed_in: false,
            }
            .go_on(&mut stream)
            .await;
        }
        Err(error) => known.record(Received::NoTls(error.to_string())),
    }
}

/// The exchange before TLS (RFC 4511 4.14). Whether TLS is next.
async fn start_tls(known: &Knowledge, socket: &mut TcpStream) -> io::Result<bool> {
    let Some(message) = wire::read(socket).await? else {
        return Ok(false);
    };
    match &message.protocol_op {
        ProtocolOp::ExtendedReq(request) if *request.request_name == *START_TLS => {}
        other => {
            known.record(Received::InTheClear(format!("{other:?}")));
            return Ok(false);
        }
    }
    known.record(Received::StartTls);
    let answer = match known.act(On::StartTls) {
        None => Answer::success(),
        Some(Act::Late(by)) => {
            sleep(by).await;
            Answer::success()
        }
        Some(Act::Answer(answer)) => answer,
        Some(Act::Silence { .. }) => return pending().await,
        Some(Act::Close { .. }) => return Ok(false),
        Some(Act::Bytes(bytes)) => {
            socket.write_all(&bytes).await?;
            return Ok(true);
        }
    };
    let result = wire::result(&answer);
    let response = ExtendedResponse {
        result_code: result.result_code,
        matched_dn: result.matched_dn,
        diagnostic_message: result.diagnostic_message,
        referral: result.referral,
        response_name: Some(START_TLS.to_vec().into()),
        response_value: None,
    };
    write(
        socket,
        message.message_id,
        vec![ProtocolOp::ExtendedResp(response)],
    )
    .await?;
    if is_success(&answer) {
        return Ok(true);
    }
    // what a client says after a refusal is written down
    if let Some(message) = wire::read(socket).await? {
        let said = format!("{:?}", message.protocol_op);
        known.record(Received::InTheClear(said));
    }
    Ok(false)
}

struct Conversation {
    known: Arc<Knowledge>,
    signed_in: bool,
}

impl Conversation {
    async fn go_on(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<()> {
        while let Some(message) = wire::read(stream).await? {
            let controls: Vec<SentControl> = message
                .controls
                .iter()
                .flatten()
                .map(SentControl::from)
                .collect();
            let Some(on) = self.take_down(&message.protocol_op, controls.clone()) else {
                return Ok(()); // unbind, or what has no place here
            };
            match self.known.act(on) {
                None => {}
                Some(Act::Late(by)) => sleep(by).await,
                Some(Act::Answer(answer)) => {
                    let done = done(&message.protocol_op, &answer);
                    write(stream, message.message_id, vec![done]).await?;
                    continue;
                }
                Some(Act::Silence { carried_out }) => {
                    if carried_out {
                        self.carry_out(&message.protocol_op, &controls);
                    }
                    return pending().await;
                }
                Some(Act::Close { carried_out }) => {
                    if carried_out {
                        self.carry_out(&message.protocol_op, &controls);
                    }
                    return Ok(());
                }
                Some(Act::Bytes(bytes)) => {
                    stream.write_all(&bytes).await?;
                    stream.flush().await?;
                    continue;
                }
            }
            let answers = self.carry_out(&message.protocol_op, &controls);
            write(stream, message.message_id, answers).await?;
        }
        Ok(())
    }

    /// Writes down what came. None if the conversation ends with it.
    fn take_down(&self, operation: &ProtocolOp, controls: Vec<SentControl>) -> Option<On> {
        let (received, on) = match operation {
            ProtocolOp::BindRequest(bind) => {
                let without_password = match &bind.authentication {
                    AuthenticationChoice::Simple(password) => password.is_empty(),
                    _ => false,
                };
                let name = bind.name.to_string();
                (
                    Received::Bind {
                        name,
                        without_password,
                    },
                    Some(On::Bind),
                )
            }
            ProtocolOp::SearchRequest(search) if is_root_dse(search) => {
                (Received::RootDse, Some(On::RootDse))
            }
            ProtocolOp::SearchRequest(search) => (
                Received::Search {
                    base: search.base_object.to_string(),
                    size_limit: search.size_limit,
                },
                Some(On::Search),
            ),
            ProtocolOp::ModifyRequest(modify) => (
                Received::Modify {
                    object: modify.object.to_string(),
                    changes: modify
                        .changes
                        .iter()
                        .map(|change| {
                            let attribute = change.modification.r#type.as_str();
                            format!("{} {attribute}", verb(change.operation))
                        })
                        .collect(),
                    controls,
                },
                Some(On::Modify),
            ),
            ProtocolOp::UnbindRequest(_) => return None,
            other => (Received::Other(format!("{other:?}")), None),
        };
        self.known.record(received);
        on
    }

    fn carry_out(&mut self, operation: &ProtocolOp, controls: &[SentControl]) -> Vec<ProtocolOp> {
        let unknown = controls
            .iter()
            .any(|control| control.critical && !self.known.controls.contains(&control.oid));
        if unknown {
            let answer = Answer::new(
                ResultCode::UnavailableCriticalExtension,
                windows::UNKNOWN_CONTROL,
            );
            return vec![done(operation, &answer)];
        }
        match operation {
            ProtocolOp::BindRequest(bind) => {
                let answer = self.bind(bind);
                self.signed_in = is_success(&answer) && !bind.name.is_empty();
                vec![done(operation, &answer)]
            }
            ProtocolOp::SearchRequest(search) => self.search(operation, search),
            ProtocolOp::ModifyRequest(modify) => {
                vec![done(operation, &self.modify(modify, controls))]
            }
            _ => Vec::new(),
        }
    }

    fn bind(&self, bind: &BindRequest) -> Answer {
        let refused =
            |data| Answer::new(ResultCode::InvalidCredentials, &windows::bind_refused(data));
        let AuthenticationChoice::Simple(password) = &bind.authentication else {
            return Answer::new(ResultCode::AuthMethodNotSupported, "");
        };
        if password.is_empty() {
            return Answer::success(); // anonymous, whatever the name (RFC 4513 5.1.2)
        }
        let name = bind.name.as_str();
        if name == SERVICE_ACCOUNT {
            return if password[..] == *self.known.changing().service_password.as_bytes() {
                Answer::success()
            } else {
                refused("52e")
            };
        }
        let mut changing = self.known.changing();
        let person = changing.people.iter_mut().find(|person| {
            person.is_named(name) || person.user_principal_name().eq_ignore_ascii_case(name)
        });
        match person {
            None => refused("525"),
            Some(person) if person.locked => refused("775"),
            Some(person) if password[..] != *person.password.as_bytes() => {
                person.wrong_passwords += 1;
                refused("52e")
            }
            Some(person) if !person.enabled => refused("533"),
            Some(person) if person.pwd_last_set.is_none() => refused("773"),
            Some(_) => Answer::success(),
        }
    }

    fn search(&self, operation: &ProtocolOp, search: &SearchRequest) -> Vec<ProtocolOp> {
        let selected = |attributes: Vec<(String, Vec<Vec<u8>>)>| {
            let wanted = |name: &str| {
                let mut names = search.attributes.iter();
                search.attributes.is_empty()
                    || names.any(|wanted| wanted.eq_ignore_ascii_case(name) || **wanted == "*")
            };
            attributes
                .into_iter()
                .filter(|(name, _)| wanted(name))
                .collect()
        };
        if is_root_dse(search) {
            return vec![
                wire::entry("", selected(self.root_dse())),
                done(operation, &Answer::success()),
            ];
        }
        if !self.signed_in {
            let answer = Answer::new(ResultCode::OperationsError, windows::NOT_BOUND);
            return vec![done(operation, &answer)];
        }
        let is_base = search.scope == SearchRequestScope::BaseObject;
        if is_base && search.base_object.eq_ignore_ascii_case(BASE) {
            return vec![
                wire::entry(BASE, selected(self.known.policy.attributes())),
                done(operation, &Answer::success()),
            ];
        }
        let changing = self.known.changing();
        let base = search.base_object.as_str();
        let mut answer = Answer::success();
        let found: Vec<_> = if is_base {
            let found = changing.people.iter().find(|person| person.is_named(base));
            if found.is_none() {
                answer = Answer::new(ResultCode::NoSuchObject, windows::GONE);
            }
            found.into_iter().collect()
        } else {
            changing.people.iter().collect()
        };
        let most = match search.size_limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let matching: Vec<_> = found
            .into_iter()
            .filter(|person| person.matches(&search.filter))
            .collect();
        if matching.len() > most {
            answer = Answer::new(ResultCode::SizeLimitExceeded, "");
        }
        let entries = matching.into_iter().take(most);
        entries
            .map(|person| wire::entry(&person.dn(), selected(person.attributes())))
            .chain([done(operation, &answer)])
            .collect()
    }

    fn modify(&self, request: &ModifyRequest, controls: &[SentControl]) -> Answer {
        if !self.signed_in {
            return Answer::new(ResultCode::OperationsError, windows::NOT_BOUND);
        }
        let now = self.known.now();
        let mut changing = self.known.changing();
        let unexpires = changing.unexpires;
        let mut people = changing.people.iter_mut();
        match people.find(|person| person.is_named(&request.object)) {
            None => Answer::new(ResultCode::NoSuchObject, windows::GONE),
            Some(person) => {
                let policy = &self.known.policy;
                policy::modify(person, request, controls, policy, unexpires, now)
            }
        }
    }

    fn root_dse(&self) -> Vec<(String, Vec<Vec<u8>>)> {
        let now = self.known.now();
        let time = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}.0Z",
            now.year(),
            u8::from(now.month()),
            now.day(),
            now.hour(),
            now.minute(),
            now.second()
        );
        let bytes = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let controls: Vec<&str> = self.known.controls.iter().map(String::as_str).collect();
        let capabilities = &self.known.capabilities;
        let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
        [
            ("currentTime", bytes(&[&time])),
            ("defaultNamingContext", bytes(&[BASE])),
            ("dnsHostName", bytes(&["dc1.corp.example.com"])),
            ("domainControllerFunctionality", bytes(&["10"])),
            ("forestFunctionality", bytes(&["10"])),
            ("isGlobalCatalogReady", bytes(&["TRUE"])),
            ("isSynchronized", bytes(&["TRUE"])),
            ("supportedCapabilities", bytes(&capabilities)),
            ("supportedControl", bytes(&controls)),
        ]
        .map(|(name, values)| (name.to_owned(), values))
        .to_vec()
    }
}

fn is_root_dse(search: &SearchRequest) -> bool {
    search.base_object.is_empty() && search.scope == SearchRequestScope::BaseObject
}

/// The last message of an answer.
fn done(operation: &ProtocolOp, answer: &Answer) -> ProtocolOp {
    let result = wire::result(answer);
    match operation {
        ProtocolOp::BindRequest(_) => ProtocolOp::BindResponse(BindResponse::new(
            result.result_code,
            result.matched_dn,
            result.diagnostic_message,
            result.referral,
            None,
        )),
        ProtocolOp::SearchRequest(_) => ProtocolOp::SearchResDone(SearchResultDone(result)),
        _ => ProtocolOp::ModifyResponse(ModifyResponse(result)),
    }
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    id: u32,
    answers: Vec<ProtocolOp>,
) -> io::Result<()> {
    let messages: Vec<LdapMessage> = answers
        .into_iter()
        .map(|answer| LdapMessage::new(id, answer))
        .collect();
    stream.write_all(&wire::encode(&messages)?).await?;
    stream.flush().await
}
