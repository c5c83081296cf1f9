//! Tokens to a tree, going through the grammar's network. The ways of choosing are those that antlr's prediction comes
//! to for this grammar; a mistake is told once and reading goes on behind it. Source: antlr `DefaultErrorStrategy`.

use std::sync::LazyLock;

use super::grammar::{RULES, Rule};
use super::machine::{At, Machine, Role, Step, machine};
use super::token::{Kind, Set, Token};
use crate::source::{Mistake, NOWHERE, Source, UNREAD};

/// How deep rules may be within themselves. Source: `maxRecursionDepth`.
pub(crate) const DEPTH_MAX: usize = 250;
/// How many nodes may be one within the other. Upstream counts some of them, up to 250; with more there is no room on the
/// stack.
const HEIGHT_MAX: usize = 800;
/// Source: cel-go `checkAndIncrementRecursionDepth`.
pub(crate) const TOO_DEEP: &str = "max recursion depth exceeded";
/// How often reading goes on behind a mistake. Source: `errorRecoveryLimit`.
const RECOVERIES_MAX: usize = 30;
/// Forms of what may stand behind a member.
const MEMBER_SUFFIXES: usize = 3;
/// Most tokens passed over behind one mistake. Source: `errorRecoveryTokenLookaheadLimit`.
const SKIPPED_MAX: usize = 256;

pub(super) static MACHINE: LazyLock<Machine> = LazyLock::new(machine);

/// A part of the text that a rule has read.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) rule: Rule,
    /// Which way of the rule; none where a mistake came first.
    pub(crate) way: Option<usize>,
    /// Where it begins.
    pub(crate) at: usize,
    pub(crate) parts: Vec<Part>,
    /// How many nodes there are one within the other.
    height: usize,
}

impl Node {
    fn new(rule: Rule, way: Option<usize>, at: usize) -> Self {
        Self {
            rule,
            way,
            at,
            parts: Vec::new(),
            height: 1,
        }
    }

    /// Adds a part; one that stands for nothing but its own part is replaced by that.
    fn push(&mut self, mut part: Self) {
        let is_alone = match part.rule {
            Rule::Expr | Rule::Or | Rule::And | Rule::Relation | Rule::Calc => {
                part.parts.len() == 1
            }
            Rule::Unary => part.way == Some(0),
            Rule::Member => part.way.is_none(),
            Rule::Primary => matches!(part.way, Some(2 | 6)),
            _ => false,
        };
        let inner = part
            .parts
            .iter()
            .position(|part| matches!(part, Part::Node(_)));
        if let Some(Part::Node(inner)) = inner.filter(|_| is_alone).map(|at| part.parts.remove(at))
        {
            part = inner;
        }
        self.height = self.height.max(part.height + 1);
        self.parts.push(Part::Node(part));
    }
}

/// A part of a node.
#[derive(Debug)]
pub(crate) enum Part {
    Token(Token),
    Node(Node),
}

/// What ends the reading of a rule, or of everything.
pub(super) enum Stop {
    /// A token that does not fit.
    Mismatch,
    /// Tokens from this one on that no way of the rule begins with.
    NoWay { from: usize, to: usize },
    /// Too much is wrong.
    GiveUp,
}

pub(super) struct Context {
    pub(super) node: Node,
    pub(super) tight: u8,
    /// The state that called the rule.
    caller: Option<At>,
}

pub(super) struct Walk<'a> {
    source: &'a Source,
    /// Every token.
    all: &'a [Token],
    /// Which of them are read.
    seen: Vec<usize>,
    pub(super) at: usize,
    pub(super) state: At,
    contexts: Vec<Context>,
    /// How often each rule is within itself.
    depths: [usize; RULES],
    is_recovering: bool,
    /// Where a mistake was last, and in which states.
    last: Option<(usize, Vec<At>)>,
    recoveries: usize,
    mistakes: &'a mut Vec<Mistake>,
}

/// Reads tokens, whose last one is the end. None when too much is wrong.
pub(crate) fn walk(source: &Source, all: &[Token], mistakes: &mut Vec<Mistake>) -> Option<Node> {
    let seen = all
        .iter()
        .enumerate()
        .filter(|(_, token)| token.kind != Kind::Hidden);
    let mut walk = Walk {
        source,
        all,
        seen: seen.map(|(at, _)| at).collect(),
        at: 0,
        state: MACHINE.start(Rule::Start),
        contexts: Vec::new(),
        depths: [0; RULES],
        is_recovering: false,
        last: None,
        recoveries: 0,
        mistakes,
    };
    walk.enter(Rule::Start, 0, None).ok()?;
    loop {
        match walk.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Some(root),
            Err(stop) => walk.recover(&stop).ok()?,
        }
    }
}

impl Walk<'_> {
    fn token(&self, ahead: usize) -> &Token {
        let last = self.seen.len().saturating_sub(1);
        let index = self.seen.get((self.at + ahead).min(last)).copied();
        #[expect(
            clippy::indexing_slicing,
            reason = "there is always the token of the end"
        )]
        &self.all[index.unwrap_or_default()]
    }
    pub(super) fn kind(&self, ahead: usize) -> Kind {
        self.token(ahead).kind
    }
    fn consume(&mut self) {
        if self.kind(0) != Kind::Eof {
            self.at += 1;
        }
    }
    pub(super) fn context(&mut self) -> &mut Context {
        self.contexts
            .last_mut()
            .expect("reading ends with the first rule")
    }

    fn enter(&mut self, rule: Rule, tight: u8, caller: Option<At>) -> Result<(), Stop> {
        let depth = self.depth(rule);
        *depth += 1;
        if *depth > DEPTH_MAX {
            self.mistakes.push(Mistake {
                place: NOWHERE,
                message: format!("expression recursion limit exceeded: {DEPTH_MAX}"),
            });
            return Err(Stop::GiveUp);
        }
        let node = Node::new(rule, None, self.token(0).at);
        self.contexts.push(Context {
            node,
            tight,
            caller,
        });
        self.state = MACHINE.start(rule);
        Ok(())
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the array has as many items as there are rules"
    )]
    fn depth(&mut self, rule: Rule) -> &mut usize {
        &mut self.depths[rule as usize]
    }

    /// Ends a rule; the whole tree when it was the first.
    fn leave(&mut self) -> Result<Option<Node>, Stop> {
        let Some(done) = self.contexts.pop() else {
            return Ok(None);
        };
        *self.depth(done.node.rule) -= 1;
        let Some(caller) = done.caller else {
            return Ok(Some(done.node));
        };
        if done.node.height > HEIGHT_MAX {
            return self.too_deep();
        }
        self.context().node.push(done.node);
        if let Some(Step::Call(_, _, follow)) = MACHINE.state(caller).steps.first() {
            self.state = *follow;
        }
        Ok(None)
    }

    fn too_deep<T>(&mut self) -> Result<T, Stop> {
        self.mistakes.push(Mistake {
            place: NOWHERE,
            message: TOO_DEEP.to_owned(),
        });
        Err(Stop::GiveUp)
    }

    fn step(&mut self) -> Result<Option<Node>, Stop> {
        let state = MACHINE.state(self.state);
        match state.role {
            Role::Stop => return self.leave(),
            Role::Back => {
                self.sync()?;
                if let [Step::Free(entry)] = state.steps.as_slice() {
                    // A loop that may be empty decides at its entry.
                    self.state = *entry;
                }
                let way = self.choose(state.choose)?;
                return self.take(way);
            }
            Role::Block | Role::Entry => self.sync()?,
            Role::Plain => {}
        }
        let way = if state.steps.len() > 1 {
            self.choose(state.choose)?
        } else {
            0
        };
        let node = &mut self.context().node;
        if matches!(
            node.rule,
            Rule::Unary | Rule::Primary | Rule::EscapeIdent | Rule::Literal
        ) && state.steps.len() > 1
        {
            node.way.get_or_insert(way);
        }
        self.take(way)
    }

    fn take(&mut self, way: usize) -> Result<Option<Node>, Stop> {
        let from = self.state;
        let Some(step) = MACHINE.state(from).steps.get(way).copied() else {
            return Ok(None);
        };
        match step {
            Step::Free(to) => self.state = to,
            Step::Call(rule, tight, _) => self.enter(rule, tight, Some(from))?,
            Step::Token(set, to) => {
                let token = self.match_token(set, to)?;
                self.context().node.parts.push(Part::Token(token));
                self.state = to;
            }
            Step::Left(tight, to) => {
                // Suffixes of members come in the order of how tightly they bind.
                let way = MEMBER_SUFFIXES.saturating_sub(usize::from(tight));
                let context = self.context();
                let node = Node::new(context.node.rule, Some(way), context.node.at);
                let left = std::mem::replace(&mut context.node, node);
                let height = left.height;
                context.node.push(left);
                if height > HEIGHT_MAX {
                    return self.too_deep();
                }
                self.state = to;
            }
        }
        Ok(None)
    }

    fn match_token(&mut self, set: Set, to: At) -> Result<Token, Stop> {
        if set.contains(self.kind(0)) {
            self.matched();
            let token = self.token(0).clone();
            self.consume();
            return Ok(token);
        }
        self.count_recovery()?;
        if self.delete_one() {
            let token = self.token(0).clone();
            self.consume();
            return Ok(token);
        }
        if self.expected(to).contains(self.kind(0)) {
            let wanted = self.expected(self.state).shown();
            let found = self.shown();
            self.report(&format!("missing {wanted} at {found}"), self.at);
            let token = Token {
                kind: Kind::Hidden,
                text: String::new(),
                at: self.token(0).at,
            };
            return Ok(token);
        }
        Err(Stop::Mismatch)
    }

    fn matched(&mut self) {
        self.is_recovering = false;
        self.last = None;
    }

    /// What may come next at a state, given who called. Source: `getExpectedTokens`.
    fn expected(&self, at: At) -> Set {
        let (mut expected, mut ends) = MACHINE.state(at).next;
        for context in self.contexts.iter().rev() {
            let Some(caller) = context.caller.filter(|_| ends) else {
                break;
            };
            if let Some(Step::Call(_, _, follow)) = MACHINE.state(caller).steps.first() {
                let (set, more) = MACHINE.state(*follow).next;
                expected = expected.with(set);
                ends = more;
            }
        }
        if ends {
            expected.with(Set::of(&[Kind::Eof]))
        } else {
            expected
        }
    }

    /// Leaves one token out if the next one fits.
    fn delete_one(&mut self) -> bool {
        if !self.expected(self.state).contains(self.kind(1)) || self.kind(0) == Kind::Eof {
            return false;
        }
        self.unwanted();
        self.consume();
        self.matched();
        true
    }

    fn unwanted(&mut self) {
        let (found, wanted) = (self.shown(), self.expected(self.state).shown());
        self.report(
            &format!("extraneous input {found} expecting {wanted}"),
            self.at,
        );
    }

    /// Looks whether the next token fits before a way is chosen.
    fn sync(&mut self) -> Result<(), Stop> {
        if self.is_recovering {
            return Ok(());
        }
        let state = MACHINE.state(self.state);
        let (next, ends) = state.next;
        if ends || next.contains(self.kind(0)) {
            return Ok(());
        }
        if state.role == Role::Back {
            self.unwanted();
            let follow = self.expected(self.state).with(self.recovery_set());
            return self.skip_to(follow, usize::MAX);
        }
        if self.delete_one() {
            Ok(())
        } else {
            Err(Stop::Mismatch)
        }
    }

    fn report(&mut self, message: &str, at: usize) {
        if self.is_recovering {
            return;
        }
        self.is_recovering = true;
        let last = self.seen.len().saturating_sub(1);
        let index = self.seen.get(at.min(last)).copied().unwrap_or_default();
        let offset = self.all.get(index).map_or(0, |token| token.at);
        // The end of nothing has no place.
        let is_nothing = self.source.chars.is_empty();
        let offset = if is_nothing { UNREAD } else { offset };
        self.mistakes.push(Mistake {
            place: self.source.place(offset),
            message: format!("Syntax error: {message}"),
        });
    }
    fn shown(&self) -> String {
        quoted(&self.token(0).text)
    }

    /// Tells what is wrong and passes over what cannot be read; the rule ends there.
    fn recover(&mut self, stop: &Stop) -> Result<(), Stop> {
        match stop {
            Stop::GiveUp => return Err(Stop::GiveUp),
            Stop::Mismatch => {
                let (found, wanted) = (self.shown(), self.expected(self.state).shown());
                self.report(
                    &format!("mismatched input {found} expecting {wanted}"),
                    self.at,
                );
            }
            Stop::NoWay { from, to } => self.report(&self.no_way(*from, *to), *to),
        }
        self.count_recovery()?;
        let mut states = match self.last.take() {
            Some((at, states)) if at == self.at && states.contains(&self.state) => {
                self.consume();
                states
            }
            Some((_, states)) => states,
            None => Vec::new(),
        };
        states.push(self.state);
        self.last = Some((self.at, states));
        self.skip_to(self.recovery_set(), SKIPPED_MAX)?;
        self.state = stop_of(self.context().node.rule);
        Ok(())
    }

    /// Source: `ReportNoViableAlternative`, with cel-go's words for reserved names.
    fn no_way(&self, from: usize, to: usize) -> String {
        let last = self.all.len().saturating_sub(1);
        let at = |index: usize| self.seen.get(index).copied().unwrap_or(last);
        let tokens = self.all.get(at(from)..=at(to)).unwrap_or_default();
        let texts = tokens.iter().filter(|token| token.kind != Kind::Eof);
        let text: String = texts.map(|token| token.text.as_str()).collect();
        for name in ["true", "false", "null"] {
            if text.chars().count() == name.len() + 1 && text.ends_with(name) {
                return format!("mismatched input '{name}' expecting IDENTIFIER");
            }
        }
        let is_end = tokens.first().is_none_or(|token| token.kind == Kind::Eof);
        let text = if is_end { "<EOF>".to_owned() } else { text };
        format!("no viable alternative at input {}", quoted(&text))
    }

    fn count_recovery(&mut self) -> Result<(), Stop> {
        self.recoveries += 1;
        if self.recoveries > RECOVERIES_MAX {
            self.mistakes.push(Mistake {
                place: self.source.place(self.token(0).at),
                message: format!(
                    "Syntax error: error recovery attempt limit exceeded: {RECOVERIES_MAX}"
                ),
            });
            return Err(Stop::GiveUp);
        }
        Ok(())
    }

    /// What may follow any of the rules being read. Source: `GetErrorRecoverySet`.
    fn recovery_set(&self) -> Set {
        let callers = self.contexts.iter().filter_map(|context| context.caller);
        callers.fold(Set::default(), |set, caller| {
            match MACHINE.state(caller).steps.first() {
                Some(Step::Call(_, _, follow)) => set.with(MACHINE.state(*follow).next.0),
                _ => set,
            }
        })
    }

    fn skip_to(&mut self, set: Set, most: usize) -> Result<(), Stop> {
        let mut skipped = 0;
        while self.kind(0) != Kind::Eof && !set.contains(self.kind(0)) {
            if skipped == most {
                self.mistakes.push(Mistake {
                    place: NOWHERE,
                    message: format!("error recovery token lookahead limit exceeded: {most}"),
                });
                return Err(Stop::GiveUp);
            }
            skipped += 1;
            self.consume();
        }
        Ok(())
    }
}

/// Where a rule ends.
fn stop_of(rule: Rule) -> At {
    let from = MACHINE.start(rule);
    let rest = MACHINE.states.iter().enumerate().skip(from);
    let mut stops = rest.filter(|(_, state)| state.role == Role::Stop);
    stops.next().map_or(from, |(at, _)| at)
}

fn quoted(text: &str) -> String {
    let text = text.replace('\t', "\\t").replace('\n', "\\n");
    format!("'{}'", text.replace('\r', "\\r"))
}
