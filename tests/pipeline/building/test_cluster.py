"""How a build's pools of workers share a cluster's cores and GPUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import RequestError
from pipeline.building.cluster import fused, pools
from pipeline.recipe import StageSpec, load_recipe

STAGES = load_recipe().stages


def with_resources(**by_stage: dict) -> tuple[StageSpec, ...]:
    return load_recipe(
        None, [f"{stage}.resources.{key}={value}" for stage, own in by_stage.items() for key, value in own.items()]
    ).stages


def names(pool) -> list[str]:
    return [spec.name for spec in pool.specs]


def test_stages_with_equal_resources_run_in_one_process():
    (pool,) = pools(STAGES, cpus=2, gpus=0, workers=2, shards=9)
    assert names(pool) == ["speak", "cast", "synthesize", "schedule", "render", "verify", "tokenize"]
    assert (pool.size, pool.cpus, pool.gpus) == (2, 1, 0)


def test_no_more_workers_than_shards():
    assert pools(STAGES, cpus=16, gpus=0, workers=16, shards=3)[0].size == 3


def test_a_gpu_stage_is_a_separate_pool_and_its_cores_are_kept_free():
    cores, gpu = pools(with_resources(tokenize={"gpus": 1}), cpus=3, gpus=1, workers=3, shards=9)
    assert names(gpu) == ["tokenize"]
    assert (gpu.size, gpu.cpus, gpu.gpus) == (1, 1, 1)
    assert (cores.size, cores.cpus) == (2, 1)


def test_a_share_of_a_gpu_gives_as_many_workers_as_it_holds():
    _, gpu = pools(with_resources(tokenize={"gpus": 0.25, "cpus": 0.5}), cpus=8, gpus=1, workers=8, shards=99)
    assert gpu.size == 4


def test_pools_around_a_gpu_stage_share_the_cores():
    before, gpu, after = pools(with_resources(render={"gpus": 1}), cpus=2, gpus=1, workers=2, shards=9)
    assert before.size * before.cpus + after.size * after.cpus + gpu.size * gpu.cpus <= 2


def test_a_stage_that_exceeds_the_cluster_is_rejected_by_name():
    with pytest.raises(RequestError, match="'tokenize' needs 1 cores and 1 GPUs, but Ray has 2 and 0"):
        pools(with_resources(tokenize={"gpus": 1}), cpus=2, gpus=0, workers=2, shards=9)


needs = st.fixed_dictionaries(
    {"cpus": st.sampled_from([0.25, 0.5, 1, 2]), "gpus": st.sampled_from([0, 0, 0.25, 1])},
    optional={"concurrency": st.integers(1, 4)},
)


@given(
    st.dictionaries(st.sampled_from([spec.name for spec in STAGES]), needs, max_size=4),
    st.integers(2, 64),
    st.sampled_from([1, 2, 4]),
    st.integers(1, 200),
)
def test_all_workers_fit_at_once_wherever_all_pools_can_have_one(by_stage, cpus, gpus, shards):
    stages = with_resources(**by_stage)
    if sum(group[0].resources.gpus for group in fused(stages)) > gpus:
        with pytest.raises(RequestError, match="GPUs"):
            pools(stages, cpus, gpus, cpus, shards)
        return
    chosen = pools(stages, cpus, gpus, cpus, shards)
    assert [name for pool in chosen for name in names(pool)] == [spec.name for spec in stages]
    assert all(1 <= pool.size <= shards for pool in chosen)
    assert sum(pool.size * pool.gpus for pool in chosen) <= gpus
    if sum(pool.cpus for pool in chosen if pool.gpus) < cpus:
        assert sum(pool.size * pool.cpus for pool in chosen) <= cpus + 0.01
