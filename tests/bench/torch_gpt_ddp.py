#!/usr/bin/env python3
"""The peer of ingot's speed figures: the same GPT trained by PyTorch DDP over gloo on the CPU.

The model is GPT-2's, ingot's default: layernorm, gelu (tanh), learned positions, biases, tied
output; AdamW with fused updates, clipping by the global norm. bf16 runs under
autocast, which is what PyTorch offers for it. A step is timed from the forward pass to the end of
the update; batches are made before the clock starts. Prints one line of JSON.

    torch_gpt_ddp.py --ranks 2 --threads 1 --batch 4 --dtype bf16
"""

import argparse
import json
import os
import socket
import statistics
import time

import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):  # [B, T, C]
        rows, context, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(rows, context, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_output(mixed.transpose(1, 2).reshape(rows, context, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.tokens = nn.Embedding(a.vocabulary, a.width)
        self.positions = nn.Embedding(a.context, a.width)
        self.blocks = nn.ModuleList(Block(a.width, a.heads) for _ in range(a.layers))
        self.final_norm = nn.LayerNorm(a.width)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, 0, 0.02)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.final_norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def run(rank, a, port):
    torch.manual_seed(0)
    torch.set_num_threads(a.threads)
    if a.pin:
        cores = sorted(os.sched_getaffinity(0))
        mine = [cores[(rank * a.threads + i) % len(cores)] for i in range(a.threads)]
        os.sched_setaffinity(0, mine)
    model = net = Gpt(a)
    if a.ranks > 1:
        torch.distributed.init_process_group(
            "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=a.ranks)
        net = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, weight_decay=0.1,
                                  betas=(0.9, 0.95), fused=True)
    generator = torch.Generator().manual_seed(1234 + rank)
    seconds = []
    for _ in range(a.steps):
        stream = torch.randint(a.vocabulary, (a.batch, a.context + 1), generator=generator)
        tokens, targets = stream[:, :-1].contiguous(), stream[:, 1:].contiguous()
        begin = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = net(tokens, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    if rank == 0:
        median = statistics.median(seconds[a.warmup:])
        print(json.dumps(dict(
            engine="torch", version=torch.__version__, ranks=a.ranks, threads=a.threads,
            layers=a.layers, width=a.width, heads=a.heads, context=a.context, batch=a.batch,
            vocabulary=a.vocabulary, dtype=a.dtype, steps=a.steps,
            parameters=sum(p.numel() for p in model.parameters()),
            step_ms=round(median * 1e3, 2),
            tokens_per_second=round(a.batch * a.context * a.ranks / median, 1),
            loss=loss.item())), flush=True)
    if a.ranks > 1:
        torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name, default in dict(ranks=2, threads=1, layers=6, width=384, heads=6, context=256,
                              batch=4, vocabulary=256, steps=16, warmup=4).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--pin", action="store_true", help="bind each rank to cores of its own")
    a = parser.parse_args()
    if a.steps <= a.warmup:
        parser.error(f"--steps {a.steps} leaves nothing to time after --warmup {a.warmup}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if a.ranks == 1:
        run(0, a, port)
    else:
        torch.multiprocessing.spawn(run, args=(a, port), nprocs=a.ranks)


if __name__ == "__main__":
    main()
