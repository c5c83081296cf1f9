//! The types of an expression and of everything in it. Source: cel-go `checker/checker.go`.

use std::collections::BTreeMap;

use crate::ast::{Call, Comprehension, Expr, ExprKind, Item, Literal, Select};
use crate::env::{Env, Known};
use crate::library::Overload;
use crate::source::{Mistake, NOWHERE, Source};
use crate::syntax::walk::TOO_DEEP;
use crate::types::{Type, signature};
use crate::unify::{Unifier, most_general};
use crate::well_known;

/// The forms of functions that fit each call, by the number of the call.
type Forms = BTreeMap<usize, Vec<&'static Overload>>;

/// Finds the type of every part, by its number; names are replaced by what they stand for.
pub(crate) fn check(
    expr: &mut Expr,
    count: usize,
    env: &Env,
    source: &Source,
) -> Result<(Vec<Type>, Forms), Vec<Mistake>> {
    let mut checker = Checker {
        env,
        source,
        scope: Vec::new(),
        types: vec![None; count],
        unifier: Unifier::default(),
        forms: Forms::new(),
        mistakes: Vec::new(),
        is_given_up: false,
    };
    checker.check(expr);
    if !checker.mistakes.is_empty() {
        return Err(checker.mistakes);
    }
    let types = checker.types.iter().map(|found| {
        let found = found.as_ref().unwrap_or(&Type::Dyn);
        checker.unifier.resolve(found, true)
    });
    Ok((types.collect(), checker.forms))
}

struct Checker<'a> {
    env: &'a Env,
    source: &'a Source,
    /// The names of the loops around.
    scope: Vec<(String, Type)>,
    types: Vec<Option<Type>>,
    unifier: Unifier,
    forms: Forms,
    mistakes: Vec<Mistake>,
    is_given_up: bool,
}

impl Checker<'_> {
    fn wrong(&mut self, at: usize, message: String) {
        self.mistakes.push(Mistake {
            place: self.source.place(at),
            message,
        });
    }
    fn mismatch(&mut self, at: usize, expected: &Type, found: &Type) {
        self.wrong(at, mismatch(expected, found));
    }
    fn undeclared(&mut self, at: usize, name: &str) -> Type {
        self.wrong(
            at,
            format!("undeclared reference to '{name}' (in container '')"),
        );
        Type::Error
    }

    fn set(&mut self, expr: &Expr, found: Type) {
        if self.unifier.is_too_large(&found) && !self.is_given_up {
            self.is_given_up = true;
            self.mistakes.push(Mistake {
                place: NOWHERE,
                message: TOO_DEEP.to_owned(),
            });
        }
        if let Some(slot) = self.types.get_mut(expr.id) {
            *slot = Some(found);
        }
    }
    fn get(&self, expr: &Expr) -> Type {
        let found = self.types.get(expr.id).cloned().flatten();
        found.unwrap_or(Type::Error)
    }

    /// The type of a name.
    fn lookup(&self, name: &str) -> Option<Type> {
        let name = name.strip_prefix('.').unwrap_or(name);
        let local = self.scope.iter().rev().find(|(known, _)| known == name);
        local
            .map(|(_, found)| found.clone())
            .or_else(|| self.env.ident(name))
    }

    fn check(&mut self, expr: &mut Expr) {
        if self.is_given_up {
            return;
        }
        let at = expr.at;
        let found = match &mut expr.kind {
            ExprKind::Unspecified => Type::Error,
            ExprKind::Literal(literal) => type_of(literal),
            ExprKind::Ident(name) => {
                let found = self.lookup(name);
                let known = name.trim_start_matches('.').to_owned();
                let written = std::mem::replace(name, known);
                found.unwrap_or_else(|| self.undeclared(at, &written))
            }
            ExprKind::Select(_) => self.select(expr),
            ExprKind::Call(call) if call.target.is_some() => self.member_call(expr),
            ExprKind::Call(_) => self.call(expr),
            ExprKind::List(items) => self.list(items),
            ExprKind::Map(_) => self.map(expr),
            ExprKind::Struct(_) => self.message(expr),
            ExprKind::Comprehension(loop_) => self.comprehension(loop_),
        };
        self.set(expr, found);
    }

    fn select(&mut self, expr: &mut Expr) -> Type {
        let at = expr.at;
        if let Some(name) = expr.qualified_name()
            && let Some(found) = self.lookup(&name)
        {
            expr.kind = ExprKind::Ident(name.trim_start_matches('.').to_owned());
            return found;
        }
        let ExprKind::Select(select) = &mut expr.kind else {
            return Type::Error;
        };
        let Select {
            operand,
            field,
            is_test,
        } = &mut **select;
        let found = self.field(operand, field, at, false);
        if *is_test {
            Type::Bool
        } else {
            self.unifier.resolve(&found, false)
        }
    }

    /// The type of a field. Source: `checkSelectField`.
    fn field(&mut self, operand: &mut Expr, field: &str, at: usize, is_optional: bool) -> Type {
        self.check(operand);
        let whole = self.unifier.resolve(&self.get(operand), false);
        let inside = whole.inside_optional();
        let target = inside.unwrap_or(&whole);
        let found = match target {
            Type::Map(pair) => pair.1.clone(),
            Type::Struct(name) => self.declared_field(name, field, at),
            Type::Var(_) => {
                self.unifier.fits(&Type::Dyn, target);
                Type::Dyn
            }
            Type::Dyn | Type::Any | Type::Error | Type::Param(_) => Type::Dyn,
            _ => {
                let why = format!("type '{}' does not support field selection", target.shown());
                self.wrong(at, why);
                Type::Dyn
            }
        };
        if inside.is_some() || is_optional {
            Type::optional(found)
        } else {
            found
        }
    }

    fn declared_field(&mut self, message: &str, field: &str, at: usize) -> Type {
        let why = match self.env.field(message, field) {
            Known::Field(found) => return found,
            Known::Untyped => return Type::Dyn,
            Known::NoField => format!("undefined field '{field}'"),
            Known::NoType => format!("unexpected failed resolution of '{message}'"),
        };
        self.wrong(at, why);
        Type::Error
    }

    fn call(&mut self, expr: &mut Expr) -> Type {
        let place = (expr.id, expr.at);
        let ExprKind::Call(call) = &mut expr.kind else {
            return Type::Error;
        };
        if call.function == "_?._" {
            self.forms.insert(
                place.0,
                self.env
                    .function("_?._")
                    .iter()
                    .flat_map(|forms| forms.iter())
                    .collect(),
            );
            return self.optional_field(call, place.1);
        }
        for arg in &mut call.args {
            self.check(arg);
        }
        let name = call.function.trim_start_matches('.').to_owned();
        let Some(forms) = self.env.function(&name) else {
            return self.undeclared(place.1, &call.function);
        };
        call.function = name;
        self.resolve(call, forms, place)
    }

    /// Source: `checkOptSelect`.
    fn optional_field(&mut self, call: &mut Call, at: usize) -> Type {
        let [operand, field] = call.args.as_mut_slice() else {
            return Type::Error;
        };
        let Some(Literal::String(field)) = field.literal() else {
            return Type::Error;
        };
        let field = field.clone();
        let found = self.field(operand, &field, at, true);
        self.unifier.resolve(&found, false)
    }

    fn member_call(&mut self, expr: &mut Expr) -> Type {
        let place = (expr.id, expr.at);
        let ExprKind::Call(call) = &mut expr.kind else {
            return Type::Error;
        };
        for arg in &mut call.args {
            self.check(arg);
        }
        // `a.b.c()` may be a function of that name, or `c` called on `a.b`.
        let target = call.target.as_ref().and_then(Expr::qualified_name);
        if let Some(target) = target {
            let name = format!("{}.{}", target.trim_start_matches('.'), call.function);
            if let Some(forms) = self.env.function(&name) {
                call.function = name;
                call.target = None;
                return self.resolve(call, forms, place);
            }
        }
        if let Some(target) = &mut call.target {
            self.check(target);
        }
        match self.env.function(&call.function) {
            Some(forms) => self.resolve(call, forms, place),
            None => self.undeclared(place.1, &call.function),
        }
    }

    /// The type of a call of a function with several forms. Source: `resolveOverload`.
    fn resolve(
        &mut self,
        call: &Call,
        forms: &'static [Overload],
        (id, at): (usize, usize),
    ) -> Type {
        let is_member = call.target.is_some();
        let mut args: Vec<Type> = call.target.iter().map(|target| self.get(target)).collect();
        args.extend(call.args.iter().map(|arg| self.get(arg)));
        if ["_&&_", "_||_"].contains(&call.function.as_str()) {
            self.forms.insert(id, forms.iter().collect());
            return self.logic(call, &args);
        }
        let mut result: Option<Type> = None;
        for form in forms.iter().filter(|form| form.is_member == is_member) {
            let declared: Vec<&Type> = std::iter::once(&form.result).chain(&form.args).collect();
            let fresh = self.unifier.instantiate(&declared);
            let [given, wanted @ ..] = fresh.as_slice() else {
                continue;
            };
            if !self.unifier.all_fit(&args, wanted) {
                continue;
            }
            self.forms.entry(id).or_default().push(form);
            let found = self.unifier.resolve(given, false);
            result = Some(match result {
                None => found,
                Some(first) if first.is_dyn() || first == found => first,
                Some(_) => Type::Dyn,
            });
        }
        result.unwrap_or_else(|| {
            let args: Vec<Type> = args
                .iter()
                .map(|arg| self.unifier.resolve(arg, true))
                .collect();
            let (name, shown) = (&call.function, signature(&args, is_member));
            self.wrong(
                at,
                format!("found no matching overload for '{name}' applied to '{shown}'"),
            );
            Type::Error
        })
    }

    fn logic(&mut self, call: &Call, args: &[Type]) -> Type {
        let mut result = Type::Bool;
        for (arg, found) in call.args.iter().zip(args) {
            if !self.unifier.fits(found, &Type::Bool) {
                self.mismatch(arg.at, &Type::Bool, found);
                result = Type::Error;
            }
        }
        result
    }

    /// The type inside an optional item.
    fn unwrapped(&mut self, value: &Expr, is_optional: bool) -> Type {
        let found = self.get(value);
        if !is_optional {
            return found;
        }
        if let Some(inside) = found.inside_optional() {
            return inside.clone();
        }
        if !found.is_dyn() {
            self.mismatch(value.at, &Type::optional(found.clone()), &found);
        }
        found
    }

    /// The type that fits both; whether all are of one type is looked at later. Source: `joinTypes`.
    fn join(&mut self, before: Option<Type>, found: Type) -> Type {
        let Some(before) = before else {
            return found;
        };
        if self.unifier.fits(&before, &found) {
            return most_general(&before, &found);
        }
        Type::Dyn
    }

    fn list(&mut self, items: &mut [Item]) -> Type {
        let mut joined = None;
        for item in items {
            self.check(&mut item.value);
            let found = self.unwrapped(&item.value, item.is_optional);
            joined = Some(self.join(joined, found));
        }
        Type::list(joined.unwrap_or_else(|| self.unifier.open()))
    }

    fn map(&mut self, expr: &mut Expr) -> Type {
        let ExprKind::Map(entries) = &mut expr.kind else {
            return Type::Error;
        };
        let (mut keys, mut values) = (None, None);
        for entry in entries {
            self.check(&mut entry.key);
            let found = self.get(&entry.key);
            keys = Some(self.join(keys, found));
            self.check(&mut entry.value);
            let found = self.unwrapped(&entry.value, entry.is_optional);
            values = Some(self.join(values, found));
        }
        match keys.zip(values) {
            Some((keys, values)) => Type::map(keys, values),
            None => Type::map(self.unifier.open(), self.unifier.open()),
        }
    }

    /// Source: `checkCreateStruct`.
    fn message(&mut self, expr: &mut Expr) -> Type {
        let at = expr.at;
        let ExprKind::Struct(message) = &mut expr.kind else {
            return Type::Error;
        };
        let name = message.name.clone();
        let result = match self.lookup(&name) {
            None => return self.undeclared(at, &name),
            Some(Type::Error) => Type::Error,
            Some(Type::Type(Some(of))) if is_message(&of, &name) => (*of).clone(),
            Some(Type::Type(Some(of))) => {
                self.wrong(at, format!("'{}' is not a message type", of.name()));
                Type::Error
            }
            Some(other) => {
                self.wrong(at, format!("'{}' is not a type", other.name()));
                Type::Error
            }
        };
        name.trim_start_matches('.').clone_into(&mut message.name);
        for field in &mut message.fields {
            self.check(&mut field.value);
            let wanted = self.declared_field(&message.name, &field.name, field.at);
            let found = self.unwrapped(&field.value, field.is_optional);
            let known = self.env.field(&message.name, &field.name);
            let is_open = found.is_dyn() || found == Type::Error;
            let is_untyped = matches!(known, Known::Untyped) && !is_open;
            if is_untyped || !self.unifier.fits(&wanted, &found) {
                let wanted = if is_untyped {
                    String::new()
                } else {
                    wanted.shown()
                };
                self.wrong(
                    field.at,
                    format!(
                        "expected type of field '{}' is '{}' but provided type is '{}'",
                        field.name,
                        wanted,
                        found.shown()
                    ),
                );
            }
        }
        result
    }

    fn comprehension(&mut self, loop_: &mut Comprehension) -> Type {
        self.check(&mut loop_.range);
        self.check(&mut loop_.init);
        let grown = self.get(&loop_.init);
        let (first, second) = self.elements(&loop_.range, loop_.second.is_some());
        let outside = self.scope.len();
        self.scope.push((loop_.accumulator.clone(), grown.clone()));
        self.scope.push((loop_.variable.clone(), first));
        self.scope
            .extend(loop_.second.clone().map(|name| (name, second)));
        self.check(&mut loop_.condition);
        self.assert(&loop_.condition, &Type::Bool);
        self.check(&mut loop_.step);
        self.assert(&loop_.step, &grown);
        self.scope.truncate(outside + 1);
        self.check(&mut loop_.result);
        self.scope.truncate(outside);
        self.unifier.resolve(&self.get(&loop_.result), false)
    }

    /// The types of the names of a loop.
    fn elements(&mut self, range: &Expr, has_two: bool) -> (Type, Type) {
        let found = self.unifier.resolve(&self.get(range), false);
        match &found {
            Type::List(of) if has_two => (Type::Int, (**of).clone()),
            Type::List(of) => ((**of).clone(), Type::Dyn),
            Type::Map(pair) => (pair.0.clone(), pair.1.clone()),
            Type::Dyn | Type::Error | Type::Var(_) | Type::Param(_) => {
                self.unifier.fits(&Type::Dyn, &found);
                (Type::Dyn, Type::Dyn)
            }
            _ => {
                self.wrong(
                    range.at,
                    format!(
                        "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                        found.shown()
                    ),
                );
                (Type::Error, Type::Error)
            }
        }
    }

    fn assert(&mut self, expr: &Expr, wanted: &Type) {
        let found = self.get(expr);
        if !self.unifier.fits(wanted, &found) {
            self.mismatch(expr.at, wanted, &found);
        }
    }
}

/// Whether a message of this type can be written out.
fn is_message(of: &Type, name: &str) -> bool {
    let name = name.trim_start_matches('.');
    matches!(
        of,
        Type::Struct(_) | Type::Null | Type::Duration | Type::Timestamp
    ) || well_known::message(name).is_some()
}

pub(crate) fn mismatch(expected: &Type, found: &Type) -> String {
    format!(
        "expected type '{}' but found '{}'",
        expected.shown(),
        found.shown()
    )
}

fn type_of(literal: &Literal) -> Type {
    match literal {
        Literal::Bool(_) => Type::Bool,
        Literal::Bytes(_) => Type::Bytes,
        Literal::Double(_) => Type::Double,
        Literal::Int(_) => Type::Int,
        Literal::Null => Type::Null,
        Literal::String(_) => Type::String,
        Literal::Uint(_) => Type::Uint,
    }
}
