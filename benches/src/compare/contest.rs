//! One scenario on several servers, in interleaved rounds.

use super::report::{Beside, Goal, Report, Unit, median};
use crate::{BoxError, load::Throughput};

/// The name of the first contender.
const CIRCLES: &str = "circles";

/// A figure of one round.
pub(crate) struct Sample {
    pub(crate) figure: f64,
    pub(crate) throughput: Option<Throughput>,
}

impl From<f64> for Sample {
    fn from(figure: f64) -> Self {
        Self { figure, throughput: None }
    }
}

/// What measures a contender for one round.
pub(crate) type Measure<'a> = Box<dyn FnMut() -> Result<Sample, BoxError> + 'a>;

/// A server, or whatever else takes part in a scenario.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    /// The goal of the row that compares circles with this contender.
    pub(crate) goal: Option<Goal>,
    /// What measures the contender, or why it is missing.
    pub(crate) measure: Result<Measure<'a>, String>,
}

/// Returns the name of the row that compares circles with a peer.
pub(crate) fn row_name(scenario: &str, peer: &str) -> String {
    format!("{scenario} / {peer}")
}

/// Measures `circles` and its peers, and adds a row for each peer; without peers, a row for circles alone.
pub(crate) fn compare(
    report: &mut Report,
    scenario: &str,
    unit: Unit,
    rounds: usize,
    circles: Measure<'_>,
    goal: Option<Goal>,
    peers: Vec<Contender<'_>>,
) -> Result<(), BoxError> {
    let is_alone = peers.is_empty() || (goal.is_some() && report.includes(scenario));
    let mut contenders = vec![Contender { name: CIRCLES.into(), goal, measure: Ok(circles) }];
    contenders.extend(peers.into_iter().filter(|peer| report.includes(&row_name(scenario, &peer.name))));
    if !is_alone && contenders.len() == 1 {
        return Ok(());
    }
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            let Ok(measure) = &mut contender.measure else { continue };
            match measure() {
                Ok(sample) => samples.push(sample),
                Err(error) if contender.name == CIRCLES => return Err(format!("{scenario}: {error}").into()),
                // A peer that fails costs its own row alone.
                Err(error) => {
                    eprintln!("{scenario}, {}: {error}", contender.name);
                    contender.measure = Err("failed".into());
                    samples.clear();
                }
            }
        }
    }
    let figures = |of: usize| samples[of].iter().map(|sample| sample.figure);
    let ours = median(figures(0));
    if is_alone {
        report.add(scenario, ours, unit, &Beside::Nothing, goal);
    }
    for (index, peer) in contenders.iter().enumerate().skip(1) {
        let beside = match &peer.measure {
            Ok(_) => {
                let ratio = median(figures(0).zip(figures(index)).map(|(ours, peer)| ours / peer));
                Beside::Figure { figure: median(figures(index)), ratio }
            }
            Err(why) => Beside::Missing(why.clone()),
        };
        report.add(&row_name(scenario, &peer.name), ours, unit, &beside, peer.goal);
    }
    for (contender, samples) in contenders.iter().zip(&samples) {
        let throughputs: Vec<_> = samples.iter().filter_map(|sample| sample.throughput).collect();
        if !throughputs.is_empty() {
            report.add_details(scenario, &contender.name, &throughputs);
        }
    }
    Ok(())
}
