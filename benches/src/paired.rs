//! Two sides measured in turn: A B A B, so that a drift of the machine's speed meets both.

use std::time::{Duration, Instant};

/// Median times of two sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The first side.
    pub ours: Duration,
    /// The second side.
    pub peer: Duration,
    /// Median over the repetitions of the ratio peer/ours.
    pub ratio: f64,
}

/// Runs both sides `repetitions` times in turn (at least once) and takes medians; the order alternates.
pub fn measure(repetitions: usize, mut ours: impl FnMut(), mut peer: impl FnMut()) -> Pair {
    let time = |side: &mut dyn FnMut()| {
        let started = Instant::now();
        side();
        started.elapsed()
    };
    let mut pairs = Vec::new();
    for repetition in 0..repetitions.max(1) {
        pairs.push(if repetition % 2 == 0 {
            let first = time(&mut ours);
            (first, time(&mut peer))
        } else {
            let first = time(&mut peer);
            (time(&mut ours), first)
        });
    }
    Pair {
        ours: median(pairs.iter().map(|pair| pair.0)),
        peer: median(pairs.iter().map(|pair| pair.1)),
        ratio: median(pairs.iter().map(|pair| pair.1.as_secs_f64() / pair.0.as_secs_f64().max(1e-9))),
    }
}

fn median<T: PartialOrd + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_peer_has_a_ratio_above_one() {
        let sleep = |millis| move || std::thread::sleep(Duration::from_millis(millis));
        let pair = measure(3, sleep(2), sleep(20));
        assert!(pair.ratio > 2.0 && pair.peer > pair.ours, "{pair:?}");
    }
}
