//! Compares eviction policies for the verdict cache by how many validations they cost.
//!
//! `cargo bench --bench cache_policy`. No time is measured, so the numbers are nearly the same on every machine. All
//! caches hold [`CAPACITY`] tokens of the same size. The verdict cache uses "S3-FIFO, 90 % hot".

#![allow(clippy::print_stdout, reason = "the table is the result")]

use std::hash::{BuildHasherDefault, DefaultHasher};

use moka::policy::EvictionPolicy;
use quick_cache::{OptionsBuilder, UnitWeighter, sync::DefaultLifecycle};

const CAPACITY: u64 = 2_000;

type NewCache = fn() -> Cache;
type BuildHasher = BuildHasherDefault<DefaultHasher>;

enum Cache {
    S3Fifo(quick_cache::sync::Cache<u64, (), UnitWeighter, BuildHasher>),
    Moka(moka::sync::Cache<u64, (), BuildHasher>),
}

impl Cache {
    fn s3_fifo(hot: f64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(CAPACITY).expect("a small number"))
            .weight_capacity(CAPACITY)
            .hot_allocation(hot)
            .ghost_allocation(0.5)
            .shards(8)
            .build()
            .expect("all options are set");
        let (hasher, lifecycle) = (BuildHasher::default(), DefaultLifecycle::default());
        Self::S3Fifo(quick_cache::sync::Cache::with_options(options, UnitWeighter, hasher, lifecycle))
    }

    fn moka(policy: EvictionPolicy) -> Self {
        let builder = moka::sync::Cache::builder().max_capacity(CAPACITY * 1_000).weigher(|_, ()| 1_000);
        Self::Moka(builder.eviction_policy(policy).build_with_hasher(BuildHasher::default()))
    }

    fn contains(&self, token: u64) -> bool {
        match self {
            Self::S3Fifo(cache) => cache.get(&token).is_some(),
            Self::Moka(cache) => cache.get(&token).is_some(),
        }
    }

    /// Handles a request with a valid token. Returns the number of validations.
    fn request(&self, token: u64) -> u32 {
        if self.contains(token) {
            return 0;
        }
        match self {
            Self::S3Fifo(cache) => cache.insert(token, ()),
            Self::Moka(cache) => {
                cache.insert(token, ());
                cache.run_pending_tasks();
            }
        }
        1
    }

    /// Uses each of the first `tokens` tokens five times, in turn.
    fn warm_up(&self, tokens: u64) {
        for token in (0..5).flat_map(|_| 0..tokens) {
            self.request(token);
        }
    }
}

/// Xorshift, so that every run sees the same requests.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn fraction(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1_u64 << 53) as f64
    }
}

/// Returns the hit rate with `tokens` tokens whose use follows Zipf's law (exponent 0.9).
fn zipf_hits(cache: &Cache, random: &mut Random, tokens: u64) -> f64 {
    const REQUESTS: u32 = 200_000;
    let mut total = 0.0;
    let shares: Vec<f64> = (1..=tokens)
        .map(|rank| {
            total += (rank as f64).powf(-0.9);
            total
        })
        .collect();
    let mut requests = || -> u32 {
        (0..REQUESTS)
            .map(|_| {
                let place = random.fraction() * total;
                cache.request(shares.partition_point(|share| *share < place) as u64)
            })
            .sum()
    };
    requests();
    1.0 - f64::from(requests()) / f64::from(REQUESTS)
}

/// Returns the mean and the maximum number of validations in the first 20 uses of a new token, in a cache full of
/// tokens in use.
fn new_token(cache: &Cache, random: &mut Random) -> (f64, u32) {
    const NEW: u64 = 200;
    cache.warm_up(CAPACITY);
    let validations = (0..NEW).map(|token| {
        (0..20)
            .map(|_| {
                for _ in 0..100 {
                    cache.request(random.below(CAPACITY));
                }
                cache.request(CAPACITY + token)
            })
            .sum::<u32>()
    });
    let validations: Vec<_> = validations.collect();
    (f64::from(validations.iter().sum::<u32>()) / NEW as f64, validations.into_iter().max().unwrap_or(0))
}

/// Returns the share of a set of tokens that is still cached after a scan of ten times the capacity. Each token of the
/// set was used five times. The scan uses each of its tokens once, with `uses` requests for the set between two of
/// them.
fn after_a_scan(cache: &Cache, random: &mut Random, set: u64, uses: f64) -> f64 {
    cache.warm_up(set);
    for token in 0..10 * CAPACITY {
        cache.request(CAPACITY + token);
        if random.fraction() < uses {
            cache.request(random.below(set));
        }
    }
    (0..set).filter(|token| cache.contains(*token)).count() as f64 / set as f64
}

/// Returns the validations per token while clients renew their tokens, each after 50 uses on average.
fn renewal(cache: &Cache, random: &mut Random, clients: u64) -> f64 {
    let mut tokens: Vec<_> = (0..clients).collect();
    let (mut next, mut validations) = (clients, 0);
    for _ in 0..200 * clients {
        let client = &mut tokens[usize::try_from(random.below(clients)).expect("a small number")];
        if random.below(50) == 0 {
            *client = next;
            next += 1;
        }
        validations += cache.request(*client);
    }
    f64::from(validations) / next as f64
}

/// Returns the validations per token in the first 20 uses, after all clients renewed their tokens at once.
fn all_renewed(cache: &Cache, random: &mut Random, clients: u64) -> f64 {
    cache.warm_up(CAPACITY);
    let requests = (0..20 * clients).map(|_| cache.request(CAPACITY + random.below(clients)));
    f64::from(requests.sum::<u32>()) / clients as f64
}

fn main() {
    let policies: [(&str, NewCache); 6] = [
        ("S3-FIFO, 97 % hot", || Cache::s3_fifo(0.97)),
        ("S3-FIFO, 90 % hot", || Cache::s3_fifo(0.9)),
        ("S3-FIFO, 80 % hot", || Cache::s3_fifo(0.8)),
        ("S3-FIFO, 50 % hot", || Cache::s3_fifo(0.5)),
        ("TinyLFU (moka)", || Cache::moka(EvictionPolicy::tiny_lfu())),
        ("LRU (moka)", || Cache::moka(EvictionPolicy::lru())),
    ];
    for (name, cache) in policies {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let random = &mut random;
        println!("{name}");
        for times in [2, 5, 20] {
            let hits = zipf_hits(&cache(), random, times * CAPACITY);
            println!("  hits, Zipf over {times} times as many tokens as fit: {:.1} %", 100.0 * hits);
        }
        let (mean, most) = new_token(&cache(), random);
        println!("  validations of a new token in a full cache: {mean:.2} on average, {most} at most");
        for (set, uses) in [(2, 0.0), (2, 0.1), (2, 1.0), (1, 0.1), (1, 1.0)] {
            let kept = after_a_scan(&cache(), random, CAPACITY * 9 / 10 / set, uses);
            let share = 90 / set;
            println!(
                "  still cached after a scan, set of {share} %, {uses} uses per token: {:.1} %",
                100.0 * kept
            );
        }
        for percent in [50, 80] {
            let validations = renewal(&cache(), random, CAPACITY * percent / 100);
            println!("  validations per token, {percent} % renewing one by one: {validations:.2}");
        }
        for percent in [50, 90] {
            let validations = all_renewed(&cache(), random, CAPACITY * percent / 100);
            println!("  validations per token, {percent} % renewed at once: {validations:.2}");
        }
    }
}
