//! Calls that stand for larger expressions. Source: cel-go `parser/macro.go`, `cel/library.go`, `ext/comprehensions.go`,
//! `ext/bindings.go`, `ext/lists.go`.

use crate::ast::{
    Call, Comprehension, Entry, Expr, ExprKind, Field, Item, Literal, Select, Struct,
};
use crate::parse::Parser;

/// The name of what grows in a loop, which no text can contain.
const ACCUMULATOR: &str = "@result";
/// What it was called before.
const OLD_ACCUMULATOR: &str = "__result__";
/// The name of an element that nobody looks at.
const UNUSED: &str = "#unused";
/// The name of the list that is sorted.
const SORTED: &str = "@__sortBy_input__";

/// A mistake in a macro: where, and what.
type Wrong = (usize, String);

/// A call, or what it stands for.
pub(crate) fn expand(
    parser: &mut Parser<'_>,
    at: usize,
    function: &str,
    target: Option<Expr>,
    mut args: Vec<Expr>,
) -> Expr {
    let mut maker = Maker { parser, at };
    let made = match (function, target.is_some(), args.len()) {
        ("has", false, 1) => maker.has(&mut args),
        ("all" | "exists" | "exists_one", true, 2 | 3) | ("existsOne", true, 3) => {
            maker.quantifier(function, target, args)
        }
        ("map", true, 2 | 3) => maker.map(target, args),
        ("filter", true, 2) => maker.filter(target, args),
        ("transformList" | "transformMap" | "transformMapEntry", true, 3 | 4) => {
            maker.transform(function, target, args)
        }
        ("optMap" | "optFlatMap", true, 2) => maker.optional(function, target, args),
        ("sortBy", true, 2) => maker.sort_by(target, args),
        ("bind", true, 3) if maker.parser.syntax.binds && is_cel(target.as_ref()) => {
            maker.bind(args)
        }
        _ => {
            let call = Call {
                target,
                function: function.to_owned(),
                args,
            };
            Ok(maker.expr(ExprKind::Call(Box::new(call))))
        }
    };
    made.unwrap_or_else(|(at, why)| parser.wrong(at, why))
}

fn is_cel(target: Option<&Expr>) -> bool {
    target.and_then(Expr::ident) == Some("cel")
}

/// Makes expressions at the place of a macro.
struct Maker<'a, 'b> {
    parser: &'a mut Parser<'b>,
    at: usize,
}

/// A name that a loop gives to something.
fn variable(arg: &Expr, why: &str) -> Result<String, Wrong> {
    let name = arg.ident().ok_or_else(|| (arg.at, why.to_owned()))?;
    if [ACCUMULATOR, OLD_ACCUMULATOR].contains(&name) {
        let why = "iteration variable overwrites accumulator variable";
        return Err((arg.at, why.to_owned()));
    }
    Ok(name.to_owned())
}

const SIMPLE: &str = "argument must be a simple name";
const IDENTIFIER: &str = "argument is not an identifier";

/// One or two names before the rest of the arguments.
fn variables(args: &mut Vec<Expr>, count: usize) -> Result<(String, Option<String>), Wrong> {
    let mut names = args.drain(..count.min(args.len()));
    let first = names.next().ok_or_else(|| (0, SIMPLE.to_owned()))?;
    let Some(second) = names.next() else {
        return Ok((variable(&first, SIMPLE)?, None));
    };
    let is_name = |arg: &Expr| {
        arg.ident()
            .ok_or_else(|| (arg.at, SIMPLE.to_owned()))
            .map(str::to_owned)
    };
    let name = is_name(&first)?;
    if is_name(&second)? == name {
        return Err((second.at, format!("duplicate variable name: {name}")));
    }
    Ok((variable(&first, SIMPLE)?, Some(variable(&second, SIMPLE)?)))
}

impl Maker<'_, '_> {
    fn expr(&mut self, kind: ExprKind) -> Expr {
        self.parser.expr(self.at, kind)
    }
    fn call(&mut self, function: &str, args: Vec<Expr>) -> Expr {
        self.parser.call(self.at, function, args)
    }
    fn member_call(&mut self, function: &str, target: Expr, args: Vec<Expr>) -> Expr {
        let call = Call {
            target: Some(target),
            function: function.to_owned(),
            args,
        };
        self.expr(ExprKind::Call(Box::new(call)))
    }
    fn literal(&mut self, literal: Literal) -> Expr {
        self.expr(ExprKind::Literal(literal))
    }
    fn list(&mut self, values: Vec<Expr>) -> Expr {
        let items = values.into_iter().map(|value| Item {
            value,
            is_optional: false,
        });
        let items = items.collect();
        self.expr(ExprKind::List(items))
    }
    fn name(&mut self, name: &str) -> Expr {
        self.expr(ExprKind::Ident(name.to_owned()))
    }
    fn accumulator(&mut self) -> Expr {
        self.name(ACCUMULATOR)
    }
    fn nothing(&mut self) -> Expr {
        self.expr(ExprKind::Unspecified)
    }

    /// A loop whose result is what grew.
    fn comprehension(
        &mut self,
        range: Option<Expr>,
        (variable, second): (String, Option<String>),
        init: Expr,
        condition: Expr,
        step: Expr,
    ) -> Expr {
        let range = range.unwrap_or_else(|| self.nothing());
        let result = self.accumulator();
        self.expr(ExprKind::Comprehension(Box::new(Comprehension {
            range,
            variable,
            second,
            accumulator: ACCUMULATOR.to_owned(),
            init,
            condition,
            step,
            result,
        })))
    }

    /// A value with a name inside an expression.
    fn bound(&mut self, name: &str, value: Expr, result: Expr) -> Expr {
        let range = self.list(Vec::new());
        let condition = self.literal(Literal::Bool(false));
        let step = self.name(name);
        self.expr(ExprKind::Comprehension(Box::new(Comprehension {
            range,
            variable: UNUSED.to_owned(),
            second: None,
            accumulator: name.to_owned(),
            init: value,
            condition,
            step,
            result,
        })))
    }

    fn has(&mut self, args: &mut Vec<Expr>) -> Result<Expr, Wrong> {
        let arg = args.pop().unwrap_or_else(|| self.nothing());
        match arg.kind {
            ExprKind::Select(select) => {
                let test = Select {
                    is_test: true,
                    ..*select
                };
                Ok(self.expr(ExprKind::Select(Box::new(test))))
            }
            _ => Err((arg.at, "invalid argument to has() macro".to_owned())),
        }
    }

    fn quantifier(
        &mut self,
        function: &str,
        range: Option<Expr>,
        mut args: Vec<Expr>,
    ) -> Result<Expr, Wrong> {
        let names_count = args.len().saturating_sub(1);
        let names = variables(&mut args, names_count)?;
        let test = args.pop().unwrap_or_else(|| self.nothing());
        let seen = self.accumulator();
        if function == "all" {
            let init = self.literal(Literal::Bool(true));
            let condition = self.call("@not_strictly_false", vec![seen]);
            let seen = self.accumulator();
            let step = self.call("_&&_", vec![seen, test]);
            return Ok(self.comprehension(range, names, init, condition, step));
        }
        if function == "exists" {
            let init = self.literal(Literal::Bool(false));
            let not = self.call("!_", vec![seen]);
            let condition = self.call("@not_strictly_false", vec![not]);
            let seen = self.accumulator();
            let step = self.call("_||_", vec![seen, test]);
            return Ok(self.comprehension(range, names, init, condition, step));
        }
        let init = self.literal(Literal::Int(0));
        let condition = self.literal(Literal::Bool(true));
        let one = self.literal(Literal::Int(1));
        let more = self.call("_+_", vec![seen, one]);
        let same = self.accumulator();
        let step = self.call("_?_:_", vec![test, more, same]);
        let mut made = self.comprehension(range, names, init, condition, step);
        if let ExprKind::Comprehension(loop_) = &mut made.kind {
            let (found, one) = (self.accumulator(), self.literal(Literal::Int(1)));
            loop_.result = self.call("_==_", vec![found, one]);
        }
        Ok(made)
    }

    fn map(&mut self, range: Option<Expr>, mut args: Vec<Expr>) -> Result<Expr, Wrong> {
        let name = variable(&args.remove(0), IDENTIFIER)?;
        let value = args.pop().unwrap_or_else(|| self.nothing());
        let more = self.list(vec![value]);
        Ok(self.collect(range, (name, None), "_+_", vec![more], args.pop()))
    }

    fn filter(&mut self, range: Option<Expr>, mut args: Vec<Expr>) -> Result<Expr, Wrong> {
        let name = args
            .first()
            .ok_or_else(|| (self.at, IDENTIFIER.to_owned()))?;
        let name = variable(name, IDENTIFIER)?;
        let test = args.pop();
        let more = self.list(args);
        Ok(self.collect(range, (name, None), "_+_", vec![more], test))
    }

    /// A loop that adds to a list or map what passes a test.
    fn collect(
        &mut self,
        range: Option<Expr>,
        names: (String, Option<String>),
        function: &str,
        added: Vec<Expr>,
        test: Option<Expr>,
    ) -> Expr {
        let init = match function {
            "_+_" => self.list(Vec::new()),
            _ => self.expr(ExprKind::Map(Vec::new())),
        };
        let condition = self.literal(Literal::Bool(true));
        let mut args = vec![self.accumulator()];
        args.extend(added);
        let mut step = self.call(function, args);
        if let Some(test) = test {
            let same = self.accumulator();
            step = self.call("_?_:_", vec![test, step, same]);
        }
        self.comprehension(range, names, init, condition, step)
    }

    fn transform(
        &mut self,
        function: &str,
        range: Option<Expr>,
        mut args: Vec<Expr>,
    ) -> Result<Expr, Wrong> {
        let names = variables(&mut args, 2)?;
        let value = args.pop().unwrap_or_else(|| self.nothing());
        let test = args.pop();
        match function {
            "transformList" => {
                let more = self.list(vec![value]);
                Ok(self.collect(range, names, "_+_", vec![more], test))
            }
            "transformMap" => {
                let key = self.name(&names.0);
                Ok(self.collect(range, names, "cel.@mapInsert", vec![key, value], test))
            }
            _ => Ok(self.collect(range, names, "cel.@mapInsert", vec![value], test)),
        }
    }

    fn optional(
        &mut self,
        function: &str,
        target: Option<Expr>,
        mut args: Vec<Expr>,
    ) -> Result<Expr, Wrong> {
        let target = target.unwrap_or_else(|| self.nothing());
        let result = args.pop().unwrap_or_else(|| self.nothing());
        let Some(name) = args.first().and_then(Expr::ident).map(str::to_owned) else {
            let at = args.first().map_or(self.at, |arg| arg.at);
            return Err((
                at,
                format!("{function}() variable name must be a simple identifier"),
            ));
        };
        let copy = self.copy(&target);
        let value = self.member_call("value", copy, Vec::new());
        let has = self.member_call("hasValue", target, Vec::new());
        let mut made = self.bound(&name, value, result);
        if function == "optMap" {
            made = self.call("optional.of", vec![made]);
        }
        let none = self.call("optional.none", Vec::new());
        Ok(self.call("_?_:_", vec![has, made, none]))
    }

    fn sort_by(&mut self, target: Option<Expr>, args: Vec<Expr>) -> Result<Expr, Wrong> {
        let target = target.unwrap_or_else(|| self.nothing());
        if matches!(
            target.kind,
            ExprKind::Literal(_) | ExprKind::Map(_) | ExprKind::Struct(_)
        ) {
            let why = "sortBy can only be applied to a list, identifier, comprehension, call or select expression";
            return Err((target.at, why.to_owned()));
        }
        let list = self.name(SORTED);
        let keys = self.map(Some(list), args)?;
        let list = self.name(SORTED);
        let sorted = self.member_call("@sortByAssociatedKeys", list, vec![keys]);
        Ok(self.bound(SORTED, target, sorted))
    }

    fn bind(&mut self, mut args: Vec<Expr>) -> Result<Expr, Wrong> {
        let result = args.pop().unwrap_or_else(|| self.nothing());
        let value = args.pop().unwrap_or_else(|| self.nothing());
        let Some(name) = args.first().and_then(Expr::ident).map(str::to_owned) else {
            let at = args.first().map_or(self.at, |arg| arg.at);
            let why = "cel.bind() variable names must be simple identifiers";
            return Err((at, why.to_owned()));
        };
        Ok(self.bound(&name, value, result))
    }

    /// The same expression once more; each part of it can have another type than the first time.
    fn copy(&mut self, expr: &Expr) -> Expr {
        if self.parser.is_given_up() {
            return self.nothing();
        }
        let kind = match &expr.kind {
            ExprKind::Select(select) => ExprKind::Select(Box::new(Select {
                operand: self.copy(&select.operand),
                field: select.field.clone(),
                is_test: select.is_test,
            })),
            ExprKind::Call(call) => ExprKind::Call(Box::new(Call {
                target: call.target.as_ref().map(|target| self.copy(target)),
                function: call.function.clone(),
                args: call.args.iter().map(|arg| self.copy(arg)).collect(),
            })),
            ExprKind::List(items) => {
                let items = items.iter().map(|item| Item {
                    value: self.copy(&item.value),
                    is_optional: item.is_optional,
                });
                ExprKind::List(items.collect())
            }
            ExprKind::Map(entries) => {
                let entries = entries.iter().map(|entry| Entry {
                    key: self.copy(&entry.key),
                    value: self.copy(&entry.value),
                    is_optional: entry.is_optional,
                });
                ExprKind::Map(entries.collect())
            }
            ExprKind::Struct(message) => ExprKind::Struct(Struct {
                name: message.name.clone(),
                fields: self.copy_fields(&message.fields),
            }),
            ExprKind::Comprehension(loop_) => ExprKind::Comprehension(Box::new(Comprehension {
                range: self.copy(&loop_.range),
                init: self.copy(&loop_.init),
                condition: self.copy(&loop_.condition),
                step: self.copy(&loop_.step),
                result: self.copy(&loop_.result),
                variable: loop_.variable.clone(),
                second: loop_.second.clone(),
                accumulator: loop_.accumulator.clone(),
            })),
            simple => simple.clone(),
        };
        self.parser.expr(expr.at, kind)
    }

    fn copy_fields(&mut self, fields: &[Field]) -> Vec<Field> {
        let copies = fields.iter().map(|field| Field {
            at: self.at,
            name: field.name.clone(),
            value: self.copy(&field.value),
            is_optional: field.is_optional,
        });
        copies.collect()
    }
}
