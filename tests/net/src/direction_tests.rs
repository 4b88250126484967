use super::*;
use crate::settings::Burst;

const MS: u64 = 1_000_000;

fn direction(way: Way) -> Direction {
    Direction::new(way, Source::new(1, 0))
}

/// Offers `count` packets of 1250 B, `gap_ns` apart; numbers and times of arrival.
fn blast(direction: &mut Direction, count: u32, gap_ns: u64) -> Vec<(u32, u64)> {
    let mut arrivals = Vec::new();
    let mut collect = |direction: &mut Direction, until_ns: u64| {
        while let Some(at) = direction.deadline_ns().filter(|at| *at <= until_ns) {
            while let Some(bytes) = direction.arrived(at) {
                let number = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"));
                arrivals.push((number, at));
            }
        }
    };
    for number in 0..count {
        let now = u64::from(number) * gap_ns;
        collect(direction, now);
        let mut bytes = vec![0; 1250];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        direction.offer(now, bytes);
    }
    collect(direction, u64::MAX / 2);
    arrivals
}

#[test]
fn the_rate_is_held_whoever_comes_late() {
    let mut link = direction(Way { rate_bps: Some(1_000_000), queue_ms: 1e6, ..Way::default() });
    for _ in 0..100 {
        link.offer(0, vec![0; 1250]);
    }
    // 10 ms each; nobody looks for 500 ms, and then 50 have arrived.
    let mut arrived = 0;
    while link.arrived(500 * MS).is_some() {
        arrived += 1;
    }
    assert_eq!(arrived, 50);
    assert_eq!(link.deadline_ns(), Some(510 * MS));
}

#[test]
fn a_full_queue_drops_its_tail() {
    let mut link = direction(Way { rate_bps: Some(1_000_000), queue_ms: 100.0, ..Way::default() });
    let arrivals = blast(&mut link, 30, 0);
    assert_eq!(
        arrivals.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    assert_eq!(link.counts().queue_full, 20);
}

#[test]
fn a_change_of_rate_counts_for_what_is_being_sent() {
    let mut link = direction(Way { rate_bps: Some(1_000_000), ..Way::default() });
    link.offer(0, vec![0; 1250]);
    link.change(5 * MS, Way { rate_bps: Some(500_000), ..Way::default() });
    assert_eq!(link.deadline_ns(), Some(15 * MS));
    link.change(6 * MS, Way::default());
    assert!(link.arrived(6 * MS).is_some(), "without a limit it is sent at once");
}

#[test]
fn losses_come_alone_or_in_runs_of_the_given_length() {
    let mut alone = direction(Way { loss_percent: 10.0, ..Way::default() });
    blast(&mut alone, 20_000, MS);
    assert!((1_850..2_150).contains(&alone.counts().lost), "{:?}", alone.counts());
    let burst = Some(Burst { percent: 10.0, length: 5.0 });
    let mut runs = direction(Way { burst, ..Way::default() });
    let arrivals = blast(&mut runs, 50_000, MS);
    let lost = runs.counts().lost_in_burst;
    let gaps = arrivals.windows(2).filter(|pair| pair[1].0 != pair[0].0 + 1).count();
    assert!((4_500..5_500).contains(&lost), "{lost}");
    let length = lost as f64 / gaps as f64;
    assert!((4.5..5.5).contains(&length), "{length}");
}

#[test]
fn jitter_keeps_the_order_and_its_bounds() {
    let mut link = direction(Way { delay_ms: 50.0, jitter_ms: 20.0, ..Way::default() });
    let arrivals = blast(&mut link, 5_000, 50 * MS);
    assert!(arrivals.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let delays: Vec<f64> = arrivals
        .iter()
        .map(|(number, at)| (at - u64::from(*number) * 50 * MS) as f64 / 1e6)
        .collect();
    assert!(delays.iter().all(|delay| (30.0..=70.0).contains(delay)));
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    let deviation = (delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>()
        / delays.len() as f64)
        .sqrt();
    assert!((mean - 50.0).abs() < 1.0 && (8.5..10.5).contains(&deviation), "{mean} {deviation}");
}

#[test]
fn held_back_packets_are_passed_by_later_ones() {
    let mut link = direction(Way { reorder_percent: 5.0, reorder_ms: 25.0, ..Way::default() });
    let arrivals = blast(&mut link, 1_000, 10 * MS);
    assert_eq!(arrivals.len(), 1_000);
    let late = arrivals.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
    assert!(late > 30 && late as u64 <= link.counts().reordered);
}

#[test]
fn duplicates_arrive_twice() {
    let mut link = direction(Way { duplicate_percent: 100.0, ..Way::default() });
    assert_eq!(blast(&mut link, 10, MS).len(), 20);
    assert_eq!(link.counts().duplicated, 10);
}

#[test]
fn a_cut_link_drops_what_waits_and_what_comes_until_it_is_mended() {
    let mut link = direction(Way { rate_bps: Some(1_000_000), ..Way::default() });
    link.offer(0, vec![0; 1250]);
    link.set_cut(MS, true);
    link.offer(2 * MS, vec![0; 1250]);
    assert_eq!((link.counts().cut, link.deadline_ns()), (2, None));
    link.set_cut(3 * MS, false);
    link.offer(4 * MS, vec![0; 1250]);
    assert_eq!(link.deadline_ns(), Some(14 * MS));
}

#[test]
fn the_queue_tells_how_long_it_is() {
    let mut link = direction(Way { rate_bps: Some(1_000_000), ..Way::default() });
    for _ in 0..3 {
        link.offer(0, vec![0; 1250]);
    }
    assert!((link.queue_ms(0) - 30.0).abs() < 0.01);
    assert!((link.queue_ms(5 * MS) - 25.0).abs() < 0.01);
}
