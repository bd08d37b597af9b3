//! What happens when a table is full? The oldest entry makes room, so memory is bounded whatever peers do.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A map of at most `capacity` entries that forgets the oldest first.
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, V>,
    arrivals: VecDeque<K>,
    capacity: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), arrivals: VecDeque::new(), capacity }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_none() {
            self.arrivals.push_back(key);
        }
        if self.arrivals.len() > self.capacity {
            let oldest = self.arrivals.pop_front();
            oldest.and_then(|key| self.entries.remove(&key));
        }
    }

    pub(super) fn find(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn find_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }
}
