//! The page: a plot of the trend of every group, and a table of the last run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Run;
use super::trend::{GROUP, Trend, Verdict};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
    color:#1c2430;background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2.2rem 0 .3rem}\
    table{border-collapse:collapse;width:100%}td,th{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #dfe3e8}\
    td:first-child,th:first-child{text-align:left}td+td{white-space:nowrap}p,figcaption{color:#55606e}svg{width:100%;height:auto}figure{margin:0}\
    text{font:12px system-ui,sans-serif;fill:#55606e}";
/// Told apart with every common form of colour blindness.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
/// Room left of the plot and right of it, for the labels.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 250.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// The page of these runs, which are sorted by time; there is at least one.
pub fn html(runs: &[Run]) -> String {
    let Some(last) = runs.last() else { return String::new() };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Benchmarks</title><style>{STYLE}</style></head>\
         <body>\n<h1>Benchmarks</h1>\n<p>Machine: {}. Last run: {} of commit {}. {} runs.</p>\n",
        escaped(&last.machine),
        date(last.time),
        escaped(&last.commit),
        runs.len()
    );
    let groups: BTreeSet<_> = last.benchmarks.keys().filter_map(|name| name.split('/').next()).collect();
    // The group that trends follow comes first.
    let (standard, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(|&group| group == GROUP);
    for group in standard.into_iter().chain(others) {
        let _ = writeln!(page, "<h2>{}</h2>", escaped(group));
        page += &plot(group, runs);
        page += &table(group, last);
    }
    page + "</body></html>\n"
}

fn table(group: &str, run: &Run) -> String {
    let mut text = "<table><tr><th>backend, parameters, batch</th><th>median</th><th>95% interval</th><th>per row</th>\
                    <th>rows per second</th><th>change</th></tr>\n"
        .to_owned();
    for (name, found) in run.benchmarks.iter().filter(|(name, _)| of(name, group)) {
        let rows = found.batch.max(1) as f64;
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td>{} to {}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&label(name)),
            duration(found.median),
            duration(found.low),
            duration(found.high),
            duration(found.median / rows),
            three_digits(rows * 1e9 / found.median),
            run.trends.get(name).map_or_else(String::new, trend),
        );
    }
    text + "</table>\n"
}

/// A trend in words.
pub fn trend(trend: &Trend) -> String {
    let verdict = match trend.verdict {
        Verdict::TooFew => return "too few runs".to_owned(),
        Verdict::Steady => "steady",
        Verdict::Suspect => "slower this time",
        Verdict::Slower => "slower",
        Verdict::Faster => "faster",
    };
    format!("{:+.1} %, {verdict} (limit {:.1} %)", trend.change * 100.0, trend.limit * 100.0)
}

/// Time per row over the runs, one line for each benchmark of the group; the scale is logarithmic.
fn plot(group: &str, runs: &[Run]) -> String {
    let mut series: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        for (name, found) in run.benchmarks.iter().filter(|(name, _)| of(name, group)) {
            series.entry(name).or_default().push((index as f64, found.median / found.batch.max(1) as f64));
        }
    }
    let values = || series.values().flatten().map(|point| point.1.log10());
    let (low, high) = values().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    // Never less than a factor of two from bottom to top, so that noise does not fill the plot.
    let room = ((0.3 - (high - low)) / 2.0).max((high - low) * 0.08);
    let (low, high) = (low - room, high + room);
    let last = runs.len().saturating_sub(1).max(1) as f64;
    let x = |index: f64| {
        let share = if runs.len() == 1 { 0.5 } else { index / last };
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let y = |value: f64| TOP + (high - value.log10()) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut text = format!("<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    for tick in 0..=4 {
        let value = 10f64.powf(low + (high - low) * f64::from(tick) / 4.0);
        let _ = writeln!(
            text,
            "<line x1=\"{LEFT}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#dfe3e8\"/>\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            WIDTH - RIGHT,
            y(value),
            LEFT - 8.0,
            y(value) + 4.0,
            duration(value)
        );
    }
    let ends = if runs.len() > 1 { vec![0, runs.len() - 1] } else { vec![0] };
    for end in ends {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(end as f64),
            HEIGHT - 10.0,
            date(runs[end].time)
        );
    }
    let mut labels: Vec<(f64, &str, &str)> = Vec::new();
    for ((name, points), colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let line: Vec<_> = points.iter().map(|&(index, value)| format!("{:.1},{:.1}", x(index), y(value))).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for &(index, value) in points {
            let (x, y, time) = (x(index), y(value), duration(value));
            let title = format!("{}: {time} per row, {}", escaped(&label(name)), date(runs[index as usize].time));
            let _ = writeln!(
                text,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{title}</title></circle>"
            );
        }
        if let Some(&(_, value)) = points.last() {
            labels.push((y(value), name, colour));
        }
    }
    // From top to bottom, each below the one before.
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::MIN;
    for (y, name, colour) in labels {
        lowest = y.max(lowest + 14.0);
        let x = WIDTH - RIGHT + 12.0;
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{:.1}\" width=\"9\" height=\"9\" fill=\"{colour}\"/><text x=\"{}\" y=\"{:.1}\">{}</text>",
            lowest - 5.0,
            x + 14.0,
            lowest + 4.0,
            escaped(&short(name))
        );
    }
    text + "</svg><figcaption>time per row; every point is the median of a run</figcaption></figure>\n"
}

fn of(name: &str, group: &str) -> bool {
    name.split('/').next() == Some(group)
}

/// Everything but the group.
fn label(name: &str) -> String {
    name.split('/').skip(1).collect::<Vec<_>>().join(", ")
}

/// Backend and batch: all lines of a plot have room beside it.
fn short(name: &str) -> String {
    let parts: Vec<_> = name.split('/').collect();
    format!("{}, {}", parts.get(1).unwrap_or(&""), parts.last().unwrap_or(&""))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn three_digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn duration(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        value if value >= 1e9 => (value / 1e9, "s"),
        value if value >= 1e6 => (value / 1e6, "ms"),
        value if value >= 1e3 => (value / 1e3, "µs"),
        value => (value, "ns"),
    };
    format!("{} {unit}", three_digits(value))
}

/// The day of a time in seconds since 1970, after Howard Hinnant's `civil_from_days`.
fn date(time: u64) -> String {
    let days = time / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_durations_are_written_out() {
        for (time, expected) in [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_767_225_599, "2025-12-31")] {
            assert_eq!(date(time), expected);
        }
        for (time, expected) in [(12.3, "12.3 ns"), (4567.0, "4.57 µs"), (123.4e6, "123 ms"), (2e9, "2.00 s")] {
            assert_eq!(duration(time), expected);
        }
    }
}
