"""CartPole with readable rewards, against gymnasium's own and the terms written out."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from active_rlhf.tasks.cartpole import CART, CARTPOLES, FLOOR, HEIGHT, PIXELS, POLE, WIDTH


@pytest.mark.parametrize("name", CARTPOLES)
def test_it_moves_as_gymnasiums_and_ends_with_it(name):
    env, peer = gymnasium.make(name), gymnasium.make("CartPole-v1")
    rng = np.random.default_rng(0)
    for seed in range(5):
        observation, expected = env.reset(seed=seed)[0], peer.reset(seed=seed)[0]
        ended = False
        while not ended:
            np.testing.assert_array_equal(observation, expected)
            action = int(rng.integers(2))
            observation, reward, *ends, _ = env.step(action)
            expected, _, *peers, _ = peer.step(action)
            assert ends == peers and 0 <= reward <= 1
            assert (reward == 0) == ends[0]  # what fell earns nothing
            ended = any(ends)


def test_gymnasium_finds_nothing_wrong_with_them():
    for name in CARTPOLES:
        check_env(gymnasium.make(name).unwrapped, skip_render_check=True)


@pytest.mark.parametrize(
    ("state", "reward"),
    [
        ((0, 0, 0, 0), 1),
        ((1.2, 0, 0, 0), (1 + 0.5 + 1) / 3),
        ((0, 0, np.radians(-3), 0), (0.75 + 1 + 1) / 3),
        ((0, 1, 0, -2), (1 + 1 + 1 / 6) / 3),
    ],
)
def test_balance_is_the_mean_of_angle_position_and_stability(state, reward):
    env = gymnasium.make("active_rlhf.tasks.cartpole:CartPoleBalanced-v0").unwrapped
    assert env.reward(*state) == pytest.approx(reward)
    assert gymnasium.make("CartPoleStandard-v0").unwrapped.reward(*state) == 1


def test_without_an_end_what_fell_stays_there_unrewarded():
    env = gymnasium.make("CartPoleBalanced-v0", terminate=False)
    env.reset(seed=1)
    steps = [env.step(1) for _ in range(500)]
    rewards = np.array([reward for _, reward, *_ in steps])
    fell = int(np.argmax(rewards == 0))
    assert 5 < fell < 20 and not rewards[fell:].any()
    assert all((step[0] == steps[fell][0]).all() for step in steps[fell:])
    assert [step[2] or step[3] for step in steps] == [False] * 499 + [True]


@pytest.mark.parametrize(("x", "theta"), [(0.0, 0.0), (1.5, 0.2), (-2.0, -0.2)])
def test_a_picture_shows_where_cart_and_pole_are(x, theta):
    env = gymnasium.make("CartPoleBalanced-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    env.state = (x, 0.0, theta, 0.0)
    picture = env.render()
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.dtype == np.uint8
    cart, pole = (np.argwhere((picture == colour).all(-1)) for colour in (CART, POLE))
    middle = WIDTH / 2 + PIXELS * x
    assert cart[:, 1].mean() == pytest.approx(middle, abs=3)
    top = pole[pole[:, 0].argmin()]
    assert np.arctan2(top[1] - middle, FLOOR - 24 - top[0]) == pytest.approx(theta, abs=0.1)
