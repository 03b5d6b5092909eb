//! What an answer comes to: places in an order of their own, each once, no more than can be used.

use std::{net::IpAddr, sync::Arc};

/// Somewhere a name leads to. Ordered by preference, then by name and address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What a service's record says; `None` for the address of a plain name.
    pub service: Option<ServiceTarget>,
    /// Its address.
    pub address: IpAddr,
}

/// What a service's record says of one of its hosts. Ordered by preference, then by name and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceTarget {
    /// Lower is preferred.
    pub priority: u16,
    /// The host, without a dot at its end.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
    /// Its share among those of equal priority, 1 to 1000.
    pub weight: u16,
}

/// What was last answered about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Compared with [`WatchedName::version`](super::WatchedName::version), tells whether it is
    /// still the last.
    pub version: u64,
    /// At least one and at most [`MOST_PLACES`], in their order; none before the first answer.
    pub places: Arc<[Place]>,
    /// How many more there were.
    pub left_out: usize,
}

/// An answer with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) places: Arc<[Place]>,
    pub(crate) left_out: usize,
}

impl Answer {
    /// Sorts what was answered, so that the order of an answer changes nothing; `None` if that is
    /// nothing.
    pub(crate) fn of(mut places: Vec<Place>) -> Option<Self> {
        places.sort_unstable();
        places.dedup();
        let left_out = places.len().saturating_sub(MOST_PLACES);
        places.truncate(MOST_PLACES);
        (!places.is_empty()).then(|| Self {
            places: places.into(),
            left_out,
        })
    }
}

/// Brings weights of service records into 1 to 1000, in proportion: 0 is no more than a little.
pub(crate) fn scaled(weight: u16, heaviest: u16) -> u16 {
    let scaled = if heaviest > WEIGHT_MAX {
        u32::from(weight) * u32::from(WEIGHT_MAX) / u32::from(heaviest)
    } else {
        u32::from(weight)
    };
    u16::try_from(scaled).unwrap_or(WEIGHT_MAX).max(1)
}

/// Places kept of one name: what a request can tell apart.
pub const MOST_PLACES: usize = 64;
const WEIGHT_MAX: u16 = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(last: u8) -> Place {
        Place {
            service: None,
            address: [10, 0, 0, last].into(),
        }
    }

    proptest! {
        /// Servers turn their answers round from one to the next; that is no change.
        #[test]
        fn the_order_of_an_answer_says_nothing(mut order in prop::collection::vec(0_u8..20, 1..40)) {
            let answer = |order: &[u8]| Answer::of(order.iter().copied().map(place).collect());
            let first = answer(&order);
            order.reverse();
            order.push(order[0]);
            prop_assert_eq!(&answer(&order), &first);
            let places = first.unwrap().places;
            prop_assert!(places.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn weights_are_in_range_and_in_order(a: u16, b: u16) {
            let heaviest = a.max(b);
            let (low, high) = (scaled(a.min(b), heaviest), scaled(heaviest, heaviest));
            prop_assert!((1..=1000).contains(&low) && (1..=1000).contains(&high) && low <= high);
        }
    }

    #[test]
    fn weights_keep_their_proportion() {
        let scale = |weights: [u16; 3]| weights.map(|weight| scaled(weight, weights[2]));
        assert_eq!(scale([0, 10, 20]), [1, 10, 20]);
        assert_eq!(scale([0, 30_000, 60_000]), [1, 500, 1_000]);
        assert_eq!(scale([0, 0, 0]), [1, 1, 1]);
    }

    #[test]
    fn too_many_places_are_cut_and_counted() {
        let answer = Answer::of((0..70).map(place).rev().collect()).unwrap();
        assert_eq!((answer.places.len(), answer.left_out), (MOST_PLACES, 6));
        assert_eq!(answer.places.first(), Some(&place(0)));
        assert_eq!(Answer::of(Vec::new()), None);
    }

    /// A service's preferred hosts stand first, whatever their addresses.
    #[test]
    fn priority_goes_before_names_and_addresses() {
        let at = |priority, host: &str, last| Place {
            service: Some(ServiceTarget {
                priority,
                host: host.into(),
                port: 8428,
                weight: 1,
            }),
            address: [10, 0, 0, last].into(),
        };
        let (first, second, third) = (at(0, "b", 9), at(10, "a", 1), at(10, "a", 2));
        let answer = Answer::of(vec![third.clone(), second.clone(), first.clone()]).unwrap();
        assert_eq!(*answer.places, [first, second, third]);
    }
}
