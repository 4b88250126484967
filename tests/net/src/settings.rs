//! What a link is like, as data: one JSON object, which is also what the log and the tables name.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::middlebox::Policy;

/// A link between side A (a client) and side B (the network).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The same seed makes the same decision about the packet with the same number.
    pub(crate) seed: u64,
    /// From A to B.
    pub(crate) up: Way,
    /// From B to A.
    pub(crate) down: Way,
    pub(crate) middlebox: Policy,
    pub(crate) schedule: Vec<Change>,
}

/// One direction of a link. The default is a cable: nothing is limited, late or lost.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Way {
    /// Bits of IP packets in a second; none: unlimited.
    pub(crate) rate_bps: Option<u64>,
    /// Room of the drop-tail queue before the bottleneck, in time at the present rate.
    pub(crate) queue_ms: f64,
    /// The same in bytes; it wins.
    pub(crate) queue_bytes: Option<usize>,
    /// One way, after the bottleneck.
    pub(crate) delay_ms: f64,
    /// Greatest change of the delay, up or down; normally distributed with half of it as deviation. The order is kept.
    pub(crate) jitter_ms: f64,
    /// How much of a packet's change of delay its successor inherits, 0 to 1: without it neighbours jump about.
    pub(crate) jitter_memory: f64,
    /// Lost after the bottleneck, each packet by itself.
    pub(crate) loss_percent: f64,
    /// Lost in runs (Gilbert-Elliott with a bad state that loses everything).
    pub(crate) burst: Option<Burst>,
    /// Packets that are held back by `reorder_ms`, so that later ones pass them.
    pub(crate) reorder_percent: f64,
    pub(crate) reorder_ms: f64,
    /// Packets that arrive twice.
    pub(crate) duplicate_percent: f64,
}

impl Default for Way {
    fn default() -> Self {
        Self {
            rate_bps: None,
            queue_ms: 200.0,
            queue_bytes: None,
            delay_ms: 0.0,
            jitter_ms: 0.0,
            jitter_memory: 0.0,
            loss_percent: 0.0,
            burst: None,
            reorder_percent: 0.0,
            reorder_ms: 0.0,
            duplicate_percent: 0.0,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    /// Of all packets, in the long run.
    pub(crate) percent: f64,
    /// Mean number of packets in a run of losses.
    pub(crate) length: f64,
}

/// New values for some of the fields, from a time after the start of the link (or of the order) on.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[serde(default)]
    pub(crate) at_s: f64,
    /// Fields of [`Way`]; what is not named stays.
    #[serde(default)]
    pub(crate) up: Map<String, Value>,
    #[serde(default)]
    pub(crate) down: Map<String, Value>,
}

impl Settings {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let settings: Self = serde_json::from_str(text).context("the settings of a link")?;
        settings.up.check()?;
        settings.down.check()?;
        let mut later = settings.clone();
        for change in &settings.schedule {
            later.up = later.up.with(&change.up)?;
            later.down = later.down.with(&change.down)?;
        }
        Ok(settings)
    }
}

impl Way {
    /// This with some fields changed.
    pub(crate) fn with(&self, changed: &Map<String, Value>) -> Result<Self> {
        let mut all = serde_json::to_value(self)?;
        let fields = all.as_object_mut().context("a way is an object")?;
        fields.extend(changed.clone());
        let way: Self = serde_json::from_value(all).context("a change of a link")?;
        way.check()?;
        Ok(way)
    }

    fn check(&self) -> Result<()> {
        let burst = self.burst.map_or(0.0, |burst| burst.percent);
        for percent in [self.loss_percent, burst, self.reorder_percent, self.duplicate_percent] {
            ensure!((0.0..=100.0).contains(&percent), "{percent} % is no share");
        }
        for ms in [self.queue_ms, self.delay_ms, self.jitter_ms, self.reorder_ms] {
            ensure!(ms.is_finite() && ms >= 0.0, "{ms} ms is no time");
        }
        ensure!((0.0..1.0).contains(&self.jitter_memory), "jitter_memory is from 0 to below 1");
        ensure!(self.rate_bps != Some(0), "a link without a rate is one that is cut");
        ensure!(
            self.burst.is_none_or(|burst| burst.length >= 1.0 && burst.percent < 100.0),
            "burst: length from 1, percent below 100"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let settings = Settings::parse(
            r#"{"down": {"rate_bps": 2000000, "delay_ms": 20}, "schedule": [{"at_s": 5, "down": {"rate_bps": 400000}}]}"#,
        )
        .expect("these are settings");
        let later = settings.down.with(&settings.schedule[0].down).expect("this is a change");
        assert_eq!((later.rate_bps, later.delay_ms), (Some(400_000), 20.0));
    }

    #[test]
    fn a_misspelt_field_is_refused_wherever_it_stands() {
        assert!(Settings::parse(r#"{"down": {"rate": 1}}"#).is_err());
        assert!(Settings::parse(r#"{"schedule": [{"at_s": 1, "down": {"rate": 1}}]}"#).is_err());
        assert!(Settings::parse(r#"{"down": {"loss_percent": 101}}"#).is_err());
    }
}
