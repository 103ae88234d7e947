"""Jobs of several ranks for tests that make ranks misbehave: starting one, finding the processes of
its ranks, and what must hold once it has ended."""

import json
import os
import re
import signal
import subprocess
import threading
import time

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
SEVERAL_NODES = "INGOT_ON_NODE" in os.environ
TIMEOUT_SECONDS = 4  # collectives.timeout of these jobs
CONFIG = f"""\
data: {{train: text.h5}}
model: {{layers: 2, width: 32, heads: 2, context: 32}}
batch: {{micro: 1, global: 12}}
train: {{steps: 100000}}
schedule: {{kind: constant}}
parallel: {{bucket: 8KiB}}
checkpoint: {{every: 4, keep: 0}}
log: {{every: 1}}
collectives: {{timeout: {TIMEOUT_SECONDS}s}}
"""


def prepare(ingot):
    """A small data set and a job, in the current folder."""
    with open("text.txt", "w", encoding="utf-8") as file:
        for line in range(2000):
            file.write(f"line {line} of a text that repeats itself, {line * line}\n")
    with open("job.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIG)
    subprocess.run([ingot, "data", "import", "text.txt", "text.h5"], check=True,
                   stdout=subprocess.DEVNULL)


class Job:
    """A job under mpirun. Its output is read as it comes, so that no rank waits for a pipe."""

    def __init__(self, ingot, mpirun, ranks, *overrides, config="job.yaml", **environment):
        # On the nodes of with_nodes.sh: one rank each of two, else two on the first.
        nodes = ["--map-by", f"ppr:{1 if ranks == 2 else 2}:node"] if SEVERAL_NODES else []
        self.process = subprocess.Popen(
            [mpirun, "--quiet", "--oversubscribe", "--bind-to", "none", "--mca",
             "mpi_yield_when_idle", "1", *nodes, "-np", str(ranks), ingot, "train", config,
             *overrides],
            env={**ENVIRONMENT, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace")
        self.ranks = ranks
        self.lines = []
        self.pids = {}
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        # Before the first step, while ranks still start: a fault may come soon after.
        while len(self.find_ranks()) < ranks and self.process.poll() is None:
            time.sleep(0.01)

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()
        with self.news:
            self.lines.append("")
            self.news.notify_all()

    @property
    def output(self):
        return "".join(self.lines)

    def wait_for_step(self, step):
        """Returns when the line of this step is out, or the job has ended."""
        pattern = re.compile(rf"^\s*step\s+{step}\b")
        with self.news:
            self.news.wait_for(lambda: any(pattern.match(line) for line in self.lines)
                               or self.lines[-1:] == [""], timeout=120)

    def find_ranks(self):
        """rank -> pid of the ranks that run."""
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) in self.pids.values():
                continue
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                # Those of another node are children of its daemon; nobody else is there.
                if parent != self.process.pid and not SEVERAL_NODES:
                    continue
                with open(f"/proc/{name}/environ", "rb") as file:
                    environment = file.read().split(b"\0")
            except OSError:
                continue
            for entry in environment:
                if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                    self.pids[int(entry.partition(b"=")[2])] = int(name)
        return self.pids

    def send(self, rank, number):
        os.kill(self.pids[rank], number)

    def wait(self, seconds=90):
        """The exit code of mpirun; a job that does not end is a failure."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"the job does not end:\n{self.output}") from error
        self.finish_reading()
        return code

    def kill(self):
        for pid in [*self.find_ranks().values(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.finish_reading()

    def finish_reading(self):
        self.reader.join()
        self.process.stdout.close()

    def processes_left(self, seconds=15):
        """Ranks that still run after this long."""
        deadline = time.monotonic() + seconds
        while True:
            left = [pid for pid in self.pids.values() if runs(pid)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def errors(self):
        """The messages that ranks printed."""
        return [line for line in self.lines if re.match(r"\[rank \d+ .*\] ERROR: ", line)]


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def checkpoints(run):
    folder = f"runs/{run}/checkpoints"
    if not os.path.isdir(folder):
        return []
    return sorted(int(name[5:]) for name in os.listdir(folder)
                  if re.fullmatch(r"step-\d+", name))


def flight(run, rank):
    with open(f"runs/{run}/flight/rank-{rank:05d}.json", encoding="utf-8") as file:
        return json.load(file)


def flights(run):
    """Ranks that left a flight record."""
    folder = f"runs/{run}/flight"
    if not os.path.isdir(folder):
        return []
    return sorted(int(name[5:10]) for name in os.listdir(folder) if name.endswith(".json"))
