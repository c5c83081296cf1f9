//! `sampan status -w`: in place on a terminal, one line per change elsewhere.

use std::io::IsTerminal;

use jiff::Timestamp;

use crate::board::BoardChange;
use crate::error::StatusError;
use crate::run::{Outcome, complain, outcome, print};
use crate::session::{Notice, Session};
use crate::show::{self, Style};

/// Puts the cursor into the upper left corner.
const HOME: &str = "\u{1b}[H";
/// Clears from the cursor to the end of the line.
const CLEAR_LINE: &str = "\u{1b}[K";
/// Clears from the cursor to the end of the screen.
const CLEAR_BELOW: &str = "\u{1b}[J";

/// Long lines are cut at the edge of the screen instead of wrapped.
const WRAP_OFF: &str = "\u{1b}[?7l";
/// Back to what terminals do.
const WRAP_ON: &str = "\u{1b}[?7h";

/// Shows a session until it is interrupted.
pub(crate) async fn show(mut session: Session, style: Style) -> Result<Outcome, StatusError> {
    session.watch_over();
    let in_place = std::io::stdout().is_terminal() && style.is_table();
    if in_place {
        print(WRAP_OFF)?;
    }
    let mut notices = session.notices();
    draw(&session, style, in_place, None)?;
    if !in_place {
        tell(&[], &notices, style);
    }
    loop {
        let changes = tokio::select! {
            changes = session.changed(Timestamp::now) => changes,
            _ = tokio::signal::ctrl_c() => break,
        };
        let told = session.notices();
        let is_other = told != notices;
        if !in_place {
            tell(&notices, &told, style);
        }
        notices = told;
        if !changes.is_empty() || is_other {
            draw(&session, style, in_place, Some(&changes))?;
        }
    }
    if in_place {
        print(WRAP_ON)?;
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
    if in_place {
        let table = show::whole(&session.board.items(), style, now)?;
        let mut notices = String::new();
        for notice in session.notices() {
            notices.push_str("! ");
            notices.push_str(&show::notice(&notice, style.lang));
            notices.push('\n');
        }
        let page = fit(&format!("{table}{notices}"), screen_rows(), style);
        let lines = page.replace('\n', &format!("{CLEAR_LINE}\n"));
        let clear = if changes.is_none() { CLEAR_BELOW } else { "" };
        return print(&format!("{HOME}{clear}{lines}{CLEAR_BELOW}"));
    }
    match changes {
        None => print(&show::whole(&session.board.items(), style, now)?),
        Some(changes) => print(&show::changes(changes, style, now)?),
    }
}

/// Says beside the output what can be read no longer, and what can be read again.
fn tell(before: &[Notice], now: &[Notice], style: Style) {
    for notice in now.iter().filter(|notice| !before.contains(notice)) {
        complain(&show::notice(notice, style.lang));
    }
    let is_unread = |what: &str| now.iter().any(|notice| notice.what == what);
    for notice in before.iter().filter(|notice| !is_unread(&notice.what)) {
        complain(&show::heard(&notice.what, style.lang));
    }
}

/// Lines that the terminal shows; `None` when it does not say.
fn screen_rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|rows| *rows > 1)
}

/// As much of a text as fits, and how much does not; a screen that scrolls cannot be updated.
fn fit(text: &str, rows: Option<usize>, style: Style) -> String {
    let lines = text.lines().count();
    let Some(rows) = rows.filter(|rows| lines >= *rows) else {
        return text.to_owned();
    };
    let shown = rows.saturating_sub(2);
    let page: String = text.split_inclusive('\n').take(shown).collect();
    let left = lines.saturating_sub(shown);
    match style.lang {
        crate::Lang::En => format!("{page}... {left} more lines, see --only not-ok\n"),
        crate::Lang::Zh => format!("{page}... 另有 {left} 行,可用 --only not-ok 筛选\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutputForm;

    #[test]
    fn what_does_not_fit_is_counted() {
        let style = Style {
            lang: crate::Lang::En,
            has_color: false,
            form: OutputForm::Table,
        };
        assert_eq!(fit("a\nb\n", Some(3), style), "a\nb\n");
        assert_eq!(fit("a\nb\n", None, style), "a\nb\n");
        assert_eq!(
            fit("a\nb\nc\nd\n", Some(4), style),
            "a\nb\n... 2 more lines, see --only not-ok\n"
        );
    }
}
