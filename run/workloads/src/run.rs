//! `sampan status`: from flags to output and exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use client::rest::Rest;
use jiff::Timestamp;
use meta::selector::LabelSelector;

use crate::args::{OutputForm, StatusArgs};
use crate::board::{Item, View};
use crate::discover::Plan;
use crate::error::StatusError;
use crate::lang::Lang;
use crate::live;
use crate::offline;
use crate::session::{Notice, Session};
use crate::show::{self, Style};

/// What the answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything shown is well.
    AllOk,
    /// Something needs a look.
    NotOk,
    /// Not everything could be read.
    Unknown,
}

/// Runs `sampan status` and prints what it finds. Bad input, and a cluster that gives no answer, are
/// one sentence on standard error and exit code 2.
pub async fn run(args: StatusArgs) -> ExitCode {
    let with_code = args.exit_code;
    match execute(&args).await {
        Ok(_) if !with_code => ExitCode::SUCCESS,
        Ok(Outcome::AllOk) => ExitCode::SUCCESS,
        Ok(Outcome::NotOk) => ExitCode::from(1),
        Ok(Outcome::Unknown) => ExitCode::from(2),
        // Whoever read the output has seen enough.
        Err(StatusError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error.sentence());
            ExitCode::from(2)
        }
    }
}

/// Says a sentence on standard error.
pub(crate) fn complain(sentence: &str) {
    if writeln!(std::io::stderr(), "sampan status: {sentence}").is_err() {
        // Nobody can be told that nobody can be told.
    }
}

fn style(args: &StatusArgs) -> Style {
    let read = |name: &str| std::env::var(name).ok();
    let is_terminal = std::io::stdout().is_terminal();
    let no_color = read("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style {
        lang: args.lang.unwrap_or_else(|| Lang::of_locale(read)),
        has_color: is_terminal && !no_color && read("TERM").as_deref() != Some("dumb"),
        form: args.output,
    }
}

async fn execute(args: &StatusArgs) -> Result<Outcome, StatusError> {
    let style = style(args);
    if let Some(path) = &args.filename {
        let now = match &args.now {
            Some(given) => meta::time::from_rfc3339(given).ok_or_else(|| StatusError::Now {
                given: given.clone(),
            })?,
            None => Timestamp::now(),
        };
        let item = offline::judge(path, now)?;
        let items = if args.only.is_none() || item.is_not_ok() {
            vec![&item]
        } else {
            Vec::new()
        };
        print(&show::whole(&items, style, now)?)?;
        return Ok(outcome(&items, &[]));
    }
    let client = client::from_kubeconfig(args.kubeconfig.as_deref(), args.context.as_deref())
        .await
        .map_err(StatusError::from_client)?;
    let namespace = client.default_namespace().to_owned();
    let rest = Rest::new(client);
    if args.watch {
        let session = Session::follow(
            &rest,
            &args.targets,
            |plan| view(args, &namespace, plan),
            Timestamp::now,
        )
        .await?;
        return live::show(session, style).await;
    }
    let session = Session::once(
        &rest,
        &args.targets,
        |plan| view(args, &namespace, plan),
        Timestamp::now,
    )
    .await?;
    let items = session.board.items();
    missing(args, &items, &session)?;
    let notices = session.notices();
    print(&show::whole(&items, style, Timestamp::now())?)?;
    for notice in &notices {
        complain(&show::notice(notice, style.lang));
    }
    let is_sure = !notices.iter().any(|notice| notice.hides_workloads);
    if items.is_empty() && is_sure && !matches!(style.form, OutputForm::Json | OutputForm::Yaml) {
        complain(style.lang.pick("no workloads found", "未找到工作负载"));
    }
    Ok(outcome(&items, &notices))
}

/// What a user's flags select.
pub(crate) fn view(args: &StatusArgs, namespace: &str, plan: &Plan) -> Result<View, StatusError> {
    let selector = args.selector.as_deref().unwrap_or_default();
    Ok(View {
        namespace: match (&args.namespace, args.all_namespaces) {
            (Some(given), _) => Some(given.clone()),
            (None, true) => None,
            (None, false) => Some(namespace.to_owned()),
        },
        selector: LabelSelector::parse(selector).map_err(|why| StatusError::Selector {
            selector: selector.to_owned(),
            why,
        })?,
        targets: plan.targets.clone(),
        is_only_not_ok: args.only.is_some(),
    })
}

/// An object asked for by name must exist, unless it could not be looked for.
fn missing(args: &StatusArgs, items: &[&Item], session: &Session) -> Result<(), StatusError> {
    if args.only.is_some() || args.selector.is_some() || !session.notices().is_empty() {
        return Ok(());
    }
    for given in &args.targets {
        let Some((_, name)) = given.split_once('/') else {
            continue;
        };
        if !items.iter().any(|item| item.name == name) {
            return Err(StatusError::NotFound {
                target: given.clone(),
            });
        }
    }
    Ok(())
}

/// The answer for `--exit-code`: what is known to be bad counts more than what is not known.
pub(crate) fn outcome(items: &[&Item], notices: &[Notice]) -> Outcome {
    if items.iter().any(|item| item.is_not_ok()) {
        Outcome::NotOk
    } else if notices.iter().any(|notice| notice.hides_workloads) {
        Outcome::Unknown
    } else {
        Outcome::AllOk
    }
}

/// Writes to standard output at once.
pub(crate) fn print(text: &str) -> Result<(), StatusError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(StatusError::Output)
}
