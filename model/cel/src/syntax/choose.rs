//! Choosing between the ways of a state, as antlr's prediction comes out for this grammar: a few tokens ahead tell.

use super::grammar::{Choose, Rule};
use super::token::{Kind, Set};
use super::walk::{MACHINE, Stop, Walk};

impl Walk<'_> {
    pub(super) fn choose(&mut self, choose: Choose) -> Result<usize, Stop> {
        match choose {
            Choose::Token => self.by_token(),
            Choose::Precedence => Ok(self.by_precedence()),
            Choose::Maybe => Ok(usize::from(!self.begins_first_way())),
            Choose::Item => {
                let item = match self.context().node.rule {
                    Rule::FieldInit => Rule::OptField,
                    _ => Rule::OptExpr,
                };
                let goes_on = self.kind(0) == Kind::Comma && begins(item).contains(self.kind(1));
                Ok(usize::from(!goes_on))
            }
            Choose::Unary => self.unary(),
            Choose::Minus => self.more_minus(),
            Choose::Suffix => self.member_suffix(),
            Choose::Primary => self.primary(),
            Choose::Literal => self.literal(),
        }
    }

    /// The first way that the next token begins.
    fn by_token(&self) -> Result<usize, Stop> {
        let mut ways = MACHINE.state(self.state).steps.iter();
        let first = ways.position(|step| MACHINE.after(*step).0.contains(self.kind(0)));
        first.ok_or_else(|| self.no_way_from(0))
    }

    fn begins_first_way(&self) -> bool {
        let first = MACHINE.state(self.state).steps.first();
        first.is_some_and(|step| MACHINE.after(*step).0.contains(self.kind(0)))
    }

    /// Goes on when the next token is an operator that binds tightly enough.
    fn by_precedence(&mut self) -> usize {
        use Kind::{Dot, Minus, OpenBracket, Percent, Plus, Slash, Star};
        let kind = self.kind(0);
        let context = self.context();
        let tight = match (context.node.rule, kind) {
            (Rule::Relation, _) if Kind::Equals <= kind && kind <= Kind::Greater => 1,
            (Rule::Calc, Star | Slash | Percent) => 2,
            (Rule::Calc, Plus | Minus) => 1,
            (Rule::Member, Dot | OpenBracket) => u8::MAX,
            _ => return 1,
        };
        usize::from(tight < context.tight)
    }

    fn no_way_from(&self, ahead: usize) -> Stop {
        Stop::NoWay {
            from: self.at,
            to: self.at + ahead,
        }
    }

    fn unary(&self) -> Result<usize, Stop> {
        match (self.kind(0), self.kind(1)) {
            (Kind::Not, _) => Ok(1),
            (Kind::Minus, Kind::Int | Kind::Float) => Ok(0),
            (Kind::Minus, next) if begins(Rule::Member).contains(next) => Ok(2),
            (Kind::Minus, _) => Err(self.no_way_from(1)),
            (kind, _) if begins(Rule::Member).contains(kind) => Ok(0),
            _ => Err(self.no_way_from(0)),
        }
    }

    fn more_minus(&self) -> Result<usize, Stop> {
        match (self.kind(0), self.kind(1)) {
            (Kind::Minus, next) if begins(Rule::Member).contains(next) => Ok(0),
            (Kind::Minus, _) => Err(self.no_way_from(1)),
            _ => Ok(1),
        }
    }

    fn member_suffix(&self) -> Result<usize, Stop> {
        match (self.kind(0), self.kind(1), self.kind(2)) {
            (Kind::OpenBracket, _, _) => Ok(2),
            (Kind::Dot, Kind::Ident, Kind::OpenParen) => Ok(1),
            (Kind::Dot, Kind::Ident | Kind::EscapedIdent | Kind::Question, _) => Ok(0),
            _ => Err(self.no_way_from(1)),
        }
    }

    fn primary(&self) -> Result<usize, Stop> {
        let mut ahead = 0;
        match self.kind(0) {
            Kind::OpenParen => return Ok(2),
            Kind::OpenBracket => return Ok(3),
            Kind::OpenBrace => return Ok(4),
            Kind::Dot => ahead = 1,
            Kind::Ident => {}
            kind => {
                return if begins(Rule::Literal).contains(kind) {
                    Ok(6)
                } else {
                    Err(self.no_way_from(0))
                };
            }
        }
        if self.kind(ahead) != Kind::Ident {
            return Err(self.no_way_from(ahead));
        }
        if self.kind(ahead + 1) == Kind::OpenParen {
            return Ok(1);
        }
        // The name of a message may have dots in it; only the brace behind it tells.
        while (self.kind(ahead + 1), self.kind(ahead + 2)) == (Kind::Dot, Kind::Ident) {
            ahead += 2;
        }
        Ok(if self.kind(ahead + 1) == Kind::OpenBrace {
            5
        } else {
            0
        })
    }

    fn literal(&self) -> Result<usize, Stop> {
        Ok(match self.kind(0) {
            Kind::Minus => match self.kind(1) {
                Kind::Int => 0,
                Kind::Float => 2,
                _ => return Err(self.no_way_from(1)),
            },
            Kind::Int => 0,
            Kind::Uint => 1,
            Kind::Float => 2,
            Kind::Text => 3,
            Kind::Bytes => 4,
            Kind::True => 5,
            Kind::False => 6,
            Kind::Null => 7,
            _ => return Err(self.no_way_from(0)),
        })
    }
}

/// What a rule may begin with.
fn begins(rule: Rule) -> Set {
    MACHINE.state(MACHINE.start(rule)).next.0
}
