//! How much of each category one output shows; changed while the node runs.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;

use crate::logs::Category;
use crate::logs::Level;

/// What is configured: RabbitMQ's `log.default.level` and `log.<category>.level`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryLevels {
    /// Where nothing else is said.
    pub default: Level,
    /// Categories with levels of their own.
    pub own: Vec<(Category, Level)>,
}

/// The levels of one output.
pub(super) struct Levels {
    now: [AtomicU8; Category::ALL.len()],
    /// Of which nothing is ever shown here.
    off: [bool; Category::ALL.len()],
}

impl Levels {
    /// A category's own level goes first, then the output's, then the default.
    pub(super) fn new(output: Option<Level>, configured: &CategoryLevels) -> Self {
        let levels = Category::ALL.map(|category| {
            let own = configured.own.iter().find(|(its, _)| *its == category);
            let own = own.map(|(_, level)| *level);
            own.or(output).unwrap_or(configured.default)
        });
        Self {
            off: levels.map(|level| level == Level::None),
            now: levels.map(|level| AtomicU8::new(level as u8)),
        }
    }

    pub(super) fn of(&self, category: Category) -> Level {
        Level::from_number(self.now[category as usize].load(Ordering::Relaxed))
    }

    /// Sets all but those that the settings turned off.
    pub(super) fn set(&self, level: Level) {
        for category in Category::ALL {
            if !self.off[category as usize] {
                self.now[category as usize].store(level as u8, Ordering::Relaxed);
            }
        }
    }

    /// That of the category that shows the most.
    pub(super) fn lowest(&self) -> Level {
        let all = Category::ALL.into_iter().map(|category| self.of(category));
        all.min().unwrap_or(Level::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_goes_before_the_output_and_that_before_the_default() {
        let configured = CategoryLevels {
            default: Level::Warning,
            own: Category::ALL
                .into_iter()
                .filter(|category| *category != Category::Default)
                .zip(Level::ALL)
                .collect(),
        };
        for (category, level) in &configured.own {
            for output in [None, Some(Level::Error)] {
                assert_eq!(Levels::new(output, &configured).of(*category), *level);
            }
        }
        let default = |output| Levels::new(output, &configured).of(Category::Default);
        assert_eq!(default(Some(Level::Error)), Level::Error);
        assert_eq!(default(None), Level::Warning);
    }

    #[test]
    fn a_level_set_later_leaves_out_what_is_off() {
        let configured = CategoryLevels {
            default: Level::Info,
            own: vec![(Category::Queue, Level::None)],
        };
        let levels = Levels::new(None, &configured);
        levels.set(Level::Debug);
        assert_eq!(levels.of(Category::Connection), Level::Debug);
        assert_eq!(levels.of(Category::Queue), Level::None);
        assert_eq!(levels.lowest(), Level::Debug);
        levels.set(Level::None);
        assert_eq!(levels.lowest(), Level::None);
        levels.set(Level::Critical);
        assert_eq!(levels.lowest(), Level::Critical);
    }
}
