//! A line for each peer by the number of something, both by order of magnitude, with the range of
//! the rounds at each point.

use super::{
    Anchor, Canvas, FAINT, RANGE, WIDTH, colour, named,
    scale::{Scale, Steps},
};
use crate::{peer::Kind, stats::Spread};

const HEIGHT: f64 = 420.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = HEIGHT - 56.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = WIDTH - 190.0;
/// Between two names of peers beside the lines.
const ROW: f64 = 22.0;

/// A plot.
#[derive(Debug)]
pub(in crate::report) struct Lines {
    pub(in crate::report) title: &'static str,
    pub(in crate::report) across: &'static str,
    /// What is measured, with its unit.
    pub(in crate::report) axis: &'static str,
    pub(in crate::report) series: Vec<Series>,
}

#[derive(Debug)]
pub(in crate::report) struct Series {
    pub(in crate::report) peer: Kind,
    pub(in crate::report) points: Vec<(u32, Spread)>,
}

impl Lines {
    pub(in crate::report) fn draw(&self) -> String {
        let mut canvas = Canvas::new(HEIGHT, self.title);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let numbers = points().map(|(number, _)| f64::from(*number));
        let figures = points().flat_map(|(_, seen)| [seen.min, seen.max]);
        let x = Scale::over(numbers, Steps::Tenfold, (LEFT, RIGHT));
        let y = Scale::over(figures, Steps::Tenfold, (BOTTOM, TOP));
        self.frame(&mut canvas, &x, &y);
        for (series, row) in self.series.iter().zip(1_u32..) {
            series.draw(&mut canvas, &x, &y);
            let (beside, at) = (RIGHT + 28.0, TOP + ROW * f64::from(row) - ROW);
            canvas.dot(beside, at, colour(series.peer));
            canvas.text(beside + 12.0, at + 4.5, Anchor::Start, series.peer.name());
        }
        canvas.finish()
    }

    fn frame(&self, canvas: &mut Canvas, x: &Scale, y: &Scale) {
        for figure in y.named() {
            let at = y.place(figure);
            canvas.line((LEFT, at), (RIGHT, at), FAINT, 1.0);
            canvas.text(LEFT - 8.0, at + 4.5, Anchor::End, &named(figure));
        }
        for number in x.named() {
            let at = x.place(number);
            canvas.line((at, TOP), (at, BOTTOM), FAINT, 1.0);
            canvas.text(at, BOTTOM + 20.0, Anchor::Middle, &named(number));
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        canvas.text(middle, BOTTOM + 44.0, Anchor::Middle, self.across);
        canvas.text(20.0, TOP - 18.0, Anchor::Start, self.axis);
    }
}

impl Series {
    fn draw(&self, canvas: &mut Canvas, x: &Scale, y: &Scale) {
        let colour = colour(self.peer);
        let place =
            |(number, seen): &(u32, Spread)| (x.place(f64::from(*number)), y.place(seen.median));
        for two in self.points.windows(2) {
            canvas.line(place(&two[0]), place(&two[1]), colour, 2.0);
        }
        for point in &self.points {
            let ((at, middle), seen) = (place(point), point.1);
            let (least, most) = (y.place(seen.min), y.place(seen.max));
            canvas.line((at, least), (at, most), RANGE, 1.5);
            for end in [least, most] {
                canvas.line((at - 4.0, end), (at + 4.0, end), RANGE, 1.5);
            }
            canvas.dot(at, middle, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_at_their_numbers_and_are_joined() {
        let one = |figure: f64| Spread::of([figure]).expect("some");
        let plot = Lines {
            title: "title",
            across: "tenants",
            axis: "µs",
            series: vec![Series {
                peer: Kind::Nginx,
                points: vec![(1, one(10.0)), (100, one(1_000.0))],
            }],
        };
        let drawn = plot.draw();
        let joined = format!(
            "x1=\"{LEFT:.1}\" y1=\"{BOTTOM:.1}\" x2=\"{RIGHT:.1}\" y2=\"{TOP:.1}\" \
             stroke=\"#009e73\""
        );
        assert!(drawn.contains(&joined), "{drawn}");
        assert!(
            drawn.contains(">tenants<") && drawn.contains(">nginx<"),
            "{drawn}"
        );
    }
}
