//! A bar for each peer, in groups, with the range of its rounds.

use super::{
    Anchor, Canvas, FAINT, RANGE, WIDTH, colour, named,
    scale::{Scale, Steps},
    short,
};
use crate::{peer::Kind, stats::Spread};

const TOP: f64 = 48.0;
const LEFT: f64 = 140.0;
const RIGHT: f64 = WIDTH - 90.0;
const ROW: f64 = 24.0;
const THICK: f64 = 16.0;
const HEADING: f64 = 26.0;
/// Below the last bar: the axis with its figures and its name.
const FOOT: f64 = 52.0;

/// A plot.
#[derive(Debug)]
pub(in crate::report) struct Bars {
    pub(in crate::report) title: &'static str,
    /// What is measured, with its unit.
    pub(in crate::report) axis: &'static str,
    pub(in crate::report) steps: Steps,
    pub(in crate::report) groups: Vec<Group>,
}

/// Bars that belong together.
#[derive(Debug)]
pub(in crate::report) struct Group {
    /// Nothing if it is the only one.
    pub(in crate::report) name: &'static str,
    pub(in crate::report) bars: Vec<Bar>,
}

#[derive(Debug)]
pub(in crate::report) struct Bar {
    pub(in crate::report) peer: Kind,
    pub(in crate::report) seen: Spread,
}

impl Bars {
    pub(in crate::report) fn draw(&self) -> String {
        let heights = self.groups.iter().map(Group::height);
        let bottom = TOP + heights.sum::<f64>();
        let mut canvas = Canvas::new(bottom + FOOT, self.title);
        let bars = self.groups.iter().flat_map(|group| &group.bars);
        let figures = bars.flat_map(|bar| [bar.seen.min, bar.seen.max]);
        let scale = Scale::over(figures, self.steps, (LEFT, RIGHT));
        for figure in scale.named() {
            let x = scale.place(figure);
            canvas.line((x, TOP), (x, bottom), FAINT, 1.0);
            canvas.text(x, bottom + 18.0, Anchor::Middle, &named(figure));
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        canvas.text(middle, bottom + 40.0, Anchor::Middle, self.axis);
        let mut y = TOP;
        for group in &self.groups {
            if !group.name.is_empty() {
                canvas.text(20.0, y + 17.0, Anchor::Start, group.name);
                y += HEADING;
            }
            for bar in &group.bars {
                bar.draw(&mut canvas, &scale, y);
                y += ROW;
            }
        }
        canvas.finish()
    }
}

impl Group {
    fn height(&self) -> f64 {
        let heading = if self.name.is_empty() { 0.0 } else { HEADING };
        self.bars.iter().fold(heading, |height, _| height + ROW)
    }
}

impl Bar {
    fn draw(&self, canvas: &mut Canvas, scale: &Scale, y: f64) {
        let Self { peer, seen } = self;
        let middle = y + ROW / 2.0;
        let (end, least, most) = (
            scale.place(seen.median),
            scale.place(seen.min),
            scale.place(seen.max),
        );
        canvas.text(LEFT - 8.0, middle + 4.5, Anchor::End, peer.name());
        canvas.bar(LEFT, middle - THICK / 2.0, end - LEFT, THICK, colour(*peer));
        canvas.line((least, middle), (most, middle), RANGE, 1.5);
        for x in [least, most] {
            canvas.line((x, middle - 5.0), (x, middle + 5.0), RANGE, 1.5);
        }
        let told = short(seen.median);
        canvas.text(most.max(end) + 8.0, middle + 4.5, Anchor::Start, &told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_median_with_its_range_across() {
        let seen = Spread::of([5.0, 10.0, 20.0]).expect("some");
        let plot = Bars {
            title: "A < B",
            axis: "µs",
            steps: Steps::Even,
            groups: vec![Group {
                name: "",
                bars: vec![Bar {
                    peer: Kind::Mirador,
                    seen,
                }],
            }],
        };
        let drawn = plot.draw();
        assert!(
            drawn.contains("A &lt; B") && drawn.contains(">Mirador<"),
            "{drawn}"
        );
        let half = (RIGHT - LEFT) / 2.0;
        let bar = format!("width=\"{half:.1}\" height=\"16.0\" fill=\"#d55e00\"");
        assert!(drawn.contains(&bar), "{drawn}");
        let (least, most) = (LEFT + half / 2.0, RIGHT);
        let range = format!("x1=\"{least:.1}\" y1=\"60.0\" x2=\"{most:.1}\" y2=\"60.0\"");
        assert!(drawn.contains(&range), "{drawn}");
    }
}
