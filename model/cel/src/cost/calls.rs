//! What calls cost that cel-go knows itself. Source: cel-go `checker/cost.go`, `functionCost`.

use super::{Arg, Coster, Entries, FREE, Range};
use crate::ast::{Call, Expr};
use crate::library::Overload;
use crate::types::Type;

/// What going through one character of a text costs.
pub(super) const TRAVERSAL: f64 = 0.1;
/// What one character of a regular expression costs with each character of a text.
pub(super) const REGEX: f64 = 0.25;

/// A cost and, if it is known, how large the result may be.
type Estimate = (Range, Option<Range>);

impl Coster<'_> {
    /// What one form of a call costs, with its arguments.
    pub(super) fn form(
        &mut self,
        expr: &Expr,
        call: &Call,
        form: &Overload,
        target: Option<&Arg<'_>>,
        args: &[Arg<'_>],
        costs: &[Range],
    ) -> Estimate {
        let sum = costs.iter().fold(FREE, |sum, cost| sum.plus(*cost));
        if let Some((cost, size)) = self.function(&call.function, form, target, args) {
            return (cost.plus(sum), size);
        }
        match (call.function.as_str(), costs, args) {
            ("_&&_" | "_||_", [left, right], _) => {
                let both = Range {
                    min: left.min,
                    max: left.plus(*right).max,
                };
                (both, None)
            }
            ("_?_:_", [test, yes, no], [_, first, second]) => {
                let size = size_of(first).union(size_of(second));
                if let Some(entries) = self.union(first, second) {
                    self.entries.insert(expr.id, entries);
                }
                (test.plus(yes.union(*no)), Some(size))
            }
            ("_+_", _, [left, right]) => {
                let (cost, size) = self.sum(expr, form, left, right);
                (cost.plus(sum), size)
            }
            _ => {
                let (cost, size) = operator(&call.function, form, target, args);
                (cost.plus(sum), size)
            }
        }
    }

    /// What both have in them, as far as both are known.
    fn union(&self, first: &Arg<'_>, second: &Arg<'_>) -> Option<Entries> {
        let (first, second) = (self.entries(first.expr?)?, self.entries(second.expr?)?);
        Some(Entries {
            is_list: first.is_list,
            keys: first.keys.union(second.keys),
            values: first.values.union(second.values),
        })
    }

    fn sum(&mut self, expr: &Expr, form: &Overload, left: &Arg<'_>, right: &Arg<'_>) -> Estimate {
        let size = size_of(left).plus(size_of(right));
        let cost = match form.args.first() {
            Some(Type::List(_)) => Range::fixed(1),
            Some(Type::String | Type::Bytes) => size.by(TRAVERSAL),
            _ => return (Range::fixed(1), None),
        };
        if let Some(entries) = self.union(left, right) {
            self.entries.insert(expr.id, entries);
        }
        (cost, Some(size))
    }
}

/// How large an argument is known to be.
fn size_of(arg: &Arg<'_>) -> Range {
    arg.size.unwrap_or(Range::UNKNOWN)
}

/// What an operator or a function of the language itself costs, without its arguments.
fn operator(
    function: &str,
    form: &Overload,
    target: Option<&Arg<'_>>,
    args: &[Arg<'_>],
) -> Estimate {
    let once = (Range::fixed(1), None);
    match (function, form.args.as_slice(), target, args) {
        ("format", _, Some(target), _) => (size_of(target).by(TRAVERSAL), None),
        ("bytes", [Type::String], _, [arg]) => {
            let size = size_of(arg);
            let result = Range {
                min: size.min,
                max: size.max.wrapping_mul(4),
            };
            (size.by(TRAVERSAL), Some(result))
        }
        ("string", [Type::Bytes], _, [arg]) => {
            let size = size_of(arg);
            let result = Range {
                min: size.min / 4,
                max: size.max,
            };
            (size.by(TRAVERSAL), Some(result))
        }
        ("strings.quote", _, _, [arg]) => {
            let size = size_of(arg);
            let result = Range {
                min: size.min.wrapping_add(2),
                max: size.max.wrapping_mul(2).wrapping_add(2),
            };
            (size.by(TRAVERSAL), Some(result))
        }
        ("startsWith" | "endsWith", _, _, [arg]) => (size_of(arg).by(TRAVERSAL), None),
        ("@in", [_, Type::List(_)], _, [_, list]) => (size_of(list), None),
        ("matches", _, Some(target), [pattern]) => {
            let text = size_of(target).plus(Range::fixed(1)).by(TRAVERSAL);
            (text.times(size_of(pattern).by(REGEX)), None)
        }
        ("contains", _, Some(target), [part]) => {
            let text = size_of(target).by(TRAVERSAL);
            (text.times(size_of(part).by(TRAVERSAL)), None)
        }
        ("_==_" | "_!=_", _, _, [left, right])
        | ("_<_" | "_>_" | "_<=_" | "_>=_", [Type::String | Type::Bytes, _], _, [left, right]) => {
            let most = size_of(left).max.min(size_of(right).max);
            let size = Range {
                min: most.min(1),
                max: most,
            };
            (size.by(TRAVERSAL), None)
        }
        _ => once,
    }
}
