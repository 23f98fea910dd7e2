"""Networks, the observation normaliser and the likelihood of actions, compiled."""

from collections import namedtuple

import numpy as np

from active_rlhf.compute.compilation import compiled

Network = namedtuple("Network", "w1 b1 w2 b2 w3 b3")
Network.__doc__ = """Two hidden layers; weights are [inputs, outputs], float32."""

_F = np.float32
_ONE, _TWO = _F(1), _F(2)
_LIMIT, _QUARTER = _F(9), _F(0.25)
_N1, _N2, _N3 = _F(21), _F(1260), _F(10395)
_D1, _D2, _D3 = _F(210), _F(4725), _F(10395)
LOG_2PI = _F(np.log(2 * np.pi))
OBSERVATION_CLIP = 10.0
VARIANCE_FLOOR = 1e-8


@compiled
def tanh(x):
    """Replace the float32 array `x` by its tanh, within 2e-7.

    Lambert's continued fraction at a quarter of the argument, doubled twice: unlike the library
    function it has no branches, so the compiler vectorises it.
    """
    flat = x.ravel()
    for i in range(flat.size):
        y = min(max(flat[i], -_LIMIT), _LIMIT) * _QUARTER
        q = y * y
        t = y * (_N3 + q * (_N2 + q * _N1)) / (_D3 + q * (_D2 + q * (_D1 + q)))
        t = _TWO * t / (_ONE + t * t)
        flat[i] = _TWO * t / (_ONE + t * t)


@compiled
def layer(x, w, b, out):
    """x [i] w [i, o] + b [o] into `out` [o]."""
    for j in range(out.size):
        out[j] = b[j]
    for i in range(x.size):
        for j in range(out.size):
            out[j] += x[i] * w[i, j]


@compiled
def normalise(raw, moments, learning, out):
    """Write the normalised form of the observation `raw` to `out`, counting it first if `learning`.

    The same arithmetic as gymnasium's NormalizeObservation, then clipped to +-10.
    """
    n = moments.count[0]
    total = n + 1.0
    for i in range(raw.size):
        if learning:
            delta = raw[i] - moments.mean[i]
            moments.mean[i] += delta / total
            moments.var[i] = (moments.var[i] * n + delta * delta * n / total) / total
        z = (raw[i] - moments.mean[i]) / np.sqrt(moments.var[i] + VARIANCE_FLOOR)
        out[i] = min(max(z, -OBSERVATION_CLIP), OBSERVATION_CLIP)
    if learning:
        moments.count[0] = total


@compiled
def _add_bias(x, b):
    for i in range(x.shape[0]):
        for j in range(b.size):
            x[i, j] += b[j]


@compiled
def forward(x, net, h1, h2, out):
    """Outputs [n, k] for inputs [n, o] into `out`, by way of the hidden units `h1` and `h2`."""
    np.dot(x, net.w1, h1)
    _add_bias(h1, net.b1)
    tanh(h1)
    np.dot(h1, net.w2, h2)
    _add_bias(h2, net.b2)
    tanh(h2)
    np.dot(h2, net.w3, out)
    _add_bias(out, net.b3)


@compiled
def column_sums(x, out):
    out[:] = 0
    for i in range(x.shape[0]):
        for j in range(out.size):
            out[j] += x[i, j]


@compiled
def _through_tanh(gradient, h):
    a, b = gradient.ravel(), h.ravel()
    for i in range(a.size):
        a[i] *= _ONE - b[i] * b[i]


@compiled
def backward(x, net, h1, h2, g_out, g_h1, g_h2, grad):
    """The gradient of all parameters into the network `grad`, given that of the outputs, `g_out`.

    `x`, `h1` and `h2` are those of `forward`; `g_h1` and `g_h2` are buffers of their shapes.
    """
    np.dot(h2.T, g_out, grad.w3)
    column_sums(g_out, grad.b3)
    np.dot(g_out, net.w3.T, g_h2)
    _through_tanh(g_h2, h2)
    np.dot(h1.T, g_h2, grad.w2)
    column_sums(g_h2, grad.b2)
    np.dot(g_h2, net.w2.T, g_h1)
    _through_tanh(g_h1, h1)
    np.dot(x.T, g_h1, grad.w1)
    column_sums(g_h1, grad.b1)


@compiled
def network(x, net):
    """Outputs [n, k] of a network for float32 inputs [n, o]."""
    h1 = np.empty((x.shape[0], net.b1.size), np.float32)
    h2 = np.empty((x.shape[0], net.b2.size), np.float32)
    out = np.empty((x.shape[0], net.b3.size), np.float32)
    forward(x, net, h1, h2, out)
    return out


@compiled
def log_probabilities(means, log_std, actions):
    """Log density [n] of `actions` [n, a] under independent normals."""
    out = np.empty(means.shape[0], np.float32)
    for i in range(means.shape[0]):
        total = _F(0)
        for j in range(log_std.size):
            z = (actions[i, j] - means[i, j]) * np.exp(-log_std[j])
            total -= _F(0.5) * (z * z + LOG_2PI) + log_std[j]
        out[i] = total
    return out
