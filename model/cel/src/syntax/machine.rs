//! The grammar as a network of states, from which sets of expected tokens follow. Built as antlr builds its network, so
//! that messages about syntax name the same tokens. Source: antlr `ATN`, `LL1Analyzer`.

use super::grammar::{Choose, GRAMMAR, Part, RULES, Rule};
use super::token::Set;

/// What a state is to the recovery from mistakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    /// Before a choice.
    Block,
    /// Before a loop.
    Entry,
    /// After a round of a loop.
    Back,
    /// The end of a rule.
    Stop,
}

/// A number of a state.
pub(crate) type At = usize;

/// A step to another state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Free(At),
    Token(Set, At),
    /// A rule, how tightly operators in it must bind, and what follows.
    Call(Rule, u8, At),
    /// What was read becomes the left side of an operator that binds this tightly.
    Left(u8, At),
}

/// A state of the network.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) role: Role,
    pub(crate) choose: Choose,
    pub(crate) steps: Vec<Step>,
    /// What may come next within the rule, and whether the rule may end.
    pub(crate) next: (Set, bool),
}

/// The network.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) states: Vec<State>,
    /// Where each rule begins.
    pub(crate) starts: [At; RULES],
}

impl Machine {
    /// The state of a number.
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of states come from the network itself"
    )]
    pub(crate) fn state(&self, at: At) -> &State {
        &self.states[at]
    }
    /// Where a rule begins.
    #[expect(
        clippy::indexing_slicing,
        reason = "the array has as many items as there are rules"
    )]
    pub(crate) fn start(&self, rule: Rule) -> At {
        self.starts[rule as usize]
    }
    /// What may come next after a step was taken.
    pub(crate) fn after(&self, step: Step) -> (Set, bool) {
        match step {
            Step::Free(to) | Step::Left(_, to) => self.state(to).next,
            Step::Token(set, _) => (set, false),
            Step::Call(rule, _, _) => self.state(self.start(rule)).next,
        }
    }

    fn look(&self, at: At, seen: &mut Vec<At>) -> (Set, bool) {
        if seen.contains(&at) {
            return (Set::default(), false);
        }
        seen.push(at);
        let state = self.state(at);
        let mut found = (Set::default(), state.role == Role::Stop);
        for step in &state.steps {
            let (set, ends) = match step {
                Step::Free(to) | Step::Left(_, to) => self.look(*to, seen),
                Step::Token(set, _) => (*set, false),
                // No rule of this grammar can be empty.
                Step::Call(rule, _, _) => (self.look(self.start(*rule), seen).0, false),
            };
            found = (found.0.with(set), found.1 || ends);
        }
        found
    }
}

/// A network in the making; `here` is where the rule has got to.
struct Builder {
    machine: Machine,
    here: At,
}

impl Builder {
    fn add(&mut self, role: Role, choose: Choose) -> At {
        self.machine.states.push(State {
            role,
            choose,
            steps: Vec::new(),
            next: (Set::default(), false),
        });
        self.machine.states.len() - 1
    }
    fn plain(&mut self) -> At {
        self.add(Role::Plain, Choose::Token)
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of states come from the network itself"
    )]
    fn step(&mut self, from: At, step: Step) {
        self.machine.states[from].steps.push(step);
    }
    fn goes(&mut self, step: impl Fn(At) -> Step) {
        let to = self.plain();
        self.step(self.here, step(to));
        self.here = to;
    }
    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            match *part {
                Part::Token(kind) => self.goes(|to| Step::Token(Set::of(&[kind]), to)),
                Part::Tokens(kinds) => self.goes(|to| Step::Token(Set::of(kinds), to)),
                Part::Call(rule) => self.goes(|to| Step::Call(rule, 0, to)),
                Part::Tight(rule, tight) => self.goes(|to| Step::Call(rule, tight, to)),
                Part::Left(tight) => self.goes(|to| Step::Left(tight, to)),
                Part::Maybe(parts) => self.choice(Choose::Maybe, &[parts, &[]]),
                Part::Choice(choose, ways) => self.choice(choose, ways),
                Part::Star(choose, parts) => self.star(choose, parts),
                Part::Plus(choose, parts) => self.plus(choose, parts),
            }
        }
    }
    /// One of several ways.
    fn choice(&mut self, choose: Choose, ways: &[&[Part]]) {
        let (block, end) = (self.add(Role::Block, choose), self.plain());
        self.step(self.here, Step::Free(block));
        for way in ways {
            self.here = self.plain();
            self.step(block, Step::Free(self.here));
            self.parts(way);
            self.step(self.here, Step::Free(end));
        }
        self.here = end;
    }
    /// Any number of times.
    fn star(&mut self, choose: Choose, parts: &[Part]) {
        let (entry, back) = (self.add(Role::Entry, choose), self.add(Role::Back, choose));
        let (body, end) = (self.plain(), self.plain());
        self.step(self.here, Step::Free(entry));
        self.step(entry, Step::Free(body));
        self.step(entry, Step::Free(end));
        self.step(back, Step::Free(entry));
        self.here = body;
        self.parts(parts);
        self.step(self.here, Step::Free(back));
        self.here = end;
    }
    /// Once or more.
    fn plus(&mut self, choose: Choose, parts: &[Part]) {
        let (block, back) = (self.add(Role::Block, choose), self.add(Role::Back, choose));
        let (body, end) = (self.plain(), self.plain());
        self.step(self.here, Step::Free(block));
        self.step(block, Step::Free(body));
        self.step(back, Step::Free(body));
        self.step(back, Step::Free(end));
        self.here = body;
        self.parts(parts);
        self.step(self.here, Step::Free(back));
        self.here = end;
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "the array has as many items as there are rules"
    )]
    fn rule(&mut self, rule: Rule, parts: &[Part]) {
        self.here = self.plain();
        self.machine.starts[rule as usize] = self.here;
        self.parts(parts);
        let stop = self.add(Role::Stop, Choose::Token);
        self.step(self.here, Step::Free(stop));
    }
}

/// Builds the network of the grammar.
pub(crate) fn machine() -> Machine {
    let mut builder = Builder {
        machine: Machine {
            states: Vec::new(),
            starts: [0; RULES],
        },
        here: 0,
    };
    for (rule, parts) in GRAMMAR {
        builder.rule(*rule, parts);
    }
    let mut machine = builder.machine;
    for at in 0..machine.states.len() {
        let next = machine.look(at, &mut Vec::new());
        if let Some(state) = machine.states.get_mut(at) {
            state.next = next;
        }
    }
    machine
}
