//! The circles whose servers learn the state of a machine.

use std::time::{Duration, Instant};

use crate::subjects::Subjects;

/// Maximum number of circles of a machine that serves all.
const MAX_CIRCLES: usize = 256;

/// Maximum number of circles that a machine learns in a [`LEARN_INTERVAL`]. If there are more circles than
/// [`MAX_CIRCLES`], each announcement of a server would be that of a new circle.
const MAX_LEARNED: u32 = 10;

/// The interval of [`MAX_LEARNED`].
const LEARN_INTERVAL: Duration = Duration::from_secs(1);

/// The circles, of which the last one announced itself last.
#[derive(Debug)]
pub(super) struct CircleList {
    circles: Vec<Subjects>,
    /// The number of circles that the machine has learned since the begin of the interval.
    learned: u32,
    interval_begin: Instant,
}

impl CircleList {
    pub(super) fn new(circles: Vec<Subjects>, now: Instant) -> Self {
        Self { circles, learned: 0, interval_begin: now }
    }

    /// Adds a circle that has announced itself. Forgets the circle that has not for longest if there are too many. Returns
    /// whether the circle is new. Too many new ones at once are left out: their servers announce themselves again.
    pub(super) fn learn(&mut self, circle: &Subjects, now: Instant) -> bool {
        if let Some(index) = self.circles.iter().position(|known| known == circle) {
            self.circles[index..].rotate_left(1);
            return false;
        }
        if now.saturating_duration_since(self.interval_begin) >= LEARN_INTERVAL {
            (self.interval_begin, self.learned) = (now, 0);
        }
        if self.learned >= MAX_LEARNED {
            return false;
        }
        self.learned += 1;
        if self.circles.len() >= MAX_CIRCLES {
            self.circles.remove(0);
        }
        self.circles.push(circle.clone());
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subjects> {
        self.circles.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subjects::SubjectName;

    fn circle(number: usize) -> Subjects {
        Subjects::new(&SubjectName::new(&format!("c{number}")).expect("valid"))
    }

    #[test]
    fn circle_that_announced_itself_first_is_forgotten() {
        let mut now = Instant::now();
        let mut circles = CircleList::new(Vec::new(), now);
        for number in 0..MAX_CIRCLES {
            assert!(circles.learn(&circle(number), now));
            now += LEARN_INTERVAL;
        }
        assert!(!circles.learn(&circle(0), now));
        assert!(circles.learn(&circle(MAX_CIRCLES), now));
        assert_eq!(circles.iter().count(), MAX_CIRCLES);
        assert!(circles.iter().any(|known| *known == circle(0)) && circles.iter().all(|known| *known != circle(1)));
    }

    #[test]
    fn few_circles_are_learned_at_once() {
        let now = Instant::now();
        let mut circles = CircleList::new(Vec::new(), now);
        assert_eq!((0..1_000).filter(|number| circles.learn(&circle(*number), now)).count(), 10);
        assert!(circles.learn(&circle(999), now + LEARN_INTERVAL));
    }
}
