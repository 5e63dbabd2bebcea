# SPDX-License-Identifier: PostgreSQL
"""Runs one command and tells what it took: time, CPU of it and of the servers, peak memory.

All from /proc and wait4; knows nothing of pgcask or of what is compared.
"""

import os
import resource
import subprocess
import sys
import threading
import time

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.1
TALK_LIMIT = 20


def read_stat(pid):
    """Fields of /proc/PID/stat behind the name, or None when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def cpu_of(stat):
    """CPU seconds of a process and of its children that ended and were collected."""
    return sum(int(field) for field in stat[11:15]) * TICK_S


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        stat = read_stat(entry) if entry.isdigit() else None
        if stat is not None and int(stat[1]) == pid:
            found.append((int(entry), stat))
    return found


def tree_cpu(pid):
    """CPU seconds of a server: its first process, the living children, and all that have ended."""
    while True:
        before = read_stat(pid)
        children = sum(cpu_of(child) for _, child in children_of(pid))
        stat = read_stat(pid)
        if stat is None:
            return 0.0
        if before is not None and before[11:15] == stat[11:15]:  # else a child may have been collected while we looked
            return cpu_of(stat) + children


def machine_cpu():
    """CPU seconds of everybody since boot, the host's theft included."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal = (int(word) for word in file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_S


def own_cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_kib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class Mark:
    """One line of a command's stderr, and what had been used up when it came."""

    def __init__(self, text, at_s, client_s, server_s, store_s):
        self.text, self.at_s, self.client_s, self.server_s, self.store_s = text, at_s, client_s, server_s, store_s


class Run:
    """What one command took: seconds, CPU seconds, and KiB of memory when that was asked for."""

    def __init__(self):
        self.wall_s = self.client_s = self.server_s = self.store_s = self.others_s = 0.0
        self.alone_kib = self.children_kib = 0
        self.marks = []

    @property
    def cpu_s(self):
        return self.client_s + self.server_s + self.store_s

    @property
    def others(self):
        """Cores that somebody else kept busy, on average."""
        return self.others_s / self.wall_s if self.wall_s > 0 else 0.0


class Meter:
    """`store_pids`: processes of a store that is a server, too."""

    def __init__(self, server_pid, store_pids=()):
        self.server_pid, self.store_pids = server_pid, store_pids

    def server_cpu(self):
        return tree_cpu(self.server_pid)

    def store_cpu(self):
        return sum(tree_cpu(pid) for pid in self.store_pids)

    def _sample(self, pid, run, stop):
        while not stop.wait(SAMPLE_S):
            run.alone_kib = max(run.alone_kib, peak_kib(pid))
            for child, _ in children_of(pid):
                run.children_kib = max(run.children_kib, peak_kib(child))

    def _listen(self, process, run, wanted, start_s, server_s, store_s):
        """Read stderr to its end; a mark for each line that holds the wanted word. Returns the last lines."""
        talk = []
        for line in process.stderr:
            line = line.rstrip("\n")
            talk = talk[-TALK_LIMIT:] + [line]
            if wanted and any(word in line for word in wanted):
                at_s = time.monotonic() - start_s
                stat = read_stat(process.pid)
                run.marks.append(Mark(line, at_s, cpu_of(stat) if stat else 0.0, self.server_cpu() - server_s,
                                      self.store_cpu() - store_s))
        return talk

    def run(self, command, wanted=(), memory=False):
        """`command`: argv, or a text for sh. Not 0 ends the benchmark. Sampling memory costs time: not for timed rows."""
        run = Run()
        argv = ["sh", "-c", command] if isinstance(command, str) else command
        os.sync()
        machine_s, self_s, server_s, store_s = machine_cpu(), own_cpu(), self.server_cpu(), self.store_cpu()
        start_s = time.monotonic()
        # pylint: disable=consider-using-with
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, errors="replace")
        stop = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(process.pid, run, stop))
        if memory:
            sampler.start()
        talk = self._listen(process, run, wanted, start_s, server_s, store_s)
        _, status, usage = os.wait4(process.pid, 0)
        run.wall_s = time.monotonic() - start_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if memory:
            stop.set()
            sampler.join()
            if usage.ru_maxrss > run.children_kib:  # it counts the children, too: here it can only be the command's
                run.alone_kib = usage.ru_maxrss
        run.client_s = usage.ru_utime + usage.ru_stime
        run.server_s = self.server_cpu() - server_s
        run.store_s = self.store_cpu() - store_s
        run.others_s = max(0.0, machine_cpu() - machine_s - run.cpu_s - (own_cpu() - self_s))
        if process.returncode != 0:
            sys.exit(f"meter.py: exit code {process.returncode}: {argv[-1] if len(argv) == 3 else ' '.join(argv)}\n"
                     + "\n".join(talk))
        return run
