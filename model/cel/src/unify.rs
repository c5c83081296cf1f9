//! Which types fit which, and what open types stand for. Source: cel-go `checker/types.go`.

use std::sync::Arc;

use crate::types::Type;

/// Largest type, counted in the names it takes to write it; binding values to names can double types. More than the depth
/// that lists may have.
const WEIGHT_MAX: usize = 300;

/// What is known about open types.
#[derive(Debug, Default)]
pub(crate) struct Unifier {
    known: Vec<Option<Type>>,
    /// What was known before each change, to undo attempts.
    trail: Vec<(usize, Option<Type>)>,
}

impl Unifier {
    /// A new open type.
    pub(crate) fn open(&mut self) -> Type {
        self.known.push(None);
        Type::Var(self.known.len() - 1)
    }

    fn find(&self, this: &Type) -> Option<&Type> {
        match this {
            Type::Var(number) => self.known.get(*number)?.as_ref(),
            _ => None,
        }
    }

    fn bind(&mut self, this: &Type, to: Type) {
        if let Type::Var(number) = this
            && let Some(slot) = self.known.get_mut(*number)
        {
            self.trail.push((*number, slot.replace(to)));
        }
    }

    /// Whether all of these fit all of those; only then something is learnt.
    pub(crate) fn all_fit(&mut self, these: &[Type], those: &[Type]) -> bool {
        self.trail.clear();
        if self.lists_fit(these.iter(), those.iter()) {
            return true;
        }
        while let Some((number, before)) = self.trail.pop() {
            if let Some(slot) = self.known.get_mut(number) {
                *slot = before;
            }
        }
        false
    }

    /// Whether one type fits another; only then something is learnt.
    pub(crate) fn fits(&mut self, this: &Type, that: &Type) -> bool {
        self.all_fit(std::slice::from_ref(this), std::slice::from_ref(that))
    }

    fn lists_fit<'t>(
        &mut self,
        these: impl ExactSizeIterator<Item = &'t Type>,
        those: impl ExactSizeIterator<Item = &'t Type>,
    ) -> bool {
        these.len() == those.len() && these.zip(those).all(|(a, b)| self.one_fits(a, b))
    }

    fn one_fits(&mut self, this: &Type, that: &Type) -> bool {
        if let Type::Var(_) = that {
            match self.stands_for(this, that) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if let Type::Var(_) = this {
            return self.stands_for(that, this).0;
        }
        let is_wild = |one: &Type| one.is_dyn() || matches!(one, Type::Error | Type::Param(_));
        if is_wild(this) || is_wild(that) {
            return true;
        }
        match (this, that) {
            (Type::Null, other) | (other, Type::Null) => is_nullable(other),
            (Type::Type(_), Type::Type(_)) => true,
            (Type::List(_), Type::List(_)) | (Type::Map(_), Type::Map(_)) => {
                self.lists_fit(this.params().into_iter(), that.params().into_iter())
            }
            (Type::Opaque(name, these), Type::Opaque(other, those)) => {
                name == other && self.lists_fit(these.iter(), those.iter())
            }
            _ => this == that,
        }
    }

    /// Whether an open type can stand for a type, and whether it stood for something before.
    fn stands_for(&mut self, this: &Type, open: &Type) -> (bool, bool) {
        if this == open {
            return (true, true);
        }
        if let Some(known) = self.find(open).cloned() {
            if *this == known {
                return (true, true);
            }
            if !self.one_fits(this, &known) {
                return (false, true);
            }
            let general = most_general(this, &known);
            if self.is_apart(open, &general) {
                self.bind(open, general);
            }
            return (true, true);
        }
        let is_apart = self.is_apart(open, this);
        if is_apart {
            self.bind(open, this.clone());
        }
        (is_apart, false)
    }

    /// Whether an open type is no part of a type.
    fn is_apart(&self, open: &Type, within: &Type) -> bool {
        if open == within {
            return false;
        }
        match within {
            Type::Var(_) => self
                .find(within)
                .is_none_or(|known| self.is_apart(open, known)),
            _ => within
                .params()
                .into_iter()
                .all(|param| self.is_apart(open, param)),
        }
    }

    /// The type with what is known put in. What stays open becomes `dyn` when this is the end.
    pub(crate) fn resolve(&self, this: &Type, is_end: bool) -> Type {
        match this {
            Type::Var(_) => match self.find(this) {
                Some(known) => self.resolve(known, is_end),
                None if is_end => Type::Dyn,
                None => this.clone(),
            },
            Type::Param(_) if is_end => Type::Dyn,
            Type::List(of) => Type::list(self.resolve(of, is_end)),
            Type::Map(pair) => {
                Type::map(self.resolve(&pair.0, is_end), self.resolve(&pair.1, is_end))
            }
            Type::Opaque(name, params) => {
                let params = params.iter().map(|param| self.resolve(param, is_end));
                Type::Opaque(name.clone(), params.collect())
            }
            Type::Type(Some(of)) => Type::of(self.resolve(of, is_end)),
            simple => simple.clone(),
        }
    }

    /// Whether a type is too large to go on with.
    pub(crate) fn is_too_large(&self, this: &Type) -> bool {
        let mut left = WEIGHT_MAX;
        !self.weigh(this, &mut left)
    }

    fn weigh(&self, this: &Type, left: &mut usize) -> bool {
        let Some(rest) = left.checked_sub(1) else {
            return false;
        };
        *left = rest;
        match this {
            Type::Var(_) => self.find(this).is_none_or(|known| self.weigh(known, left)),
            _ => this
                .params()
                .into_iter()
                .all(|param| self.weigh(param, left)),
        }
    }

    /// Types with new open types in place of their parameters.
    pub(crate) fn instantiate(&mut self, types: &[&Type]) -> Vec<Type> {
        let mut fresh = Vec::new();
        types
            .iter()
            .map(|one| self.fresh(one, &mut fresh))
            .collect()
    }

    fn fresh(&mut self, this: &Type, known: &mut Vec<(Arc<str>, Type)>) -> Type {
        match this {
            Type::Param(name) => {
                if let Some((_, open)) = known.iter().find(|(known, _)| known == name) {
                    return open.clone();
                }
                let open = self.open();
                known.push((name.clone(), open.clone()));
                open
            }
            Type::List(of) => Type::list(self.fresh(of, known)),
            Type::Map(pair) => Type::map(self.fresh(&pair.0, known), self.fresh(&pair.1, known)),
            Type::Opaque(name, params) => {
                let params = params.iter().map(|param| self.fresh(param, known));
                Type::Opaque(name.clone(), params.collect())
            }
            Type::Type(Some(of)) => Type::of(self.fresh(of, known)),
            simple => simple.clone(),
        }
    }
}

/// Whether `null` fits a type. Source: `isLegacyNullable`.
fn is_nullable(this: &Type) -> bool {
    use Type::{Any, Duration, Dyn, Null, Opaque, Struct, Timestamp};
    matches!(
        this,
        Null | Opaque(..) | Struct(_) | Any | Dyn | Duration | Timestamp
    )
}

/// The one of two types that says less. Source: `mostGeneral`.
pub(crate) fn most_general(this: &Type, that: &Type) -> Type {
    if says_no_more(this, that) {
        this.clone()
    } else {
        that.clone()
    }
}

/// Source: `isEqualOrLessSpecific`.
fn says_no_more(this: &Type, that: &Type) -> bool {
    let is_open = |one: &Type| one.is_dyn() || matches!(one, Type::Param(_) | Type::Var(_));
    if is_open(this) {
        return true;
    }
    if is_open(that) {
        return false;
    }
    match (this, that) {
        (Type::Type(_), Type::Type(_)) => true,
        (Type::Opaque(name, these), Type::Opaque(other, those)) => {
            name == other
                && these.len() == those.len()
                && these
                    .iter()
                    .zip(those.iter())
                    .all(|(a, b)| says_no_more(a, b))
        }
        (Type::List(_), Type::List(_)) | (Type::Map(_), Type::Map(_)) => {
            let (these, those) = (this.params(), that.params());
            these
                .into_iter()
                .zip(those)
                .all(|(a, b)| says_no_more(a, b))
        }
        _ => this == that,
    }
}
