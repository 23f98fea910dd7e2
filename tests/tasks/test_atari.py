"""Atari games: seen as ale-py prepares them, repeatable from their origins, refused in one line."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from active_rlhf.errors import InputError
from active_rlhf.tasks import NotReproducible, made
from active_rlhf.tasks.atari import SCORES, AtariTask
from active_rlhf.tasks.vector import TasksInStep

SEAQUEST = "ALE/Seaquest-v5"


def acted(task: AtariTask, actions: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """Observations and rewards, up to the end of the episode."""
    seen, rewards = [], []
    for action in actions:
        reward, *ended = task.step(action)
        seen.append(task.observation)
        rewards.append(reward)
        if any(ended):
            break
    return seen, rewards


def test_frames_scores_and_ends_are_those_of_ale_pys_vector_environment():
    """But for roundings: of two million pixels a dozen differ, by one."""
    from ale_py.vector_env import AtariVectorEnv

    task = made(SEAQUEST, 0, {"noops": 0, "blank": []})
    plain = {"num_threads": 1, "noop_max": 0, "use_fire_reset": False, "reward_clipping": False}
    vector = AtariVectorEnv("seaquest", 1, autoreset_mode=AutoresetMode.SAME_STEP, **plain)
    observed, _ = vector.reset(seed=np.array([0]))
    np.testing.assert_array_equal(task.observation, observed[0])
    generator, total, other = np.random.default_rng(1), 0.0, 0
    for action in generator.integers(18, size=700):
        observed, rewards, over, *_ = vector.step(np.array([action]))
        reward, terminated, _ = task.step(action)
        assert (reward, terminated) == (rewards[0], over[0])
        total += reward
        if terminated:  # perhaps before the frames that ale-py would show
            break
        difference = np.abs(observed[0, -1].astype(int) - task.observation[-1])
        assert difference.max() <= 1
        other += int((difference > 0).sum())
    assert terminated and total > 0 and other < 50


# In the first, a reset alone does not lead to the same game; in the second, neither does restoring
# a state alone.
@pytest.mark.parametrize("game", ["Tennis", "Qbert", "Seaquest"])
@pytest.mark.parametrize("options", [{"sticky": 0.25}, {"ram": True}])
def test_an_episode_repeats_itself_from_its_origin_whatever_came_before(game, options):
    name = f"ALE/{game}-v5"
    one, other = made(name, 0, options), made(name, 7, options)
    actions = np.random.default_rng(0).integers(one.action_space.n, size=(2, 150))
    acted(one, actions[0])
    one.reset()
    first = one.observation
    seen, rewards = acted(one, actions[1])
    acted(other, actions[0, ::-1])
    other.stream.bit_generator.state = one.origin
    other.reset()
    np.testing.assert_array_equal(other.observation, first)
    again, same = acted(other, actions[1])
    np.testing.assert_array_equal(seen, again)
    assert rewards == same

    resumed = made(name, 3, options)
    resumed.load_state_dict(one.state_dict(), actions[1][: len(rewards)], np.array(rewards))
    np.testing.assert_array_equal(resumed.observation, one.observation)
    assert resumed.elapsed == one.elapsed
    with pytest.raises(NotReproducible):
        wrong = np.array(rewards) + 1
        resumed.load_state_dict(one.state_dict(), actions[1][: len(rewards)], wrong)


def test_the_score_is_seen_by_people_only():
    shown, hidden = (made(SEAQUEST, 0, {"noops": 0} | more) for more in ({"blank": []}, {}))
    for task in (shown, hidden):
        acted(task, np.zeros(5, int))
    rows = slice(0, round(SCORES["Seaquest"][0][1] * 84 / 210))
    assert shown.observation[-1, rows].std() > 0
    assert not hidden.observation[-1, rows].any()
    np.testing.assert_array_equal(shown.observation[-1, 9:], hidden.observation[-1, 9:])
    np.testing.assert_array_equal(shown.render(), hidden.render())
    assert shown.render().shape == (210, 160, 3) and shown.dt == pytest.approx(1 / 15)


def test_in_memory_the_score_is_hidden_too():
    shown, hidden = (made(SEAQUEST, 0, {"ram": True} | more) for more in ({"blank": []}, {}))
    actions = np.random.default_rng(3).integers(18, size=300)
    (seen, rewards), (blind, same) = acted(shown, actions), acted(hidden, actions)
    assert rewards == same and sum(rewards) > 0
    scores = [int(f"{memory[58]:x}") for memory in seen]  # two decimal digits
    np.testing.assert_array_equal(np.cumsum(rewards) % 100, scores)
    assert not any(memory[58] for memory in blind)


def test_options_change_the_game():
    generator = np.random.default_rng(0)
    short = made(SEAQUEST, 0, {"max_episode_steps": 9, "full_action_set": True, "ram": True})
    assert short.horizon == 9 and short.action_space.n == 18
    *_, (_, terminated, truncated) = [short.step(0) for _ in range(9)]
    assert truncated and not terminated
    lives = made(SEAQUEST, 0, {"life_loss": True, "ram": True})
    whole = made(SEAQUEST, 0, {"ram": True})
    actions = generator.integers(18, size=900)
    assert len(acted(lives, actions)[0]) < len(acted(whole, actions)[0])
    quick = made(SEAQUEST, 0, {"frame_skip": 1, "noops": 0})
    acted(quick, actions[:8])
    assert quick.dt == pytest.approx(1 / 60)


def test_several_begin_differently_and_act_in_step():
    tasks = TasksInStep([made(SEAQUEST, seed, {"ram": True}) for seed in range(3)])
    for _ in range(10):
        rewards, terminated, _ = tasks.step(np.array([0, 1, 2]))
    assert tasks.observations.shape == (3, 128) and tasks.observations.dtype == np.uint8
    assert not terminated.any() and rewards.shape == (3,)
    assert len({row.tobytes() for row in tasks.observations}) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ALE/Seaqest-v5", {}, "no such game for one player, did you mean 'ALE/Seaquest-v5'"),
        ("ALE/Combat-v5", {}, "no such game for one player"),  # its ROM would end the process
        ("ALE/Seaquest-v4", {}, "no such game"),
        (SEAQUEST, {"obs_type": "ram"}, "unknown setting 'obs_type'; known: ram"),
        (SEAQUEST, {"frame_skip": 0}, "frame_skip: must be at least 1"),
        (SEAQUEST, {"blank": [[0, 211, 0, 160]]}, r"blank: must be a list of \[top, bottom"),
        (SEAQUEST, {"blank": [128], "ram": True}, "blank: must be a list of the number of a byte"),
    ],
)
def test_other_games_and_options_are_refused_in_one_line(name, options, message):
    with pytest.raises(InputError, match=message):
        made(name, 0, options)
