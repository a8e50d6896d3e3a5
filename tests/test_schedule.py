import pytest

from stylegan2_tf.schedule import Schedule, Stage


@pytest.fixture
def growing(tiny_config):
    """A function that makes a schedule of the tiny configuration, grown from 4 to 16 pixels."""
    def make(total, lengths=None, **changes):
        return Schedule(tiny_config(progressive=True, **changes), total, lengths)

    return make


def starts(schedule):
    return [stage.start for stage in schedule.stages]


def test_without_growing_there_is_one_stage(tiny_config):
    schedule = Schedule(tiny_config(resolution="8x16", g_input_res=4, d_final_res=4), 1000)
    assert schedule.stages == [Stage(None, (8, 16), 4)]
    assert schedule.lengths == []
    stage = schedule.at(10**9)
    assert stage.name == "" and stage.end is None
    assert stage.fade(0) == stage.fade(999) == 1.0


def test_open_stages_are_equal_parts_of_the_run(growing):
    schedule = growing(120)
    assert [(stage.level, stage.sides, stage.name) for stage in schedule.stages] == [
        (0, (4, 4), "4x4"), (1, (8, 8), "8x8"), (2, (16, 16), "16x16")]
    assert starts(schedule) == [0, 40, 80]
    assert [stage.end for stage in schedule.stages] == [40, 80, None]
    assert [stage.batch for stage in schedule.stages] == [4, 4, 4]


def test_sides_of_images_that_are_not_square(growing):
    schedule = growing(120, resolution="12x16", g_input_res=3, d_final_res="3x4")
    assert [stage.name for stage in schedule.stages] == ["3x4", "6x8", "12x16"]


@pytest.mark.parametrize("total", [60, 100, 121])
@pytest.mark.parametrize("batches", [None, "16,8,6", "7"])
def test_every_stage_is_a_whole_number_of_steps(growing, total, batches):
    schedule = growing(total, stage_batch=batches)
    assert schedule.stages[-1].start < total
    for stage in schedule.stages[:-1]:
        assert (stage.end - stage.start) % stage.batch == 0 and stage.end > stage.start
    assert [stage.start for stage in schedule.stages[1:]] == [
        stage.end for stage in schedule.stages[:-1]]


def test_given_lengths_are_rounded_down_to_steps(growing):
    assert starts(growing(1000, stage_kimg="0.05")) == [0, 48, 96]  # the last one is repeated
    assert starts(growing(1000, stage_kimg="0.02,0.04")) == [0, 20, 60]
    assert starts(growing(1000, stage_kimg="0.05", stage_batch="32,5")) == [0, 32, 82]
    assert starts(growing(1000, stage_kimg="0.001")) == [0, 4, 8]  # one step at least


def test_given_batches(growing):
    batches = [[stage.batch for stage in growing(999, stage_batch=text).stages]
               for text in ("8", "16,8", "16,8,6")]
    assert batches == [[8, 8, 8], [16, 8, 8], [16, 8, 6]]


def test_the_stage_of_a_counter(growing):
    schedule = growing(120)
    assert [schedule.at(nimg).level for nimg in (0, 36, 40, 76, 80, 10**6)] == [0, 0, 1, 1, 2, 2]


def test_a_resolution_fades_in_over_half_its_stage(growing):
    first, second, last = growing(1000, stage_kimg="0.08,0.04").stages
    assert [first.fade(nimg) for nimg in (0, 40, 79)] == [1.0, 1.0, 1.0]
    assert [second.fade(nimg) for nimg in (80, 85, 90, 100, 119)] == [0.0, 0.25, 0.5, 1.0, 1.0]
    # The last one has no end: it counts as long as the one before it.
    assert [last.fade(nimg) for nimg in (120, 130, 140, 10**6)] == [0.0, 0.5, 1.0, 1.0]


def test_when_all_resolutions_are_there(tiny_config, growing):
    assert growing(1000, stage_kimg="0.08,0.04").complete == 140
    assert growing(120).complete == 100
    assert Schedule(tiny_config(), 1000).complete == 0


def test_lengths_restore_the_stages_of_another_total(growing):
    before = growing(120)
    again = growing(600, lengths=before.lengths)
    assert again.stages == before.stages
    assert growing(600).stages != before.stages
