#!/usr/bin/env python3
"""The peer of ingot's figures on GPUs: the same GPT trained by PyTorch, one process per GPU.

The model is that of torch_gpt_ddp.py: attention by scaled_dot_product_attention, bf16 under
autocast, fused AdamW, clipping by the global norm; DDP over NCCL where there are several GPUs, and
torch.compile with --compile. A step is timed from the forward pass until the GPU has finished the
update, as ingot's is when it logs every step; batches lie on the GPU before the clock starts.
Prints one line of JSON. --device cpu is for trying the script where there is no GPU.

    torch_gpt_gpu.py --ranks 1 --batch 16 --dtype bf16 --compile
"""

import argparse
import json
import socket
import statistics
import time

import torch
import torch.distributed
import torch.multiprocessing
from torch import nn

from torch_gpt_ddp import Gpt


def run(rank, a, port):
    torch.manual_seed(0)
    on_gpu = a.device == "cuda"
    device = torch.device("cuda", rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
        # ingot multiplies f32 exactly.
        torch.backends.cuda.matmul.allow_tf32 = False
    model = net = Gpt(a).to(device)
    if a.ranks > 1:
        torch.distributed.init_process_group(
            "nccl" if on_gpu else "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank,
            world_size=a.ranks)
        net = nn.parallel.DistributedDataParallel(
            model, device_ids=[rank] if on_gpu else None, gradient_as_bucket_view=True)
    if a.compile:
        net = torch.compile(net)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, weight_decay=0.1,
                                  betas=(0.9, 0.95), fused=True)
    generator = torch.Generator().manual_seed(1234 + rank)
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    seconds = []
    for _ in range(a.steps):
        stream = torch.randint(a.vocabulary, (a.batch, a.context + 1), generator=generator)
        tokens = stream[:, :-1].contiguous().to(device)
        targets = stream[:, 1:].contiguous().to(device)
        wait()
        begin = time.perf_counter()
        with torch.autocast(a.device, dtype=torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = net(tokens, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        wait()
        seconds.append(time.perf_counter() - begin)
    if rank == 0:
        median = statistics.median(seconds[a.warmup:])
        print(json.dumps(dict(
            engine="torch", version=torch.__version__,
            device=torch.cuda.get_device_name(device) if on_gpu else "cpu", ranks=a.ranks,
            compiled=a.compile, layers=a.layers, width=a.width, heads=a.heads, context=a.context,
            batch=a.batch, vocabulary=a.vocabulary, dtype=a.dtype, steps=a.steps,
            parameters=sum(p.numel() for p in model.parameters()),
            step_ms=round(median * 1e3, 3),
            tokens_per_second=round(a.batch * a.context * a.ranks / median, 1),
            loss=loss.item())), flush=True)
    if a.ranks > 1:
        torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name, default in dict(ranks=1, layers=12, width=768, heads=12, context=1024, batch=16,
                              vocabulary=50257, steps=50, warmup=4).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    a = parser.parse_args()
    if a.steps <= a.warmup:
        parser.error(f"--steps {a.steps} leaves nothing to time after --warmup {a.warmup}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if a.device == "cuda" and gpus < a.ranks:
        parser.error(f"{gpus} GPUs for --ranks {a.ranks}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if a.ranks == 1:
        run(0, a, port)
    else:
        torch.multiprocessing.spawn(run, args=(a, port), nprocs=a.ranks)


if __name__ == "__main__":
    main()
