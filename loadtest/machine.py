"""What the figures were measured on."""

import os
import platform

import psutil


def describe_machine() -> dict[str, object]:
    """Cores this process may use, memory, interpreter and kernel."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
    }
