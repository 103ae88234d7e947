#!/usr/bin/env python3
"""Counts what the CUDA kernels of ops do in gpusim and keeps the table tests/ops/CUDA_KERNELS.md.

    cuda_counters.py --program COUNT_KERNELS --module LIBINGOT_CUDA --gpusim FOLDER
                     [--reports FOLDER] [--only TEXT] (--check TABLE | --write TABLE)

Every case of count_kernels runs in a process of its own, so that the counters of gpusim's report
are those of the case. --check fails where a limit is broken or where the table's counted columns
are not what is counted now; --write writes the table. --reports names a build folder of the module
for sm_80, sm_90 and sm_100, whose .ptxas files give registers and shared memory; without it, the
table keeps those it has.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[3]
MOST_BYTES = 1.10         # global bytes moved, over the op's stated minimum
MOST_WASTE = 0.10         # bytes of sectors touched but not asked for, over all bytes moved
MOST_INSTRUCTION_DRIFT = 0.05  # between toolkits

# Limits that do not hold for some cases, and why that is accepted. Nothing else may break one.
FEW_SAMPLES = ("a table of partial sums is written and read for each chunk of samples; chunks "
               "so large that these weigh less than a tenth would occupy three multiprocessors")
EXCEPTIONS = {
    "tabular_input_backward.f32.16384": (["bytes"], FEW_SAMPLES),
    "tabular_input_backward.bf16.16384": (["bytes"], FEW_SAMPLES),
}

# Cases that are counted on another simulated machine too, since they depend on it: the shared
# memory of a block is 227 KiB on the default one, 163 KiB on sm_80.
MACHINES = {"sm_80": "tests/gpusim/tests/machines/sm_80.yaml"}
ON_MACHINES = ["cross_entropy.f32.50257@sm_80"]

COUNTED_HEAD = ("| case | kernels | bytes / minimum | load sectors | store sectors "
                "| bank conflicts | barriers per KiB | tensor work "
                "| lane instructions per element |")
STATIC_HEAD = "| kernel | registers | static shared bytes | warps that registers allow |"
ARCHITECTURES = ["sm_80", "sm_90", "sm_100"]


def run_case(arguments, case):
    """What the case, or case@machine, needs and what its kernels did."""
    case, _, machine = case.partition("@")
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        environment = dict(os.environ)
        path = environment.get("LD_LIBRARY_PATH")
        environment.update(
            INGOT_TEST_DEVICE="cuda", INGOT_CUDA_MODULE=arguments.module,
            GPUSIM_REPORT=str(report),
            LD_LIBRARY_PATH=arguments.gpusim + (":" + path if path else ""))
        if machine:
            environment["GPUSIM_MACHINE"] = str(ROOT / MACHINES[machine])
        run = subprocess.run([arguments.program, case], env=environment, text=True,
                             capture_output=True, check=False)
        if run.returncode != 0 or not report.exists():
            sys.exit(f"{case}: ended with {run.returncode}\n{run.stderr}")
        counted = json.loads(report.read_text())
        if counted["problems"]:
            sys.exit(f"{case}: gpusim reports problems\n{run.stderr}")
        return json.loads(run.stdout.splitlines()[-1]), counted["kernels"]


def total(kernels, name):
    return sum(kernel[name] for kernel in kernels)


def ratio(a, b):
    return a / b if b else 1.0


def kernel_name(signature):
    """"norm_forward_kernel<true, true, 8, 3, Bf16>" of a demangled signature."""
    name = signature.replace("ingot::cuda::", "").replace("ingot::", "")
    name = name.replace("(anonymous namespace)::", "").removeprefix("void ")
    depth = 0
    for place, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            name = name[:place]
            break
    return re.sub(r"\((?:int|bool)\)", "", name)


def measure(arguments, case):
    need, kernels = run_case(arguments, case)
    loads, stores = total(kernels, "global_load_bytes"), total(kernels, "global_store_bytes")
    moved = loads + stores
    return {
        "case": case,
        "kernels": sum(kernel["launches"] for kernel in kernels),
        "names": sorted({kernel_name(kernel["signature"]) for kernel in kernels}),
        "bytes": ratio(moved, need["read"] + need["written"]),
        "waste": ratio(32 * total(kernels, "global_load_sectors")
                       + 32 * total(kernels, "global_store_sectors") - moved, moved),
        "load_sectors": ratio(32 * total(kernels, "global_load_sectors"), loads),
        "store_sectors": ratio(32 * total(kernels, "global_store_sectors"), stores),
        "banks": ratio(total(kernels, "shared_wavefronts"), total(kernels, "shared_requests")),
        "barriers": 1024 * ratio(total(kernels, "barriers"), moved) if moved else 0,
        "needs_tensor": need["matrix_flops"] > 0,
        "tensor": ratio(total(kernels, "tensor_flops"), need["matrix_flops"]),
        "instructions": ratio(total(kernels, "lane_instructions"), need["elements"]),
        "local": total(kernels, "local_bytes"),
    }


def broken_limits(row):
    """Sentences about what breaks a limit."""
    found = []
    excepted = EXCEPTIONS.get(row["case"], ([], ""))[0]
    if row["bytes"] > MOST_BYTES and "bytes" not in excepted:
        found.append(f"moves {row['bytes']:.2f} times the bytes that it needs")
    if row["waste"] > MOST_WASTE and "sectors" not in excepted:
        found.append(f"touches sectors for {row['waste']:.2f} of the bytes it moves in vain")
    if row["banks"] > 1.005 and "banks" not in excepted:
        found.append(f"meets banks of shared memory {row['banks']:.2f} times")
    # One query of a cache has no tile of a product; the contract counts pairs across documents.
    tiles = ".bf16" in row["case"] and not re.search("_cached|documents", row["case"])
    if row["needs_tensor"] and tiles and row["tensor"] < 1:
        found.append(f"computes only {row['tensor']:.2f} of its products on tensor cores")
    if row["local"]:
        found.append(f"uses {row['local']} bytes of local memory")
    return [f"{row['case']} {sentence}" for sentence in found]


def counted_line(row):
    tensor = f"{row['tensor']:.3f}" if row["needs_tensor"] else "-"
    return (f"| {row['case']} | {row['kernels']} | {row['bytes']:.3f} | {row['load_sectors']:.3f} "
            f"| {row['store_sectors']:.3f} | {row['banks']:.3f} | {row['barriers']:.3f} "
            f"| {tensor} | {row['instructions']:.1f} |")


def compare(row, line):
    """What the table's line says otherwise; instructions may drift with the compiler."""
    if line is None:
        return [f"{row['case']} is not in the table"]
    new, old = counted_line(row).split("|"), line.split("|")
    if new[:-2] != old[:-2]:
        return [f"{row['case']}: the table says{'|'.join(old[2:-2])}, counted"
                f"{'|'.join(new[2:-2])}"]
    before, now = float(old[-2]), float(new[-2])
    if abs(now - before) > MOST_INSTRUCTION_DRIFT * before + 0.1:
        return [f"{row['case']}: the table says {before} instructions per element, counted {now}"]
    return []


def ptxas_reports(folder):
    """{kernel: {architecture: (registers, static shared bytes)}} from the .ptxas files below."""
    functions = {}
    for report in sorted(pathlib.Path(folder).rglob("*.ptxas")):
        entry = None
        for line in report.read_text().splitlines():
            found = re.search(r"Compiling entry function '(\S+)' for '(\w+)'", line)
            if found:
                entry = found.groups()
            found = re.search(r"Used (\d+) registers", line)
            if found and entry:
                shared = re.search(r"(\d+) bytes smem", line)
                functions[entry] = (int(found.group(1)), int(shared.group(1)) if shared else 0)
                entry = None
    names = sorted({name for name, _ in functions})
    readable = subprocess.run(["c++filt"], input="\n".join(names), text=True, check=True,
                              capture_output=True).stdout.splitlines()
    result = {}
    for mangled, signature in zip(names, readable):
        for architecture in ARCHITECTURES:
            if (mangled, architecture) in functions:
                result.setdefault(kernel_name(signature), {})[architecture] = functions[
                    mangled, architecture]
    return result


def static_lines(reports, used):
    lines = []
    for name in sorted(used):
        numbers = [reports.get(name, {}).get(architecture) for architecture in ARCHITECTURES]
        if not any(numbers):
            continue
        # A warp takes registers in units of 256; a multiprocessor has 65536 and 64 warps.
        warps = [min(64, 65536 // ((n[0] * 32 + 255) // 256 * 256)) if n else 0 for n in numbers]
        texts = [" / ".join(str(n[i]) if n else "-" for n in numbers) for i in (0, 1)]
        lines.append(f"| `{name}` | {texts[0]} | {texts[1]} | {' / '.join(map(str, warps))} |")
    return lines


def table_text(rows, static):
    text = f"""# The CUDA kernels of ingot's ops, counted

Written by `tests/ops/cuda_counters/cuda_counters.py`, and compared by a test with what gpusim,
the CUDA simulator of the tests, counts. These are counts, not times: what they stand for on a GPU
is shown by `ingot bench ops` where there is one.

## Counted at full tiles

One execution of each case of `tests/ops/cuda_counters/count_kernels.cpp`, all its kernels together,
on a simulated GPU of 4 multiprocessors of sm_90, or of the architecture after @.

- bytes / minimum: global bytes that lanes read and write, over what the op's contract states as its
  least; at most {MOST_BYTES}.
- load and store sectors: bytes of the 32-byte sectors touched, over the bytes asked for; 1 is
  ideal. A loss per row or a sum per chunk takes a sector of its own; what is touched in vain is at
  most {MOST_WASTE} of all bytes moved.
- bank conflicts: passes that accesses of shared memory take, over what they would take without any;
  1 is none.
- barriers per KiB: of a block, over KiB of global memory moved.
- tensor work: floating-point operations of tensor cores, over those that the op's matrix products
  need; tiles on the diagonal of a causal mask are computed whole.
- lane instructions per element: PTX instructions of all lanes, over the elements of the larger of
  the op's first input and last output.

{COUNTED_HEAD}
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
    text += "\n".join(counted_line(row) for row in rows) + "\n"
    text += "\nBeyond a limit, and why:\n\n"
    for case, (limits, why) in sorted(EXCEPTIONS.items()):
        text += "\n".join(textwrap.wrap(f"- {case} ({', '.join(limits)}): {why}.", 99,
                                        subsequent_indent="  ")) + "\n"
    text += f"""
## From ptxas

Registers and static shared memory of the kernels of these cases for {', '.join(ARCHITECTURES)},
and the warps (of 64) for which a multiprocessor has registers. No kernel spills: a test reads
ptxas's reports.

{STATIC_HEAD}
| --- | --- | --- | --- |
"""
    return text + "\n".join(static) + "\n"


def table_lines(path):
    """The counted lines by case, and the lines from ptxas."""
    counted, static = {}, []
    if path.exists():
        for line in path.read_text().splitlines():
            if line.startswith("| `"):
                static.append(line)
            elif line.startswith("| ") and not line.startswith(("| case", "| kernel", "| ---")):
                counted[line.split("|")[1].strip()] = line
    return counted, static


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "module", "gpusim"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--reports")
    parser.add_argument("--only", default="")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--check")
    target.add_argument("--write")
    arguments = parser.parse_args()
    if not (pathlib.Path(arguments.gpusim) / "libcudart.so.13").exists():
        print(f"gpusim is not built in {arguments.gpusim}")
        return 1 if os.environ.get("INGOT_REQUIRE_CUDA") == "1" else 77

    cases = subprocess.run([arguments.program, "--list"], text=True, check=True,
                           capture_output=True).stdout.split()
    cases = sorted(cases + ON_MACHINES)
    cases = [case for case in cases if arguments.only in case]
    rows = [measure(arguments, case) for case in cases]
    complaints = [sentence for row in rows for sentence in broken_limits(row)]
    path = pathlib.Path(arguments.check or arguments.write)
    counted, static = table_lines(path)
    if arguments.write:
        if arguments.reports:
            used = {name for row in rows for name in row["names"]}
            static = static_lines(ptxas_reports(arguments.reports), used)
        path.write_text(table_text(rows, static))
    else:
        complaints += [text for row in rows for text in compare(row, counted.get(row["case"]))]
        if not arguments.only:
            complaints += [f"{case} is in the table only" for case in counted if case not in cases]
    print("\n".join(complaints) if complaints else f"{len(rows)} cases within their limits")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
