//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// What there is.
#[derive(Clone, Copy, Debug)]
pub struct PlacesMax {
    /// At the same time.
    pub all: usize,
    /// From one address: a whole school may share one.
    pub address: usize,
    /// From one address, of those that have not shown that they belong here.
    pub address_unproved: usize,
}

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

/// Counts the connections.
#[derive(Clone, Debug)]
pub struct Places {
    max: PlacesMax,
    table: Arc<Mutex<Table>>,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    address: IpAddr,
    proved: bool,
}

impl Places {
    pub fn new(max: PlacesMax) -> Self {
        Self { max, table: Arc::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        work(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place for a connection from `address`, if there is one.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        self.with(|table| {
            let counted = table.addresses.get(&address);
            let full = counted.is_some_and(|counted| {
                counted.all >= self.max.address || counted.unproved >= self.max.address_unproved
            });
            if full || table.all >= self.max.all {
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
    /// The connection has shown that it belongs here.
    pub fn prove(&mut self) {
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
    use super::{Places, PlacesMax};

    #[test]
    fn an_address_has_so_many_places_for_strangers_and_they_come_back() {
        let places = Places::new(PlacesMax { all: 100, address: 50, address_unproved: 20 });
        let (flood, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let mut taken: Vec<_> = std::iter::from_fn(|| places.take(flood)).collect();
        assert_eq!(taken.len(), 20);
        assert!(places.take(other).is_some());
        taken[0].prove();
        let again = places.take(flood);
        assert!(again.is_some() && places.take(flood).is_none());
        drop((taken, again));
        assert!(places.with(|table| table.all == 0 && table.addresses.is_empty()));
    }
}
