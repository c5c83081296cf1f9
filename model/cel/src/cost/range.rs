//! Ranges of costs and sizes, which never overflow. Source: cel-go `checker/cost.go`.

/// The least and the most that something may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Range {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self {
        min: 0,
        max: u64::MAX,
    };
    /// Nothing has been seen, for unions.
    pub(crate) const UNSEEN: Self = Self {
        min: u64::MAX,
        max: 0,
    };

    /// Exactly this.
    pub(crate) const fn fixed(size: u64) -> Self {
        Self {
            min: size,
            max: size,
        }
    }
    /// At most this.
    pub const fn up_to(max: u64) -> Self {
        Self { min: 0, max }
    }
    pub(crate) fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
    pub(crate) fn times(self, other: Self) -> Self {
        self.with(other, u64::saturating_mul)
    }
    pub(crate) fn by(self, factor: f64) -> Self {
        Self {
            min: scaled(self.min, factor),
            max: scaled(self.max, factor),
        }
    }
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
    fn with(self, other: Self, how: fn(u64, u64) -> u64) -> Self {
        Self {
            min: how(self.min, other.min),
            max: how(self.max, other.max),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "upstream counts so, and a cast of what is too large gives the largest number"
)]
fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stop_at_the_largest_number() {
        assert_eq!(Range::UNKNOWN.by(0.1).plus(Range::fixed(1)).min, 1);
        assert_eq!(Range::UNKNOWN.by(2.0).max, u64::MAX);
        assert_eq!(Range::UNKNOWN.times(Range::fixed(2)).max, u64::MAX);
        assert_eq!(Range::up_to(63).by(0.1), Range::up_to(7));
    }
}
