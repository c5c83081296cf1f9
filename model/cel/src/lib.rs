//! The Common Expression Language as Kubernetes speaks it: reading expressions and finding their types, in upstream's
//! words when something is wrong. It evaluates nothing, knows no Kubernetes object, and reads no files.

use std::collections::BTreeMap;

mod ast;
mod check;
mod cost;
mod env;
mod library;
mod literal;
mod macros;
mod parse;
mod source;
mod syntax;
mod types;
mod unify;
mod validate;
mod well_known;

#[cfg(test)]
mod tests;

pub use ast::{Call, Comprehension, Entry, Expr, ExprKind, Field, Item, Literal, Select, Struct};
pub use cost::{Range, Sizes};
pub use env::Env;
use library::Overload;
pub use source::{Mistake, Mistakes, Place};
pub use types::Type;

/// An expression with the types of its parts.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The expression; names stand for what they were found to be.
    pub expr: Expr,
    /// The type of each part, by its number.
    pub types: Vec<Type>,
    /// The forms of functions that fit each call.
    forms: BTreeMap<usize, Vec<&'static Overload>>,
}

impl Checked {
    /// The type of what comes out.
    pub fn output(&self) -> &Type {
        self.types.get(self.expr.id).unwrap_or(&Type::Dyn)
    }

    /// What evaluating may cost, when what variables hold is as large as said.
    pub fn cost(&self, sizes: &Sizes) -> Range {
        cost::estimate(self, sizes)
    }

    /// Why the expression cannot be made ready to run, if so: regular expressions that are written out are read then.
    pub fn obstacle(&self) -> Option<String> {
        self.missing_type(&self.expr)
            .or_else(|| obstacle(&self.expr))
    }

    /// A type that is named, but that nothing will be known of.
    fn missing_type(&self, expr: &Expr) -> Option<String> {
        let name = expr.ident().unwrap_or_default();
        let is_missing = match self.types.get(expr.id) {
            Some(Type::Type(Some(of))) => match &**of {
                Type::Struct(known) if name != "google.protobuf.Empty" => {
                    &**known == name && name.contains('.') && !name.starts_with("Object.")
                }
                _ => well_known::is_unknown_later(name),
            },
            _ => false,
        };
        if is_missing {
            return Some(format!("reference to undefined type: {name}"));
        }
        expr.children()
            .into_iter()
            .find_map(|child| self.missing_type(child))
    }
}

fn obstacle(expr: &Expr) -> Option<String> {
    if let ExprKind::Call(call) = &expr.kind
        && ["matches", "find", "findAll"].contains(&call.function.as_str())
    {
        let pattern = call.target.iter().chain(&call.args).nth(1);
        if let Some(Literal::String(text)) = pattern.and_then(Expr::literal)
            && let Some(why) = validate::regex::complaint(text)
        {
            return Some(why);
        }
    }
    expr.children().into_iter().find_map(obstacle)
}

impl Env {
    /// Reads an expression and finds its types.
    ///
    /// # Errors
    /// Everything that is wrong with it; mistakes in types are looked for only when the syntax is right.
    pub fn compile(&self, text: &str) -> Result<Checked, Mistakes> {
        let source = source::Source::new(text);
        match self.checked(&source) {
            Ok(checked) => Ok(checked),
            Err(mistakes) => Err(Mistakes::new(mistakes, source)),
        }
    }

    fn checked(&self, source: &source::Source) -> Result<Checked, Vec<Mistake>> {
        let (mut expr, count) = parse::parse(source, self.syntax)?;
        let (types, forms) = check::check(&mut expr, count, self, source)?;
        let checked = Checked { expr, types, forms };
        let mistakes = validate::validate(&checked, source);
        if mistakes.is_empty() {
            Ok(checked)
        } else {
            Err(mistakes)
        }
    }
}
