#!/usr/bin/env python3
"""Records loss curves of PyTorch, which ingot's training is tested against (README.md).

Each case trains 100 steps on the CPU in f32 from weights and batches that are stored beside the
curve, so that the test repeats the same run without any random number of its own. The model is
written as functions over a dictionary of tensors, by ingot's parameter names, because the names are
what the two sides share. Limits of clipping are chosen so that some steps are clipped and some not.

    make_curves.py [--out FOLDER] [--case NAME]   writes FOLDER/NAME.h5
    make_curves.py --check                        repeats the runs, compares with the stored curves
    make_curves.py --double                       shows how far f32 lies from f64: the test's room
"""

import argparse
import math
import pathlib
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

STEPS = 100
DATA_FOLDER = pathlib.Path(__file__).parent / "data"

# Keys of `model` are those of the YAML. Sizes are small and partly odd: width 48 with 4 heads gives
# a head width of 12, which is no multiple of a vector register.
GPT2 = dict(
    model=dict(layers=2, width=48, heads=4, kv_heads=4, hidden=192, context=32, vocabulary=96,
               norm="layernorm", activation="gelu", positions="learned", tied=True, bias=True,
               norm_epsilon=1e-5),
    batch=4, seed=11, peak=3e-3, clip=2.0, padded=False)
LLAMA = dict(
    model=dict(layers=2, width=48, heads=4, kv_heads=2, hidden=128, context=32, vocabulary=96,
               norm="rmsnorm", activation="swiglu", positions="rope", rope_base=10000.0, tied=False,
               bias=False, norm_epsilon=1e-5),
    batch=4, seed=12, peak=3e-3, clip=1.6, padded=True)
MLP_BINARY = dict(
    model=dict(features=7, categories=[5, 9, 3], embedding=6, hidden_layers=[48, 24], classes=2,
               positive_weight=3.5),
    batch=32, seed=13, peak=5e-3, clip=1.0)
MLP_CLASSES = dict(
    model=dict(features=7, categories=[5, 9, 3], embedding=6, hidden_layers=[48, 24], classes=4,
               positive_weight=1.0),
    batch=32, seed=14, peak=5e-3, clip=1.0)
CASES = {"gpt2": GPT2, "llama": LLAMA, "mlp_binary": MLP_BINARY, "mlp_classes": MLP_CLASSES}
OPTIMIZER = dict(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1)


def learning_rates(peak):
    """Linear warm-up over 10 steps, then a cosine down to a tenth of the peak at the last step."""
    rates = []
    for step in range(1, STEPS + 1):
        if step <= 10:
            rates.append(peak * step / 10)
        else:
            progress = (step - 10) / (STEPS - 10)
            rates.append(peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress))))
    return np.array(rates, np.float64)


def gpt_shapes(m):
    width, head = m["width"], m["width"] // m["heads"]
    packed = (m["heads"] + 2 * m["kv_heads"]) * head
    linears = {"attention.qkv": (packed, width), "attention.output": (width, m["heads"] * head)}
    if m["activation"] == "swiglu":
        linears["feed_forward.gate_up"] = (2 * m["hidden"], width)
    else:
        linears["feed_forward.up"] = (m["hidden"], width)
    linears["feed_forward.down"] = (width, m["hidden"])

    shapes = {"token_embedding": (m["vocabulary"], width)}
    if m["positions"] == "learned":
        shapes["position_embedding"] = (m["context"], width)
    norms = ["final_norm"]
    for layer in range(m["layers"]):
        norms += [f"layers.{layer}.norm1", f"layers.{layer}.norm2"]
        for name, shape in linears.items():
            shapes[f"layers.{layer}.{name}.weight"] = shape
            if m["bias"]:
                shapes[f"layers.{layer}.{name}.bias"] = shape[:1]
    for name in norms:
        shapes[f"{name}.weight"] = (width,)
        if m["norm"] == "layernorm" and m["bias"]:
            shapes[f"{name}.bias"] = (width,)
    if not m["tied"]:
        shapes["output.weight"] = (m["vocabulary"], width)
    return shapes


def mlp_shapes(m):
    shapes = {"category_embedding": (sum(m["categories"]), m["embedding"])}
    width = m["features"] + len(m["categories"]) * m["embedding"]
    for layer, hidden in enumerate(m["hidden_layers"]):
        shapes[f"layers.{layer}.weight"] = (hidden, width)
        shapes[f"layers.{layer}.bias"] = (hidden,)
        width = hidden
    outputs = 1 if m["classes"] == 2 else m["classes"]  # a binary label has one logit
    shapes["output.weight"] = (outputs, width)
    shapes["output.bias"] = (outputs,)
    return shapes


def initial_weights(shapes, random):
    """Larger than usual and nowhere zero, so that a forgotten bias or gain shows in the curve."""
    weights = {}
    for name, shape in shapes.items():
        values = random.standard_normal(shape)
        if "norm" in name and name.endswith(".weight"):
            values = 1 + 0.1 * values
        elif name.endswith("embedding"):
            values = 0.3 * values
        elif len(shape) == 2:
            values = values / math.sqrt(shape[1])
        else:
            values = 0.1 * values
        weights[name] = values.astype(np.float32)
    return weights


def gpt_batches(case, random):
    """Text of a Markov chain whose symbols have few likely followers, hence a loss that falls."""
    m = case["model"]
    vocabulary, context = m["vocabulary"], m["context"]
    followers = random.integers(0, vocabulary, (vocabulary, 4))
    stream = np.empty((STEPS, case["batch"], context + 1), np.int32)
    stream[..., 0] = random.integers(0, vocabulary, (STEPS, case["batch"]))
    for t in range(context):
        pick = followers[stream[..., t], random.choice(4, stream.shape[:2], p=[0.6, 0.2, 0.1, 0.1])]
        noise = random.integers(0, vocabulary, pick.shape)
        stream[..., t + 1] = np.where(random.random(pick.shape) < 0.05, noise, pick)
    tokens, targets = stream[..., :-1].copy(), stream[..., 1:].copy()
    if case["padded"]:  # every third step has a short sequence and one that is not counted at all
        targets[::3, 1, context // 2 + 3:] = -1
        targets[::3, 3, :] = -1
    return {"tokens": tokens, "targets": targets}


def mlp_batches(case, random):
    """Rows whose label follows from a random two-layer rule over features and categories."""
    m = case["model"]
    rows = (STEPS, case["batch"])
    features = random.standard_normal((*rows, m["features"])).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(m["categories"])[:-1]])
    categories = np.stack([random.integers(0, n, rows) for n in m["categories"]], -1) + offsets
    effect = random.standard_normal((sum(m["categories"]), 8))
    projection = random.standard_normal((m["features"], 8))
    hidden = np.tanh(features @ projection + effect[categories].sum(-2))
    if m["classes"] == 2:
        score = hidden @ random.standard_normal(8)
        labels = (score + 0.3 * random.standard_normal(rows) > 1.5).astype(np.int32)
    else:
        labels = (hidden @ random.standard_normal((8, m["classes"]))).argmax(-1).astype(np.int32)
    return {"features": features, "categories": categories.astype(np.int32), "labels": labels}


def normalise(m, w, name, x):
    gain, bias = w[f"{name}.weight"], w.get(f"{name}.bias")
    if m["norm"] == "layernorm":
        return F.layer_norm(x, gain.shape, gain, bias, m["norm_epsilon"])
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + m["norm_epsilon"]) * gain


def rotate(x, base):
    """Hugging Face's Llama convention on x [B, heads, T, D]: element i pairs with i + D/2."""
    half = x.shape[-1] // 2
    frequency = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * frequency
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


def gpt_loss(m, w, batch):
    def linear(name, x):
        return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    rows, context = batch["tokens"].shape
    heads, kv_heads, head = m["heads"], m["kv_heads"], m["width"] // m["heads"]
    x = w["token_embedding"][batch["tokens"]]
    if m["positions"] == "learned":
        x = x + w["position_embedding"][:context]
    for layer in range(m["layers"]):
        prefix = f"layers.{layer}"
        qkv = linear(f"{prefix}.attention.qkv", normalise(m, w, f"{prefix}.norm1", x))
        split = qkv.view(rows, context, heads + 2 * kv_heads, head).transpose(1, 2)
        q, k, v = split.split([heads, kv_heads, kv_heads], 1)
        if m["positions"] == "rope":
            q, k = rotate(q, m["rope_base"]), rotate(k, m["rope_base"])
        # Query head h reads key head h / (heads / kv_heads).
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(head)
        later = torch.ones(context, context, dtype=torch.bool).triu(1)
        mixed = F.softmax(scores.masked_fill(later, -math.inf), -1) @ v
        mixed = mixed.transpose(1, 2).reshape(rows, context, heads * head)
        x = x + linear(f"{prefix}.attention.output", mixed)
        y = normalise(m, w, f"{prefix}.norm2", x)
        if m["activation"] == "swiglu":
            gate, up = linear(f"{prefix}.feed_forward.gate_up", y).chunk(2, -1)
            y = F.silu(gate) * up
        else:
            y = F.gelu(linear(f"{prefix}.feed_forward.up", y), approximate="tanh")
        x = x + linear(f"{prefix}.feed_forward.down", y)
    output = w["token_embedding"] if m["tied"] else w["output.weight"]
    logits = F.linear(normalise(m, w, "final_norm", x), output)
    return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-1)


def mlp_loss(m, w, batch):
    embedded = w["category_embedding"][batch["categories"]].flatten(-2)
    x = torch.cat([batch["features"], embedded], -1)
    for layer in range(len(m["hidden_layers"])):
        x = F.relu(F.linear(x, w[f"layers.{layer}.weight"], w[f"layers.{layer}.bias"]))
    logits = F.linear(x, w["output.weight"], w["output.bias"])
    if m["classes"] == 2:
        weight = torch.tensor(m["positive_weight"], dtype=x.dtype)
        labels = batch["labels"].to(x.dtype)
        return F.binary_cross_entropy_with_logits(logits[:, 0], labels, pos_weight=weight)
    return F.cross_entropy(logits, batch["labels"])


def train(case, weights, batches, rates, dtype):
    """Returns (losses, gradient norms before clipping) of the steps, f64 arrays [STEPS]."""
    loss_of = mlp_loss if "hidden_layers" in case["model"] else gpt_loss
    w = {name: torch.tensor(value, dtype=dtype, requires_grad=True)
         for name, value in weights.items()}
    matrices = [p for p in w.values() if p.dim() == 2]
    vectors = [p for p in w.values() if p.dim() == 1]
    o = OPTIMIZER
    optimizer = torch.optim.AdamW(
        [dict(params=matrices, weight_decay=o["weight_decay"]),
         dict(params=vectors, weight_decay=0.0)],
        betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
    losses, norms = [], []
    for step in range(STEPS):
        batch = {}
        for name, values in batches.items():
            values = torch.from_numpy(values[step])
            batch[name] = values.to(dtype) if values.is_floating_point() else values.long()
        for group in optimizer.param_groups:
            group["lr"] = rates[step]
        optimizer.zero_grad()
        loss = loss_of(case["model"], w, batch)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(list(w.values()), case["clip"]).item())
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses), np.array(norms)


def record(name, folder, check, double):
    case = CASES[name]
    random = np.random.default_rng(case["seed"])
    is_mlp = "hidden_layers" in case["model"]
    weights = initial_weights((mlp_shapes if is_mlp else gpt_shapes)(case["model"]), random)
    batches = (mlp_batches if is_mlp else gpt_batches)(case, random)
    rates = learning_rates(case["peak"])
    losses, norms = train(case, weights, batches, rates, torch.float32)
    clipped = int((norms > case["clip"]).sum())
    print(f"{name}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, norm {norms.min():.3f} .. "
          f"{norms.max():.3f}, {clipped} of {STEPS} steps clipped")
    if double:
        exact, exact_norms = train(case, weights, batches, rates, torch.float64)
        print(f"{name}: f32 is off f64 by {np.abs(losses / exact - 1).max():.1e} in the loss, "
              f"{np.abs(norms / exact_norms - 1).max():.1e} in the norm")
    path = folder / f"{name}.h5"
    if check:
        with h5py.File(path, "r") as file:
            worst = np.abs(losses / file["curve/loss"][:] - 1).max()
        print(f"{name}: differs from the stored curve by {worst:.1e}")
        return worst < 2e-5
    if double:
        return True
    # Earliest format, contiguous data, no timestamps: read anywhere, the same bytes every time.
    with h5py.File(path, "w", libver="earliest") as file:
        for key, value in {**case["model"], **OPTIMIZER, "clip": case["clip"],
                           "batch": case["batch"]}.items():
            file.attrs[key] = np.bytes_(value) if isinstance(value, str) else value
        file.attrs["torch"] = np.bytes_(torch.__version__)
        for key, value in weights.items():
            file.create_dataset(f"weights/{key}", data=value, track_times=False)
        for key, value in batches.items():
            file.create_dataset(f"batches/{key}", data=value, track_times=False)
        file.create_dataset("curve/learning_rate", data=rates, track_times=False)
        file.create_dataset("curve/loss", data=losses, track_times=False)
        file.create_dataset("curve/gradient_norm", data=norms, track_times=False)
    print(f"{name}: wrote {path}, {path.stat().st_size / 1024:.0f} KiB")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=DATA_FOLDER)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--double", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    good = [record(name, arguments.out, arguments.check, arguments.double)
            for name in arguments.case or CASES]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
