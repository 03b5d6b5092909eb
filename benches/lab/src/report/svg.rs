//! Plots as SVG, by hand: two kinds of them, with ranges, on a ground of their own so that they
//! can be read on a dark page too.

mod bars;
mod lines;
mod scale;

use std::fmt::Write as _;

use super::grouped;
use crate::peer::Kind;

pub(super) use self::{
    bars::{Bar, Bars, Group},
    lines::{Lines, Series},
    scale::Steps,
};

const WIDTH: f64 = 760.0;
const TEXT: &str = "#24292f";
const FAINT: &str = "#d8dee4";
const RANGE: &str = "#57606a";

/// What is drawn, in the order of drawing.
#[derive(Debug)]
struct Canvas {
    height: f64,
    drawn: String,
}

#[derive(Debug, Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    fn new(height: f64, title: &str) -> Self {
        let mut canvas = Self {
            height,
            drawn: String::new(),
        };
        let escaped = escaped(title);
        // Writing into a `String` does not fail.
        let _ = writeln!(
            canvas.drawn,
            "<text x=\"20\" y=\"30\" font-size=\"16\" font-weight=\"600\">{escaped}</text>"
        );
        canvas
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _ = writeln!(
            self.drawn,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.drawn,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" \
             stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        );
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let _ = writeln!(
            self.drawn,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"{colour}\"/>"
        );
    }

    fn dot(&mut self, x: f64, y: f64, colour: &str) {
        let _ = writeln!(
            self.drawn,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"
        );
    }

    fn finish(self) -> String {
        let Self { height, drawn } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{drawn}</svg>\n"
        )
    }
}

/// The same for each peer in all plots, and apart for most who do not see all colours.
const fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Direct => "#bbbbbb",
        Kind::TcpForward => "#8c959f",
        Kind::Mirador => "#d55e00",
        Kind::Haproxy => "#0072b2",
        Kind::Nginx => "#009e73",
        Kind::Envoy => "#cc79a7",
        Kind::Vmauth => "#e69f00",
        Kind::VmauthByHeader => "#56b4e9",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A figure that an axis names: no digits that say nothing.
fn named(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.parse().map_or_else(|_| text.into(), grouped)
}

/// As few digits as tell it well enough.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_few_digits() {
        let all = [0.1, 1.0, 3.0 * 0.4, 10_000.0].map(named);
        assert_eq!(all, ["0.1", "1", "1.2", "10,000"]);
        let all = [0.0, 0.456, 45.6, 456.7].map(short);
        assert_eq!(all, ["0", "0.46", "45.6", "457"]);
    }
}
