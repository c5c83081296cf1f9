//! What an expression may cost to evaluate, at least and at most. Source: cel-go `checker/cost.go`.

mod calls;
mod functions;
mod range;

use std::collections::BTreeMap;

pub use range::Range;

use crate::Checked;
use crate::ast::{Call, Comprehension, Expr, ExprKind, Literal};
use crate::library::Overload;
use crate::types::Type;

/// What reading a name or a field costs.
const SELECT: Range = Range::fixed(1);
const LIST: Range = Range::fixed(10);
const MAP: Range = Range::fixed(30);
const MESSAGE: Range = Range::fixed(40);
const FREE: Range = Range::fixed(0);

/// How large what stands at a path of names may be. Between names of fields, `@items`, `@keys` and `@values` stand for
/// what is in lists and maps.
pub type Sizes = dyn Fn(&[String]) -> Option<Range>;

/// What a list or a map has in it.
#[derive(Clone, Copy)]
struct Entries {
    is_list: bool,
    keys: Range,
    values: Range,
}

/// A name that a loop gives.
struct Local {
    name: String,
    path: Vec<String>,
    size: Option<Range>,
    entries: Option<Entries>,
}

/// An argument of a call.
struct Arg<'e> {
    path: Vec<String>,
    found: Type,
    expr: Option<&'e Expr>,
    size: Option<Range>,
}

struct Coster<'a> {
    checked: &'a Checked,
    known: &'a Sizes,
    paths: BTreeMap<usize, Vec<String>>,
    locals: Vec<Local>,
    sizes: BTreeMap<usize, Range>,
    entries: BTreeMap<usize, Entries>,
}

/// Estimates what an expression costs.
pub(crate) fn estimate(checked: &Checked, known: &Sizes) -> Range {
    let mut coster = Coster {
        checked,
        known,
        paths: BTreeMap::new(),
        locals: Vec::new(),
        sizes: BTreeMap::new(),
        entries: BTreeMap::new(),
    };
    coster.cost(&checked.expr)
}

impl<'a> Coster<'a> {
    fn cost(&mut self, expr: &'a Expr) -> Range {
        match &expr.kind {
            ExprKind::Unspecified | ExprKind::Literal(_) => FREE,
            ExprKind::Ident(name) => {
                let path = self.local(name).map(|local| local.path.clone());
                let path = path.unwrap_or_else(|| vec![name.clone()]);
                self.paths.insert(expr.id, path);
                SELECT
            }
            ExprKind::Select(select) => {
                let cost = self.cost(&select.operand);
                if select.is_test {
                    return cost;
                }
                let mut path = self.path(&select.operand);
                path.push(select.field.clone());
                self.paths.insert(expr.id, path);
                match self.type_of(&select.operand) {
                    Type::Map(_) | Type::Struct(_) => cost.plus(SELECT),
                    _ => cost,
                }
            }
            ExprKind::Call(call) => self.call(expr, call),
            ExprKind::List(items) => {
                let values = items.iter().map(|item| &item.value);
                let (cost, values) = self.several(values);
                let entries = Entries {
                    is_list: true,
                    keys: Range::fixed(1),
                    values,
                };
                self.entries.insert(expr.id, entries);
                cost.plus(LIST)
            }
            ExprKind::Map(entries) => {
                let (cost, keys) = self.several(entries.iter().map(|entry| &entry.key));
                let (more, values) = self.several(entries.iter().map(|entry| &entry.value));
                let entries = Entries {
                    is_list: false,
                    keys,
                    values,
                };
                self.entries.insert(expr.id, entries);
                cost.plus(more).plus(MAP)
            }
            ExprKind::Struct(message) => {
                let fields = message.fields.iter().map(|field| &field.value);
                self.several(fields).0.plus(MESSAGE)
            }
            ExprKind::Comprehension(loop_) if is_binding(loop_) => self.binding(expr, loop_),
            ExprKind::Comprehension(loop_) => self.comprehension(expr, loop_),
        }
    }

    /// What several expressions cost together, and how large each may be.
    fn several(&mut self, values: impl Iterator<Item = &'a Expr>) -> (Range, Range) {
        let (mut cost, mut size) = (FREE, None);
        for value in values {
            cost = cost.plus(self.cost(value));
            let each = self.size_or_unknown(value);
            size = Some(size.unwrap_or(Range::UNSEEN).union(each));
        }
        (cost, size.unwrap_or(FREE))
    }

    fn call(&mut self, expr: &'a Expr, call: &'a Call) -> Range {
        if call.function == "dyn"
            && let [arg] = call.args.as_slice()
        {
            let cost = self.cost(arg);
            self.copy_sizes(expr, arg);
            return cost.plus(Range::fixed(1));
        }
        let mut costs = Vec::new();
        let mut args = Vec::new();
        for arg in &call.args {
            costs.push(self.cost(arg));
            args.push(self.arg(arg));
        }
        let mut sum = FREE;
        let mut target = None;
        if let Some(on) = &call.target {
            sum = self.cost(on);
            target = Some(self.arg(on));
        }
        let forms = self.checked.forms.get(&expr.id);
        let Some(forms) = forms.filter(|forms| !forms.is_empty()) else {
            return FREE;
        };
        let mut cost = Range::UNSEEN;
        let mut size: Option<Range> = None;
        for form in forms {
            let (one, result) = self.form(expr, call, form, target.as_ref(), &args, &costs);
            cost = cost.union(one);
            if let Some(result) = result {
                size = Some(size.map_or(result, |size| size.union(result)));
            }
            if call.function == "_[_]"
                && let Some(of) = call.args.first()
            {
                size = self.indexed(expr, of, form, size);
            }
            size = size.or_else(|| self.size(expr));
        }
        if let Some(size) = size {
            self.sizes.insert(expr.id, size);
        }
        sum.plus(cost)
    }

    /// How large what an index gives may be, and where it stands.
    fn indexed(
        &mut self,
        expr: &Expr,
        of: &Expr,
        form: &Overload,
        size: Option<Range>,
    ) -> Option<Range> {
        let step = match form.args.first() {
            Some(Type::List(_)) => "@items",
            Some(Type::Map(_)) => "@values",
            _ => return size,
        };
        let mut path = self.path(of);
        path.push(step.to_owned());
        self.paths.insert(expr.id, path);
        self.entries(of).map(|entries| entries.values)
    }

    fn comprehension(&mut self, expr: &'a Expr, loop_: &'a Comprehension) -> Range {
        let mut cost = self.cost(&loop_.range).plus(self.cost(&loop_.init));
        let outside = self.locals.len();
        self.bind(&loop_.accumulator, &loop_.init);
        self.bind_elements(loop_);
        let round = self.cost(&loop_.condition).plus(self.cost(&loop_.step));
        self.locals.truncate(outside + 1);
        cost = cost.plus(self.cost(&loop_.result));
        self.locals.truncate(outside);
        let rounds = self.size_or_unknown(&loop_.range);
        match loop_.init.kind {
            ExprKind::Literal(_) => {
                if let Some(size) = self.size(&loop_.init) {
                    self.sizes.insert(expr.id, size);
                }
            }
            ExprKind::List(_) | ExprKind::Map(_) => {
                self.sizes.insert(expr.id, rounds);
                if let Some(entries) = self.entries(&loop_.step) {
                    self.entries.insert(expr.id, entries);
                }
            }
            _ => {}
        }
        cost.plus(rounds.times(round))
    }

    fn binding(&mut self, expr: &'a Expr, loop_: &'a Comprehension) -> Range {
        let cost = self.cost(&loop_.range).plus(self.cost(&loop_.init));
        self.bind(&loop_.accumulator, &loop_.init);
        let cost = cost.plus(self.cost(&loop_.result));
        self.locals.pop();
        self.copy_sizes(expr, &loop_.result);
        cost
    }

    fn bind(&mut self, name: &str, to: &Expr) {
        let local = Local {
            name: name.to_owned(),
            path: self.path(to),
            size: self.size(to),
            entries: self.entries(to),
        };
        self.locals.push(local);
    }

    fn bind_elements(&mut self, loop_: &Comprehension) {
        let range = &loop_.range;
        let entries = self.entries(range);
        let is_list = match entries {
            Some(entries) => entries.is_list,
            None => matches!(self.type_of(range), Type::List(_)),
        };
        let keys = entries.map(|entries| entries.keys);
        let values = entries.map(|entries| entries.values);
        let mut names = match (&loop_.second, is_list) {
            (Some(_), true) => vec![(&loop_.variable, "@indices", keys)],
            (None, true) => vec![(&loop_.variable, "@items", values)],
            (_, false) => vec![(&loop_.variable, "@keys", keys)],
        };
        if let Some(second) = &loop_.second {
            names.push((second, if is_list { "@items" } else { "@values" }, values));
        }
        for (name, step, size) in names {
            let mut path = self.path(range);
            path.push(step.to_owned());
            self.locals.push(Local {
                name: name.clone(),
                path,
                size,
                entries: None,
            });
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|local| local.name == name)
    }
    fn local_of(&self, expr: &Expr) -> Option<&Local> {
        self.local(expr.ident()?)
    }
    fn path(&self, expr: &Expr) -> Vec<String> {
        let local = self.local_of(expr).map(|local| &local.path);
        local
            .or_else(|| self.paths.get(&expr.id))
            .cloned()
            .unwrap_or_default()
    }
    fn type_of(&self, expr: &Expr) -> &'a Type {
        self.checked.types.get(expr.id).unwrap_or(&Type::Dyn)
    }
    fn arg(&mut self, expr: &'a Expr) -> Arg<'a> {
        Arg {
            path: self.path(expr),
            found: self.type_of(expr).clone(),
            expr: Some(expr),
            size: self.size(expr),
        }
    }
    fn entries(&self, expr: &Expr) -> Option<Entries> {
        let known = self.entries.get(&expr.id).copied();
        known.or_else(|| self.local_of(expr)?.entries)
    }
    fn copy_sizes(&mut self, to: &Expr, from: &Expr) {
        if let Some(size) = self.size(from) {
            self.sizes.insert(to.id, size);
        }
        if let Some(entries) = self.entries(from) {
            self.entries.insert(to.id, entries);
        }
    }

    /// How large a value may be. Source: `computeSize`.
    fn size(&mut self, expr: &Expr) -> Option<Range> {
        if let Some(size) = self.sizes.get(&expr.id) {
            return Some(*size);
        }
        if let Some(size) = written_size(expr) {
            return Some(Range::fixed(size));
        }
        if let Some(size) = self.at(&self.path(expr)) {
            self.sizes.insert(expr.id, size);
            return Some(size);
        }
        if is_scalar(self.type_of(expr)) {
            return Some(Range::fixed(1));
        }
        self.local_of(expr)?.size
    }
    fn size_or_unknown(&mut self, expr: &Expr) -> Range {
        self.size(expr).unwrap_or(Range::UNKNOWN)
    }
    fn at(&self, path: &[String]) -> Option<Range> {
        if path.is_empty() {
            None
        } else {
            (self.known)(path)
        }
    }
    /// How large an argument may be.
    fn arg_size(&self, arg: &Arg<'_>) -> Range {
        arg.size
            .or_else(|| self.at(&arg.path))
            .unwrap_or(Range::UNKNOWN)
    }
}

/// A loop that goes round no list, but gives a value a name.
fn is_binding(loop_: &Comprehension) -> bool {
    let is_never = loop_.condition.literal() == Some(&Literal::Bool(false));
    matches!(&loop_.range.kind, ExprKind::List(items) if items.is_empty()) && is_never
}

/// The size of what is written out.
fn written_size(expr: &Expr) -> Option<u64> {
    let size = match &expr.kind {
        ExprKind::Literal(Literal::String(text)) => text.chars().count(),
        ExprKind::Literal(Literal::Bytes(bytes)) => bytes.len(),
        ExprKind::Literal(_) => 1,
        ExprKind::List(items) => items.len(),
        ExprKind::Map(entries) => entries.len(),
        _ => return None,
    };
    u64::try_from(size).ok()
}

fn is_scalar(found: &Type) -> bool {
    use Type::{Bool, Double, Duration, Int, Timestamp, Uint};
    match found.inside_optional() {
        Some(inside) => is_scalar(inside),
        None => matches!(found, Bool | Double | Duration | Int | Timestamp | Uint),
    }
}
