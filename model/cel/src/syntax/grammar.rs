//! The grammar. Source: cel-go `parser/gen/CEL.g4`.

use super::token::Kind;

/// A rule of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Rule {
    Start,
    Expr,
    Or,
    And,
    Relation,
    Calc,
    Unary,
    Member,
    Primary,
    ExprList,
    ListInit,
    FieldInit,
    OptField,
    MapInit,
    EscapeIdent,
    OptExpr,
    Literal,
}

/// Number of rules.
pub(crate) const RULES: usize = Rule::Literal as usize + 1;

/// How a way is chosen where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choose {
    /// By the next token.
    Token,
    /// The first way, if the next token begins it.
    Maybe,
    /// Go on with an operator that binds tightly enough.
    Precedence,
    /// Another item, or a comma at the end.
    Item,
    Unary,
    Minus,
    Suffix,
    Primary,
    Literal,
}

/// A part of a rule.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Token(Kind),
    /// One of several tokens.
    Tokens(&'static [Kind]),
    /// Another rule.
    Call(Rule),
    /// A rule in which operators bind at least this tightly.
    Tight(Rule, u8),
    /// What was read becomes the left side of an operator that binds this tightly.
    Left(u8),
    /// Once or not at all.
    Maybe(&'static [Part]),
    /// One of several ways.
    Choice(Choose, &'static [&'static [Part]]),
    /// Any number of times.
    Star(Choose, &'static [Part]),
    /// Once or more.
    Plus(Choose, &'static [Part]),
}

use Part::{Call, Choice, Left, Maybe, Plus, Star, Tight, Token, Tokens};

const ARGUMENTS: Part = Maybe(&[Call(Rule::ExprList)]);
const COMMA: Part = Maybe(&[Token(Kind::Comma)]);
const DOT: Part = Maybe(&[Token(Kind::Dot)]);
const MINUS: Part = Maybe(&[Token(Kind::Minus)]);
const QUESTION: Part = Maybe(&[Token(Kind::Question)]);

const RELATIONS: &[Kind] = &[
    Kind::Equals,
    Kind::NotEquals,
    Kind::In,
    Kind::Less,
    Kind::LessEquals,
    Kind::GreaterEquals,
    Kind::Greater,
];

/// Every rule.
pub(crate) const GRAMMAR: &[(Rule, &[Part])] = &[
    (Rule::Start, &[Call(Rule::Expr), Token(Kind::Eof)]),
    (
        Rule::Expr,
        &[
            Call(Rule::Or),
            Maybe(&[
                Token(Kind::Question),
                Call(Rule::Or),
                Token(Kind::Colon),
                Call(Rule::Expr),
            ]),
        ],
    ),
    (
        Rule::Or,
        &[
            Call(Rule::And),
            Star(Choose::Maybe, &[Token(Kind::Or), Call(Rule::And)]),
        ],
    ),
    (
        Rule::And,
        &[
            Call(Rule::Relation),
            Star(Choose::Maybe, &[Token(Kind::And), Call(Rule::Relation)]),
        ],
    ),
    (
        Rule::Relation,
        &[
            Call(Rule::Calc),
            Star(
                Choose::Precedence,
                &[Left(1), Tokens(RELATIONS), Tight(Rule::Relation, 2)],
            ),
        ],
    ),
    (
        Rule::Calc,
        &[
            Call(Rule::Unary),
            Star(Choose::Precedence, &[Choice(Choose::Token, CALC)]),
        ],
    ),
    (Rule::Unary, &[Choice(Choose::Unary, UNARY)]),
    (
        Rule::Member,
        &[
            Call(Rule::Primary),
            Star(Choose::Precedence, &[Choice(Choose::Suffix, MEMBER)]),
        ],
    ),
    (Rule::Primary, &[Choice(Choose::Primary, PRIMARY)]),
    (
        Rule::ExprList,
        &[
            Call(Rule::Expr),
            Star(Choose::Maybe, &[Token(Kind::Comma), Call(Rule::Expr)]),
        ],
    ),
    (
        Rule::ListInit,
        &[
            Call(Rule::OptExpr),
            Star(Choose::Item, &[Token(Kind::Comma), Call(Rule::OptExpr)]),
        ],
    ),
    (
        Rule::FieldInit,
        &[
            Call(Rule::OptField),
            Token(Kind::Colon),
            Call(Rule::Expr),
            Star(
                Choose::Item,
                &[
                    Token(Kind::Comma),
                    Call(Rule::OptField),
                    Token(Kind::Colon),
                    Call(Rule::Expr),
                ],
            ),
        ],
    ),
    (Rule::OptField, &[QUESTION, Call(Rule::EscapeIdent)]),
    (
        Rule::MapInit,
        &[
            Call(Rule::OptExpr),
            Token(Kind::Colon),
            Call(Rule::Expr),
            Star(
                Choose::Item,
                &[
                    Token(Kind::Comma),
                    Call(Rule::OptExpr),
                    Token(Kind::Colon),
                    Call(Rule::Expr),
                ],
            ),
        ],
    ),
    (
        Rule::EscapeIdent,
        &[Choice(
            Choose::Token,
            &[&[Token(Kind::Ident)], &[Token(Kind::EscapedIdent)]],
        )],
    ),
    (Rule::OptExpr, &[QUESTION, Call(Rule::Expr)]),
    (Rule::Literal, &[Choice(Choose::Literal, LITERAL)]),
];

const CALC: &[&[Part]] = &[
    &[
        Left(2),
        Tokens(&[Kind::Star, Kind::Slash, Kind::Percent]),
        Tight(Rule::Calc, 3),
    ],
    &[
        Left(1),
        Tokens(&[Kind::Plus, Kind::Minus]),
        Tight(Rule::Calc, 2),
    ],
];

const UNARY: &[&[Part]] = &[
    &[Call(Rule::Member)],
    &[Plus(Choose::Maybe, &[Token(Kind::Not)]), Call(Rule::Member)],
    &[
        Plus(Choose::Minus, &[Token(Kind::Minus)]),
        Call(Rule::Member),
    ],
];

const MEMBER: &[&[Part]] = &[
    &[Left(3), Token(Kind::Dot), QUESTION, Call(Rule::EscapeIdent)],
    &[
        Left(2),
        Token(Kind::Dot),
        Token(Kind::Ident),
        Token(Kind::OpenParen),
        ARGUMENTS,
        Token(Kind::CloseParen),
    ],
    &[
        Left(1),
        Token(Kind::OpenBracket),
        QUESTION,
        Call(Rule::Expr),
        Token(Kind::CloseBracket),
    ],
];

const PRIMARY: &[&[Part]] = &[
    &[DOT, Token(Kind::Ident)],
    &[
        DOT,
        Token(Kind::Ident),
        Token(Kind::OpenParen),
        ARGUMENTS,
        Token(Kind::CloseParen),
    ],
    &[
        Token(Kind::OpenParen),
        Call(Rule::Expr),
        Token(Kind::CloseParen),
    ],
    &[
        Token(Kind::OpenBracket),
        Maybe(&[Call(Rule::ListInit)]),
        COMMA,
        Token(Kind::CloseBracket),
    ],
    &[
        Token(Kind::OpenBrace),
        Maybe(&[Call(Rule::MapInit)]),
        COMMA,
        Token(Kind::CloseBrace),
    ],
    &[
        DOT,
        Token(Kind::Ident),
        Star(Choose::Maybe, &[Token(Kind::Dot), Token(Kind::Ident)]),
        Token(Kind::OpenBrace),
        Maybe(&[Call(Rule::FieldInit)]),
        COMMA,
        Token(Kind::CloseBrace),
    ],
    &[Call(Rule::Literal)],
];

const LITERAL: &[&[Part]] = &[
    &[MINUS, Token(Kind::Int)],
    &[Token(Kind::Uint)],
    &[MINUS, Token(Kind::Float)],
    &[Token(Kind::Text)],
    &[Token(Kind::Bytes)],
    &[Token(Kind::True)],
    &[Token(Kind::False)],
    &[Token(Kind::Null)],
];
