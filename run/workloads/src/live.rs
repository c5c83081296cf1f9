//! `sampan status -w`: in place on a terminal, one line per change elsewhere.

use std::io::IsTerminal;

use jiff::Timestamp;

use crate::board::BoardChange;
use crate::error::StatusError;
use crate::run::{Outcome, outcome, print};
use crate::session::Session;
use crate::show::{self, Style};

/// Puts the cursor into the upper left corner.
const HOME: &str = "\u{1b}[H";
/// Clears from the cursor to the end of the line.
const CLEAR_LINE: &str = "\u{1b}[K";
/// Clears from the cursor to the end of the screen.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Shows a session until it is interrupted.
pub(crate) async fn show(mut session: Session, style: Style) -> Result<Outcome, StatusError> {
    let in_place = std::io::stdout().is_terminal() && style.is_table();
    draw(&session, style, in_place, None)?;
    loop {
        let notices = session.notices();
        let changes = tokio::select! {
            changes = session.changed(Timestamp::now) => changes,
            _ = tokio::signal::ctrl_c() => break,
        };
        if !changes.is_empty() || notices != session.notices() {
            draw(&session, style, in_place, Some(&changes))?;
        }
    }
    Ok(outcome(&session.board.items(), &session.notices()))
}

/// The first picture (`changes` is `None`) or what has changed since.
fn draw(
    session: &Session,
    style: Style,
    in_place: bool,
    changes: Option<&[BoardChange]>,
) -> Result<(), StatusError> {
    let now = Timestamp::now();
    let mut notices = String::new();
    for notice in session.notices() {
        notices.push_str("! ");
        notices.push_str(&show::notice(&notice, style.lang));
        notices.push('\n');
    }
    if in_place {
        let table = show::whole(&session.board.items(), style, now)?;
        let lines = format!("{table}{notices}").replace('\n', &format!("{CLEAR_LINE}\n"));
        let clear = if changes.is_none() { CLEAR_BELOW } else { "" };
        return print(&format!("{HOME}{clear}{lines}{CLEAR_BELOW}"));
    }
    match changes {
        None => print(&format!(
            "{}{notices}",
            show::whole(&session.board.items(), style, now)?
        )),
        Some(changes) => print(&show::changes(changes, style, now)?),
    }
}
