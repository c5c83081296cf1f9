//! The rows of the Markdown table that is printed.

use std::time::Duration;

/// A measured value, as it is shown and as it is compared.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// With its unit.
    pub(crate) text: String,
    /// How much; what is better is said by [`Better`].
    pub(crate) value: f64,
}

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    /// The larger: rates.
    More,
    /// The smaller: times and sizes.
    Less,
}

/// A row about ours alone.
pub(crate) fn row(what: &str, result: &str) {
    line(&format!("| {what} | {result} | | |"));
}

/// A row that compares, when there is something to compare with.
fn compare(what: &str, better: Better, ours: &Figure, peer: Option<&Figure>) {
    let Some(peer) = peer else {
        return row(what, &ours.text);
    };
    let ratio = match better {
        Better::More => ours.value / peer.value,
        Better::Less => peer.value / ours.value,
    };
    line(&format!(
        "| {what} | {} | {} | {ratio:.1} |",
        ours.text, peer.text
    ));
}

/// A row of our figure and the stock server's, unless that is not there or not known.
pub(crate) fn show(what: &str, better: Better, figures: impl IntoIterator<Item = Figure>) {
    let mut figures = figures.into_iter();
    if let Some(ours) = figures.next() {
        let peer = figures.next().filter(|peer| peer.value > 0.0);
        compare(what, better, &ours, peer.as_ref());
    }
}

/// The first lines of the table.
pub(crate) fn head() {
    line("| what | ours | stock | times better |");
    line("|---|---|---|---|");
}

#[expect(clippy::print_stdout, reason = "the output of this program")]
fn line(text: &str) {
    println!("{text}");
}

/// The figure in the middle of several of the same.
pub(crate) fn median(mut figures: Vec<Figure>) -> Option<Figure> {
    figures.sort_by(|a, b| a.value.total_cmp(&b.value));
    let middle = figures.len() / 2;
    figures.into_iter().nth(middle)
}

/// A duration's figure in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> Figure {
    let value = time.as_secs_f64() * 1000.0;
    let text = format!("{value:.2} ms");
    Figure { text, value }
}

/// A percentile in milliseconds; 0 of nothing.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times
        .get(index)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// Bytes as megabytes.
#[expect(clippy::cast_precision_loss, reason = "for show")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}
