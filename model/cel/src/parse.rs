//! The tree of a text to an expression; whatever is wrong on the way is told, also behind mistakes in the syntax.
//! Source: cel-go `parser/parser.go`.

use crate::ast::{Call, Entry, Expr, ExprKind, Field, Item, Literal, Select, Struct};
use crate::literal::unescape;
use crate::macros;
use crate::source::{Mistake, NOWHERE, Source, UNREAD};
use crate::syntax::grammar::Rule;
use crate::syntax::lexer::tokens;
use crate::syntax::token::{Kind, Token};
use crate::syntax::walk::{DEPTH_MAX, Node, Part, TOO_DEEP, walk};

/// Longest expression, in characters. Source: cel-go `expressionSizeCodePointLimit`.
const CHARS_MAX: usize = 100_000;
/// Most mistakes in the syntax before nothing more is read. Source: cel-go `errorReportingLimit`.
const SYNTAX_MISTAKES_MAX: usize = 100;
/// Most expressions that a text may grow to beyond its characters: some macros copy what they are called on.
const EXPRESSIONS_MAX: usize = 20_000;

/// Names that nobody may use, because other languages keep them. Source: cel-go `reservedIds`.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// What a text may contain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Syntax {
    /// Whether `cel.bind` gives a value a name.
    pub(crate) binds: bool,
}

/// Reads a text.
pub(crate) fn parse(source: &Source, syntax: Syntax) -> Result<(Expr, usize), Vec<Mistake>> {
    let mut mistakes = Vec::new();
    if source.chars.len() > CHARS_MAX {
        return Err(vec![Mistake {
            place: NOWHERE,
            message: format!(
                "expression code point size exceeds limit: size: {}, limit {CHARS_MAX}",
                source.chars.len()
            ),
        }]);
    }
    let tokens = tokens(source, &mut mistakes);
    if mistakes.len() > SYNTAX_MISTAKES_MAX {
        mistakes.truncate(SYNTAX_MISTAKES_MAX + 1);
        return Err(mistakes);
    }
    let Some(root) = walk(source, &tokens, &mut mistakes) else {
        return Err(mistakes);
    };
    let mut parser = Parser {
        source,
        syntax,
        next: 0,
        depth: 0,
        mistakes,
        is_given_up: false,
    };
    let expr = parser.visit(first(&root));
    if parser.mistakes.is_empty() {
        Ok((expr, parser.next))
    } else {
        Err(parser.mistakes)
    }
}

/// Makes expressions.
pub(crate) struct Parser<'a> {
    source: &'a Source,
    pub(crate) syntax: Syntax,
    next: usize,
    depth: usize,
    mistakes: Vec<Mistake>,
    is_given_up: bool,
}

/// The first part that is a node.
fn first(node: &Node) -> Option<&Node> {
    nodes(node).next()
}

fn nodes(node: &Node) -> impl Iterator<Item = &Node> {
    node.parts.iter().filter_map(|part| match part {
        Part::Node(node) => Some(node),
        Part::Token(_) => None,
    })
}

fn tokens_of(node: &Node) -> impl Iterator<Item = &Token> {
    node.parts.iter().filter_map(|part| match part {
        Part::Token(token) => Some(token),
        Part::Node(_) => None,
    })
}

fn token(node: &Node, kind: Kind) -> Option<&Token> {
    tokens_of(node).find(|token| token.kind == kind)
}

impl Parser<'_> {
    /// A new expression.
    pub(crate) fn expr(&mut self, at: usize, kind: ExprKind) -> Expr {
        if self.next >= EXPRESSIONS_MAX + self.source.chars.len() {
            self.give_up();
        }
        let id = self.next;
        self.next += 1;
        Expr { id, at, kind }
    }
    pub(crate) fn call(&mut self, at: usize, function: &str, args: Vec<Expr>) -> Expr {
        let call = Call {
            target: None,
            function: function.to_owned(),
            args,
        };
        self.expr(at, ExprKind::Call(Box::new(call)))
    }
    pub(crate) fn literal(&mut self, at: usize, literal: Literal) -> Expr {
        self.expr(at, ExprKind::Literal(literal))
    }
    /// Tells what is wrong at a character.
    pub(crate) fn wrong(&mut self, at: usize, message: impl Into<String>) -> Expr {
        self.mistakes.push(Mistake {
            place: self.source.place(at),
            message: message.into(),
        });
        self.expr(at, ExprKind::Unspecified)
    }
    /// Nothing more is looked at: the expression is too deep or too large.
    pub(crate) fn give_up(&mut self) {
        if !self.is_given_up {
            self.is_given_up = true;
            self.mistakes.push(Mistake {
                place: NOWHERE,
                message: TOO_DEEP.to_owned(),
            });
        }
    }
    /// Whether nothing more is looked at.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    fn visit(&mut self, node: Option<&Node>) -> Expr {
        let Some(node) = node.filter(|_| !self.is_given_up) else {
            return self.expr(UNREAD, ExprKind::Unspecified);
        };
        let is_counted = match node.rule {
            Rule::Expr | Rule::Relation | Rule::Calc => true,
            Rule::Member => node.way.is_some(),
            _ => false,
        };
        self.depth += usize::from(is_counted);
        if self.depth > DEPTH_MAX {
            self.give_up();
            return self.expr(node.at, ExprKind::Unspecified);
        }
        let expr = self.visit_rule(node);
        self.depth -= usize::from(is_counted);
        expr
    }

    fn visit_rule(&mut self, node: &Node) -> Expr {
        match (node.rule, node.way) {
            (Rule::Expr, _) if token(node, Kind::Question).is_some() => self.conditional(node),
            (Rule::Or, _) if nodes(node).count() > 1 => self.logic(node, "_||_"),
            (Rule::And, _) if nodes(node).count() > 1 => self.logic(node, "_&&_"),
            (Rule::Relation | Rule::Calc, Some(_)) => self.binary(node),
            (Rule::Expr | Rule::Or | Rule::And | Rule::Relation | Rule::Calc, _) => {
                self.visit(first(node))
            }
            (Rule::Unary, Some(way @ (1 | 2))) => {
                self.unary(node, if way == 1 { "!_" } else { "-_" })
            }
            (Rule::Member, Some(0)) => self.select(node),
            (Rule::Member, Some(1)) => self.member_call(node),
            (Rule::Member, Some(_)) => self.index(node),
            (Rule::Primary, Some(0)) => self.ident(node),
            (Rule::Primary, Some(1)) => self.global_call(node),
            (Rule::Primary, Some(3)) => self.list(node),
            (Rule::Primary, Some(4)) => self.map(node),
            (Rule::Primary, Some(5)) => self.message(node),
            (Rule::Literal, Some(way)) => self.literal_of(node, way),
            (Rule::Unary, _) => self.expr(node.at, ExprKind::Unspecified),
            _ => self.expr(UNREAD, ExprKind::Unspecified),
        }
    }

    fn conditional(&mut self, node: &Node) -> Expr {
        let at = token(node, Kind::Question).map_or(node.at, |token| token.at);
        let mut parts = nodes(node);
        let args = [parts.next(), parts.next(), parts.next()].map(|part| self.visit(part));
        self.call(at, "_?_:_", args.into())
    }

    /// Operands of `&&` or `||` as a tree that is as flat as can be. Source: `balancedTree`.
    fn logic(&mut self, node: &Node, function: &str) -> Expr {
        let operators: Vec<usize> = tokens_of(node).map(|token| token.at).collect();
        let terms: Vec<Expr> = nodes(node).map(|part| self.visit(Some(part))).collect();
        self.balanced(function, terms, &operators)
    }

    fn balanced(&mut self, function: &str, mut terms: Vec<Expr>, operators: &[usize]) -> Expr {
        let middle = operators.len() / 2;
        let Some(at) = operators.get(middle).copied() else {
            return terms
                .pop()
                .unwrap_or_else(|| self.expr(0, ExprKind::Unspecified));
        };
        let right = terms.split_off((middle + 1).min(terms.len()));
        let left = self.balanced(function, terms, operators.get(..middle).unwrap_or_default());
        let right = self.balanced(
            function,
            right,
            operators.get(middle + 1..).unwrap_or_default(),
        );
        self.call(at, function, vec![left, right])
    }

    fn binary(&mut self, node: &Node) -> Expr {
        let Some(operator) = tokens_of(node).next() else {
            return self.visit(first(node));
        };
        let function = match operator.kind {
            Kind::In => "@in".to_owned(),
            _ => format!("_{}_", operator.text),
        };
        let mut parts = nodes(node);
        let args = [parts.next(), parts.next()].map(|part| self.visit(part));
        self.call(operator.at, &function, args.into())
    }

    fn unary(&mut self, node: &Node, function: &str) -> Expr {
        let operators = tokens_of(node).count();
        let operand = self.visit(first(node));
        if operators.is_multiple_of(2) {
            return operand;
        }
        self.call(node.at, function, vec![operand])
    }

    fn select(&mut self, node: &Node) -> Expr {
        let mut parts = nodes(node);
        let operand = self.visit(parts.next());
        let (Some(dot), Some(name)) = (token(node, Kind::Dot), parts.next()) else {
            return self.expr(node.at, ExprKind::Unspecified);
        };
        let field = match field_name(name) {
            Ok(field) => field,
            Err(why) => {
                self.wrong(name.at, why);
                String::new()
            }
        };
        if token(node, Kind::Question).is_some() {
            let field = self.literal(name.at, Literal::String(field));
            return self.call(dot.at, "_?._", vec![operand, field]);
        }
        let select = Select {
            operand,
            field,
            is_test: false,
        };
        self.expr(dot.at, ExprKind::Select(Box::new(select)))
    }

    fn member_call(&mut self, node: &Node) -> Expr {
        let mut parts = nodes(node);
        let target = self.visit(parts.next());
        let open = token(node, Kind::OpenParen).map(|token| token.at);
        let (Some(name), Some(at)) = (token(node, Kind::Ident), open) else {
            return self.expr(node.at, ExprKind::Unspecified);
        };
        let args = self.arguments(parts.next());
        macros::expand(self, at, &name.text, Some(target), args)
    }

    fn arguments(&mut self, list: Option<&Node>) -> Vec<Expr> {
        let parts = list.into_iter().flat_map(nodes);
        parts.map(|part| self.visit(Some(part))).collect()
    }

    fn index(&mut self, node: &Node) -> Expr {
        let mut parts = nodes(node);
        let target = self.visit(parts.next());
        let Some(open) = token(node, Kind::OpenBracket) else {
            return self.expr(node.at, ExprKind::Unspecified);
        };
        let index = self.visit(parts.next());
        let is_optional = token(node, Kind::Question).is_some();
        let function = if is_optional { "_[?_]" } else { "_[_]" };
        self.call(open.at, function, vec![target, index])
    }

    /// A name that is not reserved, with the dot before it.
    fn name(&mut self, node: &Node) -> Result<(String, usize), Expr> {
        let Some(name) = token(node, Kind::Ident) else {
            return Err(self.expr(node.at, ExprKind::Unspecified));
        };
        if RESERVED.contains(&name.text.as_str()) {
            return Err(self.wrong(node.at, format!("reserved identifier: {}", name.text)));
        }
        let dot = if token(node, Kind::Dot).is_some() {
            "."
        } else {
            ""
        };
        Ok((format!("{dot}{}", name.text), name.at))
    }

    fn ident(&mut self, node: &Node) -> Expr {
        match self.name(node) {
            Ok((name, at)) => self.expr(at, ExprKind::Ident(name)),
            Err(wrong) => wrong,
        }
    }

    fn global_call(&mut self, node: &Node) -> Expr {
        match self.name(node) {
            Ok((name, at)) => {
                let open = token(node, Kind::OpenParen).map_or(at, |token| token.at);
                let args = self.arguments(first(node));
                macros::expand(self, open, &name, None, args)
            }
            Err(wrong) => wrong,
        }
    }

    fn list(&mut self, node: &Node) -> Expr {
        let parts = first(node).into_iter().flat_map(nodes);
        let items = parts.map(|part| Item {
            value: self.visit(first(part)),
            is_optional: token(part, Kind::Question).is_some(),
        });
        let items = items.collect();
        self.expr(node.at, ExprKind::List(items))
    }

    fn map(&mut self, node: &Node) -> Expr {
        let mut entries = Vec::new();
        let mut parts = first(node).into_iter().flat_map(nodes);
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            entries.push(Entry {
                key: self.visit(first(key)),
                value: self.visit(Some(value)),
                is_optional: token(key, Kind::Question).is_some(),
            });
        }
        self.expr(node.at, ExprKind::Map(entries))
    }

    fn message(&mut self, node: &Node) -> Expr {
        let names = tokens_of(node).take_while(|token| token.kind != Kind::OpenBrace);
        let name: String = names.map(|token| token.text.as_str()).collect();
        let at = token(node, Kind::OpenBrace).map_or(node.at, |token| token.at);
        let mut fields = Vec::new();
        if let Some(list) = first(node) {
            let colons: Vec<usize> = tokens_of(list)
                .filter(|token| token.kind != Kind::Comma)
                .map(|token| token.at)
                .collect();
            let mut parts = nodes(list);
            let mut colons = colons.into_iter();
            while let (Some(key), Some(value), Some(at)) =
                (parts.next(), parts.next(), colons.next())
            {
                match first(key).map_or(Err(NO_NAME), field_name) {
                    Ok(name) => fields.push(Field {
                        at,
                        name,
                        value: self.visit(Some(value)),
                        is_optional: token(key, Kind::Question).is_some(),
                    }),
                    Err(why) => {
                        self.wrong(list.at, why);
                    }
                }
            }
        }
        self.expr(at, ExprKind::Struct(Struct { name, fields }))
    }

    fn literal_of(&mut self, node: &Node, way: usize) -> Expr {
        let sign = if token(node, Kind::Minus).is_some() {
            "-"
        } else {
            ""
        };
        let text = tokens_of(node)
            .last()
            .map_or("", |token| token.text.as_str());
        let literal = match way {
            0 => int(sign, text)
                .map(Literal::Int)
                .ok_or("invalid int literal"),
            1 => uint(text).map(Literal::Uint).ok_or("invalid uint literal"),
            2 => double(sign, text)
                .map(Literal::Double)
                .ok_or("invalid double literal"),
            3 => unescape(text, false)
                .map(|text| Literal::String(String::from_utf8_lossy(&text).into_owned())),
            4 => unescape(text.get(1..).unwrap_or_default(), true).map(Literal::Bytes),
            5 => Ok(Literal::Bool(true)),
            6 => Ok(Literal::Bool(false)),
            _ => Ok(Literal::Null),
        };
        match literal {
            Ok(literal) => self.literal(node.at, literal),
            Err(why) => self.wrong(node.at, why),
        }
    }
}

const NO_NAME: &str = "unsupported ident kind";

/// The name of a field. Source: `normalizeIdent`.
fn field_name(node: &Node) -> Result<String, &'static str> {
    match node.way {
        Some(0) => Ok(tokens_of(node).map(|token| token.text.as_str()).collect()),
        Some(1) => Err("unsupported syntax: '`'"),
        _ => Err(NO_NAME),
    }
}

fn digits(text: &str) -> (&str, u32) {
    text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16))
}

fn int(sign: &str, text: &str) -> Option<i64> {
    let (digits, radix) = digits(text);
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn uint(text: &str) -> Option<u64> {
    let (digits, radix) = digits(text.strip_suffix(['u', 'U'])?);
    u64::from_str_radix(digits, radix).ok()
}

/// A number that is too large for the type is wrong.
fn double(sign: &str, text: &str) -> Option<f64> {
    let value: f64 = format!("{sign}{text}").parse().ok()?;
    value.is_finite().then_some(value)
}
