//! What the functions of the libraries cost. Source: k8s.io/apiserver/pkg/cel/library/cost.go; cel-go `ext/lists.go`,
//! `ext/sets.go`.

use super::calls::{REGEX, TRAVERSAL};
use super::{Arg, Coster, Range};
use crate::ast::{Expr, Literal};
use crate::library::Overload;
use crate::types::Type;

type Estimate = (Range, Option<Range>);

const ONCE: Range = Range::fixed(1);
/// What a list costs that a function makes, with the call.
const NEW_LIST: Range = Range::fixed(11);
/// So that two questions to the authorizer are as much as one expression may cost.
const AUTHORIZER: u64 = 350_000;
/// The bytes of an address.
const ADDRESS: Range = Range { min: 4, max: 16 };
/// Source: `MaxFormatSize`.
const FORMAT_SIZE_MAX: u64 = 64;
/// Source: `MaxNameFormatRegexSize`.
const FORMAT_REGEX_SIZE_MAX: f64 = 128.0;

/// Functions that look at one thing.
const NOMINAL: [&str; 38] = [
    "serviceAccount",
    "path",
    "group",
    "resource",
    "subresource",
    "namespace",
    "name",
    "allowed",
    "reason",
    "error",
    "errored",
    "masked",
    "prefixLength",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "format.named",
    "sign",
    "asInteger",
    "isInteger",
    "asApproximateFloat",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "add",
    "sub",
    "major",
    "minor",
    "patch",
    "getScheme",
    "getHostname",
    "getHost",
    "getPort",
    "getEscapedPath",
    "getQuery",
];

impl Coster<'_> {
    /// What a function of the libraries costs, without its arguments.
    pub(super) fn function(
        &self,
        function: &str,
        form: &Overload,
        target: Option<&Arg<'_>>,
        args: &[Arg<'_>],
    ) -> Option<Estimate> {
        let first = args.first().map(|arg| self.arg_size(arg));
        let text = |factor: f64| first.map(|size| (size.by(factor * TRAVERSAL), None));
        match function {
            "check" => Some((Range::fixed(AUTHORIZER), None)),
            _ if NOMINAL.contains(&function) => Some((ONCE, None)),
            "ip" if form.is_member => Some((ONCE, None)),
            "fieldSelector" | "labelSelector" => first.map(|size| (selector(size), None)),
            "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver"
            | "isSemver" => text(1.0),
            "ip.isCanonical" => text(2.0),
            "url" | "jsonpatch.escapeKey" => first.map(|size| (size.by(TRAVERSAL), Some(size))),
            "validate" => {
                let regex = FORMAT_REGEX_SIZE_MAX * REGEX;
                first.map(|size| (size.by(TRAVERSAL).by(regex), None))
            }
            "containsIP" | "containsCIDR" => {
                first.map(|size| (contains(function, form, size), None))
            }
            "_==_" => same(args),
            "sets.contains" | "sets.equivalent" | "sets.intersects" => {
                let factor = if function == "sets.equivalent" {
                    2.0
                } else {
                    1.0
                };
                let second = self.arg_size(args.get(1)?);
                Some((first?.times(second).by(factor).plus(ONCE), None))
            }
            "lists.range" => {
                let most = number(args.first()?.expr, u64::MAX);
                Some(list(1.0, Range::fixed(most)))
            }
            _ => self.member(function, form, target?, args),
        }
    }

    /// What a function costs that is called on something.
    fn member(
        &self,
        function: &str,
        form: &Overload,
        target: &Arg<'_>,
        args: &[Arg<'_>],
    ) -> Option<Estimate> {
        let size = self.arg_size(target);
        let arg = |index: usize| args.get(index).map(|arg| self.arg_size(arg));
        match function {
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => {
                Some((self.compared(target, size), None))
            }
            "lowerAscii" | "upperAscii" | "substring" | "trim" => {
                Some((size.by(TRAVERSAL), Some(size)))
            }
            "replace" => {
                let result = replaced(size, arg(0)?, arg(1)?);
                Some((size.by(2.0 * TRAVERSAL), Some(result)))
            }
            "split" => {
                let most = number(args.get(1).and_then(|arg| arg.expr), size.max);
                Some((size.by(2.0 * TRAVERSAL), Some(Range::up_to(most))))
            }
            "join" => {
                let joined = self.joined(target, size, arg(0));
                Some((joined.by(TRAVERSAL), Some(joined)))
            }
            "find" | "findAll" => {
                let text = size.plus(ONCE).by(TRAVERSAL);
                let result = Range::up_to(size.max);
                Some((text.times(arg(0)?.by(REGEX)), Some(result)))
            }
            "slice" => {
                let start = number(args.first()?.expr, 0);
                let end = number(args.get(1)?.expr, size.max);
                Some(list(1.0, Range::fixed(end.wrapping_sub(start))))
            }
            "reverse" => Some(list(1.0, size)),
            "flatten" => {
                let depth = args.first().map_or(1, |arg| number(arg.expr, u64::MAX));
                Some(list(precise(depth), size))
            }
            "distinct" => Some(list(2.0, size.times(size))),
            "sort" => Some(sorted(form.args.first()?, size)),
            "@sortByAssociatedKeys" => Some(sorted(form.args.get(1)?, arg(0)?)),
            _ => None,
        }
    }

    /// What comparing the elements of a list costs, or going through a text.
    fn compared(&self, target: &Arg<'_>, size: Range) -> Range {
        let Some(element) = element(target) else {
            return size.by(TRAVERSAL);
        };
        let mut each = ONCE;
        if matches!(element.found, Type::String | Type::Bytes) {
            each = each.plus(self.arg_size(&element).by(TRAVERSAL));
        }
        size.times(each)
    }

    fn joined(&self, target: &Arg<'_>, size: Range, separator: Option<Range>) -> Range {
        let texts = element(target).map(|element| size.times(self.arg_size(&element)));
        let mut joined = texts.unwrap_or(Range::fixed(0));
        if let Some(separator) = separator {
            let separators = Range {
                min: size.min.saturating_sub(1),
                max: size.max.saturating_sub(1),
            };
            joined = joined.plus(separator.times(separators));
        }
        joined
    }
}

/// An element of a list, or a key of a map.
fn element<'e>(target: &Arg<'_>) -> Option<Arg<'e>> {
    let found = (*target.found.params().first()?).clone();
    let mut path = target.path.clone();
    if !path.is_empty() {
        path.push("@items".to_owned());
    }
    Some(Arg {
        path,
        found,
        expr: None,
        size: None,
    })
}

/// What reading a selector costs: a list and a requirement for every second character, each with a list of its own.
/// Source: `selectorCostEstimate`.
fn selector(size: Range) -> Range {
    let requirements = size.by(0.5).by(50.0);
    Range::fixed(10).plus(size.by(TRAVERSAL)).plus(requirements)
}

/// What a function costs that makes a list.
fn list(factor: f64, size: Range) -> Estimate {
    (size.by(factor).plus(NEW_LIST), Some(size))
}

fn sorted(of: &Type, size: Range) -> Estimate {
    let is_text = of
        .params()
        .first()
        .is_some_and(|of| matches!(of, Type::String | Type::Bytes));
    let factor = if is_text { 2.0 + TRAVERSAL } else { 2.0 };
    list(factor, size.times(size))
}

#[expect(clippy::cast_precision_loss, reason = "upstream counts so")]
fn precise(number: u64) -> f64 {
    number as f64
}

/// The number that is written out for an argument.
fn number(arg: Option<&Expr>, otherwise: u64) -> u64 {
    match arg.and_then(Expr::literal) {
        Some(Literal::Int(number)) => u64::try_from(*number).unwrap_or_default(),
        _ => otherwise,
    }
}

fn contains(function: &str, form: &Overload, size: Range) -> Range {
    let mut cost = ADDRESS.plus(ADDRESS).by(TRAVERSAL);
    if function == "containsCIDR" {
        cost = cost.plus(ADDRESS.by(TRAVERSAL)).plus(ONCE);
    }
    if form.args.get(1) == Some(&Type::String) {
        cost = cost.plus(size.by(TRAVERSAL));
    }
    cost
}

/// What comparing two values of the libraries' types costs.
fn same(args: &[Arg<'_>]) -> Option<Estimate> {
    let [left, right] = args else {
        return None;
    };
    if left.found.name() != right.found.name() {
        return None;
    }
    let cost = match &left.found {
        Type::Opaque(name, _) if name.starts_with("net.") => ONCE,
        Type::Struct(name) => match &**name {
            "kubernetes.NamedFormat" => Range {
                min: 1,
                max: FORMAT_SIZE_MAX,
            }
            .by(TRAVERSAL),
            "kubernetes.URL" => Range {
                min: 1,
                max: right.size.map_or(1, |size| size.max),
            }
            .by(TRAVERSAL),
            "kubernetes.Quantity" | "kubernetes.Semver" => ONCE,
            name if name.starts_with("kubernetes.authorization.") => ONCE,
            _ => return None,
        },
        _ => return None,
    };
    Some((cost, None))
}

/// How large a text may be in which something was replaced.
fn replaced(size: Range, old: Range, new: Range) -> Range {
    let (mut count, mut kept) = (Range::fixed(0), Range::fixed(0));
    if old.min == 0 {
        count.max = size.max.saturating_add(1);
        kept.max = size.max;
    } else if new.max <= old.min {
        kept.max = size.max;
    } else {
        count.max = size.max.div_ceil(old.min);
    }
    if old.max == 0 {
        count.min = size.min.saturating_add(1);
        kept.min = size.min;
    } else if old.max <= new.min {
        kept.min = size.min;
    } else {
        count.min = size.min.div_ceil(old.max);
    }
    count.times(new).plus(kept)
}
