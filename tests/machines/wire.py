"""A slow wire from a host to a bridge: wire.py HOST_PID HUB_PID PORT SECONDS LOSS, with a frame's delay each way.

It stands in for the kernel's netem, which not every kernel has.
"""

import ctypes
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from contextlib import suppress

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_LARGEST = 65536
# As many frames wait at most, as in a router: what comes on top is lost.
_QUEUE = 20000


def interface(pid, name):
    """Make a TAP interface in the network of a process; return its file."""
    libc = ctypes.CDLL(None, use_errno=True)
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(network, 0):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(network)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


def relay(ends, delay, loss):
    """Carry frames between two interfaces, for ever."""
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    on_the_way = deque()  # all take as long, so the first in is the first out
    while True:
        wait = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        for end in select.select(ends, (), (), wait)[0]:
            frame = os.read(end, _LARGEST)
            if random.random() >= loss and len(on_the_way) < _QUEUE:
                on_the_way.append((time.monotonic() + delay, other[end], frame))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, end, frame = on_the_way.popleft()
            with suppress(OSError):  # the interface is down
                os.write(end, frame)


if __name__ == "__main__":
    host, hub, port, seconds, share = sys.argv[1:]
    both = [interface(host, "eth0"), interface(hub, port)]
    print("ready", flush=True)
    relay(both, float(seconds), float(share))
