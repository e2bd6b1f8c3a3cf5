//! How far the run has come, on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;
use fhe_core::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Seconds between two lines where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress of one run.
pub(crate) struct ProgressLine {
    /// When the first progress came, and how far it was: preparations have no share in the rate.
    first: Option<(Instant, u64)>,
    shown: Instant,
    style: ProgressStyle,
    bar: Option<ProgressBar>,
}

impl ProgressLine {
    /// Nothing is shown before the first progress.
    pub(crate) fn new() -> Result<Self> {
        let style = ProgressStyle::with_template("[{elapsed}] {bar:32} {pos}/{len} bootstraps{msg}")?;
        Ok(Self { first: None, shown: Instant::now(), style: style.progress_chars("▇▇▁"), bar: None })
    }

    /// Shows `progress`; never cancels.
    pub(crate) fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        let Progress { bootstraps, total, rows } = progress;
        let (since, from) = *self.first.get_or_insert_with(|| (Instant::now(), bootstraps));
        let pace = pace(bootstraps - from, total - bootstraps, since.elapsed());
        if std::io::stderr().is_terminal() {
            let style = &self.style;
            let bar = self.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(total).with_style(style.clone());
                bar.enable_steady_tick(Duration::from_millis(250));
                bar
            });
            bar.set_message(pace);
            bar.set_position(bootstraps);
        } else if self.shown.elapsed() >= INTERVAL {
            self.shown = Instant::now();
            eprintln!("{bootstraps}/{total} bootstraps, {rows} records complete{pace}");
        }
        ControlFlow::Continue(())
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Rate and time left; empty where nothing is known yet.
fn pace(done: u64, left: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64();
    if done == 0 || !rate.is_finite() {
        return String::new();
    }
    format!(", {rate:.0}/s, {:.0} s left", left as f64 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_silent_until_it_is_known() {
        assert_eq!(pace(0, 100, Duration::from_secs(1)), "");
        assert_eq!(pace(5, 100, Duration::ZERO), "");
        assert_eq!(pace(200, 100, Duration::from_secs(4)), ", 50/s, 2 s left");
    }
}
