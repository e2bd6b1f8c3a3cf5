//! How far the run has come, on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Result;
use fhe_core::engine::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Seconds between two lines where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

/// Shows the progress of one run.
pub struct ProgressLine {
    started: Instant,
    shown: Instant,
    style: ProgressStyle,
    /// Made with the first progress, so that its rate has no share of the preparations.
    bar: Option<ProgressBar>,
}

impl ProgressLine {
    /// Nothing is shown before the first progress.
    pub fn new() -> Result<Self> {
        let template = "[{elapsed}] {bar:32} {pos}/{len} bootstraps, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template)?.progress_chars("▇▇▁");
        Ok(Self { started: Instant::now(), shown: Instant::now(), style, bar: None })
    }

    /// Shows `progress`; never cancels.
    pub fn observe(&mut self, progress: Progress) -> ControlFlow<()> {
        let Progress { bootstraps, total, rows } = progress;
        if std::io::stderr().is_terminal() {
            let style = &self.style;
            let bar = self.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(total).with_position(bootstraps).with_style(style.clone());
                bar.enable_steady_tick(Duration::from_millis(250));
                bar
            });
            bar.set_position(bootstraps);
        } else if self.shown.elapsed() >= INTERVAL {
            self.shown = Instant::now();
            let seconds = self.started.elapsed().as_secs_f64();
            eprintln!("{bootstraps} of {total} bootstraps, {rows} rows complete, {seconds:.0} s");
        }
        ControlFlow::Continue(())
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
