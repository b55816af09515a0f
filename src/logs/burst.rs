//! A bound on what clients can make a node write: so many lines a second, and the others are counted.

/// Lines of the second that goes on.
#[derive(Debug, Default)]
pub(super) struct Burst {
    second: i64,
    shown: u32,
    left_out: u64,
}

impl Burst {
    /// Whether one more line is shown, with how many were left out before it since that was last told.
    pub(super) fn admit(&mut self, second: i64, max: u32) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.shown = 0;
        }
        if max > 0 && self.shown >= max {
            self.left_out += 1;
            return None;
        }
        self.shown += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_a_second_is_counted_and_told() {
        let mut burst = Burst::default();
        let shown: Vec<_> = (0..5).map(|_| burst.admit(7, 2)).collect();
        assert_eq!(shown, [Some(0), Some(0), None, None, None]);
        assert_eq!(burst.admit(8, 2), Some(3));
        assert_eq!(burst.admit(8, 2), Some(0));
        assert!((0..1000).all(|_| burst.admit(9, 0) == Some(0)));
    }
}
