//! Each test runs this test binary again as a service, for signals, exit codes and limits belong to
//! a whole process.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
};

use nix::{sys::signal::kill, unistd::Pid};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};

use super::*;

const CASE: &str = "CHASSIS_TEST_CASE";
const CONFIG: &str = "CHASSIS_TEST_CONFIG";

/// Not a test of its own: the service the tests start.
#[test]
fn as_a_service() {
    let (Ok(case), Ok(config)) = (std::env::var(CASE), std::env::var(CONFIG)) else {
        return;
    };
    let code = start(
        crate::program!("example"),
        Path::new(&config),
        |chassis| async move {
            let gate = chassis.readiness.require("broker");
            match case.as_str() {
                "ready" => {
                    ::telemetry::metric::counter("examples", "Examples").add(1, &[]);
                    gate.set(true);
                    chassis.shutdown.cancelled().await;
                    Ok(())
                }
                "following" => {
                    gate.set(true);
                    let mut changes = chassis.config_changes();
                    while let Some(Ok(())) = chassis
                        .shutdown
                        .run_until_cancelled(changes.changed())
                        .await
                    {
                        let skew = changes.borrow_and_update().sealing.clock_skew_seconds;
                        tracing::info!(skew, "told");
                    }
                    Ok(())
                }
                "waiting" => {
                    let shutdown = chassis.shutdown.clone();
                    chassis.spawn("background", async move {
                        shutdown.cancelled().await;
                        Ok(())
                    });
                    Ok(())
                }
                "tracing" => {
                    tracing::info_span!("work").in_scope(|| tracing::info!("in a span"));
                    chassis.shutdown.cancelled().await;
                    Ok(())
                }
                "stubborn" => std::future::pending().await,
                "failing" => {
                    chassis.spawn("pump", async { anyhow::bail!("the pump broke") });
                    chassis.shutdown.cancelled().await;
                    Ok(())
                }
                "panicking" => {
                    chassis.spawn("pump", async { panic!("hunter2") });
                    chassis.shutdown.cancelled().await;
                    Ok(())
                }
                _ => Err(ConfigError::Required("writer.forest").into()),
            }
        },
    );
    // ExitCode cannot be read, only returned; a test cannot return it
    let code = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    std::process::exit(i32::from(code.unwrap()));
}

struct Service {
    child: Child,
    config: PathBuf,
    log: BufReader<ChildStderr>,
    read: String,
}

impl Service {
    fn start(case: &str, grace: u64) -> Self {
        Self::start_also(case, grace, "")
    }

    fn start_also(case: &str, grace: u64, more: &str) -> Self {
        Self::start_with(case, &Self::configuration(grace, more))
    }

    fn configuration(grace: u64, more: &str) -> String {
        format!(
            "[service]\nadmin_listen = '127.0.0.1:0'\nshutdown_grace_seconds = {grace}\n\
             [broker]\nurl = 'amqp://127.0.0.1'\nusername = 'a'\npassword_file = 'a'\n\
             [ledger]\nurls = ['http://127.0.0.1:9']\n{more}"
        )
    }

    fn start_with(case: &str, text: &str) -> Self {
        let config = std::env::temp_dir().join(format!("writeback-{}.toml", uuid::Uuid::new_v4()));
        fs::write(&config, text).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["lifecycle::tests::as_a_service", "--exact", "--nocapture"])
            .env(CASE, case)
            .env(CONFIG, &config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            config,
            log,
            read: String::new(),
        }
    }

    /// Reads the log until a line holds the text.
    fn until(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "ended: {}",
                self.read
            );
            self.read.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn admin(&mut self) -> String {
        let line = self.until("\"started\"");
        let (_, rest) = line.split_once("\"admin\":\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    fn signal(&self) {
        self.send(nix::sys::signal::Signal::SIGTERM);
    }

    fn send(&self, signal: nix::sys::signal::Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(id, signal).unwrap();
    }

    fn end(mut self) -> (i32, String) {
        self.log.read_to_string(&mut self.read).unwrap();
        fs::remove_file(&self.config).unwrap();
        (self.child.wait().unwrap().code().unwrap(), self.read)
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_ready_service_answers_and_ends_in_order() {
    let mut service = Service::start("ready", 20);
    let address = service.admin();
    service.until("readiness changed");
    assert!(get(&address, "/livez").starts_with("HTTP/1.1 200"));
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.contains(r#""gates":{"broker":true}"#), "{ready}");
    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("examples_total 1"), "{metrics}");
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.child.id())).unwrap();
    let limit = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let limit: Vec<_> = limit.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(limit, ["0", "0"]);
    service.signal();
    let (code, log) = service.end();
    assert_eq!(code, 0, "{log}");
}

#[test]
fn a_service_lives_on_its_tasks_and_is_not_ready_before_its_gates() {
    let mut service = Service::start("waiting", 20);
    let address = service.admin();
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    service.signal();
    assert_eq!(service.end().0, 0);
}

#[test]
fn a_collector_that_is_away_does_not_keep_the_service_from_ending() {
    let more = "[telemetry]\notlp_endpoint = 'http://127.0.0.1:9'\n";
    let mut service = Service::start_also("tracing", 20, more);
    let line = service.until("in a span");
    assert!(line.contains("trace_id"), "{line}");
    service.signal();
    let (code, log) = service.end();
    assert_eq!(code, 0, "{log}");
}

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<String>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let names = scopes.flat_map(|scope| scope.spans).map(|span| span.name);
        self.0.lock().unwrap().extend(names);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[test]
fn what_is_left_is_sent_before_the_end() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let collector = Collector::default();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)),
    );
    let more = format!("[telemetry]\notlp_endpoint = 'http://{address}'\n");
    let mut service = Service::start_with("tracing", &Service::configuration(20, &more));
    service.until("in a span");
    service.signal();
    let (code, log) = service.end();
    assert_eq!(code, 0, "{log}");
    assert_eq!(*collector.0.lock().unwrap(), ["work"], "{log}");
}

#[test]
fn a_failed_task_pulls_the_shutdown() {
    let (code, log) = Service::start("failing", 20).end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("the pump broke"), "{log}");
}

#[test]
fn a_panicking_task_pulls_the_shutdown_and_keeps_its_message_to_itself() {
    let (code, log) = Service::start("panicking", 20).end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("\"task\":\"pump\""), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn what_outlives_the_grace_is_given_up() {
    let mut service = Service::start("stubborn", 0);
    service.admin();
    service.signal();
    let (code, log) = service.end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("still running after the grace"), "{log}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut service = Service::start("stubborn", 600);
    service.admin();
    service.signal();
    service.until("shutting down");
    service.signal();
    let (code, log) = service.end();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("second signal"), "{log}");
}

#[test]
fn a_fault_of_the_configuration_exits_64() {
    let (code, log) = Service::start_with("misspelt", "[servise]\n").end();
    assert_eq!(code, 64, "{log}");
    assert!(log.contains("line 1: unknown key `servise`"), "{log}");
    let (code, log) = Service::start("incomplete", 20).end();
    assert_eq!(code, 64, "{log}");
    assert!(log.contains("`writer.forest` is required"), "{log}");
}

#[test]
fn a_new_configuration_is_told_and_a_wrong_one_is_not() {
    let hang_up = nix::sys::signal::Signal::SIGHUP;
    let text = |skew: &str| Service::configuration(20, &format!("[sealing]\n{skew}\n"));
    let mut service = Service::start("following", 20);
    let address = service.admin();
    service.until("readiness changed");
    // without a signal: it is seen
    fs::write(&service.config, text("clock_skew_seconds = 7")).unwrap();
    service.until("\"skew\":7");

    fs::write(&service.config, text("clock_skew_second = 8")).unwrap();
    service.send(hang_up);
    let line = service.until("does not hold");
    assert!(line.contains("ERROR"), "{line}");
    let where_it_is = "line 11: unknown key `sealing.clock_skew_second`";
    assert!(line.contains(where_it_is), "{line}");
    let metrics = get(&address, "/metrics");
    assert!(
        metrics.contains("writeback_config_generation 2"),
        "{metrics}"
    );
    assert!(metrics.contains("writeback_config_rejected 1"), "{metrics}");

    fs::write(&service.config, text("clock_skew_seconds = 9")).unwrap();
    service.send(hang_up);
    service.until("\"skew\":9");
    let metrics = get(&address, "/metrics");
    assert!(
        metrics.contains("writeback_config_generation 3"),
        "{metrics}"
    );
    assert!(metrics.contains("writeback_config_rejected 0"), "{metrics}");
    service.signal();
    let (code, log) = service.end();
    assert_eq!(code, 0, "{log}");
    assert_eq!(log.matches("does not hold").count(), 1, "told once: {log}");
}
