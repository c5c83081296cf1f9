//! Whether the arguments of `format` fit the text. Source: cel-go `ext/formatting.go`.

use crate::ast::{Expr, ExprKind};
use crate::types::Type;

/// Where something is wrong, if not with the call as a whole, and what.
type Wrong = (Option<usize>, String);

const STRING: &str = "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps";

/// Compares a text with its arguments.
pub(super) fn check<'t>(
    text: &str,
    args: &[&Expr],
    type_of: &dyn Fn(&Expr) -> &'t Type,
) -> Result<(), Wrong> {
    let mut asked = 0;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        if after.is_empty() {
            return Err((None, "unexpected end of string".into()));
        }
        let Some(arg) = args.get(asked) else {
            return Err((None, format!("index {asked} out of range")));
        };
        asked += 1;
        let (clause, after) = clause(after)
            .map_err(|why| (None, format!("could not parse formatting clause: {why}")))?;
        fits(clause, arg, type_of)
            .map_err(|(at, why)| (at, format!("error during formatting: {why}")))?;
        rest = after;
    }
    if args.len() > asked {
        let count = args.len();
        return Err((
            None,
            format!("too many arguments supplied to string.format (expected {asked}, got {count})"),
        ));
    }
    Ok(())
}

/// The letter of a clause, and what follows.
fn clause(text: &str) -> Result<(char, &str), String> {
    let mut rest = text;
    if let Some(precise) = text.strip_prefix('.') {
        rest = precise.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = precise.len() - rest.len();
        if rest.is_empty() {
            return Err(
                "error while parsing precision: could not find end of precision specifier".into(),
            );
        }
        if digits == 0 {
            return Err("error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing \"\": invalid syntax".into());
        }
    }
    let mut chars = rest.chars();
    match chars.next() {
        Some(letter @ ('s' | 'd' | 'f' | 'e' | 'b' | 'x' | 'X' | 'o')) => {
            Ok((letter, chars.as_str()))
        }
        other => Err(format!(
            "unrecognized formatting clause \"{}\"",
            other.unwrap_or_default()
        )),
    }
}

fn fits<'t>(clause: char, arg: &Expr, type_of: &dyn Fn(&Expr) -> &'t Type) -> Result<(), Wrong> {
    use Type::{Bool, Bytes, Double, Dyn, Int, String, Uint};
    let found = type_of(arg);
    let (is_fit, words) = match clause {
        's' => return text(arg, type_of),
        'd' => (
            matches!(found, Int | Uint),
            "decimal clause can only be used on integers",
        ),
        'f' => (
            matches!(found, Double | String),
            "fixed-point clause can only be used on doubles",
        ),
        'e' => (
            matches!(found, Double | String),
            "scientific clause can only be used on doubles",
        ),
        'b' => (
            matches!(found, Int | Uint | Bool),
            "only integers and bools can be formatted as binary",
        ),
        'o' => (
            matches!(found, Int | Uint),
            "octal clause can only be used on integers",
        ),
        _ => (
            matches!(found, Int | Uint | String | Bytes),
            "only integers, byte buffers, and strings can be formatted as hex",
        ),
    };
    if is_fit || matches!(found, Dyn) {
        return Ok(());
    }
    Err((Some(arg.at), format!("{words}, was given {}", found.name())))
}

fn text<'t>(arg: &Expr, type_of: &dyn Fn(&Expr) -> &'t Type) -> Result<(), Wrong> {
    let found = type_of(arg);
    if matches!(
        found,
        Type::Any | Type::Opaque(..) | Type::Struct(_) | Type::Error
    ) {
        return Err((
            Some(arg.at),
            format!("{STRING}, was given {}", found.name()),
        ));
    }
    match &arg.kind {
        ExprKind::List(_) | ExprKind::Map(_) => arg
            .children()
            .into_iter()
            .try_for_each(|child| text(child, type_of)),
        _ => Ok(()),
    }
}
