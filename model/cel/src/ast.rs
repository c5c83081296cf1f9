//! Expressions as the checker and whoever evaluates them see them. Source: cel-go `common/ast`.

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Numbers the expressions of one text, from 0.
    pub id: usize,
    /// The character that messages point at.
    pub at: usize,
    /// What it is.
    pub kind: ExprKind,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// Something that could not be read; no expression without mistakes has one.
    Unspecified,
    /// A value that is written out.
    Literal(Literal),
    /// A name.
    Ident(String),
    /// A field.
    Select(Box<Select>),
    /// A call of a function or an operator.
    Call(Box<Call>),
    /// A list.
    List(Vec<Item>),
    /// A map.
    Map(Vec<Entry>),
    /// A message of a type.
    Struct(Struct),
    /// A loop, which macros make.
    Comprehension(Box<Comprehension>),
}

/// A value that is written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A floating-point number.
    Double(f64),
    /// A signed whole number.
    Int(i64),
    /// `null`.
    Null,
    /// A text.
    String(String),
    /// An unsigned whole number.
    Uint(u64),
}

/// A field of something.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// Of what.
    pub operand: Expr,
    /// Its name.
    pub field: String,
    /// Whether it is only asked whether the field is there.
    pub is_test: bool,
}

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What the function is called on.
    pub target: Option<Expr>,
    /// The function's name.
    pub function: String,
    /// The arguments without the target.
    pub args: Vec<Expr>,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The item.
    pub value: Expr,
    /// Whether it is left out when it is an optional without a value.
    pub is_optional: bool,
}

/// An entry of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Expr,
    /// The value.
    pub value: Expr,
    /// Whether it is left out when the value is an optional without a value.
    pub is_optional: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// The type's name.
    pub name: String,
    /// The fields that are set.
    pub fields: Vec<Field>,
}

/// A field of a message that is set.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The character that messages point at.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// What it is set to.
    pub value: Expr,
    /// Whether it is left out when the value is an optional without a value.
    pub is_optional: bool,
}

/// A loop over a list or a map with a value that grows.
#[derive(Clone, Debug, PartialEq)]
pub struct Comprehension {
    /// What is gone through.
    pub range: Expr,
    /// The name of the element, or of index or key where there are two names.
    pub variable: String,
    /// The name of the value where there are two names.
    pub second: Option<String>,
    /// The name of what grows.
    pub accumulator: String,
    /// What it is at first.
    pub init: Expr,
    /// Whether to go on.
    pub condition: Expr,
    /// What it is after each round.
    pub step: Expr,
    /// What comes out.
    pub result: Expr,
}

impl Expr {
    /// Every expression this one is made of, in the order in which it is checked.
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Unspecified | ExprKind::Literal(_) | ExprKind::Ident(_) => Vec::new(),
            ExprKind::Select(select) => vec![&select.operand],
            ExprKind::Call(call) => call.target.iter().chain(&call.args).collect(),
            ExprKind::List(items) => items.iter().map(|item| &item.value).collect(),
            ExprKind::Map(entries) => {
                let pairs = entries.iter().map(|entry| [&entry.key, &entry.value]);
                pairs.flatten().collect()
            }
            ExprKind::Struct(message) => message.fields.iter().map(|field| &field.value).collect(),
            ExprKind::Comprehension(loop_) => vec![
                &loop_.range,
                &loop_.init,
                &loop_.condition,
                &loop_.step,
                &loop_.result,
            ],
        }
    }
    /// The literal that this is.
    pub fn literal(&self) -> Option<&Literal> {
        match &self.kind {
            ExprKind::Literal(literal) => Some(literal),
            _ => None,
        }
    }
    /// The name that this is.
    pub fn ident(&self) -> Option<&str> {
        match &self.kind {
            ExprKind::Ident(name) => Some(name),
            _ => None,
        }
    }
    /// The dotted name that this may be. Source: `ToQualifiedName`.
    pub fn qualified_name(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Ident(name) => Some(name.clone()),
            ExprKind::Select(select) if !select.is_test => {
                let rest = select.operand.qualified_name()?;
                Some(format!("{rest}.{}", select.field))
            }
            _ => None,
        }
    }
}
