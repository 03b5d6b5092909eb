//! How tenants are, of a router that knows ten thousand: beside the requests, not on their way.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use micro::World;
use router::standing::Filter;

/// Tenants with three deployments of two endpoints each: 60,000 endpoints.
const TENANTS: u32 = 10_000;

criterion_group!(standing, looks);
criterion_main!(standing);

fn looks(criterion: &mut Criterion) {
    let world = World::new();
    let standing = world.standing(TENANTS, 2);
    let mut group = criterion.benchmark_group("standing");
    group.sample_size(20);
    group.bench_function("a look at all, nothing is the matter", |bencher| {
        bencher.iter(|| standing.look());
    });
    group.bench_function("overview, the worst hundred", |bencher| {
        bencher.iter_batched(
            Filter::default,
            |filter| standing.overview(&filter),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}
