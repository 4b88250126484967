//! How many streams there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Streams at the same time: four for each of 500 people, and as many again.
const STREAMS_MAX: usize = 4_096;
/// From one address: a whole school may share one.
const ADDRESS_STREAMS_MAX: usize = 2_048;
/// From one address, of those that have not shown that they belong here.
const ADDRESS_UNPROVED_MAX: usize = 256;

#[derive(Debug, Default)]
struct Counted {
    all: usize,
    unproved: usize,
}

#[derive(Debug, Default)]
struct Table {
    all: usize,
    addresses: HashMap<IpAddr, Counted>,
}

/// Counts the streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Table>>);

/// One stream's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    address: IpAddr,
    proved: bool,
}

impl Places {
    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place for a stream from `address`, if there is one.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        self.with(|table| {
            let counted = table.addresses.get(&address);
            let full = counted.is_some_and(|counted| {
                counted.all >= ADDRESS_STREAMS_MAX || counted.unproved >= ADDRESS_UNPROVED_MAX
            });
            if full || table.all >= STREAMS_MAX {
                return None;
            }
            table.all += 1;
            let counted = table.addresses.entry(address).or_default();
            counted.all += 1;
            counted.unproved += 1;
            Some(Place { places: self.clone(), address, proved: false })
        })
    }
}

impl Place {
    /// The stream has shown that it belongs here.
    pub(crate) fn prove(&mut self) {
        if !self.proved {
            self.proved = true;
            self.places.with(|table| {
                if let Some(counted) = table.addresses.get_mut(&self.address) {
                    counted.unproved -= 1;
                }
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.prove();
        self.places.with(|table| {
            table.all -= 1;
            if let Some(counted) = table.addresses.get_mut(&self.address) {
                counted.all -= 1;
                if counted.all == 0 {
                    table.addresses.remove(&self.address);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESS_UNPROVED_MAX, Places};

    #[test]
    fn an_address_has_so_many_places_for_strangers_and_they_come_back() {
        let places = Places::default();
        let (flood, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut taken: Vec<_> = std::iter::from_fn(|| places.take(flood)).collect();
        assert_eq!(taken.len(), ADDRESS_UNPROVED_MAX);
        assert!(places.take(other).is_some());
        taken[0].prove();
        let again = places.take(flood);
        assert!(again.is_some() && places.take(flood).is_none());
        drop((taken, again));
        assert!(places.with(|table| table.all == 0 && table.addresses.is_empty()));
    }
}
