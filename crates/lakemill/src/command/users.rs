//! `lakemill users`: who may log into `lakemill serve`.
//!
//! What it does are statements that `lakemill sql` takes too; here passwords are typed unseen, and are in no history.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result};
use console::Term;
use futures::FutureExt;
use lakemill_base::{quoted_identifier, text_literal};
use lakemill_query::Session;

use super::listing;
use crate::cli::{GlobalArgs, UsersArgs, UsersCommand};
use crate::engine::{Engine, look};
use crate::failure::Problem;
use crate::output::Format;

/// Lists users, adds one, or changes a password.
pub(super) fn run(global: &GlobalArgs, args: &UsersArgs) -> Result<u8> {
    match &args.command {
        None => look(global, async |session| list(session, args.format).await),
        Some(UsersCommand::Add { name, admin }) => change(global, name, &add(name, *admin)?),
        Some(UsersCommand::Password { name }) => {
            let statement =
                format!("ALTER USER {} PASSWORD {}", quoted_identifier(name), text_literal(&password(name)?));
            change(global, name, &[statement])
        }
    }
}

async fn list(session: &Session, format: Format) -> Result<()> {
    let batches = session.sql("SHOW USERS").await?;
    match batches.first() {
        Some(batch) if batch.num_rows() > 0 || format != Format::Table => listing::print(batch, format),
        _ => {
            writeln!(io::stderr(), "there are no users yet; lakemill users add NAME --admin makes the first one")?;
            Ok(())
        }
    }
}

fn add(name: &str, admin: bool) -> Result<Vec<String>> {
    let mut statements =
        vec![format!("CREATE USER {} PASSWORD {}", quoted_identifier(name), text_literal(&password(name)?))];
    if admin {
        statements.push(format!("GRANT admin TO {}", quoted_identifier(name)));
    }
    Ok(statements)
}

fn change(global: &GlobalArgs, name: &str, statements: &[String]) -> Result<u8> {
    let engine = Engine::start(global)?;
    engine.block_on(
        async {
            let session = engine.lake_session().await?;
            for statement in statements {
                // A place in this text would mean nothing to whoever has typed another.
                let done = session.sql(statement).await;
                done.map_err(|error| lakemill_query::Error::new(error.kind(), error.message()))?;
            }
            writeln!(io::stderr(), "user '{name}' can log in")?;
            Ok(())
        }
        .boxed_local(),
    )?;
    Ok(0)
}

/// Typed twice at a terminal, or the first line of standard input.
fn password(name: &str) -> Result<String> {
    let mut line = String::new();
    if !io::stdin().is_terminal() {
        io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
        let password = line.trim_end_matches(['\r', '\n']);
        return match password.is_empty() {
            true => Err(Problem::invalid("the password is empty: it is the first line of standard input").into()),
            false => Ok(password.to_owned()),
        };
    }
    let terminal = Term::stderr();
    let ask = |what: &str| -> Result<String> {
        write!(io::stderr(), "{what} for {name}: ")?;
        terminal.read_secure_line().context("cannot read the password")
    };
    let password = ask("Password")?;
    if password.is_empty() {
        return Err(Problem::invalid("a password cannot be empty").into());
    }
    match ask("Again")? == password {
        true => Ok(password),
        false => Err(Problem::invalid("the two passwords differ; nothing was changed").into()),
    }
}
