//! `lakemill serve`.

use std::io::{self, Write};
use std::num::NonZero;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use lakemill_query::language::ModelsOptions;
use lakemill_query::{Confinement, Session};
use lakemill_server::{AdmissionLimits, Auth, Server, ServerOptions, StatementLimits, TlsFiles};
use tokio::runtime::Builder;

use super::language;
use crate::cli::{AuthChoice, GlobalArgs, NamedModel, ServeArgs};
use crate::engine::Engine;
use crate::failure::{Problem, SERVING_THREAD};
use crate::interrupt::CancelFlag;

/// Threads that connections are served on. They wait more than they work: statements have threads of their own.
const SERVING_THREADS_MAX: usize = 4;

/// How long a connection may be silent.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Serves until a signal comes.
pub(super) fn run(global: &GlobalArgs, args: &ServeArgs) -> Result<u8> {
    let language = ModelsOptions {
        sequences_max: Some(usize::from(args.max_running)),
        waiting_max: Some(usize::from(args.max_waiting)),
        ..ModelsOptions::default()
    };
    let engine = Engine::confined(global, Some(Confinement::to(&args.allow_path)?), language)?;
    let work = engine.handle().ok_or_else(|| Problem::invalid("the engine has stopped"))?;
    let session = engine.block_on(async { Ok(engine.lake_session().await?.clone()) }.boxed_local())?;
    let serving = Builder::new_multi_thread()
        .worker_threads(global.threads().min(SERVING_THREADS_MAX))
        .thread_name(SERVING_THREAD)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let flag = engine.interrupts().arm();
    let models = engine.block_on(named_models(&session, &args.model, &flag).boxed_local())?;
    serving.block_on(async {
        let server = Server::bind(session, work, options(global, args)).await?;
        let addresses = server.addresses();
        if addresses.is_empty() {
            return Err(Problem::invalid("nothing is served: --http, --postgres and --flight are all off").into());
        }
        let mut out = io::stdout().lock();
        // Whoever waits for the addresses has it all when they are there.
        for NamedModel { name, source } in models {
            writeln!(out, "model {name} {source}")?;
        }
        for (name, address) in addresses {
            writeln!(out, "{name} {address}")?;
        }
        out.flush()?;
        drop(out);
        server.serve(async move { flag.wait().await }).await?;
        Ok(0)
    })
}

/// Gives the session the language models that it serves beside the lake's. Their files are fetched now, so that what is
/// wrong with them is said before anybody asks; they are loaded when somebody does.
async fn named_models<'a>(session: &Session, models: &'a [NamedModel], flag: &CancelFlag) -> Result<&'a [NamedModel]> {
    for NamedModel { name, source } in models {
        let mut info = language::inspect(name, source, None, flag).await?;
        info.created_ms = session.clock().now_ms();
        session.language().add(info)?;
    }
    Ok(models)
}

fn options(global: &GlobalArgs, args: &ServeArgs) -> ServerOptions {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    ServerOptions {
        http: args.http.0,
        postgres: args.postgres.0,
        flight: args.flight.0,
        auth: args.auth.map(|auth| match auth {
            AuthChoice::Required => Auth::Required,
            AuthChoice::Off => Auth::Off,
        }),
        tls: args.tls_cert.clone().zip(args.tls_key.clone()).map(|(certificate, key)| TlsFiles { certificate, key }),
        insecure: args.insecure,
        statements: StatementLimits {
            admission: AdmissionLimits {
                running_max: args.max_statements.map_or_else(|| 2 * global.threads(), usize::from),
                queued_max: usize::from(args.max_queue),
                wait_max: seconds(args.queue_timeout),
            },
            time_max: Some(seconds(args.statement_timeout)).filter(|time| !time.is_zero()),
            rate_max: NonZero::new(args.max_rate),
        },
        connections_max: usize::try_from(args.max_connections).unwrap_or(usize::MAX),
        message_bytes_max: usize::try_from(args.max_message.bytes()).unwrap_or(usize::MAX),
        idle_max: IDLE_MAX,
        log_predictions: args.log_predictions,
        keep_audit: args.keep_audit.map(|days| Duration::from_hours(24 * u64::from(days.get()))),
        drain_max: seconds(args.drain),
    }
}
