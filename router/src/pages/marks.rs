//! The small things pages are written with: conditions, times, numbers.

use jiff::Timestamp;
use maud::{Markup, html};

/// A condition by shape and word. `condition` is one of the few names the style sheet has.
pub(crate) fn condition(condition: &str) -> Markup {
    told(condition, condition)
}

/// Something in a few words that looks like a condition.
pub(crate) fn told(condition: &str, words: &str) -> Markup {
    html! { span class={ "is " (condition) } { i.mark aria-hidden="true" {} (words) } }
}

/// A moment, which a script turns into how long ago it was.
pub(crate) fn ago(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-ago { (clock_text(at)) } }
}

/// A moment, as it stays.
pub(crate) fn clock(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (clock_text(at)) } }
}

/// UTC, to the second; the day too unless it is today.
fn clock_text(at: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let format = if day(at) == day(Timestamp::now()) {
        "%H:%M:%S UTC"
    } else {
        "%Y-%m-%d %H:%M UTC"
    };
    at.strftime(format).to_string()
}

/// A number with thousands apart, as people read it.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `one` thing, or several.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_thousands() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "tenant", "tenants"), "1 tenant");
        assert_eq!(counted(2_000, "tenant", "tenants"), "2,000 tenants");
    }

    #[test]
    fn a_moment_of_another_day_says_the_day() {
        let at: Timestamp = "2024-02-03T04:05:06Z".parse().expect("a moment");
        assert_eq!(clock_text(at), "2024-02-03 04:05 UTC");
        assert!(clock_text(Timestamp::now()).ends_with(" UTC"));
        let markup = ago(at).into_string();
        assert!(
            markup.contains(r#"datetime="2024-02-03T04:05:06Z""#),
            "{markup}"
        );
    }
}
