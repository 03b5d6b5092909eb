//! From figures to places: evenly, or by their order of magnitude.

/// How an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Steps {
    /// From zero on.
    Even,
    /// Each ten times the one before; for what lies far apart.
    Tenfold,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    steps: Steps,
    min: f64,
    max: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Of an axis from one place to another that has room for these figures.
    pub(super) fn over(
        figures: impl IntoIterator<Item = f64>,
        steps: Steps,
        (from, to): (f64, f64),
    ) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for figure in figures.into_iter().filter(|figure| figure.is_finite()) {
            let counts = steps == Steps::Even || figure > 0.0;
            least = least.min(if counts { figure } else { least });
            most = most.max(figure);
        }
        let (min, max) = match steps {
            Steps::Even => (0.0, rounded_up(most)),
            Steps::Tenfold if least.is_finite() && most > 0.0 => {
                let min = 10_f64.powf(least.log10().floor());
                let max = 10_f64.powf(most.log10().ceil());
                (min, max.max(10.0 * min))
            }
            Steps::Tenfold => (1.0, 10.0),
        };
        Self {
            steps,
            min,
            max,
            from,
            to,
        }
    }

    /// Where a figure lies; what lies outside is drawn at the edge.
    pub(super) fn place(&self, figure: f64) -> f64 {
        let share = match self.steps {
            Steps::Even => (figure - self.min) / (self.max - self.min),
            Steps::Tenfold => {
                let figure = figure.max(self.min);
                (figure / self.min).log10() / (self.max / self.min).log10()
            }
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The figures that the axis names.
    pub(super) fn named(&self) -> Vec<f64> {
        let mut all = Vec::new();
        match self.steps {
            Steps::Even => {
                let step = self.max / 5.0;
                all.extend([0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(|times| times * step));
            }
            Steps::Tenfold => {
                let mut named = self.min;
                while named <= self.max * 1.001 {
                    all.push(named);
                    named *= 10.0;
                }
            }
        }
        all
    }
}

/// To a figure of which a fifth is told in few digits.
fn rounded_up(figure: f64) -> f64 {
    if figure <= 0.0 || !figure.is_finite() {
        return 1.0;
    }
    let magnitude = 10_f64.powf(figure.log10().floor());
    let fitting = [1.0, 2.0, 2.5, 5.0, 10.0].map(|times| times * magnitude);
    fitting
        .into_iter()
        .find(|fitting| *fitting >= figure)
        .unwrap_or(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-6
    }

    #[test]
    fn an_even_axis_begins_at_zero_and_has_room() {
        let scale = Scale::over([3.0, 17.0], Steps::Even, (100.0, 200.0));
        assert!(near(scale.place(0.0), 100.0) && near(scale.place(20.0), 200.0));
        assert_eq!(scale.named().len(), 6);
        assert!(near(scale.place(1e9), 200.0), "at the edge");
    }

    #[test]
    fn each_order_of_magnitude_takes_the_same_room() {
        let scale = Scale::over([3.0, 4_000.0], Steps::Tenfold, (0.0, 400.0));
        assert_eq!(scale.named().len(), 5, "{:?}", scale.named());
        assert!(near(scale.place(10.0), 100.0) && near(scale.place(1_000.0), 300.0));
        assert!(near(scale.place(0.0), 0.0), "at the edge");
    }

    #[test]
    fn an_axis_needs_no_figures() {
        for steps in [Steps::Even, Steps::Tenfold] {
            let scale = Scale::over([], steps, (0.0, 10.0));
            assert!(scale.place(1.0).is_finite());
        }
    }
}
