#!/usr/bin/env python3
"""Kills, stops and confuses ranks at random points, round after round: each time the rank is named,
the job ends within its timeout, nothing is left, and the run goes on from a good checkpoint.

    random_faults.py INGOT MPIRUN [--rounds N] [--seed S] [--transport auto,mpi,...]
"""

import argparse
import os
import random
import re
import signal
import tempfile
import time

import ranks as jobs

TIMEOUT = 75
# Beside the timeout: mpirun takes two seconds to end the others, and cores are shared.
MOST_SECONDS = jobs.TIMEOUT_SECONDS + 30


def fail(job, message):
    raise SystemExit(f"FAILED: {message}\n{job.output}")


def external_fault(choice, arguments, name):
    """A signal to a rank at a moment that the ranks know nothing of."""
    ranks, victim = name["ranks"], name["victim"]
    number = signal.SIGKILL if name["kind"] == "SIGKILL" else signal.SIGSTOP
    job = jobs.Job(arguments.ingot, arguments.mpirun, ranks, *name["overrides"])
    job.wait_for_step(name["from"] + choice.randrange(1, 8))
    time.sleep(choice.random() * 0.02)
    if len(job.pids) != ranks:
        fail(job, "the job did not come to its steps")
    job.send(victim, number)
    return job


def internal_fault(choice, arguments, name):
    """A fault before some collective of some step."""
    job = jobs.Job(arguments.ingot, arguments.mpirun, name["ranks"], *name["overrides"],
                   f"fault.kind={name['kind']}", f"fault.rank={name['victim']}",
                   f"fault.step={name['from'] + choice.randrange(2, 9)}",
                   f"fault.collective={choice.randrange(0, 4)}",
                   f"collectives.check={choice.choice(['true', 'false'])}")
    job.wait_for_step(name["from"] + 1)
    return job


def expect(job, name, code):
    victim, text = name["victim"], job.output
    if name["kind"] in ("SIGKILL", "kill"):
        wanted, pattern = 137, rf"lost rank {victim} "
    elif name["kind"] in ("SIGSTOP", "stop"):
        wanted, pattern = TIMEOUT, rf"rank {victim} \(\S+, pid \d+\) does not answer"
    elif name["kind"] == "hang":
        wanted, pattern = TIMEOUT, rf"rank {victim} \(\S+, pid \d+\) has not called it"
    else:
        # Of two ranks either may be the one that differs; more than two know.
        wanted, pattern = TIMEOUT, r"do not call the same"
        if name["ranks"] > 2:
            pattern += rf".*: .*rank {victim} \(\S+\) calls .*; ranks "
    if code != wanted:
        fail(job, f"exit code {code}, expected {wanted}")
    if not re.search(pattern, text):
        fail(job, f"no '{pattern}' in the output")
    if len(job.errors()) != 1:
        fail(job, f"{len(job.errors())} messages, expected 1")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ingot")
    parser.add_argument("mpirun")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--transport", default="auto,mpi,shm,hierarchical")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed} ({arguments.rounds} rounds)", flush=True)
    choice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        jobs.prepare(arguments.ingot)
        for number in range(arguments.rounds):
            saved = jobs.checkpoints("run")
            name = {"ranks": choice.choice([2, 3, 4]), "from": saved[-1] if saved else 0}
            name["victim"] = choice.randrange(name["ranks"])
            name["kind"] = choice.choice(["SIGKILL", "SIGKILL", "SIGSTOP", "SIGSTOP", "kill",
                                          "stop", "hang", "skip_collective", "wrong_size"])
            transport = choice.choice(arguments.transport.split(","))
            name["overrides"] = ["run.name=run", f"collectives.transport={transport}",
                                 f"checkpoint.async={choice.choice(['true', 'false'])}"]
            start = time.monotonic()
            fault = external_fault if name["kind"].startswith("SIG") else internal_fault
            job = fault(choice, arguments, name)
            struck = time.monotonic()
            code = job.wait(MOST_SECONDS)
            left = job.processes_left()
            print(f"round {number}: {name['kind']} of rank {name['victim']} of {name['ranks']} "
                  f"({transport}) after step {name['from']}: exit code {code}, "
                  f"{time.monotonic() - struck:.1f} s after it, "
                  f"{time.monotonic() - start:.1f} s in all", flush=True)
            expect(job, name, code)
            if left:
                fail(job, f"processes {left} are left")
            if jobs.checkpoints("run")[:len(saved)] != saved:
                fail(job, f"checkpoints {saved} were there, now {jobs.checkpoints('run')}")
        saved = jobs.checkpoints("run")
        last = (saved[-1] if saved else 0) + 2
        job = jobs.Job(arguments.ingot, arguments.mpirun, 2, "run.name=run", f"train.steps={last}")
        if job.wait() != 0:
            fail(job, "the run does not go on")
        if saved and f"at step {saved[-1]}" not in job.output:
            fail(job, f"the run did not go on from step {saved[-1]}")
    os.chdir("/")
    print("all rounds passed")


if __name__ == "__main__":
    main()
