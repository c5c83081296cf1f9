//! What is looked for in expressions whose types are right: literals that no function could take, lists of several
//! types, formats that do not fit. Source: cel-go `cel/validator.go`, `ext/formatting.go`.

mod format;
pub(crate) mod regex;
mod time;

use crate::Checked;
use crate::ast::{Call, Expr, ExprKind, Literal};
use crate::check::mismatch;
use crate::source::{Mistake, Source};
use crate::types::Type;

/// Looks through an expression.
pub(crate) fn validate(checked: &Checked, source: &Source) -> Vec<Mistake> {
    let mut validator = Validator {
        types: &checked.types,
        source,
        mistakes: Vec::new(),
    };
    validator.visit(&checked.expr, false);
    validator.mistakes
}

struct Validator<'a> {
    types: &'a [Type],
    source: &'a Source,
    mistakes: Vec<Mistake>,
}

impl Validator<'_> {
    fn wrong(&mut self, at: usize, message: String) {
        self.mistakes.push(Mistake {
            place: self.source.place(at),
            message,
        });
    }

    fn type_of(&self, expr: &Expr) -> &Type {
        self.types.get(expr.id).unwrap_or(&Type::Dyn)
    }

    /// Looks at an expression, which may be inside an argument of `format`, where types may differ.
    fn visit(&mut self, expr: &Expr, is_formatted: bool) {
        let mut is_formatted = is_formatted;
        match &expr.kind {
            ExprKind::Call(call) => {
                is_formatted |= call.function == "format";
                self.call(call, expr.at);
            }
            ExprKind::List(items) if !is_formatted => {
                let items = items.iter().map(|item| (&item.value, item.is_optional));
                self.same(items, true);
            }
            ExprKind::Map(entries) if !is_formatted => {
                self.same(entries.iter().map(|entry| (&entry.key, false)), false);
                let values = entries
                    .iter()
                    .map(|entry| (&entry.value, entry.is_optional));
                self.same(values, false);
            }
            _ => {}
        }
        for child in expr.children() {
            self.visit(child, is_formatted);
        }
    }

    fn call(&mut self, call: &Call, at: usize) {
        if let Some(arg) = call.args.first()
            && is_wrong(&call.function, arg)
        {
            self.wrong(arg.at, format!("invalid {} argument", call.function));
        }
        let target = call.target.as_ref().and_then(Expr::literal);
        if let (Some(Literal::String(text)), "format", [args]) =
            (target, call.function.as_str(), call.args.as_slice())
            && let ExprKind::List(items) = &args.kind
        {
            let args: Vec<&Expr> = items.iter().map(|item| &item.value).collect();
            if let Err((place, why)) = format::check(text, &args, &|expr| self.type_of(expr)) {
                self.wrong(place.unwrap_or(at), why);
            }
        }
    }

    /// All of these have one type.
    fn same<'e>(&mut self, values: impl Iterator<Item = (&'e Expr, bool)>, is_list: bool) {
        let mut first: Option<Type> = None;
        for (value, is_optional) in values {
            let found = self.type_of(value);
            let found = found
                .inside_optional()
                .filter(|_| is_optional)
                .unwrap_or(found);
            match &first {
                None => first = Some(found.clone()),
                Some(first) if first.is_equivalent(found) => {}
                Some(first) => {
                    let why = mismatch(first, found);
                    self.wrong(value.at, why);
                    if is_list {
                        return;
                    }
                }
            }
        }
    }
}

/// Whether a function cannot take what is written out for it.
fn is_wrong(function: &str, arg: &Expr) -> bool {
    match (function, arg.literal()) {
        ("duration", Some(Literal::String(text))) => !time::is_duration(text),
        // The checker knows this form, but nothing carries it out.
        ("duration", Some(Literal::Int(_))) => true,
        ("timestamp", Some(Literal::String(text))) => !time::is_timestamp(text),
        ("timestamp", Some(Literal::Int(seconds))) => !time::SECONDS.contains(seconds),
        ("matches", Some(Literal::String(text))) => regex::complaint(text).is_some(),
        _ => false,
    }
}
